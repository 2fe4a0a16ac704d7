"""Where data sets lie: shared folders that are only read, then the user's own.

A root holds one folder for each data set, named after its id in the manifest. `ILSEGKIT_DATA` names shared roots (several are
separated as in PATH); a teacher fills one with ``ilsegkit data download ID --root FOLDER``. After them comes the user's cache.
Where a root is given, only that one counts. Beside the files of a set lies a receipt: sha256, size and path of each.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import pooch
from tqdm.auto import tqdm

from ..errors import DataError
from .manifest import Entry, File, parse_listing

__all__ = [
    "RECEIPT",
    "Place",
    "disk_errors",
    "find",
    "hash_of",
    "home_expanded",
    "listed_files",
    "own_root",
    "places",
    "roots",
    "verify",
    "write_receipt",
]

log = logging.getLogger(__name__)

VARIABLE = "ILSEGKIT_DATA"
RECEIPT = ".ilsegkit-files.txt"


class Place(NamedTuple):
    """A folder of a data set.

    Attributes
    ----------
    folder : Path
    missing : int
        How many of its files are not there, or are there with another size; 0 for a complete set. 1 if its receipt is
        damaged, so that a download mends it.
    """

    folder: Path
    missing: int


def home_expanded(path: str | PathLike[str]) -> Path:
    """The path with ``~`` written out.

    Raises
    ------
    DataError
        If it names the home of a user who is not known.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise DataError(f"{str(path)!r} names the home of a user who is not known here; write the whole path") from error


def own_root(root: str | PathLike[str] | None = None) -> Path:
    """The root that downloads go to: the one given, else the user's cache."""
    return home_expanded(root) if root is not None else Path(pooch.os_cache("ilsegkit"))


def roots(root: str | PathLike[str] | None = None) -> list[Path]:
    """The roots that are searched, in order: the one given, or the shared ones and then the user's cache."""
    if root is not None:
        return [own_root(root)]
    shared = [home_expanded(part) for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]
    return [*shared, own_root()]


def listed_files(entry: Entry, folder: Path) -> list[File]:
    """The files a complete set has, as far as that is known: from its receipt, else from the manifest.

    Raises
    ------
    DataError
        If the receipt is damaged.
    """
    receipt = folder / RECEIPT
    if receipt.is_file():
        try:
            return parse_listing(receipt.read_text(encoding="utf-8", errors="surrogateescape"))
        except (OSError, ValueError) as error:
            raise DataError(f"the receipt {str(receipt)!r} is damaged ({error}); download the set again") from error
    return [file for file in entry.files if file.unpack is None]


def write_receipt(folder: Path, files: list[File]) -> None:
    """Put a receipt beside the files of a set."""
    lines = [f"{file.hash.removeprefix('sha256:')} {file.bytes} {file.path}\n" for file in files if file.hash]
    text = "".join(sorted(lines, key=lambda line: line.split(" ", 2)[2]))
    (folder / RECEIPT).write_text(text, encoding="utf-8", errors="surrogateescape", newline="")


def hash_of(path: Path, like: str | None) -> str | None:
    """The hash of a file, of the same kind as another; None if there is none to compare with."""
    if like is None:
        return None
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{pooch.file_hash(path, alg=algorithm)}"


def _is_there(path: Path, size: int | None) -> bool:
    try:
        return path.is_file() and (size is None or path.stat().st_size == size)
    except OSError:
        return False


def places(entry: Entry, root: str | PathLike[str] | None = None) -> list[Place]:
    """All folders of a data set: complete ones first, then in the order of the roots."""
    found = []
    for base in roots(root):
        folder = base / entry.id
        try:
            if folder.is_dir() and any(path.name == RECEIPT or path.name[0] != "." for path in folder.iterdir()):
                files = listed_files(entry, folder)
                found.append(Place(folder, sum(not _is_there(folder / file.path, file.bytes) for file in files)))
        except OSError as error:  # not allowed, or no name that a folder can have
            log.warning("%s is left out: %s", folder, error)
        except DataError as error:
            log.warning("%s", error)
            found.append(Place(folder, 1))
    return sorted(found, key=lambda place: place.missing)


def find(entry: Entry, root: str | PathLike[str] | None = None) -> Path:
    """The folder of a data set, the most complete one.

    Raises
    ------
    DataError
        If it is in none of the roots.
    """
    found = places(entry, root)
    if not found:
        where = ", ".join(repr(str(base)) for base in roots(root))
        way = f"'ilsegkit data download {entry.id}'" if entry.files else f"'ilsegkit data info {entry.id}' for how to get it"
        smaller = "offline" if entry.kind == "small" else "small or offline"
        raise DataError(
            f"the data set {entry.id!r} is in none of {where}; run {way}, import a copy with 'ilsegkit data import', name the "
            f"folder that has it in {VARIABLE}, or choose the size {smaller}"
        )
    return found[0].folder


def verify(entry: Entry, folder: Path, progress: bool = True) -> list[str]:
    """Read every file of a set and compare its hash.

    Parameters
    ----------
    entry : Entry
    folder : Path
        Where the set lies.
    progress : bool, optional
        Show a bar.

    Returns
    -------
    list of str
        A sentence for each file that is missing or differs; empty if all is well.

    Raises
    ------
    DataError
        If nothing is known to compare with.
    """
    files = listed_files(entry, folder)
    if not files:
        raise DataError(f"{str(folder)!r} has no receipt, so its files cannot be verified; import the folder to make one")
    problems = []
    for file in tqdm(files, f"verifying {entry.id}", unit=" files", leave=False, disable=not progress):
        path = folder / file.path
        if not path.is_file():
            problems.append(f"{file.path} is missing")
        elif (got := hash_of(path, file.hash)) != file.hash:
            problems.append(f"{file.path} differs: expected {file.hash}, got {got}")
    return problems


@contextmanager
def disk_errors(root: Path) -> Iterator[None]:
    """Tell what went wrong with the disk in one sentence."""
    try:
        yield
    except OSError as error:
        reason = {
            errno.ENOSPC: "the disk is full; make room or choose another folder with --root",
            errno.EDQUOT: "your quota is used up; make room or choose another folder with --root",
            errno.EEXIST: "it is no folder; choose another with --root",
            errno.ENOTDIR: "it is no folder; choose another with --root",
            errno.EROFS: "it can only be read; choose another folder with --root",
            errno.EACCES: "you may not write there; choose another folder with --root",
            errno.EPERM: "you may not write there; choose another folder with --root",
        }.get(error.errno or 0)
        place = Path(error.filename or root).resolve()
        if reason is None or root.resolve() not in (place, *place.parents):
            raise  # also what cannot be read elsewhere
        raise DataError(f"nothing can be stored in {str(root)!r}: {reason} ({error})") from error
