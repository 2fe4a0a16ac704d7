"""Checks for the exercises in the notebooks: a solution that is wrong is told what is wrong with it.

A check calls the student's function on small inputs where the usual mistakes give different answers, and raises `Wrong` with
a sentence about the mistake.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from .adaptation import Adaptation, Settings
from .clicks import Click, next_click
from .errors import DataError
from .losses import correction_loss, cross_entropy
from .metrics import clicks_to_reach, iou

__all__ = ["Verdict", "check"]

Answer = Callable[..., Any]


class Wrong(Exception):  # noqa: N818  (it is a verdict, not an error)
    """What is wrong with a solution."""


class Stopped(Exception):  # noqa: N818
    """The student's function raised an error, not the check."""


@dataclass(frozen=True)
class Verdict:
    """What a check says: `solved` is None while there is nothing to check."""

    exercise: str
    solved: bool | None
    message: str

    def __repr__(self) -> str:
        mark = {True: "✓", False: "✗", None: "…"}[self.solved]
        return f"{mark} Exercise {self.exercise}: {self.message}"


CHECKS: dict[str, Callable[[Answer], None]] = {}


def _of(exercise: str) -> Callable[[Callable[[Answer], None]], Callable[[Answer], None]]:
    def enter(function: Callable[[Answer], None]) -> Callable[[Answer], None]:
        CHECKS[exercise] = function
        return function

    return enter


def check(exercise: str, answer: Answer) -> Verdict:
    """Check the solution of an exercise.

    Parameters
    ----------
    exercise : str
        Its number, for example ``"1.1"``.
    answer : callable
        The function that the exercise asks for.

    Raises
    ------
    DataError
        If there is no such exercise.

    Examples
    --------
    >>> check("1.1", lambda prediction, target: (prediction & target).sum() / target.sum())
    ✗ Exercise 1.1: a mask that covers the whole image would get a perfect score: divide by the union, not by the target
    """
    if exercise not in CHECKS:
        raise DataError(f"there is no exercise {exercise!r}; choose one of {', '.join(CHECKS)}")
    if not callable(answer):
        return Verdict(exercise, False, f"pass the function itself, without calling it; this is {_kind(answer)}")

    def ask(*arguments: Any) -> Any:
        try:
            return answer(*arguments)
        except NotImplementedError:
            raise
        except Exception as error:  # whatever a student's code may raise
            raise Stopped(f"your function stopped with {type(error).__name__}: {error}") from error

    try:
        CHECKS[exercise](ask)
    except NotImplementedError:
        return Verdict(exercise, None, "not solved yet. Write your code in the cell above, run it, then run this cell again.")
    except (Wrong, Stopped) as wrong:
        return Verdict(exercise, False, str(wrong))
    except Exception as error:  # what it gives back is of a kind that nobody has thought of
        return Verdict(exercise, False, f"what your function gives cannot be used ({type(error).__name__}: {error})")
    return Verdict(exercise, True, "right.")


def _kind(value: Any) -> str:
    """What a value is, in words."""
    if isinstance(value, np.ndarray | Tensor) and value.ndim:
        return f"{'an array' if isinstance(value, np.ndarray) else 'a tensor'} of shape {tuple(value.shape)}"
    return f"{value!r}"[:60] if isinstance(value, str | int | float) else f"a {type(value).__name__}"


def _given(value: Any) -> Any:
    """What a function gave, if it gave something."""
    if value is None:
        raise Wrong("your function gives None: does it end with a return?")
    if value is Ellipsis:
        raise NotImplementedError
    return value


def _number(value: Any) -> float:
    if isinstance(_given(value), Tensor | np.ndarray) and math.prod(value.shape) != 1:
        raise Wrong(f"expected one number, got {_kind(value)}: is a mean or a sum missing?")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise Wrong(f"expected one number; what your function gives is {_kind(value)}") from None
    if not math.isfinite(number):
        raise Wrong(f"the result is {number}: something is divided by 0, or infinite")
    return number


