"""Checks for chapters 1 and 2: the task, the robot user, the network and Eq. 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ..clicks import Click, next_click
from ..losses import cross_entropy
from ..metrics import iou
from .verdict import Answer, Stopped, Wrong, close, exercise, given, kind_of, number


def _click(value: Any, size: tuple[int, int]) -> Click:
    """What a robot user gave, if it is a click inside the image."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 3:
        raise Wrong(f"give an ils.Click(x, y, positive) or None; what your function gives is {kind_of(value)}")
    try:
        click = Click(round(float(value[0])), round(float(value[1])), bool(value[2]))
    except (TypeError, ValueError, OverflowError):
        raise Wrong(f"x and y of a click are numbers, not {value[0]!r} and {value[1]!r}") from None
    if not (0 <= click.y < size[0] and 0 <= click.x < size[1]):
        swapped = ": x is the column, y is the row" if 0 <= click.x < size[0] and 0 <= click.y < size[1] else ""
        raise Wrong(f"{click} is not on an error, it is not even in the image{swapped}")
    return click


def _at(click: Click) -> tuple[int, int]:
    """Row and column."""
    return int(click.y), int(click.x)


@exercise("1.1")
def _iou(answer: Answer) -> None:
    target = np.zeros((6, 6), bool)
    target[1:4, 1:4] = True
    everything = np.ones_like(target)
    if close(answer(everything, target), 1.0):
        raise Wrong("a mask that covers the whole image would get a perfect score: divide by the union, not by the target")
    shifted = np.roll(target, 1, axis=1)
    for prediction in (everything, shifted, target, ~target):
        wanted, got = iou(prediction, target), number(answer(prediction.copy(), target.copy()))
        if not close(got, wanted):
            if prediction is everything and close(got, 2 * wanted / (1 + wanted)):
                raise Wrong("this is the Dice coefficient, 2 |A∩B| / (|A| + |B|): divide the shared pixels by the union")
            raise Wrong(f"for masks that share {(prediction & target).sum()} pixels it should be {wanted:.3f}, not {got:.3f}")
    try:
        empty = number(answer(np.zeros_like(target), np.zeros_like(target)))
    except Stopped as stopped:
        if not isinstance(stopped.__cause__, ZeroDivisionError):
            raise
        raise Wrong("two empty masks agree, so their IoU is 1; yours divides by zero") from None
    except Wrong:
        raise Wrong("two empty masks agree, so their IoU is 1; yours divides by zero") from None
    if empty != 1:
        raise Wrong(f"two empty masks agree, so their IoU is 1, not {empty:g}")
    for pair in ((target, np.zeros_like(target)), (np.zeros_like(target), target)):
        if not close(one := number(answer(*pair)), 0.0):
            raise Wrong(f"where only one of the two masks is empty nothing is shared: the IoU is 0, not {one:g}")


@exercise("1.2")
def _robot(answer: Answer) -> None:
    target = np.zeros((40, 60), bool)
    target[5:35, 5:25] = True
    prediction = np.zeros_like(target)
    prediction[5:35, 5:22] = True  # a stripe of 3 columns is missing: 90 pixels
    prediction[10:20, 40:55] = True  # a block of 150 pixels is too much
    click = answer(prediction, target)
    if click is None:
        raise Wrong("your function gives None although the prediction has errors: does it end with a return?")
    click = _click(click, (40, 60))
    if not (prediction ^ target)[_at(click)]:
        swapped = click.y < 60 and click.x < 40 and (prediction ^ target)[_at(click)[::-1]]
        raise Wrong(f"{click} is not on an error" + (": x is the column, y is the row" if swapped else ""))
    if target[_at(click)] or click.positive:
        if click.positive and not target[_at(click)]:
            raise Wrong(
                "the place is right, the label is not: a pixel that does not belong to the object gets a negative click"
            )
        raise Wrong("you clicked on the missing stripe of 90 pixels, but the surplus block has 150: take the largest region")
    wanted = next_click(prediction, target)
    assert wanted is not None
    edge = min(click.y - 9, 20 - click.y, click.x - 39, 55 - click.x)
    if edge < 5:
        raise Wrong(f"{click} is in the right region but {edge:g} px from its border: click on its centre, such as {wanted}")
    _robot_on_a_frame(answer)
    _robot_on_neighbours(answer)
    _robot_on_thin_regions(answer)
    _robot_at_the_border(answer)
    if answer(target, target) is not None:
        raise Wrong("a perfect prediction has no error to click on: give None")


