"""What the page shows: one anywidget whose traits hold all of it, so that a reloaded page or a second view has it at once.

Traffic goes one way on each path. What is shown goes to the page as traits; what the mouse, the keys and the buttons do
comes from the page as messages, on whichever thread. The drawing is done by the JavaScript in ``frontend``.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets
from PIL import Image

from .drawing import COLOURS, MASK_COLOURS, OBJECT_COLOURS
from .records import shrunk

__all__ = ["Page", "label_map", "packed", "photo_bytes", "tile"]

FRONTEND = Path(__file__).with_name("frontend")
SCRIPTS = ("icons.js", "picture.js", "pane.js", "input.js", "toolbar.js", "panel.js", "album.js", "widget.js")

PHOTO_SIDE = 1536  # of the photo as it is sent at first; where the user zooms in, the page asks for all pixels
MASK_SIDE = 1024
LOSSLESS = 400_000  # pixels up to which a photo is sent as PNG


def photo_bytes(pixels: np.ndarray, size: tuple[int, int] | None = None) -> bytes:
    """A picture as a file: PNG if it is small, else JPEG of good quality."""
    picture = Image.fromarray(pixels)
    if size is not None and size != picture.size:
        picture = picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    target = io.BytesIO()
    if picture.width * picture.height <= LOSSLESS:
        picture.save(target, format="PNG", compress_level=1)
    else:
        picture.save(target, format="JPEG", quality=90, subsampling=0)
    return target.getvalue()


def tile(pixels: np.ndarray, box: Sequence[float], size: Sequence[float]) -> tuple[list[int], bytes]:
    """A part of a photo, ``[left, top, right, bottom]`` grown to whole pixels, at no more than so many pixels.

    Examples
    --------
    >>> tile(np.zeros((30, 40, 3), np.uint8), [3.5, -2, 10.2, 12], [100, 100])[0]
    [3, 0, 11, 12]
    """
    height, width = pixels.shape[:2]
    left, top = (min(max(int(np.floor(value)), 0), most - 1) for value, most in zip(box[:2], (width, height), strict=True))
    right = min(max(int(np.ceil(box[2])), left + 1), width)
    bottom = min(max(int(np.ceil(box[3])), top + 1), height)
    scale = min(1.0, float(size[0]) / (right - left), float(size[1]) / (bottom - top))
    wanted = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
    return [left, top, right, bottom], photo_bytes(np.ascontiguousarray(pixels[top:bottom, left:right]), wanted)


def packed(mask: np.ndarray) -> bytes:
    """A mask as bits, row by row without gaps, at most `MASK_SIDE` pixels wide or high."""
    return np.packbits(shrunk(mask, MASK_SIDE)).tobytes()


def label_map(masks: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """Numbers of the masks, from 1, as uint8, at the size of `packed`; a later mask lies over an earlier one.

    Examples
    --------
    >>> label_map([np.array([[1, 1, 0]], bool), np.array([[0, 1, 0]], bool)], (1, 3)).tolist()
    [[1, 2, 0]]
    """
    labels = np.zeros(shrunk(np.broadcast_to(np.False_, size), MASK_SIDE).shape, np.uint8)
    for number, mask in enumerate(masks):
        labels[shrunk(mask, MASK_SIDE)] = number % 255 + 1
    return labels


class Page(anywidget.AnyWidget):
    """The traits of the page, by what they show. Lists and dicts are replaced, never changed."""

    _esm = "\n".join((FRONTEND / name).read_text(encoding="utf-8") for name in SCRIPTS)
    _css = (FRONTEND / "widget.css").read_text(encoding="utf-8")

    # The photo, and what lies over it.
    photo = traitlets.Bytes().tag(sync=True)
    photo_info = traitlets.Dict().tag(sync=True)  # name, width, height
    layers = traitlets.Dict().tag(sync=True)  # size, early, and bits: mask, before, fixed, fixed_before
    points: Any = traitlets.List().tag(sync=True)  # x, y, positive, answered
    objects = traitlets.Dict().tag(sync=True)  # size, labels, items
    # Around it.
    state = traitlets.Dict().tag(sync=True)
    progress: Any = traitlets.List().tag(sync=True)  # step, steps
    message = traitlets.Dict().tag(sync=True)  # text, kind
    film: Any = traitlets.List().tag(sync=True)  # name, objects, for each image
    insights = traitlets.Dict().tag(sync=True)
    target = traitlets.Bytes().tag(sync=True)
    fixed_settings = traitlets.Dict().tag(sync=True)
    # What the user has set.
    tool = traitlets.Enum(["object", "background", "erase"], "object").tag(sync=True)
    opacity = traitlets.Float(0.45).tag(sync=True)
    outline_only = traitlets.Bool(False).tag(sync=True)
    show_mask = traitlets.Bool(True).tag(sync=True)
    show_points = traitlets.Bool(True).tag(sync=True)
    colour = traitlets.Int(0).tag(sync=True)  # of `MASK_COLOURS`
    compare = traitlets.Bool(False).tag(sync=True)
    panel = traitlets.Bool(False).tag(sync=True)

    #: What the page may set by a message.
    SETTINGS = ("tool", "opacity", "outline_only", "show_mask", "show_points", "colour", "compare", "panel")

    def __init__(self, **settings: Any) -> None:
        self._showing = threading.RLock()
        colours = {"colours": COLOURS, "mask_colours": MASK_COLOURS, "object_colours": OBJECT_COLOURS}
        super().__init__(fixed_settings=settings | colours)

    def show(self, **values: Any) -> None:
        """Change traits, from any thread, and send those that differ as one message."""
        with self._showing, self.hold_sync():
            for name, value in values.items():
                setattr(self, name, value)
