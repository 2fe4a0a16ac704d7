"""Where the files of a data set gather until it is complete; only then it appears in its root, in one move.

What has come so far waits in ``ROOT/.ID.part``. When all files are there and their hashes are right, archives are unpacked, a
receipt is written, and the folder is moved to ``ROOT/ID``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pooch
from tqdm.auto import tqdm

from ..errors import DataError
from ..lock import locked
from .manifest import Entry, File, parse_listing
from .store import RECEIPT, disk_errors, hash_of, listed_files, verify, write_receipt
from .unpack import unpack

__all__ = ["Stage", "open_stage"]


@contextmanager
def open_stage(entry: Entry, root: Path) -> Iterator[Stage]:
    """A stage that no other process uses at the same time.

    Raises
    ------
    DataError
        If another one does, or nothing can be stored there.
    """
    with disk_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        busy = f"another program is fetching {entry.id!r} into {str(root)!r}; wait until it is done"
        lock = locked(root / f".{entry.id}.lock", busy)
        try:
            yield Stage(entry, root)
        finally:
            lock.release()


class Stage:
    """The files of one data set on their way into one root.

    Parameters
    ----------
    entry : Entry
    root : Path

    Attributes
    ----------
    files : Path
        Folder of the files as they are published. A file that has its name there has been verified.
    """

    def __init__(self, entry: Entry, root: Path) -> None:
        self.entry, self.root = entry, root
        self.folder = root / f".{entry.id}.part"
        self.files, self._tree = self.folder / "files", self.folder / "tree"
        self.files.mkdir(parents=True, exist_ok=True)
        for file in entry.files:  # a run that ended while it gave the set its place had moved them already
            moved, here = self._tree / file.path, self.files / file.path
            if file.unpack is None and moved.is_file() and not here.exists() and self._differs(file, moved) is None:
                here.parent.mkdir(parents=True, exist_ok=True)
                moved.replace(here)

    def missing(self) -> list[File]:
        """What is still to come."""
        return [file for file in self.entry.files if not (self.files / file.path).is_file()]

    def make_room(self) -> None:
        """Look whether there is room for what is missing, and for unpacking it.

        Raises
        ------
        DataError
            If there is not.
        """
        needed = sum(file.size * (2 if file.unpack else 1) for file in self.missing())
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise DataError(
                f"{self.entry.id!r} needs about {needed / 1e9:.1f} GB in {str(self.root)!r} but {free / 1e9:.1f} GB are free; "
                "make room or choose another folder with --root"
            )

    def take_parts(self, folder: Path) -> None:
        """Copy what is right of an incomplete set that is published file by file."""
        for file in self.missing():
            path = folder / file.path
            if file.unpack is None and path.is_file() and self._differs(file, path) is None:
                self._copy(path, file)

    def take_file(self, path: Path) -> None:
        """Copy one of the set's files, known by its name or its bytes.

        Raises
        ------
        DataError
            If it is none of them.
        """
        named = [file for file in self.entry.files if Path(file.path).name == path.name]
        differences = []
        for file in named or [file for file in self.entry.files if file.hash is not None]:
            difference = self._differs(file, path)
            if difference is None:
                self._copy(path, file)
                return
            differences.append(difference)
        if named:
            raise DataError(f"{str(path)!r} is not the published file: {differences[0]}; fetch it again, nothing was kept")
        names = ", ".join(file.path for file in self.entry.files[:3]) or "only whole folders"
        raise DataError(f"{str(path)!r} is no file of {self.entry.id!r} ({names}); if it is an archive, import it unpacked")

    def take_files(self, folder: Path) -> bool:
        """Copy the set's files that lie in a folder as they are published; False if there is none.

        Raises
        ------
        DataError
            If one of them is not as published.
        """
        found = [(folder / file.path, file) for file in self.entry.files if (folder / file.path).is_file()]
        for path, file in found:
            difference = self._differs(file, path)
            if difference is not None:
                raise DataError(f"{str(path)!r} is not the published file: {difference}; fetch it again")
            self._copy(path, file)
        return bool(found)

    def take_tree(self, folder: Path, progress: bool) -> Path:
        """Copy an unpacked set, verified if there is a receipt with it, and give it its place.

        Raises
        ------
        DataError
            If files are missing or damaged, a name cannot be listed, or there are more files already.
        """
        if (folder / RECEIPT).is_file():
            problems = verify(self.entry, folder, progress)
            if problems:
                raise DataError(f"{str(folder)!r} is damaged: {'; '.join(problems[:3])}; get it again")
        found = (Path(where, name) for where, _, names in os.walk(folder, followlinks=True) for name in names)
        paths = {path.relative_to(folder).as_posix(): path for path in sorted(found) if path.name != RECEIPT}
        for name in paths:
            try:
                if parse_listing(f"{'0' * 64} 0 {name}\n")[0].path != name:
                    raise ValueError
            except ValueError:
                raise DataError(f"{str(folder)!r} holds {name!r}, a name that not every system allows; rename it") from None
        home = self.root / self.entry.id
        lost = {file.path for file in listed_files(self.entry, home)} - set(paths) if (home / RECEIPT).is_file() else set()
        if lost:
            raise DataError(
                f"{str(home)!r} has {len(lost)} files that {str(folder)!r} lacks, such as {min(lost)!r}; put them there, too, "
                "or remove the set first"
            )
        shutil.rmtree(self._tree, ignore_errors=True)
        files = []
        bar = tqdm(paths.items(), f"copying {self.entry.id}", unit=" files", leave=False, disable=not progress)
        for name, path in bar:
            target = self._tree / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            files.append(_measured(target, name))
        return self._publish(files)

    def finish(self, progress: bool) -> Path:
        """Unpack the archives, move the other files, and give the set its place.

        Raises
        ------
        DataError
            If an archive cannot be unpacked; one without a known hash is then thrown away.
        """
        shutil.rmtree(self._tree, ignore_errors=True)
        self._tree.mkdir()
        files: list[File] = []
        for file in self.entry.files:
            if file.unpack is not None:
                try:
                    files += unpack(self.files / file.path, file.unpack, self._tree, progress)
                except DataError:
                    shutil.rmtree(self._tree, ignore_errors=True)
                    if file.hash is None:
                        (self.files / file.path).unlink()
                    raise
        for file in self.entry.files:
            if file.unpack is None:
                target = self._tree / file.path
                target.parent.mkdir(parents=True, exist_ok=True)
                (self.files / file.path).replace(target)
                files.append(_measured(target, file.path, file.hash))
        return self._publish(files)

    def _publish(self, files: list[File]) -> Path:
        write_receipt(self._tree, files)
        home = self.root / self.entry.id
        if home.exists():  # incomplete or damaged
            home.rename(self.folder / "old")
        self._tree.rename(home)
        shutil.rmtree(self.folder, ignore_errors=True)
        return home

    @staticmethod
    def _differs(file: File, path: Path) -> str | None:
        """Why this is not the published file; None if it is."""
        size = path.stat().st_size
        if file.bytes is not None and size != file.bytes:
            return f"{size} bytes instead of {file.bytes}"
        got = hash_of(path, file.hash)
        return None if got == file.hash else f"expected {file.hash}, got {got}"

    def _copy(self, path: Path, file: File) -> None:
        target = self.files / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.with_name(f"{target.name}.copy")
        shutil.copyfile(path, scratch)
        scratch.replace(target)


def _measured(path: Path, name: str, known: str | None = None) -> File:
    """A line of the receipt."""
    digest = known if known and known.startswith("sha256:") else f"sha256:{pooch.file_hash(path)}"
    return File.model_construct(path=name, hash=digest, bytes=path.stat().st_size)
