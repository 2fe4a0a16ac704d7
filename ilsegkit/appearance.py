"""What colours and textures say of the object in this image: a model of them, made anew for every answer of the network.

A network has to know the look of things from its training; on images of another kind it knows little of it. But what it
finds, together with the clicks, shows how the object looks here. That is how GrabCut segments (Rother et al.,
"GrabCut", SIGGRAPH 2004), which knows nothing but colours; here they have a say in what the network leaves open, and so have
the textures that the first blocks of its encoder see, told apart by Fisher's linear discriminant (Hastie et al., "The Elements
of Statistical Learning", section 4.3). The border is then drawn to the image's edges by a guided filter (He et al., "Guided
Image Filtering", ECCV 2010).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from scipy.special import expit, logit

__all__ = [
    "STRIDE",
    "GuidedFilter",
    "Looks",
    "color_evidence",
    "examples",
    "texture_evidence",
    "with_appearance",
    "without_specks",
]

#: Values of a colour channel that are told apart, and by how many of them colours are blurred, as a standard deviation.
LEVELS, BLUR = 32, 2.0

#: Textures are known for squares of so many pixels on a side.
STRIDE = 4

#: Share of the textures' mean variance that is added to the variance of each channel: few squares are seen for many channels.
RIDGE = 0.1

#: Pixels that the network is so sure of show the object's looks and the background's.
SURE = 0.8

#: The share of the clicked pixels in them.
CLICKED = 0.5

#: The most that a colour, or a texture, says for or against the object, as a log-likelihood ratio.
MOST = 2.0

#: How often a colour that has not been seen is expected, relative to colours that are all equally frequent.
UNSEEN = 0.1

#: Of the guided filter: half of the window's side, in pixels, and the variance of colours, in 0-1, that counts as an edge.
REACH, EDGE = 6, 1e-5

#: A part of the object, or a hole in it, that is smaller than this share of the object is a speck.
SPECK = 0.005
#: But if specks are this share of it or more, they are what it is made of.
FLOCK = 0.5


def examples(probability: np.ndarray, guidance: np.ndarray) -> np.ndarray | None:
    """How much each pixel is an example of how the object looks here, and of how the background does.

    Parameters
    ----------
    probability : ndarray of float, (height, width)
        Of each pixel to belong to the object, in 0-1.
    guidance : ndarray of bool, (2, height, width)
        Clicked as object, and as background; see `ilsegkit.guidance.guidance_maps`.

    Returns
    -------
    ndarray of float64, (2, height, width), or None
        For the object and for the background; each sums to 1. None if one of them has no example.

    Examples
    --------
    >>> probability = np.array([[0.9, 0.9, 0.5, 0.1]])
    >>> examples(probability, np.zeros((2, 1, 4), bool)).round(2).tolist()
    [[[0.5, 0.5, 0.0, 0.0]], [[0.0, 0.0, 0.0, 1.0]]]
    """
    both = []
    for likely, clicked in zip((probability, 1 - probability), guidance, strict=True):
        shown = np.zeros(probability.shape)
        for pixels, share in ((np.where(likely > SURE, likely, 0.0), 1 - CLICKED), (clicked, CLICKED)):
            if pixels.any():
                shown += share / pixels.sum() * pixels
        if not shown.any():
            return None
        both.append(shown / shown.sum())
    return np.stack(both)


def color_evidence(image: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """How much more likely each pixel's colour is on the object than on the background.

    Parameters
    ----------
    image : ndarray of uint8, (height, width, 3)
        RGB.
    shown : ndarray of float, (2, height, width)
        See `examples`.

    Returns
    -------
    ndarray of float32, (height, width)
        Logarithm of the ratio of likelihoods, in ±`MOST`.

    Examples
    --------
    >>> image = np.zeros((20, 20, 3), np.uint8)
    >>> image[5:15, 5:15] = 200
    >>> probability = np.full((20, 20), 0.1)
    >>> probability[8:12, 8:12] = 0.9  # only the middle of the square has been found
    >>> evidence = color_evidence(image, examples(probability, np.zeros((2, 20, 20), bool)))
    >>> bool(evidence[6, 6] > 0), bool(evidence[1, 1] < 0)
    (True, True)
    """
    levels = image.astype(np.int64) * LEVELS // 256
    color = (levels[..., 0] * LEVELS + levels[..., 1]) * LEVELS + levels[..., 2]
    seen = []
    for weights in shown:
        counts = np.bincount(color.ravel(), weights.ravel(), LEVELS**3).reshape((LEVELS,) * 3)
        seen.append(ndimage.gaussian_filter(counts, BLUR, mode="nearest").ravel() + UNSEEN / LEVELS**3)
    ratio = np.log(seen[0] / seen[1]).clip(-MOST, MOST).astype(np.float32)
    return ndimage.uniform_filter(ratio[color], 3)


def texture_evidence(textures: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """How much more likely each square's texture is on the object than on the background, by a linear discriminant.

    Parameters
    ----------
    textures : ndarray of float, (channels, ceil(height / `STRIDE`), ceil(width / `STRIDE`))
        Of squares of pixels, from the top left; see `ilsegkit.frame.Frame.looks`.
    shown
        As for `color_evidence`.

    Returns
    -------
    ndarray of float32, (height, width)
        As from `color_evidence`: two normal distributions of the same spread are compared.

    Examples
    --------
    >>> textures = np.random.default_rng(0).normal(0, 0.1, (2, 10, 10))
    >>> textures[0, 2:8, 2:8] += 1
    >>> probability = np.full((40, 40), 0.1)
    >>> probability[16:24, 16:24] = 0.9  # only the middle of the square has been found
    >>> evidence = texture_evidence(textures, examples(probability, np.zeros((2, 40, 40), bool)))
    >>> bool(evidence[12, 12] > 0), bool(evidence[2, 2] < 0)
    (True, True)
    """
    (channels, rows, columns), (height, width) = textures.shape, shown.shape[1:]
    # By torch: NumPy's products have threads of their own, which would get into the way of the network's.
    of = torch.from_numpy(textures).reshape(channels, -1).double()
    padded = np.pad(shown, ((0, 0), (0, rows * STRIDE - height), (0, columns * STRIDE - width)))
    squares = torch.from_numpy(padded.reshape(2, rows, STRIDE, columns, STRIDE).sum((2, 4)).reshape(2, -1))
    means = of @ squares.T
    spread = (of * squares.sum(0) @ of.T - means @ means.T) / 2  # the mean of the two covariances
    spread += (RIDGE * spread.trace() / channels + 1e-9) * torch.eye(channels, dtype=torch.double)
    direction = torch.linalg.solve(spread, means[:, 0] - means[:, 1])
    ratio = (direction @ of - direction @ means.mean(1)).clamp(-MOST, MOST).reshape(rows, columns).float().numpy()
    large = Image.fromarray(ratio).resize((columns * STRIDE, rows * STRIDE), Image.Resampling.BILINEAR)
    return np.asarray(large)[:height, :width]


class GuidedFilter:
    """Smooths values but for an image's edges: around each pixel, the linear function of the colours that fits them best.

    What depends on the image alone is computed once, for all values.

    Parameters
    ----------
    image : ndarray of uint8, (height, width, 3)
        RGB.

    Examples
    --------
    >>> image = np.zeros((30, 30, 3), np.uint8)
    >>> image[:, 15:] = 200
    >>> values = np.zeros((30, 30))
    >>> values[:, 14:] = 1  # one column too many
    >>> (GuidedFilter(image)(values)[15, 13:17] > 0.5).tolist()
    [False, False, True, True]
    """

    def __init__(self, image: np.ndarray) -> None:
        self._rgb = rgb = np.moveaxis(image, -1, 0) / 255  # in 64 bits: where colours lie on a line, the determinant is small
        self._means = means = _mean_around(rgb)
        (a, b, c), (d, e), (f,) = (
            [_mean_around(rgb[i] * rgb[j]) - means[i] * means[j] + (EDGE if i == j else 0) for j in range(i, 3)]
            for i in range(3)
        )
        # Solved for the covariances [[a, b, c], [b, d, e], [c, e, f]] by cofactors: `np.linalg.solve` would double the time.
        aa, ab, ac, bb, bc, cc = d * f - e * e, c * e - b * f, b * e - c * d, a * f - c * c, b * c - a * e, a * d - b * b
        self._cofactors, self._determinant = ((aa, ab, ac), (ab, bb, bc), (ac, bc, cc)), a * aa + b * ab + c * ac

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Float64, (height, width), for values of that shape."""
        level = _mean_around(values.astype(np.float64))
        x, y, z = _mean_around(self._rgb * values) - self._means * level
        slopes = np.stack([p * x + q * y + r * z for p, q, r in self._cofactors]) / self._determinant
        return (_mean_around(slopes) * self._rgb).sum(0) + _mean_around(level - (slopes * self._means).sum(0))


