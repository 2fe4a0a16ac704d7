"""Photos that scikit-image carries inside its package: something to click on without any download."""

from collections.abc import Iterator, Mapping
from functools import cache

import numpy as np

from ..errors import MissingExtraError
from ..images import read_image

__all__ = ["offline_photos"]

# Only functions whose files are in the wheel itself; the others of skimage.data download something.
_FUNCTIONS = {
    "motorcycle": "stereo_motorcycle",
    "astronaut": "astronaut",
    "coffee": "coffee",
    "rocket": "rocket",
    "chelsea": "chelsea",
    "coins": "coins",
    "ihc": "immunohistochemistry",
    "retina": "retina",
}


class _Photos(Mapping[str, np.ndarray]):
    """The photos by name; each is decoded when it is first asked for."""

    def __getitem__(self, name: str) -> np.ndarray:
        return _load(name)

    def __iter__(self) -> Iterator[str]:
        return iter(_FUNCTIONS)

    def __len__(self) -> int:
        return len(_FUNCTIONS)

    def __repr__(self) -> str:
        return f"<photos of scikit-image: {', '.join(_FUNCTIONS)}>"


@cache
def _load(name: str) -> np.ndarray:
    function = _FUNCTIONS[name]
    photo = getattr(_skimage_data(), function)()
    photo = read_image(photo[0] if isinstance(photo, tuple) else photo)  # of a stereo pair the left one
    photo.setflags(write=False)  # it is shared by all who ask
    return photo


def _skimage_data():
    try:
        from skimage import data
    except ImportError as error:
        raise MissingExtraError("the offline photos need scikit-image", "lab") from error
    return data


def offline_photos() -> Mapping[str, np.ndarray]:
    """Eight photos for a first try, from a cat to a stained tissue; no network is needed.

    Returns
    -------
    mapping of str to ndarray of uint8, (height, width, 3)
        Read-only arrays, each decoded when it is first asked for.

    Raises
    ------
    MissingExtraError
        If scikit-image is not installed.

    Examples
    --------
    >>> photos = offline_photos()
    >>> list(photos)
    ['motorcycle', 'astronaut', 'coffee', 'rocket', 'chelsea', 'coins', 'ihc', 'retina']
    >>> photos["chelsea"].shape
    (300, 451, 3)
    """
    _skimage_data()
    return _Photos()
