import numpy as np
import pytest
import torch

from ilsegkit.adaptation import Adaptation, Settings
from ilsegkit.clicks import Click
from ilsegkit.insights import FixedModel, layer_movement
from ilsegkit.session import Session

PHOTO = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


def test_movement_is_relative_and_by_part(tiny_model):
    before = {name: value.detach().clone() for name, value in tiny_model.named_parameters()}
    assert set(layer_movement(before, before).values()) == {0.0}
    now = {name: value * 1.1 if ".decoder." in name else value for name, value in before.items()}
    moved = layer_movement(now, before)
    assert len(moved) < 15
    for part, distance in moved.items():
        assert distance == pytest.approx(0.1 if part.startswith("decoder") else 0.0, rel=1e-4), part
    assert layer_movement({"a.weight": torch.ones(1)}, {"a.weight": torch.zeros(1)})["a"] > 1  # not infinite


def test_the_fixed_model_never_learns(tiny_model):
    quick = Settings(steps=5, rate=1e-2, lam=1, gamma=0)
    session = Session(tiny_model, Adaptation(image=quick, sequence=quick))
    session.set_image(PHOTO)
    session.click(20, 20)
    session.finish()
    session.click(30, 30)
    fixed, never = FixedModel(session), Session(tiny_model, "none")
    never.set_image(PHOTO)
    clicks = [Click(20, 20), Click(40, 10, False)]
    masks = [never.mask.copy(), *(never.click(*click).copy() for click in clicks)]
    for count in (1, 2):
        np.testing.assert_array_equal(fixed.answer(PHOTO, clicks[:count], 0.5), masks[count])
        np.testing.assert_array_equal(fixed.before, masks[count - 1])
    fixed.answer(PHOTO, clicks, 0.5)  # asked again: what was before stays
    np.testing.assert_array_equal(fixed.before, masks[1])
    late = FixedModel(session)  # asked when there are two clicks already
    np.testing.assert_array_equal(late.answer(PHOTO, clicks, 0.5), masks[2])
    np.testing.assert_array_equal(late.before, masks[1])
    assert not fixed.answer(PHOTO, [], 0.5).any()
    assert fixed.answer(PHOTO[:30], clicks[:1], 0.5).shape == (30, 64)
    assert not fixed.before.any()
    for name, value in fixed.parameters().items():
        assert (value == dict(tiny_model.named_parameters())[name]).all()
