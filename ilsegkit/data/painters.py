"""The painters of the synthetic scenes: each makes an image and the mask of one object in it.

Every painter gets two generators of random numbers, one for the scene and one that starts the same for every scene of a
sequence (the region, the microscope, the kind of moth), and how far the sequence has come, from 0 to 1.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .paint import blob, camera, colour, drop_shadow, fill, noise, outline, relief, rough, stripes, stroke, turned
from .photos import offline_photos

__all__ = ["SIZE", "cells", "fundus", "moths", "rooftops", "shift"]

SIZE = 320
Seen = tuple[np.ndarray, np.ndarray]  # what is seen of an object, and the whole


def rooftops(rng: np.random.Generator, style: np.random.Generator, progress: float) -> tuple[np.ndarray, np.ndarray]:
    """Houses of a dry region seen from above: roofs, ground, roads and courts have the same colours."""
    tones = [(0.56, 0.36, 0.26), (0.50, 0.48, 0.46), (0.48, 0.40, 0.32), (0.66, 0.60, 0.50)]
    earth, light = colour(style, tones[style.integers(4)], 0.05), style.uniform(0, 2 * np.pi)
    image = rough(rng, SIZE, colour(rng, earth, 0.06), colour(rng, tones[rng.integers(4)], 0.06), rng.uniform(25, 90), 0.1)
    shadow = -9 * np.array([np.cos(light), np.sin(light)])
    street = rng.uniform(0, np.pi)
    for _ in range(rng.integers(1, 3)):
        strip = np.array([[-400, -1], [400, -1], [400, 1], [-400, 1]]) * (1, rng.uniform(9, 17))
        road = outline(turned(strip, street + rng.choice([0, np.pi / 2]), rng.uniform(40, SIZE - 40, 2)), SIZE)
        fill(image, road, rough(rng, SIZE, colour(rng, tones[1], 0.1), colour(rng, earth, 0.1), 30, 0.08))
    for _ in range(rng.integers(3, 7)):  # yards and courts: paved, of a roof's colour, without relief
        paving = tones[rng.integers(len(tones))]
        width, height = rng.uniform(20, 75, 2)
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (width / 2, height / 2)
        court = outline(turned(corners, street + rng.normal(0, 0.1), rng.uniform(10, SIZE - 10, 2)), SIZE)
        fill(image, court, rough(rng, SIZE, colour(rng, paving, 0.1), colour(rng, paving, 0.1), 15, 0.06), 0.85)
    worn, contrast = 1 + 0.08 * noise(rng, SIZE, 8), style.uniform(0.3, 0.45)
    houses: list[np.ndarray] = []
    taken = np.zeros((SIZE, SIZE), bool)
    for _ in range(60):
        if len(houses) == 4:
            break
        centre = rng.uniform(35, SIZE - 35, 2)
        roof, parts = _roof(rng, centre, street + rng.choice([0, np.pi / 2]) + rng.normal(0, 0.06))
        if (ndimage.binary_dilation(roof, iterations=7) & taken).any():
            continue
        taken |= roof
        houses.append(roof)
        drop_shadow(image, roof, shadow, 0.55, 1.5)
        tone = colour(rng, earth if rng.random() < 0.8 else tones[rng.integers(len(tones))], 0.06)
        period = rng.uniform(3.5, 6)
        for part, angle in parts:  # two slopes, one of them in the light
            tiles = stripes(SIZE, angle, period)
            bright = (0.85 + contrast * np.cos(angle - light) + 0.06 * tiles) * worn
            fill(image, part, tone * bright[..., None])
        for _ in range(rng.integers(0, 4)):  # chimneys, windows, fields of panels
            rows, columns = np.nonzero(roof)
            at = rng.integers(len(rows))
            corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * rng.uniform(2, 8, 2)
            panel = outline(turned(corners, street, (columns[at], rows[at])), SIZE) & roof
            fill(image, panel, colour(rng, [(0.16, 0.18, 0.24), (0.34, 0.35, 0.38), (0.75, 0.74, 0.7)][rng.integers(3)], 0.2))
    trees = np.zeros((SIZE, SIZE), bool)
    leaves = rough(rng, SIZE, (0.16, 0.25, 0.12), (0.28, 0.36, 0.18), 5, 0.15)
    for _ in range(rng.integers(8, 20)):
        tree = outline(blob(rng, rng.uniform(0, SIZE, 2), rng.uniform(6, 17), 0.35, waves=8), SIZE)
        if (tree & taken).sum() > 0.3 * tree.sum():  # trees stand beside houses, and lean over them
            continue
        drop_shadow(image, tree, shadow, 0.5, 1.5)
        fill(image, tree, leaves * relief(tree, light, 9)[..., None])
        trees |= tree
    picture = camera(rng, image, rng.uniform(0.6, 1.1), rng.uniform(0.8, 1.15), rng.uniform(0.93, 1.07, 3), 0.025)
    return picture, _one_of(rng, [(roof & ~trees, roof) for roof in houses if not _touches_border(roof)])


def _roof(rng: np.random.Generator, centre: np.ndarray, angle: float) -> tuple[np.ndarray, list[tuple[np.ndarray, float]]]:
    """A hipped roof of one or two wings: its outline, and the slopes with the direction each faces."""
    wings = [(0.0, 0.0, rng.uniform(56, 96), rng.uniform(34, 54), 0.0)]
    if rng.random() < 0.6:
        length, width = rng.uniform(36, 60), rng.uniform(28, 40)
        wings.append((rng.choice([-1, 1]) * (wings[0][2] - width) / 2, wings[0][3] / 2 + length / 4, length, width, np.pi / 2))
    whole, slopes = np.zeros((SIZE, SIZE), bool), []
    for x, y, length, width, turn in wings:
        ridge = length / 2 - min(width / 2, 0.4 * length) * rng.choice([0.0, 1.0])  # gabled, or hipped
        upper = np.array([[-length / 2, width / 2], [length / 2, width / 2], [ridge, 0], [-ridge, 0]])
        end = np.array([[length / 2, width / 2], [length / 2, -width / 2], [ridge, 0]])
        before = whole.copy()
        for corners, facing in ((upper, 1), (upper * (1, -1), -1), (end, 0), (end * (-1, 1), 2)):
            slope = outline(turned(turned(corners, turn, (x, y)), angle, centre), SIZE) & ~before
            slopes.append((slope, angle + turn + facing * np.pi / 2))
            whole |= slope
    return whole, slopes


def fundus(rng: np.random.Generator, style: np.random.Generator, progress: float) -> tuple[np.ndarray, np.ndarray]:
    """A retina with vessels, bright lesions and a crescent of the disc's own colour; the object is the optic disc."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    middle = SIZE / 2 + rng.normal(0, 4, 2)
    field = np.hypot(columns - middle[0], rows - middle[1])
    retina = [(0.72, 0.36, 0.17), (0.62, 0.27, 0.13), (0.74, 0.44, 0.26), (0.55, 0.30, 0.17)][style.integers(4)]
    base = colour(rng, retina, 0.12)
    image = rough(rng, SIZE, base, base * rng.uniform(0.72, 0.9), 70, 0.03)
    image *= (1 - 0.35 * (field / 150) ** 2 + 0.06 * noise(rng, SIZE, 120, 1))[..., None]
    side = rng.choice([-1, 1])
    centre = middle + np.array([side * rng.uniform(25, 80), rng.normal(0, 14)])
    radius = rng.uniform(23, 38)
    disc = outline(blob(rng, centre, radius, 0.07, rng.uniform(0.8, 1.2), 3), SIZE)
    macula = np.hypot(columns - centre[0] + side * 100, rows - centre[1] - 8)
    image *= (1 - 0.35 * np.exp(-((macula / 26) ** 2)))[..., None]
    pale = np.clip(base * (1.15, 1.45, 1.75) + 0.12, 0, 0.97)
    for _ in range(rng.integers(0, 3)):  # clusters of exudates, as pale as the disc
        spot = middle + rng.normal(0, 60, 2)
        for _ in range(rng.integers(4, 16)):
            speck = outline(blob(rng, spot + rng.normal(0, 16, 2), rng.uniform(1.5, 7), 0.4), SIZE)
            fill(image, ndimage.gaussian_filter(speck.astype(float), 1), colour(rng, pale, 0.06), 0.8)
    if rng.random() < 0.7:  # atrophy beside the disc
        crescent = outline(
            blob(rng, centre - (side * radius * rng.uniform(0.3, 0.6), rng.normal(0, 6)), radius * 1.08, 0.12), SIZE
        )
        fill(image, ndimage.gaussian_filter((crescent & ~disc).astype(float), 1.5), pale * 0.9, rng.uniform(0.3, 0.75))
    rim = ndimage.gaussian_filter(disc.astype(float), rng.uniform(1.2, 3.0))
    fill(image, rim, pale * (1 + 0.05 * noise(rng, SIZE, 12)[..., None]), rng.uniform(0.55, 0.9))
    cup = outline(blob(rng, centre + rng.normal(0, 4, 2), radius * rng.uniform(0.35, 0.6), 0.1), SIZE)
    fill(image, ndimage.gaussian_filter(cup.astype(float), 2), np.clip(pale * 1.12, 0, 1), 0.7)
    for start in (0.35, 0.55, 0.75, -0.35, -0.55, -0.8):
        _vessel(
            rng,
            image,
            centre + rng.normal(0, 4, 2),
            (np.pi if side > 0 else 0) + side * start * np.pi,
            rng.uniform(3.5, 6),
            base,
        )
    image *= np.clip((150 - field) / 2, 0, 1)[..., None]
    return camera(rng, image, rng.uniform(0.8, 1.6), rng.uniform(0.8, 1.15), rng.uniform(0.95, 1.05, 3), 0.015), disc


