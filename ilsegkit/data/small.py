"""Small real sets in their publishers' own layouts: what a fresh machine can fetch in minutes, by name."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..images import read_mask
from .base import ObjectEntry, ObjectSet
from .coco import AerialBuildings, CocoPanoptic
from .grabcut import GrabCut20
from .video import Davis

__all__ = ["SMALL_SETS", "FundusSoftMap", "Nuclei", "open_small_set"]


class Nuclei(ObjectSet):
    """Cell nuclei in microscope images (2018 Data Science Bowl, stage 1); every nucleus has a mask file of its own.

    Layout: ``stage1_train/ID/images/ID.png`` and ``stage1_train/ID/masks/*.png``.

    Parameters
    ----------
    root : path
        The folder of the set itself.
    smallest : int, optional
        Nuclei of fewer pixels are left out.
    largest_each : bool, optional
        Take only the largest nucleus of each image; asks for `check`.
    check : bool, optional
        See `ObjectSet`.
    """

    needs = ("stage1_train",)

    def __init__(self, root: str | PathLike[str], smallest: int = 1, largest_each: bool = False, check: bool = True) -> None:
        self.smallest = smallest
        super().__init__(root, check)
        if largest_each:
            largest: dict[str, ObjectEntry] = {}
            for entry in self.entries:
                if entry.image_id not in largest or entry.area > largest[entry.image_id].area:
                    largest[entry.image_id] = entry
            self.entries = list(largest.values())

    def _candidates(self) -> Iterator[ObjectEntry]:
        for folder in sorted(path for path in (self.root / "stage1_train").iterdir() if path.is_dir()):
            masks = sorted((folder / "masks").glob("*.png")) or [folder / "masks" / "*.png"]  # which is then said to be missing
            for mask in masks:
                name = f"{folder.name}:{mask.stem}"
                yield ObjectEntry(folder / "images" / f"{folder.name}.png", mask, name, folder.name, "nucleus")

    def _wanted(self, mask: np.ndarray) -> bool:
        return bool(mask.sum() >= self.smallest)


class FundusSoftMap(ObjectSet):
    """Optic discs in retina photos (Drishti-GS): the pixels that at least two of four experts marked.

    Layout: ``data/{Training,Test}/Images/ALL/NAME.png`` and ``data/{Training,Test}/GT/NAME/SoftMap/NAME_ODsegSoftmap.png``,
    whose grey values are the share of the experts. Parameters as in `ObjectSet`.
    """

    needs = ("data",)

    def _candidates(self) -> Iterator[ObjectEntry]:
        data = self.root / "data"
        images = {(path.parts[-4], path.stem) for path in data.glob("*/Images/ALL/*.png")}
        truths = {(path.parts[-3], path.name) for path in data.glob("*/GT/*")}
        for split, name in sorted(images | truths):
            mask = data / split / "GT" / name / "SoftMap" / f"{name}_ODsegSoftmap.png"
            yield ObjectEntry(data / split / "Images" / "ALL" / f"{name}.png", mask, name, name, "optic disc")

    def _decode(self, entry: ObjectEntry) -> tuple[np.ndarray, np.ndarray | None]:
        # Counted in experts: half of 255 is no whole number, so a grey value of one half may be stored as 127 or 128.
        return np.rint(read_mask(entry.mask) * (4 / 255)) >= 2, None


#: The small sets by the names under which they are fetched.
SMALL_SETS: dict[str, type[ObjectSet]] = {
    "grabcut-20": GrabCut20,
    "davis2016-val-10pct": Davis,
    "coco-val-100": CocoPanoptic,
    "aerial-buildings-130": AerialBuildings,
    "nuclei-60": Nuclei,
    "fundus-disc-101": FundusSoftMap,
}


def open_small_set(name: str, root: str | PathLike[str], **options: Any) -> ObjectSet:
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