def _mean_around(a: np.ndarray) -> np.ndarray:
    return ndimage.uniform_filter(a, 2 * REACH + 1, axes=(-2, -1))


class Looks(NamedTuple):
    """How an image looks, for all answers to clicks on it; `ilsegkit.frame.Frame.looks` makes it.

    The image is uint8, ``(height, width, 3)``; for its textures see `texture_evidence`; `smooth` is the image's `GuidedFilter`.
    """

    image: np.ndarray
    textures: np.ndarray
    smooth: GuidedFilter


def without_specks(logits: np.ndarray, guidance: np.ndarray) -> np.ndarray:
    """Logits whose sign is turned where the object has specks, and where it has holes that small, unless one was clicked.

    Where a colour of the object is found elsewhere, colours leave such specks; what was clicked is there for a reason. A flock
    keeps its birds, and a fence its gaps.

    Parameters
    ----------
    logits : ndarray of float, (height, width)
    guidance
        As for `examples`.

    Returns
    -------
    ndarray of float, (height, width)

    Examples
    --------
    >>> logits = np.full((40, 40), -3.0)
    >>> logits[5:35, 5:25] = 3
    >>> logits[20, 30] = logits[30, 30] = 3  # two specks
    >>> guidance = np.zeros((2, 40, 40), bool)
    >>> guidance[0, 30, 30] = True
    >>> answer = without_specks(logits, guidance)
    >>> bool(answer[20, 30] > 0), bool(answer[30, 30] > 0)
    (False, True)
    """
    size = np.count_nonzero(logits > 0)
    for sign, clicked in zip((1, -1), guidance, strict=True):
        parts, _ = ndimage.label(sign * logits > 0)
        speck = np.bincount(parts.ravel()) < SPECK * size
        speck[0] = False  # all that is no part
        speck[parts[clicked]] = False
        specks = speck[parts]
        if np.count_nonzero(specks) < FLOCK * size:
            logits = np.where(specks, -logits, logits)
    return logits


