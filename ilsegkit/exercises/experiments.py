"""Checks for chapters 6 to 10: measuring, comparing, annotating."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..adaptation import Adaptation, Settings
from ..metrics import clicks_to_reach
from ..model import load_model
from .verdict import Answer, Stopped, Wrong, close, exercise, given, kind_of, number


@exercise("6.1")
def _clicks_at(answer: Answer) -> None:
    cases = [[0.5, 0.9], [0.9], [0.5, 0.9, 0.95], [0.5, 0.9, 0.7], [0.5, 0.85, 0.7], [0.5, 0.6], []]
    for ious, target, most in ((ious, 0.85, 20) for ious in cases):
        got, wanted = number(answer(ious, target, most)), clicks_to_reach(ious, target, most)
        if got == wanted:
            continue
        if max(ious, default=0) < target:
            raise Wrong(f"an object that never reaches the target counts {most}, the cap, not {got:g}")
        if target in ious:
            raise Wrong(f"the target counts as reached at IoU {target} itself: use >=, not >")
        if len(ious) == 3:
            raise Wrong(
                f"the first click that reaches {target} counts, whatever comes after it: for {ious} it is {wanted}, not {got:g}"
            )
        if got == wanted - 1:
            raise Wrong("clicks are counted from 1: an object that is good after the first click needs 1")
        raise Wrong(f"for IoUs {ious} and target {target} it should be {wanted}, not {got:g}")
    for most in (20, 10):
        got = number(answer([0.1] * 25 + [0.9], 0.85, most))
        if got != most:
            raise Wrong(f"a target that is reached after the cap counts as the cap, {most}, not {got:g}")


@exercise("6.2")
def _iou_at(answer: Answer) -> None:
    records = [[0.4, 0.6, 0.9], [0.8], [0.5, 0.4]]
    means = {1: 1.7 / 3, 2: 1.8 / 3, 4: 2.1 / 3}
    try:
        if close(answer(records, 2), 0.5):  # before it is asked for four clicks, which no object has
            raise Wrong("the object that was good after one click is left out: it keeps its last IoU, 0.8")
        got = {k: number(answer(records, k)) for k in means}
    except Stopped as stopped:
        if not isinstance(stopped.__cause__, IndexError):
            raise
        raise Wrong("an object with fewer than k clicks has no k-th IoU: take its last one") from None
    if close(got[2], 1.9 / 3):
        raise Wrong("this is the best IoU so far; IoU@k is that after k clicks, even where it was better before")
    if close(got[1], 1.8 / 3) or close(got[1], 2.1 / 3):
        raise Wrong("clicks are counted from 1: IoU@1 is the first number of each object")
    for k, wanted in means.items():
        if not close(got[k], wanted):
            raise Wrong(f"IoU@{k} of {records} is {wanted:.3f}, not {got[k]:.3f}")


@exercise("7.1")
def _saving(answer: Answer) -> None:
    initial, adapted = [10, 20, 3], [5, 20, 2]
    got = number(answer(initial, adapted))
    if close(got, float(np.mean([0.5, 0.0, 1 / 3]))):
        raise Wrong(
            "this is the mean of the objects' savings: easy objects count as much as hard ones. Compare the mean clicks"
        )
    if close(got, -6 / 33):
        raise Wrong("the sign is wrong: fewer clicks are a saving above 0")
    if close(got, 6 / 27):
        raise Wrong("the saving is a share of the initial model's clicks, not of the adapted one's")
    if close(got, 600 / 33):
        raise Wrong("this is in percent; give the share, in 0-1")
    if close(got, 2.0) or close(got, 6.0):
        raise Wrong("these are clicks; give the share of the initial model's clicks that is saved")
    if not close(got, 6 / 33):
        raise Wrong(f"33 clicks became 27, a saving of {6 / 33:.3f}, not {got:.3f}")
    if not close(loss := number(answer(adapted, initial)), -6 / 27):
        raise Wrong(
            f"27 clicks became 33, which is a saving of {-6 / 27:.3f}: the sign says that it costs clicks; yours is {loss:.3f}"
        )


@exercise("8.1")
def _bootstrap(answer: Answer) -> None:
    # Skewed, so that neither a normal distribution nor the interval mirrored at the mean gives the quantiles.
    differences = np.random.default_rng(0).exponential(4.0, 60) ** 1.5 / 4 - 2
    intervals = []
    for seed in range(1, 7):
        value = given(answer(differences.copy(), np.random.default_rng(seed)))
        try:
            low, high = (float(end) for end in value)
        except (TypeError, ValueError):
            raise Wrong(f"give two numbers, (low, high); what your function gives is {kind_of(value)}") from None
        if low > high:
            raise Wrong(f"({low:.2f}, {high:.2f}) begins with the higher end: give (low, high)")
        intervals.append((low, high))
    low, high = np.mean(intervals, axis=0)
    means = differences[np.random.default_rng(0).integers(0, 60, (20_000, 60))].mean(1)
    center, wanted = float(differences.mean()), [float(end) for end in np.quantile(means, (0.025, 0.975))]
    half = (wanted[1] - wanted[0]) / 2
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
    if len(set(intervals)) == 1:
        raise Wrong(
            "the interval is the same for every seed: this is a formula, or a generator of your own; resample with `rng`"
        )
    # Of right answers, with a thousand resamples, both ends are within 0.05 of half the width (measured); those of a normal
    # distribution are at least 0.11 off, quantiles of 5% and 95% 0.16, and so may be those of a hundred resamples.
    if max(abs(low - wanted[0]), abs(high - wanted[1])) > 0.08 * half:
        raise Wrong(
            f"the interval is ({low:.2f}, {high:.2f}) where about ({wanted[0]:.2f}, {wanted[1]:.2f}) is right: take the 2.5% "
            "and the 97.5% quantile of the means of a thousand resamples"
        )
    same = given(answer(differences.copy(), np.random.default_rng(1)))
    if tuple(map(float, same)) != intervals[0]:
        raise Wrong("the same seed gives different intervals: use the generator that is given, not np.random")


@exercise("9.1")
def _without_anchor(answer: Answer) -> None:
    stored: dict[str, Any] = {"steps": 1, "rate": 2e-5, "lam": 0.3, "gamma": 1.0, "keep": 0.5}
    model = load_model(device="cpu")
    model.adaptation = {"SA": dict(stored)}
    adaptation = given(answer(model))
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


@exercise("10.1")
def _label_map(answer: Answer) -> None:
    masks = [np.zeros((3, 4), bool) for _ in range(2)]
    masks[0][:2, :2], masks[1][1:, 1:] = True, True
    value = given(answer(masks))
    if not isinstance(value, np.ndarray):
        raise Wrong(f"give an array; what your function gives is {kind_of(value)}")
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
