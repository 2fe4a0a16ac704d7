"""Any data set as a folder of images and masks, the layout that training takes (`ilsegkit.data.folder`)."""

from __future__ import annotations

import json
import logging
import pickle
import shutil
from collections.abc import Iterable, Mapping
from functools import partial
from hashlib import sha256
from os import PathLike, fspath
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from ..errors import DataError
from ..images import read_image
from ..lock import locked
from .base import IGNORE_LABEL, IMAGE_SUFFIXES, ObjectEntry, ObjectSet, images_in

__all__ = ["export"]

log = logging.getLogger(__name__)

PARTS = ("images", "masks")
LISTING = "instances.json"  # written when everything else is there
MOST_OBJECTS = IGNORE_LABEL - 1  # in one image, since a mask has eight bits and 255 is taken


def export(dataset: ObjectSet, folder: str | PathLike[str], progress: bool = True) -> int:
    """Write ``images/NAME`` and ``masks/NAME.png``, and ``instances.json`` with the objects and their classes.

    Photos are copied as they are, or written as PNG where a folder of images takes no such files. A mask holds one number for
    each object, 0 for background and 255 for pixels to ignore; where objects overlap, the later one wins. A stopped export
    goes on; one that was complete is written again, with what there is now.

    Parameters
    ----------
    dataset : ObjectSet
    folder : path
        A folder of its own.
    progress : bool, optional
        Show a bar.

    Returns
    -------
    int
        How many images it has.

    Raises
    ------
    DataError
        If an image has more objects than a mask can hold, two have one name, or the folder holds other images; then nothing
        in it has changed.
    """
    folder = Path(folder)
    groups: dict[Path, list[ObjectEntry]] = {}
    for entry in dataset.entries:
        groups.setdefault(entry.image, []).append(entry)
    named = _named(groups.values())
    for group in named.values():
        if len(group) > MOST_OBJECTS:
            raise DataError(f"{group[0].image_id!r} has {len(group)} objects; a mask holds at most {MOST_OBJECTS}")
    folder.mkdir(parents=True, exist_ok=True)
    lock = locked(folder / ".export.lock", f"another export is writing into {fspath(folder)!r}; wait, or name another folder")
    try:
        _write(dataset, folder, named, progress)
    finally:
        lock.release()
    return len(named)


def _write(dataset: ObjectSet, folder: Path, named: Mapping[str, list[ObjectEntry]], progress: bool) -> None:
    files: dict[str, list[Path]] = {}
    for part in PARTS:
        for path in images_in(folder / part) if (folder / part).is_dir() else ():
            files.setdefault(path.stem, []).append(path)
    wanted = {name: _fingerprint(group) for name, group in named.items()}
    journal = _Journal(folder, dataset)
    journal.check(dataset, files.keys(), named)
    gone = sorted(journal.written.keys() - named.keys())
    journal.begin(wanted)
    hidden = []
    for name, group in tqdm(named.items(), f"writing {folder.name}", unit="image", disable=not progress):
        first, mask = group[0], folder / "masks" / f"{name}.png"
        if journal.written[name] == wanted[name] and mask.is_file():
            continue
        if first.image.suffix.lower() in IMAGE_SUFFIXES:
            suffix, write = first.image.suffix, partial(shutil.copyfile, first.image)
        else:
            suffix, write = ".png", partial(Image.fromarray(read_image(first.image)).save, format="PNG")
        image = folder / "images" / f"{name}{suffix}"
        labels = _labels(dataset, group)
        _into(image, write)
        _into(mask, partial(Image.fromarray(labels).save, format="PNG"))
        _remove(path for path in files.get(name, ()) if path not in (image, mask))  # it had another ending
        journal.add(name, wanted[name])
        hidden += [entry.object_id for number, entry in enumerate(group, 1) if not (labels == number).any()]
    if hidden:
        log.warning("%s: %d objects lie wholly under others, and are left out: %s", folder, len(hidden), ", ".join(hidden))
    if gone:
        log.warning("%s: %d images of before have no object now and are removed: %s", folder, len(gone), ", ".join(gone[:10]))
        _remove(path for name in gone for path in files.get(name, ()))
    classes = {name: [[number, entry.class_name] for number, entry in enumerate(group, 1)] for name, group in named.items()}
    _into(folder / LISTING, lambda path: path.write_text(json.dumps(classes), encoding="utf-8"))


