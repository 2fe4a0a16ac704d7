"""Archives from the net, unpacked with suspicion: nothing leaves the folder, no links, no endless content."""

from __future__ import annotations

import errno
import gzip
import hashlib
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import rarfile
from tqdm.auto import tqdm

from ..errors import DataError
from .manifest import File, relative_path

__all__ = ["unpack"]

CHUNK = 1 << 20
#: An archive may unpack to so many times its own size, plus a little for very small ones. Annotations in JSON reach four.
MOST_TIMES = 20
MOST_FILES = 1_000_000
SLACK = 64 << 20

#: What the libraries raise for bytes that are no archive, or half of one.
_DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, rarfile.Error, zlib.error, lzma.LZMAError, gzip.BadGzipFile),
    *(EOFError, RuntimeError),
)


class _Member(NamedTuple):
    name: str
    size: int
    content: IO[bytes]


def unpack(archive: Path, kind: str, folder: Path, progress: bool = True) -> list[File]:
    """Unpack an archive into a folder.

    Parameters
    ----------
    archive : Path
    kind : {"zip", "tar", "rar"}
        ``"tar"`` may be compressed.
    folder : Path
        Made if it is not there. If unpacking fails, what has been unpacked so far stays in it: give a scratch folder.
    progress : bool, optional
        Show a bar.

    Returns
    -------
    list of File
        What was unpacked, with sha256 and size.

    Raises
    ------
    DataError
        If the archive is damaged or cut short, holds a path that leads out of the folder, a link or a device, or unpacks to
        more than 20 times its size; or if a RAR needs a program that is not installed.
    """
    members = {"zip": _zip_members, "tar": _tar_members, "rar": _rar_members}[kind]
    left = archive.stat().st_size * MOST_TIMES + SLACK
    files: dict[str, File] = {}
    try:
        for member in tqdm(members(archive), f"unpacking {archive.name}", unit=" files", leave=False, disable=not progress):
            path = _place(archive, member.name)
            if left < member.size or len(files) >= MOST_FILES:
                raise DataError(
                    f"{archive.name!r} would unpack to far more than its size; it is no archive of images, delete it"
                )
            file = _write(member.content, folder, path, left)
            left -= file.bytes or 0
            files[path] = file
    except rarfile.RarCannotExec:
        raise DataError(
            f"no program is there to unpack {archive.name!r}; install unrar, unar, 7-Zip or bsdtar (on Debian 'apt install "
            "unar', on macOS 'brew install unar', on Windows 7-Zip), or unpack it by hand and import the folder"
        ) from None
    except (*_DAMAGE, OSError) as error:
        if isinstance(error, OSError) and not isinstance(error, _DAMAGE) and error.errno not in (None, errno.EINVAL):
            raise  # what is wrong is the disk
        raise DataError(f"{archive.name!r} is damaged or cut short ({error}); delete it and fetch it again") from error
    return list(files.values())


def _place(archive: Path, name: str) -> str:
    try:
        return relative_path(name.removeprefix("./"))
    except ValueError:
        raise DataError(f"{archive.name!r} holds {name!r}, which leads out of its folder; do not trust it, delete it") from None


def _write(content: IO[bytes], folder: Path, path: str, most: int) -> File:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with target.open("wb") as file:
        while chunk := content.read(CHUNK):
            size += len(chunk)
            if size > most:  # whatever the archive says of itself
                raise DataError(f"{path!r} unpacks to far more than the archive's size; it is no data set, delete it")
            digest.update(chunk)
            file.write(chunk)
    return File.model_construct(path=path, hash=f"sha256:{digest.hexdigest()}", bytes=size)


def _no_link(archive: Path, name: str) -> DataError:
    return DataError(f"{archive.name!r} holds {name!r}, a link or device; no data set needs one, do not trust it")


def _zip_members(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            if stat.S_ISLNK(info.external_attr >> 16):
                raise _no_link(archive, info.filename)
            if not info.is_dir():
                with file.open(info) as content:
                    yield _Member(info.filename, info.file_size, content)


def _tar_members(archive: Path) -> Iterator[_Member]:
    with tarfile.open(archive) as file:
        for info in file:
            if not (info.isfile() or info.isdir()):
                raise _no_link(archive, info.name)
            content = file.extractfile(info)
            if content is not None:
                with content:
                    yield _Member(info.name, info.size, content)


def _rar_members(archive: Path) -> Iterator[_Member]:
    with rarfile.RarFile(archive) as file:
        for info in file.infolist():
            if not (info.is_file() or info.is_dir()):
                raise _no_link(archive, info.filename)
            if info.is_file():
                with file.open(info) as content:
                    yield _Member(info.filename, info.file_size, content)
