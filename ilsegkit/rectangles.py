"""Masks as rectangles: a canvas fills thousands of them in a millisecond, and a message carries them in a few kilobytes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["Rectangles", "filled", "outlined"]

DASH = 24  # three times the length of a dash along a row, in pixels of the canvas


class Rectangles(NamedTuple):
    """Corners and sizes of rectangles, in pixels of a canvas, int16."""

    x: np.ndarray
    y: np.ndarray
    width: np.ndarray
    height: np.ndarray

    def __bool__(self) -> bool:
        return self.x.size > 0

    def moved(self, right: int, down: int) -> Rectangles:
        """The same elsewhere.

        Examples
        --------
        >>> [part.tolist() for part in filled(np.ones((1, 2), bool)).moved(5, 7)]
        [[5], [7], [2], [1]]
        """
        return self._replace(x=self.x + np.int16(right), y=self.y + np.int16(down))


def _runs(region: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, start and end of the runs of true pixels in each row."""
    rows, columns = region.shape
    padded = np.zeros((rows, columns + 2), bool)
    padded[:, 1:-1] = region
    changes = np.flatnonzero(padded[:, 1:] != padded[:, :-1])  # starts and ends take turns
    row, column = np.divmod(changes, columns + 1)
    return row[::2], column[::2], column[1::2]


def _rectangles(*parts: np.ndarray) -> Rectangles:
    return Rectangles(*(np.ascontiguousarray(part, np.int16) for part in np.broadcast_arrays(*parts)))


def filled(region: np.ndarray, factor: int = 1) -> Rectangles:
    """The true pixels of a mask, each so many pixels of the canvas wide and high.

    Examples
    --------
    >>> [part.tolist() for part in filled(np.array([[0, 1, 1, 0, 1]], bool), factor=2)]
    [[2, 8], [0, 0], [4, 2], [2, 2]]
    """
    row, start, end = _runs(region)
    return _rectangles(start * factor, row * factor, (end - start) * factor, np.array(factor))


def outlined(region: np.ndarray, factor: int = 1, line: int = 2, dashed: bool = False) -> Rectangles:
    """A line on the border of a mask, along the edges of its pixels; `line` is its width on the canvas, an even number.

    Examples
    --------
    >>> [part.tolist() for part in outlined(np.ones((1, 3), bool), factor=10)]
    [[-1, -1, -1, 29], [-1, 9, -1, -1], [32, 32, 2, 2], [2, 2, 12, 12]]
    """
    half = line // 2
    padded = np.pad(region, 1)
    horizontal, vertical = padded[1:] != padded[:-1], padded[:, 1:] != padded[:, :-1]
    if dashed:
        # By where a pixel is, not by how far along the border: so steps of a slanted border make dashes, too.
        y, x = np.ogrid[: padded.shape[0], : padded.shape[1]]
        gaps = (3 * x + 2 * y) * factor // DASH % 2 == 1
        horizontal, vertical = horizontal & gaps[1:], vertical & gaps[:, 1:]
    row, start, end = _runs(horizontal[:, 1:-1])
    column, top, bottom = _runs(vertical[1:-1].T)
    # Each reaches over its ends by half its width, so that corners are whole.
    x = np.concatenate([start, column]) * factor - half
    y = np.concatenate([row, top]) * factor - half
    width = np.concatenate([(end - start) * factor + line, np.full(column.shape, line)])
    height = np.concatenate([np.full(row.shape, line), (bottom - top) * factor + line])
    return _rectangles(x, y, width, height)
