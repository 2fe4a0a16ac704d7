"""Windows, and the ways between image and frame."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ilsegkit.clicks import Click
from ilsegkit.frame import Frame, Window, window_around
from ilsegkit.model import PRESETS, InteractiveSegmenter

IMAGE = np.random.default_rng(0).integers(0, 255, (80, 120, 3), dtype=np.uint8)


def box(top, bottom, left, right, shape=(80, 120)):
    mask = np.zeros(shape, bool)
    mask[top:bottom, left:right] = True
    return mask


def test_nothing_found_is_the_whole_image():
    assert window_around(np.zeros((80, 120), bool), [Click(3, 3)], 1.4, 10) is None


def test_a_window_is_so_many_times_the_object():
    assert window_around(box(20, 30, 40, 60), [], 2.0, 1) == Window(15, 30, 35, 70)


def test_foreground_clicks_are_in_the_window_and_background_clicks_do_not_stretch_it():
    plain = window_around(box(20, 30, 40, 60), [], 1.4, 1)
    assert window_around(box(20, 30, 40, 60), [Click(100, 70, False)], 1.4, 1) == plain
    window = window_around(box(20, 30, 40, 60), [Click(80, 50)], 1.4, 1)
    assert window.left <= 40
    assert window.right > 80
    assert window.bottom > 50


def test_a_window_is_never_smaller_than_asked_but_for_what_is_beyond_the_image():
    assert window_around(box(40, 42, 60, 62), [], 1.4, 20) == Window(31, 51, 51, 71)
    assert window_around(box(0, 2, 0, 2), [], 1.4, 20) == Window(0, 0, 11, 11)
    corner = window_around(box(70, 80, 110, 120), [], 3.0, 20)
    assert (corner.bottom, corner.right) == (80, 120)


def test_an_object_that_fills_the_image_needs_no_window():
    assert window_around(box(5, 75, 10, 110), [], 1.4, 10) is None


def test_the_frame_of_a_window_shows_only_the_window(tiny_model):
    window = Window(16, 24, 48, 88)  # as large as the network's input: pixels are copied
    frame = Frame(IMAGE, tiny_model, window)
    assert frame.size == (32, 64)
    assert torch.equal(frame.pixels[0].permute(1, 2, 0), torch.from_numpy(IMAGE[16:48, 24:88]).float())


def test_clicks_outside_the_window_are_left_out_and_the_others_moved(tiny_model):
    frame = Frame(IMAGE, tiny_model, Window(16, 24, 48, 88))
    clicks = [Click(24, 16), Click(30.0, 20.0, False), Click(10, 20), Click(30, 60, False)]
    assert frame.clicks(clicks) == [Click(0, 0), Click(6.0, 4.0, False)]
    assert (frame.corrections(clicks) >= 0).sum() == 2
    assert frame.respected(torch.full(frame.size, -9.0), [Click(10, 20)])  # not asked about what is not seen


def test_outside_the_window_is_background(tiny_model):
    frame = Frame(IMAGE, tiny_model, Window(16, 24, 48, 88))
    logits = frame.at_image_size(torch.full(frame.size, 3.0))
    assert logits.shape == (80, 120)
    assert torch.equal(logits > 0, torch.from_numpy(box(16, 48, 24, 88)))
    assert not torch.sigmoid(logits).isnan().any()


@pytest.mark.parametrize("window", [Window(16, 24, 48, 88), Window(0, 60, 10, 120), Window(10, 0, 80, 30)])
def test_the_part_of_the_whole_that_is_in_the_window(tiny_model, window):
    """By logits that say where they are: each of the part's is to be that of the place in the image that it is over."""

    def slope(frame):  # 2x + 3y, in pixels of the image
        (top, left, bottom, right), (rows, columns) = frame.window, frame.size
        y, x = (torch.arange(n) + 0.5 for n in (rows, columns))
        return 2 * (left + x * (right - left) / columns) + 3 * (top + y * (bottom - top) / rows)[:, None]

    whole, part = Frame(IMAGE, tiny_model), Frame(IMAGE, tiny_model, window)
    difference = (part.part_of(slope(whole)) - slope(part)).abs()
    assert difference.shape == part.size
    assert difference[3:-3, 3:-3].max() < 0.01
    assert difference.max() < 5  # at the image's border there is nothing to interpolate with


