"""What the small real sets share: every object is listed when a set is opened, images are read only when asked for.

The order never changes. Opening also looks at every file once, so that a long evaluation does not stop at a damaged one.
"""

import logging
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..errors import DataError, ImageError
from ..images import image_size, read_image, read_mask
from .sample import Sample

__all__ = ["SmallEntry", "SmallSet"]

log = logging.getLogger(__name__)


class SmallEntry(NamedTuple):
    """Where an object is found.

    `key` says which pixels of the mask file are meant, where it holds more than one object; `area` is in pixels.
    """

    image: Path
    mask: Path
    object_id: str
    image_id: str
    class_name: str | None = None
    key: Any = None
    area: int = 0


class SmallSet(Sequence[Sample]):
    """What the small sets share. Each lists its candidates (`_candidates`) and decodes the mask of one (`_decode`).

    Parameters
    ----------
    root : path
        The folder of the set itself.

    Attributes
    ----------
    entries : list of SmallEntry
        One for each object.
    skipped : int
        Objects left out because their image or mask is missing or damaged, the two differ in size, or the mask is empty.
        One warning names the files.

    Raises
    ------
    DataError
        If the folder is not there, or holds no object.
    """

    #: What must be in the folder for it to be this set.
    needs: ClassVar[tuple[str, ...]] = ()

    def __init__(self, root: str | PathLike[str]) -> None:
        self.root = Path(root)
        for part in self.needs:
            if not (self.root / part).exists():
                raise DataError(f"there is no {part!r} in {str(self.root)!r}; fetch the data set again or give its folder")
        self.entries: list[SmallEntry] = []
        self.skipped = 0
        problems: dict[str, None] = {}  # in order, and each once: many objects may share a damaged image
        sizes: dict[Path, tuple[int, int]] = {}
        for entry in self._candidates():
            try:
                if entry.image not in sizes:
                    sizes[entry.image] = image_size(entry.image)
                mask, _ = self._decode(entry)
                if mask.shape != sizes[entry.image]:
                    (height, width), (rows, columns) = sizes[entry.image], mask.shape
                    raise ImageError(f"{str(entry.image)!r} is {width} x {height} but its mask {columns} x {rows}")
                if not mask.any():
                    raise ImageError(f"{str(entry.mask)!r} has no pixel of object {entry.object_id!r}")
            except ImageError as error:
                problems[str(error)] = None
                self.skipped += 1
                continue
            if self._wanted(mask):
                self.entries.append(entry._replace(area=int(mask.sum())))
        if problems:
            log.warning("%s: %d objects left out: %s", self.root, self.skipped, "; ".join(problems))
        if not self.entries:
            raise DataError(f"there is no object to segment in {str(self.root)!r}; fetch the data set again")

    def _candidates(self) -> Iterator[SmallEntry]:
        """All objects that should be there, in their order."""
        raise NotImplementedError

    def _decode(self, entry: SmallEntry) -> tuple[np.ndarray, np.ndarray | None]:
        """The mask and the pixels to ignore, both bool, ``(height, width)``."""
        return read_mask(entry.mask) > 0, None

    def _wanted(self, mask: np.ndarray) -> bool:
        """Whether the set takes this object."""
        return True

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