def _vessel(
    rng: np.random.Generator, image: np.ndarray, start: np.ndarray, angle: float, width: float, base: np.ndarray
) -> None:
    """A vessel that winds away from the disc, thins out and branches."""
    points, widths, bend = [np.asarray(start)], [width], rng.normal(0, 0.012)
    for _ in range(int(rng.uniform(80, 130))):
        bend = 0.96 * bend + rng.normal(0, 0.008)
        angle += bend
        points.append(points[-1] + 1.5 * np.array([np.cos(angle), np.sin(angle)]))
        widths.append(widths[-1] * 0.993)
        if widths[-1] > 2 and rng.random() < 0.022:
            _vessel(rng, image, points[-1], angle + rng.choice([-1, 1]) * rng.uniform(0.4, 0.9), widths[-1] * 0.65, base)
    line = stroke(np.array(points), np.array(widths), SIZE)
    fill(image, line, base * (0.62, 0.42, 0.45), rng.uniform(0.55, 0.85))


def cells(rng: np.random.Generator, style: np.random.Generator, progress: float) -> tuple[np.ndarray, np.ndarray]:
    """Cells in phase contrast: dark nuclei in bodies that hardly differ from their surroundings; the object is a whole cell."""
    tint = style.uniform(0.93, 1.07, 3)
    ground = style.uniform(0.42, 0.6) * rng.uniform(0.93, 1.07)
    image = np.full((SIZE, SIZE, 3), ground) * tint * (1 + 0.07 * noise(rng, SIZE, 70)[..., None])
    image *= 1 + 0.03 * noise(rng, SIZE, 4, 2)[..., None]
    bodies: list[Seen] = []
    most = rng.integers(8, 17)
    light = style.uniform(0, 2 * np.pi)
    coarse, fine = noise(rng, SIZE, style.uniform(5, 9)), noise(rng, SIZE, 5)
    for _ in range(60):
        if len(bodies) == most:
            break
        centre, radius = rng.uniform(0, SIZE, 2), rng.uniform(26, 48)
        whole = outline(blob(rng, centre, radius, 0.25, rng.uniform(0.6, 1.6)), SIZE)
        body = whole.copy()
        for other, _ in bodies:
            body &= ~other
        pieces, count = ndimage.label(body)
        if not count or body.sum() < 0.75 * whole.sum():
            continue
        body = pieces == 1 + np.argmax(ndimage.sum_labels(body, pieces, range(1, count + 1)))
        bodies.append((body, whole))
        halo = ndimage.gaussian_filter(ndimage.binary_dilation(body, iterations=2).astype(float) - body, 1.2)
        image += rng.uniform(0.04, 0.09) * np.clip(halo, 0, 1)[..., None] * tint
        plasma = ground * (1 + rng.uniform(-0.1, -0.02) + 0.06 * coarse * relief(body, light, 12))
        fill(image, ndimage.gaussian_filter(body.astype(float), 1), np.clip(plasma, 0, 1)[..., None] * tint, 0.8)
        for _ in range(rng.integers(2, 9)):  # vacuoles
            spot = outline(blob(rng, centre + rng.normal(0, radius / 2.5, 2), rng.uniform(1.5, 4.5), 0.2), SIZE) & body
            fill(image, spot, np.array(ground * rng.choice([0.75, 1.3])) * tint, 0.6)
        nucleus = outline(blob(rng, centre + rng.normal(0, radius / 7, 2), radius * rng.uniform(0.3, 0.5), 0.12), SIZE) & body
        inner = np.clip(ground * (0.55 + 0.1 * fine), 0, 1)
        fill(image, ndimage.gaussian_filter(nucleus.astype(float), 1), inner[..., None] * tint, 0.85)
    for _ in range(rng.integers(10, 40)):  # debris
        speck = outline(blob(rng, rng.uniform(0, SIZE, 2), rng.uniform(1.5, 8), 0.4), SIZE)
        fill(image, speck, np.array(ground * rng.choice([0.5, 1.5])) * tint, 0.6)
    picture = camera(rng, image, rng.uniform(0.7, 1.4), rng.uniform(0.85, 1.15), (1, 1, 1), 0.03)
    return picture, _one_of(rng, [(body, whole) for body, whole in bodies if not _touches_border(body)])