def _click(value: Any, size: tuple[int, int]) -> Click:
    """What a robot user gave, if it is a click inside the image."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 3:
        raise Wrong(f"give an ils.Click(x, y, positive) or None; what your function gives is {_kind(value)}")
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


def _from_logits(answer: Answer) -> None:
    """A cross-entropy has to be right for a network that is very sure, and wrong."""
    for logit, label in ((-200.0, 1.0), (200.0, 0.0)):
        told = f"for a logit of {logit:g} and the label {label:g} it should be 200"
        got = float(_given(answer(torch.tensor([[logit]]), torch.tensor([[label]]))))
        if not math.isfinite(got):
            raise Wrong(f"{told}; yours is infinite, for the probability is rounded to {1 - label:g}: compute from the logits")
        if not _close(got, 200.0):
            raise Wrong(
                f"{told}, not {got:.1f}: computed from the probability, it is cut off, and the gradient with it. "
                "Compute from the logits"
            )


def _close(value: Any, wanted: float, tolerance: float = 1e-4) -> bool:
    return abs(_number(value) - wanted) <= tolerance * max(1.0, abs(wanted))


@_of("1.1")
def _iou(answer: Answer) -> None:
    target = np.zeros((6, 6), bool)
    target[1:4, 1:4] = True
    everything = np.ones_like(target)
    if _close(answer(everything, target), 1.0):
        raise Wrong("a mask that covers the whole image would get a perfect score: divide by the union, not by the target")
    shifted = np.roll(target, 1, axis=1)
    for prediction in (everything, shifted, target, ~target):
        wanted, got = iou(prediction, target), _number(answer(prediction.copy(), target.copy()))
        if not _close(got, wanted):
            if prediction is everything and _close(got, 2 * wanted / (1 + wanted)):
                raise Wrong("this is the Dice coefficient, 2 |A∩B| / (|A| + |B|): divide the shared pixels by the union")
            raise Wrong(f"for masks that share {(prediction & target).sum()} pixels it should be {wanted:.3f}, not {got:.3f}")
    try:
        empty = _number(answer(np.zeros_like(target), np.zeros_like(target)))
    except Stopped as stopped:
        if not isinstance(stopped.__cause__, ZeroDivisionError):
            raise
        raise Wrong("two empty masks agree, so their IoU is 1; yours divides by zero") from None
    except Wrong:
        raise Wrong("two empty masks agree, so their IoU is 1; yours divides by zero") from None
    if empty != 1:
        raise Wrong(f"two empty masks agree, so their IoU is 1, not {empty:g}")


@_of("1.2")
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
            f"{click} is near the border of its region; click on its deepest pixel, such as {next_click(~target, target)}"
        )


def _robot_on_neighbours(answer: Answer) -> None:
    """Three missing parts (60, 95 and 95 pixels), a surplus one that touches the first (70), and the largest: surplus (100)."""
    target, prediction = np.zeros((40, 60), bool), np.zeros((40, 60), bool)
    target[5:15, 5:25] = prediction[5:15, 5:19] = prediction[5:15, 25:32] = prediction[22:32, 30:40] = True
    target[34:39, 5:24] = target[34:39, 40:59] = True
    click = _click(_given(answer(prediction.copy(), target.copy())), (40, 60))
    if 22 <= click.y < 32 and 30 <= click.x < 40 and not click.positive:
        return
    if 5 <= click.y < 15 and 19 <= click.x < 32:
        raise Wrong(
            "a missing part of 60 pixels and a surplus part of 70 touch, and you took them for one region; a click can say "
            "only one thing, so missing and surplus pixels are regions of their own. The largest is a surplus block of 100"
        )
    raise Wrong(f"the largest region is a surplus block of 100 pixels; {click} is elsewhere: compare regions, one by one")


@_of("2.1")
def _eq1(answer: Answer) -> None:
    logits = torch.tensor([[2.0, -1.0], [0.5, -3.0]])
    target = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    wanted = cross_entropy(logits, target).item()
    got = _number(answer(logits, target))
    if _close(got, 4 * wanted):
        raise Wrong("this is the sum over the pixels; Eq. 1 is their mean")
    if _close(got, -wanted):
        raise Wrong("the sign is wrong: a loss is small when the network is right")
    if _close(got, wanted * math.log2(math.e)):
        raise Wrong("use the natural logarithm, not that of base 2")
    if not _close(got, wanted):
        raise Wrong(
            f"for the logits {logits.tolist()} and the target {target.tolist()} it should be {wanted:.4f}, not {got:.4f}"
        )
    _from_logits(answer)


@_of("2.2")
def _widen(answer: Answer) -> None:
    rgb = torch.randn(64, 3, 3, 3, generator=torch.Generator().manual_seed(0)) * 0.1
    wide = answer(rgb.clone())
    if not isinstance(_given(wide), Tensor):
        raise Wrong(f"give a tensor; what your function gives is {_kind(wide)}")
    if tuple(wide.shape) != (64, 5, 3, 3):
        raise Wrong(f"the shape should be (64, 5, 3, 3), not {tuple(wide.shape)}")
    if not torch.equal(wide[:, :3], rgb):
        ratio = float(wide[:, :3].norm() / rgb.norm())
        scaled = f" (they are {ratio:.2f} times as large)" if abs(ratio - 1) > 1e-3 else ""
        raise Wrong(f"the weights for red, green and blue must stay as they are{scaled}: the network already sees with them")
    spread = float(wide[:, 3:].std())
    if spread == 0 or not math.isfinite(spread):
        what = "zero" if not wide[:, 3:].any() else "the same"
        raise Wrong(f"the click channels are all {what}: training would ignore them for hundreds of iterations")
    alike = np.corrcoef(torch.stack([*wide.detach().unbind(1)]).reshape(5, -1).numpy())
    if np.abs(alike[:3, 3:]).max() > 0.5:
        raise Wrong("the click channels are a copy of red and green, or of a mean: a click is no colour; take random values")
    if abs(alike[3, 4]) > 0.5:
        raise Wrong("both click channels are alike: the network could not tell object and background clicks apart")
    if not 1.6 < spread / float(rgb.std()) < 2.4:
        raise Wrong(
            f"the click channels spread {spread / float(rgb.std()):.1f} times as much as the colours; it should be 2 times"
        )


@_of("3.1")
def _eq2(answer: Answer) -> None:
    logits = torch.tensor([[2.0, -1.0, 0.3], [0.5, -3.0, 4.0]])
    corrections = torch.tensor([[1.0, -1.0, -1.0], [-1.0, 1.0, 0.0]])
    wanted = cross_entropy(logits, corrections).item()
    got = _number(answer(logits, corrections))
    if _close(got, wanted / 2):
        raise Wrong("you divide by the number of all pixels (6); Eq. 2 divides by the number of corrected ones (3)")
    if _close(got, wanted * 3):
        raise Wrong("this is the sum over the clicks; Eq. 2 divides by their number")
    if _close(got, cross_entropy(logits, corrections.clamp(min=0)).item()):
        raise Wrong("pixels without a click count as background here; they must not count at all")
    if not _close(got, wanted):
        raise Wrong(f"it should be {wanted:.4f}, not {got:.4f}; only pixels with c >= 0 count")
    try:
        silent = float(_given(answer(logits, torch.full_like(logits, -1.0))))
    except Stopped as stopped:
        if not isinstance(stopped.__cause__, ZeroDivisionError):
            raise
        silent = math.nan
    if not math.isfinite(silent):
        raise Wrong("without any click you divide 0 by 0; the loss is then 0")
    if not _close(silent, 0.0):
        raise Wrong(f"without any click the loss is 0, not {silent:.4f}")
    _from_logits(answer)


@_of("3.2")
def _eq3(answer: Answer) -> None:
    theta = {"w": torch.tensor([1.0, 2.0]), "b": torch.tensor([3.0])}
    anchor = {"w": torch.tensor([0.0, 4.0]), "b": torch.tensor([3.5])}
    omega = {"w": torch.tensor([10.0, 1.0]), "b": torch.tensor([4.0])}
    got = _number(answer(theta, anchor, omega))
    for mistake, values in {
        "you forgot to weight each parameter with its importance": (5.25,),
        "the differences are not squared": (6.0, 14.0),  # with their signs, or without
        "the importance is squared as well": (108.0,),
        "this is the mean; Eq. 3 is a sum over all parameters": (5.0,),
    }.items():
        if any(_close(got, value) for value in values):
            raise Wrong(mistake)
    if not _close(got, 15.0):
        raise Wrong(f"10·(1-0)² + 1·(2-4)² + 4·(3-3.5)² is 15, not {got:g}")


class _Shift(nn.Module):
    """Adds its one parameter. Gradients of the squared output differ in sign from input to input."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0]))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.weight


