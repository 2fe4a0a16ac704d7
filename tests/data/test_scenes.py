import pickle

import numpy as np
import pytest
from scipy import ndimage

from ilsegkit.data import Scenes
from ilsegkit.data.scenes import DOMAINS
from ilsegkit.errors import DataError

# The object of scene 4 of seed 11: pixels, and its centre. Written down once; a scene must be the same on every machine.
# Colours may differ in the last bit, so only their means are held.
KNOWN = {
    "rooftops": (2628, 113.7, 196.8, [141.8, 89.9, 65.1]),
    "fundus": (1816, 150.3, 199.7, [61.2, 27.1, 14.0]),
    "cells": (5090, 172.2, 214.2, [130.5, 121.9, 125.2]),
    "moths": (8352, 86.5, 213.4, [105.3, 111.0, 89.0]),
    "shift": (3423, 278.0, 244.7, [104.7, 71.5, 47.9]),
}


@pytest.fixture(params=DOMAINS, scope="module")
def domain(request):
    if request.param == "shift":
        pytest.importorskip("skimage")
    return request.param


@pytest.fixture(scope="module")
def samples(domain):
    return list(Scenes(domain, 8, seed=11))


def test_one_object_in_each(domain, samples):
    for sample in samples:
        assert (sample.image.shape, sample.image.dtype) == ((320, 320, 3), np.uint8)
        assert (sample.mask.shape, sample.mask.dtype) == ((320, 320), np.bool_)
        assert 900 <= sample.mask.sum() < 0.3 * sample.mask.size
        assert sample.class_name == DOMAINS[domain][1]
    assert len({sample.object_id for sample in samples}) == 8


def test_the_same_seed_gives_the_same_scenes(domain, samples):
    again = pickle.loads(pickle.dumps(Scenes(domain, 8, seed=11)))
    for index in (5, 2):  # in any order
        np.testing.assert_array_equal(again[index].image, samples[index].image)
        np.testing.assert_array_equal(again[index].mask, samples[index].mask)
    other = Scenes(domain, 8, seed=12)[2]
    assert (other.image != samples[2].image).mean() > 0.5


def test_the_same_on_every_machine(domain, samples):
    area, rows, columns, colours = KNOWN[domain]
    sample = samples[4]
    assert sample.mask.sum() == pytest.approx(area, abs=3)
    np.testing.assert_allclose([i.mean() for i in np.nonzero(sample.mask)], (rows, columns), atol=0.5)
    np.testing.assert_allclose(sample.image.mean((0, 1)), colours, atol=0.5)


def test_scenes_vary(domain, samples):
    means = np.array([sample.image[sample.mask].mean(0) for sample in samples])
    assert means.std(0).max() > 8
    centres = np.array([ndimage.center_of_mass(sample.mask) for sample in samples])
    assert centres.std(0).max() > 20


def test_no_flat_ground(domain, samples):
    for sample in samples:
        texture = ndimage.generic_filter(sample.image[::3, ::3, 1].astype(float), np.std, 5)
        lit = sample.image[::3, ::3].max(2) > 20  # around a retina it is black
        assert np.percentile(texture[lit], 10) > 0.7


def test_colour_alone_does_not_find_the_object(domain, samples):
    """Elsewhere there are pixels of the object's own colours: as many as half of it, in most scenes."""
    shares = []
    for sample in samples:
        inside = sample.image[ndimage.binary_erosion(sample.mask, iterations=3)].astype(float)
        low, high = np.percentile(inside, [10, 90], axis=0)
        alike = ((sample.image >= low) & (sample.image <= high)).all(2)
        shares.append((alike & ~sample.mask).sum() / max((alike & sample.mask).sum(), 1))
    assert np.median(shares) > 0.3


def test_the_shift_drifts_from_clear_to_bad():
    pytest.importorskip("skimage")
    scenes = Scenes("shift", 12, seed=3)
    first, last = ([scenes[i].image.astype(float) for i in part] for part in (range(4), range(8, 12)))
    brightness = [np.mean([image.mean() for image in part]) for part in (first, last)]
    redness = [np.mean([image[..., 0].mean() / image[..., 2].mean() for image in part]) for part in (first, last)]
    assert brightness[1] < 0.8 * brightness[0]
    assert redness[1] > 1.3 * redness[0]


def test_parts_of_a_sequence_stay_as_they_are():
    scenes = Scenes("fundus", 6, seed=1)
    part = scenes.subset([4, 1])
    assert [sample.object_id for sample in part[:]] == ["fundus-1-0004", "fundus-1-0001"]
    np.testing.assert_array_equal(part[0].image, scenes[4].image)
    with pytest.raises(IndexError):
        part[2]


def test_unknown_domain(monkeypatch):
    with pytest.raises(DataError, match="no scenes 'sea'; choose one of rooftops"):
        Scenes("sea")


def test_photos_need_scikit_image(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "skimage", None)
    with pytest.raises(DataError, match=r"pip install -e '\.\[lab\]'"):
        Scenes("shift")
    Scenes("moths")
