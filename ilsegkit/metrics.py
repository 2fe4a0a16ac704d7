"""Intersection over union, and the two numbers of the paper's tables: IoU@k and clicks@q% (NoC elsewhere)."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from .errors import DataError

__all__ = ["clicks_to_reach", "iou", "iou_after", "mean_interval"]


def iou(prediction: np.ndarray, target: np.ndarray, ignore: np.ndarray | None = None) -> float:
    """Intersection over union of two masks, leaving ignored pixels out.

    Parameters
    ----------
    prediction, target : ndarray of bool, (height, width)
    ignore : ndarray of bool, (height, width), optional

    Returns
    -------
    float
        In 0-1; 1 when both masks are empty.

    Raises
    ------
    DataError
        If the shapes differ.

    Examples
    --------
    >>> iou(np.array([[1, 1, 0]], bool), np.array([[0, 1, 0]], bool))
    0.5
    """
    prediction, target = np.asarray(prediction, bool), np.asarray(target, bool)
    if prediction.shape != target.shape or (ignore is not None and ignore.shape != target.shape):
        raise DataError(f"prediction {prediction.shape}, target {target.shape} and ignore mask must have one shape")
    if ignore is not None:
        prediction, target = prediction & ~ignore, target & ~ignore
    union = np.count_nonzero(prediction | target)
    return float(np.count_nonzero(prediction & target) / union) if union else 1.0


def iou_after(ious: Sequence[float], clicks: int) -> float:
    """IoU of one object after so many clicks, given its IoU after each.

    An object that was left early, because it was good enough, keeps its last IoU. Without clicks there is no mask: 0.

    Examples
    --------
    >>> iou_after([0.5, 0.9], 1), iou_after([0.5, 0.9], 10)
    (0.5, 0.9)
    """
    return ious[min(clicks, len(ious)) - 1] if ious and clicks > 0 else 0.0


def clicks_to_reach(ious: Sequence[float], target: float, most: int = 20) -> int:
    """How many clicks an object needs to reach an IoU, at most `most`; a miss counts as that.

    Examples
    --------
    >>> clicks_to_reach([0.5, 0.9], 0.85), clicks_to_reach([0.5, 0.6], 0.85)
    (2, 20)
    """
    reached = [i + 1 for i, value in enumerate(ious[:most]) if value >= target]
    return reached[0] if reached else most


def mean_interval(values: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """A bootstrap interval of a mean, such as of the clicks that a method saves on each object.

    Parameters
    ----------
    values : ndarray of number, (objects,)
    confidence : float, optional
        In 0-1.

    Returns
    -------
    tuple of float
        Where the mean of as many other objects would lie (percentiles of 9999 draws, always the same); for a single object,
        and for values that are all 0, the mean itself, twice.

    Examples
    --------
    >>> mean_interval(np.array([0, 0, 1, 2, 2, 3, 0, 1]))
    (0.375, 1.875)
    """
    if len(values) < 2 or not np.any(values):
        return float(np.mean(values)), float(np.mean(values))
    drawn = stats.bootstrap(
        (values,), np.mean, confidence_level=confidence, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    return float(drawn.low), float(drawn.high)
