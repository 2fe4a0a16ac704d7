"""The literal algorithm, held against Eq. 4 and Adam written out by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ilsegkit.adaptation import MODES, PAPER, Adaptation, Settings, adapt, kept_clicks, named_adaptation
from ilsegkit.clicks import Click
from ilsegkit.errors import DataError
from ilsegkit.frame import Frame, Window

CLICKS = (Click(10, 12, True), Click(50, 40, False))


IMAGE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)


@pytest.fixture
def frame(tiny_model):
    return Frame(IMAGE, tiny_model)


@pytest.fixture
def window(tiny_model):
    """The same pixels, and a larger image around them that has its part in the answer."""
    large = np.pad(IMAGE, ((0, 48), (0, 64), (0, 0)), "reflect")
    return Frame(large, tiny_model, Window(0, 0, 48, 64), Frame(large, tiny_model))


def weights(model):
    return {name: value.detach().clone() for name, value in model.named_parameters()}


@pytest.mark.parametrize("seen", ["frame", "window"])
def test_one_step_is_adam_on_equation_4(tiny_model, seen, request):
    frame = request.getfixturevalue(seen)
    settings = Settings(steps=1, rate=1e-3, lam=0.3, gamma=5.0)
    start = weights(tiny_model)
    anchor = {name: value + 0.01 for name, value in start.items()}  # so that Eq. 3 has a gradient
    tiny_model.importance = {name: torch.full_like(value, 2.0) for name, value in start.items()}
    prediction = torch.zeros(frame.size)
    prediction[10:30, 20:50] = 1

    logits = tiny_model(frame.pixels, frame.guidance(CLICKS))[0, 0]
    if seen == "window":  # what learns is the answer: the mean with what is said of the whole
        whole = Frame(frame.image, tiny_model)
        logits = (logits + frame.part_of(tiny_model(whole.pixels, whole.guidance(CLICKS))[0, 0])) / 2
    at = torch.stack([logits[12, 10], logits[40, 50]])
    clicks = F.binary_cross_entropy(torch.sigmoid(at), torch.tensor([1.0, 0.0]))
    everything = F.binary_cross_entropy(torch.sigmoid(logits), prediction)
    forgetting = sum((2.0 * (value - anchor[name]) ** 2).sum() for name, value in tiny_model.named_parameters())
    loss = 0.3 * clicks + 0.7 * everything + 5.0 * forgetting
    gradients = torch.autograd.grad(loss, list(tiny_model.parameters()))
    # Adam's first step, bias corrected: the sign of the gradient, softened by epsilon.
    expected = {name: value - 1e-3 * g / (g.abs() + 1e-8) for (name, value), g in zip(start.items(), gradients, strict=True)}

    outcome = adapt(tiny_model, frame, CLICKS, prediction, settings, anchor)
    assert outcome.steps == 1
    assert outcome.notice is None
    for name, value in tiny_model.named_parameters():
        big = expected[name].sub(start[name]).abs() > 0.9e-3  # where the sign is beyond rounding
        torch.testing.assert_close(value[big], expected[name][big], atol=2e-6, rtol=0)


def test_steps_raise_the_probability_of_the_clicks(tiny_model, frame):
    def probabilities():
        with torch.no_grad():
            p = torch.sigmoid(tiny_model(frame.pixels, frame.guidance(CLICKS))[0, 0])
        return p[12, 10].item(), p[40, 50].item()

    before = probabilities()
    adapt(tiny_model, frame, CLICKS, torch.zeros(frame.size), Settings(10, 1e-3, 1.0, 0.0), weights(tiny_model))
    after = probabilities()
    assert after[0] > before[0] + 0.05
    assert after[1] < before[1] - 0.05


def test_regularisation_keeps_parameters_near_the_anchor(tiny_model, frame):
    start = weights(tiny_model)

    def distance(gamma):
        with torch.no_grad():
            for name, value in tiny_model.named_parameters():
                value.copy_(start[name])
        adapt(tiny_model, frame, CLICKS, torch.zeros(frame.size), Settings(10, 1e-3, 1.0, gamma), start)
        return sum((value - start[name]).square().sum().item() for name, value in tiny_model.named_parameters())

    assert distance(100.0) < 0.5 * distance(0.0)


def test_batch_norm_statistics_never_move(tiny_model, frame):
    buffers = {name: value.clone() for name, value in tiny_model.named_buffers()}
    adapt(tiny_model, frame, CLICKS, torch.zeros(frame.size), Settings(3, 1e-2, 0.5, 1.0), weights(tiny_model))
    for name, value in tiny_model.named_buffers():
        assert torch.equal(value, buffers[name]), name


def test_confident_stops_early_and_none_never_does(tiny_model, frame):
    anchor = weights(tiny_model)
    literal = Settings(40, 3e-3, 1.0, 0.0)
    assert adapt(tiny_model, frame, CLICKS, torch.zeros(frame.size), literal, anchor).steps == 40
    logits = tiny_model(frame.pixels, frame.guidance(CLICKS))[0, 0]
    assert frame.respected(logits.detach(), CLICKS, 0.6)
    early = replace(literal, confident=0.6)
    assert adapt(tiny_model, frame, CLICKS, torch.zeros(frame.size), early, anchor).steps == 0


def test_a_step_that_is_not_finite_is_undone_and_told(tiny_model, frame):
    start = weights(tiny_model)
    outcome = adapt(tiny_model, frame, CLICKS, torch.zeros(frame.size), Settings(5, 1e37, 1.0, 0.0), start)
    assert outcome.notice is not None
    assert "undone" in outcome.notice
    assert all(torch.isfinite(value).all() for value in tiny_model.parameters())


def test_on_step_counts_and_can_stop(tiny_model, frame):
    seen = []

    def on_step(step, steps):
        seen.append((step, steps))
        return step < 2

    outcome = adapt(
        tiny_model, frame, CLICKS, torch.zeros(frame.size), Settings(9, 1e-4, 1.0, 0.0), weights(tiny_model), on_step=on_step
    )
    assert seen == [(0, 9), (1, 9), (2, 9)]
    assert outcome.steps == 2
    assert "stopped" in outcome.notice


def test_kept_clicks_are_a_random_subset_in_order():
    clicks = [Click(i, i) for i in range(7)]
    rng = np.random.default_rng(3)
    draws = [kept_clicks(clicks, 0.5, rng) for _ in range(30)]
    assert {len(draw) for draw in draws} == {4}
    assert all(draw == sorted(draw) for draw in draws)
    assert len({tuple(draw) for draw in draws}) > 5
    assert kept_clicks(clicks, 1.0, rng) == clicks
    assert kept_clicks(clicks, 0.0, rng) == []


def test_modes_have_the_papers_settings_unless_others_were_chosen():
    assert [named_adaptation(mode).name for mode in MODES] == list(MODES)
    both = named_adaptation("IA+SA")
    assert (both.image, both.sequence) == (PAPER["IA"], PAPER["SA"])
    assert (PAPER["IA"].steps, PAPER["IA"].rate, PAPER["IA"].lam, PAPER["IA"].gamma) == (10, 1e-6, 1.0, 1.0)
    assert (PAPER["SA"].steps, PAPER["SA"].rate, PAPER["SA"].lam, PAPER["SA"].gamma) == (1, 1e-6, 0.5, 2.0)
    chosen = {"IA": {"steps": 3, "rate": 1e-5, "lam": 1.0, "gamma": 0.0}}
    assert named_adaptation("IA", chosen).image == Settings(3, 1e-5, 1.0, 0.0)
    assert named_adaptation("SA", chosen) == Adaptation(sequence=PAPER["SA"])


def test_bad_settings_are_refused():
    with pytest.raises(DataError, match="lam = 2"):
        Settings(1, 1e-4, 2, 0)
    with pytest.raises(DataError, match="one of none, IA, SA"):
        named_adaptation("both")


@pytest.mark.parametrize("seen", ["frame", "window"])
def test_the_decoder_alone_learns_as_if_the_encoder_were_frozen(tiny_model, seen, request):
    """Features computed once give the same steps as whole passes by an optimizer that has only the decoder's parameters."""
    frame = request.getfixturevalue(seen)
    settings = Settings(steps=4, rate=1e-3, lam=0.5, gamma=2.0)
    start, prediction = weights(tiny_model), torch.zeros(frame.size)
    optimizer = torch.optim.Adam([p for n, p in tiny_model.named_parameters() if not n.startswith("network.encoder.")], 1e-3)
    reference = adapt(tiny_model, frame, CLICKS, prediction, settings, start, optimizer)
    expected = weights(tiny_model)
    with torch.no_grad():
        for name, value in tiny_model.named_parameters():
            value.copy_(start[name])
    outcome = adapt(tiny_model, frame, CLICKS, prediction, replace(settings, scope="decoder"), start)
    torch.testing.assert_close(outcome.logits, reference.logits)
    for name, value in tiny_model.named_parameters():
        torch.testing.assert_close(value.detach(), expected[name])
        assert torch.equal(value, start[name]) == name.startswith("network.encoder.")


def test_an_unknown_scope_is_refused():
    with pytest.raises(DataError, match=r"no scope 'stem'.*all, decoder"):
        Settings(1, 1e-3, 1.0, 0.0, scope="stem")


@pytest.mark.parametrize(("change", "told"), [({"confident": 95}, "confident = 95"), ({"steps": 3.0}, "no whole number")])
def test_settings_that_would_fail_at_the_first_click_are_refused(change, told):
    with pytest.raises(DataError, match=told):
        Settings(**{"steps": 3, "rate": 1e-4, "lam": 1.0, "gamma": 1.0} | change)
