"""Checks for the exercises in the notebooks: a solution that is wrong is told what is wrong with it.

A check calls the student's function on small inputs where the usual mistakes give different answers, and raises `Wrong` with
a sentence about the mistake.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .adaptation import Adaptation, kept_clicks
from .clicks import Click, next_click
from .errors import DataError
from .losses import cross_entropy
from .metrics import clicks_to_reach, iou

__all__ = ["Verdict", "check"]

Answer = Callable[..., Any]


class Wrong(Exception):  # noqa: N818  (it is a verdict, not an error)
    """What is wrong with a solution."""


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
    try:
        CHECKS[exercise](answer)
    except NotImplementedError:
        return Verdict(exercise, None, "not solved yet. Write your code in the cell above, run it, then run this cell again.")
    except Wrong as wrong:
        return Verdict(exercise, False, str(wrong))
    except Exception as error:  # whatever a student's code may raise
        return Verdict(exercise, False, f"your function stopped with {type(error).__name__}: {error}")
    return Verdict(exercise, True, "right.")


def _number(value: Any) -> float:
    if value is None:
        raise Wrong("your function gives None: does it end with a return?")
    if value is Ellipsis:
        raise NotImplementedError
    if isinstance(value, Tensor) and value.numel() != 1:
        raise Wrong(f"expected one number, got a tensor of shape {tuple(value.shape)}: is a mean or a sum missing?")
    number = float(value)
    if not math.isfinite(number):
        raise Wrong(f"the result is {number}: numbers overflow, see the hint")
    return number


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
        wanted, got = iou(prediction, target), _number(answer(prediction, target))
        if not _close(got, wanted):
            raise Wrong(f"for masks that share {(prediction & target).sum()} pixels it should be {wanted:.3f}, not {got:.3f}")
    try:
        empty = _number(answer(np.zeros_like(target), np.zeros_like(target)))
    except (ZeroDivisionError, Wrong):
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
    click = Click(*click)
    if not (0 <= click.y < 40 and 0 <= click.x < 60) or not (prediction ^ target)[round(click.y), round(click.x)]:
        swapped = 0 <= click.x < 40 and 0 <= click.y < 60 and (prediction ^ target)[round(click.x), round(click.y)]
        raise Wrong(f"{click} is not on an error" + (": x is the column, y is the row" if swapped else ""))
    if target[round(click.y), round(click.x)] or click.positive:
        if click.positive and not target[round(click.y), round(click.x)]:
            raise Wrong(
                "the place is right, the label is not: a pixel that does not belong to the object gets a negative click"
            )
        raise Wrong("you clicked on the missing stripe of 90 pixels, but the surplus block has 150: take the largest region")
    wanted = next_click(prediction, target)
    assert wanted is not None
    edge = min(click.y - 9, 20 - click.y, click.x - 39, 55 - click.x)
    if edge < 5:
        raise Wrong(f"{click} is in the right region but {edge:g} px from its border: click on its centre, such as {wanted}")
    if answer(target, target) is not None:
        raise Wrong("a perfect prediction has no error to click on: give None")


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
    if not math.isfinite(float(answer(torch.tensor([[-200.0]]), torch.tensor([[1.0]])))):
        raise Wrong(
            "for a logit of -200 the probability is rounded to 0 and its logarithm is infinite: compute from the logits"
        )


@_of("2.2")
def _widen(answer: Answer) -> None:
    rgb = torch.randn(64, 3, 3, 3, generator=torch.Generator().manual_seed(0)) * 0.1
    wide = answer(rgb.clone())
    if wide is None:
        raise Wrong("your function gives None: does it end with a return?")
    if tuple(wide.shape) != (64, 5, 3, 3):
        raise Wrong(f"the shape should be (64, 5, 3, 3), not {tuple(wide.shape)}")
    if not torch.equal(wide[:, :3], rgb):
        ratio = float(wide[:, :3].norm() / rgb.norm())
        scaled = f" (they are {ratio:.2f} times as large)" if abs(ratio - 1) > 1e-3 else ""
        raise Wrong(f"the weights for red, green and blue must stay as they are{scaled}: the network already sees with them")
    spread = float(wide[:, 3:].std())
    if spread == 0:
        raise Wrong("the click channels are all zero: training would ignore them for hundreds of iterations")
    if torch.equal(wide[:, 3:], rgb[:, :2]):
        raise Wrong("the click channels are a copy of red and green: a click is no colour; take random values")
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
    silent = answer(logits, torch.full_like(logits, -1.0))
    if not math.isfinite(float(silent)):
        raise Wrong("without any click you divide 0 by 0; the loss is then 0")


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
    inputs = [torch.tensor([1.0]), torch.tensor([-4.0])]
    # The squared output is (x + 1)², its gradient 2 (x + 1): 4 and -6.
    got = _number(answer(network, inputs))
    for mistake, values in {
        "this is the sum over the images; importance is the mean": (10.0,),
        "the gradients are squared; MAS takes their absolute value": (26.0,),
        "gradients of opposite sign cancel out: take the absolute value of each, before the mean": (-1.0, 1.0),
        "the gradient of the first image is still there when the second comes: zero_grad between them": (3.0,),
    }.items():
        if any(_close(got, value) for value in values):
            raise Wrong(mistake)
    if not _close(got, 5.0):
        raise Wrong(f"for this network the gradients are 4 and -6, so the importance is 5, not {got:g}")
    if network.weight.item() != 1.0:
        raise Wrong("your function changed the network; measuring the importance must leave it alone")


@_of("4.2")
def _algorithm1(answer: Answer) -> None:
    weight = nn.Parameter(torch.tensor([0.0]))
    anchor = weight.detach().clone()
    calls: list[bool] = []

    def predict() -> Tensor:
        calls.append(torch.is_grad_enabled())
        return weight * torch.ones(2, 2)

    corrections = torch.tensor([[1.0, -1.0], [-1.0, -1.0]])
    logits = answer([weight], predict, corrections, 3, 0.1)
    if not isinstance(logits, Tensor):
        raise Wrong("your function should give the logits after the last step")
    if torch.equal(weight.detach(), anchor):
        raise Wrong("the parameters have not moved: are backward() and step() both called?")
    moved = float(weight.detach())
    if moved < 0:
        raise Wrong("the parameters moved the wrong way: minimise the loss")
    if not 0.25 < moved < 0.35:
        raise Wrong(f"three Adam steps of rate 0.1 move this parameter to about 0.3, not to {moved:.2f}: count the steps")
    if not _close(logits.detach()[0, 0], moved, 1e-6):
        raise Wrong("the prediction is one step old: predict again after the last step")
    if calls[-1] or logits.requires_grad:
        raise Wrong("the last prediction needs no gradients: put it under torch.no_grad()")


@_of("4.1")
def _respected(answer: Answer) -> None:
    mask = np.zeros((10, 20), bool)
    mask[2:8, 2:8] = True
    good, bad = [Click(5, 5), Click(15, 5, False)], [Click(15, 5), Click(5, 5, False)]
    if not _close(answer(mask, good), 1.0):
        raise Wrong("a positive click inside and a negative click outside the mask are both respected: 1.0 (rows are y)")
    if not _close(answer(mask, bad), 0.0):
        raise Wrong("a positive click outside and a negative click inside the mask are not respected: 0.0")
    if not _close(answer(mask, good + bad), 0.5):
        raise Wrong("two of four clicks respected should give 0.5")


@_of("5.1")
def _subset(answer: Answer) -> None:
    clicks = [Click(i, i, i % 2 == 0) for i in range(8)]
    draws = [list(answer(clicks, 0.5, np.random.default_rng(seed))) for seed in range(40)]
    if any(len(draw) != 4 for draw in draws):
        raise Wrong(f"half of 8 clicks are 4, not {len(draws[0])}")
    if any(len(set(draw)) != len(draw) for draw in draws):
        raise Wrong("a click was drawn twice: draw without replacement")
    if len({tuple(draw) for draw in draws}) < 5:
        raise Wrong("every seed gives the same clicks: draw at random, with the generator given")
    if len({click for draw in draws for click in draw}) != 8:
        raise Wrong("some clicks are never drawn: each must have a chance")
    again = [list(answer(clicks, 0.5, np.random.default_rng(3))) for _ in range(2)]
    if again[0] != again[1]:
        raise Wrong("the same seed gives different clicks: use the generator that is given, not np.random")
    if len(list(answer(clicks[:1], 0.5, np.random.default_rng(0)))) != len(
        kept_clicks(clicks[:1], 0.5, np.random.default_rng(0))
    ):
        raise Wrong("of a single click half is rounded up to one, so that the network is not left without any")


@_of("6.1")
def _clicks_at(answer: Answer) -> None:
    cases = [([0.5, 0.9], 0.85, 20), ([0.9], 0.85, 20), ([0.5, 0.85, 0.7], 0.85, 20), ([0.5, 0.6], 0.85, 20), ([], 0.85, 20)]
    for ious, target, most in cases:
        got, wanted = _number(answer(ious, target, most)), clicks_to_reach(ious, target, most)
        if got == wanted:
            continue
        if max(ious, default=0) < target:
            raise Wrong(f"an object that never reaches the target counts {most}, the cap, not {got:g}")
        if got == wanted - 1:
            raise Wrong("clicks are counted from 1: an object that is good after the first click needs 1")
        raise Wrong(f"for IoUs {ious} and target {target} it should be {wanted}, not {got:g}")
    if answer([0.1] * 25 + [0.9], 0.85, 20) != 20:
        raise Wrong("a target that is reached after the cap counts as the cap")


@_of("6.2")
def _iou_at(answer: Answer) -> None:
    records = [[0.4, 0.6, 0.9], [0.8], [0.2, 0.4]]
    means = {1: 1.4 / 3, 2: 1.8 / 3, 4: 2.1 / 3}
    try:
        got = {k: _number(answer(records, k)) for k in means}
    except IndexError:
        raise Wrong("an object with fewer than k clicks has no k-th IoU: take its last one") from None
    if _close(got[2], 0.5):
        raise Wrong("the object that was good after one click is left out: it keeps its last IoU, 0.8")
    if _close(got[1], 1.8 / 3) or _close(got[1], 1.6 / 3):
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
    if not _close(got, 6 / 33):
        raise Wrong(f"33 clicks became 27, a saving of {6 / 33:.3f}, not {got:.3f}")


@_of("8.1")
def _bootstrap(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    differences = rng.normal(2.0, 4.0, 60)
    low, high = answer(differences, np.random.default_rng(1))
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


@_of("9.1")
def _without_anchor(answer: Answer) -> None:
    model = SimpleNamespace(adaptation={"SA": {"steps": 1, "rate": 2e-5, "lam": 0.3, "gamma": 1.0, "keep": 0.5}})
    adaptation = answer(model)
    if not isinstance(adaptation, Adaptation):
        raise Wrong(f"give an ils.Adaptation, not {type(adaptation).__name__}")
    if adaptation.image is not None or adaptation.sequence is None:
        raise Wrong(f"this adaptation is {adaptation.name!r}; it should be SA alone")
    if adaptation.sequence.rate != 2e-5:
        raise Wrong("start from the model's own settings (model.adaptation), not from the paper's: the rates differ")
    if adaptation.sequence.gamma != 0:
        raise Wrong(f"Eq. 3 still holds the model back: gamma is {adaptation.sequence.gamma:g}, it should be 0")
    if (adaptation.sequence.lam, adaptation.sequence.keep) != (0.3, 0.5):
        raise Wrong("only `gamma` should change")


@_of("10.1")
def _label_map(answer: Answer) -> None:
    masks = [np.zeros((3, 4), bool) for _ in range(2)]
    masks[0][:2, :2], masks[1][1:, 1:] = True, True
    labels = np.asarray(answer(masks))
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
    if masks[0].sum() != 4 or masks[1].sum() != 6:
        raise Wrong("your function changed the masks it was given")