@_of("3.3")
def _mas(answer: Answer) -> None:
    network = _Shift()
    inputs = [torch.tensor([1.0]), torch.tensor([-6.5])]
    # The squared output is (x + 1)², its gradient 2 (x + 1): 4 and -11.
    got = _number(answer(network, inputs))
    for mistake, values in {
        "this is the sum over the images; importance is the mean": (15.0,),
        "the gradients are squared; MAS takes their absolute value": (68.5,),
        "gradients of opposite sign cancel out: take the absolute value of each, before the mean": (-3.5, 3.5),
        "the gradient of the first image is still there when the second comes: zero_grad between them": (5.5,),
        "this is the gradient of the output, or of its norm; MAS takes that of the squared norm": (1.0,),
    }.items():
        if any(_close(got, value) for value in values):
            raise Wrong(mistake)
    if not _close(got, 7.5):
        raise Wrong(f"for this network the gradients are 4 and -11, so the importance is 7.5, not {got:g}")
    if network.weight.item() != 1.0:
        raise Wrong("your function changed the network; measuring the importance must leave it alone")


def _adam(steps: int, fresh: bool = False, zero: bool = True, kind: Any = torch.optim.Adam) -> float:
    """Where steps of rate 0.5 take the parameter of exercise 4.2."""
    weight = nn.Parameter(torch.tensor([0.0]))
    optimizer = kind([weight], lr=0.5)
    for _ in range(steps):
        optimizer = kind([weight], lr=0.5) if fresh else optimizer
        loss = correction_loss(weight, torch.ones(1))
        if zero:
            optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return float(weight.detach())


