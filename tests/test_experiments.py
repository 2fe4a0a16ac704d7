"""Experiments as data, and a run of one; the tables must carry the paper's numbers as they are."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from typer.testing import CliRunner

from ilsegkit import evaluation, experiments
from ilsegkit.adaptation import PAPER
from ilsegkit.cli import app
from ilsegkit.data import SEQUENCES, Scenes
from ilsegkit.errors import DataError
from ilsegkit.evaluation import Results
from ilsegkit.experiments import EXPERIMENTS, FOUR, PROFILES, Method, run
from ilsegkit.images import write_mask
from ilsegkit.model import load_model, save_model
from ilsegkit.report import Report, Used

#: The paper's tables, written down a second time: row by row, NaN where it gives no number.
NONE = float("nan")
PUBLISHED = {
    "table1": {
        "initial": [5.4, 8.8, 10.0, 11.9, 13.2, NONE],
        "IA": [4.9, 7.4, 9.1, 10.7, 10.6, NONE],
        "SA": [5.3, 6.9, 9.7, 10.6, 10.0, NONE],
        "IA+SA": [4.9, NONE, 9.1, 9.9, 9.3, 5.6],
    },
    "table2": {
        "initial": [11.6, 15.1, 13.1, 6.8],
        "IA": [9.2, 14.1, 11.9, 5.5],
        "SA": [7.1, 14.0, 11.1, 5.5],
        "IA+SA": [6.5, 13.3, 10.2, 5.0],
    },
    "table3": {"initial": [13.3, 8.9], "IA": [11.4, 6.3], "SA": [3.6, 3.6], "IA+SA": [3.1, 3.6]},
    "table4": {
        "iFCN + graph cut": [6.88, 6.04, 8.65, NONE, 8.31, 7.82, 7.94],
        "TSLFN": [4.58, 3.76, 6.49, NONE, NONE, NONE, 9.62],
        "ITIS": [3.80, 5.60, NONE, NONE, NONE, NONE, NONE],
        "CAG": [3.62, 3.58, 5.60, NONE, 5.40, 6.10, 5.93],
        "BRS": [NONE, 3.60, 5.08, 5.58, NONE, NONE, NONE],
        "Latent Diversity": [NONE, 4.79, NONE, 5.95, NONE, NONE, 7.86],
        "initial": [3.44, 3.29, 5.36, 6.44, 10.03, 11.93, 11.51],
        "IA+SA": [3.18, 3.07, 4.94, 5.57, 9.14, 9.87, 9.69],
    },
    "ablation": {"initial": [13.2], "IA": [10.6], "SA without corrections": [11.9], "SA": [10.0]},
}


@pytest.fixture
def two_methods(monkeypatch):
    """The rows of table 2 that keep the test quick and still carry something from object to object."""
    monkeypatch.setitem(EXPERIMENTS, "table2", experiments.replace(EXPERIMENTS["table2"], methods=(FOUR[0], FOUR[2])))


def write_folder(root, scenes):
    """images/ and masks/ of scenes."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for sample in scenes:
        Image.fromarray(sample.image).save(root / "images" / f"{sample.object_id}.png")
        write_mask(root / "masks" / f"{sample.object_id}.png", sample.mask)


def ids(results):
    return [record["object_id"] for record in results.records]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_declared_for_every_profile(name):
    experiment = EXPERIMENTS[name]
    assert set(experiment.parts) == set(PROFILES)
    for profile, parts in experiment.parts.items():
        for part in parts:
            if isinstance(part, str):
                assert SEQUENCES[part].synthetic == (profile == "offline")
                assert SEQUENCES[part].size == profile
            else:
                assert profile == "small"
    assert experiment.methods[0].name == "initial"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_papers_numbers(name):
    experiment = EXPERIMENTS[name]
    table = Report("", "", experiment.published, []).published()
    assert list(table.index) == list(PUBLISHED[name])
    columns = list(table)  # the first row may lack some that others have; the order is that of the paper
    assert experiment.not_measured <= set(columns)
    np.testing.assert_array_equal(table.to_numpy(), list(PUBLISHED[name].values()))
    # The profile "paper" measures every column, aimed at the same IoU.
    ours = [f"@{SEQUENCES[part].target_iou * 100:.0f}" for part in experiment.parts["paper"]]
    ours += [f"@{SEQUENCES[parts[0]].target_iou * 100:.0f}" for parts in experiment.averages.values()]
    measured = [column for column in columns if column not in experiment.not_measured]
    assert ["@" + column.split("@")[1].split(" ")[0] for column in measured] == ours


