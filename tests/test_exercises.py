"""A right solution is accepted, and each usual mistake is told by its name."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.nn import functional as F

from ilsegkit import Adaptation, Click, Session, Settings
from ilsegkit.adaptation import kept_clicks
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


def robot(size=None, place=None, label=None, connect=None):
    """The robot user as a student writes it, with a mistake."""

    def answer(prediction, target):
        missing, extra = target & ~prediction, prediction & ~target
        found = []
        for errors, sign in connect(missing, extra) if connect else [(missing, True), (extra, False)]:
            regions, count = ndimage.label(errors)
            found += [(regions == number, sign) for number in range(1, count + 1)]
        if not found:
            return None
        region, sign = max(
            found, key=lambda one: (size or (lambda region, missing, extra: region.sum()))(one[0], missing, extra)
        )
        depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
        row, column = place(region) if place else np.unravel_index(depth.argmax(), depth.shape)
        return Click(int(column), int(row), label(target, row, column) if label else sign)

    return answer


def as_one(missing, extra):
    return [(missing | extra, True)]


def by_kind(missing, extra):
    return [(missing, True)] if missing.sum() > extra.sum() else [(extra, False)]


def is_object(target, row, column):
    return bool(target[int(row), int(column)])


def adam(zero=True, fresh=False, kind=torch.optim.Adam):
    def answer(parameters, predict, corrections, steps, rate):
        optimizer = kind(parameters, lr=rate)
        for _ in range(steps):
            optimizer = kind(parameters, lr=rate) if fresh else optimizer
            if zero:
                optimizer.zero_grad()
            correction_loss(predict(), corrections).backward()
            optimizer.step()
        with torch.no_grad():
            return predict()

    return answer


def shuffled(clicks, share, rng):
    rng.shuffle(clicks)
    return clicks[: int(np.ceil(share * len(clicks)))]


def bootstrap(low=0.025, high=0.975, own=False, backwards=False):
    def answer(d, rng):
        rng = np.random.default_rng() if own else rng
        ends = np.quantile(rng.choice(d, (1000, len(d))).mean(1), [low, high])
        return ends[::-1] if backwards else ends

    return answer


def changes_the_model(model):
    model.adaptation["SA"]["gamma"] = 0.0
    return Adaptation(sequence=Settings(**model.adaptation["SA"]))


def two_masks(masks):
    labels = np.zeros(masks[0].shape, np.uint8)
    labels[masks[0]], labels[masks[1]] = 1, 2
    return labels


def widened(tail):
    return lambda rgb: torch.cat([rgb, tail(rgb)], 1)


def unpadded(region):
    return np.unravel_index(ndimage.distance_transform_edt(region).argmax(), region.shape)


def same_for_all_filters(rgb):
    return (torch.randn(1, 2, *rgb.shape[2:]) * 2 * rgb.std()).expand(len(rgb), -1, -1, -1)


def neighbours(clicks, share, rng):
    start = rng.integers(len(clicks))
    return [clicks[(start + i) % len(clicks)] for i in range(math.ceil(share * len(clicks)))]


def from_a_normal_distribution(d, rng):
    means = rng.choice(d, (1000, len(d))).mean(1)
    return means.mean() - 1.96 * means.std(), means.mean() + 1.96 * means.std()


def mirrored(d, rng):
    low, high = bootstrap()(d, rng)
    return 2 * d.mean() - high, 2 * d.mean() - low


def deepest_of_all(prediction, target):
    """Without regions: whatever error is deepest."""
    depths = [ndimage.distance_transform_edt(np.pad(e, 1))[1:-1, 1:-1] for e in (target & ~prediction, prediction & ~target)]
    if not (prediction ^ target).any():
        return None
    missing = depths[0].max() > depths[1].max()
    row, column = np.unravel_index(depths[not missing].argmax(), target.shape)
    return Click(int(column), int(row), bool(missing))


def deepest_of_its_kind(prediction, target):
    click = next_click(prediction, target)
    errors = target & ~prediction if click and click.positive else prediction & ~target
    depth = ndimage.distance_transform_edt(np.pad(errors, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(depth.argmax(), depth.shape)
    return click and Click(int(column), int(row), click.positive)


def chessboard(prediction, target):
    click = robot()(prediction, target)
    if click is None or not click.positive or prediction.any():
        return click
    depth = ndimage.distance_transform_cdt(target & ~prediction)
    row, column = np.unravel_index(np.where(depth == 5, depth, 0).argmax(), depth.shape)
    return Click(int(column), int(row), True)


def of_square(reduce):
    """MAS of another function of the output."""

    def answer(network, inputs):
        total = 0.0
        for x in inputs:
            network.zero_grad()
            reduce(network(x)).backward()
            total += network.weight.grad.abs().sum().item()
        return total / len(inputs)

    return answer


def everywhere(parameters, predict, corrections, steps, rate):
    optimizer = torch.optim.Adam(parameters, lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(predict(), corrections.clamp(min=-1)).backward()
        optimizer.step()
    with torch.no_grad():
        return predict()


def all_background(parameters, predict, corrections, steps, rate):
    return everywhere(parameters, predict, corrections.clamp(min=0), steps, rate)


def one_loss(parameters, predict, corrections, steps, rate):
    optimizer = torch.optim.Adam(parameters, lr=rate)
    loss = correction_loss(predict(), corrections)
    for _ in range(steps):
        optimizer.zero_grad()
        loss.backward(retain_graph=True)
        optimizer.step()
    with torch.no_grad():
        return predict()


def few(count):
    return lambda d, rng: np.quantile(rng.choice(d, (count, len(d))).mean(1), [0.025, 0.975])


def class_means(z, y):
    pixels = F.binary_cross_entropy_with_logits(z, y, reduction="none")
    return torch.stack([pixels[y == label].mean() for label in (0, 1) if (y == label).any()]).mean()


MISTAKES = [
    ("1.1", lambda p, t: 1.0 if not t.any() else (p & t).sum() / (p | t).sum(), "only one of the two"),
    ("1.1", lambda p, t: 1.0 if not p.any() else (p & t).sum() / (p | t).sum(), "only one of the two"),
    ("1.2", deepest_of_all, "by its size"),
    ("1.2", chessboard, "positive=True"),
    ("1.2", robot(place=unpadded), "pad it by one pixel"),
    ("2.2", widened(same_for_all_filters), "same in every filter"),
    ("3.2", eq3(lambda t, a, o: o * (t - a) ** 2 / 2), "factor 1/2"),
    ("4.2", adam(kind=torch.optim.AdamW), "AdamW"),
    ("5.1", neighbours, "a few sets"),
    ("6.2", lambda records, k: np.mean([ious[k - 1] for ious in records if len(ious) >= k]), "left out"),
    ("8.1", from_a_normal_distribution, "97.5%"),
    ("8.1", mirrored, "97.5%"),
    ("1.2", deepest_of_its_kind, "by its size"),
    ("2.1", class_means, "every pixel counts the same"),
    (
        "2.2",
        lambda w: torch.cat([w, torch.randn(64, 2, 3, 3) * 0.2], 1) if len(w) == 64 else torch.zeros(64, 5, 3, 3),
        "the shape",
    ),
    ("2.2", widened(lambda w: torch.randn_like(w[:, :2]) * 0.2), "times as much"),
    ("2.2", widened(lambda w: 1 + torch.randn_like(w[:, :2]) * 2 * w.std()), "around 0"),
    ("2.1", lambda z, y: F.softplus(z.long()).mean(), "not implemented for 'Long'"),
    (
        "3.1",
        lambda z, c: F.binary_cross_entropy_with_logits(z, c == 1, reduction="none")[c >= 0].mean(),
        "your function stopped",
    ),
    ("3.2", lambda theta, anchor, omega: (omega["w"] * (theta["w"] - anchor["w"]) ** 2).sum(), "one tensor alone"),
    ("3.3", of_square(lambda y: y.square().mean()), "not their mean"),
    ("3.3", of_square(lambda y: y.sum() ** 2), "squared sum"),
    ("3.3", of_square(lambda y: y.norm()), "of the norm"),
    ("3.3", of_square(lambda y: y.sum()), "of the output"),
    ("4.1", lambda mask, clicks: np.mean([mask[c.y, c.x] for c in clicks if c.positive] or [1]), "negative clicks count"),
    ("4.1", lambda mask, clicks: np.mean([mask[c.x % 10, min(c.y, 19)] == c.positive for c in clicks]), "rows are y"),
    ("4.2", everywhere, "must not count"),
    ("4.2", all_background, "must not count"),
    ("4.2", one_loss, "in the loop"),
    ("6.1", lambda ious, target, most: int(np.argmax(ious)) + 1 if max(ious, default=0) >= target else most, "the first click"),
    ("6.1", lambda ious, target, most: min(len(ious), most) if max(ious, default=0) >= target else most, "the first click"),
    (
        "6.1",
        lambda ious, target, most: sum(v < target for v in ious) + 1 if max(ious, default=0) >= target else most,
        "the first click",
    ),
    ("7.1", lambda a, b: abs(1 - np.mean(b) / np.mean(a)), "costs clicks"),
    ("7.1", lambda a, b: (np.mean(a) - np.mean(b)) / max(np.mean(a), np.mean(b)), "costs clicks"),
    ("8.1", few(100), "a thousand"),
    ("8.1", bootstrap(0.05, 0.975), "97.5%"),
    ("8.1", bootstrap(0.025, 0.95), "97.5%"),
    ("8.1", lambda d, rng: bootstrap()(d, rng) + 0.45, "97.5%"),
    ("1.1", lambda p, t: 2 * (p & t).sum() / (p.sum() + t.sum() or np.nan), "Dice"),
    ("1.1", lambda p, t: 0 if not p.any() else (p & t).sum() / (p | t).sum(), "not 0"),
    ("1.1", lambda p, t: int((p & t).sum()) / int((p | t).sum()), "divides by zero"),
    ("1.1", lambda p, t: (p & t) / (p | t).sum(), "one number"),
    ("1.1", lambda p, t: "0.5 or so", "one number"),
    ("1.2", robot(connect=as_one, label=is_object), "regions of their own"),
    ("1.2", robot(connect=by_kind), "compare regions"),
    ("1.2", robot(place=lambda region: np.argwhere(region).mean(0).round()), "in the hole"),
    ("1.2", robot(label=lambda *_: False), "positive click"),
    ("1.2", lambda p, t: 47, "ils.Click(x, y, positive)"),
    ("1.2", lambda p, t: (47, 14), "ils.Click(x, y, positive)"),
    ("1.2", lambda p, t: ("a", 14, True), "are numbers"),
    ("1.2", lambda p, t: (np.nan, 14, True), "are numbers"),
    ("1.2", lambda p, t: None, "return"),
    ("2.1", lambda z, y: F.binary_cross_entropy(z.sigmoid(), y), "from the logits"),
    ("2.1", lambda z, y: None, "return"),
    ("2.2", lambda w: None, "return"),
    ("2.2", lambda w: w.numpy(), "give a tensor"),
    ("2.2", widened(lambda w: 2 * w[:, :2]), "copy of red and green"),
    ("2.2", widened(lambda w: (torch.randn_like(w[:, :1]) * 2 * w.std()).repeat(1, 2, 1, 1)), "alike"),
    ("3.1", lambda z, c: F.binary_cross_entropy(z.sigmoid()[c >= 0], c[c >= 0]) if (c >= 0).any() else 0, "from the logits"),
    ("3.1", lambda z, c: correction_loss(z, c) if (c >= 0).any() else 1.0, "the loss is 0"),
    ("3.1", lambda z, c: correction_loss(z, c) if (c >= 0).any() else 1 / 0, "0 by 0"),
    ("3.1", lambda z, c: None, "return"),
    ("3.1", lambda z, c: correction_loss(z, c) if (c >= 0).any() else None, "return"),
    ("3.2", lambda *_: None, "return"),
    ("3.2", lambda theta, anchor, omega: [1.0, 2.0], "one number"),
    ("3.3", lambda *_: None, "return"),
    ("3.3", lambda network, inputs: 1.0, "squared norm"),
    ("4.1", lambda mask, clicks: sum(mask[c.y, c.x] == c.positive for c in clicks), "number of clicks"),
    ("4.1", lambda mask, clicks: np.mean([mask[c.x, c.y] == c.positive for c in clicks]), "rows are y"),
    ("4.1", lambda mask, clicks: None, "return"),
    ("4.2", adam(zero=False), "zero_grad"),
    ("4.2", adam(fresh=True), "before the loop"),
    ("4.2", adam(kind=torch.optim.SGD), "SGD"),
    ("4.2", lambda *_: None, "give the logits"),
    ("4.2", lambda p, predict, *_: predict().sum(), "as predict() does"),
    ("5.1", lambda clicks, share, rng: rng.choice(clicks, math.ceil(share * len(clicks)), replace=False), "draw indices"),
    ("5.1", lambda clicks, share, rng: list(rng.choice(clicks, math.ceil(share * len(clicks)))), "draw indices"),
    (
        "5.1",
        lambda clicks, share, rng: rng.choice(len(clicks), math.ceil(share * len(clicks)), replace=False),
        "list of clicks",
    ),
    ("5.1", lambda clicks, share, rng: [0, 1, 2, 3], "not of indices"),
    ("5.1", lambda clicks, share, rng: None, "return"),
    ("5.1", lambda clicks, share, rng: 4, "list of clicks"),
    ("5.1", shuffled, "changes the list"),
    ("5.1", lambda clicks, share, rng: [clicks[i] for i in rng.permutation(len(clicks))[: -(-len(clicks) // 2)]], "a share of"),
    (
        "5.1",
        lambda clicks, share, rng: [clicks[i] for i in rng.permutation(len(clicks))[: int(share * len(clicks))]],
        "up to one",
    ),
    ("6.1", lambda ious, target, most: None, "return"),
    ("6.1", lambda ious, target, most: next((i for i, v in enumerate(ious, 1) if v > target), most), ">="),
    ("6.1", lambda ious, target, most: min(20, next((i for i, v in enumerate(ious, 1) if v >= target), most)), "the cap, 10"),
    ("6.2", lambda records, k: None, "return"),
    ("6.2", lambda records, k: np.mean([max(ious[:k]) for ious in records]), "best IoU"),
    ("7.1", lambda a, b: None, "return"),
    ("7.1", lambda a, b: 100 * (1 - np.mean(b) / np.mean(a)), "percent"),
    ("7.1", lambda a, b: np.mean(a) - np.mean(b), "these are clicks"),
    ("8.1", lambda d, rng: None, "return"),
    ("8.1", lambda d, rng: d.mean(), "two numbers"),
    ("8.1", bootstrap(backwards=True), "higher end"),
    ("8.1", bootstrap(0.05, 0.95), "97.5%"),
    ("8.1", bootstrap(own=True), "not np.random"),
    ("8.1", lambda d, rng: (d.mean() - 1.96 * d.std() / 60**0.5, d.mean() + 1.96 * d.std() / 60**0.5), "every seed"),
    ("9.1", lambda model: None, "return"),
    ("9.1", changes_the_model, "changes model.adaptation"),
    ("9.1", lambda model: Adaptation(sequence=Settings(**model.adaptation["SA"] | {"gamma": 0.0, "steps": 3})), "only `gamma`"),
    ("10.1", lambda masks: None, "return"),
    ("10.1", lambda masks: [[0]], "give an array"),
    ("10.1", two_masks, "three"),
    ("1.1", lambda p, t: (p & t).sum() / p.sum(), "it should be"),
    ("1.1", lambda p, t: (p & t).sum() / ((p | t).sum() or np.nan), "two empty masks"),
    ("1.1", lambda p, t: None, "return"),
    ("1.2", swapped, "x is the column"),
    ("1.2", lambda p, t: Click(23, 20, True), "take the largest region"),
    ("1.2", lambda p, t: Click(47, 14, True), "negative click"),
    ("1.2", centre_of_mass, "from its border"),
    ("1.2", lambda p, t: next_click(p, t) or Click(47, 14, False), "give None"),
    ("1.2", lambda p, t: Click(47, 14, False), "nothing of the object"),
    ("2.1", lambda z, y: (y * F.softplus(-z) + (1 - y) * F.softplus(z)).sum(), "is the sum"),
    ("2.1", lambda z, y: -(y * F.softplus(-z) + (1 - y) * F.softplus(z)).mean(), "sign"),
    ("2.1", lambda z, y: y * F.softplus(-z), "one number"),
    ("2.1", lambda z, y: torch.where(y == 1, -z.sigmoid().log(), -(1 - z.sigmoid()).log()).mean(), "infinite"),
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
    ("6.2", lambda records, k: np.mean([ious[min(k, len(ious)) - 1] + 0.1 * (k > 2) for ious in records]), "IoU@4"),
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


def test_a_verdict_can_be_asserted():
    assert check("3.1", correction_loss)
    assert not check("3.1", lambda logits, corrections: 0.0)
    assert not check("3.1", not_solved)


def test_unknown_exercise():
    with pytest.raises(DataError, match="there is no exercise"):
        check("0.1", not_solved)


NONSENSE = [None, "text", 7, (), [], {}, object(), np.zeros(3), torch.zeros(2, 3)]


@pytest.mark.parametrize("exercise", CHECKS)
@pytest.mark.parametrize("nonsense", NONSENSE, ids=lambda nonsense: type(nonsense).__name__)
def test_whatever_a_function_gives_is_answered_in_words(exercise, nonsense):
    verdict = check(exercise, lambda *_: nonsense)
    assert verdict.solved is False
    assert "Error" not in verdict.message


def test_the_function_itself_is_wanted():
    assert "without calling it" in check("1.1", 0.5).message


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        ("1.1", lambda p, t: ((p & t).sum() + 1e-7) / ((p | t).sum() + 1e-7)),
        ("1.2", next_click),
        ("1.2", robot()),
        ("9.1", lambda model: Adaptation(sequence=replace(Session(model, "SA").adaptation.sequence, gamma=0.0))),
        ("2.1", lambda z, y: F.binary_cross_entropy_with_logits(z, y)),
        ("3.1", correction_loss),
        ("3.3", mas(lambda g: g.abs().sum().item())),
        ("4.2", adam()),
        ("5.1", kept_clicks),
        ("5.1", lambda clicks, share, rng: [clicks[i] for i in rng.permutation(len(clicks))[: math.ceil(share * len(clicks))]]),
        ("8.1", bootstrap()),
        ("8.1", few(500)),
        ("8.1", lambda d, rng: np.percentile([d[rng.integers(0, len(d), len(d))].mean() for _ in range(1000)], [2.5, 97.5])),
        ("6.1", lambda ious, target, most: min([*(k for k, v in enumerate(ious, 1) if v >= target), most])),
        ("2.2", lambda w: torch.cat([w, 2 * w.std() * torch.randn(w.shape[0], 2, *w.shape[2:])], 1)),
    ],
)
def test_other_right_solutions_are_accepted(exercise, answer):
    assert check(exercise, answer).solved, check(exercise, answer)
