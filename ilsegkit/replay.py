"""Do again what a person did: the clicks of a folder of annotations, in their order, with a model of today."""

from __future__ import annotations

from collections import Counter
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from .album import Album
from .annotator import Annotator
from .clicks import Click
from .errors import DataError
from .images import image_size
from .metrics import iou
from .project import Project
from .records import ObjectRecord
from .runs import decode_mask

__all__ = ["Replayed", "replay"]


class Replayed(NamedTuple):
    """An object that was done again.

    Attributes
    ----------
    name : str
        Of its image.
    number : int
        In the order the objects were finished, from 1.
    clicks : int
    iou : float
        Of the mask with the one that was saved.
    """

    name: str
    number: int
    clicks: int
    iou: float


def replay(
    folder: str | PathLike[str],
    out: str | PathLike[str],
    session: Any,
    images: str | PathLike[str] | None = None,
    adapt: str | None = None,
) -> list[Replayed]:
    """Make every click of a folder of annotations again; what comes of it goes to another folder of the same form.

    Parameters
    ----------
    folder, out : path
        The second must not hold annotations yet.
    session : Session
    images : path, optional
        Folder with the images; where they were if left out.
    adapt : str, optional
        none, IA, SA or IA+SA; as it was for each object if left out.

    Returns
    -------
    list of Replayed

    Raises
    ------
    DataError
        If there are no annotations, or an image is not found or has another size.
    """
    folder, out = Path(folder), Path(out)
    if not (folder / "project.json").is_file():
        raise DataError(f"there are no annotations in {str(folder)!r}; give the folder that the widget has saved to")
    if (out / "project.json").exists():
        raise DataError(f"there are annotations in {str(out)!r} already; name a new folder")
    done = Project(folder)
    order = done.order()
    paths = {name: done.image_path(name) for name, _ in order}
    if images is not None:
        paths = {name: _among(Path(images), name, path) for name, path in paths.items()}
        twice = [str(path) for path, count in Counter(paths.values()).items() if count > 1]
        if twice:
            raise DataError(f"several images were called {Path(twice[0]).name!r}, in different folders; leave out --images")
    for name, path in paths.items():
        if path is None or not path.is_file():
            where = "was not a file when it was annotated" if path is None else f"is not at {str(path)!r}"
            raise DataError(f"the image {name!r} {where}; name the folder that holds it with --images")
        done.check(name, image_size(path))
    if not order:
        raise DataError(f"no object is finished in {str(folder)!r}, so there is nothing to do again")
    album = Album(paths)
    annotator = Annotator(session, album, Project(out, album, done.classes), done.classes)
    results = []
    for name, record in order:
        session.adapt = record.adapt if adapt is None else adapt
        annotator.open(name)
        _make_clicks(annotator, record)
        mask, saved = annotator.mask, decode_mask(record.mask or {})
        results.append(Replayed(name, record.number, len(record.clicks), round(iou(mask, saved), 5)))
        annotator.finish()
    return results


def _among(images: Path, name: str, path: Path | None) -> Path:
    """Where an image is to be in a folder: by its name in the widget, which may have folders in it, or as its file was."""
    return images / name if path is None or (images / name).is_file() else images / path.name


def _make_clicks(annotator: Annotator, record: ObjectRecord) -> None:
    clicks, stages = record.clicks, record.stages or (None,) * len(record.clicks)
    annotator.class_name = record.class_name
    if record.start is not None and record.seeds:
        annotator.start_from(decode_mask(record.start))
        clicks, stages = clicks[record.seeds :], stages[record.seeds :]
    together: list[Click] = []
    for count, (click, stage) in enumerate(zip(clicks, stages, strict=True), 1):
        together.append(click)
        if stage is not None or count == len(clicks):  # those that were answered together are so again
            annotator.click(together)
            together = []
    annotator.set_threshold(record.threshold)
