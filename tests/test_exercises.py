"""A right solution is accepted, and each usual mistake is told by its name."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ilsegkit import Adaptation, Click, Settings
from ilsegkit.clicks import next_click
from ilsegkit.errors import DataError
from ilsegkit.exercises import CHECKS, check
from ilsegkit.losses import correction_loss


def not_solved(*_):
    raise NotImplementedError


def adapt_wrongly(again, steps_more=0, sign=1):
    def answer(parameters, predict, corrections, steps, rate):
        optimizer = torch.optim.Adam(parameters, lr=rate)
        for _ in range(steps + steps_more):
            logits = predict()
            optimizer.zero_grad()
            (sign * correction_loss(logits, corrections)).backward()
            optimizer.step()
        with torch.no_grad():
            return predict() if again else logits.detach()

    return answer


def swapped(prediction, target):
    click = next_click(prediction, target)
    return click and Click(click.y, click.x, click.positive)


def centre_of_mass(prediction, target):
    wrong = np.argwhere(prediction & ~target)
    return Click(*wrong[0][::-1], False) if len(wrong) else None


def mas(total_of):
    def answer(network, inputs):
        total = 0.0
        for x in inputs:
            network.zero_grad()
            network(x).square().sum().backward()
            total += total_of(network.weight.grad)
        return total / len(inputs)

    return answer


def mas_without_zero(network, inputs):
    total = 0.0
    for x in inputs:
        network(x).square().sum().backward()
        total += network.weight.grad.abs().sum().item()
    return total / len(inputs)


def eq2(reduce, fill=None):
    def answer(logits, c):
        pixels = F.binary_cross_entropy_with_logits(logits, c.clamp(min=0), reduction="none")
        return reduce(pixels, c >= 0)

    return answer


def eq3(term, reduce=sum):
    return lambda theta, anchor, omega: reduce(term(theta[n], anchor[n], omega[n]).sum() for n in theta)


def widened(tail):
    return lambda rgb: torch.cat([rgb, tail(rgb)], 1)


MISTAKES = [
    ("1.1", lambda p, t: (p & t).sum() / p.sum(), "it should be"),
    ("1.1", lambda p, t: (p & t).sum() / ((p | t).sum() or np.nan), "two empty masks"),
    ("1.1", lambda p, t: None, "return"),
    ("1.2", swapped, "x is the column"),
    ("1.2", lambda p, t: Click(23, 20, True), "take the largest region"),
    ("1.2", lambda p, t: Click(47, 14, True), "negative click"),
    ("1.2", centre_of_mass, "from its border"),
    ("1.2", lambda p, t: Click(47, 14, False), "give None"),
    ("2.1", lambda z, y: (y * F.softplus(-z) + (1 - y) * F.softplus(z)).sum(), "is the sum"),
    ("2.1", lambda z, y: -(y * F.softplus(-z) + (1 - y) * F.softplus(z)).mean(), "sign"),
    ("2.1", lambda z, y: y * F.softplus(-z), "one number"),
    ("2.1", lambda z, y: -(y * z.sigmoid().log() + (1 - y) * (1 - z.sigmoid()).log()).mean(), "infinite"),
    ("2.2", widened(lambda w: torch.zeros_like(w[:, :2])), "all zero"),
    ("2.2", widened(lambda w: w[:, :2]), "copy of red and green"),
    ("2.2", widened(lambda w: torch.randn_like(w[:, :2])), "it should be 2 times"),
    ("2.2", lambda w: torch.cat([w * 3 / 5, w[:, :2]], 1), "0.60 times"),
    ("2.2", lambda w: w, "the shape"),
    ("3.1", eq2(lambda p, k: (p * k).mean()), "number of all pixels"),
    ("3.1", eq2(lambda p, k: (p * k).sum()), "the sum"),
    ("3.1", eq2(lambda p, k: p.mean()), "without a click count as background"),
    ("3.1", eq2(lambda p, k: (p * k).sum() / k.sum()), "0 by 0"),
    ("3.2", eq3(lambda t, a, o: (t - a) ** 2), "importance"),
    ("3.2", eq3(lambda t, a, o: o * (t - a)), "not squared"),
    ("3.2", lambda t, a, o: sum((o[n] * (t[n] - a[n]) ** 2).sum() for n in t) / 3, "is the mean"),
    ("3.3", mas(lambda g: g.square().sum().item()), "squared"),
    ("3.3", mas(lambda g: 2 * g.abs().sum().item()), "the sum"),
    ("3.3", mas_without_zero, "zero_grad"),
    ("3.3", mas(lambda g: g.sum().item()), "cancel out"),
    ("4.1", lambda mask, clicks: np.mean([mask[c.x % 10, c.y] == c.positive for c in clicks]), "rows are y"),
    ("4.1", lambda mask, clicks: 1.0, "not respected"),
    ("4.2", adapt_wrongly(again=False), "one step old"),
    ("4.2", adapt_wrongly(again=True, steps_more=2), "count the steps"),
    ("4.2", adapt_wrongly(again=True, sign=-1), "wrong way"),
    ("4.2", lambda p, predict, c, steps, rate: predict(), "have not moved"),
    ("5.1", lambda clicks, share, rng: clicks, "half of 8"),
    ("5.1", lambda clicks, share, rng: clicks[:4], "at random"),
    ("5.1", lambda clicks, share, rng: [clicks[i] for i in rng.choice(8, 4)] if len(clicks) > 1 else clicks, "twice"),
    ("6.1", lambda ious, target, most: next((i for i, v in enumerate(ious) if v >= target), most), "counted from 1"),
    ("6.1", lambda ious, target, most: next((i for i, v in enumerate(ious, 1) if v >= target), len(ious)), "the cap"),
    ("6.2", lambda records, k: np.mean([ious[k - 1] for ious in records]), "take its last"),
    ("6.2", lambda records, k: np.mean([ious[k - 1] for ious in records if len(ious) >= k] or [0]), "left out"),
    ("6.2", lambda records, k: np.mean([ious[min(k, len(ious) - 1)] for ious in records]), "counted from 1"),
    ("6.2", lambda records, k: np.mean([max(ious[:k]) + 0.1 * (k > 2) for ious in records]), "IoU@4"),
    ("7.1", lambda a, b: np.mean(1 - np.array(b) / np.array(a)), "objects' savings"),
    ("7.1", lambda a, b: np.mean(b) / np.mean(a) - 1, "sign"),
    ("8.1", lambda d, rng: np.quantile(d, [0.025, 0.975]), "spread of the objects"),
    ("8.1", lambda d, rng: (d.mean() - 0.01, d.mean() + 0.01), "too narrow"),
    ("8.1", lambda d, rng: (d.mean() + 1, d.mean() + 2), "does not hold"),
    ("9.1", lambda model: Adaptation(sequence=Settings(1, 1e-6, 0.5, 0.0)), "model's own settings"),
    ("9.1", lambda model: Adaptation(sequence=Settings(**model.adaptation["SA"])), "holds the model back"),
    ("9.1", lambda model: Adaptation(sequence=Settings(1, 2e-5, 0.3, 0.0)), "only `gamma`"),
    ("9.1", lambda model: Settings(1, 2e-5, 0.3, 0.0), "ils.Adaptation"),
    ("10.1", lambda masks: np.uint8(np.sum(masks, 0)), "the second 2"),
    ("10.1", lambda masks: np.max([m * (i + 1) for i, m in enumerate(masks)], 0), "uint8"),
]


@pytest.mark.parametrize(("exercise", "answer", "told"), MISTAKES, ids=[f"{m[0]}-{m[2]}" for m in MISTAKES])
def test_mistakes_are_told(exercise, answer, told):
    verdict = check(exercise, answer)
    assert verdict.solved is False
    assert told in verdict.message
    assert "✗" in repr(verdict)


def test_every_check_has_a_mistake_that_it_tells():
    assert {exercise for exercise, *_ in MISTAKES} == set(CHECKS)


@pytest.mark.parametrize("exercise", CHECKS)
def test_unsolved_and_broken(exercise):
    assert check(exercise, not_solved).solved is None

    def broken(*_):
        raise KeyError("oops")

    assert "KeyError" in check(exercise, broken).message


def test_unknown_exercise():
    with pytest.raises(DataError, match="there is no exercise"):
        check("0.1", not_solved)
