"""The colours and textures of an image: by images in which they say all, or nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.stats import multivariate_normal

import ilsegkit as ils
from ilsegkit import adaptation
from ilsegkit.adaptation import Settings, adapt
from ilsegkit.appearance import (
    EDGE,
    MOST,
    REACH,
    RIDGE,
    GuidedFilter,
    Looks,
    color_evidence,
    examples,
    texture_evidence,
    with_appearance,
    without_specks,
)
from ilsegkit.frame import Frame

NO_CLICKS = np.zeros((2, 40, 60), bool)


def plain(image):
    """How an image looks whose textures say nothing."""
    return Looks(image, np.zeros((1, 10, 15)), GuidedFilter(image))


@pytest.fixture
def square():
    """Red on green, with noise; 16 x 20 pixels."""
    image = np.full((40, 60, 3), (40, 160, 60), np.uint8)
    image[12:28, 20:40] = (180, 50, 60)
    noisy = image + np.random.default_rng(0).normal(0, 6, image.shape)
    mask = np.zeros((40, 60), bool)
    mask[12:28, 20:40] = True
    return noisy.clip(0, 255).astype(np.uint8), mask


def test_colours_of_what_was_found_are_found_elsewhere(square):
    image, mask = square
    probability = np.full(mask.shape, 0.1)
    probability[16:24, 24:36] = 0.95
    evidence = color_evidence(image, examples(probability, NO_CLICKS))
    inside, outside = mask.copy(), ~mask
    for at in (np.s_[11:13], np.s_[27:29]):  # one pixel of blur
        inside[at], outside[at] = False, False
    for at in (np.s_[:, 19:21], np.s_[:, 39:41]):
        inside[at], outside[at] = False, False
    assert evidence[inside].min() > 1
    assert evidence[outside].max() < -1
    assert np.abs(evidence).max() <= MOST


def test_clicks_show_colours_too(square):
    image, _ = square
    unsure = np.full(image.shape[:2], 0.5)
    assert examples(unsure, NO_CLICKS) is None
    clicks = NO_CLICKS.copy()
    clicks[0, 18:21, 28:31] = True
    assert examples(unsure, clicks) is None  # of the background nothing is known
    clicks[1, 3:6, 3:6] = True
    evidence = color_evidence(image, examples(unsure, clicks))
    assert evidence[20, 30] > 0 > evidence[36, 50]
    np.testing.assert_allclose(color_evidence(image, examples(unsure, clicks[::-1])), -evidence, atol=1e-5)


def test_one_colour_says_nothing():
    probability = np.full((40, 60), 0.1)
    probability[10:20, 10:20] = 0.9
    assert np.abs(color_evidence(np.full((40, 60, 3), 77, np.uint8), examples(probability, NO_CLICKS))).max() < 1e-5


def test_textures_are_told_apart_by_a_linear_discriminant():
    """Against the log-likelihood ratio of two normal distributions that share their covariance."""
    rng = np.random.default_rng(2)
    mask = np.zeros((40, 60), bool)
    mask[12:28, 20:40] = True
    squares = mask[::4, ::4]
    textures = np.stack([rng.normal(0, 1, squares.shape) + 0.4 * squares, rng.normal(0, 2, squares.shape)])
    textures[1] += textures[0]  # they go together
    of = [textures[:, where].T for where in (squares, ~squares)]
    shared = sum(np.cov(values.T, bias=True) for values in of) / 2
    shared += RIDGE * np.trace(shared) / 2 * np.eye(2)
    everywhere = textures.reshape(2, -1).T
    one, other = (multivariate_normal(values.mean(0), shared).logpdf(everywhere) for values in of)
    expected = (one - other).clip(-MOST, MOST).reshape(squares.shape)
    # Each texture in nine squares: where it is interpolated between neighbours, they are the same.
    large, probability = np.kron(textures, np.ones((1, 3, 3))), np.kron(np.where(mask, 0.95, 0.05), np.ones((3, 3)))
    evidence = texture_evidence(large, examples(probability, np.zeros((2, 120, 180), bool)))
    np.testing.assert_allclose(evidence[6::12, 6::12], expected, atol=1e-5)


def test_textures_tell_what_colours_do_not(tiny_model):
    """Stripes of the same colours: across in the object, down in the background."""
    rows, columns = np.indices((64, 96))
    mask = np.zeros((64, 96), bool)
    mask[16:48, 24:72] = True
    stripes = np.where(mask, rows, columns) // 4 % 2
    image = np.repeat((60 + 120 * stripes)[..., None], 3, -1).astype(np.uint8)
    tiny_model.config = replace(tiny_model.config, zoom=1.4, input_size=96)
    frame = Frame(image, tiny_model)
    probability = np.where(ndimage.binary_erosion(mask, iterations=8), 0.95, 0.3)
    probability[:, :12] = 0.05
    shown = examples(probability, np.zeros((2, 64, 96), bool))
    evidence = texture_evidence(frame.looks(tiny_model).textures, shown)
    assert evidence[mask].mean() > evidence[~mask].mean() + 1
    assert abs(color_evidence(image, shown)).max() < 0.5


def test_one_texture_says_nothing():
    sure = np.where(np.arange(60) < 30, 0.95, 0.05) * np.ones((40, 1))
    assert not texture_evidence(np.zeros((3, 10, 15)), examples(sure, NO_CLICKS)).any()


def test_without_examples_the_network_decides(square):
    unsure = np.where(square[1], 0.5, -0.5)  # of nothing is it sure, and nothing has been clicked
    answers = [with_appearance(unsure, plain(square[0]), NO_CLICKS, weight) for weight in (0.0, 0.5)]
    np.testing.assert_array_equal(*answers)


@pytest.mark.parametrize("size", [(43, 64), (64, 41), (1, 1), (5, 64)])
def test_there_is_a_texture_for_every_square(tiny_model, size):
    tiny_model.config = replace(tiny_model.config, zoom=1.4)
    frame = Frame(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8), tiny_model)
    textures = frame.looks(tiny_model).textures
    assert textures.shape[1:] == tuple(-(-side // 4) for side in frame.size)
    assert np.isfinite(textures).all()
    shown = np.random.default_rng(1).random((2, *frame.size))
    assert texture_evidence(textures, shown / shown.sum((1, 2), keepdims=True)).shape == frame.size


def test_the_guided_filter_is_a_local_linear_regression(square):
    """Against least squares, window by window (Eq. 5 to 8 of He et al.)."""
    image, mask = square
    rng = np.random.default_rng(1)
    values = mask + rng.normal(0, 0.1, mask.shape)
    rgb = image.reshape(-1, 3) / 255
    index = np.pad(np.arange(mask.size).reshape(mask.shape), REACH, mode="symmetric")
    fits = np.zeros((*mask.shape, 4))
    for row, column in np.ndindex(mask.shape):
        seen = index[row : row + 2 * REACH + 1, column : column + 2 * REACH + 1].ravel()
        x, y = rgb[seen], values.ravel()[seen]
        centred = x - x.mean(0)
        slope = np.linalg.solve(centred.T @ centred / len(seen) + EDGE * np.eye(3), centred.T @ (y - y.mean()) / len(seen))
        fits[row, column] = [*slope, y.mean() - x.mean(0) @ slope]
    fits = np.pad(fits, ((REACH, REACH), (REACH, REACH), (0, 0)), mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(fits, (2 * REACH + 1, 2 * REACH + 1), (0, 1)).mean((-1, -2))
    expected = (windows[..., :3] * rgb.reshape(*mask.shape, 3)).sum(-1) + windows[..., 3]
    np.testing.assert_allclose(GuidedFilter(image)(values), expected, atol=1e-4)


@pytest.mark.parametrize("image", [np.zeros((40, 60, 3), np.uint8), np.full((1, 1, 3), 9, np.uint8)])
def test_without_edges_it_is_a_mean(image):
    values = np.full(image.shape[:2], 0.25)
    np.testing.assert_allclose(GuidedFilter(image)(values), values, atol=1e-6)


def test_the_border_goes_to_the_edge_of_the_colours(square):
    image, mask = square
    rough = np.full(mask.shape, -3.0)
    rough[11:27, 21:42] = 3.0  # off by one or two pixels
    answer = with_appearance(rough, plain(image), NO_CLICKS, 0.5) > 0
    assert (answer ^ mask).sum() < 0.2 * ((rough > 0) ^ mask).sum()
    assert np.isfinite(with_appearance(1e4 * rough, plain(image), NO_CLICKS, 0.5)).all()


def test_specks_go_unless_they_were_clicked():
    logits = np.full((40, 60), -2.0)
    logits[5:35, 5:35] = 2.0  # 900 pixels: four are a speck, five are none
    specks, parts = (np.s_[2:4, 50:52], np.s_[20:22, 50:52]), (np.s_[30:31, 50:55], np.s_[38:39, 0:5])
    for part in (*specks, *parts):
        logits[part] = 1.0
    hole, clicked_hole = np.s_[10:12, 10:12], np.s_[20:22, 20:22]
    logits[hole] = logits[clicked_hole] = -1.0
    clicks = NO_CLICKS.copy()
    clicks[0, 20, 50] = clicks[1, 21, 21] = True
    expected = logits.copy()
    expected[specks[0]], expected[hole] = -1.0, 1.0
    np.testing.assert_array_equal(without_specks(logits, clicks), expected)
    clicks[:, 20:22, 20:22] = [[[True]], [[False]]]  # now as object: the click that was missed has its label
    expected[clicked_hole], expected[specks[1]] = 1.0, 1.0
    np.testing.assert_array_equal(without_specks(logits, clicks), expected)


def test_an_object_of_small_parts_keeps_them():
    flock = np.full((300, 300), -2.0)
    flock[::18, ::18] = flock[1::18, ::18] = 2.0
    np.testing.assert_array_equal(without_specks(flock, np.zeros((2, 300, 300), bool)), flock)
    fence = np.full((300, 300), 2.0)
    for row in range(14):
        for column in range(14):
            fence[21 * row + 3 : 21 * row + 18, 21 * column + 3 : 21 * column + 18] = -2.0
    np.testing.assert_array_equal(without_specks(fence, np.zeros((2, 300, 300), bool)), fence)


@pytest.mark.parametrize("value", [-1.0, 1.0, 0.0])
def test_without_parts_there_are_no_specks(value):
    logits = np.full((40, 60), value)
    np.testing.assert_array_equal(without_specks(logits, NO_CLICKS), logits)


def test_a_click_that_the_network_respects_stays_respected(square):
    """Even one that is wrong: colours do not overrule the person."""
    image, mask = square
    logits = np.where(mask, 3.0, -3.0)
    logits[4:9, 4:9], logits[18:23, 28:33] = 0.5, -0.5
    clicks = NO_CLICKS.copy()
    clicks[0, 5:8, 5:8] = clicks[1, 19:22, 29:32] = True
    free = with_appearance(logits, plain(image), NO_CLICKS, 0.5)
    assert (free[5:8, 5:8] < 0).all()
    assert (free[19:22, 29:32] > 0).all()
    held = with_appearance(logits, plain(image), clicks, 0.5)
    assert (held[5:8, 5:8] >= 0.5).all()
    assert (held[19:22, 29:32] <= -0.5).all()


def test_it_comes_with_the_zoom_and_can_be_turned_off(tiny_model, square):
    image, mask = square
    clicks, rough = [ils.Click(30, 20)], torch.full((43, 64), -2.0)
    for changes, changed in (({}, False), ({"zoom": 1.4, "appearance": 0.0}, False), ({"appearance": 0.5}, True)):
        tiny_model.config = replace(tiny_model.config, **changes)
        frame = Frame(image, tiny_model)
        logits = rough + 4 * frame.at_frame_size(mask)
        answer = frame.answer(logits, clicks, frame.looks(tiny_model))
        assert (answer.shape, answer.dtype) == (logits.shape, logits.dtype)
        assert torch.equal(answer, logits) != changed
    broken = torch.full(frame.size, torch.nan)
    assert frame.answer(broken, clicks, frame.looks(tiny_model)) is broken  # for others to notice


def test_ia_learns_from_the_mask_that_was_seen(tiny_model, square, monkeypatch):
    tiny_model.config = replace(tiny_model.config, zoom=1.4)
    frame, seen, used = Frame(square[0], tiny_model), [], []
    loss = adaptation.adaptation_loss
    monkeypatch.setattr(adaptation, "adaptation_loss", lambda *a: used.append(a[2]) or loss(*a))
    anchor = {name: value.detach().clone() for name, value in tiny_model.named_parameters()}
    ia = Settings(steps=2, rate=1e-3, lam=0.5, gamma=0.0)
    adapt(tiny_model, frame, [ils.Click(30, 20)], None, ia, anchor, on_prediction=seen.append)
    assert len(used) == 2
    assert all(torch.equal(p, (seen[0] > 0).float()) for p in used)


@pytest.mark.parametrize("mode", ["none", "IA"])
def test_a_session_shows_the_corrected_answer(tiny_model, square, mode):
    tiny_model.config = replace(tiny_model.config, zoom=1.4)
    session = ils.Session(tiny_model, mode)
    session.set_image(square[0])
    mask = session.click(30, 20)
    frame = session._now.frame or session._frame
    with torch.no_grad():
        plain = frame.decode(session.model, frame.encode(session.model, session.clicks))
    answer = frame.answer(plain, session.clicks, frame.looks(session.model))
    assert not torch.equal(answer, plain)
    np.testing.assert_allclose(session._now.logits, answer, atol=1e-5)
    np.testing.assert_array_equal(session.predict() > 0.5, mask)
