"""Plays what is sent to ipycanvases, as a page would: so a test can look at the pixels without a browser."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from ipycanvas.canvas import _CANVAS_MANAGER, COMMANDS
from ipywidgets.widgets.widget import _instances
from PIL import Image, ImageColor

NAMES = {number: name for name, number in COMMANDS.items()}


class CanvasPlayer:
    """A page: it knows only the drawing that has been sent since it was opened, and keeps it by layer."""

    def __init__(self) -> None:
        self.layers: dict[str, np.ndarray] = {}
        self.messages: list[int] = []  # bytes of each
        self.commands: list[str] = []
        self._current, self._style, self._alpha = "", (0, 0, 0), 1.0

    def play(self, metadata, buffers) -> None:
        commands = json.loads(bytes(buffers[0]))
        self.messages.append(sum(len(bytes(buffer)) for buffer in buffers))
        self._current = ""  # a page that has just opened does not know which canvas was drawn on last
        rest = iter(buffers[1:])
        for command in commands if isinstance(commands[0], list) else [commands]:
            number, arguments, count = [*command, [], 0][:3]
            self._do(NAMES[number], arguments or [], [bytes(next(rest)) for _ in range(count or 0)])
        assert next(rest, None) is None

    def _do(self, name, arguments, buffers) -> None:
        self.commands.append(name)
        if name == "switchCanvas":
            self._current = arguments[0].removeprefix("IPY_MODEL_")
            return
        assert self._current, "drawn before a canvas was chosen"
        canvas = _instances[self._current]
        shape = (canvas.height, canvas.width, 4)
        layer = self.layers.get(self._current)
        if layer is None or layer.shape != shape:
            layer = self.layers[self._current] = np.zeros(shape, np.float32)
        if name == "clear":
            layer[:] = 0
        elif name == "set":
            attribute, value = arguments
            if attribute == canvas.ATTRS["fill_style"]:
                self._style = ImageColor.getrgb(value)
            elif attribute == canvas.ATTRS["global_alpha"]:
                self._alpha = value
        elif name == "fillRects":
            parts = [np.frombuffer(buffer, argument["dtype"]) for argument, buffer in zip(arguments, buffers, strict=True)]
            for x, y, width, height in zip(*parts, strict=True):
                part = layer[max(y, 0) : y + height, max(x, 0) : x + width]
                part[..., :3] = self._alpha * np.array(self._style) + (1 - self._alpha) * part[..., :3]
                part[..., 3] = self._alpha + (1 - self._alpha) * part[..., 3]
        elif name == "putImageData":
            photo = np.asarray(Image.open(io.BytesIO(buffers[0])).convert("RGB"))
            factor = layer.shape[0] // photo.shape[0]
            layer[..., :3] = photo.repeat(factor, 0).repeat(factor, 1)
            layer[..., 3] = 1
        else:
            assert name in ("save", "restore", "scale"), name

    def layer(self, canvas, index) -> np.ndarray:
        """What is on a layer of a `MultiCanvas`: red, green, blue and alpha in 0-1, premultiplied."""
        return self.layers.get(canvas[index].model_id, np.zeros((canvas.height, canvas.width, 4), np.float32))


def mask_of(player: CanvasPlayer, canvas, rows: int) -> np.ndarray:
    """Which pixels of a photo with so many rows are seen to be in the mask; the canvas shows all of it, enlarged."""
    factor = canvas.height // rows
    middle = slice(factor // 2, None, factor)  # beside the lines
    return player.layer(canvas, -1)[middle, middle, 3] > 0


@contextmanager
def played() -> Iterator[CanvasPlayer]:
    """While this lasts, drawing goes to a `CanvasPlayer` instead of a page."""
    player = CanvasPlayer()
    _CANVAS_MANAGER.send, send = lambda content, buffers=(): player.play(content, buffers), _CANVAS_MANAGER.send
    try:
        yield player
    finally:
        _CANVAS_MANAGER.send = send