def test_an_experiment_may_take_more_objects():
    assert EXPERIMENTS["table2"].size("small") == experiments.replace(PROFILES["small"], most=20)
    assert EXPERIMENTS["table3"].size("small") == PROFILES["small"]


def test_paper_profile_is_literal(tiny_model):
    tiny_model.adaptation = {"SA": {**vars(PAPER["SA"]), "rate": 0.5}}
    both = FOUR[3].adaptation(tiny_model, PROFILES["paper"], "berkeley")
    assert (both.image, both.sequence) == (PAPER["IA"], PAPER["SA"])
    assert FOUR[2].adaptation(tiny_model, PROFILES["paper"], "drions").sequence.rate == 1e-5
    assert FOUR[2].adaptation(tiny_model, PROFILES["small"], "drions").sequence.rate == 0.5
    without = Method("", "IA", corrections=False).adaptation(tiny_model, PROFILES["paper"], "berkeley").image
    assert without.lam == 0
    assert (PROFILES["paper"].most, PROFILES["paper"].max_clicks) == (None, 20)


@pytest.mark.usefixtures("two_methods")
def test_results_are_kept_and_not_mixed(tiny_model, tmp_path):
    def files():
        return {path: path.stat().st_size for path in tmp_path.rglob("*.jsonl")}

    first = run("table2", model=tiny_model, out=tmp_path, most=2)
    assert first.profile.endswith("at most 6 clicks on each; your own model (Unet:tu-test_resnet)")
    before = files()
    assert len(before) == 2
    evaluated = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "segment_object", lambda *arguments: evaluated.append(arguments))
        again = run("table2", model=tiny_model, out=tmp_path, most=2)
    assert again.clicks().equals(first.clicks())
    assert evaluated == []
    # Other objects, other settings, other weights: files of their own.
    run("table2", model=tiny_model, out=tmp_path, most=1)
    assert len(files()) == 4
    tiny_model.adaptation = {"SA": {**vars(PAPER["SA"]), "rate": 1e-4}}
    run("table2", model=tiny_model, out=tmp_path, most=1)
    assert len(files()) == 5  # the initial model has no settings
    next(tiny_model.parameters()).data.add_(0.01)
    run("table2", model=tiny_model, out=tmp_path, most=1)
    assert len(files()) == 7
    assert before.items() <= files().items()