@_of("4.2")
def _algorithm1(answer: Answer) -> None:
    weight = nn.Parameter(torch.tensor([0.0]))
    anchor = weight.detach().clone()
    calls: list[bool] = []

    def predict() -> Tensor:
        calls.append(torch.is_grad_enabled())
        return weight * torch.ones(2, 2)

    corrections = torch.tensor([[1.0, -1.0], [-1.0, -1.0]])
    logits = answer([weight], predict, corrections, 3, 0.5)
    if not isinstance(logits, Tensor) or logits.shape != (2, 2):
        raise Wrong(
            "your function should give the logits after the last step" + ("" if logits is None else ", as predict() does")
        )
    if torch.equal(weight.detach(), anchor):
        raise Wrong("the parameters have not moved: are backward() and step() both called?")
    moved = float(weight.detach())
    if moved < 0:
        raise Wrong("the parameters moved the wrong way: minimise the loss")
    wanted = _adam(3)
    if not _close(moved, wanted):
        for mistake, value in {
            "the gradients of earlier steps are still there: zero_grad before backward()": _adam(3, zero=False),
            "Adam forgets between the steps: make one optimiser, before the loop": _adam(3, fresh=True),
            "these are steps of SGD; Algorithm 1 uses Adam": _adam(3, kind=torch.optim.SGD),
        }.items():
            if _close(moved, value):
                raise Wrong(mistake)
        raise Wrong(f"three Adam steps of rate 0.5 move this parameter to {wanted:.3f}, not to {moved:.3f}: count the steps")
    if not _close(logits.detach()[0, 0], moved, 1e-6):
        raise Wrong("the prediction is one step old: predict again after the last step")
    if calls[-1] or logits.requires_grad:
        raise Wrong("the last prediction needs no gradients: put it under torch.no_grad()")


