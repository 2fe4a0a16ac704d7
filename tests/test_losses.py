"""Equations 1 to 4, held against the formulas written out in NumPy, in double precision."""

import numpy as np
import pytest
import torch

from ilsegkit.losses import adaptation_loss, correction_loss, cross_entropy, forgetting_loss


def literal_cross_entropy(logits, target):
    """-[y log p + (1 - y) log(1 - p)], averaged over the pixels with a target."""
    total, count = 0.0, 0
    for logit, wanted in zip(np.ravel(logits).astype(np.float64), np.ravel(target), strict=True):
        if wanted == -1:
            continue
        p = 1 / (1 + np.exp(-logit))
        total += -(wanted * np.log(p) + (1 - wanted) * np.log(1 - p))
        count += 1
    return total / count if count else 0.0


@pytest.fixture
def logits():
    return torch.from_numpy(np.random.default_rng(0).normal(0, 3, (6, 9)))


@pytest.fixture
def target():
    return torch.from_numpy(np.random.default_rng(1).integers(0, 2, (6, 9))).double()


@pytest.fixture
def corrections():
    """Five of 54 pixels are clicked."""
    clicks = torch.full((6, 9), -1.0, dtype=torch.float64)
    clicks[0, 0] = clicks[3, 4] = clicks[5, 8] = 1
    clicks[2, 2] = clicks[4, 7] = 0
    return clicks


def test_equation_1(logits, target):
    assert cross_entropy(logits, target).item() == pytest.approx(literal_cross_entropy(logits, target), rel=1e-12)


def test_equation_1_leaves_pixels_out(logits, target):
    target[:3] = -1
    expected = literal_cross_entropy(logits[3:], target[3:])
    assert cross_entropy(logits, target).item() == pytest.approx(expected, rel=1e-12)


def test_equation_2(logits, corrections):
    expected = literal_cross_entropy(logits, corrections)
    assert correction_loss(logits, corrections).item() == pytest.approx(expected, rel=1e-12)
    # Averaged over the five clicks, not over the 54 pixels.
    chosen = corrections != -1
    assert expected == pytest.approx(literal_cross_entropy(logits[chosen], corrections[chosen]), rel=1e-12)


def test_equation_2_moves_only_clicked_logits(logits, corrections):
    logits.requires_grad_()
    correction_loss(logits, corrections).backward()
    assert torch.equal(logits.grad != 0, corrections != -1)


def test_equation_3():
    rng = np.random.default_rng(2)
    shapes = {"weight": (3, 2, 1, 1), "bias": (3,)}
    now, anchor = ({name: torch.from_numpy(rng.normal(size=shape)) for name, shape in shapes.items()} for _ in range(2))
    importance = {name: torch.from_numpy(rng.uniform(size=shape)) for name, shape in shapes.items()}
    expected = sum(
        omega * (theta - start) ** 2
        for name in shapes
        for omega, theta, start in zip(*(np.ravel(part[name]) for part in (importance, now, anchor)), strict=True)
    )
    assert forgetting_loss(now.items(), anchor, importance).item() == pytest.approx(expected, rel=1e-12)


def test_equation_3_at_the_start_is_zero_with_zero_gradient():
    theta = torch.tensor([1.0, -2.0], requires_grad=True)
    loss = forgetting_loss([("a", theta)], {"a": theta.detach().clone()}, {"a": torch.ones(2)})
    loss.backward()
    assert loss.item() == 0
    assert theta.grad.tolist() == [0, 0]


def test_equation_3_of_no_parameters():
    assert forgetting_loss([], {}, {}).item() == 0


@pytest.mark.parametrize("lam", [0, 0.3, 0.5, 1])
@pytest.mark.parametrize("gamma", [0, 2])
def test_equation_4(logits, target, corrections, lam, gamma):
    expected = (
        lam * literal_cross_entropy(logits, corrections) + (1 - lam) * literal_cross_entropy(logits, target) + gamma * 0.25
    )
    value = adaptation_loss(logits, corrections, target, torch.tensor(0.25), lam, gamma).item()
    assert value == pytest.approx(expected, rel=1e-12)


def test_equation_4_holds_the_prediction_fixed(logits, corrections, target):
    logits.requires_grad_()
    prediction = target.clone().requires_grad_()
    adaptation_loss(logits, corrections, prediction, 0.0, 0.5, 0).backward()
    assert prediction.grad is None
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("shape", [(6, 9), (1, 1), (2, 1, 4, 5)])
def test_no_click_and_nothing_known_cost_nothing(shape):
    logits = torch.randn(shape, requires_grad=True)
    loss = correction_loss(logits, torch.full(shape, -1.0))
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


@pytest.mark.parametrize("size", [1e2, 1e4, 1e30])
def test_huge_logits_stay_finite(size):
    logits = torch.tensor([size, -size, size, -size, size], requires_grad=True)
    target = torch.tensor([1.0, 0.0, 0.0, 1.0, -1.0])
    loss = cross_entropy(logits, target)
    loss.backward()
    assert loss.item() == pytest.approx(size / 2, rel=1e-5)  # two of the four are as wrong as can be
    assert logits.grad.tolist() == [0, 0, 0.25, -0.25, 0]


def test_a_sure_and_right_network_loses_nothing():
    assert cross_entropy(torch.tensor([200.0, -200.0]), torch.tensor([1.0, 0.0])).item() == 0


def test_integer_targets_will_do(logits, target):
    assert cross_entropy(logits, target.to(torch.int8)) == cross_entropy(logits, target)
