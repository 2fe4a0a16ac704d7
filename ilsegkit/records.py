"""The record of an object: its clicks, and what came of each; as JSON, so that it can be looked at, kept and replayed.

Masks are written as COCO does, as run lengths (`ilsegkit.runs`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from .clicks import Click, parse_clicks
from .errors import ClickError, DataError
from .images import resize_mask
from .runs import Runs, decode_mask

__all__ = ["ObjectRecord", "Stage", "check_size", "numbered", "read_clicks", "shrunk"]

#: Longest side of the masks kept for each click: enough for a picture, and a few hundred bytes each.
STAGE_SIDE = 512


def shrunk(mask: np.ndarray, longest: int) -> np.ndarray:
    """The mask by nearest neighbour, its longest side at most so many pixels."""
    height, width = mask.shape
    scale = min(1.0, longest / max(height, width))
    if scale == 1:
        return mask
    return resize_mask(mask, max(1, round(height * scale)), max(1, round(width * scale)))


def check_size(name: str, then: Sequence[int], now: Sequence[int], where: str | PathLike[str]) -> None:
    """Refuse clicks that were made on an image of another size; sizes are heights and widths.

    Raises
    ------
    DataError
        If the sizes differ.

    Examples
    --------
    >>> check_size("a.png", (48, 64), (48, 64), "done")
    """
    (height, width), (rows, columns) = then, now
    if (height, width) != (rows, columns):
        raise DataError(
            f"{name!r} was {width} x {height} when it was annotated in {str(where)!r} and is {columns} x {rows} now; "
            "give the image of that size, or another folder for other images"
        )


@dataclass(frozen=True)
class Stage:
    """The mask after a click.

    Attributes
    ----------
    mask : run lengths
        At most `STAGE_SIDE` pixels wide or high.
    seconds : float
        From the click's turn to the mask.
    changed : float
        Share of the image that changed sides, in 0-1.
    iou : float or None
        With the truth, where it is known.
    """

    mask: Runs
    seconds: float
    changed: float
    iou: float | None = None


@dataclass(frozen=True)
class ObjectRecord:
    """An object, finished or at hand.

    Attributes
    ----------
    clicks : tuple of Click
    stages : tuple of (Stage or None)
        One for each click; None for a click that was answered together with the next.
    class_name : str
    adapt : str
        The adaptation when it was finished: "none", "IA", "SA" or "IA+SA".
    threshold : float
        Probability from which a pixel belonged to the object.
    seeds : int
        How many of the clicks, from the first, were not made by a person but stand for the mask that was started from.
    number : int
        Among all finished objects, in the order they were finished, from 1; 0 for the object at hand.
    start, mask : run lengths or None
        The mask that was started from, and the mask in the end, at the size of the image.

    Examples
    --------
    >>> record = ObjectRecord((Click(3, 4),), class_name="cat")
    >>> ObjectRecord.from_json(record.to_json()) == record
    True
    """

    clicks: tuple[Click, ...] = ()
    stages: tuple[Stage | None, ...] = ()
    class_name: str = "object"
    adapt: str = "none"
    threshold: float = 0.5
    seeds: int = 0
    number: int = 0
    start: Runs | None = field(default=None, repr=False)
    mask: Runs | None = field(default=None, repr=False)

    def to_json(self) -> dict[str, Any]:
        """As dicts, lists and numbers; clicks are ``[x, y, label]``."""
        clicks = [[c.x, c.y, int(c.positive)] for c in self.clicks]
        return asdict(self) | {"clicks": clicks, "stages": [None if s is None else asdict(s) for s in self.stages]}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ObjectRecord:
        """Read what `to_json` gave.

        Raises
        ------
        DataError
            If something is missing or of another kind.
        """
        try:
            clicks = tuple(Click(float(x), float(y), bool(label)) for x, y, label in content["clicks"])
            stages = tuple(None if stage is None else Stage(**stage) for stage in content["stages"])
            if stages and len(stages) != len(clicks):  # whoever writes a record by hand may leave them out
                raise ValueError(f"{len(clicks)} clicks, but {len(stages)} stages")
            record = cls(**{**content, "clicks": clicks, "stages": stages})
            kinds: dict[str, Any] = {"threshold": (int, float), "seeds": int, "number": int, "class_name": str, "adapt": str}
            for name, kind in kinds.items():
                if not isinstance(getattr(record, name), kind):
                    raise TypeError(f"{name} = {getattr(record, name)!r}")
            return record
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DataError(f"this is no record of clicks ({error!r:.200}); give a file that the widget has written") from error

    @property
    def ious(self) -> list[float]:
        """IoU after each click, empty if the truth is not known; a click answered with the next has that of the one before."""
        if all(stage is None or stage.iou is None for stage in self.stages):
            return []
        values: list[float] = []
        for stage in self.stages:
            last = values[-1] if values else 0.0
            values.append(last if stage is None or stage.iou is None else stage.iou)
        return values


def numbered(records: Sequence[ObjectRecord], size: tuple[int, int]) -> np.ndarray:
    """Which object each pixel belongs to: its number in the list, from 1, or 0; a later object lies over an earlier one.

    Parameters
    ----------
    records : sequence of ObjectRecord
        Of one image; those without a mask leave nothing.
    size : tuple of int
        Height and width of the image.

    Returns
    -------
    ndarray of uint16, (height, width)

    Examples
    --------
    >>> from ilsegkit.runs import encode_mask
    >>> numbered([ObjectRecord(mask=encode_mask(np.eye(2, dtype=bool)))], (2, 2)).tolist()
    [[1, 0], [0, 1]]
    """
    labels = np.zeros(size, np.uint16)
    for number, record in enumerate(records, 1):
        if record.mask is not None:
            labels[decode_mask(record.mask)] = number
    return labels


def read_clicks(clicks: str | PathLike[str], size: tuple[int, int] | None = None) -> ObjectRecord:
    """The record of clicks given as text like ``"120,80,1 30,40,0"``, or in a file of records; of several objects the last.

    Parameters
    ----------
    clicks : str or path
    size : tuple of int, optional
        Height and width of the image that they are for.

    Raises
    ------
    ClickError, DataError
        If it is neither, or the clicks were made on an image of another size.
    """
    path = Path(clicks)
    if path.suffix.lower() != ".json":
        return ObjectRecord(tuple(parse_clicks(str(clicks))))
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        records = [*content["objects"], *([content["open"]] if content.get("open") else [])]
        record = ObjectRecord.from_json(records[-1]) if records else None
        height, width = content.get("size") or size or (0, 0)  # whoever writes a record by hand may leave it out
    except FileNotFoundError:
        raise ClickError(f"there is no file {str(path)!r}; check the path, or write clicks like '120,80,1 30,40,0'") from None
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise DataError(f"{str(path)!r} is no record of clicks; give a file that the widget has written") from error
    if record is None:
        raise ClickError(f"{str(path)!r} has no object yet; give a file of an image with one")
    if not record.clicks:
        raise ClickError(f"the last object of {str(path)!r} has no clicks")
    if size is not None:
        check_size(content.get("image", path.stem), (height, width), size, path)
    return record
