import json
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from ilsegkit import slots, training
from ilsegkit.clicks import Click
from ilsegkit.data import FolderDataset
from ilsegkit.data.crops import Crop
from ilsegkit.errors import DataError, ImageError, WeightsError
from ilsegkit.model import InteractiveSegmenter, load_model
from ilsegkit.session import Session
from ilsegkit.training import LOSSES, Recipe, focal_loss, train


def literal_focal_loss(logits, target, power):
    """Each pixel weighs (1 - probability of what is true) ** power; the weights of an image add up to one."""
    losses = []
    for image, wanted in zip(logits.astype(np.float64), target, strict=True):
        total = weights = 0.0
        for logit, label in zip(image.ravel(), wanted.ravel(), strict=True):
            if label == -1:
                continue
            p = 1 / (1 + np.exp(-logit))
            p = p if label == 1 else 1 - p
            weights += (1 - p) ** power
            total += (1 - p) ** power * -np.log(p)
        losses.append(total / weights if weights else 0.0)
    return np.mean(losses)


class TestFocalLoss:
    LOGITS = np.random.default_rng(0).normal(0, 2, (3, 4, 5))
    TARGET = np.random.default_rng(1).integers(-1, 2, (3, 4, 5)).astype(np.float64)

    @pytest.mark.parametrize("power", [0, 1, 2, 3.5])
    def test_is_the_formula(self, power):
        value = focal_loss(torch.from_numpy(self.LOGITS), torch.from_numpy(self.TARGET), power).item()
        assert value == pytest.approx(literal_focal_loss(self.LOGITS, self.TARGET, power), rel=1e-9)

    def test_weights_are_not_learned(self):
        logits = torch.from_numpy(self.LOGITS).requires_grad_()
        target = torch.from_numpy(self.TARGET)
        focal_loss(logits, target).backward()
        p = torch.sigmoid(logits.detach())
        wrong = (p - target) * (target != -1)  # gradient of cross-entropy
        weight = wrong.abs().square()
        expected = weight * wrong / weight.sum((1, 2), keepdim=True) / 3
        torch.testing.assert_close(logits.grad, expected)

    def test_nothing_known(self):
        logits = torch.randn(2, 3, 3, requires_grad=True)
        loss = focal_loss(logits, torch.full((2, 3, 3), -1.0))
        loss.backward()
        assert loss.item() == 0
        assert not logits.grad.any()

    def test_sure_and_right_or_wrong_stays_finite(self):
        logits = torch.tensor([[[1e4, -1e4]]], requires_grad=True)
        for target in ([[[1.0, 0.0]]], [[[0.0, 1.0]]]):
            loss = focal_loss(logits, torch.tensor(target))
            loss.backward()
            assert torch.isfinite(loss)
            assert torch.isfinite(logits.grad).all()


@pytest.fixture
def folders(tmp_path):
    """Bright squares on dark noise."""
    rng = np.random.default_rng(0)
    root = tmp_path / "squares"
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    for i in range(6):
        mask = np.zeros((48, 48), np.uint8)
        top, left = rng.integers(2, 24, 2)
        mask[top : top + 20, left : left + 20] = 255
        image = np.where(mask[..., None] > 0, 200, 50) + rng.integers(-20, 21, (48, 48, 3))
        Image.fromarray(image.astype(np.uint8)).save(root / "images" / f"{i}.png")
        Image.fromarray(mask).save(root / "masks" / f"{i}.png")
    return [FolderDataset(root)]


RECIPE = Recipe(iterations=50, batch=4, size=32, rate=1e-2, average=0.8, seed=1)


@pytest.fixture
def watched(monkeypatch):
    """The loss of every iteration; `watched.stop_after` simulates a machine that goes down."""

    class Watched(list):
        stop_after = None

    record = Watched()
    plain = LOSSES["focal"]

    def focal(logits, target):
        if record.stop_after is not None and len(record) >= record.stop_after:
            raise KeyboardInterrupt
        loss = plain(logits, target)
        record.append(loss.item())
        return loss

    monkeypatch.setitem(LOSSES, "focal", focal)
    return record


