"""Clicks as the network and the losses see them: maps at the network's input resolution.

Points are ``(x, y)`` in pixels of the map, with the centre of the top left pixel at ``(0, 0)``.
"""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from .clicks import Click

__all__ = ["IGNORED", "correction_map", "guidance_maps"]

#: Value of the pixels in a correction map that no click corrects (section 3.1 of the paper).
IGNORED = -1


def _disk(x: float, y: float, radius: float, height: int, width: int) -> tuple[slice, slice, np.ndarray] | None:
    """Rows, columns and boolean pattern of a disk; what lies beyond the border is cut off."""
    column, row, reach = round(x), round(y), int(radius)
    rows = slice(max(row - reach, 0), min(row + reach + 1, height))
    columns = slice(max(column - reach, 0), min(column + reach + 1, width))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return None
    dy, dx = np.ogrid[rows, columns]
    return rows, columns, (dy - row) ** 2 + (dx - column) ** 2 <= radius**2


def guidance_maps(clicks: Iterable[Click], height: int, width: int, radius: float = 3) -> Tensor:
    """The two guidance channels: a binary disk at every click, foreground first, background second.

    Parameters
    ----------
    clicks : iterable of Click
        In map coordinates. A click whose disk lies wholly outside leaves no trace.
    height, width : int
        Size of the map in pixels.
    radius : float, optional
        Radius of the disks in pixels; 3 in the paper (section 4.1).

    Returns
    -------
    Tensor
        ``(2, height, width)``, float32, values 0 and 1.

    Examples
    --------
    >>> from ilsegkit import Click
    >>> guidance_maps([Click(0, 0, positive=True)], 4, 5, radius=1)[0].int().tolist()
    [[1, 1, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]
    """
    maps = np.zeros((2, height, width), np.float32)
    for click in clicks:
        if (disk := _disk(click.x, click.y, radius, height, width)) is not None:
            rows, columns, pattern = disk
            maps[0 if click.positive else 1, rows, columns][pattern] = 1
    return torch.from_numpy(maps)


def correction_map(clicks: Iterable[Click], height: int, width: int, radius: float = 0) -> Tensor:
    """The corrections ``c`` of Eq. 2: 1 at foreground clicks, 0 at background clicks, -1 elsewhere.

    Parameters
    ----------
    clicks : iterable of Click
        In map coordinates. Where two clicks meet, the later one wins.
    height, width : int
        Size of the map in pixels.
    radius : float, optional
        0 corrects the clicked pixel alone, as the paper writes; larger values correct a disk.

    Returns
    -------
    Tensor
        ``(height, width)``, float32, values 1, 0 and -1.

    Examples
    --------
    >>> from ilsegkit import Click
    >>> correction_map([Click(0, 0, True), Click(1, 1, False)], 2, 2).int().tolist()
    [[1, -1], [-1, 0]]
    """
    corrections = np.full((height, width), IGNORED, np.float32)
    for click in clicks:
        if (disk := _disk(click.x, click.y, radius, height, width)) is not None:
            rows, columns, pattern = disk
            corrections[rows, columns][pattern] = 1 if click.positive else 0
    return torch.from_numpy(corrections)
