"""ADE20K in the layout of the scene parsing challenge 2016 (http://sceneparsing.csail.mit.edu)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path

import numpy as np
from scipy import ndimage

from ..errors import DataError
from ..images import read_mask
from .base import IGNORE_LABEL, LabelMaps

__all__ = ["ADE20K"]


class ADE20K(LabelMaps):
    """Regions of ADE20K's 150 classes; what has no class is ignored.

    The challenge labels classes, not objects: every connected region of a class counts as one object here.

    Layout: ``images/SPLIT/NAME.jpg``, ``annotations/SPLIT/NAME.png`` (1 to 150) and, for the names, ``objectInfo150.txt``.

    Parameters
    ----------
    root : path
        The folder of the set.
    split : {"validation", "training"}, optional
    smallest : float, optional
        Regions that cover a smaller share of their image are left out.
    check : bool, optional
        See `ObjectSet`.
    """

    needs = ("images", "annotations")

    def __init__(
        self, root: str | PathLike[str], split: str = "validation", smallest: float = 0.01, check: bool = True
    ) -> None:
        self.split, self.smallest = split, smallest
        folder = self.home(root)
        if not (folder / "annotations" / split).is_dir():
            raise DataError(f"there is no split {split!r} in {str(folder)!r}; choose training or validation")
        names = folder / "objectInfo150.txt"
        self._names: dict[int, str] = {}
        if names.is_file():
            lines = [line.split("\t") for line in names.read_text(encoding="utf-8").splitlines()]
            self._names = {int(line[0]): line[-1].split(",")[0].strip() for line in lines if line[0].isdigit()}
        super().__init__(root, check)

    def _maps(self) -> Iterator[tuple[str, Path, Path]]:
        for mask in sorted((self.root / "annotations" / self.split).glob("*.png")):
            yield mask.stem, self.root / "images" / self.split / f"{mask.stem}.jpg", mask

    def _read(self, mask: Path) -> np.ndarray:
        return _regions(read_mask(mask))

    def _classes(self, image_id: str, mask: Path, present: list[int]) -> Mapping[int, str | None]:
        classes, regions = read_mask(mask), self._remembered(mask, self._read)
        labels, first = np.unique(regions, return_index=True)
        return {
            int(label): self._names.get(int(classes.flat[start]))
            for label, start in zip(labels, first, strict=True)
            if label != IGNORE_LABEL
        }


def _regions(classes: np.ndarray) -> np.ndarray:
    """Connected regions of a map of classes, numbered from 1 without 255, which stands for "no class"."""
    regions = np.zeros(classes.shape, np.uint32)
    count = 0
    for number in np.unique(classes[classes > 0]):
        parts, found = ndimage.label(classes == number)
        regions += np.where(parts > 0, parts + count, 0).astype(np.uint32)
        count += found
    regions[regions >= IGNORE_LABEL] += 1
    regions[classes == 0] = IGNORE_LABEL
    return regions
