"""The command line, run as a user runs it but in this process; a tiny model stands in for the bundled one."""

import errno
import importlib
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import ilsegkit as ils
from ilsegkit.cli import app
from ilsegkit.model import save_model


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def weights(tiny_model, tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_model(path, tiny_model)
    return path


@pytest.fixture
def folder(tmp_path, squares):
    root = tmp_path / "squares"
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    for i, sample in enumerate(squares(3)):
        Image.fromarray(sample.image).save(root / "images" / f"{i}.png")
        Image.fromarray(sample.mask.astype(np.uint8) * 255).save(root / "masks" / f"{i}.png")
    return root


def test_segment_writes_the_mask_that_a_session_gives(weights, folder, tmp_path):
    image, out = folder / "images" / "0.png", tmp_path / "mask.png"
    result = run("segment", image, "--clicks", "20,20,1 60,5,0", "--out", out, "--weights", weights, "--adapt", "IA")
    assert result.exit_code == 0, result.output
    session = ils.Session(ils.load_model(weights, "cpu"), "IA")
    session.set_image(image)
    session.click(20, 20)
    expected = session.click(60, 5, False)
    written = np.asarray(Image.open(out))
    assert set(np.unique(written)) <= {0, 255}
    assert np.array_equal(written == 255, expected)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--clicks", "20,20"], "'20,20' is not x,y,1"),
        (["--clicks", "200,20,1"], "outside the image of 64 x 48"),
        (["--clicks", "20,20,1", "--adapt", "both"], "no adaptation 'both'"),
        (["--clicks", "20,20,1", "--weights", "nothing.safetensors"], "no weights file"),
    ],
)
def test_mistakes_are_told_in_one_line_and_nothing_is_written(weights, folder, tmp_path, arguments, told):
    out = tmp_path / "mask.png"
    options = arguments if "--weights" in arguments else [*arguments, "--weights", weights]
    result = run("segment", folder / "images" / "0.png", "--out", out, *options)
    assert result.exit_code == 1
    assert told in result.output
    assert result.output.count("\n") == 1
    assert not out.exists()


def test_a_folder_that_is_not_there_is_told_before_anything_is_computed(weights, folder, tmp_path):
    arguments = ("--clicks", "20,20,1", "--weights", weights)
    result = run("segment", folder / "images" / "0.png", "--out", tmp_path / "nowhere" / "mask.png", *arguments)
    assert result.exit_code == 1
    assert "there is no folder" in result.output
    assert "to write the mask to" in result.output
    assert "there is no folder" in run("evaluate", tmp_path / "nothing", "--weights", weights).output


