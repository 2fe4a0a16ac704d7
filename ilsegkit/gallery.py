"""Several ways to segment on the same objects, with their masks: a table tells how much they differ, a look tells how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from tqdm.auto import tqdm

from .clicks import Click
from .data.sample import Sample
from .errors import DataError
from .evaluation import segment_object
from .metrics import iou
from .model import InteractiveSegmenter, load_model
from .session import Session

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Answers", "Gallery"]


class Answers(NamedTuple):
    """What the robot user clicked on an object, and the mask after each click."""

    clicks: list[Click]
    masks: list[np.ndarray]


class Gallery:
    """Let the robot user go through a few objects with several ways to segment, and keep every mask.

    Parameters
    ----------
    samples : sequence of Sample
        In the order in which SA learns from them. They and all masks stay in memory: a dozen objects, not a thousand.
    target_iou : float
        Above this an object is good enough, and left.
    model : InteractiveSegmenter, optional
        θ*; the bundled one if left out.
    methods : sequence of str, optional
        Of `ilsegkit.adaptation.MODES`.
    clicks : int, optional
        Clicks an object gets at most.
    progress : bool, optional
        Show a bar until it is done.

    Attributes
    ----------
    answers : dict of str to list of Answers
        For each method, object by object.

    Examples
    --------
    >>> image = np.full((48, 64, 3), 90, np.uint8)
    >>> image[10:30, 20:40] = 220
    >>> gallery = Gallery([Sample(image, image[..., 0] > 100, "square")], 0.5, methods=["none"], clicks=2)
    >>> [ax.get_title()[:5] for ax in gallery.figure().get_axes()]
    ['fixed']
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        target_iou: float,
        model: InteractiveSegmenter | None = None,
        methods: Sequence[str] = ("none", "IA", "SA"),
        clicks: int = 5,
        progress: bool = True,
    ) -> None:
        model = load_model() if model is None else model
        self.samples, self.clicks = list(samples), clicks
        sessions = {method: Session(model, method) for method in methods}
        self.answers: Mapping[str, list[Answers]] = {method: [] for method in methods}
        for sample in tqdm(self.samples, "looking closer", unit="object", disable=not progress, leave=False):
            for method, session in sessions.items():
                masks: list[np.ndarray] = []
                record = segment_object(sample, session, target_iou, clicks, on_mask=masks.append)
                made = [Click(x, y, bool(positive)) for x, y, positive in record["clicks"]]
                self.answers[method].append(Answers(made, masks))

    def figure(self, number: int = 1, clicks: int = 1) -> Figure:
        """The masks of an object after so many clicks, side by side; the white line is the truth.

        Parameters
        ----------
        number : int, optional
            Of the object, from 1.
        clicks : int, optional
            A method that was done earlier shows its last mask.

        Returns
        -------
        matplotlib.figure.Figure
        """
        import matplotlib.pyplot as plt

        from .plots import overlay

        if not 1 <= number <= len(self.samples):
            raise DataError(f"there is no object {number}; there are {len(self.samples)}, from 1")
        sample, count = self.samples[number - 1], len(self.answers)
        height, width = sample.mask.shape
        figure, axes = plt.subplots(
            1, count, figsize=(3.3 * count, 3.3 * height / width + 0.6), squeeze=False, layout="constrained"
        )
        for ax, (method, answers) in zip(axes[0], self.answers.items(), strict=True):
            made, masks = answers[number - 1]
            k = min(clicks, len(masks))
            mask = masks[k - 1] if k else np.zeros_like(sample.mask)
            title = f"{method}, {k} click{'s' * (k != 1)}: IoU {iou(mask, sample.mask, sample.ignore):.2f}"
            overlay(ax, sample.image, mask, made[:k], sample.mask, title=title.replace("none,", "fixed,"))
        figure.suptitle(f"object {number} of {len(self.samples)}", fontsize=10)
        return figure

    def show(self, number: int = 1, clicks: int = 1) -> None:
        """`figure` with a slider for the object and one for the clicks; in a notebook without a kernel a picture."""
        import ipywidgets

        from .teaching import live

        live(
            self.figure,
            number=ipywidgets.IntSlider(number, 1, len(self.samples), description="object"),
            clicks=ipywidgets.IntSlider(clicks, 1, self.clicks, description="clicks"),
        )
