"""The paper's figures: masks over photos, strips of masks click by click (Fig. 4), IoU@k and learning curves (Fig. 3 and 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .clicks import Click
from .drawing import COLOURS
from .evaluation import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["at_least", "iou_curves", "learning_curves", "overlay", "strip"]

#: A style for each way to segment, the same in all figures.
STYLES: dict[str, dict[str, Any]] = {
    "initial": {"color": "#555555", "linestyle": "--", "marker": "o"},
    "IA": {"color": "#0072b2", "marker": "s"},
    "SA": {"color": "#d55e00", "marker": "^"},
    "IA+SA": {"color": "#009e73", "marker": "D"},
    "IA without corrections": {"color": "#56b4e9", "linestyle": ":", "marker": "s"},
    "SA without corrections": {"color": "#e69f00", "linestyle": ":", "marker": "^"},
}


def _rgb(name: str) -> np.ndarray:
    return np.array(COLOURS[name]) / 255


def overlay(
    ax: Axes,
    image: np.ndarray,
    mask: np.ndarray | None = None,
    clicks: Sequence[Click] = (),
    truth: np.ndarray | None = None,
    before: np.ndarray | None = None,
    title: str = "",
) -> None:
    """Draw a photo with a mask over it: blue disks are clicks on the object, orange squares on the background.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    image : ndarray of uint8, (height, width, 3)
    mask : ndarray of bool, (height, width), optional
        In blue. If `before` is given: green where it gained, vermilion where it lost.
    clicks : sequence of Click, optional
    truth : ndarray of bool, (height, width), optional
        Its border, as a white line.
    before : ndarray of bool, (height, width), optional
        The mask one click earlier.
    title : str, optional

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> image = np.zeros((20, 30, 3), np.uint8)
    >>> overlay(plt.figure().subplots(), image, image[..., 0] == 0, [Click(3, 4)], title="all of it")
    """
    ax.imshow(image)
    if mask is not None:
        layer = np.zeros((*mask.shape, 4))
        layer[mask] = (*_rgb("object"), 0.45)
        if before is not None:
            layer[mask & ~before] = (*_rgb("gained"), 0.65)
            layer[before & ~mask] = (*_rgb("lost"), 0.75)
        ax.imshow(layer)
    if truth is not None and truth.any() and not truth.all():
        ax.contour(truth, levels=[0.5], colors="black", linewidths=2.2)
        ax.contour(truth, levels=[0.5], colors="white", linewidths=1.2)
    for positive, marker, colour, edge in ((True, "o", "object", "white"), (False, "s", "background", "black")):
        points = [(c.x, c.y) for c in clicks if c.positive == positive]
        if points:
            x, y = zip(*points, strict=True)
            ax.scatter(x, y, s=55, marker=marker, color=[_rgb(colour)], edgecolors=edge, linewidths=1.3, zorder=3)
    ax.set_title(title, fontsize=10)
    ax.set_axis_off()


def strip(
    image: np.ndarray,
    clicks: Sequence[Click],
    rows: Mapping[str, Sequence[np.ndarray]],
    truth: np.ndarray | None = None,
    at: Sequence[int] | None = None,
) -> Figure:
    """Masks of one object click by click, a row for each way to segment, as in Fig. 4 of the paper.

    Parameters
    ----------
    image : ndarray of uint8, (height, width, 3)
    clicks : sequence of Click
        The same for all rows.
    rows : mapping of name to sequence of ndarray of bool
        For each row the mask after each click.
    truth : ndarray of bool, optional
        If given, the IoU is written above each picture.
    at : sequence of int, optional
        After which clicks to show the masks, from 1; all if left out. Green and vermilion is what the newest click changed.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> image = np.zeros((20, 30, 3), np.uint8)
    >>> strip(image, [Click(3, 4)], {"initial": [image[..., 0] == 0]}).get_axes()[0].get_title()
    'initial, 1 click'
    """
    import matplotlib.pyplot as plt

    from .metrics import iou

    shown = list(at or range(1, len(clicks) + 1))
    height, width = image.shape[:2]
    figure, axes = plt.subplots(
        len(rows),
        len(shown),
        figsize=(2.6 * len(shown), len(rows) * (2.6 * height / width + 0.3)),
        squeeze=False,
        layout="constrained",
    )
    for line, (name, masks) in zip(axes, rows.items(), strict=True):
        for ax, k in zip(line, shown, strict=True):
            title = f"{name}, {k} click{'s' * (k > 1)}"
            if truth is not None:
                title += f": IoU {iou(masks[k - 1], truth):.2f}"
            before = masks[k - 2] if k > 1 else None
            overlay(ax, image, masks[k - 1], clicks[:k], truth, before, title)
    return figure


def _style(name: str) -> dict[str, Any]:
    return {"markersize": 4, **STYLES.get(name, {"marker": "."}), "label": name}


def at_least(ax: Axes, span: float) -> None:
    """Widen a y-axis of IoUs, where it is narrower than `span`, so that small differences look small.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> ax = plt.figure().subplots()
    >>> _ = ax.plot([0.9, 0.91])
    >>> at_least(ax, 0.2)
    >>> low, high = ax.get_ylim()
    >>> round(float(high - low), 3)
    0.2
    """
    low, high = ax.get_ylim()
    missing = span - (high - low)
    if missing > 0:
        high = max(high, min(high + missing / 2, 1.01))  # no IoU is above 1
        ax.set_ylim(min(low, high - span), high)


def iou_curves(results: Mapping[str, Results], ax: Axes, title: str = "", legend: bool = True) -> None:
    """IoU@k against the number of clicks k, a curve for each way to segment (Fig. 3).

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> ax = plt.figure().subplots()
    >>> iou_curves({"initial": Results([{"iou": [0.5, 0.9]}], 0.85, 20)}, ax)
    >>> ax.get_xlabel()
    'clicks'
    """
    for name, result in results.items():
        result.plot(ax, **_style(name))
        ax.axhline(result.target_iou, color="#bbbbbb", linewidth=1, zorder=0)
    ax.set_title(title, fontsize=10)
    if legend:
        ax.legend(loc="lower right")


def learning_curves(
    results: Mapping[str, Results], ax: Axes, clicks: int = 4, window: int = 10, title: str = "", legend: bool = True
) -> None:
    """IoU@k against the number of objects processed, as a running mean, a curve for each way to segment (Fig. 5).

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> ax = plt.figure().subplots()
    >>> learning_curves({"SA": Results([{"iou": [0.5, 0.9]}], 0.85, 20)}, ax)
    >>> ax.get_ylabel()
    'mean IoU@4'
    """
    for name, result in results.items():
        curve = result.over_time(clicks, window)
        ax.plot(curve.index, curve, **{**_style(name), "marker": ""})
    ax.set(xlabel="objects processed", ylabel=f"mean IoU@{clicks}")
    ax.set_title(title, fontsize=10)
    ax.grid(alpha=0.3)
    if legend:
        ax.legend()  # where the curves leave room