def moths(rng: np.random.Generator, style: np.random.Generator, progress: float) -> tuple[np.ndarray, np.ndarray]:
    """Moths of one kind with spread wings, on bark and lichen of their colours, among leaves like their hind wings."""
    bark = colour(rng, [(0.42, 0.34, 0.27), (0.47, 0.45, 0.38), (0.30, 0.26, 0.24)][style.integers(3)], 0.15)
    lichen = colour(rng, colour(style, (0.58, 0.60, 0.50), 0.15), 0.08)
    petal = [(0.80, 0.45, 0.20), (0.75, 0.33, 0.38), (0.78, 0.70, 0.35)][style.integers(3)]
    light = rng.uniform(-2.4, -0.7)
    image = rough(rng, SIZE, bark, lichen, rng.uniform(15, 45), 0.1)
    cracks = np.clip(np.abs(noise(rng, SIZE, 25)) * 4, 0, 1)[..., None]
    image *= 0.6 + 0.4 * cracks
    _leaves(rng, image, int(rng.integers(6, 18)), [tuple(bark * 1.1), tuple(lichen), petal], light)
    shapes: list[Seen] = []
    for _ in range(rng.integers(1, 4)):
        tone = bark * (1 - (mix := rng.uniform(0.3, 0.7))) + lichen * mix
        moth = _moth(rng, image, rng.uniform(50, SIZE - 50, 2), rng.uniform(42, 70), tone, petal)
        shapes = [(seen & ~moth, whole) for seen, whole in shapes] + [(moth, moth)]
    front = _leaves(rng, image, int(rng.integers(0, 3)), [tuple(lichen), petal], light)
    picture = camera(rng, image, rng.uniform(0.6, 1.2), rng.uniform(0.75, 1.15), rng.uniform(0.93, 1.07, 3), 0.02)
    return picture, _one_of(rng, [(seen & ~front, whole) for seen, whole in shapes])


