"""Small real sets in their publishers' own layouts: what a fresh machine can fetch in minutes, by name."""

import inspect
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..images import read_mask
from .base import SmallEntry, SmallSet
from .coco import CocoPanoptic, CocoPolygons

__all__ = [
    "SMALL_SETS",
    "CocoPanoptic",
    "CocoPolygons",
    "Davis2016",
    "FundusSoftMap",
    "GrabCut20",
    "Nuclei",
    "SmallEntry",
    "SmallSet",
    "open_small_set",
]


class GrabCut20(SmallSet):
    """The 20 images of GrabCut's 50 that are in BSDS500 too, with GrabCut's masks; grey (128) borders are ignored.

    Layout: ``ground-truth/ID.png`` and ``BSDS500/data/images/{train,val,test}/ID.jpg``. Parameters as in `SmallSet`.
    """

    needs = ("ground-truth", "BSDS500")

    def _candidates(self) -> Iterator[SmallEntry]:
        folders = [self.root / "BSDS500" / "data" / "images" / split for split in ("train", "val", "test")]
        for mask in sorted((self.root / "ground-truth").glob("*.png")):
            images = [folder / f"{mask.stem}.jpg" for folder in folders]
            image = next((path for path in images if path.is_file()), images[0])
            yield SmallEntry(image, mask, mask.stem, mask.stem)

    def _decode(self, entry: SmallEntry) -> tuple[np.ndarray, np.ndarray | None]:
        labels = read_mask(entry.mask)
        return labels == 255, labels == 128


class Davis2016(SmallSet):
    """DAVIS 2016: one object in each frame of a video. All frames that are there, by video, then by number.

    Layout: ``DAVIS/JPEGImages/480p/SEQ/N.jpg`` and ``DAVIS/Annotations/480p/SEQ/N.png``. Parameters as in `SmallSet`.
    """

    needs = ("DAVIS/JPEGImages/480p", "DAVIS/Annotations/480p")

    def _candidates(self) -> Iterator[SmallEntry]:
        images, masks = (self.root / part for part in self.needs)
        names = {(path.parent.name, path.stem) for folder in (images, masks) for path in folder.glob("*/*.*")}
        for video, frame in sorted(names):
            name = f"{video}/{frame}"
            yield SmallEntry(images / f"{name}.jpg", masks / f"{name}.png", name, name)


class Nuclei(SmallSet):
    """Cell nuclei in microscope images (2018 Data Science Bowl, stage 1); every nucleus has a mask file of its own.

    Layout: ``stage1_train/ID/images/ID.png`` and ``stage1_train/ID/masks/*.png``.

    Parameters
    ----------
    root : path
        The folder of the set itself.
    smallest : int, optional
        Nuclei of fewer pixels are left out.
    largest_each : bool, optional
        Take only the largest nucleus of each image.
    """

    needs = ("stage1_train",)

    def __init__(self, root: str | PathLike[str], smallest: int = 1, largest_each: bool = False) -> None:
        self.smallest = smallest
        super().__init__(root)
        if largest_each:
            largest: dict[str, SmallEntry] = {}
            for entry in self.entries:
                if entry.image_id not in largest or entry.area > largest[entry.image_id].area:
                    largest[entry.image_id] = entry
            self.entries = list(largest.values())

    def _candidates(self) -> Iterator[SmallEntry]:
        for folder in sorted(path for path in (self.root / "stage1_train").iterdir() if path.is_dir()):
            masks = sorted((folder / "masks").glob("*.png")) or [folder / "masks" / "*.png"]  # which is then said to be missing
            for mask in masks:
                name = f"{folder.name}:{mask.stem}"
                yield SmallEntry(folder / "images" / f"{folder.name}.png", mask, name, folder.name, "nucleus")

    def _wanted(self, mask: np.ndarray) -> bool:
        return bool(mask.sum() >= self.smallest)


class FundusSoftMap(SmallSet):
    """Optic discs in retina photos (Drishti-GS): the pixels that at least two of four experts marked.

    Layout: ``data/{Training,Test}/Images/ALL/NAME.png`` and ``data/{Training,Test}/GT/NAME/SoftMap/NAME_ODsegSoftmap.png``,
    whose grey values are the share of the experts. Parameters as in `SmallSet`.
    """

    needs = ("data",)

    def _candidates(self) -> Iterator[SmallEntry]:
        data = self.root / "data"
        images = {(path.parts[-4], path.stem) for path in data.glob("*/Images/ALL/*.png")}
        truths = {(path.parts[-3], path.name) for path in data.glob("*/GT/*")}
        for split, name in sorted(images | truths):
            mask = data / split / "GT" / name / "SoftMap" / f"{name}_ODsegSoftmap.png"
            yield SmallEntry(data / split / "Images" / "ALL" / f"{name}.png", mask, name, name, "optic disc")

    def _decode(self, entry: SmallEntry) -> tuple[np.ndarray, np.ndarray | None]:
        # Counted in experts: half of 255 is no whole number, so a grey value of one half may be stored as 127 or 128.
        return np.rint(read_mask(entry.mask) * (4 / 255)) >= 2, None


#: The small sets by the names under which they are fetched.
SMALL_SETS: dict[str, type[SmallSet]] = {
    "grabcut-20": GrabCut20,
    "davis2016-val-10pct": Davis2016,
    "coco-val-100": CocoPanoptic,
    "aerial-buildings-130": CocoPolygons,
    "nuclei-60": Nuclei,
    "fundus-disc-101": FundusSoftMap,
}


def open_small_set(name: str, root: str | PathLike[str], **options: Any) -> SmallSet:
    """Open one of the small sets where it has been fetched to.

    Parameters
    ----------
    name : str
        A key of `SMALL_SETS`.
    root : path
        The folder that holds the folder `name`.
    **options
        Further arguments of the set's class, for example ``largest_each=True`` for the nuclei.

    Raises
    ------
    DataError
        If there is no such set, its folder is not there, or it does not have an option.

    Examples
    --------
    >>> nuclei = open_small_set("nuclei-60", "../shared/data/mirror", largest_each=True)  # doctest: +SKIP
    >>> len(nuclei)  # doctest: +SKIP
    60
    >>> try:
    ...     open_small_set("grabcut", ".")
    ... except DataError as error:
    ...     print(str(error).split(";")[0])
    there is no small set 'grabcut'
    """
    if name not in SMALL_SETS:
        raise DataError(f"there is no small set {name!r}; choose one of {', '.join(SMALL_SETS)}")
    folder = Path(root) / name
    if not folder.is_dir():
        raise DataError(f"the data set {name!r} is not in {str(root)!r}; fetch it first or give the folder that holds it")
    try:
        inspect.signature(SMALL_SETS[name]).bind(folder, **options)
    except TypeError as error:
        raise DataError(f"the data set {name!r} has no such option ({error})") from error
    return SMALL_SETS[name](folder, **options)