def with_appearance(logits: np.ndarray, looks: Looks, guidance: np.ndarray, weight: float) -> np.ndarray:
    """The network's answer, corrected by the image's colours and textures and drawn to its edges, without specks.

    Parameters
    ----------
    logits : ndarray of float, (height, width)
        What the network says.
    looks : Looks
    guidance
        As for `examples`.
    weight : float
        What colours and textures say is multiplied by it and added to the logits.

    Returns
    -------
    ndarray of float32, (height, width)
        Logits. Around a click, never less for the click's label than the network's own.

    Examples
    --------
    >>> image = np.zeros((30, 30, 3), np.uint8)
    >>> image[5:25, 5:25] = 200
    >>> logits = np.full((30, 30), -3.0)
    >>> logits[4:26, 4:15] = 3  # half of the square, and a little more than it to the left
    >>> looks = Looks(image, np.zeros((1, 8, 8)), GuidedFilter(image))
    >>> answer = with_appearance(logits, looks, np.zeros((2, 30, 30), bool), 0.5)
    >>> bool(answer[15, 5] > 0), bool(answer[15, 4] > 0)
    (True, False)
    """
    answer = logits = logits.astype(np.float32)
    shown = examples(expit(logits), guidance)
    if shown is not None:
        answer = logits + weight * (color_evidence(looks.image, shown) + texture_evidence(looks.textures, shown))
    answer = logit(looks.smooth(expit(answer)).clip(1e-4, 1 - 1e-4))
    foreground, background = guidance
    answer = np.where(foreground, np.maximum(answer, logits), answer)
    answer = np.where(background, np.minimum(answer, logits), answer).astype(np.float32)
    return without_specks(answer, guidance)
