"""Segment by clicking, in a notebook: a photo on a canvas, the mask over it, and a model that learns in the background.

Three rules keep it simple. All state is kept here, and drawing only shows it, so that a reloaded page is one redraw
away. Whatever comes from the page is only noted, in a queue; one worker thread takes it from there, and is the only one
to touch the session. Nothing that goes wrong there is lost: it is shown in the line below the photo.
"""

from __future__ import annotations

import html
import logging
import threading
import time
import weakref
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import ipywidgets
import numpy as np

from .clicks import Click
from .errors import IlsegkitError, ImageError
from .images import read_image
from .photo_canvas import LONGEST_SIDE, PhotoCanvas
from .worker import Request, Worker

__all__ = ["ClickSegmenter"]

log = logging.getLogger(__name__)

MODES = {"fixed": "none", "IA": "IA", "SA": "SA", "IA+SA": "IA+SA"}
MODE_TIPS = [
    "The model stays as it is",
    "Image adaptation: learn from every click, forget it when the object is finished",
    "Sequence adaptation: learn from every finished object for those to come",
    "Both",
]
SHORTCUTS = {"z": "undo", "y": "redo", "r": "reset", "Enter": "finish"}
HINT = (
    "Click on the object; right click or Shift+click on what is not part of it. "
    "Keys on the photo: z undo, y redo, r reset, b object/background, Enter finish."
)


# Who uses a session, and a lock for the moment in which that changes.
_OWNERS: weakref.WeakKeyDictionary[Any, tuple[threading.Lock, weakref.ref[ClickSegmenter]]] = weakref.WeakKeyDictionary()


def _named(images: Any) -> dict[str, Any]:
    """One image, several, or a mapping, as a mapping from names that differ."""
    if isinstance(images, Mapping):
        # Not dict(images): a mapping may load its images when they are asked for.
        return {str(name): (images, name) for name in images}
    named: dict[str, Any] = {}
    for number, image in enumerate(images if isinstance(images, list | tuple) else [images], 1):
        name = Path(image).name if isinstance(image, str | PathLike) else f"image {number}"
        named[name if name not in named else f"{name} ({number})"] = ([image], 0)
    return named


# --- the widget -----------------------------------------------------------------------------------------------------


