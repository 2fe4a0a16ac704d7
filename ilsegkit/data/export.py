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
from .base import IGNORE_LABEL, IMAGE_SUFFIXES, ObjectEntry, ObjectSet

__all__ = ["export"]

log = logging.getLogger(__name__)

PARTS = ("images", "masks")
LISTING = "instances.json"  # written when everything else is there
JOURNAL = ".export.json"  # whose export it is, and a hash of the objects of each image: known before any of it is written
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
    _make_room(dataset, folder, named)
    hidden = []
    for name, group in tqdm(named.items(), f"writing {folder.name}", unit="image", disable=not progress):
        first, mask = group[0], folder / "masks" / f"{name}.png"
        if mask.is_file():  # it is written last
            continue
        if first.image.suffix.lower() in IMAGE_SUFFIXES:
            suffix, write = first.image.suffix, partial(shutil.copyfile, first.image)
        else:
            suffix, write = ".png", partial(Image.fromarray(read_image(first.image)).save, format="PNG")
        _into(folder / "images" / f"{name}{suffix}", write)
        labels = _labels(dataset, group)
        hidden += [entry.object_id for number, entry in enumerate(group, 1) if not (labels == number).any()]
        _into(mask, partial(Image.fromarray(labels).save, format="PNG"))
    if hidden:
        log.warning("%s: %d objects lie wholly under others, and are left out: %s", folder, len(hidden), ", ".join(hidden))
    classes = {name: [[number, entry.class_name] for number, entry in enumerate(group, 1)] for name, group in named.items()}
    _into(folder / LISTING, lambda path: path.write_text(json.dumps(classes), encoding="utf-8"))
    return len(groups)


def _named(groups: Iterable[list[ObjectEntry]]) -> dict[str, list[ObjectEntry]]:
    """The objects of each image by its id as a file name: frames of videos have a folder in theirs.

    Of two that are called the same but for their endings, the later one has it in its name.
    """
    named: dict[str, list[ObjectEntry]] = {}
    for group in groups:
        first = group[0]
        name = first.image_id.replace("/", "-").replace("\\", "-").lstrip(".-") or "image"  # what begins with a dot is hidden
        if name in named:
            name = f"{name}_{first.image.suffix[1:]}"
        if name in named:
            raise DataError(f"two images are called {name!r}; export them apart")
        named[name] = group
    return named


def _make_room(dataset: ObjectSet, folder: Path, named: Mapping[str, list[ObjectEntry]]) -> None:
    """Leave what a stopped export of the same objects has written, and nothing else of earlier ones.

    Raises
    ------
    DataError
        If something there is no export's, or another data set's.
    """
    journal = folder / JOURNAL
    source = fspath(Path(getattr(dataset, "listing", dataset.root)).resolve())
    objects = {
        name: sha256(pickle.dumps([group[0].image.suffix, *(entry[2:] for entry in group)])).hexdigest()
        for name, group in named.items()
    }
    before: dict[str, str] = {}
    same_source = False
    if journal.is_file():
        try:
            content = json.loads(journal.read_text(encoding="utf-8"))
            before, same_source = dict(content["objects"]), content["source"] == source
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{fspath(journal)!r} cannot be read ({error!r:.100}); name an empty folder") from error
    elif (folder / LISTING).exists():
        raise DataError(f"{fspath(folder)!r} holds images that are no export's; name an empty folder")
    there = {path.stem: path for part in PARTS for path in (folder / part).glob("[!.]*")}
    if others := sorted((there.keys() - before.keys()) | (set() if same_source else before.keys() - named.keys())):
        raise DataError(f"{fspath(folder)!r} holds other images ({', '.join(others[:3])}); name an empty folder")
    if gone := sorted(before.keys() - named.keys()):
        log.warning("%s: %d images of before have no object now and are removed: %s", folder, len(gone), ", ".join(gone[:10]))
    complete = (folder / LISTING).is_file()
    for part in PARTS:
        (folder / part).mkdir(parents=True, exist_ok=True)
        for path in (folder / part).glob("[!.]*"):
            if complete or objects.get(path.stem) != before[path.stem]:
                path.unlink()
    (folder / LISTING).unlink(missing_ok=True)
    content = {"source": source, "objects": objects}
    _into(journal, lambda path: path.write_text(json.dumps(content), encoding="utf-8"))


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
