"""Checks for chapters 3 to 5: the losses, Algorithm 1, and learning over a sequence."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..clicks import Click
from ..losses import cross_entropy
from .network import cross_entropy_from_logits
from .verdict import Answer, Stopped, Wrong, close, exercise, given, kind_of, number


@exercise("3.1")
def _eq2(answer: Answer) -> None:
    logits = torch.tensor([[2.0, -1.0, 0.3], [0.5, -3.0, 4.0]])
    corrections = torch.tensor([[1.0, -1.0, -1.0], [-1.0, 1.0, 0.0]])
    wanted = cross_entropy(logits, corrections).item()
    got = number(answer(logits, corrections))
    if close(got, wanted / 2):
        raise Wrong("you divide by the number of all pixels (6); Eq. 2 divides by the number of corrected ones (3)")
    if close(got, wanted * 3):
        raise Wrong("this is the sum over the clicks; Eq. 2 divides by their number")
    if close(got, cross_entropy(logits, corrections.clamp(min=0)).item()):
        raise Wrong("pixels without a click count as background here; they must not count at all")
    if not close(got, wanted):
        raise Wrong(f"it should be {wanted:.4f}, not {got:.4f}; only pixels with c >= 0 count")
    try:
        silent = float(given(answer(logits, torch.full_like(logits, -1.0))))
    except Stopped as stopped:
        if not isinstance(stopped.__cause__, ZeroDivisionError):
            raise
        silent = math.nan
    if not math.isfinite(silent):
        raise Wrong("without any click you divide 0 by 0; the loss is then 0")
    if not close(silent, 0.0):
        raise Wrong(f"without any click the loss is 0, not {silent:.4f}")
    cross_entropy_from_logits(answer)


@exercise("3.2")
def _eq3(answer: Answer) -> None:
    theta = {"w": torch.tensor([1.0, 2.0]), "b": torch.tensor([3.0]), "c": torch.tensor([0.0])}
    anchor = {"w": torch.tensor([0.0, 4.0]), "b": torch.tensor([4.5]), "c": torch.tensor([1.0])}
    omega = {"w": torch.tensor([10.0, 1.0]), "b": torch.tensor([4.0]), "c": torch.tensor([2.0])}
    got = number(answer(theta, anchor, omega))
    for mistake, values in {
        "you forgot to weight each parameter with its importance": (8.25,),
        "the differences are not squared": (0.0, 20.0),  # with their signs, or without
        "the importance is squared as well": (144.0,),
        "there is no factor 1/2 in Eq. 3": (12.5,),
        "this is the mean; Eq. 3 is a sum over all parameters": (25 / 4, 25 / 3),  # over all values, or over the tensors
        "this is of one tensor alone; Eq. 3 is a sum over all parameters": (14.0, 9.0, 2.0),
    }.items():
        if any(close(got, value) for value in values):
            raise Wrong(mistake)
    if not close(got, 25.0):
        raise Wrong(f"10·(1-0)² + 1·(2-4)² + 4·(3-4.5)² + 2·(0-1)² is 25, not {got:g}")


class _Shift(nn.Module):
    """Adds its one parameter. Gradients of the squared output differ in sign from input to input."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0]))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.weight


@exercise("3.3")
def _mas(answer: Answer) -> None:
    network = _Shift()
    inputs = [torch.tensor([1.0, 0.0, 0.0]), torch.tensor([-6.5, -1.0, -1.0])]
    # The squared norm of the output is the sum of (x + 1)², its gradient that of 2 (x + 1): 8 and -11.
    got = number(answer(network, inputs))
    for mistake, values in {
        "this is the sum over the images; importance is the mean": (19.0,),
        "the gradients are squared; MAS takes their absolute value": (92.5,),
        "gradients of opposite sign cancel out: take the absolute value of each, before the mean": (-1.5, 1.5),
        "the gradient of the first image is still there when the second comes: zero_grad between them": (5.5,),
        "the squared norm of the output is the sum of its squares, not their mean": (9.5 / 3,),
        "this is the gradient of the squared sum of the output; the squared norm is the sum of its squares": (28.5,),
        "this is the gradient of the output; MAS takes that of its squared norm": (3.0, 1.0),
        "this is the gradient of the norm; MAS takes that of the squared norm": ((4 / 6**0.5 + 1) / 2,),
    }.items():
        if any(close(got, value) for value in values):
            raise Wrong(mistake)
    if not close(got, 9.5):
        raise Wrong(f"for this network the gradients are 8 and -11, so the importance is 9.5, not {got:g}")
    if network.weight.item() != 1.0:
        raise Wrong("your function changed the network; measuring the importance must leave it alone")


def _adam(
    steps: int, fresh: bool = False, zero: bool = True, kind: Any = torch.optim.Adam, others: float | None = None
) -> float:
    """Where steps of rate 0.5 take the parameter of exercise 4.2; with `others`, pixels without a click have that label."""
    corrections = torch.tensor([1.0] if others is None else [1.0, others, others, others])
    weight = nn.Parameter(torch.tensor([0.0]))
    optimizer = kind([weight], lr=0.5)
    for _ in range(steps):
        optimizer = kind([weight], lr=0.5) if fresh else optimizer
        loss = nn.functional.binary_cross_entropy_with_logits(weight.expand_as(corrections), corrections)
        if zero:
            optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return float(weight.detach())


