"""A folder of annotations: everything that was done, saved at once, and taken up again where it stopped.

::

    project.json            the images, in their order, and which was the last
    clicks/NAME.json        every object's clicks, and what came of each; also of the object that is not finished
    masks/NAME_1.png        each finished object, 0 and 255
    ids/NAME.png            all objects of an image in one file: 0, 1, 2, ... with colours
    coco.json               all objects as COCO's instances
    learned.pt              what the model has learned, for going on
    model.safetensors       the same as a weights file, for `ilsegkit.load_model`

Each file is replaced as a whole or not at all. What could not be written waits, and is written with what comes next.
"""

from __future__ import annotations

import io
import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from itertools import takewhile
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from pycocotools import mask as coco

from .album import Album
from .data.store import home_expanded
from .drawing import OBJECT_COLOURS
from .errors import DataError
from .evaluation import fingerprint
from .model import model_bytes
from .records import ObjectRecord, check_size, numbered
from .runs import decode_mask

__all__ = ["Project"]

VERSION = 1
LONGEST_STEM = 100  # bytes
WINDOWS_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10))}


class Project:
    """A folder of annotations for the images of an album.

    Parameters
    ----------
    folder : path
        Made if it is not there.
    album : Album, optional
        Needed to save; without it what is there can be looked at.
    classes : sequence of str, optional
        Categories in ``coco.json``, in this order; classes that come up later follow.

    Attributes
    ----------
    folder : Path
    finished : dict of str to list of ObjectRecord
        What it holds, by image.
    current : str or None
        The image that was open last.

    Raises
    ------
    DataError
        If the folder cannot be used, or a file in it is damaged; nothing is changed then.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> project = Project(folder, Album({"a b.jpg": np.zeros((4, 5, 3), np.uint8)}))
    >>> project.save("a b.jpg", (4, 5), [], None)
    >>> sorted(path.name for path in Path(folder).iterdir())
    ['clicks', 'project.json']
    """

    def __init__(self, folder: str | PathLike[str], album: Album | None = None, classes: Sequence[str] = ()) -> None:
        self.folder, self.classes = home_expanded(folder), list(classes)
        self._album = album
        self._stems: dict[str, str] = {}  # of the files for each image
        self._sizes: dict[str, tuple[int, int]] = {}
        self._paths: dict[str, Path | None] = {}
        self._open: dict[str, ObjectRecord] = {}
        self._drawn: dict[str, list[ObjectRecord] | None] = {}  # the objects that masks/ and ids/ show; None: not known
        self._labels = ("", np.zeros((0, 0), np.uint16))  # the image drawn last, and its ids: a further object is added to them
        self._learned_from: str | None = None  # fingerprint of the initial model
        self._waiting: dict[str, bytes | None] = {}  # files to be written, or with None to be deleted
        self.finished: dict[str, list[ObjectRecord]] = {}
        self.current: str | None = None
        if self.folder.exists() and not self.folder.is_dir():
            raise DataError(f"{str(self.folder)!r} is a file; name a folder for the annotations")
        content = self._read("project.json")
        if content is not None:
            try:
                self.current, self._stems = content["current"], dict(content["images"])
                self.classes = list(dict.fromkeys([*content["classes"], *self.classes]))  # so their numbers stay
            except (KeyError, TypeError, ValueError) as error:
                raise self._damaged("project.json", error) from error
        self.classes = self.classes or ["object"]
        self._adopt()
        for name in list(self._stems):
            self._read_clicks(name)
        self._follow_renamed()
        for name in album or ():
            self._stem(name)

    def _read(self, name: str) -> Any:
        path = self.folder / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise self._damaged(name, error) from error

    def _damaged(self, name: str, error: Exception) -> DataError:
        path = str(self.folder / name)
        return DataError(f"{path!r} cannot be read as annotations ({error!r:.120}); move it away, or choose another folder")

    def _adopt(self) -> None:
        """Files of clicks that the list of images lacks, as another program has written it since, are found by themselves."""
        for path in sorted((self.folder / "clicks").glob("*.json")):
            if path.stem not in self._stems.values() and not path.name.startswith("."):
                content = self._read(f"clicks/{path.name}")
                if isinstance(content, dict) and isinstance(content.get("image"), str):
                    self._stems.setdefault(content["image"], path.stem)

    def _follow_renamed(self) -> None:
        """Images that were called otherwise, but for case or how accents are written, as copying to another system does."""
        gone = defaultdict(list)
        for name in self._stems:
            if self._album is not None and name not in self._album and (self.finished.get(name) or name in self._open):
                gone[_plain(name)].append(name)
        at = {path: name for names in gone.values() for name in names if (path := self._paths.get(name)) is not None}
        for new in self._album or ():
            if new in self._stems:
                continue
            names = gone.pop(_plain(new), [])
            source = self._source(new)
            if len(names) != 1 and source in at:  # the file has another name today, as one in another folder is called the same
                names = [at.pop(source)]
            if len(names) != 1:  # of two, who knows which
                continue
            old = names[0]
            self._stems = {new if name == old else name: stem for name, stem in self._stems.items()}  # their order stays
            tables: tuple[dict[str, Any], ...] = (self.finished, self._open, self._sizes, self._paths)
            for about in tables:
                if old in about:
                    about[new] = about.pop(old)
            self._drawn[new] = None  # so that all files are written with the new name
            self.current = new if self.current == old else self.current

    def _read_clicks(self, name: str) -> None:
        file = f"clicks/{self._stems[name]}.json"
        content = self._read(file)
        if content is None:
            return
        try:
            self.finished[name] = [ObjectRecord.from_json(record) for record in content["objects"]]
            self._sizes[name] = (int(content["size"][0]), int(content["size"][1]))
            self._paths[name] = Path(content["path"]) if content["path"] else None
            if content["open"] is not None:
                self._open[name] = ObjectRecord.from_json(content["open"])
            # Masks are written last: if they are not as many as the objects, the kernel died, and all are drawn again.
            count = len(self.finished[name])
            there = [(self.folder / self._mask_file(name, number)).is_file() for number in range(1, count + 2)]
            self._drawn[name] = list(self.finished[name]) if there == [True] * count + [False] else None
        except (DataError, KeyError, TypeError, ValueError, IndexError) as error:
            raise self._damaged(file, error) from error

    def _stem(self, name: str) -> str:
        """A file name without its ending that every system allows, for the name of an image."""
        if name not in self._stems:
            stem = re.sub(r"[^\w.-]+", "_", Path(name).stem if Path(name).suffix else name).strip("._") or "image"
            # Names have at most 255 bytes, of which numbers and endings take some; and to Windows, some are no files.
            stem = stem.encode()[:LONGEST_STEM].decode(errors="ignore")
            if stem.split(".")[0].upper() in WINDOWS_DEVICES:
                stem = f"image_{stem}"
            taken = {other.lower() for other in self._stems.values()}  # some systems do not tell A from a
            count, unique = 1, stem
            while unique.lower() in taken:
                count += 1
                unique = f"{stem}-{count}"
            self._stems[name] = unique
        return self._stems[name]

    # --- going on ---------------------------------------------------------------------------------------------------

    def order(self) -> list[tuple[str, ObjectRecord]]:
        """All finished objects with their images, as they were finished."""
        every = [(name, record) for name, records in self.finished.items() for record in records]
        return sorted(every, key=lambda item: item[1].number)

    def check(self, name: str, size: tuple[int, int]) -> None:
        """Refuse an image that has another height or width than when its objects were made.

        Raises
        ------
        DataError
            If it has.
        """
        if self._open.get(name) or self.finished.get(name):
            check_size(name, self._sizes[name], size, self.folder)

    def left_open(self, name: str) -> ObjectRecord | None:
        """The object of an image that was begun and not finished."""
        return self._open.get(name)

    def images_folder(self) -> Path:
        """The folder that the images' names are relative to.

        Raises
        ------
        DataError
            If there is none: images of several folders, or none that were files.
        """
        folders = set()
        for name in (name for name, records in self.finished.items() if records):
            path, inside = self._paths.get(name), Path(name)
            whole = path is not None and path.parts[-len(inside.parts) :] == inside.parts
            folders.add(Path(*path.parts[: -len(inside.parts)]) if path is not None and whole else None)
        if len(folders) != 1 or (folder := folders.pop()) is None:
            raise DataError(
                f"the images of {str(self.folder)!r} are in no one folder that fits their names; name it with --images"
            )
        return folder

    def image_path(self, name: str) -> Path | None:
        """Where the image of that name was when it was annotated; None if it was no file."""
        return self._paths.get(name)

    def learned(self) -> dict[str, Any] | None:
        """What the model had learned, for `Session.load_state_dict`; ``initial`` tells which model it began with."""
        path = self.folder / "learned.pt"
        if not path.is_file():
            return None
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            self._learned_from = state.get("initial")
        except Exception as error:  # torch raises whatever its readers raise
            raise self._damaged("learned.pt", error) from error
        return state

    # --- saving -----------------------------------------------------------------------------------------------------

    def save(
        self,
        name: str,
        size: tuple[int, int],
        finished: Sequence[ObjectRecord],
        left: ObjectRecord | None,
        session: Any = None,
    ) -> None:
        """Save an image's objects, and what waits from before; of masks only those that are not there yet.

        Parameters
        ----------
        name : str
        size : tuple of int
            Height and width of the image.
        finished : sequence of ObjectRecord
        left : ObjectRecord or None
            The object at hand.
        session : Session, optional
            If it has just learned, to save that, too.

        Raises
        ------
        DataError
            If something cannot be written.
        """
        self._sizes[name], self.finished[name] = size, list(finished)
        self.classes = list(dict.fromkeys([*self.classes, *(record.class_name for record in finished)]))  # their numbers stay
        self._open.pop(name, None)
        if left is not None:
            self._open[name] = left
        source = self._source(name)
        content = {
            "image": name,
            "path": None if source is None else source.as_posix(),
            "size": list(size),
            "objects": [record.to_json() for record in finished],
            "open": None if left is None else left.to_json(),
        }
        self._waiting[f"clicks/{self._stem(name)}.json"] = json.dumps(content).encode()
        changed = self.finished[name] != self._drawn.get(name, [])
        if changed or self.current != name or not (self.folder / "project.json").is_file():
            self.current = name
            listing = {"version": VERSION, "current": name, "classes": self.classes, "images": self._stems}
            self._waiting["project.json"] = json.dumps(listing, indent=1).encode()
        if changed:
            self._waiting["coco.json"] = json.dumps(self.coco()).encode()
            self._draw(name)
        if session is not None:
            self._learn(session)
        self._write_waiting()

    def flush(self) -> None:
        """Write what could not be written before.

        Raises
        ------
        DataError
            If it still cannot.
        """
        if self._waiting:
            self._write_waiting()

    def _not_saved(self, error: Exception) -> DataError:
        return DataError(
            f"the annotations cannot be saved in {str(self.folder)!r} ({error}); nothing is lost here yet: make room or "
            "give back the rights, and the next click saves all"
        )

    def _learn(self, session: Any) -> None:
        """What the model has learned; that of another initial model is kept beside it."""
        initial, content = fingerprint(session.initial_model()), io.BytesIO()
        torch.save({**session.state_dict(), "initial": initial}, content)
        new = {"learned.pt": content.getvalue(), "model.safetensors": model_bytes(session.model)}
        for old in map(Path, new):
            if self._learned_from not in (None, initial) and (self.folder / old).is_file():
                self._waiting[f"{old.stem}-{self._learned_from}{old.suffix}"] = (self.folder / old).read_bytes()
        self._learned_from = initial
        self._waiting |= new

    def _write_waiting(self) -> None:
        problem: OSError | None = None
        behind = False
        for name in list(self._waiting):
            if behind and name.startswith("masks/"):
                continue  # that they are there tells, in another session, that coco.json and the ids are up to date
            try:
                self._write(name, self._waiting[name])
                del self._waiting[name]
            except OSError as error:  # the others may do
                problem = problem or error
                behind = behind or name == "coco.json" or name.startswith("ids/")
        if problem is not None:
            raise self._not_saved(problem) from problem

    def _write(self, name: str, content: bytes | None) -> None:
        path = self.folder / name
        if content is None:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".{path.name}.part")
        try:
            scratch.write_bytes(content)
            scratch.replace(path)
        except OSError:
            scratch.unlink(missing_ok=True)
            raise

    def _source(self, name: str) -> Path | None:
        """The file of an image; None if it is none."""
        source = self._album.source(name) if self._album is not None else None
        return Path(source).resolve() if isinstance(source, str | PathLike) else None

    def _mask_file(self, name: str, number: int) -> str:
        return f"masks/{self._stem(name)}_{number}.png"

    def _draw(self, name: str) -> None:
        """The ids, and those masks that have changed; the others are there, and not even decoded if they were drawn last."""
        finished, drawn = self.finished[name], self._drawn.get(name) or []
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(finished, drawn, strict=False)))
        last, labels = self._labels
        if last != name or labels.shape != self._sizes[name] or same < len(drawn):
            labels = numbered(finished[:same], self._sizes[name])
        changed: dict[str, bytes | None] = {}
        for number, record in enumerate(finished[same:], same + 1):
            mask = decode_mask(record.mask or {})
            labels[mask] = number
            changed[self._mask_file(name, number)] = _png(Image.fromarray(mask.astype(np.uint8) * 255))
        picture = Image.fromarray(labels)
        if len(finished) < 256:
            picture = Image.fromarray(labels.astype(np.uint8))
            # With a palette the numbers 1, 2, 3 do not all look black.
            colours = [OBJECT_COLOURS[i % len(OBJECT_COLOURS)] for i in range(255)]
            picture.putpalette([0, 0, 0, *(part for colour in colours for part in colour)])
        self._waiting[f"ids/{self._stem(name)}.png"] = _png(picture)
        number = len(finished) + 1
        while (stale := self._mask_file(name, number)) in self._waiting or (self.folder / stale).is_file():
            changed[stale] = None
            number += 1
        self._waiting |= changed
        self._drawn[name], self._labels = list(finished), (name, labels)

    def coco(self) -> dict[str, Any]:
        """All finished objects as COCO's instances, with run lengths (https://cocodataset.org/#format-data)."""
        used = (record.class_name for _, record in self.order())  # another program may have written them
        numbers = {name: number for number, name in enumerate(dict.fromkeys([*self.classes, *used]), 1)}
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for image_id, name in enumerate(self._stems, 1):
            if not self.finished.get(name):
                continue
            height, width = self._sizes[name]
            images.append({"id": image_id, "file_name": name, "width": width, "height": height})
            for record in self.finished[name]:
                annotations.append(
                    {
                        "id": record.number,
                        "image_id": image_id,
                        "category_id": numbers[record.class_name],
                        "segmentation": record.mask,
                        "area": int(coco.area(record.mask)),
                        "bbox": [float(value) for value in coco.toBbox(record.mask)],
                        "iscrowd": 0,
                    }
                )
        categories = [{"id": number, "name": name} for name, number in numbers.items()]
        info = {"description": "made with ilsegkit"}
        return {"info": info, "images": images, "annotations": annotations, "categories": categories}


def _plain(name: str) -> str:
    """A name without what systems write differently."""
    return unicodedata.normalize("NFC", name).casefold()


def _png(picture: Image.Image) -> bytes:
    content = io.BytesIO()
    picture.save(content, format="PNG")
    return content.getvalue()
