"""What all data sets share: every object is listed when a set is opened, images are read only when asked for.

The order never changes, and a set can be handed to many processes. Unless told otherwise, opening also looks at every file
once, so that a long evaluation does not stop at a damaged one.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from tqdm.auto import tqdm

from ..errors import DataError, ImageError
from ..images import image_size, read_image, read_mask
from .sample import Sample

__all__ = ["IGNORE_LABEL", "IMAGE_SUFFIXES", "LabelMaps", "ObjectEntry", "ObjectSet", "images_in"]

log = logging.getLogger(__name__)

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}
IGNORE_LABEL = 255
MOST_NAMED = 50  # files in a warning


def images_in(folder: Path) -> list[Path]:
    """The image files of a folder, by name; hidden ones, such as macOS leaves on other systems' disks, are none."""
    files = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(path for path in files if path.suffix.lower() in IMAGE_SUFFIXES)


class ObjectEntry(NamedTuple):
    """Where an object is found.

    `key` says which pixels of the mask file are meant, where it holds more than one object; `area` is in pixels, 0 if the mask
    has not been looked at.
    """

    image: Path
    mask: Path
    object_id: str
    image_id: str
    class_name: str | None = None
    key: Any = None
    area: int = 0

    @property
    def label(self) -> int:
        """In label maps: the object's number."""
        return self.key


class ObjectSet(Sequence[Sample]):
    """The objects of a data set. Subclasses list the candidates (`_candidates`) and decode the mask of one (`_decode`).

    Parameters
    ----------
    root : path
        The folder of the set, or one that holds it.
    check : bool, optional
        Look at every file now. False for sets so large that only some objects are wanted; see `check`.

    Attributes
    ----------
    root : Path
    entries : list of ObjectEntry
        One for each object.
    skipped : int
        How many were left out because an image or mask is missing or damaged, the two differ in size, or the mask is empty. One
        warning names the files.

    Raises
    ------
    DataError
        If the folder is not there, or holds no object.
    """

    #: What must be in the folder for it to be this set.
    needs: ClassVar[tuple[str, ...]] = ()

    def __init__(self, root: str | PathLike[str], check: bool = True) -> None:
        self.root = self.home(root)
        self.skipped = 0
        self._problems: dict[str, None] = {}  # in order, and each once: many objects may share a damaged image
        self._last_mask: tuple[Path | None, Any] = (None, None)
        self._last_image: tuple[Path | None, tuple[int, int]] = (None, (0, 0))
        candidates = tqdm(self._candidates(), f"listing {self.root.name}", unit=" objects", delay=3, leave=False)
        self.entries = list(self._examined(candidates) if check else candidates)
        self._tell()

    @classmethod
    def home(cls, folder: str | PathLike[str]) -> Path:
        """The folder that holds what the set needs: the one given, or one up to three levels below it.

        Raises
        ------
        DataError
            If there is none.
        """
        base = Path(folder)
        levels = [[base], *(sorted(base.glob("/".join("*" * depth))) for depth in (1, 2, 3))] if cls.needs else [[base]]
        for level in levels:
            for candidate in level:
                if candidate.is_dir() and all((candidate / part).exists() for part in cls.needs):
                    return candidate
        missing = next((part for part in cls.needs if not (base / part).exists()), None)
        what = f"there is no {missing!r} in {str(base)!r}" if base.is_dir() else f"there is no folder {str(base)!r}"
        raise DataError(f"{what}; fetch the data set again or give its folder")

    def check(self) -> Self:
        """Look at the files of every object and leave out those that are damaged, with a warning; gives the set itself."""
        self.entries = list(self._examined(tqdm(self.entries, f"checking {self.root.name}", delay=3, leave=False)))
        self._tell()
        return self

    def subset(self, indices: Iterable[int]) -> Self:
        """The set with only these objects, in this order; `skipped` stays that of the whole set."""
        part = copy.copy(self)
        part.entries = [self.entries[index] for index in indices]
        return part

    def _examined(self, entries: Iterable[ObjectEntry]) -> Iterator[ObjectEntry]:
        for entry in entries:
            try:
                if self._last_image[0] != entry.image:
                    self._last_image = (None, (0, 0))
                    self._last_image = (entry.image, image_size(entry.image))
                (height, width), ((rows, columns), area, wanted) = self._last_image[1], self._look(entry)
                if (rows, columns) != (height, width):
                    raise ImageError(f"{str(entry.image)!r} is {width} x {height} but its mask {columns} x {rows}")
                if not area:
                    raise ImageError(f"{str(entry.mask)!r} has no pixel of object {entry.object_id!r}")
            except ImageError as error:
                self._leave_out(error)
                continue
            if wanted:
                yield entry._replace(area=area)

    def _leave_out(self, error: ImageError) -> None:
        self._problems[str(error)] = None
        self.skipped += 1

    def _tell(self) -> None:
        if self._problems:
            named = "; ".join(list(self._problems)[:MOST_NAMED])
            more = f"; and {len(self._problems) - MOST_NAMED} more" if len(self._problems) > MOST_NAMED else ""
            log.warning("%s: %d left out: %s%s", self.root, self.skipped, named, more)
        if not self.entries:
            why = next((f"all were left out ({one})" for one in self._problems), "are the masks empty, is it complete?")
            raise DataError(f"there is no object to segment in {str(self.root)!r}; {why}")
        self._problems = {}

    def _candidates(self) -> Iterator[ObjectEntry]:
        """All objects that should be there, in their order."""
        raise NotImplementedError

    def _decode(self, entry: ObjectEntry) -> tuple[np.ndarray, np.ndarray | None]:
        """The mask and the pixels to ignore, both bool, ``(height, width)``."""
        return read_mask(entry.mask) > 0, None

    def _look(self, entry: ObjectEntry) -> tuple[tuple[int, ...], int, bool]:
        """Shape of the mask, its pixels, and whether the set takes such an object."""
        mask, _ = self._decode(entry)
        return mask.shape, int(mask.sum()), self._wanted(mask)

    def _wanted(self, mask: np.ndarray) -> bool:
        """Whether the set takes this object."""
        return True

    def _remembered(self, path: Path, read) -> Any:
        """What `read` gives for a file; the objects of an image come one after the other, so the last one is kept."""
        last = self._last_mask
        if last[0] != path:
            last = (path, read(path))
            self._last_mask = last
        return last[1]

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        entry = self.entries[index]
        mask, ignore = self._decode(entry)
        return Sample(
            image=read_image(entry.image),
            mask=mask,
            object_id=entry.object_id,
            ignore=ignore if ignore is not None and ignore.any() else None,
            class_name=entry.class_name,
            image_id=entry.image_id,
        )

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_last_mask": (None, None)}  # other processes read for themselves