def _robot_on_a_frame(answer: Answer) -> None:
    """Nothing is found of an object with a hole: a positive click, and not into the hole."""
    target = np.zeros((40, 60), bool)
    target[4:34, 6:40] = True
    target[12:26, 14:32] = False
    value = answer(np.zeros_like(target), target.copy())
    if value is None:
        raise Wrong("your function gives None although nothing of the object is found yet")
    click = _click(value, (40, 60))
    if 12 <= click.y < 26 and 14 <= click.x < 32:
        raise Wrong(f"{click} is in the hole of a ring: the mean of a region's pixels can be outside it; take the deepest one")
    if not target[_at(click)]:
        raise Wrong(f"{click} is not on an error: nothing of the object is found yet, and it is elsewhere")
    if not click.positive:
        raise Wrong("the place is right, the label is not: a missing pixel of the object gets a positive click")
    depth = ndimage.distance_transform_edt(target)
    if depth[_at(click)] < 0.9 * depth.max():
        raise Wrong(
            f"{click} is near the border of its region; click on its deepest pixel, "
            f"such as {next_click(np.zeros_like(target), target)}"
        )


def _robot_on_neighbours(answer: Answer) -> None:
    """Three missing parts (60, 95 and 95 pixels), a surplus one that touches the first (70), and the largest: surplus (100)."""
    target, prediction = np.zeros((40, 60), bool), np.zeros((40, 60), bool)
    target[5:15, 5:25] = prediction[5:15, 5:19] = prediction[5:15, 25:32] = prediction[22:32, 30:40] = True
    target[34:39, 5:24] = target[34:39, 40:59] = True
    click = _click(given(answer(prediction.copy(), target.copy())), (40, 60))
    if 22 <= click.y < 32 and 30 <= click.x < 40 and not click.positive:
        return
    if 5 <= click.y < 15 and 19 <= click.x < 32:
        raise Wrong(
            "a missing part of 60 pixels and a surplus part of 70 touch, and you took them for one region; a click can say "
            "only one thing, so missing and surplus pixels are regions of their own. The largest is a surplus block of 100"
        )
    raise Wrong(f"the largest region is a surplus block of 100 pixels; {click} is elsewhere: compare regions, one by one")


def _robot_on_thin_regions(answer: Answer) -> None:
    """The largest region is a thin one; smaller ones, of the other kind and of its own, are deeper."""
    target, prediction = np.zeros((40, 60), bool), np.zeros((40, 60), bool)
    target[3:7, 5:55] = True  # 200 missing pixels, two deep
    target[12:22, 5:15] = prediction[26:36, 40:50] = True  # 100 missing, and 100 surplus ones, five deep
    for wanted, guess, truth in ((True, prediction, target), (False, target, prediction)):
        click = _click(given(answer(guess.copy(), truth.copy())), (40, 60))
        if not 3 <= click.y < 7:
            raise Wrong(
                f"{click} is on the deepest error; the largest region is a strip of 200 pixels, though it is only 4 pixels "
                "high: choose the region first, by its size, then its deepest pixel"
            )
        if click.positive is not wanted:
            raise Wrong(f"the place is right, the label is not: {click} should be {'positive' if wanted else 'negative'}")
        if click.y not in (4, 5):
            raise Wrong(f"{click} is at the border of its region: click on its deepest pixel")


def _robot_at_the_border(answer: Answer) -> None:
    """An object that goes to the image's border: what is beyond is no part of it."""
    target = np.zeros((40, 60), bool)
    target[:, :30] = True
    click = _click(given(answer(np.zeros_like(target), target.copy())), (40, 60))
    depth = ndimage.distance_transform_edt(np.pad(target, 1))[1:-1, 1:-1]
    if depth[_at(click)] < 0.9 * depth.max():
        raise Wrong(
            f"{click} is at the border of the image, and the region ends there: pad it by one pixel that is outside, then the "
            f"deepest pixel is such as {next_click(np.zeros_like(target), target)}"
        )