def test_what_the_disk_refuses_is_told_in_one_line(weights, folder, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    result = run("evaluate", folder, "--weights", weights, "--records", tmp_path / "file" / "records.jsonl")
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "ilsegkit: " in result.output
    assert str(tmp_path / "file") in result.output


def test_evaluate_prints_the_numbers_and_goes_on(weights, folder, tmp_path):
    records = tmp_path / "records.jsonl"
    arguments = ("evaluate", folder, "--weights", weights, "--target", 0.95, "--max-clicks", 2, "--records", records)
    first = run(*arguments)
    assert first.exit_code == 0, first.output
    assert "3 objects, none, 0 reached 95%: clicks@95% 2.000" in first.output
    assert "IoU@2 " in first.output
    assert "IoU@4 " not in first.output  # nobody made four
    before = records.read_text()
    assert run(*arguments).exit_code == 0
    assert records.read_text() == before  # nothing was measured again


def test_train_then_importance_gives_weights_that_load(folder, tmp_path):
    settings = tmp_path / "adaptation.json"
    settings.write_text(json.dumps({"IA": {"steps": 2, "rate": 1e-4, "lam": 1.0, "gamma": 1.0}}))
    out = tmp_path / "run"
    options = ("--start", "random", "--iterations", 2, "--batch", 2, "--size", 64, "--workers", 0, "--device", "cpu")
    trained = run("train", folder, "--out", out, "--preset", "Unet:tu-test_resnet", *options)
    assert trained.exit_code == 0, trained.output
    final = tmp_path / "final.safetensors"
    done = run("importance", folder, "--weights", out / "model.safetensors", "--out", final, "--adaptation", settings, "--half")
    assert done.exit_code == 0, done.output
    model = ils.load_model(final, "cpu")
    assert model.info["trained"]["iterations"] == 2
    everything = np.concatenate([value.numpy().ravel() for value in model.importance.values()])
    assert everything.mean() == pytest.approx(1, rel=0.01)
    assert ils.Session(model, "IA").adaptation.image.steps == 2

    options = ("--start", final, *options[2:])
    more = run("train", folder, "--out", tmp_path / "more", *options)
    assert more.exit_code == 0, more.output
    further = ils.load_model(tmp_path / "more" / "model.safetensors", "cpu")
    assert further.config == model.config  # not the default preset
    assert further.adaptation == model.adaptation
    assert further.importance is None  # it was that of other weights
    before, after = (dict(m.network.encoder.named_parameters()) for m in (model, further))
    assert 0 < max((after[name] - before[name]).abs().max().item() for name in before) < 1e-3


def test_the_bundled_model_can_be_trained_further(folder, tmp_path):
    options = ("--iterations", 1, "--batch", 2, "--size", 64, "--workers", 0, "--device", "cpu")
    done = run("train", folder, "--out", tmp_path / "run", "--start", "bundled", *options)
    assert done.exit_code == 0, done.output
    ours, further = ils.load_model(device="cpu"), ils.load_model(tmp_path / "run" / "model.safetensors", "cpu")
    assert (further.config, further.adaptation) == (ours.config, ours.adaptation)
    assert torch.allclose(further.first_convolution().weight, ours.first_convolution().weight, atol=1e-3)


@pytest.mark.parametrize(("preset", "own"), [((), False), (("--preset", "Unet:tu-test_resnet"), True)])
def test_a_network_like_the_bundled_one_gets_its_settings(folder, tmp_path, preset, own):
    options = ("--start", "random", "--iterations", 1, "--batch", 2, "--size", 64, "--workers", 0, "--device", "cpu")
    done = run("train", folder, "--out", tmp_path / "run", *preset, *options)
    assert done.exit_code == 0, done.output
    made = ils.load_model(tmp_path / "run" / "model.safetensors", "cpu")
    assert made.adaptation == ({} if own else ils.load_model(device="cpu").adaptation)


def test_a_data_set_that_was_downloaded_can_be_evaluated_by_its_name(weights, squares, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    asked = []
    monkeypatch.setattr("ilsegkit.data.open_dataset", lambda name: asked.append(name) or squares(2))
    result = run("evaluate", "nuclei-60", "--weights", weights, "--max-clicks", 1)
    assert result.exit_code == 0, result.output
    assert asked == ["nuclei-60"]
    assert "2 objects, none" in result.output
    (tmp_path / "nuclei-60").mkdir()  # a folder of one's own goes first
    assert run("evaluate", "nuclei-60", "--weights", weights).exit_code == 1
    assert asked == ["nuclei-60"]


def test_train_says_which_weights_it_cannot_start_from(folder, tmp_path):
    result = run("train", folder, "--out", tmp_path / "run", "--start", tmp_path / "nothing.safetensors")
    assert result.exit_code == 1
    assert "there is no weights file" in result.output


def test_help_does_not_wait_for_pytorch():
    said = "import ilsegkit.cli, sys; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", said], text=True).strip() == "False"


def test_all_names_of_the_package_are_there():
    assert all(hasattr(ils, name) for name in [*ils.__all__, *ils._HOMES])
    assert set(ils.__all__) <= set(dir(ils))
    assert ils.metrics.iou is importlib.import_module("ilsegkit.metrics").iou
    assert not hasattr(ils, "nothing")


def test_the_version():
    assert run("--version").output == f"ilsegkit {ils.__version__}\n"


def test_a_mask_does_not_take_the_place_of_its_image(weights, folder):
    image = folder / "images" / "0.png"
    before = image.read_bytes()
    result = run(
        "segment", image, "--clicks", "20,20,1", "--out", folder / "masks" / ".." / "images" / "0.png", "--weights", weights
    )
    assert result.exit_code == 1
    assert "name another file" in result.output
    assert image.read_bytes() == before


def test_importance_makes_its_folder_before_it_works(weights, folder, tmp_path, monkeypatch):
    monkeypatch.setattr("ilsegkit.importance.estimate_importance", lambda *_: {})
    done = run("importance", folder, "--weights", weights, "--out", tmp_path / "new" / "final.safetensors")
    assert done.exit_code == 0, done.output
    (tmp_path / "file").write_text("")
    result = run("importance", folder, "--weights", weights, "--out", tmp_path / "file" / "final.safetensors")
    assert (result.exit_code, result.output.count("\n")) == (1, 1)