@exercise("4.2")
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
    if len(calls) < 3:
        raise Wrong(
            f"predict() was called {len(calls)} time{'s' * (len(calls) != 1)} for 3 steps: the loss changes with every step, "
            "so compute it in the loop"
        )
    if any(close(moved, _adam(3, others=label)) for label in (-1.0, 0.0)):
        raise Wrong("pixels without a click (-1) are in the loss; they must not count: use correction_loss")
    if moved < 0:
        raise Wrong("the parameters moved the wrong way: minimise the loss")
    wanted = _adam(3)
    if not close(moved, wanted):
        for mistake, value in {
            "the gradients of earlier steps are still there: zero_grad before backward()": _adam(3, zero=False),
            "Adam forgets between the steps: make one optimiser, before the loop": _adam(3, fresh=True),
            "these are steps of SGD; Algorithm 1 uses Adam": _adam(3, kind=torch.optim.SGD),
            "these are steps of AdamW, which also shrinks the weights; Algorithm 1 uses Adam": _adam(3, kind=torch.optim.AdamW),
        }.items():
            if close(moved, value):
                raise Wrong(mistake)
        raise Wrong(f"three Adam steps of rate 0.5 move this parameter to {wanted:.3f}, not to {moved:.3f}: count the steps")
    if not close(logits.detach()[0, 0], moved, 1e-6):
        raise Wrong("the prediction is one step old: predict again after the last step")
    if calls[-1] or logits.requires_grad:
        raise Wrong("the last prediction needs no gradients: put it under torch.no_grad()")


@exercise("4.1")
def _respected(answer: Answer) -> None:
    mask = np.zeros((10, 20), bool)
    mask[2:8, 2:8] = True
    good, bad = [Click(5, 5), Click(15, 5, False)], [Click(15, 5), Click(5, 5, False)]
    try:
        share = number(answer(mask, good))
    except Stopped as stopped:
        if not isinstance(stopped.__cause__, IndexError):
            raise
        raise Wrong(f"{stopped}: rows are y, so it is mask[y, x]") from None
    if close(share, 2.0):
        raise Wrong("this is the number of clicks that are respected; divide by the number of all")
    if not close(share, 1.0):
        raise Wrong("a positive click inside and a negative click outside the mask are both respected: 1.0 (rows are y)")
    if not close(answer(mask, bad), 0.0):
        raise Wrong("a positive click outside and a negative click inside the mask are not respected: 0.0")
    if not close(answer(mask, good + bad), 0.5):
        raise Wrong("two of four clicks respected should give 0.5")
    mask[2:4, 5:8] = False  # now x and y are not alike
    for clicks in (
        [Click(15, 5, False)],
        [Click(5, 5, False)],
        [Click(5, 5), Click(5, 6, False), Click(4, 5, False)],
        [Click(3, 6), Click(6, 3), Click(6, 3, False), Click(3, 6, False), Click(3, 7)],
    ):
        wanted = float(np.mean([mask[int(c.y), int(c.x)] == c.positive for c in clicks]))
        got = number(answer(mask, list(clicks)))
        if not close(got, wanted):
            told = ", ".join(
                f"{'positive' if c.positive else 'negative'} {'in' if mask[int(c.y), int(c.x)] else 'out'}side" for c in clicks
            )
            raise Wrong(
                f"for the clicks {told} the mask it should be {wanted:.2f}, not {got:.2f} (rows are y; negative clicks count, "
                "too)"
            )


@exercise("5.1")
def _subset(answer: Answer) -> None:
    clicks = [Click(i, i, i % 2 == 0) for i in range(8)]
    shown = list(clicks)

    def draw_clicks(share: float, seed: int, most: int = 8) -> list[Click]:
        drawn = given(answer(clicks[:most] if most < 8 else clicks, share, np.random.default_rng(seed)))
        if clicks != shown:
            raise Wrong("your function changes the list of clicks it is given; draw into a list of your own")
        if isinstance(drawn, np.ndarray) or not hasattr(drawn, "__iter__") or isinstance(drawn, str | Click):
            hint = "; rng.choice(clicks) makes numbers of them: draw indices" if np.ndim(drawn) == 2 else ""
            raise Wrong(f"give a list of clicks; what your function gives is {kind_of(drawn)}{hint}")
        drawn = list(drawn)
        if any(isinstance(click, np.ndarray) for click in drawn):
            raise Wrong(
                "rng.choice(clicks) makes an array of numbers of the clicks: draw indices, and take the clicks with them"
            )
        if any(not isinstance(click, Click) or click not in shown for click in drawn):
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
    # Of right answers, forty draws of the 70 possible ones have at least 25 different ones (measured, 300 times).
    if len({frozenset(draw) for draw in draws}) < 12:
        raise Wrong("only a few sets of clicks are ever drawn, such as neighbours: each set of this size must have a chance")
    if len({click for draw in draws for click in draw}) != 8:
        raise Wrong("some clicks are never drawn: each must have a chance")
    if draw_clicks(0.5, 3) != draw_clicks(0.5, 3):
        raise Wrong("the same seed gives different clicks: use the generator that is given, not np.random")
    if len(draw_clicks(0.5, 0, most=1)) != 1:
        raise Wrong("of a single click half is rounded up to one, so that the network is not left without any")
    for share, count in ((0.25, 2), (0.3, 3), (1.0, 8)):
        if (got := len(draw_clicks(share, 0))) != count:
            raise Wrong(f"a share of {share:g} of 8 clicks, rounded up, is {count}, not {got}")
