"""The canvases of a widget: one for the model that learns and one for the fixed model, each with a sharper one to zoom in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .drawing import picture_file
from .photo_canvas import Look, PhotoCanvas, Window, drawing

__all__ = ["Answer", "Stage"]

SIDE = 1280  # about so many pixels of the canvas, longest side; as many as a notebook is wide


class Answer(NamedTuple):
    """A model's mask, and its mask before the last click, both bool, (height, width) of the photo."""

    mask: np.ndarray
    before: np.ndarray


class Stage:
    """Shows a photo, what a model makes of it and, beside that, what another does.

    Attributes
    ----------
    canvases : dict of str to ipycanvas.MultiCanvas
        To be put into the page: ``learning`` and ``fixed``, and over them ``learning_detail`` and ``fixed_detail``.
    """

    def __init__(self) -> None:
        self._learning, self._fixed = PhotoCanvas(), PhotoCanvas()
        self._learning_detail, self._fixed_detail = PhotoCanvas(with_photo=False), PhotoCanvas(with_photo=False)
        named = {"learning": self._learning, "learning_detail": self._learning_detail}
        named |= {"fixed": self._fixed, "fixed_detail": self._fixed_detail}
        self.canvases = {name: each.canvas for name, each in named.items()}
        self._all = list(named.values())
        self._photo = np.zeros((1, 1, 3), np.uint8)
        self._objects = np.zeros((1, 1), np.uint16)
        self._answers: tuple[Answer | None, Answer | None] = None, None
        # A page makes all four before it draws, so that one of them may speak for all.
        self._learning.canvas.on_client_ready(self.redraw)

    def open(self, photo: np.ndarray) -> None:
        """Show another photo, without masks."""
        with drawing():
            self._photo, self._answers = photo, (None, None)
            self._objects = np.zeros(photo.shape[:2], np.uint16)
            window = Window.of(photo.shape[:2], SIDE / max(photo.shape[:2]))
            self._learning.open(window, photo)
            for other in (self._fixed, self._learning_detail, self._fixed_detail):
                other.leave()

    def let_go(self) -> None:
        """Let go of what takes memory; the page shows what it shows, but no part more sharply."""
        with drawing():
            self._photo, self._answers = np.zeros((1, 1, 3), np.uint8), (None, None)
            self._objects = np.zeros((1, 1), np.uint16)

    def show_objects(self, labels: np.ndarray) -> None:
        """Show the finished objects: their numbers from 1, and 0 where there is none, (height, width) of the photo."""
        with drawing():
            self._objects = labels
            for canvas in self._all:
                canvas.show_objects(labels)

    def show_answers(self, learning: Answer, fixed: Answer | None = None) -> None:
        """Show the object at hand as the model sees it and, beside that, as the fixed model does."""
        with drawing():
            self._answers = learning, fixed
            if fixed is None:
                self._fixed.leave()
                self._fixed_detail.leave()
            else:
                if self._fixed.window is None and self._learning.window is not None:
                    self._show_on(self._fixed, self._learning.window, self._photo)
                if self._fixed_detail.window is None and self._learning_detail.window is not None:
                    self._show_on(self._fixed_detail, self._learning_detail.window)
            self._learning.show_mask(*learning)
            self._learning_detail.show_mask(*learning)
            if fixed is not None:
                self._fixed.show_mask(*fixed)
                self._fixed_detail.show_mask(*fixed)

    def show_early(self, learning: Answer) -> None:
        """Show what the model says before it has learned from the last click."""
        with drawing():
            self._learning.show_mask(*learning, early=True)
            self._learning_detail.show_mask(*learning, early=True)

    def drop_early(self) -> None:
        """Show the last answers again, without what was shown early."""
        learning, fixed = self._answers
        if learning is not None:
            self.show_answers(learning, fixed)

    def show_look(self, look: Look) -> None:
        """Show the same otherwise."""
        with drawing():
            for canvas in self._all:
                canvas.show_look(look)

    def part(self, box: Sequence[float], density: float, ratio: float) -> Window:
        """The part of the photo that a box covers.

        Parameters
        ----------
        box : sequence of float
            Left, top, right, bottom, in pixels of the photo.
        density : float
            Pixels of the screen for each of the photo.
        ratio : float
            Pixels of the screen for each that the page speaks of.
        """
        return Window.of(self._photo.shape[:2], density, box, line=2 * max(1, round(ratio)))

    def show_detail(self, window: Window) -> bytes:
        """Show a part more sharply, over the whole: the masks here, the photo by the file that is given."""
        with drawing():
            self._show_on(self._learning_detail, window)
            if self._answers[1] is not None:
                self._show_on(self._fixed_detail, window)
            return picture_file(window.of_photo(self._photo), (window.width, window.height))

    def _show_on(self, canvas: PhotoCanvas, window: Window, photo: np.ndarray | None = None) -> None:
        canvas.open(window, photo)
        canvas.show_objects(self._objects)
        answer = self._answers[canvas in (self._fixed, self._fixed_detail)]
        if answer is not None:
            canvas.show_mask(*answer)

    def leave_detail(self) -> None:
        """Show the photo as a whole again."""
        with drawing():
            self._learning_detail.leave()
            self._fixed_detail.leave()

    def redraw(self) -> None:
        """Draw all, for a page that has just opened: its canvases are empty."""
        with drawing():
            for canvas in self._all:
                canvas.redraw()

    def close(self) -> None:
        """Take all from the page."""
        with drawing():
            for canvas in self._all:
                canvas.close()
