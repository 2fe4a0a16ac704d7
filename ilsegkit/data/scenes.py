"""Synthetic scenes with exact masks, for the experiments without a network.

Each domain stands in for one of the paper's: `rooftops` for aerial photos, `fundus` for retina photos, `cells` for microscopy,
`moths` for a sequence of one class, `shift` for a distribution that drifts away. They are made by a program and are called
synthetic wherever their results appear; what a network does on them says nothing about real images.

What makes them hard is what is hard about the real ones. An object has parts of different colours (slopes in light and
shadow, body and wings, a cup in a disc, a nucleus in a cell), so a network that does not know the kind takes a part for the
whole; and there are other things of its colours (courts, leaves, lesions, debris) and other objects of its kind. What there is
to learn: a sequence has one region, species, microscope or retina, so these mistakes come again and again.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Self

import numpy as np

from ..errors import DataError
from . import painters
from .photos import offline_photos
from .sample import Sample

__all__ = ["DOMAINS", "Scene", "Scenes"]


class Scene(NamedTuple):
    """What is known of a scene before it is made; `number` is its place in the whole sequence."""

    object_id: str
    image_id: str
    class_name: str
    number: int


Painter = Callable[[np.random.Generator, np.random.Generator, float], tuple[np.ndarray, np.ndarray]]

#: The domains by name, with the class of their objects.
DOMAINS: dict[str, tuple[Painter, str]] = {
    "rooftops": (painters.rooftops, "rooftop"),
    "fundus": (painters.fundus, "optic disc"),
    "cells": (painters.cells, "cell"),
    "moths": (painters.moths, "moth"),
    "shift": (painters.shift, "coin"),
}


class Scenes(Sequence[Sample]):
    """Synthetic images with one object each, made when they are asked for; the same for the same domain, seed and index.

    Parameters
    ----------
    domain : {"rooftops", "fundus", "cells", "moths", "shift"}
    count : int, optional
        How many; along them, `shift` drifts from clear to bad.
    seed : int, optional

    Attributes
    ----------
    entries : list of Scene
        One for each object.

    Raises
    ------
    DataError
        If there is no such domain, or `shift` is asked for without scikit-image, which carries its photos.

    Examples
    --------
    >>> scenes = Scenes("rooftops", 3, seed=1)
    >>> sample = scenes[0]
    >>> sample.image.shape, sample.mask.shape, sample.class_name
    ((320, 320, 3), (320, 320), 'rooftop')
    """

    #: None are ever damaged.
    skipped = 0

    def __init__(self, domain: str, count: int = 60, seed: int = 0) -> None:
        if domain not in DOMAINS:
            raise DataError(f"there are no scenes {domain!r}; choose one of {', '.join(DOMAINS)}")
        if domain == "shift":
            offline_photos()
        self.domain, self.seed, self.total = domain, seed, count
        names = [f"{domain}-{seed}-{index:04d}" for index in range(count)]
        self.entries = [Scene(name, name, DOMAINS[domain][1], index) for index, name in enumerate(names)]

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        scene = self.entries[index]
        image, mask = self._make(scene.number)
        return Sample(image, mask, scene.object_id, None, scene.class_name, scene.image_id)

    def _make(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        painter, progress = DOMAINS[self.domain][0], number / max(self.total - 1, 1)
        domain = list(DOMAINS).index(self.domain)
        for attempt in range(100):  # now and then leaves or trees cover everything
            image, mask = painter(
                np.random.default_rng([self.seed, domain, number, attempt]),
                np.random.default_rng([self.seed, domain]),
                progress,
            )
            if mask.any():
                return image, mask
        raise AssertionError(f"no scene {number} of {self.domain!r} has an object")

    def subset(self, indices: Iterable[int]) -> Self:
        """Only these scenes, in this order; each stays as it is."""
        part = copy.copy(self)
        part.entries = [self.entries[index] for index in indices]
        return part
