"""GrabCut and Berkeley, as the repositories of f-BRS and RITM hand them out, and the part of GrabCut that is in BSDS500."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..images import read_mask
from .base import IMAGE_SUFFIXES, ObjectEntry, ObjectSet

__all__ = ["Berkeley", "GrabCut", "GrabCut20"]

UNKNOWN = 128  # grey borders of GrabCut's masks


class GrabCut(ObjectSet):
    """GrabCut: one object in each of 50 images; grey (128) borders are ignored.

    Layout: ``data_GT/NAME.jpg`` or ``.bmp`` and ``boundary_GT/NAME.bmp``. Parameters as in `ObjectSet`.
    """

    needs = ("data_GT", "boundary_GT")

    def _candidates(self) -> Iterator[ObjectEntry]:
        images, masks = (self.root / part for part in self.needs)
        by_name = {path.stem: path for path in sorted(images.iterdir()) if path.suffix.lower() in IMAGE_SUFFIXES}
        found = {path.stem: path for path in sorted(masks.iterdir()) if path.suffix.lower() in IMAGE_SUFFIXES}
        with_mask = set()
        for name, mask in found.items():
            image = by_name.get(name) or by_name.get(name.partition("#")[0])
            with_mask.add(image)
            image = image or images / f"{name}.jpg"  # which is then said to be missing
            yield ObjectEntry(image, mask, name, image.stem)
        for name, image in by_name.items():
            if image not in with_mask:
                yield ObjectEntry(image, masks / f"{name}.png", name, name)

    def _decode(self, entry: ObjectEntry) -> tuple[np.ndarray, np.ndarray | None]:
        labels = read_mask(entry.mask)
        return labels > UNKNOWN, labels == UNKNOWN


class Berkeley(GrabCut):
    """Berkeley: 100 objects in 96 images of BSDS.

    Layout: ``images/NAME.jpg`` and ``masks/NAME.png``; where an image has several objects, ``masks/NAME#NUMBER.png``, with or
    without an image of that name. Parameters as in `ObjectSet`.
    """

    needs = ("images", "masks")


class GrabCut20(GrabCut):
    """The 20 images of GrabCut's 50 that are in BSDS500 too, with GrabCut's masks.

    Layout: ``ground-truth/ID.png`` and ``BSDS500/data/images/{train,val,test}/ID.jpg``. Parameters as in `ObjectSet`.
    """

    needs = ("ground-truth", "BSDS500")

    def _candidates(self) -> Iterator[ObjectEntry]:
        folders = [self.root / "BSDS500" / "data" / "images" / split for split in ("train", "val", "test")]
        for mask in sorted((self.root / "ground-truth").glob("*.png")):
            images = [folder / f"{mask.stem}.jpg" for folder in folders]
            image = next((path for path in images if path.is_file()), images[0])
            yield ObjectEntry(image, mask, mask.stem, mask.stem)