def test_training_lowers_the_loss_and_leaves_files(tiny_model, folders, tmp_path, watched):
    result = train(tiny_model, folders, tmp_path / "run", RECIPE, workers=0)
    assert len(watched) == 50
    assert np.mean(watched[-10:]) < 0.75 * np.mean(watched[:10])
    assert not result.training
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert (lines[-1]["iteration"], lines[-1]["stage"]) == (50, 2)
    assert 0 < lines[-1]["loss"] < watched[0]
    stored = load_model(tmp_path / "run" / "model.safetensors", "cpu")
    assert stored.info["trained"]["iterations"] == 50
    assert stored.info["objects"] == 6
    assert stored.info["data"] == ["squares"]
    image, guidance = torch.rand(1, 3, 32, 32) * 255, torch.zeros(1, 2, 32, 32)
    with torch.no_grad():
        assert torch.equal(stored(image, guidance), result(image, guidance))


def test_same_seed_same_training(folders, tmp_path, watched, tiny_model):
    start = {name: value.clone() for name, value in tiny_model.state_dict().items()}
    recipe = Recipe(**{**RECIPE.__dict__, "iterations": 6})
    train(tiny_model, folders, tmp_path / "one", recipe, workers=0)
    tiny_model.load_state_dict(start)
    train(tiny_model, folders, tmp_path / "two", recipe, workers=0)
    assert watched[:6] == pytest.approx(watched[6:], rel=1e-4)


def test_a_stopped_training_goes_on(tiny_model, folders, tmp_path, watched):
    recipe = Recipe(**{**RECIPE.__dict__, "iterations": 12})
    watched.stop_after = 9
    with pytest.raises(KeyboardInterrupt):
        train(tiny_model, folders, tmp_path / "run", recipe, checkpoint_every=4, workers=0)
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert state["iteration"] == 8
    assert not tiny_model.training
    assert not (tmp_path / "run" / "model.safetensors").exists()

    watched.stop_after, before = None, len(watched)
    with torch.no_grad():
        for parameter in tiny_model.parameters():
            parameter.zero_()  # what counts is the checkpoint
    first = {}

    def remember(model, _):
        first.update({} if first else {name: value.detach().clone() for name, value in model.named_parameters()})

    tiny_model.register_forward_pre_hook(remember)
    train(tiny_model, folders, tmp_path / "run", recipe, checkpoint_every=4, workers=0)
    assert len(watched) - before == 4
    assert first
    assert all(torch.equal(value, state["model"][name]) for name, value in first.items())
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["iteration"] == 12
    assert (tmp_path / "run" / "model.safetensors").is_file()

    train(tiny_model, folders, tmp_path / "run", recipe, checkpoint_every=4, workers=0)  # a finished one has nothing to do
    assert len(watched) - before == 4


@pytest.mark.parametrize("first_stage", [1.0, 0.25])
def test_a_stopped_training_becomes_what_it_would_have_been(folders, tmp_path, watched, first_stage):
    """With dropout, and with objects under way in stage 2."""
    recipe = Recipe(**{**RECIPE.__dict__, "iterations": 12, "first_stage": first_stage})

    def model():
        torch.manual_seed(0)
        options = {"encoder_output_stride": 16, "decoder_channels": 8}
        return InteractiveSegmenter(replace(InteractiveSegmenter("lite").config, encoder="tu-test_resnet", options=options))

    assert any(isinstance(m, torch.nn.Dropout) and m.p > 0 for m in model().modules())
    whole = train(model(), folders, tmp_path / "whole", recipe, checkpoint_every=5, workers=0)
    losses = list(watched)
    watched.stop_after = len(losses) + 7
    with pytest.raises(KeyboardInterrupt):
        train(model(), folders, tmp_path / "parts", recipe, checkpoint_every=5, workers=0)
    watched.stop_after = None
    watched.clear()
    torch.manual_seed(5)
    parts = train(model(), folders, tmp_path / "parts", recipe, checkpoint_every=5, workers=0)
    assert list(watched) == losses[5:]
    for ours, theirs in zip(parts.state_dict().values(), whole.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_step_that_is_left_out_leaves_no_trace(tiny_model, folders, tmp_path, caplog):
    calls = []

    def spoil(_module, _inputs, output):
        calls.append(1)
        return output * float("nan") if len(calls) == 5 else output

    tiny_model.first_convolution().register_forward_hook(spoil)
    result = train(tiny_model, folders, tmp_path, Recipe(**{**RECIPE.__dict__, "iterations": 8}), workers=0)
    assert "gave no finite gradient" in caplog.text
    assert all(torch.isfinite(value).all() for value in result.state_dict().values())


def test_weights_that_are_not_finite_are_no_model(tiny_model, folders, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "check_ranges", lambda *_: None)
    with pytest.raises(DataError, match="choose a smaller rate"):
        train(tiny_model, folders, tmp_path, Recipe(**{**RECIPE.__dict__, "iterations": 3, "rate": np.inf}), workers=0)
    assert not (tmp_path / "model.safetensors").exists()


def test_one_training_at_a_time_works_in_a_folder(tiny_model, folders, tmp_path, monkeypatch):
    recipe = Recipe(**{**RECIPE.__dict__, "iterations": 1})

    def another(*_):
        with pytest.raises(DataError, match="another training is at work"):
            train(tiny_model, folders, tmp_path / "run", recipe, workers=0)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "_try_size", another)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_model, folders, tmp_path / "run", recipe, workers=0)
    monkeypatch.undo()
    train(tiny_model, folders, tmp_path / "run", recipe, workers=0)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such signal on this system")
