"""Any data set as a folder of images and masks, the layout that training takes (`ilsegkit.data.folder`)."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from ..errors import DataError
from .base import IGNORE_LABEL, ObjectEntry, ObjectSet

__all__ = ["export"]

log = logging.getLogger(__name__)

MOST_OBJECTS = IGNORE_LABEL - 1  # in one image, since a mask has eight bits and 255 is taken


def export(dataset: ObjectSet, folder: str | PathLike[str], progress: bool = True) -> int:
    """Write ``images/NAME`` and ``masks/NAME.png``, and ``instances.json`` with the objects and their classes.

    Photos are copied as they are. A mask holds one number for each object, 0 for background and 255 for pixels to ignore;
    where objects overlap, the later one wins. A stopped export goes on; one that was complete is written again, with what
    there is now.

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
        If an image has more objects than a mask can hold, two have one name, or the folder holds other images.
    """
    folder = Path(folder)
    groups: dict[Path, list[ObjectEntry]] = {}
    for entry in dataset.entries:
        groups.setdefault(entry.image, []).append(entry)
    classes: dict[str, list[list[object]]] = {}
    listing = folder / "instances.json"
    before = _classes_in(listing)
    named = _named(groups.values())
    if others := sorted(set(before) - set(named)):
        raise DataError(f"{str(folder)!r} holds other images ({', '.join(others[:3])}); name an empty folder")
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    hidden = []
    for name, group in tqdm(named.items(), f"writing {folder.name}", unit="image", disable=not progress):
        first = group[0]
        if len(group) > MOST_OBJECTS:
            raise DataError(f"{first.image_id!r} has {len(group)} objects; a mask holds at most {MOST_OBJECTS}")
        classes[name] = [[number, entry.class_name] for number, entry in enumerate(group, start=1)]
        image, mask = folder / "images" / f"{name}{first.image.suffix}", folder / "masks" / f"{name}.png"
        if before or not mask.is_file():  # it is written last; where an export is complete, objects may have changed since
            _into(image, lambda path, source=first.image: shutil.copyfile(source, path))
            labels = _labels(dataset, group)
            hidden += [entry.object_id for number, entry in enumerate(group, 1) if not (labels == number).any()]
            _into(mask, lambda path, labels=labels: Image.fromarray(labels).save(path, format="PNG"))
    if hidden:
        log.warning("%s: %d objects lie wholly under others, and are left out: %s", folder, len(hidden), ", ".join(hidden))
    _into(listing, lambda path: path.write_text(json.dumps(classes), encoding="utf-8"))
    return len(groups)


def _named(groups: Iterable[list[ObjectEntry]]) -> dict[str, list[ObjectEntry]]:
    """The objects of each image by its id as a file name: frames of videos have a folder in theirs.

    Of two that are called the same but for their endings, the later one has it in its name.
    """
    named: dict[str, list[ObjectEntry]] = {}
    for group in groups:
        first = group[0]
        name = first.image_id.replace("/", "-").replace("\\", "-")
        if name in named:
            name = f"{name}_{first.image.suffix[1:]}"
        if name in named:
            raise DataError(f"two images are called {name!r}; export them apart")
        named[name] = group
    return named


def _classes_in(listing: Path) -> dict[str, object]:
    """What an earlier export has listed; nothing if there was none."""
    try:
        content = json.loads(listing.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DataError(f"{str(listing)!r} cannot be read ({error}); name an empty folder") from error
    if not isinstance(content, dict):
        raise DataError(f"{str(listing)!r} is no list of images and their objects; name an empty folder")
    return content


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