@_of("4.1")
def _respected(answer: Answer) -> None:
    mask = np.zeros((10, 20), bool)
    mask[2:8, 2:8] = True
    good, bad = [Click(5, 5), Click(15, 5, False)], [Click(15, 5), Click(5, 5, False)]
    try:
        share = _number(answer(mask, good))
    except Stopped as stopped:
        if not isinstance(stopped.__cause__, IndexError):
            raise
        raise Wrong(f"{stopped}: rows are y, so it is mask[y, x]") from None
    if _close(share, 2.0):
        raise Wrong("this is the number of clicks that are respected; divide by the number of all")
    if not _close(share, 1.0):
        raise Wrong("a positive click inside and a negative click outside the mask are both respected: 1.0 (rows are y)")
    if not _close(answer(mask, bad), 0.0):
        raise Wrong("a positive click outside and a negative click inside the mask are not respected: 0.0")
    if not _close(answer(mask, good + bad), 0.5):
        raise Wrong("two of four clicks respected should give 0.5")


@_of("5.1")
def _subset(answer: Answer) -> None:
    clicks = [Click(i, i, i % 2 == 0) for i in range(8)]
    given = list(clicks)

    def draw_clicks(share: float, seed: int, most: int = 8) -> list[Click]:
        drawn = _given(answer(clicks[:most] if most < 8 else clicks, share, np.random.default_rng(seed)))
        if clicks != given:
            raise Wrong("your function changes the list of clicks it is given; draw into a list of your own")
        if isinstance(drawn, np.ndarray) or not hasattr(drawn, "__iter__") or isinstance(drawn, str | Click):
            hint = "; rng.choice(clicks) makes numbers of them: draw indices" if np.ndim(drawn) == 2 else ""
            raise Wrong(f"give a list of clicks; what your function gives is {_kind(drawn)}{hint}")
        drawn = list(drawn)
        if any(isinstance(click, np.ndarray) for click in drawn):
            raise Wrong(
                "rng.choice(clicks) makes an array of numbers of the clicks: draw indices, and take the clicks with them"
            )
        if any(not isinstance(click, Click) or click not in given for click in drawn):
            raise Wrong(
                "what your function gives are not the clicks: give a list of some of those that came in, not of indices"
            )
        return drawn

    draws = [draw_clicks(0.5, seed) for seed in range(40)]
    if wrong := [len(draw) for draw in draws if len(draw) != 4]:
        raise Wrong(f"half of 8 clicks are 4, not {wrong[0]}")
    if any(len(set(draw)) != len(draw) for draw in draws):
        raise Wrong("a click was drawn twice: draw without replacement")
    if len({tuple(draw) for draw in draws}) < 5:
        raise Wrong("every seed gives the same clicks: draw at random, with the generator given")
    if len({click for draw in draws for click in draw}) != 8:
        raise Wrong("some clicks are never drawn: each must have a chance")
    if draw_clicks(0.5, 3) != draw_clicks(0.5, 3):
        raise Wrong("the same seed gives different clicks: use the generator that is given, not np.random")
    if len(draw_clicks(0.5, 0, most=1)) != 1:
        raise Wrong("of a single click half is rounded up to one, so that the network is not left without any")
    for share, count in ((0.25, 2), (0.3, 3), (1.0, 8)):
        if (got := len(draw_clicks(share, 0))) != count:
            raise Wrong(f"a share of {share:g} of 8 clicks, rounded up, is {count}, not {got}")


