"""`data_manifest.yaml`: where every data set comes from, checked against a schema before anything uses it.

The schema is the classes below. What they do not know is an error, so a misspelt field cannot go unnoticed.
"""

from __future__ import annotations

from functools import cache
from os import PathLike
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, Any, Literal
from urllib.parse import quote

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from ..errors import DataError

__all__ = ["Entry", "File", "entry_of", "load_manifest", "parse_listing", "relative_path"]

Hash = Annotated[str, StringConstraints(pattern=r"^(sha256:[0-9a-f]{64}|sha1:[0-9a-f]{40}|md5:[0-9a-f]{32})$")]
Url = Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Count = Annotated[int, Field(gt=0)]


def relative_path(path: str) -> str:
    """The path, if it leads to a place inside the folder it is relative to, on every system.

    Raises
    ------
    ValueError
        If it does not.

    Examples
    --------
    >>> relative_path("images/a.jpg")
    'images/a.jpg'
    """
    windows = PureWindowsPath(path)
    if not path or PurePosixPath(path).is_absolute() or windows.drive or windows.root or ".." in windows.parts:
        raise ValueError(f"{path!r} does not lead to a place inside the folder")
    return path


RelativePath = Annotated[str, AfterValidator(relative_path)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class File(_Strict):
    """A file of a data set.

    Attributes
    ----------
    path : str
        Its name; with folders, relative to the data set's own, where the set is published file by file.
    url : str or None
        Where it can be fetched; None if it cannot.
    mirrors : list of str
        Other places that have the same bytes.
    hash : str or None
        ``"sha256:..."``, or sha1 or md5 where only that is published; None where no hash is known.
    bytes : int or None
        Its exact size.
    about_bytes : int or None
        A rounded size, where the exact one is not known; it is only shown.
    unpack : {"zip", "tar", "rar"} or None
        An archive of that kind, whose content makes the data set; ``tar`` may be compressed.
    """

    path: RelativePath
    url: Url | None = None
    mirrors: list[Url] = []
    hash: Hash | None
    bytes: Count | None = None
    about_bytes: Count | None = None
    unpack: Literal["zip", "tar", "rar"] | None = None

    @property
    def size(self) -> int:
        """The size as far as it is known, in bytes; 0 if it is not."""
        return self.bytes or self.about_bytes or 0


def parse_listing(text: str) -> list[File]:
    """Read lines of sha256, bytes and path: how the manifest and the receipts beside unpacked sets list many files.

    Raises
    ------
    ValueError
        If a line is something else.

    Examples
    --------
    >>> [file] = parse_listing("0" * 64 + " 12 images/a b.jpg")
    >>> file.path, file.bytes
    ('images/a b.jpg', 12)
    """
    files = []
    for line in filter(None, text.split("\n")):  # some names hold what else ends a line, or begin with a space
        try:
            digest, rest = line.split(" ", 1)
            size, path = rest.lstrip(" ").split(" ", 1)
            # Thousands of lines: checked by hand, it takes a tenth of the time.
            if len(digest) != 64 or int(digest, 16) < 0 or int(size) < 0:
                raise ValueError
            files.append(File.model_construct(path=relative_path(path), hash=f"sha256:{digest}", bytes=int(size)))
        except ValueError:
            raise ValueError(f"{line!r} is not a line of sha256, bytes and path inside the folder") from None
    return files


class _Listing(_Strict):
    """Many small files below one address; `files` has a line of sha256, bytes and path for each."""

    url: Url
    mirrors: list[Url] = []
    files: Text


class Entry(_Strict):
    """A data set, or weights to start training from.

    Attributes
    ----------
    id : str
        Its name in the manifest and on the command line.
    title, role, homepage, licence, terms, citation : str
        What it is, what the paper uses it for, and what must be known to use it rightly.
    kind : {"paper", "small", "weights"}
    files : list of File
        All files, those of `listings` too.
    requires : list of str
        Ids of sets whose files it needs.
    by_hand : str or None
        How to get what cannot be fetched, or not everywhere.
    loader : str or None
        A class of `ilsegkit.data.catalog.LOADERS`.
    """

    id: str
    title: Text
    kind: Literal["paper", "small", "weights"]
    role: Text
    homepage: Url
    files: list[File] = []
    listings: list[_Listing] = []
    requires: list[str] = []
    licence: Text
    terms: Text
    citation: Text
    by_hand: Text | None = None
    loader: Text | None = None

    @model_validator(mode="after")
    def _complete(self) -> Entry:
        for listing in self.listings:
            for file in parse_listing(listing.files):
                places = [base + quote(file.path) for base in (listing.url, *listing.mirrors)]
                self.files.append(file.model_copy(update={"url": places[0], "mirrors": places[1:]}))
        paths = [file.path for file in self.files]
        if len(set(paths)) < len(paths):
            raise ValueError("two files have the same path")
        if not self.by_hand and not (self.files and all(file.url for file in self.files)):
            raise ValueError("what has no url needs 'by_hand'")
        return self

    @property
    def bytes(self) -> int:
        """What must be fetched, as far as it is known."""
        return sum(file.size for file in self.files)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML in which a key may stand only once; PyYAML would take the last one without a word."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.YAMLError(f"{key!r} stands twice{node.start_mark}")
        return super().construct_mapping(node, deep)


def load_manifest(path: str | PathLike[str] | None = None) -> dict[str, Entry]:
    """Read a manifest.

    Parameters
    ----------
    path : path, optional
        The one that comes with ilsegkit if left out.

    Returns
    -------
    dict of str to Entry
        By id, in the order of the file.

    Raises
    ------
    DataError
        If it cannot be read, or does not follow the schema; the sentence names entry and field.

    Examples
    --------
    >>> manifest = load_manifest()
    >>> manifest["nuclei-60"].title
    'Cell nuclei in 60 microscope images'
    """
    return _bundled() if path is None else _read(Path(path))


def entry_of(name: str, manifest: dict[str, Entry] | None = None) -> Entry:
    """The entry of a data set.

    Raises
    ------
    DataError
        If there is none of that id.
    """
    manifest = load_manifest() if manifest is None else manifest
    if name not in manifest:
        raise DataError(f"there is no data set {name!r}; choose one of {', '.join(manifest)}")
    return manifest[name]


@cache
def _bundled() -> dict[str, Entry]:
    package = Path(__file__).resolve().parents[1]
    inside = package / "data_manifest.yaml"  # put there when the wheel is built
    return _read(inside if inside.is_file() else package.parent / "data_manifest.yaml")


def _read(path: Path) -> dict[str, Entry]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"the manifest {str(path)!r} cannot be read ({error}); mend it or install ilsegkit again") from error
    if not isinstance(content, dict) or not all(isinstance(fields, dict) for fields in content.values()):
        raise DataError(f"the manifest {str(path)!r} must map the id of each entry to its fields")
    entries = {}
    for name, fields in content.items():
        try:
            entries[name] = Entry(**{"id": name, **fields})
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "the whole entry"
            raise DataError(f"{path.name}, entry {name!r}, field {field!r}: {_reason(first)}") from None
    for entry in entries.values():
        for other in entry.requires:
            if other not in entries:
                raise DataError(f"{path.name}, entry {entry.id!r}, field 'requires': there is no entry {other!r}")
    return entries


def _reason(error: Any) -> str:
    """What pydantic says, in this package's words where they are clearer."""
    if error["type"] == "extra_forbidden":
        return "there is no such field; is it misspelt?"
    if error["type"] == "missing":
        return "it is missing"
    return f"{error['msg'].removeprefix('Value error, ')} (got {error['input']!r:.80})"