def test_a_full_disk_is_told_in_one_line(weights, folder, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ilsegkit.evaluation._Records.save", full)
    result = run("evaluate", folder, "--weights", weights, "--max-clicks", 1, "--records", tmp_path / "records.jsonl")
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "No space left" in result.output


def test_a_mask_is_a_png(weights, folder, tmp_path):
    out = tmp_path / "mask.jpg"
    result = run("segment", folder / "images" / "0.png", "--clicks", "20,20,1", "--out", out, "--weights", weights)
    assert result.exit_code == 1
    assert "mask.png" in result.output
    assert not out.exists()


@pytest.mark.parametrize(
    ("command", "work", "told"),
    [
        (["evaluate"], "ilsegkit.evaluation.evaluate", "name a file with --records"),
        (
            ["evaluate", "--records", "kept.jsonl"],
            "ilsegkit.evaluation.evaluate",
            "is kept in kept.jsonl: the same command goes",
        ),
        (
            ["train", "--out", "run", "--start", "random", "--preset", "Unet:tu-test_resnet"],
            "ilsegkit.training.train",
            "in run",
        ),
        (["importance", "--out", "new.safetensors"], "ilsegkit.importance.estimate_importance", "the same command"),
    ],
)
def test_who_stops_long_work_is_told_what_becomes_of_it(weights, folder, monkeypatch, command, work, told):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(work, interrupted)
    options = [] if command[0] == "train" else ["--weights", weights]
    result = run(command[0], folder, *command[1:], *options)
    assert result.exit_code == 130
    assert result.output.startswith("stopped; ")
    assert told in result.output
    assert result.output.count("\n") == 1


def test_importance_tells_what_is_wrong_before_it_works(weights, folder, tmp_path):
    done = run("importance", folder, tmp_path / "nothing", "--weights", weights, "--out", tmp_path / "out.safetensors")
    assert done.exit_code == 1
    assert "there is no folder" in done.stderr
    assert "importance:" not in done.stderr
    done = run("importance", folder, "--weights", weights, "--out", tmp_path)
    assert "is a folder; name the weights file" in done.stderr
    settings = tmp_path / "settings.json"
    for content in ("[]", '{"IB": {}}'):
        settings.write_text(content)
        done = run("importance", folder, "--weights", weights, "--out", tmp_path / "out.safetensors", "--adaptation", settings)
        assert "adaptation settings are for IA and SA" in done.stderr


def test_train_goes_on_from_the_same_start_alone(folder, tmp_path):
    small = ["--iterations", 1, "--batch", 2, "--size", 32, "--workers", 0]
    done = run("train", folder, "--out", tmp_path / "run", "--start", "random", *small)
    assert done.exit_code == 0, done.output
    done = run("train", folder, "--out", tmp_path / "run", "--start", "bundled", *small)
    assert "was made with other start" in done.stderr
    assert run("train", folder, "--out", tmp_path / "run", "--start", "random", "--seed", -1, *small).exit_code == 2


def test_train_says_what_does_not_go_together(folder, tmp_path):
    result = run("train", folder, "--out", tmp_path / "run", "--start", "bundled", "--preset", "paper")
    assert result.exit_code == 1
    assert "--preset is for a new network" in result.output
    assert "there is no folder" in run("train", tmp_path / "nothing", "--out", tmp_path / "run").output
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("content", "told"), [("IA", "no valid JSON"), ('{"IA": {"foo": 1}}', "no adaptation settings")])
def test_settings_that_do_not_fit_are_told_before_anything_is_computed(weights, folder, tmp_path, monkeypatch, content, told):
    monkeypatch.setattr("ilsegkit.importance.estimate_importance", None)
    settings = tmp_path / "settings.json"
    settings.write_text(content)
    out = tmp_path / "new.safetensors"
    result = run("importance", folder, "--weights", weights, "--out", out, "--adaptation", settings)
    assert result.exit_code == 1
    assert told in result.output
    assert not out.exists()


def test_figures_that_cannot_be_made_are_told_before_the_work(monkeypatch, tmp_path):
    monkeypatch.setattr("ilsegkit.reproduce.find_spec", lambda name: None)
    result = run("reproduce", "table2", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "pip install -e '.[lab]'" in result.output
    assert not (tmp_path / "out").exists()