INTERRUPTED = """
import sys, torch
torch.set_num_threads(1)
from ilsegkit import evaluation
from ilsegkit.experiments import EXPERIMENTS, FOUR, replace, run
from ilsegkit.model import load_model
evaluation.SAVE_EVERY = 0.0  # seconds: after every object
EXPERIMENTS["table2"] = replace(EXPERIMENTS["table2"], methods=(FOUR[0], FOUR[2]))
run("table2", model=load_model(sys.argv[1], "cpu"), out=sys.argv[2], most=4)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="processes cannot be killed here")
@pytest.mark.usefixtures("two_methods")
def test_goes_on_after_being_killed(tiny_model, tmp_path):
    weights = tmp_path / "tiny.safetensors"
    save_model(weights, tiny_model)
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, str(weights), str(tmp_path / "out")], env=dict(os.environ))
    started = time.monotonic()
    while process.poll() is None and time.monotonic() - started < 300:
        for path in (tmp_path / "out").rglob("SA-*.jsonl"):
            if path.read_text().count("\n") >= 3:  # the header, and two objects of four
                process.kill()
        time.sleep(0.002)
    assert process.wait() == -signal.SIGKILL
    [path] = (tmp_path / "out").rglob("SA-*.jsonl")
    kept = path.read_text().splitlines()[1]
    resumed = run("table2", model=experiments.load_model(weights, "cpu"), out=tmp_path / "out", most=4)
    whole = run("table2", model=experiments.load_model(weights, "cpu"), out=tmp_path / "other", most=4)
    for method, results in whole.used[0].results.items():
        other = resumed.used[0].results[method]
        assert ids(other) == ids(results)
        assert [r["iou"] for r in other.records] == [r["iou"] for r in results.records]
    # With the seconds it took: not measured again. (The second is, if the weights after it had not been saved yet.)
    assert path.read_text().splitlines()[1] == kept


@pytest.mark.usefixtures("two_methods")
def test_own_folder_of_a_data_root(tiny_model, tmp_path, monkeypatch, caplog):
    write_folder(tmp_path / "data" / "eval" / "horses", Scenes("moths", 2))
    monkeypatch.setenv("ILSEGKIT_DATA", str(tmp_path / "data"))
    report = run("table2", "small", tiny_model, tmp_path / "out", most=1)
    assert [part.name for part in report.used] == ["horses"]
    assert not report.synthetic
    # What is not there is told, with the command that gets it, at once and in the report.
    for told in (caplog.text, str(report), report._repr_html_().replace("&#x27;", "'")):
        assert "coco-val-100-person is left out" in told
        assert "'ilsegkit data download coco-val-100'" in told


def test_a_corrected_mask_is_measured_and_a_damaged_photo_counted(tiny_model, tmp_path):
    folder = tmp_path / "data" / "eval" / "horses"
    write_folder(folder, Scenes("moths", 4))

    def measure():
        return run("table2", "small", tiny_model, tmp_path / "out", tmp_path / "data", ["horses"], progress=False)

    before = measure().used[0]
    records = set((tmp_path / "out").rglob("initial-*.jsonl"))
    middle = next(iter(before.results.values())).records[1]["image_id"]
    path = folder / "masks" / f"{middle}.png"
    mask = np.array(Image.open(path))
    mask[tuple(np.argwhere(mask)[0])] = 0
    Image.fromarray(mask).save(path)
    measure()
    assert len(set((tmp_path / "out").rglob("initial-*.jsonl")) - records) == 1
    photo = next(folder.glob(f"images/{middle}.*"))
    photo.write_bytes(photo.read_bytes()[:300])
    assert measure().used[0].skipped == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("table1", "offline", None, None, None, None, 0), "give 1 or more"),
        (("table9",), "there is no experiment 'table9'"),
        (("table1", "large"), "there is no profile 'large'"),
        (("table1", "paper"), "needs a model of your own"),
    ],
)
def test_bad_input_is_told(arguments, message, tmp_path):
    with pytest.raises(DataError, match=message):
        run(*arguments) if len(arguments) > 2 else run(*arguments, out=tmp_path)


def test_the_paper_profile_refuses_another_method(tiny_model, tmp_path):
    with pytest.raises(DataError, match=r"an importance for Eq\. 3.*ilsegkit importance"):
        run("table1", "paper", tiny_model, tmp_path)
    with pytest.raises(DataError, match="a model without zoom"):
        run("table1", "paper", load_model(device="cpu"), tmp_path)


def test_data_that_is_not_there(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setenv("ILSEGKIT_DATA", str(tmp_path))
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / "cache")
    with pytest.raises(DataError, match=r"none of the data of table1.*ilsegkit data download grabcut-20"):
        run("table1", "small", tiny_model, tmp_path / "out")
    with pytest.raises(DataError, match="has no sequence 'horses'"):
        run("table1", "small", tiny_model, tmp_path / "out", sequences=["horses"])


def test_an_average_over_sequences(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setitem(
        EXPERIMENTS,
        "table3",
        experiments.replace(EXPERIMENTS["table3"], methods=FOUR[:1], averages={"both": ("scenes-fundus", "scenes-rooftops")}),
    )
    report = run("table3", model=tiny_model, out=tmp_path, most=1)
    one, two, both = report.clicks().loc["initial"]
    assert list(report.clicks())[2].startswith("both@")
    assert both == (one + two) / 2
    assert len(report.data()) == 2


def results(*ious):
    return Results([{"iou": list(values)} for values in ious], 0.85, 20)


def test_report_tells_what_is_synthetic_and_how_sure_it_is(tmp_path):
    initial = results(*[(0.5, 0.6, 0.9)] * 10)
    used = {"initial": initial, "SA": results(*[(0.9,)] * 9, (0.5, 0.6, 0.9))}
    report = Report("T", "Table 3", EXPERIMENTS["table3"].published, [Used("scenes", True, 0, used)])
    assert "SYNTHETIC" in str(report)
    assert "SYNTHETIC" in report._repr_html_()
    assert "6.88" in str(Report("T", "", EXPERIMENTS["table4"].published, report.used))
    assert "1.2 (-60%)" in str(report)
    assert "3.6 (-73%)" in str(report)  # the paper's DRIONS-DB
    saved = report.savings().loc[("scenes@85 (10)", "SA")]
    assert saved["saved"] == 1.8
    assert 0 < saved["from"] < 1.8 < saved["to"] <= 2
    assert saved["verdict"] == "fewer clicks"
    one_better = {"initial": initial, "SA": results(*[(0.5, 0.6, 0.9)] * 9, (0.9,))}
    assert Report("T", "", {}, [Used("a", False, 0, one_better)]).savings()["verdict"].item() == "may be chance"
    assert [ax.get_ylabel() for ax in report.figure().get_axes()] == ["mean IoU", "IoU@4, running mean of 3"]
    table, picture = report.save(tmp_path, "table3")
    assert pd.read_csv(table, index_col=0).loc["SA"].item() == 1.2
    assert picture.stat().st_size > 1000
    assert "SYNTHETIC" not in str(Report("T", "", {}, [Used("a", False, 2, used)]))


def test_command(tiny_model, tmp_path):
    weights, out = str(tmp_path / "tiny.safetensors"), str(tmp_path)
    save_model(weights, tiny_model)
    runner = CliRunner()
    command = ["reproduce", "table4", "--most", "1", "--out", out, "--device", "cpu", "--weights", weights]
    done = runner.invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "Paper, Table 4" in done.output
    assert (tmp_path / "offline" / "table4.csv").is_file()
    failed = runner.invoke(app, ["reproduce", "table1", "--profile", "paper", "--out", out])
    assert failed.exit_code == 1
    assert "needs a model of your own" in failed.output


def test_command_that_is_stopped_says_how_to_go_on(tiny_model, tmp_path, monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt

    weights = tmp_path / "tiny.safetensors"
    save_model(weights, tiny_model)
    monkeypatch.setattr(evaluation, "segment_object", stop)
    done = CliRunner().invoke(app, ["reproduce", "table2", "--out", str(tmp_path), "--weights", str(weights)])
    assert done.exit_code == 130
    assert "the same command goes on" in done.output


def test_the_paper_profile_runs_through_all_objects(tiny_model, tmp_path, monkeypatch):
    """Rooftop in its official layout, with a model of our own."""
    monkeypatch.setitem(EXPERIMENTS, "table3", experiments.replace(EXPERIMENTS["table3"], methods=(FOUR[0], FOUR[3])))
    (tmp_path / "rooftop").mkdir()
    for number in range(2):
        left = 10 + 5 * number
        Image.fromarray(np.full((40, 60, 3), 90, np.uint8)).save(tmp_path / "rooftop" / f"r{number}.jpg")
        cells = np.empty((1, 1), object)
        cells[0, 0] = np.array([[left, 10], [left + 20, 10], [left + 20, 30], [left, 30]], float)
        savemat(tmp_path / "rooftop" / f"r{number}.mat", {"gt": cells})
    weights = tmp_path / "tiny.safetensors"
    tiny_model.importance = {name: torch.ones_like(value) for name, value in tiny_model.named_parameters()}
    save_model(weights, tiny_model)
    command = ["reproduce", "table3", "--profile", "paper", "--sequence", "rooftop", "--root", str(tmp_path)]
    done = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "out"), "--weights", str(weights), "--device", "cpu"])
    assert done.exit_code == 0, done.output
    table = pd.read_csv(tmp_path / "out" / "paper" / "table3.csv", index_col=0)
    assert list(table) == ["rooftop@80 (2)"]
    assert list(table.index) == ["initial", "IA+SA"]