def _moth(
    rng: np.random.Generator, image: np.ndarray, centre: np.ndarray, length: float, tone: np.ndarray, petal: tuple
) -> np.ndarray:
    """A moth painted wing by wing, both sides alike; gives its outline."""
    angle = rng.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    frame = turned(np.stack([columns - centre[0], rows - centre[1]], -1).reshape(-1, 2), -angle, (0, 0)) / length
    along, aside = frame[:, 0].reshape(SIZE, SIZE), np.abs(frame[:, 1].reshape(SIZE, SIZE))
    sweep, span = rng.uniform(-0.1, 0.3), rng.uniform(0.8, 1.05)

    def lobe(x: float, y: float, long: float, wide: float, lean: float) -> np.ndarray:
        u, v = along - x, aside - y
        u, v = u * np.cos(lean) - v * np.sin(lean), u * np.sin(lean) + v * np.cos(lean)
        return (u / long) ** 2 + (v / wide) ** 2 < 1

    hind = lobe(-0.35, 0.42 * span, 0.34, 0.45 * span, 0.4)
    fore = lobe(0.15 + sweep / 2, 0.55 * span, 0.32, 0.6 * span, -sweep)
    body = lobe(-0.1, 0, 0.6, 0.13, 0)
    moth = ndimage.binary_fill_holes(ndimage.binary_closing(np.pad(hind | fore | body, 3), iterations=2))[3:-3, 3:-3]
    drop_shadow(image, moth, (3, 5), 0.4, 3)
    out = np.hypot(along, aside)
    fur = 1 + 0.08 * noise(rng, SIZE, 4, 2)
    for wing, paint, period in ((hind, colour(rng, petal, 0.12), rng.uniform(0.3, 0.5)), (fore, colour(rng, tone, 0.12), 0.22)):
        bands = 1 + rng.uniform(0.1, 0.35) * np.sin(2 * np.pi * out / period + rng.uniform(0, 6) + 2 * along)
        fill(image, wing, np.clip(paint * (bands * fur)[..., None], 0, 1))
    if rng.random() < 0.6:  # eyes to frighten birds
        ring = np.hypot(along - 0.15 - sweep / 2, aside - 0.6 * span)
        fill(image, (ring < 0.12) & fore, colour(rng, petal, 0.1))
        fill(image, (ring < 0.07) & fore, (0.1, 0.09, 0.1))
    fill(image, body, np.clip(colour(rng, tone * 0.6, 0.15) * fur[..., None], 0, 1))
    return moth


