"""Small sets with COCO's annotations: panoptic PNGs of everyday photos, polygons of buildings."""

import json
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..images import read_image
from .base import SmallEntry, SmallSet

__all__ = ["CocoPanoptic", "CocoPolygons"]


def _read_listing(path: Path) -> dict[str, Any]:
    """COCO's JSON: lists of images, annotations and categories."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {part: content[part] for part in ("images", "annotations", "categories")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{str(path)!r} cannot be read as COCO annotations ({error!r}); fetch it again") from error


class CocoPanoptic(SmallSet):
    """Objects ("things", no crowds) of COCO's panoptic annotations. Pixels of crowds are ignored.

    Layout: ``images/val2017/ID.jpg``, ``panoptic_segmentation/annotations/panoptic_val2017.json`` and, beside that, a folder
    of PNGs whose colours are numbers of segments: ``R + 256 G + 65536 B``.

    Parameters
    ----------
    root : path
        The folder of the set itself.
    smallest : float, optional
        Objects that cover a smaller share of their image are left out.
    """

    needs = ("images/val2017", "panoptic_segmentation/annotations/panoptic_val2017.json")

    def __init__(self, root: str | PathLike[str], smallest: float = 0.01) -> None:
        self.smallest = smallest
        self._last: tuple[Path | None, np.ndarray] = (None, np.zeros((0, 0), np.uint32))
        super().__init__(root)

    def _candidates(self) -> Iterator[SmallEntry]:
        images, listing = (self.root / part for part in self.needs)
        content = _read_listing(listing)
        things = {category["id"]: category["name"] for category in content["categories"] if category["isthing"] == 1}
        for annotation in sorted(content["annotations"], key=lambda annotation: annotation["file_name"]):
            mask = listing.with_suffix("") / annotation["file_name"]
            segments = annotation["segments_info"]
            crowds = tuple(segment["id"] for segment in segments if segment["iscrowd"])
            for segment in sorted(segments, key=lambda segment: segment["id"]):
                if segment["category_id"] in things and not segment["iscrowd"]:
                    name = f"{mask.stem}:{segment['id']}"
                    kind, key = things[segment["category_id"]], (segment["id"], crowds)
                    yield SmallEntry(images / f"{mask.stem}.jpg", mask, name, mask.stem, kind, key)

    def _decode(self, entry: SmallEntry) -> tuple[np.ndarray, np.ndarray | None]:
        if self._last[0] != entry.mask:  # the objects of an image come one after the other
            numbers = read_image(entry.mask) @ np.array([1, 256, 65536], np.uint32)
            self._last = (entry.mask, numbers)
        number, crowds = entry.key
        return self._last[1] == number, np.isin(self._last[1], crowds) if crowds else None

    def _wanted(self, mask: np.ndarray) -> bool:
        return bool(mask.mean() >= self.smallest)


class CocoPolygons(SmallSet):
    """Buildings from the air, as COCO polygons, of the images that are there; one that touches the border is cut, so not taken.

    Layout: ``test/*.jpg`` and ``test/_annotations.coco.json``, which may list more images than are there.

    Parameters
    ----------
    root : path
        The folder of the set itself.
    smallest : int, optional
        Buildings of fewer pixels are left out.

    Raises
    ------
    DataError
        Also if pycocotools is missing.
    """

    needs = ("test/_annotations.coco.json",)

    def __init__(self, root: str | PathLike[str], smallest: int = 1000) -> None:
        self.smallest = smallest
        try:
            from pycocotools import mask as coco_mask
        except ImportError:
            raise DataError("COCO polygons need pycocotools: pip install pycocotools") from None
        self._coco = coco_mask
        super().__init__(root)

    def _candidates(self) -> Iterator[SmallEntry]:
        listing = self.root / self.needs[0]
        content = _read_listing(listing)
        kinds = {category["id"]: category["name"] for category in content["categories"]}
        images = {image["id"]: image for image in content["images"] if (listing.parent / image["file_name"]).is_file()}
        wanted = [a for a in content["annotations"] if a["image_id"] in images and not a.get("iscrowd")]
        for annotation in sorted(wanted, key=lambda a: (images[a["image_id"]]["file_name"], a["id"])):
            image = images[annotation["image_id"]]
            path = listing.parent / image["file_name"]
            key = (annotation["segmentation"], image["height"], image["width"])
            kind = kinds.get(annotation["category_id"])
            yield SmallEntry(path, listing, f"{path.stem}:{annotation['id']}", path.stem, kind, key)

    def _decode(self, entry: SmallEntry) -> tuple[np.ndarray, np.ndarray | None]:
        polygons, height, width = entry.key
        if isinstance(polygons, list):
            # Two points enclose nothing, and pycocotools would read their four numbers as a box.
            polygons = [polygon for polygon in polygons if len(polygon) >= 6]
            if not polygons:
                return np.zeros((height, width), bool), None
        elif isinstance(polygons["counts"], str):
            return self._coco.decode(polygons).astype(bool), None
        code = self._coco.frPyObjects(polygons, height, width)
        return self._coco.decode(self._coco.merge(code) if isinstance(code, list) else code).astype(bool), None

    def _wanted(self, mask: np.ndarray) -> bool:
        border = mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()
        return bool(mask.sum() >= self.smallest and not border)