def test_robots_do_not_outlive_a_training_that_is_killed(tmp_path):
    code = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from ilsegkit.slots import begin_robot
pool = ProcessPoolExecutor(2, initializer=begin_robot)
print(*{job.result() for job in [pool.submit(os.getpid) for _ in range(4)]}, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    robots = [int(number) for number in parent.stdout.readline().split()]
    assert robots
    parent.kill()
    parent.wait()
    until = time.monotonic() + 20
    while robots and time.monotonic() < until:
        time.sleep(0.1)
        robots = [number for number in robots if is_running(number)]
    assert not robots


def is_running(number):
    """A process that has ended but was not collected by its parent is none."""
    import psutil

    try:
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("workers", [0, 1])
def test_a_photo_that_is_gone_is_told_in_one_sentence(tiny_model, folders, tmp_path, workers):
    for entry in folders[0].entries:
        entry.image.unlink()
    with pytest.raises(ImageError) as told:
        train(tiny_model, folders, tmp_path / "run", Recipe(**{**RECIPE.__dict__, "iterations": 1}), workers=workers)
    assert "Traceback" not in str(told.value)


def test_going_on_from_another_start_is_refused(tiny_model, folders, tmp_path):
    recipe = Recipe(**{**RECIPE.__dict__, "iterations": 1})
    train(tiny_model, folders, tmp_path, recipe, workers=0, start="random")
    with pytest.raises(DataError, match="made with other start"):
        train(tiny_model, folders, tmp_path, recipe, workers=0, start="imagenet")
    train(tiny_model, folders, tmp_path, recipe, workers=0)  # who does not say is not asked
    with pytest.raises(DataError, match="made with other start"):
        train(tiny_model, folders, tmp_path, recipe, workers=0, start="imagenet")


@pytest.mark.parametrize("values", [{"iterations": 1.5}, {"seed": 0.5}, {"batch": "a"}, {"rate": None}, {"rate": "fast"}])
def test_what_is_no_number_is_told(values):
    with pytest.raises(DataError, match=r"is not a (whole )?number"):
        Recipe(**values)


def test_numbers_of_numpy_can_be_gone_on_with(tiny_model, folders, tmp_path):
    recipe = Recipe(np.int64(1), 2, 32, rate=np.float32(1e-3), seed=np.int64(3))
    for _ in range(2):
        train(tiny_model, folders, tmp_path, recipe, workers=0, start=tmp_path)
    assert (tmp_path / "model.safetensors").is_file()


@pytest.mark.parametrize("state", [{"model": {}}, [1], {"recipe": {}}])
def test_what_is_no_checkpoint_is_told(tiny_model, folders, tmp_path, state):
    torch.save(state, tmp_path / "checkpoint.pt")
    with pytest.raises(DataError, match="is no checkpoint of a training"):
        train(tiny_model, folders, tmp_path, RECIPE, workers=0)


def test_a_network_that_takes_one_size_is_told(folders, tmp_path):
    model = InteractiveSegmenter("Unet:tu-swin_tiny_patch4_window7_224")
    with pytest.raises(WeightsError, match="cannot take images of 32 x 32 pixels"):
        train(model, folders, tmp_path, Recipe(**{**RECIPE.__dict__, "iterations": 1}), workers=0)


class Plain(InteractiveSegmenter):
    """A network that is not of segmentation_models_pytorch, as docs/howto/own_encoder.md tells."""

    def __init__(self):
        super().__init__("Unet:tu-test_resnet")
        self.network = torch.nn.Sequential(torch.nn.Conv2d(5, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 1, 1))

    def encode(self, image, guidance, frozen=False, count=None):
        return [torch.cat([(image - self.mean) / self.std, guidance], 1)]

    def decode(self, features, size, part=None):
        return self.network(features[0])


def test_another_network_can_be_trained_and_used(folders, tmp_path):
    result = train(Plain(), folders, tmp_path, Recipe(**{**RECIPE.__dict__, "iterations": 2}), workers=0)
    session = Session(result, "IA+SA")
    for sample in folders[0][:2]:
        session.set_image(sample.image)
        session.click(20, 20)
        session.finish()
    assert session.objects == 2


def test_the_log_tells_each_step_once_and_nothing_of_a_step_left_out(tiny_model, folders, tmp_path, monkeypatch):
    recipe, calls = Recipe(**{**RECIPE.__dict__, "iterations": 101}), []
    plain = LOSSES["focal"]

    def focal(logits, target):
        calls.append(1)
        if len(calls) == 60:
            raise KeyboardInterrupt
        return plain(logits, target) * (float("nan") if len(calls) == 3 else 1.0)

    monkeypatch.setitem(LOSSES, "focal", focal)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_model, folders, tmp_path / "run", recipe, checkpoint_every=40, workers=0)
    train(tiny_model, folders, tmp_path / "run", recipe, checkpoint_every=40, workers=0)
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == [50, 100, 101]
    assert all(np.isfinite(line["loss"]) for line in lines)