def _leaves(rng: np.random.Generator, image: np.ndarray, count: int, tones: list, light: float) -> np.ndarray:
    """Leaves with a midrib and a shadow; gives the pixels they cover."""
    cover = np.zeros((SIZE, SIZE), bool)
    along = np.linspace(0, np.pi, 30)
    for _ in range(count):
        length, width = rng.uniform(22, 60), rng.uniform(7, 17)
        half = np.stack([length * np.cos(along), width * np.sin(along) ** 1.3], 1)
        angle, centre = rng.uniform(0, 2 * np.pi), rng.uniform(0, SIZE, 2)
        leaf = outline(turned(np.concatenate([half, half[::-1] * (1, -1)]), angle, centre), SIZE)
        drop_shadow(image, leaf, (3, 5), 0.35, 2.5)
        tone = colour(rng, tones[rng.integers(len(tones))], 0.15)
        veins = 0.06 * stripes(SIZE, angle + 0.5, rng.uniform(4, 7))
        fill(image, leaf, np.clip(tone * (1 + veins)[..., None] * relief(leaf, light, width)[..., None], 0, 1))
        rib = stroke(
            turned(np.stack([np.linspace(-length, length, 90), np.zeros(90)], 1), angle, centre), np.full(90, 1.4), SIZE
        )
        fill(image, rib * leaf, np.clip(tone * 1.4, 0, 1), 0.7)
        cover |= leaf
    return cover


