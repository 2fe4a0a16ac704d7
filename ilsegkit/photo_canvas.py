"""A photo with its masks on an ipycanvas: the photo, the finished objects and the object at hand, each on a layer.

The canvas in the page remembers nothing, so what it shows is kept here, and a page that was opened or reloaded is one
`PhotoCanvas.redraw` away from showing it. The photo is sent once; a new mask is a few kilobytes of rectangles.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from ipycanvas import MultiCanvas
from ipycanvas.canvas import _CANVAS_MANAGER, COMMANDS
from scipy import ndimage

from .drawing import COLOURS, MASK_COLOURS, OBJECT_COLOURS, Colour, picture_file
from .images import resize_mask
from .rectangles import Rectangles, filled, outlined

__all__ = ["Look", "PhotoCanvas", "Window", "drawing"]

MOST = 2560  # pixels of a canvas, longest side

_LOCK = threading.RLock()


@contextmanager
def drawing() -> Iterator[None]:
    """Send what is drawn inside as one message, from any thread.

    ipycanvas's own `hold_canvas` is one global switch without a lock, and after an exception it stays on for good.
    """
    manager = _CANVAS_MANAGER
    with _LOCK:
        held, manager._caching = manager._caching, True
        if not held:
            manager._current_canvas = None  # a page that has just opened does not know which was drawn on last
        try:
            yield
            if not held:
                manager.flush()
        except BaseException:
            manager._commands_cache, manager._buffers_cache = [], []
            raise
        finally:
            manager._caching = held


class Window(NamedTuple):
    """A part of a photo, and how it is drawn.

    Attributes
    ----------
    left, top, right, bottom : int
        Its sides, in pixels of the photo.
    width, height : int
        The same in pixels that are told apart; of a large photo fewer than it has.
    factor : int
        How many pixels of the canvas one of them is wide and high.
    line : int
        How many pixels of the canvas an outline is wide.
    """

    left: int
    top: int
    right: int
    bottom: int
    width: int
    height: int
    factor: int
    line: int = 2

    @classmethod
    def of(cls, size: tuple[int, int], density: float, box: Sequence[float] | None = None, line: int = 2) -> Window:
        """The part that a box covers, or all, with about so many pixels of the canvas for each of the photo.

        Parameters
        ----------
        size : tuple of int
            Height and width of the photo.
        density : float
        box : sequence of float, optional
            Left, top, right, bottom; it is grown to whole pixels.
        line : int, optional

        Examples
        --------
        >>> Window.of((30, 40), 4.2, [3.5, -2, 10.2, 12])
        Window(left=3, top=0, right=11, bottom=12, width=8, height=12, factor=4, line=2)
        >>> Window.of((3000, 4000), 0.25)
        Window(left=0, top=0, right=4000, bottom=3000, width=1000, height=750, factor=1, line=2)
        """
        rows, columns = size
        x0, y0, x1, y1 = (0, 0, columns, rows) if box is None else box
        left, top = min(max(int(np.floor(x0)), 0), columns - 1), min(max(int(np.floor(y0)), 0), rows - 1)
        right, bottom = min(max(int(np.ceil(x1)), left + 1), columns), min(max(int(np.ceil(y1)), top + 1), rows)
        across, down = right - left, bottom - top
        density = min(density, MOST / max(across, down))
        shrink = min(1.0, density)
        wide, high = max(1, round(across * shrink)), max(1, round(down * shrink))
        return cls(left, top, right, bottom, wide, high, max(1, round(density)), line)

    def cut(self, mask: np.ndarray) -> np.ndarray:
        """This part of a mask or of numbered regions, (height, width), by nearest neighbour."""
        part = mask[self.top : self.bottom, self.left : self.right]
        return part if part.shape == (self.height, self.width) else resize_mask(part, self.height, self.width)

    def of_photo(self, photo: np.ndarray) -> np.ndarray:
        """This part of a photo, with all its pixels."""
        return np.ascontiguousarray(photo[self.top : self.bottom, self.left : self.right])


class Look(NamedTuple):
    """How the user wants to see the masks; with `changes`, also what the last click has turned."""

    opacity: float = 0.45
    colour: Colour = MASK_COLOURS[0]
    outline_only: bool = False
    show_mask: bool = True
    changes: bool = False


class _Region(NamedTuple):
    """What is drawn of a region: its inside, its outline, and that outline somewhat wider."""

    inside: Rectangles
    line: Rectangles
    border: Rectangles

    @classmethod
    def of(cls, region: np.ndarray, window: Window, dashed: bool = False) -> _Region:
        factor, line = window.factor, window.line
        return cls(filled(region, factor), outlined(region, factor, line, dashed), outlined(region, factor, 2 * line))

    def moved(self, right: int, down: int) -> _Region:
        """The same elsewhere, by pixels of the canvas."""
        return _Region(*(part.moved(right, down) for part in self))


class PhotoCanvas:
    """A window of a photo with what lies over it.

    Parameters
    ----------
    with_photo : bool, optional
        Whether the photo itself is drawn, too, or the masks alone.

    Attributes
    ----------
    canvas : ipycanvas.MultiCanvas
        To be put into the page.
    window : Window or None
        What is shown; None until `open`, and after `leave`.
    """

    def __init__(self, with_photo: bool = True) -> None:
        self.canvas = MultiCanvas(3 if with_photo else 2, width=1, height=1)
        self._photo_layer = self.canvas[0] if with_photo else None
        self._objects_layer, self._mask_layer = self.canvas[-2], self.canvas[-1]
        self.window: Window | None = None
        self._closed = False
        self._look = Look()
        self._file = b""
        self._objects: list[tuple[Colour, _Region]] = []
        self._mask: _Region | None = None
        self._changes: list[tuple[Colour, Rectangles]] = []

    def open(self, window: Window, photo: np.ndarray | None = None) -> None:
        """Show another window, or another photo; without masks, until they are shown."""
        with drawing():
            if self._closed:
                return  # a page cannot draw on a canvas that is gone, and would draw nothing any more
            self.window = window
            self._file = b"" if photo is None else picture_file(window.of_photo(photo), (window.width, window.height))
            self._objects, self._mask, self._changes = [], None, []
            # Setting a size sends it to every layer, and empties them all.
            width, height = window.width * window.factor, window.height * window.factor
            if (self.canvas.width, self.canvas.height) != (width, height):
                self.canvas.width, self.canvas.height = width, height
            self.redraw()

    def leave(self) -> None:
        """Show nothing any more, and let go of what was shown."""
        with drawing():
            if self.window is not None:
                self.open(Window(0, 0, 1, 1, 1, 1, 1))
                self.window = None

    def show_objects(self, labels: np.ndarray) -> None:
        """Show the finished objects: their numbers from 1, and 0 where there is none."""
        with drawing():
            if self.window is None:
                return
            labels, factor, self._objects = self.window.cut(labels), self.window.factor, []
            for index, box in enumerate(ndimage.find_objects(labels)):
                if box is not None:
                    down, right = (side.start * factor for side in box)
                    region = _Region.of(labels[box] == index + 1, self.window).moved(right, down)
                    self._objects.append((OBJECT_COLOURS[index % len(OBJECT_COLOURS)], region))
            self._draw_objects()

    def show_mask(self, mask: np.ndarray, before: np.ndarray, early: bool = False) -> None:
        """Show the object at hand, and what it was before the last click; dashed if the model is still learning."""
        with drawing():
            if self.window is None:
                return
            now, then = self.window.cut(mask), self.window.cut(before)
            self._mask = _Region.of(now, self.window, dashed=early)
            gained, lost = (filled(region, self.window.factor) for region in (now & ~then, then & ~now))
            self._changes = [(COLOURS["gained"], gained), (COLOURS["lost"], lost)]
            self._draw_mask()

    def show_look(self, look: Look) -> None:
        """Show the same otherwise."""
        with drawing():
            if look != self._look:
                self._look = look
                self.redraw(photo=False)

    def redraw(self, photo: bool = True) -> None:
        """Draw all, or all but the photo."""
        with drawing():
            if self.window is not None:
                if photo:
                    self._draw_photo(self.window.factor)
                self._draw_objects()
                self._draw_mask()

    def close(self) -> None:
        """Take it from the page."""
        self.window, self._closed = None, True
        for widget in [*self.canvas._canvases, self.canvas]:
            widget.close()

    # --- a layer each ---------------------------------------------------------------------------------------------------

    def _draw_photo(self, factor: int) -> None:
        layer = self._photo_layer
        if layer is not None and self._file:
            layer.clear()
            layer.save()
            layer.scale(factor)
            layer.image_smoothing_enabled = False  # pixels stay pixels
            # `put_image_data` does this, too, but sends a coarse JPEG or a large PNG.
            layer._canvas_manager.send_draw_command(layer, COMMANDS["putImageData"], [0, 0], [self._file])
            layer.restore()

    def _draw_objects(self) -> None:
        layer, look = self._objects_layer, self._look
        layer.clear()
        if not look.show_mask:
            return
        for colour, region in self._objects:
            if not (look.outline_only or look.changes):  # what has changed shall stand out
                self._fill(layer, region.inside, colour, look.opacity * 0.7)
            self._fill(layer, region.line, colour)

    def _draw_mask(self) -> None:
        layer, look = self._mask_layer, self._look
        layer.clear()
        if self._mask is None or not look.show_mask:
            return
        if not look.outline_only:
            self._fill(layer, self._mask.inside, look.colour, look.opacity * (0.6 if look.changes else 1))
        if look.changes:
            for colour, region in self._changes:
                self._fill(layer, region, colour, 0.75)
        self._fill(layer, self._mask.border, (255, 255, 255))
        self._fill(layer, self._mask.line, _dark(look.colour))

    @staticmethod
    def _fill(layer: Any, rectangles: Rectangles, colour: Colour, opacity: float = 1.0) -> None:
        if rectangles:
            layer.global_alpha = opacity
            layer.fill_style = "rgb({}, {}, {})".format(*colour)
            layer.fill_rects(*rectangles)


def _dark(colour: Colour) -> Colour:
    """For a line around a region of this colour."""
    red, green, blue = (round(0.55 * part) for part in colour)
    return red, green, blue