def test_going_on_with_other_data_or_another_network_is_refused(tiny_model, folders, tmp_path):
    recipe = Recipe(**{**RECIPE.__dict__, "iterations": 2})
    train(tiny_model, folders, tmp_path / "run", recipe, workers=0)
    made = (tmp_path / "run" / "model.safetensors").read_bytes()
    with pytest.raises(DataError, match="made with other data; choose the same"):
        train(tiny_model, [*folders, *folders], tmp_path / "run", recipe, workers=0)
    other = InteractiveSegmenter(replace(tiny_model.config, options={"encoder_depth": 3, "decoder_channels": (16, 8, 4)}))
    with pytest.raises(DataError, match="made with other network; choose the same"):
        train(other, folders, tmp_path / "run", recipe, workers=0)
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == made
    train(tiny_model, folders, tmp_path / "run", recipe, workers=0)


def test_going_on_with_another_recipe_is_refused(tiny_model, folders, tmp_path):
    recipe = Recipe(**{**RECIPE.__dict__, "iterations": 2})
    train(tiny_model, folders, tmp_path / "run", recipe, workers=0)
    with pytest.raises(DataError, match=r"another recipe \(rate 0.01\)"):
        train(tiny_model, folders, tmp_path / "run", Recipe(**{**recipe.__dict__, "rate": 0.1}), workers=0)


@pytest.mark.parametrize(
    "values", [{"batch": 1}, {"iterations": 0}, {"size": 8}, {"rate": -1}, {"paste": 2}, {"average": -0.1}]
)
def test_numbers_out_of_range_are_refused(values):
    [name] = values
    with pytest.raises(DataError, match=f"{name} = .* is not between"):
        Recipe(**values)


def test_there_is_a_checkpoint_a_minute(tiny_model, folders, tmp_path, watched, monkeypatch):
    monkeypatch.setattr("ilsegkit.training.SAVE_EVERY", 0.0)
    watched.stop_after = 3
    with pytest.raises(KeyboardInterrupt):
        train(tiny_model, folders, tmp_path / "run", RECIPE, workers=0)
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["iteration"] == 3


def test_unknown_loss_is_refused_before_anything_is_written(tiny_model, folders, tmp_path):
    with pytest.raises(DataError, match=r"'hinge'.*ce, focal"):
        train(tiny_model, folders, tmp_path / "run", Recipe(loss="hinge"), workers=0)
    assert not (tmp_path / "run").exists()


