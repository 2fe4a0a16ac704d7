"""The same work on a GPU: what comes out is what the CPU gives, up to rounding. Where there is none, it is skipped."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import ilsegkit as ils
from ilsegkit.adaptation import Adaptation, Settings
from ilsegkit.importance import estimate_importance
from ilsegkit.model import save_model

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")]

IA = Settings(steps=2, rate=1e-3, lam=0.5, gamma=1.0)
SA = Settings(steps=1, rate=1e-3, lam=0.1, gamma=1.0)
NEAR = 2e-2  # in probability
CLICKS = [(20, 20, True), (50, 10, False), (30, 30, True)]


def probabilities(model, adaptation, sample):
    """Of two objects in a row, after each click."""
    session, found = ils.Session(model, adaptation), []
    for _ in range(2):
        session.set_image(sample.image)
        for click in CLICKS:
            session.click(*click)
            found.append(session.probability)
        session.finish()
    return np.stack(found)


@pytest.mark.parametrize("scope", ["all", "decoder"])
def test_a_session_finds_what_it_finds_on_the_cpu(tiny_model, squares, scope):
    (sample,) = squares(1)
    tiny_model.importance = estimate_importance(tiny_model, squares(2))
    adaptation = Adaptation(replace(IA, scope=scope), SA)
    expected = probabilities(tiny_model, adaptation, sample)
    fixed = probabilities(tiny_model, Adaptation(), sample)
    assert abs(expected - fixed).max() > 3 * NEAR  # what is learned is far more than what may differ
    np.testing.assert_allclose(probabilities(tiny_model.cuda(), adaptation, sample), expected, atol=NEAR)


def test_undo_brings_back_the_weights_bit_for_bit(tiny_model, squares):
    session = ils.Session(tiny_model.cuda(), Adaptation(IA, SA))
    session.set_image(squares(1)[0].image)
    session.click(*CLICKS[0])
    before = {name: value.clone() for name, value in session.model.named_parameters()}
    session.click(*CLICKS[1])
    session.undo()
    assert all(torch.equal(before[name], value) for name, value in session.model.named_parameters())


def test_a_state_goes_on_on_the_gpu(tiny_model, squares):
    first = ils.Session(tiny_model, Adaptation(None, SA))
    first.set_image(squares(1)[0].image)
    first.click(*CLICKS[0])
    first.finish()
    state = first.state_dict()
    first.set_image(squares(1)[0].image)
    first.click(*CLICKS[0])
    expected = first.probability
    first.forget()
    first.click(*CLICKS[0])
    assert abs(expected - first.probability).max() > 3 * NEAR  # without the state it would be something else
    second = ils.Session(tiny_model.cuda(), Adaptation(None, SA))
    second.load_state_dict(state)
    second.set_image(squares(1)[0].image)
    second.click(*CLICKS[0])
    np.testing.assert_allclose(second.probability, expected, atol=NEAR)


def test_importance_is_that_of_the_cpu(tiny_model, squares):
    expected = estimate_importance(tiny_model, squares(2))
    found = estimate_importance(tiny_model.cuda(), squares(2))
    for name, value in expected.items():
        torch.testing.assert_close(found[name].cpu(), value, rtol=5e-2, atol=5e-2)


def test_weights_load_onto_the_gpu(tiny_model, tmp_path):
    save_model(tmp_path / "tiny.safetensors", tiny_model)
    assert ils.load_model(tmp_path / "tiny.safetensors").device.type == "cuda"