@_of("6.1")
def _clicks_at(answer: Answer) -> None:
    cases = [([0.5, 0.9], 0.85, 20), ([0.9], 0.85, 20), ([0.5, 0.85, 0.7], 0.85, 20), ([0.5, 0.6], 0.85, 20), ([], 0.85, 20)]
    for ious, target, most in cases:
        got, wanted = _number(answer(ious, target, most)), clicks_to_reach(ious, target, most)
        if got == wanted:
            continue
        if max(ious, default=0) < target:
            raise Wrong(f"an object that never reaches the target counts {most}, the cap, not {got:g}")
        if target in ious:
            raise Wrong(f"the target counts as reached at IoU {target} itself: use >=, not >")
        if got == wanted - 1:
            raise Wrong("clicks are counted from 1: an object that is good after the first click needs 1")
        raise Wrong(f"for IoUs {ious} and target {target} it should be {wanted}, not {got:g}")
    for most in (20, 10):
        got = _number(answer([0.1] * 25 + [0.9], 0.85, most))
        if got != most:
            raise Wrong(f"a target that is reached after the cap counts as the cap, {most}, not {got:g}")


@_of("6.2")
def _iou_at(answer: Answer) -> None:
    records = [[0.4, 0.6, 0.9], [0.8], [0.5, 0.4]]
    means = {1: 1.7 / 3, 2: 1.8 / 3, 4: 2.1 / 3}
    try:
        got = {k: _number(answer(records, k)) for k in means}
    except Stopped as stopped:
        if not isinstance(stopped.__cause__, IndexError):
            raise
        raise Wrong("an object with fewer than k clicks has no k-th IoU: take its last one") from None
    if _close(got[2], 0.5):
        raise Wrong("the object that was good after one click is left out: it keeps its last IoU, 0.8")
    if _close(got[2], 1.9 / 3):
        raise Wrong("this is the best IoU so far; IoU@k is that after k clicks, even where it was better before")
    if _close(got[1], 1.8 / 3) or _close(got[1], 2.1 / 3):
        raise Wrong("clicks are counted from 1: IoU@1 is the first number of each object")
    for k, wanted in means.items():
        if not _close(got[k], wanted):
            raise Wrong(f"IoU@{k} of {records} is {wanted:.3f}, not {got[k]:.3f}")


@_of("7.1")
def _saving(answer: Answer) -> None:
    initial, adapted = [10, 20, 3], [5, 20, 2]
    got = _number(answer(initial, adapted))
    if _close(got, float(np.mean([0.5, 0.0, 1 / 3]))):
        raise Wrong(
            "this is the mean of the objects' savings: easy objects count as much as hard ones. Compare the mean clicks"
        )
    if _close(got, -6 / 33):
        raise Wrong("the sign is wrong: fewer clicks are a saving above 0")
    if _close(got, 6 / 27):
        raise Wrong("the saving is a share of the initial model's clicks, not of the adapted one's")
    if _close(got, 600 / 33):
        raise Wrong("this is in percent; give the share, in 0-1")
    if _close(got, 2.0) or _close(got, 6.0):
        raise Wrong("these are clicks; give the share of the initial model's clicks that is saved")
    if not _close(got, 6 / 33):
        raise Wrong(f"33 clicks became 27, a saving of {6 / 33:.3f}, not {got:.3f}")


