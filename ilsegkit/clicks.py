"""Clicks, and the robot users that make them: one for testing (section 3.3 of the paper), one for training (section 3.1).

Points are ``(x, y)`` in pixels, with the centre of the top left pixel at ``(0, 0)``: like SAM, and like the canvas.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from .errors import ClickError

__all__ = ["RULES", "Click", "next_click", "parse_clicks", "sample_clicks"]


class Click(NamedTuple):
    """A correction: this pixel belongs to the object (`positive`) or it does not.

    Examples
    --------
    >>> Click(12, 30, positive=False)
    Click(x=12, y=30, positive=False)
    """

    x: float
    y: float
    positive: bool = True


def parse_clicks(text: str) -> list[Click]:
    """Read clicks written as ``"x,y,label x,y,label"`` with label 1 for foreground and 0 for background.

    Raises
    ------
    ClickError
        For anything else; the message names the part that does not fit.

    Examples
    --------
    >>> parse_clicks("10,20,1 30.5,40,0")
    [Click(x=10.0, y=20.0, positive=True), Click(x=30.5, y=40.0, positive=False)]
    """
    clicks = []
    for part in text.replace(";", " ").split():
        try:
            x, y, label = part.split(",")
            if label not in ("0", "1"):
                raise ValueError(label)
            click = Click(float(x), float(y), label == "1")
        except ValueError:
            raise ClickError(f"the click {part!r} is not x,y,1 or x,y,0; write clicks like '120,80,1 30,40,0'") from None
        if not (math.isfinite(click.x) and math.isfinite(click.y)):
            raise ClickError(f"the click {part!r} has a coordinate that is not a finite number")
        clicks.append(click)
    if not clicks:
        raise ClickError("there are no clicks in the text; write clicks like '120,80,1 30,40,0'")
    return clicks


# --- the robot user at test time ------------------------------------------------------------------------------------


def _distance_to_border(region: np.ndarray) -> np.ndarray:
    """Euclidean distance of each pixel of the region to the nearest pixel outside; beyond the image is outside."""
    return ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]


def _unclicked(region: np.ndarray, previous: Iterable[Click]) -> np.ndarray:
    """The region without the pixels that have been clicked: a second click there would say nothing new."""
    region = region.copy()
    height, width = region.shape
    for click in previous:
        column, row = round(click.x), round(click.y)
        if 0 <= row < height and 0 <= column < width:
            region[row, column] = False
    return region


def _deepest(distances: np.ndarray) -> tuple[int, int]:
    """Column and row of the largest value, the first in row-major order."""
    row, column = np.unravel_index(np.argmax(distances), distances.shape)
    return int(column), int(row)


def _paper_rule(missing: np.ndarray, extra: np.ndarray, previous: Sequence[Click]) -> Click | None:
    """The largest connected error region, then its centre: the pixel deepest inside it."""
    largest, region, positive = 0, missing, True
    for errors, sign in ((missing, True), (extra, False)):
        labels, count = ndimage.label(errors)
        if count:
            sizes = np.bincount(labels[_unclicked(errors, previous)], minlength=count + 1)[1:]
            if sizes.max() > largest:
                largest, region, positive = int(sizes.max()), labels == 1 + int(sizes.argmax()), sign
    if not largest:
        return None
    # Clicks are cut out only after the distance is taken: they do not split a region, nor repel the next click.
    distance = _distance_to_border(region)
    distance[~_unclicked(region, previous)] = 0
    return Click(*_deepest(distance), positive)


def _ritm_rule(missing: np.ndarray, extra: np.ndarray, previous: Sequence[Click]) -> Click | None:
    """The error pixel deepest inside the errors, as RITM, f-BRS and their followers do."""
    distances = []
    for errors in (missing, extra):
        distance = _distance_to_border(errors)
        distance[~_unclicked(errors, previous)] = 0
        distances.append(distance)
    positive = distances[0].max() > distances[1].max()
    distance = distances[0] if positive else distances[1]
    return Click(*_deepest(distance), bool(positive)) if distance.max() > 0 else None


#: Robot users by name: ``"paper"`` clicks the centre of the largest error region (section 3.3); ``"ritm"`` clicks the
#: pixel farthest from the border of the errors (Sofiiuk et al., "Reviving Iterative Training with Mask Guidance", 2021).
RULES: dict[str, Callable[[np.ndarray, np.ndarray, Sequence[Click]], Click | None]] = {
    "paper": _paper_rule,
    "ritm": _ritm_rule,
}


def next_click(
    prediction: np.ndarray,
    target: np.ndarray,
    ignore: np.ndarray | None = None,
    previous: Sequence[Click] = (),
    rule: str = "paper",
) -> Click | None:
    """Where the robot user clicks next, given what the model predicts and what is true.

    Parameters
    ----------
    prediction, target : ndarray of bool, (height, width)
        The current mask and the true one.
    ignore : ndarray of bool, (height, width), optional
        Pixels that count as neither right nor wrong.
    previous : sequence of Click, optional
        Clicks made so far; the same pixel is not clicked twice.
    rule : {"paper", "ritm"}, optional
        See `RULES`.

    Returns
    -------
    Click or None
        None when there is no error left to click on.

    Raises
    ------
    ClickError
        If the rule is unknown or the arrays differ in shape.

    Examples
    --------
    >>> target = np.zeros((9, 9), bool)
    >>> target[2:7, 3:8] = True
    >>> next_click(np.zeros_like(target), target)
    Click(x=5, y=4, positive=True)
    """
    if rule not in RULES:
        raise ClickError(f"there is no robot user {rule!r}; choose one of {', '.join(RULES)}")
    prediction, target = np.asarray(prediction, bool), np.asarray(target, bool)
    if prediction.shape != target.shape or (ignore is not None and ignore.shape != target.shape):
        raise ClickError(f"prediction {prediction.shape}, target {target.shape} and ignore mask must have one shape")
    wrong = prediction ^ target
    if ignore is not None:
        wrong &= ~ignore
    return RULES[rule](wrong & target, wrong & ~target, previous)


# --- the robot user of the first training stage ---------------------------------------------------------------------


def _draw(candidates: np.ndarray, count: int, positive: bool, rng: np.random.Generator) -> list[Click]:
    """Up to `count` pixels of the candidates, uniformly, without replacement."""
    pixels = np.flatnonzero(candidates)
    chosen = rng.choice(pixels, min(count, len(pixels)), replace=False)
    rows, columns = np.unravel_index(chosen, candidates.shape)
    return [Click(int(x), int(y), positive) for x, y in zip(columns, rows, strict=True)]


def _spread(candidates: np.ndarray, count: int, rng: np.random.Generator) -> list[Click]:
    """Up to `count` pixels all around: the first at random, each next one far from those before it."""
    pixels = np.argwhere(candidates)
    if count == 0 or len(pixels) == 0:
        return []
    chosen = [pixels[rng.integers(len(pixels))]]
    distance = np.full(len(pixels), np.inf)
    while len(chosen) < min(count, len(pixels)):
        distance = np.minimum(distance, ((pixels - chosen[-1]) ** 2).sum(1))
        chosen.append(pixels[distance.argmax()])
    return [Click(int(x), int(y), False) for y, x in chosen]


def sample_clicks(
    target: np.ndarray,
    rng: np.random.Generator,
    others: np.ndarray | None = None,
    most_positive: int = 5,
    most_negative: int = 5,
    reach: float = 0.12,
    ignore: np.ndarray | None = None,
) -> list[Click]:
    """Clicks for the first training stage: positive ones on the object, negative ones by one of three strategies.

    Positive clicks are uniform on the object. Negative clicks, with equal probability (section 3.1, after Xu et al.,
    "Deep Interactive Object Selection", 2016): uniform in a band around the object; on other objects; or spread evenly
    around the object.

    Parameters
    ----------
    target : ndarray of bool, (height, width)
        The object.
    rng : numpy.random.Generator
        Its state decides the clicks: the same seed gives the same clicks.
    others : ndarray of bool, (height, width), optional
        Pixels of other objects; without any, the second strategy falls back to the first.
    most_positive, most_negative : int, optional
        At least one positive click and at most these many of each.
    reach : float, optional
        Width of the band around the object as a share of the longer side of the map.
    ignore : ndarray of bool, (height, width), optional
        Pixels of which nobody knows what they are: they get no click.

    Returns
    -------
    list of Click
        Empty only if the target is.

    Examples
    --------
    >>> target = np.zeros((64, 64), bool)
    >>> target[20:40, 20:40] = True
    >>> clicks = sample_clicks(target, np.random.default_rng(0))
    >>> all(target[c.y, c.x] == c.positive for c in clicks)
    True
    """
    target = np.asarray(target, bool)
    if not target.any():
        return []
    clicks = _draw(target, int(rng.integers(1, most_positive + 1)), True, rng)
    count = int(rng.integers(0, most_negative + 1))
    if count == 0 or target.all():
        return clicks
    strategy = rng.integers(3)
    allowed = ~target if ignore is None else ~(target | np.asarray(ignore, bool))
    elsewhere = np.zeros_like(target) if others is None else np.asarray(others, bool) & allowed
    if strategy == 1 and elsewhere.any():
        return clicks + _draw(elsewhere, count, False, rng)
    distance = ndimage.distance_transform_edt(~target)
    # A margin of two pixels: annotated borders are not that exact.
    band = (distance > 2) & (distance <= max(3.0, reach * max(target.shape))) & allowed
    return clicks + (_spread(band, count, rng) if strategy == 2 else _draw(band, count, False, rng))
