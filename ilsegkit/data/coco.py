"""COCO's annotations: polygons and run lengths in one JSON file (https://cocodataset.org/#format-data), and panoptic PNGs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from operator import index
from os import PathLike, fspath
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from ..errors import DataError, ImageError
from ..images import read_image
from ..runs import check_runs
from .base import ObjectEntry, ObjectSet

__all__ = ["AerialBuildings", "CocoInstances", "CocoPanoptic", "CocoVal2014", "CocoVal2017", "polygon_mask"]


def _read_listing(path: Path) -> dict[str, Any]:
    """COCO's JSON: lists of images, annotations and categories."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {part: content[part] for part in ("images", "annotations", "categories")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{str(path)!r} cannot be read as COCO annotations ({error!r:.200}); fetch it again") from error


def polygon_mask(polygons: list[np.ndarray], height: int, width: int) -> np.ndarray:
    """Fill polygons of x, y, x, y, ... in pixels, where the first pixel reaches from 0 to 1; several make one object.

    Returns
    -------
    ndarray of bool, (height, width)

    Examples
    --------
    >>> polygon_mask([np.array([1, 0, 3, 0, 3, 2, 1, 2])], 3, 4).astype(int).tolist()
    [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    """
    # Two points enclose nothing, and pycocotools would read their four numbers as a box.
    polygons = [np.asarray(polygon, np.float64).ravel() for polygon in polygons if np.size(polygon) >= 6]
    if not polygons:
        return np.zeros((height, width), bool)
    return _decoded(coco_mask.merge(coco_mask.frPyObjects(polygons, height, width)))


def _decoded(code: dict[str, Any]) -> np.ndarray:
    try:
        return coco_mask.decode(code).astype(bool)
    except (TypeError, ValueError, AttributeError) as error:
        raise ImageError(f"a mask of the listing has run lengths that are none ({error!r:.100})") from error


#: Coordinates further away are no places in an image; pycocotools would ask for memory without end.
FAR = 1e6


def _compact(segmentation: Any) -> Any:
    """A segmentation in little memory: polygons as arrays, run lengths compressed.

    Raises
    ------
    ValueError
        If it is neither: pycocotools trusts what it is given, and reads beyond its end.
    """
    if isinstance(segmentation, list):
        polygons = [np.asarray(polygon, np.float64) for polygon in segmentation]
        if not all((np.abs(polygon) < FAR).all() for polygon in polygons):  # nor is what is not a number
            raise ValueError("a polygon leads out of any image")
        return polygons
    if isinstance(segmentation["counts"], list):
        counts, (rows, columns) = np.asarray(segmentation["counts"]), segmentation["size"]
        if counts.dtype.kind not in "iu" or (counts < 0).any() or counts.sum() != index(rows) * index(columns):
            raise ValueError(f"run lengths do not add up to {columns} x {rows} pixels")
        return coco_mask.frPyObjects(segmentation, rows, columns)
    runs = {"size": [index(side) for side in segmentation["size"]], "counts": segmentation["counts"]}
    check_runs(runs)
    return runs


def _mask_of(segmentation: Any, height: int, width: int) -> np.ndarray:
    if isinstance(segmentation, list):
        return polygon_mask(segmentation, height, width)
    mask = _decoded(segmentation)
    if mask.shape != (height, width):
        raise ImageError(f"a mask of the listing is {mask.shape[1]} x {mask.shape[0]}, its image {width} x {height}")
    return mask