class LabelMaps(ObjectSet):
    """Sets whose masks hold one number for each object of an image: 0 is background, 255 is to be ignored.

    Subclasses list the images with their masks (`_maps`), and may read another kind of file (`_read`) and name the objects
    (`_classes`). Such sets can be trained on. Parameters as in `ObjectSet`.
    """

    #: Objects that cover a smaller share of their image are left out.
    smallest: float = 0.0

    def _maps(self) -> Iterator[tuple[str, Path, Path]]:
        """Image id, image and mask of every image, in their order."""
        raise NotImplementedError

    def _read(self, mask: Path) -> np.ndarray:
        """The label map of a mask file."""
        return read_mask(mask)

    def _classes(self, image_id: str, mask: Path, present: list[int]) -> Mapping[int, str | None]:
        """The classes of the objects to take, out of those that are present."""
        return {label: None for label in present if label != IGNORE_LABEL}

    def _candidates(self) -> Iterator[ObjectEntry]:
        for image_id, image, mask in self._maps():
            try:
                labels = self._remembered(mask, self._read)
                if labels.size and labels.min() < 0:
                    raise ImageError(f"{str(mask)!r} has negative numbers; write the objects as 1, 2, 3, ...")
                areas = np.bincount(labels.ravel().astype(np.int64))
                present = [int(label) for label in np.flatnonzero(areas) if label]
                if not present:
                    raise ImageError(f"{str(mask)!r} is empty")
                classes = self._classes(image_id, mask, present)
            except ImageError as error:
                self._leave_out(error)
                continue
            for label in present:
                if label in classes and areas[label] >= self.smallest * labels.size:
                    name = f"{image_id}:{label}"
                    yield ObjectEntry(image, mask, name, image_id, classes[label], label, int(areas[label]))

    def _decode(self, entry: ObjectEntry) -> tuple[np.ndarray, np.ndarray | None]:
        labels = self._remembered(entry.mask, self._read)
        mask = labels == entry.label
        return mask, (labels == IGNORE_LABEL) & ~mask

    def _look(self, entry: ObjectEntry) -> tuple[tuple[int, ...], int, bool]:
        labels = self._remembered(entry.mask, self._read)  # all objects of an image have been counted at once
        return labels.shape, entry.area, True

    def labels(self, index: int) -> np.ndarray:
        """The whole label map around an object, ``(height, width)``: other objects too."""
        return self._remembered(self.entries[index].mask, self._read)
