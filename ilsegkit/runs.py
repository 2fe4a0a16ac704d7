"""Masks as COCO's run lengths (pycocotools), which trusts what it is given: here it is checked first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pycocotools import mask as coco

from .errors import DataError

__all__ = ["Runs", "check_runs", "decode_mask", "encode_mask"]

Runs = Mapping[str, Any]  # {"size": [height, width], "counts": str}


def encode_mask(mask: np.ndarray) -> dict[str, Any]:
    """A mask as COCO's run lengths, fit for JSON.

    Examples
    --------
    >>> runs = encode_mask(np.eye(3, dtype=bool))
    >>> runs["size"], decode_mask(runs).sum()
    ([3, 3], np.int64(3))
    """
    runs = coco.encode(np.asfortranarray(mask, np.uint8))
    return {"size": [int(side) for side in runs["size"]], "counts": runs["counts"].decode("ascii")}


def decode_mask(runs: Runs) -> np.ndarray:
    """The mask, bool, (height, width).

    Raises
    ------
    DataError
        If these are no run lengths.
    """
    try:
        check_runs(runs)
        return coco.decode({"size": runs["size"], "counts": runs["counts"]}).astype(bool)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"these are no run lengths of a mask ({error!r:.100}); was the record edited by hand?") from error


def check_runs(runs: Runs) -> None:
    """Refuse compressed run lengths that do not fill their image; pycocotools would show memory that is not its own.

    A number is five bits to a character, from "0" on, the lowest first, with a sixth bit where it goes on and a sign in the
    last; from the fourth on, each is told as the difference to the one two before (``rleFrString`` of
    https://github.com/cocodataset/cocoapi/blob/master/common/maskApi.c).

    Raises
    ------
    ValueError

    Examples
    --------
    >>> check_runs({"size": [3, 3], "counts": "0132"})
    Traceback (most recent call last):
    ...
    ValueError: run lengths do not add up to 3 x 3 pixels
    """
    counts, (rows, columns) = runs["counts"], runs["size"]
    codes = np.frombuffer(counts.encode("ascii") if isinstance(counts, str) else counts, np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero(~codes & 32)
    if not len(codes) or codes.min() < 0 or codes.max() > 63 or ends[-1:] != [len(codes) - 1]:
        raise ValueError("run lengths have letters that mean nothing")
    lengths = np.diff(ends, prepend=-1)
    if lengths.max() > 7:  # 32 bits
        raise ValueError("run lengths have a number without end")
    starts = ends - lengths + 1
    place = np.arange(len(codes)) - np.repeat(starts, lengths)
    values = np.add.reduceat((codes & 31) << (5 * place), starts)
    values -= np.where(codes[ends] & 16, 1 << (5 * lengths), 0)
    values[1::2] = values[1::2].cumsum()
    values[2::2] = values[2::2].cumsum()
    if min(rows, columns) < 0 or (values < 0).any() or values.sum() != rows * columns:
        raise ValueError(f"run lengths do not add up to {columns} x {rows} pixels")
