"""The command line's ``ilsegkit data list | info | download | verify | path | import | export``."""

from __future__ import annotations

import errno
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ..errors import DataError, IlsegkitError
from .base import ObjectSet
from .catalog import open_dataset
from .coco import CocoInstances
from .export import export as write_folder
from .fetch import download as fetch
from .fetch import import_data
from .manifest import Entry, entry_of, load_manifest, parse_listing
from .store import find, places, roots
from .store import verify as problems_of

__all__ = ["app", "stopped", "told"]

#: What the disk says while a file is written, without its name: it is full, has errors, or can only be read.
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)


@contextmanager
def told() -> Iterator[None]:
    """Tell our own errors, and what the disk refuses, in one line on standard error and end with 1.

    Anything else is a bug and keeps its traceback.
    """
    try:
        yield
    except (IlsegkitError, OSError) as error:
        if isinstance(error, OSError) and error.filename is None and error.errno not in DISK:  # no file of the user
            raise
        typer.echo(f"ilsegkit: {error}", err=True)
        raise typer.Exit(1) from None


@contextmanager
def stopped(hint: str) -> Iterator[None]:
    """Tell in one line what becomes of long work when the user stops it, and end with 130."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"stopped; {hint}", err=True)
        raise typer.Exit(130) from None


class _Telling(TyperGroup):
    """Tells errors as `told` does."""

    def invoke(self, ctx: Any) -> Any:
        with told():
            return super().invoke(ctx)


app = typer.Typer(cls=_Telling, help="Data sets: where they come from, and where they lie.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="ID", help="The data set, as 'ilsegkit data list' names it.")]
Names = Annotated[list[str], typer.Argument(metavar="ID...", help="Data sets, as 'ilsegkit data list' names them.")]
Root = Annotated[
    Path | None,
    typer.Option(help="The folder that holds the data sets. If left out: the folders of ILSEGKIT_DATA, then the user's cache."),
]


def _size(entry: Entry) -> str:
    if not entry.bytes:
        return "?"
    exact = all(file.bytes for file in entry.files)
    return f"{'' if exact else '~'}{entry.bytes / 1e6:,.0f} MB"


def _hash(entry: Entry) -> str:
    kinds = {file.hash.partition(":")[0] if file.hash else "none known" for file in entry.files}
    return ", ".join(sorted(kinds)) or "none known"


def _state(entry: Entry, root: Path | None) -> str:
    found = places(entry, root)
    if found:
        return f"{found[0].missing} files missing" if found[0].missing else "here"
    return "to fetch" if any(file.url for file in entry.files) else "by hand"


@app.command("list")
def list_sets(root: Root = None) -> None:
    """All data sets, how large they are, and which are here."""
    rows = [("id", "kind", "files", "size", "hash", "state", "title")]
    for entry in load_manifest().values():
        count = str(len(entry.files) or "?")
        rows.append((entry.id, entry.kind, count, _size(entry), _hash(entry), _state(entry, root), entry.title))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.rjust(width) if i in (2, 3) else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        typer.echo("  ".join(cells).rstrip())
    typer.echo(f"searched: {', '.join(str(base) for base in roots(root))}")


@app.command()
def info(name: Name, root: Root = None) -> None:
    """What a data set is for, its terms, its files, and how to get it."""
    entry = entry_of(name)
    lines = {
        "title": entry.title,
        "role": entry.role,
        "homepage": entry.homepage,
        "licence": entry.licence,
        "terms": entry.terms,
        "citation": entry.citation,
        "needs": ", ".join(entry.requires),
        "size": f"{_size(entry)} in {len(entry.files) or '?'} files, hash: {_hash(entry)}",
        "by hand": entry.by_hand or "",
        "state": f"{_state(entry, root)} {', '.join(str(place.folder) for place in places(entry, root))}",
    }
    for title, text in lines.items():
        if text:
            typer.echo(
                textwrap.fill(text, 110, initial_indent=f"{title + ':':10}", subsequent_indent=" " * 10, break_long_words=False)
            )
    listed = [(f"{len(parse_listing(part.files))} files below", part.url, part.mirrors) for part in entry.listings]
    single = [(f"{file.path}, {file.hash or 'no hash known'}", file.url, file.mirrors) for file in entry.files]
    for what, url, mirrors in listed or single:
        typer.echo(f"files:    {what}")
        for address in (url, *mirrors):
            typer.echo(f"          {address or 'no address'}")


@app.command()
def download(names: Names, root: Root = None) -> None:
    """Fetch data sets, or go on where fetching was interrupted; for a class with --root into a folder that all can read."""
    for name in names:
        for folder in fetch(name, root):
            typer.echo(folder)


@app.command()
def verify(names: Names, root: Root = None) -> None:
    """Compare every file of data sets with its hash; ends with 1 if one is missing or differs."""
    bad = False
    for name in names:
        entry = entry_of(name)
        folder = find(entry, root)
        problems = problems_of(entry, folder)
        bad = bad or bool(problems)
        for problem in problems:
            typer.echo(f"{name}: {problem}")
        typer.echo(f"{name}: {f'{len(problems)} files missing or changed' if problems else 'all well'} in {folder}")
        if problems:
            way = f"download {name}" if all(file.url for file in entry.files) else f"import {name} PATH"
            way += f" --root {root}" if root is not None else ""
            typer.echo(f"{name}: remove those that are not as published, then 'ilsegkit data {way}' brings them back")
    if bad:
        raise typer.Exit(1)


@app.command()
def path(name: Name, root: Root = None) -> None:
    """The folder of a data set."""
    typer.echo(find(entry_of(name), root))


@app.command("import")
def import_files(
    name: Name,
    sources: Annotated[list[Path], typer.Argument(help="Archives or files as published, or the folder of the unpacked set.")],
    root: Root = None,
) -> None:
    """Bring a data set that was fetched by hand or copied from somebody else; it is copied and verified."""
    folder = import_data(name, sources, root)
    typer.echo(folder if folder is not None else f"{name}: not complete yet; import the rest, or download it")


@app.command("export")
def export_set(
    name: Annotated[
        str, typer.Argument(metavar="ID", help="The data set, as 'ilsegkit data list' names it; or a folder of annotations.")
    ],
    folder: Annotated[Path, typer.Argument(help="Where to write images/ and masks/; a stopped export goes on.")],
    root: Root = None,
    images: Annotated[Path | None, typer.Option(help="Of annotations: the folder of images, if it is elsewhere now.")] = None,
) -> None:
    """Write a data set, or what was annotated, as images/ and masks/ with object numbers, as 'ilsegkit train' takes it."""
    listing = Path(name) / "coco.json"
    if listing.is_file() and name not in load_manifest():
        if root is not None:
            raise DataError(f"{name!r} is a folder of annotations, for which --root has no meaning; leave it out")
        from ..project import Project  # which needs PyTorch

        dataset: ObjectSet = CocoInstances(listing, images or Project(name).images_folder())
    elif images is not None:
        raise DataError(f"--images is for a folder of annotations, and {name!r} is none; leave it out")
    else:
        dataset = open_dataset(name, root)
    typer.echo(f"{folder}: {write_folder(dataset, folder)} images")