class _Journal:
    """What exports have written into a folder: the data set, then a line for each image with what its objects were.

    An image is named before any file of it is written, with None; so what is not named is somebody else's.
    """

    def __init__(self, folder: Path, dataset: ObjectSet) -> None:
        self.folder, self.path = folder, folder / ".export.jsonl"
        home = Path(getattr(dataset, "listing", dataset.root)).resolve()
        self.source = f"{type(dataset).__name__} {getattr(dataset, 'split', '')} {fspath(home)}"
        self.written: dict[str, str | None] = {}
        self.before: str | None = None
        if self.path.is_file():
            try:
                # A line without its end was being written when the export was stopped.
                lines = [
                    json.loads(x) for x in self.path.read_text(encoding="utf-8").splitlines(keepends=True) if x[-1] == "\n"
                ]
                self.before, self.written = lines[0]["source"], dict(lines[1:])
            except (OSError, ValueError, LookupError, TypeError) as error:
                raise DataError(f"{fspath(self.path)!r} cannot be read ({error!r:.100}); name an empty folder") from error

    def check(self, dataset: ObjectSet, there: Iterable[str], named: Mapping[str, list[ObjectEntry]]) -> None:
        """Refuse what would write over, or remove, anything but an earlier export of the same data set."""
        others = set(there) - self.written.keys()
        if self.before is None and (self.folder / LISTING).exists():
            others.add(LISTING)
        if self.before not in (None, self.source):
            others |= self.written.keys()
        if others:
            some = ", ".join(sorted(others)[:3])
            raise DataError(f"{fspath(self.folder)!r} holds images of something else ({some}); name an empty folder")
        inside = {(self.folder / part).resolve() for part in PARTS}
        for group in named.values():
            if not inside.isdisjoint({group[0].image.parent.resolve(), group[0].mask.parent.resolve()}):
                raise DataError(f"{fspath(group[0].image)!r} would be written over by its own copy; name another folder")
        if dataset.skipped and (gone := sorted(self.written.keys() - named.keys())):
            raise DataError(
                f"{', '.join(gone[:3])} in {fspath(self.folder)!r} may be of what was left out as missing or damaged "
                f"({dataset.skipped} objects); mend that, or name an empty folder"
            )

    def begin(self, wanted: Mapping[str, str]) -> None:
        """Where an export is complete, all is written anew: the photos and masks may be others, too."""
        complete = (self.folder / LISTING).is_file()
        self.written = {name: None if complete else self.written.get(name) for name in {**self.written, **wanted}}
        lines = [{"source": self.source}, *self.written.items()]
        for part in PARTS:
            (self.folder / part).mkdir(exist_ok=True)
        _into(self.path, lambda path: path.write_text("".join(json.dumps(x) + "\n" for x in lines), encoding="utf-8"))
        (self.folder / LISTING).unlink(missing_ok=True)  # of other numbers, perhaps, than the masks soon have

    def add(self, name: str, fingerprint: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([name, fingerprint]) + "\n")


def _fingerprint(group: list[ObjectEntry]) -> str:
    """Of an image's objects and its files."""
    files = [(path.stat().st_mtime_ns, path.stat().st_size) for path in (group[0].image, group[0].mask)]
    return sha256(pickle.dumps([group[0].image.suffix, files, *(entry[2:] for entry in group)])).hexdigest()


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _named(groups: Iterable[list[ObjectEntry]]) -> dict[str, list[ObjectEntry]]:
    """The objects of each image by its id as a file name: frames of videos have a folder in theirs.

    Of two that are called the same but for their endings, the later one has it in its name.
    """
    named: dict[str, list[ObjectEntry]] = {}
    for group in groups:
        first = group[0]
        name = first.image_id.replace("/", "-").replace("\\", "-")
        if name.startswith("."):  # it would be hidden
            name = f"_{name}"
        if name in named:
            name = f"{name}_{first.image.suffix[1:]}"
        if name in named:
            raise DataError(f"two images are called {name!r}; export them apart")
        named[name] = group
    return named


def _labels(dataset: ObjectSet, entries: list[ObjectEntry]) -> np.ndarray:
    """The objects of an image in one array."""
    labels: np.ndarray | None = None
    for number, entry in enumerate(entries, start=1):
        mask, ignore = dataset._decode(entry)  # without the photo
        if labels is None:
            labels = np.zeros(mask.shape, np.uint8)
        if ignore is not None:
            labels[ignore & (labels == 0)] = IGNORE_LABEL
        labels[mask] = number
    assert labels is not None
    return labels


def _into(path: Path, write) -> None:
    """Never half a file."""
    scratch = path.with_name(f".{path.name}.part")
    write(scratch)
    scratch.replace(path)
