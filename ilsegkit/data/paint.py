"""What scenes are painted with: noise, outlines, light and camera. Images are floats, (size, size, 3), from 0 to 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from .coco import polygon_mask

__all__ = [
    "blob",
    "camera",
    "colour",
    "drop_shadow",
    "fill",
    "noise",
    "outline",
    "relief",
    "rough",
    "stripes",
    "stroke",
    "turned",
]

Colour = Sequence[float] | np.ndarray


def noise(rng: np.random.Generator, size: int, scale: float, octaves: int = 3) -> np.ndarray:
    """Smooth noise with hills of about `scale` pixels, and smaller ones on them; mean 0, standard deviation 1."""
    total = np.zeros((size, size))
    for octave in range(octaves):
        step = max(scale / 2**octave, 1.0)
        weights = [_spline(np.arange(size) / step + start) for start in rng.random(2)]
        grid = rng.standard_normal((weights[0].shape[1], weights[1].shape[1]))
        total += weights[0] @ grid @ weights[1].T / 2**octave
    return (total - total.mean()) / total.std()


def _spline(places: np.ndarray) -> np.ndarray:
    """Weights of cubic B-splines: (places, knots)."""
    whole = np.floor(places).astype(int)
    part = places - whole
    weights = np.zeros((len(places), whole.max() + 4))
    cubic = ((1 - part) ** 3, 3 * part**3 - 6 * part**2 + 4, -3 * part**3 + 3 * part**2 + 3 * part + 1, part**3)
    for knot, values in enumerate(cubic):
        weights[np.arange(len(places)), whole + knot] = values / 6
    return weights


def stripes(size: int, angle: float, period: float) -> np.ndarray:
    """Parallel lines, from -1 to 1: rows of tiles, veins of a leaf."""
    rows, columns = np.mgrid[:size, :size]
    return np.sin(2 * np.pi / period * (columns * np.cos(angle) + rows * np.sin(angle)))


def colour(rng: np.random.Generator, base: Colour, spread: float = 0.05) -> np.ndarray:
    """A colour near another: lighter or darker, and a little off in hue."""
    return np.clip(np.asarray(base) * (1 + rng.normal(0, spread)) + rng.normal(0, spread / 5, 3), 0.02, 0.98)


def turned(points: np.ndarray, angle: float, centre: Colour) -> np.ndarray:
    """Points (n, 2) turned by an angle and moved from the origin to `centre`."""
    c, s = np.cos(angle), np.sin(angle)
    return np.asarray(points) @ np.array([[c, s], [-s, c]]) + np.asarray(centre)


def outline(points: np.ndarray, size: int) -> np.ndarray:
    """The inside of a polygon of points (x, y): bool, (size, size)."""
    return polygon_mask([np.asarray(points, np.float64)], size, size)


def blob(
    rng: np.random.Generator, centre: Colour, radius: float, uneven: float = 0.15, stretch: float = 1.0, waves: int = 5
) -> np.ndarray:
    """Points (x, y) of a closed, uneven outline around a centre."""
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    distance = np.ones_like(angles)
    for wave in range(2, 2 + waves):
        distance += uneven / wave * rng.normal() * np.cos(wave * angles + rng.uniform(0, 2 * np.pi))
    distance = np.maximum(distance, 0.35) * radius
    points = np.stack([distance * np.cos(angles) * np.sqrt(stretch), distance * np.sin(angles) / np.sqrt(stretch)], 1)
    return turned(points, rng.uniform(0, np.pi), centre)


def stroke(points: np.ndarray, widths: np.ndarray, size: int) -> np.ndarray:
    """A line of changing width through points (x, y), soft at its sides: floats from 0 to 1, (size, size)."""
    canvas = np.zeros((size, size))
    for (x, y), width in zip(points, widths, strict=True):
        reach = int(np.ceil(width)) + 2
        left, top = int(x) - reach, int(y) - reach
        columns, rows = (
            np.arange(max(left, 0), min(left + 2 * reach + 2, size)),
            np.arange(max(top, 0), min(top + 2 * reach + 2, size)),
        )
        if len(columns) and len(rows):
            distance = np.hypot(columns[None] + 0.5 - x, rows[:, None] + 0.5 - y)
            part = canvas[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            np.maximum(part, np.clip(width / 2 + 0.5 - distance, 0, 1), out=part)
    return canvas


def _window(mask: np.ndarray, margin: int) -> tuple[slice, slice]:
    """The rows and columns around the pixels of a mask: most of a scene is far from any one thing."""
    spans = []
    for axis, length in enumerate(mask.shape):
        there = np.flatnonzero(mask.any(axis=1 - axis))
        spans.append(
            slice(max(int(there[0]) - margin, 0), min(int(there[-1]) + margin + 1, length)) if len(there) else slice(0, 0)
        )
    return spans[0], spans[1]


def fill(image: np.ndarray, mask: np.ndarray, paint: np.ndarray | Colour, share: float = 1.0) -> None:
    """Paint the pixels of a mask (bool, or floats for soft borders), in place."""
    window = _window(mask > 0, 0)
    cover = (mask[window] * share)[..., None]
    paint = np.asarray(paint)
    image[window] += ((paint[window] if paint.ndim == 3 else paint) - image[window]) * cover


def drop_shadow(image: np.ndarray, mask: np.ndarray, offset: Colour, depth: float, soft: float) -> None:
    """Darken what lies in the shadow of a mask, `offset` pixels (x, y) from it; in place. Paint the object afterwards."""
    window = _window(mask, int(np.ceil(max(abs(offset[0]), abs(offset[1])) + 4 * soft)))
    shadow = ndimage.gaussian_filter(mask[window].astype(float), soft)
    image[window] *= 1 - depth * ndimage.shift(shadow, (offset[1], offset[0]), order=1)[..., None]


def relief(mask: np.ndarray, light: float, depth: float) -> np.ndarray:
    """Brightness of a rounded body of a mask, bright on the side the light comes from (an angle): factors around 1."""
    factors = np.ones(mask.shape)
    window = _window(mask, 3)
    height = np.sqrt(np.clip(ndimage.distance_transform_edt(mask[window]) / depth, 0, 1)) * depth
    if height.size:
        down, right = np.gradient(ndimage.gaussian_filter(height, 1 + depth / 6))
        factors[window] -= 0.9 * np.clip(np.cos(light) * right + np.sin(light) * down, -0.6, 0.6)
    return factors


def rough(rng: np.random.Generator, size: int, base: Colour, other: Colour, scale: float, fine: float = 0.04) -> np.ndarray:
    """A surface between two colours, with fine texture."""
    mix = 1 / (1 + np.exp(-1.5 * noise(rng, size, scale)))[..., None]
    surface = np.asarray(base) * mix + np.asarray(other) * (1 - mix)
    return surface * (1 + fine * noise(rng, size, 3, 2)[..., None])


def camera(
    rng: np.random.Generator,
    image: np.ndarray,
    blur: float = 0.7,
    dark: float = 1.0,
    cast: Colour = (1, 1, 1),
    noisy: float = 0.02,
) -> np.ndarray:
    """What a camera makes of a scene: blur, exposure, colour cast, noise, 8 bits."""
    seen = ndimage.gaussian_filter(image, (blur, blur, 0)) * dark * np.asarray(cast)
    seen = seen + rng.normal(0, noisy, seen.shape) * np.sqrt(np.clip(seen, 0.05, 1))
    return np.rint(np.clip(seen, 0, 1) * 255).astype(np.uint8)
