"""Masks of several ways to segment, to be looked at: they must be those that the tables are about."""

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("agg")

import matplotlib.pyplot as plt

from ilsegkit import Session, evaluate
from ilsegkit.gallery import Gallery
from ilsegkit.metrics import iou


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def test_the_masks_are_those_of_an_evaluation(tiny_model, squares):
    samples = squares(3)
    gallery = Gallery(samples, 0.9, tiny_model, clicks=3)
    assert list(gallery.answers) == ["none", "IA", "SA"]
    for method, answers in gallery.answers.items():
        results = evaluate(samples, Session(tiny_model, method), 0.9, 3, progress=False)
        for answer, sample, record in zip(answers, samples, results.records, strict=True):
            assert [[c.x, c.y, int(c.positive)] for c in answer.clicks] == record["clicks"]
            np.testing.assert_allclose([iou(mask, sample.mask) for mask in answer.masks], record["iou"], atol=1e-5)


def test_an_object_that_was_done_earlier_keeps_its_mask(tiny_model, squares):
    gallery = Gallery(squares(1), 0.0, tiny_model, methods=["none"], clicks=3)  # the first click is good enough
    [ax] = gallery.figure(1, clicks=3).get_axes()
    assert ax.get_title().startswith("fixed, 1 click: IoU")


def test_sliders_leave_a_picture(tiny_model, squares, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append(bundle))
    Gallery(squares(2), 0.9, tiny_model, methods=["none", "SA"], clicks=2).show(number=2)
    assert {"image/jpeg", "application/vnd.jupyter.widget-view+json"} <= set(shown[0])
