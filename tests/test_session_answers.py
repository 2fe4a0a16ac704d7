"""What the widget asks of a session: one answer to several clicks, the answer before learning, the model as it was."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ilsegkit.adaptation import Adaptation, Settings
from ilsegkit.clicks import Click
from ilsegkit.errors import ClickError
from ilsegkit.frame import Frame
from ilsegkit.model import load_model
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


@pytest.fixture(scope="module")
def bundled():
    """The bundled model at a third of its size, and a photo with a disk that leaves room for a window."""
    model = load_model(device="cpu")
    model.config = replace(model.config, input_size=128)
    y, x = np.mgrid[:150, :200]
    photo = np.random.default_rng(2).integers(60, 120, (150, 200, 3)).astype(np.uint8)
    photo[(y - 70) ** 2 + (x - 80) ** 2 < 30**2] += np.array([90, 60, 0], np.uint8)
    return model, photo


CLICKS = [(80, 70), (80, 90), (160, 20, False)]


@pytest.mark.parametrize("adapt", ["none", "IA+SA", Adaptation(image=Settings(steps=1, rate=1e-4, lam=0.5, gamma=0))])
def test_preparing_changes_no_answer(bundled, adapt):
    model, photo = bundled
    prepared, plain = Session(model, adapt), Session(model, adapt)
    for _ in range(2):
        for session in (prepared, plain):
            session.set_image(photo)
        prepared.prepare()
        for click in CLICKS:
            prepared.click(*click)
            plain.click(*click)
            prepared.prepare()
            np.testing.assert_array_equal(prepared.probability, plain.probability)
        prepared.undo()
        prepared.prepare()
        plain.undo()
        np.testing.assert_array_equal(prepared.click(120, 100), plain.click(120, 100))
        for session in (prepared, plain):
            session.finish()
    assert all(torch.equal(a, b) for a, b in zip(prepared.model.parameters(), plain.model.parameters(), strict=True))


def test_a_click_need_not_do_what_was_prepared(bundled, monkeypatch):
    model, photo = bundled
    session, looked = Session(model, "none"), []
    monkeypatch.setattr(Frame, "looks", lambda frame, model, plain=Frame.looks: looked.append(frame) or plain(frame, model))
    session.set_image(photo)
    session.prepare()
    assert not looked  # where to is not known yet
    session.click(80, 70)
    session.prepare()
    looked.clear()
    session.click(80, 75)  # in the window
    assert not looked
    session.prepare()
    assert session._now.frame.window is not None
    looked.clear()
    session.click(5, 5)  # the window has to grow
    assert len(looked) == 1


def test_what_was_prepared_is_of_no_use_when_the_encoder_has_learned(bundled, monkeypatch):
    model, photo = bundled
    session, looked = Session(model, "SA"), []
    session.set_image(photo)
    session.click(80, 70)
    session.prepare()
    monkeypatch.setattr(Frame, "looks", lambda frame, model, plain=Frame.looks: looked.append(frame) or plain(frame, model))
    session.click(80, 72)
    assert not looked
    session.finish()
    session.click(80, 70)
    assert len(looked) == 1


def test_without_an_image_there_is_nothing_to_prepare_for(tiny_model):
    with pytest.raises(ClickError, match="no image"):
        Session(tiny_model).prepare()
