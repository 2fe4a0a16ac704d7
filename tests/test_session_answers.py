"""What the widget asks of a session: one answer to several clicks, the answer before learning, the model as it was."""

import numpy as np
import pytest
import torch

from ilsegkit.adaptation import Adaptation, Settings
from ilsegkit.clicks import Click
from ilsegkit.errors import ClickError
from ilsegkit.session import Session

PHOTO = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


@pytest.mark.parametrize("adapt", ["none", "IA"])
def test_clicks_answered_together_are_undone_one_by_one(tiny_model, adapt):
    together, apart = Session(tiny_model, adapt), Session(tiny_model, "none")
    for session in (together, apart):
        session.set_image(PHOTO)
    clicks = [Click(10, 10), Click(30, 20), Click(50, 30, False)]
    mask = together.click(*clicks[2], earlier=clicks[:2])
    assert together.clicks == tuple(clicks)
    if adapt == "none":  # the model does not care how the clicks came
        for click in clicks:
            expected = apart.click(*click)
        np.testing.assert_array_equal(mask, expected)
    together.undo()
    assert together.clicks == tuple(clicks[:2])
    assert together.probability.max() > 0  # computed when it is asked for
    together.redo()
    np.testing.assert_array_equal(together.mask, mask)
    for _ in range(3):
        together.undo()
    assert together.clicks == ()
    assert not together.can_undo
    with pytest.raises(ClickError, match="outside"):
        together.click(10, 10, earlier=[Click(-5, 3)])
    assert together.clicks == ()


def test_the_first_answer_is_that_of_the_model_before_it_learns(tiny_model):
    session, fixed = Session(tiny_model, "IA"), Session(tiny_model, "none")
    for each in (session, fixed):
        each.set_image(PHOTO)
    first = []
    session.click(20, 20, on_prediction=lambda mask: first.append(mask))
    [mask] = first
    np.testing.assert_array_equal(mask, fixed.click(20, 20))


def test_the_initial_model_is_given_back(tiny_model):
    steps = Settings(steps=3, rate=1e-2, lam=1, gamma=0)
    session = Session(tiny_model, Adaptation(image=steps, sequence=steps))
    session.set_image(PHOTO)
    session.click(20, 20)
    session.finish()
    session.click(20, 20)
    again = session.initial_model()
    for before, value, now in zip(tiny_model.parameters(), again.parameters(), session.model.parameters(), strict=True):
        assert torch.equal(before, value)
        assert value.data_ptr() != now.data_ptr()
    assert any(not torch.equal(a, b) for a, b in zip(again.parameters(), session.model.parameters(), strict=True))
