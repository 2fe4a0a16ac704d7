"""The user's own data, and the simplest layout there is: a folder of images, alone or beside a folder of masks.

``images/NAME.jpg`` goes with ``masks/NAME.png``. A mask is binary (0 and 255) or holds one number per object, with 0 for
background and 255 for pixels to ignore. ``instances.json``, where there is one, maps each NAME to ``[[number, class], ...]``
and lists the objects; pixels with other numbers are background. Own data with COCO's annotations: `ilsegkit.data.coco`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path

import numpy as np
from scipy import ndimage

from ..errors import DataError, ImageError
from ..images import image_size, read_image
from .base import IGNORE_LABEL, LabelMaps, ObjectEntry, images_in

__all__ = ["FolderDataset", "ImageFolder"]

log = logging.getLogger(__name__)


class FolderDataset(LabelMaps):
    """The objects of ``ROOT/images`` and ``ROOT/masks``, in the order of file names and object numbers.

    Parameters
    ----------
    root : path
        Holds ``images`` and ``masks``, and perhaps ``instances.json``.
    smallest : float, optional
        Objects that cover a smaller share of their image are left out.
    largest_each : bool, optional
        Take only the largest object of each image.

    Attributes
    ----------
    entries : list of ObjectEntry
        One for each object.
    skipped : int
        How many were left out because their files are damaged, lack a mask, have a mask of another size or an empty one. One
        warning names the files.

    Raises
    ------
    DataError
        If the folders are missing or hold no object.
    """

    needs = ("images", "masks")

    def __init__(self, root: str | PathLike[str], smallest: float = 0.0, largest_each: bool = False) -> None:
        self.smallest, self.largest_each = smallest, largest_each
        if not Path(root).is_dir():
            raise DataError(f"there is no folder {str(root)!r}; check the path")
        if not all((Path(root) / part).is_dir() for part in self.needs):
            hint = f"; 'ilsegkit data export {root} FOLDER' makes them" if (Path(root) / "coco.json").is_file() else ""
            raise DataError(f"{str(root)!r} must hold a folder 'images' and a folder 'masks'{hint}")
        listing = Path(root) / "instances.json"
        self._names: dict[str, dict[int, str | None]] | None = None
        if listing.is_file():
            try:
                content = json.loads(listing.read_text(encoding="utf-8"))
            except ValueError as error:
                raise DataError(f"{str(listing)!r} is no valid JSON ({error}); mend or remove it") from error
            try:
                self._names = {name: {int(number): kind for number, kind in objects} for name, objects in content.items()}
            except (AttributeError, TypeError, ValueError) as error:
                raise DataError(
                    f"{str(listing)!r} does not map names to [[number, class], ...] ({error}); mend or remove it"
                ) from error
        super().__init__(root)

    def _maps(self) -> Iterator[tuple[str, Path, Path]]:
        known: dict[str, Path] = {}
        for image in images_in(self.root / "images"):
            if known.setdefault(image.stem, image) is not image:
                mask = f"{image.stem}.png"
                self._leave_out(ImageError(f"{image.name!r} and {known[image.stem].name!r} would share the mask {mask!r}"))
                continue
            yield image.stem, image, self.root / "masks" / f"{image.stem}.png"

    def _classes(self, image_id: str, mask: Path, present: list[int]) -> Mapping[int, str | None]:
        if self._names is not None:
            return self._names.get(image_id, {})
        if present == [IGNORE_LABEL]:  # a mask of 0 and 255 alone is a binary one
            return dict.fromkeys(present)
        if self._has_soft_edges(mask, present):
            raise ImageError(f"{str(mask)!r} has {len(present) - 1} greys beside 0 and 255, as of soft edges; save it without")
        return super()._classes(image_id, mask, present)

    def _has_soft_edges(self, mask: Path, present: list[int]) -> bool:
        """Whether it is a binary mask that was blurred or resized: greys that are no numbers in a row, and hardly an area."""
        *greys, last = present
        if last != IGNORE_LABEL or len(greys) < 3 or greys[-1] < 2 * len(greys):
            return False
        labels = self._remembered(mask, self._read)
        grey = (labels > 0) & (labels < IGNORE_LABEL)
        inside = ndimage.maximum_filter(labels, 3) == ndimage.minimum_filter(labels, 3)  # squares of 3 by 3 of one number
        return bool(np.count_nonzero(inside & grey) < 0.2 * np.count_nonzero(grey))

    def _candidates(self) -> Iterator[ObjectEntry]:
        if not self.largest_each:
            yield from super()._candidates()
            return
        largest: ObjectEntry | None = None
        for entry in super()._candidates():
            if largest is not None and largest.image != entry.image:
                yield largest
            if largest is None or largest.image != entry.image or entry.area > largest.area:
                largest = entry
        if largest is not None:
            yield largest


class ImageFolder(Mapping[str, np.ndarray]):
    """The images of a folder by file name, without masks: something to click on, for the widget.

    Parameters
    ----------
    root : path

    Attributes
    ----------
    skipped : int
        Images left out because they are damaged. One warning names them.

    Raises
    ------
    DataError
        If the folder is not there or holds no image.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> with TemporaryDirectory() as root:
    ...     Image.new("RGB", (40, 30)).save(Path(root) / "a.png")
    ...     images = ImageFolder(root)
    ...     images["a.png"].shape
    (30, 40, 3)
    """

    def __init__(self, root: str | PathLike[str]) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise DataError(f"there is no folder {str(root)!r}; check the path")
        self._paths: dict[str, Path] = {}
        problems = []
        for path in images_in(self.root):
            try:
                image_size(path)
            except ImageError as error:
                problems.append(str(error))
            else:
                self._paths[path.name] = path
        self.skipped = len(problems)
        if problems:
            log.warning("%s: %d images left out: %s", self.root, self.skipped, "; ".join(problems))
        if not self._paths:
            raise DataError(f"there is no image in {str(root)!r}; are they in a folder below it?")

    def __getitem__(self, name: str) -> np.ndarray:
        return read_image(self._paths[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)
