"""The user's own data, and the simplest layout there is: a folder of images beside a folder of masks.

``images/NAME.jpg`` goes with ``masks/NAME.png``. A mask is binary (0 and 255) or holds one number per object, with 0 for
background and 255 for pixels to ignore. ``instances.json``, where there is one, maps each NAME to ``[[number, class], ...]``
and lists the objects; pixels with other numbers are background.
"""

import json
import logging
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import DataError, ImageError
from ..images import image_size, read_image, read_mask
from .sample import Sample

__all__ = ["FolderDataset", "ObjectEntry"]

log = logging.getLogger(__name__)

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}
IGNORE_LABEL = 255


class ObjectEntry(NamedTuple):
    """Where an object is found: its files, its number in the mask, its class and its size in pixels."""

    image: Path
    mask: Path
    label: int
    class_name: str | None
    area: int


class FolderDataset(Sequence[Sample]):
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

    Raises
    ------
    DataError
        If the folders are missing or hold no object. Single files that are damaged, lack a mask, or have a mask of another
        size are named in one warning and left out.
    """

    def __init__(self, root: str | PathLike[str], smallest: float = 0.0, largest_each: bool = False) -> None:
        self.root = Path(root)
        images, masks = self.root / "images", self.root / "masks"
        if not images.is_dir() or not masks.is_dir():
            raise DataError(f"{str(self.root)!r} must hold a folder 'images' and a folder 'masks'")
        listing = self.root / "instances.json"
        try:
            names = json.loads(listing.read_text(encoding="utf-8")) if listing.is_file() else None
        except ValueError as error:
            raise DataError(f"{str(listing)!r} is no valid JSON ({error}); mend or remove it") from error
        self.entries: list[ObjectEntry] = []
        skipped = []
        for image in sorted(p for p in images.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES):
            mask = masks / f"{image.stem}.png"
            try:
                found = self._objects(image, mask, names, smallest)
            except ImageError as error:
                skipped.append(str(error))
                continue
            self.entries += [max(found, key=lambda entry: entry.area)] if largest_each and found else found
        if skipped:
            log.warning("%s: %d images left out: %s", self.root, len(skipped), "; ".join(skipped))
        if not self.entries:
            raise DataError(f"there is no object in {str(self.root)!r}; are the masks empty?")

    @staticmethod
    def _objects(image: Path, mask: Path, names: dict[str, list] | None, smallest: float) -> list[ObjectEntry]:
        labels = read_mask(mask)
        height, width = image_size(image)
        if (height, width) != labels.shape:
            raise ImageError(f"{image.name} is {width} x {height} but its mask {labels.shape[1]} x {labels.shape[0]}")
        areas = np.bincount(labels.ravel().astype(np.int64))
        present = [int(label) for label in np.flatnonzero(areas) if label]
        if names is not None:
            listed = {int(label): name for label, name in names.get(image.stem, [])}
        else:
            listed = dict.fromkeys(present)
            if present != [IGNORE_LABEL]:  # a mask of 0 and 255 alone is a binary one
                listed.pop(IGNORE_LABEL, None)
        return [
            ObjectEntry(image, mask, label, listed[label], int(areas[label]))
            for label in present
            if label in listed and areas[label] >= smallest * labels.size
        ]

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        entry = self.entries[index]
        labels = read_mask(entry.mask)
        mask = labels == entry.label
        ignore = (labels == IGNORE_LABEL) & ~mask
        return Sample(
            image=read_image(entry.image),
            mask=mask,
            object_id=f"{entry.image.stem}:{entry.label}",
            ignore=ignore if ignore.any() else None,
            class_name=entry.class_name,
            image_id=entry.image.stem,
        )

    def labels(self, index: int) -> np.ndarray:
        """The whole label map around an object, ``(height, width)``: other objects too."""
        return read_mask(self.entries[index].mask)
