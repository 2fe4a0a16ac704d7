import numpy as np
import pytest

from ilsegkit.errors import DataError
from ilsegkit.metrics import clicks_to_reach, iou, iou_after


def test_iou_counts_pixels_and_leaves_ignored_ones_out():
    prediction = np.array([[1, 1, 0, 0, 1]], bool)
    target = np.array([[1, 0, 1, 0, 0]], bool)
    ignore = np.array([[0, 0, 0, 0, 1]], bool)
    assert iou(prediction, target) == 1 / 4
    assert iou(prediction, target, ignore) == 1 / 3


def test_two_empty_masks_agree():
    assert iou(np.zeros((2, 2), bool), np.zeros((2, 2), bool)) == 1.0


def test_iou_refuses_other_shapes():
    with pytest.raises(DataError, match=r"\(2, 2\).*\(2, 3\)"):
        iou(np.zeros((2, 2), bool), np.zeros((2, 3), bool))


def test_iou_after_keeps_the_last_value_of_an_object_left_early():
    assert [iou_after([0.2, 0.6, 0.9], k) for k in (1, 2, 3, 20)] == [0.2, 0.6, 0.9, 0.9]
    assert iou_after([], 3) == 0.0
    assert iou_after([0.2, 0.6], 0) == 0.0


@pytest.mark.parametrize(
    ("ious", "clicks"), [([0.9], 1), ([0.1, 0.85], 2), ([0.1, 0.2], 20), ([], 20), ([0.0] * 20 + [0.9], 20), ([0.9, 0.1], 1)]
)
def test_clicks_to_reach_counts_a_miss_as_the_cap(ious, clicks):
    assert clicks_to_reach(ious, 0.85) == clicks
