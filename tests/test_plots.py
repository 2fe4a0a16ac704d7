"""The paper's figures: what is drawn, not how it looks."""

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("agg")

import matplotlib.pyplot as plt

from ilsegkit import Click, Results
from ilsegkit.plots import iou_curves, learning_curves, overlay, strip


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture
def image():
    return np.full((20, 30, 3), 100, np.uint8)


def test_overlay_draws_clicks_and_changes(image):
    mask, before = np.zeros((20, 30), bool), np.zeros((20, 30), bool)
    mask[5:10, 5:10], before[8:15, 5:10] = True, True
    ax = plt.figure().subplots()
    overlay(ax, image, mask, [Click(6, 6), Click(20, 3, False)], truth=mask, before=before, title="here")
    assert len(ax.images) == 2
    layer = np.asarray(ax.images[1].get_array())
    gained, lost, kept = layer[6, 6], layer[12, 6], layer[9, 6]
    assert gained[1] > gained[0]  # green
    assert lost[0] > lost[2]  # red
    assert kept[2] > kept[0]  # blue
    assert layer[0, 0, 3] == 0
    assert ax.get_title() == "here"


@pytest.mark.parametrize("mask", [None, np.zeros((20, 30), bool), np.ones((20, 30), bool)])
def test_overlay_of_nothing_and_of_everything(image, mask):
    ax = plt.figure().subplots()
    overlay(ax, image, mask, truth=mask)
    ax.figure.canvas.draw()


def test_strip_has_a_row_for_each_way(image):
    masks = [np.zeros((20, 30), bool) for _ in range(3)]
    figure = strip(image, [Click(1, 1)] * 3, {"initial": masks, "IA": masks}, truth=masks[0], at=[1, 3])
    titles = [ax.get_title() for ax in figure.get_axes()]
    assert titles == [
        "initial, 1 click: IoU 1.00",
        "initial, 3 clicks: IoU 1.00",
        "IA, 1 click: IoU 1.00",
        "IA, 3 clicks: IoU 1.00",
    ]


def test_curves_of_results():
    results = {"initial": Results([{"iou": [0.5, 0.9]}] * 3, 0.85, 20), "SA": Results([{"iou": [0.9]}] * 3, 0.85, 20)}
    left, right = plt.figure().subplots(1, 2)
    iou_curves(results, left, "a title")
    learning_curves(results, right, clicks=1, window=2)
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["initial", "SA"]
    assert right.get_ylabel() == "mean IoU@1"
    np.testing.assert_allclose(right.lines[0].get_ydata(), 0.5)