def test_first_stage_samples_and_second_iterates(tiny_model, folders, tmp_path, monkeypatch):
    """In stage 1 every object is new in every step; in stage 2 objects stay and get clicks on the model's own errors."""
    started, corrected, seen = [], [], []
    first_clicks, next_click, maps = slots.first_clicks, training.next_click, training.guidance_maps

    def spy_first(crop, stage, rng):
        started.append((len(seen) // 4, stage))
        return first_clicks(crop, stage, rng)

    def spy_next(prediction, target, *rest):
        click = next_click(prediction, target, *rest)
        if rest:  # a first click has no clicks before it
            corrected.append((len(seen) // 4 - 1, click, bool(target[click.y, click.x] != prediction[click.y, click.x])))
        return click

    def spy_maps(clicks, *rest):
        seen.append(list(clicks))
        return maps(clicks, *rest)

    class AtOnce:
        """No thread, so that the steps can be counted."""

        def __init__(self, workers):
            pass

        def submit(self, function, *arguments):
            future = Future()
            future.set_result(function(*arguments))
            return future

        def shutdown(self):
            pass

    monkeypatch.setattr(training, "ThreadPoolExecutor", AtOnce)
    monkeypatch.setattr(slots, "first_clicks", spy_first)
    monkeypatch.setattr(training, "_calibrate", lambda *_: 1.0)  # it makes clicks of its own
    monkeypatch.setattr(training, "next_click", spy_next)
    monkeypatch.setattr(training, "guidance_maps", spy_maps)
    recipe = Recipe(iterations=12, batch=4, size=32, first_stage=0.5, reset=0.25, seed=0)
    train(tiny_model, folders, tmp_path / "run", recipe, workers=0)

    assert [sum(iteration == i for iteration, _ in started) for i in range(6)] == [4] * 6
    assert {stage for iteration, stage in started if iteration < 6} == {1}
    assert {stage for iteration, stage in started if iteration >= 6} == {2}
    assert len([iteration for iteration, _ in started if iteration > 6]) < 4 * 5  # objects stay,
    assert len([iteration for iteration, _ in started if iteration > 6]) > 0  # but not for ever
    assert min(iteration for iteration, _, _ in corrected) >= 6
    assert all(on_an_error for _, _, on_an_error in corrected)
    # The click on the error of one step is in the guidance of the next of the same batch; two batches take turns.
    for iteration, click, _ in corrected:
        if iteration < 10:
            assert any(clicks[-1:] == [click] for clicks in seen[4 * (iteration + 2) : 4 * (iteration + 3)])


@pytest.mark.parametrize("stage", [1, 2])
def test_first_clicks(folders, stage):
    crop = training.RandomCrops(folders, 32, seed=0)[0]
    target = crop.target == 1
    robot = training.next_click(np.zeros_like(target), target)
    kinds = set()
    for seed in range(40):
        clicks = slots.first_clicks(crop, stage, np.random.default_rng(seed))
        assert all(isinstance(click, Click) and target[click.y, click.x] == click.positive for click in clicks)
        kinds.add(clicks == [robot])
    assert kinds == ({False} if stage == 1 else {True, False})


class Brightness(torch.nn.Module):
    """Says of bright pixels that they are the object, with a surety that is off."""

    def __init__(self, config):
        super().__init__()
        self.config, self.device = config, torch.device("cpu")
        self.network = torch.nn.Module()
        self.network.segmentation_head = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1))
        torch.nn.init.constant_(self.network.segmentation_head[0].weight, 1.0)
        torch.nn.init.zeros_(self.network.segmentation_head[0].bias)

    def forward(self, image, guidance):
        return self.network.segmentation_head(torch.where(image[:, :1] > 127, 1.0, -1.0))


def test_calibration_makes_the_network_as_sure_as_it_is_right(tiny_model, monkeypatch):
    rng = np.random.default_rng(0)
    crops = []
    for _ in range(8):
        bright = rng.random((32, 32)) < 0.3
        target = np.where(rng.random((32, 32)) < 0.1, ~bright, bright).astype(np.int8)  # wrong in one of ten pixels
        crops.append(Crop(torch.from_numpy(bright * np.uint8(255))[None].expand(3, -1, -1), target, ~bright))

    class Crops(list):
        size = 32

    model = Brightness(tiny_model.config)
    scale = training._calibrate(model, Crops(crops), seed=0, count=8)
    assert scale == pytest.approx(np.log(9), rel=0.08)  # the logit of 90%, to a step of the grid
    assert model.network.segmentation_head[0].weight.item() == pytest.approx(scale)
