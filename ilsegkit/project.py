"""A folder of annotations: everything that was done, saved at once, and taken up again where it stopped.

::

    project.json            the images, in their order, and which was the last
    clicks/NAME.json        every object's clicks, and what came of each; also of the object that is not finished
    masks/NAME_1.png        each finished object, 0 and 255
    ids/NAME.png            all objects of an image in one file: 0, 1, 2, ... with colours
    coco.json               all objects as COCO's instances
    learned.pt              what the model has learned, for going on
    model.safetensors       the same as a weights file, for `ilsegkit.load_model`

Each file is replaced as a whole or not at all.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from pycocotools import mask as coco

from .album import Album
from .drawing import OBJECT_COLOURS
from .errors import DataError
from .images import write_mask
from .model import save_model
from .records import ObjectRecord, decode_mask

__all__ = ["Project"]

VERSION = 1


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

    def __init__(self, folder: str | PathLike[str], album: Album | None = None, classes: Sequence[str] = ("object",)) -> None:
        self.folder, self.classes = Path(folder), list(classes)
        self._album = album
        self._stems: dict[str, str] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        self._paths: dict[str, Path | None] = {}
        self._open: dict[str, ObjectRecord] = {}
        self.finished: dict[str, list[ObjectRecord]] = {}
        self.current: str | None = None
        if self.folder.exists() and not self.folder.is_dir():
            raise DataError(f"{str(self.folder)!r} is a file; name a folder for the annotations")
        content = self._read("project.json")
        if content is not None:
            try:
                self.current, self._stems = content["current"], dict(content["images"])
                self.classes = list(dict.fromkeys([*self.classes, *content["classes"]]))
            except (KeyError, TypeError, ValueError) as error:
                raise self._damaged("project.json", error) from error
            for name in self._stems:
                self._read_clicks(name)
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
        except (DataError, KeyError, TypeError, ValueError, IndexError) as error:
            raise self._damaged(file, error) from error

    def _stem(self, name: str) -> str:
        """A file name without its ending that every system allows, for the name of an image."""
        if name not in self._stems:
            stem = re.sub(r"[^\w.-]+", "_", Path(name).stem if Path(name).suffix else name).strip("._") or "image"
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

    def left_open(self, name: str, size: tuple[int, int]) -> ObjectRecord | None:
        """The object of an image that was begun and not finished.

        Raises
        ------
        DataError
            If the image has another size now.
        """
        if name in self._sizes and self._sizes[name] != size and (self._open.get(name) or self.finished.get(name)):
            (height, width), (rows, columns) = self._sizes[name], size
            raise DataError(
                f"{name!r} was {width} x {height} when it was annotated in {str(self.folder)!r} and is {columns} x {rows} now; "
                "choose another folder for other images"
            )
        return self._open.get(name)

    def image_path(self, name: str) -> Path | None:
        """Where the image of that name was when it was annotated; None if it was no file."""
        return self._paths.get(name)

    def learned(self) -> dict[str, Any] | None:
        """What the model had learned, for `Session.load_state_dict`."""
        path = self.folder / "learned.pt"
        if not path.is_file():
            return None
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises whatever its readers raise
            raise self._damaged("learned.pt", error) from error

    # --- saving -----------------------------------------------------------------------------------------------------

    def save(
        self,
        name: str,
        size: tuple[int, int],
        finished: Sequence[ObjectRecord],
        left: ObjectRecord | None,
        masks: bool = False,
    ) -> None:
        """Save an image's objects.

        Parameters
        ----------
        name : str
        size : tuple of int
            Height and width of the image.
        finished : sequence of ObjectRecord
        left : ObjectRecord or None
            The object at hand.
        masks : bool, optional
            Whether the finished objects have changed, and so the masks and ``coco.json``.

        Raises
        ------
        DataError
            If something cannot be written.
        """
        self._sizes[name], self.finished[name] = size, list(finished)
        self._open.pop(name, None)
        if left is not None:
            self._open[name] = left
        try:
            (self.folder / "clicks").mkdir(parents=True, exist_ok=True)
            source = self._album.source(name) if self._album is not None else None
            content = {
                "image": name,
                "path": Path(source).resolve().as_posix() if isinstance(source, str | PathLike) else None,
                "size": list(size),
                "objects": [record.to_json() for record in finished],
                "open": None if left is None else left.to_json(),
            }
            self._write(f"clicks/{self._stem(name)}.json", json.dumps(content).encode())
            if masks:
                self._write_masks(name, finished)
                self._write("coco.json", json.dumps(self.coco()).encode())
            if masks or self.current != name or not (self.folder / "project.json").is_file():
                self.current = name
                listing = {"version": VERSION, "current": name, "classes": self.classes, "images": self._stems}
                self._write("project.json", json.dumps(listing, indent=1).encode())
        except OSError as error:
            raise self._not_saved(error) from error

    def _not_saved(self, error: Exception) -> DataError:
        return DataError(
            f"the annotations cannot be saved in {str(self.folder)!r} ({error}); nothing is lost here yet: make room or "
            "give back the rights, and the next click saves all"
        )

    def save_learned(self, session: Any) -> None:
        """Save what the model has learned.

        Raises
        ------
        DataError
            If it cannot be written.
        """
        try:
            content = io.BytesIO()
            torch.save(session.state_dict(), content)
            self._write("learned.pt", content.getvalue())
            save_model(self.folder / "model.safetensors", session.model)
        except OSError as error:
            raise self._not_saved(error) from error

    def _write(self, name: str, content: bytes) -> None:
        path = self.folder / name
        scratch = path.with_name(f".{path.name}.part")
        try:
            scratch.write_bytes(content)
            scratch.replace(path)
        except OSError:
            scratch.unlink(missing_ok=True)
            raise

    def _write_masks(self, name: str, finished: Sequence[ObjectRecord]) -> None:
        stem, size = self._stem(name), self._sizes[name]
        for folder in ("masks", "ids"):
            (self.folder / folder).mkdir(exist_ok=True)
        labels = np.zeros(size, np.uint8 if len(finished) < 256 else np.uint16)
        for number, record in enumerate(finished, 1):
            mask = decode_mask(record.mask or {})
            labels[mask] = number
            write_mask(self.folder / "masks" / f"{stem}_{number}.png", mask)
        number = len(finished) + 1
        while (stale := self.folder / "masks" / f"{stem}_{number}.png").is_file():
            stale.unlink()
            number += 1
        picture = Image.fromarray(labels)
        if labels.dtype == np.uint8:
            # With a palette the numbers 1, 2, 3 do not all look black.
            colours = [OBJECT_COLOURS[i % len(OBJECT_COLOURS)] for i in range(255)]
            picture.putpalette([0, 0, 0, *(part for colour in colours for part in colour)])
        content = io.BytesIO()
        picture.save(content, format="PNG")
        self._write(f"ids/{stem}.png", content.getvalue())

    def coco(self) -> dict[str, Any]:
        """All finished objects as COCO's instances, with run lengths (https://cocodataset.org/#format-data)."""
        used = (record.class_name for _, record in self.order())
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
                        "id": len(annotations) + 1,
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
