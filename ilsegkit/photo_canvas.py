"""A photo to click on, with masks over it: three layers of an ipycanvas, and the events of `ilsegkit.canvas_events`.

The canvas in the page remembers nothing, so nothing is kept there either: masks and clicks are asked for at the moment
they are drawn, and a page that is opened or reloaded is one redraw away from showing them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import numpy as np
from ipycanvas import MultiCanvas
from ipycanvas.canvas import _CANVAS_MANAGER
from PIL import Image
from scipy import ndimage

from .canvas_events import CanvasEvents
from .clicks import Click

__all__ = ["PhotoCanvas"]

LONGEST_SIDE = 640  # of the photo on the screen, in pixels

# Okabe and Ito's colours, which colour-blind people tell apart; the two kinds of click differ in shape, too.
BLUE, ORANGE, SKY, GREEN = (0, 114, 178), (230, 159, 0), (86, 180, 233), (0, 158, 115)

_DRAWING = threading.RLock()


@contextmanager
def _drawing() -> Iterator[None]:
    """Send what is drawn inside as one message, from any thread.

    ipycanvas's own `hold_canvas` is one global switch without a lock, and after an exception it stays on for good.
    """
    with _DRAWING:
        before, _CANVAS_MANAGER._caching = _CANVAS_MANAGER._caching, True
        try:
            yield
        finally:
            try:
                _CANVAS_MANAGER.flush()
            finally:
                _CANVAS_MANAGER._commands_cache, _CANVAS_MANAGER._buffers_cache = [], []
                _CANVAS_MANAGER._caching = before


def _fit(mask: np.ndarray, width: int, height: int) -> np.ndarray:
    """The mask at another size, by nearest neighbour."""
    rows = ((np.arange(height) + 0.5) * mask.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * mask.shape[1] / width).astype(int)
    return mask[rows][:, columns]


def _mask_picture(mask: np.ndarray, finished: Sequence[np.ndarray], width: int, height: int) -> np.ndarray:
    """RGBA of the masks: finished objects in green, the one at hand in blue with a line that shows on dark and on light."""
    picture = np.zeros((height, width, 4), np.uint8)
    for region, fill, line in [*((other, (*GREEN, 70), GREEN) for other in finished), (mask, (*SKY, 105), BLUE)]:
        region = _fit(region, width, height)
        picture[region] = fill
        picture[region & ~ndimage.binary_erosion(region, iterations=2, border_value=1)] = (*line, 255)
        if region.any() and line is BLUE:
            picture[ndimage.binary_dilation(region) & ~region] = 255
    return picture


class PhotoCanvas:
    """A photo that reports clicks and keys, and shows masks and clicks.

    Parameters
    ----------
    photo : ndarray of uint8, (height, width, 3)
    masks : callable
        Gives the mask at hand and a list of finished ones, all bool, (height, width).
    clicks : callable
        Gives the clicks to show.
    on_click : callable
        Called with ``(x, y, background)``: the pixel of the photo, and whether it was a right click or the like.
    on_key : callable
        Called with the name of a key, one of `shortcuts`.
    on_error : callable
        Called with an exception of one of the above: ipywidgets would drop it.
    shortcuts : list of str
        Keys to report; all others stay with the page.

    Attributes
    ----------
    widgets : tuple of Widget
        To be put into the page together.
    """

    def __init__(
        self,
        photo: np.ndarray,
        masks: Callable[[], tuple[np.ndarray, Sequence[np.ndarray]]],
        clicks: Callable[[], Iterable[Click]],
        on_click: Callable[[int, int, bool], object],
        on_key: Callable[[str], object],
        on_error: Callable[[Exception], object],
        shortcuts: Sequence[str] = (),
    ) -> None:
        self._masks, self._clicks = masks, clicks
        self._on_click, self._on_key, self._on_error = on_click, on_key, on_error
        self._photo = photo
        self._page_is_there = False  # nothing is sent before
        css_class = f"ilsegkit-{uuid4().hex}"
        # No padding, border or stretching: they would shift the clicks. A smaller scale is fine: events come in shares.
        self.canvas = MultiCanvas(3, layout={"align_self": "flex-start", "max_width": "100%"})
        self.canvas.add_class("ilsegkit-canvas")
        self.canvas.add_class(css_class)
        self.canvas.on_client_ready(self._on_client_ready)
        self.events = CanvasEvents(css_class=css_class, shortcuts=list(shortcuts), layout={"display": "none"})
        self.events.on_msg(self._on_message)
        self.widgets = (self.canvas, self.events)
        self.open(photo)

    def open(self, photo: np.ndarray) -> None:
        """Show a photo, with its masks and clicks."""
        with _drawing():
            self._photo = photo
            height, width = photo.shape[:2]
            scale = LONGEST_SIDE / max(height, width)
            self.canvas.width, self.canvas.height = max(1, round(width * scale)), max(1, round(height * scale))
            self.draw_photo()
            self.draw_masks()
            self.draw_clicks()

    def draw_photo(self) -> None:
        """Send the photo; once is enough, until a page is opened."""
        with _drawing():
            if self._page_is_there:
                size = (self.canvas.width, self.canvas.height)
                picture = Image.fromarray(self._photo).resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
                self.canvas[0].clear()
                # With alpha it is sent as a PNG, without as a JPEG of poor quality.
                self.canvas[0].put_image_data(np.asarray(picture.convert("RGBA")))

    def draw_masks(self) -> None:
        """Show the masks as they are now."""
        with _drawing():
            if self._page_is_there:
                mask, finished = self._masks()
                self.canvas[1].clear()
                if finished or mask.any():
                    self.canvas[1].put_image_data(_mask_picture(mask, finished, self.canvas.width, self.canvas.height))

    def draw_clicks(self) -> None:
        """Show the clicks as they are now."""
        with _drawing():
            if self._page_is_there:
                # Asked for inside the lock: of two threads, the one that draws last draws the newest.
                clicks = list(self._clicks())
                self.canvas[2].clear()
                for click in clicks:
                    self._draw_click(self.canvas[2], click)

    def _draw_click(self, layer: Any, click: Click) -> None:
        """A blue disk with a plus, or an orange square with a minus."""
        height, width = self._photo.shape[:2]
        if not (-0.5 <= click.x <= width - 0.5 and -0.5 <= click.y <= height - 0.5):
            return  # the session will say what is wrong with it; NaN would stop the page's drawing for good
        x, y = (click.x + 0.5) * self.canvas.width / width, (click.y + 0.5) * self.canvas.height / height
        layer.line_width = 2
        if click.positive:
            layer.fill_style, layer.stroke_style = f"rgb{BLUE}", "white"
            layer.fill_circle(x, y, 7)
            layer.stroke_circle(x, y, 7)
            layer.stroke_line(x, y - 4, x, y + 4)
        else:
            layer.fill_style, layer.stroke_style = f"rgb{ORANGE}", "black"
            layer.fill_rect(x - 6, y - 6, 12, 12)
            layer.stroke_rect(x - 6, y - 6, 12, 12)
        layer.stroke_line(x - 4, y, x + 4, y)

    # --- what comes from the page, on whichever thread ------------------------------------------------------------------

    def _on_client_ready(self) -> None:
        """A page has opened or been reloaded: its canvas is empty, and it does not know which layer was drawn on last."""
        try:
            with _drawing():
                self._page_is_there = True
                _CANVAS_MANAGER._current_canvas = None
                self.draw_photo()
                self.draw_masks()
                self.draw_clicks()
        except Exception as error:
            self._on_error(error)

    def _on_message(self, _: Any, content: dict[str, Any], buffers: Any) -> None:
        try:
            if content.get("event") == "click":
                height, width = self._photo.shape[:2]
                # Shares of the canvas; its very edge may come out as 1 or just below 0.
                x = min(max(int(content["x"] * width), 0), width - 1)
                y = min(max(int(content["y"] * height), 0), height - 1)
                self._on_click(x, y, content["background"])
            elif content.get("event") == "key":
                self._on_key(content["key"])
        except Exception as error:
            self._on_error(error)
