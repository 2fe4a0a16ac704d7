"""PASCAL VOC 2012 and SBD, and both together: the 10,582 images that the paper's model was trained on.

http://host.robots.ox.ac.uk/pascal/VOC/voc2012/ and http://home.bharathh.info/pubs/codes/SBD/download.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from ..errors import DataError, ImageError
from ..images import read_mask
from .base import IGNORE_LABEL, LabelMaps

__all__ = ["SBD", "VOC", "VOC_CLASSES", "VOCTrainAug", "read_mat"]

#: In the order of their numbers, from 1. The paper's "seen" classes.
VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog", "horse"),
    *("motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)


def read_mat(path: Path, name: str) -> np.ndarray:
    """A variable of a MATLAB file.

    Raises
    ------
    ImageError
        If the file is missing or damaged, or has no such variable.
    """
    try:
        return loadmat(path, variable_names=[name])[name]
    except FileNotFoundError:
        raise ImageError(f"there is no file {str(path)!r}; check the path") from None
    except Exception as error:  # scipy raises whatever damaged bytes lead it to
        raise ImageError(f"{str(path)!r} cannot be read as a MATLAB file with {name!r} ({error}); is it damaged?") from error


def _names(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except OSError as error:
        raise DataError(f"the list of images {str(path)!r} cannot be read ({error}); is the split right?") from error


class VOC(LabelMaps):
    """PASCAL VOC 2012, instances; the white borders between objects (255) are ignored.

    Layout: ``JPEGImages/NAME.jpg``, ``SegmentationObject/NAME.png``, ``SegmentationClass/NAME.png`` and
    ``ImageSets/Segmentation/SPLIT.txt``, in ``VOCdevkit/VOC2012``.

    Parameters
    ----------
    root : path
        The folder of the set.
    split : {"val", "train", "trainval"}, optional
    check : bool, optional
        See `ObjectSet`.
    """

    needs = ("JPEGImages", "SegmentationObject", "SegmentationClass", "ImageSets/Segmentation")

    def __init__(self, root: str | PathLike[str], split: str = "val", check: bool = True) -> None:
        self.split = split
        super().__init__(root, check)

    @classmethod
    def names(cls, root: str | PathLike[str], split: str) -> list[str]:
        """The images of a split, in the order of their names."""
        return sorted(_names(cls.home(root) / "ImageSets" / "Segmentation" / f"{split}.txt"))

    def _maps(self) -> Iterator[tuple[str, Path, Path]]:
        for name in self.names(self.root, self.split):
            yield name, self.root / "JPEGImages" / f"{name}.jpg", self.root / "SegmentationObject" / f"{name}.png"

    def _classes(self, image_id: str, mask: Path, present: list[int]) -> Mapping[int, str | None]:
        return _voc_classes(mask, self._remembered(mask, self._read), present)


class SBD(LabelMaps):
    """Semantic Boundaries Dataset, instances. It marks no pixels to ignore.

    Layout: ``img/NAME.jpg``, ``inst/NAME.mat`` (``GTinst.Segmentation`` and ``.Categories``), ``train.txt`` and ``val.txt``, in
    ``benchmark_RELEASE/dataset``.

    Parameters
    ----------
    root : path
        The folder of the set.
    split : {"train", "val", "trainval"}, optional
        SBD's own, which overlap with VOC's val.
    check : bool, optional
        See `ObjectSet`.
    """

    needs = ("img", "inst", "train.txt", "val.txt")

    def __init__(self, root: str | PathLike[str], split: str = "train", check: bool = True) -> None:
        self.split = split
        super().__init__(root, check)

    @classmethod
    def names(cls, root: str | PathLike[str], split: str) -> list[str]:
        """The images of a split, in the order of their names."""
        parts = ("train", "val") if split == "trainval" else (split,)
        return sorted({name for part in parts for name in _names(cls.home(root) / f"{part}.txt")})

    def _maps(self) -> Iterator[tuple[str, Path, Path]]:
        for name in self.names(self.root, self.split):
            yield name, self.root / "img" / f"{name}.jpg", self.root / "inst" / f"{name}.mat"

    def _read(self, mask: Path) -> np.ndarray:
        return _sbd_part(mask, "Segmentation")

    def _classes(self, image_id: str, mask: Path, present: list[int]) -> Mapping[int, str | None]:
        return _sbd_classes(mask, present)


class VOCTrainAug(LabelMaps):
    """The paper's training images: VOC 2012 train, and of SBD whatever is in neither VOC's train nor its val.

    With the published sets these are 10,582 images.

    Parameters
    ----------
    root : path
        The folder of SBD.
    voc2012 : path
        The folder of VOC 2012.
    check : bool, optional
        See `ObjectSet`.
    """

    needs = SBD.needs

    def __init__(self, root: str | PathLike[str], voc2012: str | PathLike[str], check: bool = True) -> None:
        self.voc = VOC.home(voc2012)
        super().__init__(root, check)

    def _maps(self) -> Iterator[tuple[str, Path, Path]]:
        train, val = (set(VOC.names(self.voc, split)) for split in ("train", "val"))
        for name in sorted((train | set(SBD.names(self.root, "trainval"))) - val):
            if name in train:
                yield name, self.voc / "JPEGImages" / f"{name}.jpg", self.voc / "SegmentationObject" / f"{name}.png"
            else:
                yield name, self.root / "img" / f"{name}.jpg", self.root / "inst" / f"{name}.mat"

    def _read(self, mask: Path) -> np.ndarray:
        return _sbd_part(mask, "Segmentation") if mask.suffix == ".mat" else read_mask(mask)

    def _classes(self, image_id: str, mask: Path, present: list[int]) -> Mapping[int, str | None]:
        if mask.suffix == ".mat":
            return _sbd_classes(mask, present)
        return _voc_classes(mask, self._remembered(mask, self._read), present)


def _voc_classes(mask: Path, objects: np.ndarray, present: list[int]) -> dict[int, str | None]:
    """The class that most of an object's pixels have."""
    kinds = read_mask(mask.parents[1] / "SegmentationClass" / mask.name)
    if kinds.shape != objects.shape:
        raise ImageError(f"{str(mask)!r} and its file in SegmentationClass differ in size")
    found: dict[int, str | None] = {}
    for label in present:
        if label != IGNORE_LABEL:
            number = int(np.bincount(kinds[objects == label]).argmax())
            found[label] = VOC_CLASSES[number - 1] if 1 <= number <= len(VOC_CLASSES) else None
    return found


def _sbd_part(mask: Path, name: str) -> np.ndarray:
    """A field of the one record in an SBD file."""
    truth = read_mat(mask, "GTinst")
    try:
        return np.asarray(truth[name][0, 0])
    except (IndexError, KeyError, ValueError, TypeError) as error:
        raise ImageError(f"{str(mask)!r} has no GTinst.{name} ({error}); is it of another set?") from error


def _sbd_classes(mask: Path, present: list[int]) -> dict[int, str | None]:
    numbers = _sbd_part(mask, "Categories").ravel()
    if max(present) > len(numbers):
        raise ImageError(f"{str(mask)!r} has objects without a class")
    return {label: VOC_CLASSES[int(numbers[label - 1]) - 1] for label in present}