@_of("8.1")
def _bootstrap(answer: Answer) -> None:
    differences = np.random.default_rng(0).normal(2.0, 4.0, 60)
    intervals = []
    for seed in range(1, 7):
        value = _given(answer(differences.copy(), np.random.default_rng(seed)))
        try:
            low, high = (float(end) for end in value)
        except (TypeError, ValueError):
            raise Wrong(f"give two numbers, (low, high); what your function gives is {_kind(value)}") from None
        if low > high:
            raise Wrong(f"({low:.2f}, {high:.2f}) begins with the higher end: give (low, high)")
        intervals.append((low, high))
    low, high = np.mean(intervals, axis=0)
    center, half = float(differences.mean()), float(1.96 * differences.std() / math.sqrt(60))
    if not low < center < high:
        raise Wrong(
            f"the interval ({low:.2f}, {high:.2f}) does not hold the mean {center:.2f}: resample with replacement, take means"
        )
    if high - low > 1.6 * 2 * half:
        raise Wrong(
            "the interval is far too wide: it is the spread of the objects, not of their mean. Take the mean of each resample"
        )
    if high - low < 0.6 * 2 * half:
        raise Wrong("the interval is too narrow: draw as many objects as there are, with replacement, at least 500 times")
    if not 0.9 < (high - low) / (2 * half) < 1.1:
        raise Wrong(
            f"the interval is {(high - low) / (2 * half):.2f} times as wide as it should be: take the 2.5% and the 97.5% "
            "quantile"
        )
    if len(set(intervals)) == 1:
        raise Wrong(
            "the interval is the same for every seed: this is a formula, or a generator of your own; resample with `rng`"
        )
    same = _given(answer(differences.copy(), np.random.default_rng(1)))
    if tuple(map(float, same)) != intervals[0]:
        raise Wrong("the same seed gives different intervals: use the generator that is given, not np.random")


@_of("9.1")
def _without_anchor(answer: Answer) -> None:
    stored: dict[str, Any] = {"steps": 1, "rate": 2e-5, "lam": 0.3, "gamma": 1.0, "keep": 0.5}
    model = SimpleNamespace(adaptation={"SA": dict(stored)})
    adaptation = _given(answer(model))
    if not isinstance(adaptation, Adaptation):
        raise Wrong(f"give an ils.Adaptation, not {type(adaptation).__name__}")
    if model.adaptation != {"SA": stored}:
        raise Wrong("your function changes model.adaptation itself, for all who use the model; make new settings")
    if adaptation.image is not None or adaptation.sequence is None:
        raise Wrong(f"this adaptation is {adaptation.name!r}; it should be SA alone")
    if adaptation.sequence.rate != 2e-5:
        raise Wrong("start from the model's own settings (model.adaptation), not from the paper's: the rates differ")
    if adaptation.sequence.gamma != 0:
        raise Wrong(f"Eq. 3 still holds the model back: gamma is {adaptation.sequence.gamma:g}, it should be 0")
    if adaptation.sequence != replace(Settings(**stored), gamma=0.0):
        raise Wrong("only `gamma` should change")


@_of("10.1")
def _label_map(answer: Answer) -> None:
    masks = [np.zeros((3, 4), bool) for _ in range(2)]
    masks[0][:2, :2], masks[1][1:, 1:] = True, True
    value = _given(answer(masks))
    if not isinstance(value, np.ndarray):
        raise Wrong(f"give an array; what your function gives is {_kind(value)}")
    labels = value
    if labels.shape != (3, 4):
        raise Wrong(f"the map should be as large as a mask, (3, 4), not {labels.shape}")
    if labels[0, 0] == 0 or labels[0, 3] != 0:
        raise Wrong("the background is 0 and the first object 1")
    if labels[0, 0] != 1 or labels[2, 3] != 2:
        raise Wrong("the first object is 1 and the second 2")
    if labels[1, 1] != 2:
        raise Wrong(f"where masks overlap the later one wins; you have {labels[1, 1]} there, not 2")
    if labels.dtype != np.uint8:
        raise Wrong(f"the dtype should be uint8, so that a PNG can hold it, not {labels.dtype}")
    if any(mask.dtype != bool for mask in masks) or masks[0].sum() != 4 or masks[1].sum() != 6:
        raise Wrong("your function changed the masks it was given")
    three = np.asarray(answer([masks[1], masks[0], masks[1]]))
    if three.tolist() != [[2, 2, 0, 0], [2, 3, 3, 3], [0, 3, 3, 3]]:
        raise Wrong("it is right for two masks, but not for three")
