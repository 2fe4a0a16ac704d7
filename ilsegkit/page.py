"""What the page shows: ipycanvases with the photo and the masks, and an anywidget around and above them.

Traffic goes one way on each path. What is shown goes to the page, as drawing on the canvases and as traits of the frame;
what the mouse, the keys and the buttons do comes from the page as messages, on whichever thread. The JavaScript in
``frontend`` makes the frame, and a clear sheet over the canvases that takes the clicks and shows them as points at once.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from ipywidgets import widget_serialization

from .drawing import COLOURS, MASK_COLOURS, OBJECT_COLOURS
from .photo_canvas import Look
from .stage import Stage

__all__ = ["Page"]

FRONTEND = Path(__file__).with_name("frontend")
SCRIPTS = ("icons.js", "pane.js", "input.js", "toolbar.js", "panel.js", "album.js", "widget.js")


class Page(anywidget.AnyWidget):
    """The traits of the page, by what they show. Lists and dicts are replaced, never changed."""

    _esm = "\n".join((FRONTEND / name).read_text(encoding="utf-8") for name in SCRIPTS)
    _css = (FRONTEND / "widget.css").read_text(encoding="utf-8")

    # The photo, and what lies over it.
    canvases = traitlets.Dict().tag(sync=True, **widget_serialization)  # of the stage, by name
    photo_info = traitlets.Dict().tag(sync=True)  # name, width, height, and how many of its pixels the canvas has
    detail = traitlets.Dict().tag(sync=True)  # the part that is drawn more sharply, as one view asked for it
    points: Any = traitlets.List().tag(sync=True)  # x, y, positive, answered
    objects: Any = traitlets.List().tag(sync=True)  # number, class_name, clicks, of each finished object
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
        self.stage = Stage()
        colours = {"colours": COLOURS, "mask_colours": MASK_COLOURS, "object_colours": OBJECT_COLOURS}
        super().__init__(fixed_settings=settings | colours, canvases=self.stage.canvases)
        self.observe(
            lambda _: self.stage.show_look(self._look()), ["opacity", "outline_only", "show_mask", "colour", "compare"]
        )

    @traitlets.validate("opacity", "colour")
    def _within(self, proposal: Any) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        most = {"opacity": 1, "colour": len(MASK_COLOURS) - 1}[name]
        if not 0 <= value <= most:
            raise traitlets.TraitError(f"{name} is from 0 to {most}, not {value:g}")
        return value

    def _look(self) -> Look:
        colour = MASK_COLOURS[self.colour]
        return Look(self.opacity, colour, self.outline_only, self.show_mask, self.compare)

    def show(self, **values: Any) -> None:
        """Change traits, from any thread, and send those that differ as one message."""
        with self._showing, self.hold_sync():
            for name, value in values.items():
                setattr(self, name, value)
