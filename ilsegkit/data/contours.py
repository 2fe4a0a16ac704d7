"""Objects given by their contour: DRIONS-DB (text files) and Rooftop (MATLAB cells of polygons)."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from pathlib import Path

import numpy as np

from ..errors import DataError, ImageError
from ..images import image_size
from .base import IMAGE_SUFFIXES, ObjectEntry, ObjectSet
from .coco import polygon_mask
from .voc import read_mat

__all__ = ["Drions", "Rooftop"]


class Drions(ObjectSet):
    """DRIONS-DB (http://www.ia.uned.es/~ejcarmona/DRIONS-DB.html): the optic disc in each of 110 retina photos.

    Layout: ``images/image_001.jpg`` and ``experts_anotation/anotExpert1_001.txt``, with a point ``x , y`` in each line.

    Parameters
    ----------
    root : path
        The folder of the set.
    expert : {1, 2}, optional
        Whose contour; the paper takes the first expert's.
    check : bool, optional
        See `ObjectSet`.
    """

    needs = ("images", "experts_anotation")

    def __init__(self, root: str | PathLike[str], expert: int = 1, check: bool = True) -> None:
        self.expert = expert
        super().__init__(root, check)

    def _candidates(self) -> Iterator[ObjectEntry]:
        for image in sorted((self.root / "images").glob("*.jpg")):
            contour = self.root / "experts_anotation" / f"anotExpert{self.expert}_{image.stem.rpartition('_')[2]}.txt"
            yield ObjectEntry(image, contour, image.stem, image.stem, "optic disc")

    def _decode(self, entry: ObjectEntry) -> tuple[np.ndarray, np.ndarray | None]:
        try:
            lines = entry.mask.read_text(encoding="utf-8").splitlines()
            points = np.array([[float(number) for number in line.split(",")] for line in lines if line.strip()])
        except FileNotFoundError:
            raise ImageError(f"there is no contour {str(entry.mask)!r}; check the path") from None
        except (OSError, ValueError) as error:
            raise ImageError(f"{str(entry.mask)!r} cannot be read as a contour ({error}); is it damaged?") from error
        if points.shape[1:] != (2,) or not np.isfinite(points).all():
            raise ImageError(f"{str(entry.mask)!r} is no contour of points x, y")
        return polygon_mask([points], *image_size(entry.image)), None


class Rooftop(ObjectSet):
    """Rooftop (Sun et al., ECCV 2014, https://cvlab.epfl.ch/data/data-polygonalobjectdataset/): roofs in 65 aerial images.

    Layout: in any folder, ``NAME.mat`` beside the image ``NAME.jpg`` or ``.png``; its cell ``gt`` has an n x 2 matrix of x, y,
    counted from 1, for each roof. Parameters as in `ObjectSet`.
    """

    @classmethod
    def home(cls, folder: str | PathLike[str]) -> Path:
        base = super().home(folder)
        if next(base.rglob("*.mat"), None) is None:
            raise DataError(f"there is no .mat file in {str(base)!r}; give the folder of the Rooftop set")
        return base

    def _candidates(self) -> Iterator[ObjectEntry]:
        for truth in sorted(self.root.rglob("*.mat")):
            images = sorted(p for p in truth.parent.glob(f"{truth.stem}.*") if p.suffix.lower() in IMAGE_SUFFIXES)
            image = images[0] if images else truth.with_suffix(".jpg")  # which is then said to be missing
            try:
                count = len(self._remembered(truth, _polygons))
            except ImageError as error:
                self._leave_out(error)
                continue
            for number in range(count):
                yield ObjectEntry(image, truth, f"{truth.stem}:{number}", truth.stem, "rooftop", number)

    def _decode(self, entry: ObjectEntry) -> tuple[np.ndarray, np.ndarray | None]:
        polygon = self._remembered(entry.mask, _polygons)[entry.key]
        return polygon_mask([polygon - 0.5], *image_size(entry.image)), None  # MATLAB's first pixel is centred at 1


def _polygons(truth: Path) -> list[np.ndarray]:
    cells = [np.asarray(cell, np.float64) for cell in read_mat(truth, "gt").ravel()]
    if any(cell.ndim != 2 or cell.shape[1] != 2 for cell in cells):
        raise ImageError(f"{str(truth)!r} has a polygon that is no matrix of x, y")
    return cells
