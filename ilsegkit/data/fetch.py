"""Data sets, fetched from the net or brought by hand, verified, into a root."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from pathlib import Path

import pooch
from tqdm.auto import tqdm

from ..errors import DataError
from .catalog import LOADERS
from .manifest import Entry, File, entry_of
from .staging import open_stage
from .store import own_root, places
from .transfer import Advance, StoppedError, fetch_file

__all__ = ["download", "import_data"]

log = logging.getLogger(__name__)

WORKERS = 8


def download(
    name: str, root: str | PathLike[str] | None = None, manifest: dict[str, Entry] | None = None, progress: bool = True
) -> list[Path]:
    """Fetch a data set and those it needs, unless they are there; an interrupted download goes on.

    Parameters
    ----------
    name : str
        Its id in the manifest.
    root : path, optional
        Where to put it: ``ROOT/ID``. The user's cache if left out. What a shared root (``ILSEGKIT_DATA``) has complete is not
        fetched again.
    manifest : dict of str to Entry, optional
        From `ilsegkit.data.manifest.load_manifest`; the one that comes with ilsegkit if left out.
    progress : bool, optional
        Show bars.

    Returns
    -------
    list of Path
        The folder of the set, then of those it needs.

    Raises
    ------
    DataError
        If it cannot be had: no network, a dead address, a wrong hash, a full disk, or files that must be got by hand. The
        sentence says what to do.
    """
    entry = entry_of(name, manifest)
    found = next((place.folder for place in places(entry, root) if not place.missing), None)
    folder = found or _download(entry, root, progress)
    return [folder, *(path for other in entry.requires for path in download(other, root, manifest, progress))]


def _download(entry: Entry, root: str | PathLike[str] | None, progress: bool) -> Path:
    then = f"{entry.by_hand} Then run 'ilsegkit data import {entry.id} PATH'"
    if not entry.files:
        raise DataError(f"{entry.id!r} cannot be fetched by a program. {then}")
    with open_stage(entry, own_root(root)) as stage:
        for place in [*places(entry, root), *places(entry)]:  # a part may be there, or in a shared root
            stage.take_parts(place.folder)
        missing = stage.missing()
        for file in missing:
            if file.url is None:
                raise DataError(f"{file.path!r} of {entry.id!r} cannot be fetched by a program. {then}")
        stage.make_room()
        try:
            _fetch_all(missing, stage.files, entry.id, progress)
        except DataError as error:
            ways = f"try again later, import a copy that somebody else has ('ilsegkit data import {entry.id} PATH')"
            hint = f" {entry.by_hand}" if entry.by_hand else ""
            raise DataError(f"{entry.id}: {error}; {ways}, or choose the size small or offline.{hint}") from error
        return stage.finish(progress)


def _fetch_all(files: list[File], folder: Path, title: str, progress: bool) -> None:
    """Several at a time; the first failure ends the others."""
    stop = threading.Event()
    total = sum(file.size for file in files) or None
    with (
        tqdm(None, title, total, unit="B", unit_scale=True, unit_divisor=1024, disable=not progress) as bar,
        ThreadPoolExecutor(WORKERS) as pool,
    ):
        jobs = [pool.submit(_fetch_one, file, folder, bar.update, stop) for file in files]
        try:
            for job in jobs:
                job.result()
        except BaseException as error:
            stop.set()
            pool.shutdown(cancel_futures=True)
            # The failure itself, not that of a file that was stopped for it.
            failures = [job.exception() for job in jobs if job.done() and not job.cancelled()]
            raise next((e for e in failures if e is not None and not isinstance(e, StoppedError)), error) from None


def _fetch_one(file: File, folder: Path, advance: Advance, stop: threading.Event) -> None:
    target = folder / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        fetch_file(file, target, advance, stop)
    except Exception:
        stop.set()
        raise
    if file.hash is None:
        log.warning("no hash of %s is known; this one has sha256:%s", file.path, pooch.file_hash(target))


def import_data(
    name: str,
    sources: Iterable[str | PathLike[str]],
    root: str | PathLike[str] | None = None,
    manifest: dict[str, Entry] | None = None,
    progress: bool = True,
) -> Path | None:
    """Bring a data set that was fetched by hand or copied from somebody else.

    Parameters
    ----------
    name : str
        Its id in the manifest.
    sources : iterable of path
        Its files as they are published, a folder that holds them, or the folder of the unpacked set. They are copied and, where
        hashes are known, verified.
    root : path, optional
        Where to put it: ``ROOT/ID``. The user's cache if left out.
    manifest, progress : optional
        As for `download`.

    Returns
    -------
    Path or None
        The folder of the set; None if files are still missing, which wait for the next import or download.

    Raises
    ------
    DataError
        If a file is not there, is none of this set's, or differs from the published one.
    """
    entry, given = entry_of(name, manifest), [Path(source) for source in sources]
    for source in given:
        if not source.exists():
            raise DataError(f"there is no {str(source)!r} to import; check the path")
    with open_stage(entry, own_root(root)) as stage:
        for source in given:
            if source.is_file():
                stage.take_file(source)
                continue
            folder = source / entry.id if (source / entry.id).is_dir() else source  # somebody's whole root
            if not stage.take_files(folder):
                if len(given) > 1:
                    raise DataError(f"{str(source)!r} is an unpacked set, and is taken alone; put all that belongs to it there")
                if entry.loader is not None:
                    LOADERS[entry.loader].home(folder)
                return stage.take_tree(folder, progress)
        missing = stage.missing()
        if missing:
            names = ", ".join(file.path for file in missing[:5])
            log.warning("%s: %d files are still missing: %s", entry.id, len(missing), names)
            return None
        return stage.finish(progress)