def cross_entropy_from_logits(answer: Answer) -> None:
    """A cross-entropy has to be right for a network that is very sure, and wrong."""
    for logit, label in ((-200.0, 1.0), (200.0, 0.0)):
        told = f"for a logit of {logit:g} and the label {label:g} it should be 200"
        got = float(given(answer(torch.tensor([[logit]]), torch.tensor([[label]]))))
        if not math.isfinite(got):
            raise Wrong(f"{told}; yours is infinite, for the probability is rounded to {1 - label:g}: compute from the logits")
        if not close(got, 200.0):
            raise Wrong(
                f"{told}, not {got:.1f}: computed from the probability, it is cut off, and the gradient with it. "
                "Compute from the logits"
            )


@exercise("2.1")
def _eq1(answer: Answer) -> None:
    logits = torch.tensor([[2.0, -1.0], [0.5, -3.0]])
    target = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    wanted = cross_entropy(logits, target).item()
    got = number(answer(logits, target))
    if close(got, 4 * wanted):
        raise Wrong("this is the sum over the pixels; Eq. 1 is their mean")
    if close(got, -wanted):
        raise Wrong("the sign is wrong: a loss is small when the network is right")
    if close(got, wanted * math.log2(math.e)):
        raise Wrong("use the natural logarithm, not that of base 2")
    if not close(got, wanted):
        raise Wrong(
            f"for the logits {logits.tolist()} and the target {target.tolist()} it should be {wanted:.4f}, not {got:.4f}"
        )
    one = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    wanted, got = cross_entropy(logits, one).item(), number(answer(logits, one))
    if not close(got, wanted):
        raise Wrong(
            f"where object and background have different numbers of pixels ({one.tolist()}) it should be {wanted:.4f}, not "
            f"{got:.4f}: every pixel counts the same"
        )
    cross_entropy_from_logits(answer)


@exercise("2.2")
def _widen(answer: Answer) -> None:
    for channels, size, spread in ((64, 3, 0.1), (32, 5, 0.02)):
        generator = torch.Generator().manual_seed(channels)
        _check_widened(answer, torch.randn(channels, 3, size, size, generator=generator) * spread)


def _check_widened(answer: Answer, rgb: Tensor) -> None:
    wide, wanted = answer(rgb.clone()), (rgb.shape[0], 5, *rgb.shape[2:])
    if not isinstance(given(wide), Tensor):
        raise Wrong(f"give a tensor; what your function gives is {kind_of(wide)}")
    if tuple(wide.shape) != wanted:
        raise Wrong(f"for weights of shape {tuple(rgb.shape)} the shape should be {wanted}, not {tuple(wide.shape)}")
    if not torch.equal(wide[:, :3], rgb):
        ratio = float(wide[:, :3].norm() / rgb.norm())
        scaled = f" (they are {ratio:.2f} times as large)" if abs(ratio - 1) > 1e-3 else ""
        raise Wrong(f"the weights for red, green and blue must stay as they are{scaled}: the network already sees with them")
    clicks = wide[:, 3:].detach()
    spread = float(clicks.std())
    if spread == 0 or not math.isfinite(spread):
        what = "zero" if not clicks.any() else "the same"
        raise Wrong(f"the click channels are all {what}: training would ignore them for hundreds of iterations")
    alike = np.corrcoef(torch.stack([*wide.detach().unbind(1)]).reshape(5, -1).numpy())
    if np.abs(alike[:3, 3:]).max() > 0.5:
        raise Wrong("the click channels are a copy of red and green, or of a mean: a click is no colour; take random values")
    if torch.equal(clicks[0], clicks[1]):
        raise Wrong("the click channels are the same in every filter, so all would see the same in clicks: take random values")
    if abs(alike[3, 4]) > 0.5:
        raise Wrong("both click channels are alike: the network could not tell object and background clicks apart")
    if not 1.6 < spread / float(rgb.std()) < 2.4:
        raise Wrong(
            f"the click channels spread {spread / float(rgb.std()):.1f} times as much as the colours; it should be 2 times"
        )
    if abs(float(clicks.mean())) > spread / 2:
        raise Wrong(f"the click channels have the mean {float(clicks.mean()):.2f}; take random values around 0")