def test_the_answer_for_a_window_is_averaged_with_the_whole(tiny_model):
    tiny_model.config = replace(tiny_model.config, context=0.25)
    clicks, window = [Click(30, 20)], Window(16, 24, 48, 88)
    whole = Frame(IMAGE, tiny_model)
    part = Frame(IMAGE, tiny_model, window, whole)
    alone, around = (tiny_model(f.pixels, f.guidance(clicks))[0, 0] for f in (part, whole))
    features = part.encode(tiny_model, clicks)
    torch.testing.assert_close(part.decode(tiny_model, features), 0.75 * alone + 0.25 * part.part_of(around))
    assert torch.equal(whole.decode(tiny_model, whole.encode(tiny_model, clicks)), around)
    assert part.encode(tiny_model, clicks, {whole: features[1]})[1] is features[1]  # known: not computed again
    own = Frame(IMAGE, tiny_model, window)
    assert torch.equal(own.decode(tiny_model, own.encode(tiny_model, clicks, {whole: features[1]})), alone)


@pytest.mark.parametrize(
    "window", [Window(16, 24, 48, 88), Window(0, 0, 20, 120), Window(70, 100, 80, 120), Window(10, 0, 60, 119)]
)
@pytest.mark.parametrize("image", [IMAGE, IMAGE[:, :50]], ids=["wide", "high"])
def test_the_fine_decoder_sees_the_window_alone_and_says_the_same(window, image):
    """Logits and gradients, bit for bit and up to the order of sums, of a DeepLabV3+ with random parameters."""
    width = image.shape[1]
    window = window._replace(left=min(window.left, width - 20), right=min(window.right, width))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = InteractiveSegmenter(replace(PRESETS["lite"], input_size=128)).eval()
    whole = Frame(image, model)
    part = Frame(image, model, window, whole)
    features = part.encode(model, [Click(30, 20)], frozen=True)
    seen = []
    model.network.decoder.block2.register_forward_pre_hook(lambda _, given: seen.append(given[0][0, 0].numel()))
    answer = part.decode(model, features)
    alone, around = (model.decode(f, frame.size)[0, 0] for f, frame in zip(features, (part, whole), strict=True))
    expected = 0.5 * alone + 0.5 * part.part_of(around)
    assert torch.equal(answer, expected)
    assert seen[1] < seen[3]
    learning = list(model.network.decoder.parameters())
    gradients = [torch.autograd.grad(logits.sigmoid().mean(), learning) for logits in (answer, expected)]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("side", [40, 50, 64, 90, 130])
def test_a_mask_becomes_neither_larger_nor_smaller(tiny_model, side):
    """SA learns from it: what is lost at the border, it would learn to leave out."""
    rows, columns = np.ogrid[:side, :side]
    shares = []
    for radius in np.linspace(side / 8, side / 3, 12):
        mask = (rows - side / 2) ** 2 + (columns - side / 2) ** 2 < radius**2
        shares.append(Frame(np.zeros((side, side, 3), np.uint8), tiny_model).at_frame_size(mask).mean() / mask.mean())
    assert np.mean(shares) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("window", [None, Window(16, 24, 48, 88)])
def test_a_mask_goes_to_the_frame_and_back(tiny_model, window):
    frame = Frame(IMAGE, tiny_model, window)
    mask = box(20, 40, 30, 70)
    small = frame.at_frame_size(mask)
    assert small.shape == frame.size
    assert set(small.unique().tolist()) == {0.0, 1.0}
    back = (frame.at_image_size(small - 0.5) > 0).numpy()
    assert (back ^ mask).sum() <= 0.1 * mask.sum()