class CocoInstances(ObjectSet):
    """The objects of COCO instance annotations, by image file, then by number. Crowds are no objects; their pixels are ignored.

    Parameters
    ----------
    listing : path
        The JSON file: COCO's own, or the user's.
    images : path, optional
        The folder that its file names are relative to; that of the listing if left out.
    smallest : float, optional
        Objects of fewer pixels, as the annotation states them, are left out.
    check : bool, optional
        See `ObjectSet`.

    Raises
    ------
    DataError
        If the listing cannot be read, or there is no object.
    """

    #: Whether the listing may name images that were not published with it.
    partial = False

    def __init__(
        self, listing: str | PathLike[str], images: str | PathLike[str] | None = None, smallest: float = 0, check: bool = True
    ) -> None:
        self.listing = Path(listing)
        self.images = self.listing.parent if images is None else Path(images)
        self.smallest = smallest
        super().__init__(self.listing.parent, check)

    def _candidates(self) -> Iterator[ObjectEntry]:
        content = _read_listing(self.listing)
        objects = []
        crowds: dict[int, list] = {}
        try:
            kinds = {category["id"]: category["name"] for category in content["categories"]}
            images = {image["id"]: image for image in content["images"]}
            if self.partial:
                images = {number: image for number, image in images.items() if (self.images / image["file_name"]).is_file()}
            for annotation in content.pop("annotations"):
                image = images.get(annotation["image_id"])
                if image is None or not annotation.get("segmentation"):
                    continue
                size = (index(image["height"]), index(image["width"]))
                if min(size) < 1:
                    raise ValueError(f"{image['file_name']!r} has no pixels")
                segmentation = _compact(annotation["segmentation"])
                if annotation.get("iscrowd"):
                    crowds.setdefault(annotation["image_id"], []).append(segmentation)
                elif annotation.get("area", self.smallest) >= self.smallest:
                    area = int(annotation.get("area", 0))
                    rest = (annotation["image_id"], kinds.get(annotation["category_id"]), segmentation, size, area)
                    file_name = fspath(image["file_name"])
                    name = PurePosixPath(file_name).with_suffix("").as_posix()  # there is none of an empty name
                    objects.append((file_name, annotation["id"], name, *rest))
            objects.sort(key=lambda o: o[:2])
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise DataError(f"{str(self.listing)!r} has an annotation that is not as COCO's are ({error!r:.200})") from error
        for file_name, number, name, image_number, kind, segmentation, size, area in objects:
            path = self.images / file_name
            key = (segmentation, tuple(crowds.get(image_number, ())), size)
            yield ObjectEntry(path, self.listing, f"{name}:{number}", name, kind, key, area)

    def _decode(self, entry: ObjectEntry) -> tuple[np.ndarray, np.ndarray | None]:
        segmentation, crowds, size = entry.key
        mask = _mask_of(segmentation, *size)
        if not crowds:
            return mask, None
        return mask, np.any([_mask_of(crowd, *size) for crowd in crowds], axis=0) & ~mask


class _CocoVal(CocoInstances):
    """COCO's own layout: a folder of images beside ``annotations``."""

    def __init__(self, root: str | PathLike[str], smallest: float = 0, check: bool = True) -> None:
        self.listing, self.images = (self.home(root) / part for part in self.needs)
        self.smallest = smallest
        ObjectSet.__init__(self, root, check)


class CocoVal2014(_CocoVal):
    """COCO val2014, the paper's: ``annotations/instances_val2014.json``, ``val2014/*.jpg``. Parameters: `CocoInstances`."""

    needs = ("annotations/instances_val2014.json", "val2014")


class CocoVal2017(_CocoVal):
    """COCO val2017: ``annotations/instances_val2017.json``, ``val2017/*.jpg``. Parameters: `CocoInstances`."""

    needs = ("annotations/instances_val2017.json", "val2017")


class AerialBuildings(CocoInstances):
    """Buildings from the air, as COCO polygons, of the images that are there; one that touches the border is cut, so not taken.

    Layout: ``test/*.jpg`` and ``test/_annotations.coco.json``, which may list more images than are there.

    Parameters
    ----------
    root : path
        The folder of the set itself.
    smallest : int, optional
        Buildings of fewer pixels are left out.
    check : bool, optional
        See `ObjectSet`.
    """

    needs = ("_annotations.coco.json",)
    partial = True

    def __init__(self, root: str | PathLike[str], smallest: int = 1000, check: bool = True) -> None:
        self.pixels = smallest
        super().__init__(self.home(root) / self.needs[0], check=check)

    def _wanted(self, mask: np.ndarray) -> bool:
        border = mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()
        return bool(mask.sum() >= self.pixels and not border)


class CocoPanoptic(ObjectSet):
    """Objects ("things", no crowds) of COCO's panoptic annotations. Pixels of crowds, and those without any label, are ignored.

    Layout: ``images/val2017/ID.jpg``, ``panoptic_segmentation/annotations/panoptic_val2017.json`` and, beside that, a folder
    of PNGs whose colours are numbers of segments: ``R + 256 G + 65536 B``, 0 for no label.

    Parameters
    ----------
    root : path
        The folder of the set itself.
    smallest : float, optional
        Objects that cover a smaller share of their image are left out.
    check : bool, optional
        See `ObjectSet`.
    """

    needs = ("images/val2017", "panoptic_segmentation/annotations/panoptic_val2017.json")

    def __init__(self, root: str | PathLike[str], smallest: float = 0.01, check: bool = True) -> None:
        self.smallest = smallest
        super().__init__(root, check)

    def _candidates(self) -> Iterator[ObjectEntry]:
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
                    yield ObjectEntry(images / f"{mask.stem}.jpg", mask, name, mask.stem, kind, key)

    def _decode(self, entry: ObjectEntry) -> tuple[np.ndarray, np.ndarray | None]:
        numbers = self._remembered(entry.mask, _segment_numbers)
        number, crowds = entry.key
        return numbers == number, np.isin(numbers, (0, *crowds))

    def _wanted(self, mask: np.ndarray) -> bool:
        return bool(mask.mean() >= self.smallest)


def _segment_numbers(path: Path) -> np.ndarray:
    return read_image(path) @ np.array([1, 256, 65536], np.uint32)