class ClickSegmenter(ipywidgets.VBox):
    """Segment objects in photos with the mouse, a pen, a finger or by code; shown by being a cell's last expression.

    Parameters
    ----------
    session : Session
        It belongs to the widget from now on; another widget for the same session takes it over.
    images : image, sequence of images, or mapping of str to image
        Paths, PIL images or arrays, see `ilsegkit.images.read_image`. Read when they are chosen.

    Attributes
    ----------
    session : Session
    masks : dict of str to list of ndarray of bool, (height, width)
        The finished objects of each image.

    Raises
    ------
    ImageError
        If there is no image, or the first cannot be read.

    Examples
    --------
    >>> from ilsegkit import Session
    >>> segmenter = ClickSegmenter(Session(adapt="none"), np.full((60, 80, 3), 200, np.uint8))
    >>> segmenter.click(40, 30)
    >>> segmenter.wait()
    >>> segmenter.mask.shape, segmenter.clicks
    ((60, 80), (Click(x=40.0, y=30.0, positive=True),))
    """

    _built = False  # ipywidgets closes what there is of a widget, too, if __init__ fails

    def __init__(self, session: Any, images: Any) -> None:
        self.session = session
        self._images = _named(images)
        if not self._images:
            raise ImageError("there is no image to click on; give one image, a list, or a dict of names and images")
        self.masks: dict[str, list[np.ndarray]] = {name: [] for name in self._images}

        self._worker = Worker(self._serve, self._report)
        self._guard = self._worker.guard  # for what is shown, which belongs together with the queue
        self._name = next(iter(self._images))
        self._photo = self._read(self._name)
        self._clicks: tuple[Click, ...] = ()
        self._mask = np.zeros(self._photo.shape[:2], bool)
        self._can_undo = self._can_redo = False
        self._last_step = 0.0
        self._failures: list[Exception] = []
        self._session_lock = self._take_over()

        self._build()
        canvas, events = self._canvas.widgets
        super().__init__([self._tools, canvas, self._actions, self._status, events])
        self._built = True
        self._ask("open", self._photo)

    def __repr__(self) -> str:
        return f"<ClickSegmenter: {self._name!r}, {len(self._clicks)} clicks, {len(self.masks[self._name])} finished objects>"

    # --- what code can do -------------------------------------------------------------------------------------------

    @property
    def mask(self) -> np.ndarray:
        """The object at hand, bool, (height, width) of the image."""
        with self._guard:
            return self._mask.copy()

    @property
    def clicks(self) -> tuple[Click, ...]:
        """The clicks of the object at hand that the model has answered."""
        with self._guard:
            return self._clicks

    def click(self, x: float, y: float, positive: bool = True) -> None:
        """Do what a click of the mouse does, at a pixel of the image; return at once, see `wait`."""
        self._ask("click", Click(float(x), float(y), bool(positive)))

    def undo(self) -> None:
        """Take back the last click."""
        self._ask("undo")

    def redo(self) -> None:
        """Bring back the click that was undone last."""
        self._ask("redo")

    def reset(self) -> None:
        """Drop all clicks of the object."""
        self._ask("reset")

    def finish(self) -> None:
        """Keep the mask in `masks`, let the model learn from the object, and be ready for the next."""
        self._ask("finish")

    def choose(self, name: str) -> None:
        """Go to another image, by its name; an object at hand is finished first."""
        if name not in self._images:
            raise ImageError(f"there is no image {name!r}; choose one of {', '.join(self._images)}")
        self._ask("choose", name)

    def stop(self) -> None:
        """Stop learning from the click at hand; what was learned so far is kept."""
        self._worker.stopping.set()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until everything asked for is done and drawn.

        Raises
        ------
        TimeoutError
            If it is not done after `timeout` seconds.
        Exception
            The first one that something asked for by code ended in; those of the mouse are only shown below the photo.
        """
        if not self._worker.wait(timeout):
            raise TimeoutError(f"the model is still at work after {timeout:g} seconds")
        with self._guard:
            failures, self._failures = self._failures, []
        if failures:
            raise failures[0]

    def close(self) -> None:
        """Take the widget from the page and let go of the session."""
        if self._built:
            self._retire()
        super().close()

    # --- building ---------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self._label = ipywidgets.ToggleButtons(
            options=[("● object", True), ("■ background", False)],
            tooltips=["Clicks mark the object (b)", "Clicks mark the background (b); so do right clicks and Shift+clicks"],
            style={"button_width": "auto"},
        )
        # A session may have been given settings of its own; they come back with their name.
        self._own_adaptation = {self.session.adapt: getattr(self.session, "adaptation", self.session.adapt)}
        options = list(MODES.items())
        if self.session.adapt not in MODES.values():
            options.append((self.session.adapt, self.session.adapt))
        self._mode = ipywidgets.ToggleButtons(
            options=options,
            value=self.session.adapt,
            tooltips=MODE_TIPS,
            style={"button_width": "auto"},
        )
        self._chooser = ipywidgets.Dropdown(options=list(self._images), value=self._name, layout={"width": "180px"})
        self._chooser.layout.display = None if len(self._images) > 1 else "none"
        mode = ipywidgets.HBox([ipywidgets.Label("Learning:"), self._mode], layout={"margin": "0 0 0 12px"})
        row = {"flex_flow": "row wrap", "margin": "0 0 4px 0"}
        self._tools = ipywidgets.HBox([self._chooser, self._label, mode], layout=row)

        def button(text: str, icon: str, tip: str, action: str | None = None) -> ipywidgets.Button:
            result = ipywidgets.Button(description=text, icon=icon, tooltip=tip, layout={"width": "auto"})
            result.on_click(lambda _: self.stop() if action is None else self._ask_by_hand(action))
            return result

        self._undo = button("Undo", "undo", "Take back the last click (z)", "undo")
        self._redo = button("Redo", "repeat", "Bring it back (y)", "redo")
        self._reset = button("Reset", "eraser", "Drop all clicks of this object (r)", "reset")
        self._finish = button("Finish object", "check", "Keep the mask and go on with another object (Enter)", "finish")
        self._finish.button_style = "primary"
        self._stop = button("Stop", "stop", "Stop learning from this click; what was learned so far is kept")
        self._progress = ipywidgets.IntProgress(layout={"width": "120px"})
        self._actions = ipywidgets.HBox(
            [self._undo, self._redo, self._reset, self._finish, self._stop, self._progress],
            layout=row | {"margin": "4px 0 0 0"},
        )

        # Below the photo and of fixed height: a line that grows above it would move it away under the mouse.
        self._status = ipywidgets.HTML(layout={"height": "46px", "max_width": f"{LONGEST_SIDE}px", "overflow": "auto"})

        self._canvas = PhotoCanvas(
            self._photo,
            masks=self._shown_masks,
            clicks=self._shown_clicks,
            on_click=self._on_click,
            on_key=self._on_key,
            on_error=self._report,
            shortcuts=["b", *SHORTCUTS],
        )
        self._mode.observe(self._on_mode, "value")
        self._chooser.observe(self._on_choice, "value")
        self._show_controls()
        self._say(HINT)

    def _take_over(self) -> threading.Lock:
        """Become the session's only user: running a cell twice makes two widgets for one session."""
        lock, previous = _OWNERS.get(self.session, (threading.Lock(), lambda: None))
        if (owner := previous()) is not None:
            owner._retire()
        _OWNERS[self.session] = (lock, weakref.ref(self))
        return lock

    def _retire(self) -> None:
        self._worker.retire()
        self._say("Another ClickSegmenter uses this session now. Run the cell again to get it back.")

    def _read(self, name: str) -> np.ndarray:
        container, key = self._images[name]
        return read_image(container[key])

    # --- what comes from the page, on whichever thread: noted, and answered with no more than a dot ---------------------

    def _on_click(self, x: int, y: int, background: bool) -> None:
        self._ask_by_hand("click", Click(x, y, self._label.value and not background))

    def _on_key(self, key: str) -> None:
        if key == "b":
            self._label.value = not self._label.value
        else:
            self._ask_by_hand(SHORTCUTS[key])

    def _on_mode(self, change: Any) -> None:
        if not self._worker.is_this_thread():  # which only puts the button back
            self._ask_by_hand("adapt", change.new)

    def _on_choice(self, change: Any) -> None:
        if not self._worker.is_this_thread():
            self._ask_by_hand("choose", change.new)

    def _ask_by_hand(self, action: str, value: Any = None) -> None:
        self._ask(action, value, self._name)

    def _ask(self, action: str, value: Any = None, seen: str | None = None) -> None:
        self._worker.ask(Request(action, value, seen))
        if action == "click":
            self._canvas.draw_clicks()  # the dot does not wait for the model

    # --- the worker: the only one to touch the session ------------------------------------------------------------------

    def _serve(self, request: Request) -> None:
        """Do what is asked and show how things are then; if it fails, the session is where it was."""
        self._show_controls()
        failure: Exception | None = None
        said = ""
        with self._session_lock:
            if self._worker.retired:
                return
            try:
                said = self._perform(request)
            except Exception as error:
                failure = error
            with self._guard:
                self._clicks, self._mask = tuple(self.session.clicks), self.session.mask.copy()
                self._can_undo, self._can_redo = self.session.can_undo, self.session.can_redo
                self._worker.answered()
        if self._worker.retired:
            return
        if failure is not None and request.seen is None:
            self._failures.append(failure)
        self._canvas.draw_masks()
        self._canvas.draw_clicks()
        self._show_controls()
        if failure is None:
            self._say(said)
        else:
            self._report(failure)

    def _perform(self, request: Request) -> str:
        """Do what is asked, and say what was done."""
        session, value = self.session, request.value
        match request.action:
            case "click":
                if request.seen not in (None, self._name):
                    return "That click was made on the photo before this one."
                start = time.perf_counter()
                session.click(value.x, value.y, value.positive, on_step=self._on_step)
                return f"{self._summary()} · {time.perf_counter() - start:.1f} s"
            case "undo" if not session.can_undo:
                return "There is no click to undo."
            case "undo":
                session.undo()
            case "redo" if not session.can_redo:
                return "There is no click to redo."
            case "redo":
                session.redo()
            case "reset":
                session.reset()
            case "finish":
                return self._finish_object()
            case "adapt":
                self._change_mode(value)
            case "open":
                session.set_image(value)
                return HINT
            case "choose":
                return self._change_image(value)
        return self._summary()

    def _finish_object(self) -> str:
        if not self.session.clicks:
            return "There is nothing to finish yet: click on an object first."
        mask = self.session.finish(on_step=self._on_step)
        with self._guard:
            self.masks[self._name].append(mask.copy())
        notice = f" {self.session.notice}" if self.session.notice else ""
        return (
            f"Object {len(self.masks[self._name])} of {self._name!r} is finished and kept in .masks. Click on the next.{notice}"
        )

    def _change_mode(self, mode: str) -> None:
        try:
            self.session.adapt = self._own_adaptation.get(mode, mode)
        finally:
            self._mode.value = self.session.adapt

    def _change_image(self, name: str) -> str:
        if name == self._name:
            return self._summary()
        try:
            photo = self._read(name)
            said = self._finish_object() if self.session.clicks else HINT
            self.session.set_image(photo)
            with self._guard:
                self._name, self._photo = name, photo
                self._clicks, self._mask = (), np.zeros(photo.shape[:2], bool)
        finally:
            self._chooser.value = self._name
        self._canvas.open(photo)
        return said

    def _on_step(self, step: int, steps: int) -> bool:
        """Show the progress; go on unless stopped, or overtaken: the next click learns from this one, too."""
        now = time.perf_counter()
        if step == 0 or now - self._last_step > 0.05:
            self._last_step = now
            self._progress.max, self._progress.value = steps, step
        return not (self._worker.stopping.is_set() or self._worker.overtaken())

    # --- showing: from what is kept here, never from the session --------------------------------------------------------

    def _shown_masks(self) -> tuple[np.ndarray, list[np.ndarray]]:
        with self._guard:
            return self._mask, list(self.masks[self._name])

    def _shown_clicks(self) -> list[Click]:
        """The clicks that the model has answered, and those it will answer."""
        with self._guard:
            asked = [r.value for r in self._worker.waiting() if r.action == "click" and r.seen in (None, self._name)]
            return [*self._clicks, *asked]

    def _show_controls(self) -> None:
        with self._guard:
            waiting = self._worker.waiting()
            clicks = bool(self._clicks) or any(r.action == "click" for r in waiting)
            undo, redo = self._can_undo or clicks, self._can_redo
            learning = bool(waiting) and waiting[0].action in ("click", "finish")
        self._undo.disabled, self._redo.disabled = not undo, not redo
        self._reset.disabled = self._finish.disabled = not clicks
        self._stop.disabled = not learning
        self._progress.layout.visibility = "visible" if learning else "hidden"
        if not learning:
            self._progress.value = 0

    def _summary(self) -> str:
        session = self.session
        count = len(session.clicks)
        if not count:
            return HINT
        mode = next((name for name, value in MODES.items() if value == session.adapt), session.adapt)
        said = f"{count} click{'s' * (count > 1)} · {session.mask.mean():.1%} of the photo · {mode}"
        return f"{said} · {session.notice}" if session.notice else said

    def _say(self, text: str, style: str = "") -> None:
        self._status.value = f'<div style="line-height: 1.4; {style}">{html.escape(text)}</div>'

    def _report(self, error: Exception) -> None:
        """Show an error below the photo. Ours say what to do; for others there is a trace in the log."""
        if isinstance(error, IlsegkitError):
            text = str(error)
        else:
            text = f"{type(error).__name__}: {error}"
            log.error("something went wrong in a ClickSegmenter", exc_info=error)
        self._say(f"⚠ {text}", "color: #d55e00; font-weight: bold")