def shift(rng: np.random.Generator, style: np.random.Generator, progress: float) -> tuple[np.ndarray, np.ndarray]:
    """Coins on the photos that scikit-image carries; along the sequence it gets dark, blurred, noisy and tinted."""
    photos = offline_photos()
    names = [name for name in photos if name != "coins"]
    photo = photos[names[rng.integers(len(names))]]
    side = int(rng.integers(200, min(photo.shape[:2]) + 1))
    top, left = (int(rng.integers(0, length - side + 1)) for length in photo.shape[:2])
    crop = photo[top : top + side, left : left + side].astype(float) / 255
    image = ndimage.zoom(crop, (SIZE / side, SIZE / side, 1), order=1)[:SIZE, :SIZE]
    metals = [(1.0, 0.83, 0.55), (0.95, 0.72, 0.58), (0.97, 0.97, 1.0)]
    cuts = _coins()
    shapes: list[Seen] = []
    for _ in range(rng.integers(3, 8)):
        face, shape = cuts[rng.integers(len(cuts))]
        face, shape = _placed(rng, face, shape)
        drop_shadow(image, shape, (4, 6), 0.5, 3)
        metal = colour(rng, metals[rng.integers(3)], 0.08)
        fill(image, shape, np.clip(1.25 * face[..., None] * metal, 0, 1))
        shapes = [(seen & ~shape, whole) for seen, whole in shapes] + [(shape, shape)]
    cast = 1 + progress * np.array([0.35, -0.05, -0.45]) * rng.uniform(0.7, 1.1)
    haze = 0.45 * progress
    image = image * (1 - haze) + 0.5 * haze
    blur, dark, noisy = 0.6 + 2.6 * progress, 1 - 0.65 * progress, 0.015 + 0.16 * progress
    return camera(rng, image, blur, dark, cast, noisy), _one_of(rng, shapes)


def _coins() -> list[tuple[np.ndarray, np.ndarray]]:
    """The coins of scikit-image's photo of Greek coins, cut out by their brightness."""
    photo = offline_photos()["coins"][..., 0].astype(float) / 255
    bright = photo - ndimage.gaussian_filter(photo, 40) > 0.02
    bright = ndimage.binary_fill_holes(ndimage.binary_closing(bright, iterations=3))
    pieces, _ = ndimage.label(ndimage.binary_opening(bright, iterations=5))
    found = []
    for number, box in enumerate(ndimage.find_objects(pieces), 1):
        shape = pieces[box] == number
        if 900 < shape.sum() < 5000 and shape.sum() > 0.7 * shape.size:
            found.append((photo[box], shape))
    return found


def _placed(rng: np.random.Generator, face: np.ndarray, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A cut-out turned, scaled and seen from the side, somewhere in a scene."""
    radius = rng.uniform(20, 46)
    scale = radius / (max(shape.shape) / 2)
    angle, tilt, centre = rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 1.0), rng.uniform(40, SIZE - 40, 2)
    forward = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.diag([tilt, 1]) * scale
    back = np.linalg.inv(forward)
    offset = np.array(shape.shape) / 2 - back @ centre
    face, cover = (ndimage.affine_transform(part.astype(float), back, offset, (SIZE, SIZE), order=1) for part in (face, shape))
    return face, cover > 0.5


def _touches_border(mask: np.ndarray) -> bool:
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


def _one_of(rng: np.random.Generator, shapes: list[Seen]) -> np.ndarray:
    """One of the objects (what is seen of it, and the whole) that can be seen well enough; an empty mask if none can."""
    good = [seen for seen, whole in shapes if seen.sum() >= max(900, 0.55 * whole.sum())]
    return good[rng.integers(len(good))] if good else np.zeros((SIZE, SIZE), bool)
