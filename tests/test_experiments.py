"""Experiments as data, and a run of one; the tables must carry the paper's numbers as they are."""

import pandas as pd
import pytest
from typer.testing import CliRunner

import ilsegkit as ils
from ilsegkit import experiments
from ilsegkit.adaptation import PAPER
from ilsegkit.cli import app
from ilsegkit.data import SEQUENCES
from ilsegkit.errors import DataError
from ilsegkit.evaluation import Results
from ilsegkit.experiments import EXPERIMENTS, FOUR, PROFILES, Method, OwnFolder, run
from ilsegkit.report import Report, Used


@pytest.fixture(scope="module")
def model():
    return ils.load_model(device="cpu")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_declared_for_every_profile(name):
    experiment = EXPERIMENTS[name]
    assert set(experiment.parts) == set(PROFILES)
    for profile, parts in experiment.parts.items():
        for part in parts:
            if isinstance(part, str):
                assert SEQUENCES[part].synthetic == (profile == "offline")
            else:
                assert profile == "small"
    assert {method.name for method in experiment.methods} >= {"initial"}
    assert "initial" in experiment.published


def test_the_papers_numbers():
    table = Report("", "", EXPERIMENTS["table3"].published, []).published()
    assert table.loc["SA", "DRIONS-DB@90 (110)"] == 3.6
    assert table.loc["IA+SA", "Rooftop@80 (65)"] == 3.6
    assert pd.isna(Report("", "", EXPERIMENTS["table1"].published, []).published().loc["IA+SA", "YouTube-VOS@85"])
    # The paper profile has a sequence for every column of the tables it reproduces.
    for name in ("table1", "table2", "table3", "table4"):
        columns = {column for row in EXPERIMENTS[name].published.values() for column in row}
        assert len(columns) == len(EXPERIMENTS[name].parts["paper"])


def test_paper_profile_is_literal(model):
    model.adaptation["SA"] = {**model.adaptation["SA"], "rate": 0.5}
    both = FOUR[3].adaptation(model, PROFILES["paper"], "berkeley")
    assert (both.image, both.sequence) == (PAPER["IA"], PAPER["SA"])
    assert FOUR[2].adaptation(model, PROFILES["paper"], "drions").sequence.rate == 1e-5
    assert FOUR[2].adaptation(model, PROFILES["small"], "drions").sequence.rate == 0.5
    without = Method("", "IA", corrections=False).adaptation(model, PROFILES["paper"], "berkeley").image
    assert without.lam == 0
    assert without.confident is None


def test_run_goes_on_and_keeps_other_settings(model, tmp_path):
    first = run("table2", model=model, out=tmp_path, most=1)
    files = sorted(tmp_path.rglob("*.jsonl"))
    before = [file.stat().st_mtime_ns for file in files if "initial" in file.name or "IA-" in file.name]
    again = run("table2", model=model, out=tmp_path, most=1)
    assert again.clicks().equals(first.clicks())
    assert sorted(tmp_path.rglob("*.jsonl")) == files
    assert len(files) == 4
    assert before
    run("table2", model=model, out=tmp_path, most=1, seed=1)
    assert len(list(tmp_path.rglob("*.jsonl"))) == 8


def test_own_folder_of_a_data_root(model, tmp_path, monkeypatch):
    scene = ils.data.open_sequence("scenes-moths", most=1)[0]
    for folder in ("images", "masks"):
        (tmp_path / "data" / "eval" / "horses" / folder).mkdir(parents=True)
    from PIL import Image

    from ilsegkit.images import write_mask

    Image.fromarray(scene.image).save(tmp_path / "data" / "eval" / "horses" / "images" / "a.png")
    write_mask(tmp_path / "data" / "eval" / "horses" / "masks" / "a.png", scene.mask)
    monkeypatch.setenv("ILSEGKIT_DATA", str(tmp_path / "data"))
    report = run("table2", "small", model, tmp_path / "out", sequences=["horses"], most=1)
    assert [part.name for part in report.used] == ["horses"]
    assert not report.synthetic


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("table9",), "there is no experiment 'table9'"),
        (("table1", "large"), "there is no profile 'large'"),
        (("table1", "paper"), "needs a model of your own"),
    ],
)
def test_bad_input_is_told(arguments, message, tmp_path):
    with pytest.raises(DataError, match=message):
        run(*arguments, out=tmp_path)


def test_data_that_is_not_there(model, tmp_path, monkeypatch):
    monkeypatch.setenv("ILSEGKIT_DATA", str(tmp_path))
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / "cache")
    with pytest.raises(DataError, match="none of the data of table1"):
        run("table1", "small", model, tmp_path / "out")
    with pytest.raises(DataError, match="has no sequence 'horses'"):
        run("table1", "small", model, tmp_path / "out", sequences=["horses"])


def results(*ious):
    return Results([{"iou": list(values)} for values in ious], 0.85, 20)


def test_report_tells_what_is_synthetic_and_how_sure_it_is(tmp_path):
    initial = results(*[(0.5, 0.6, 0.9)] * 10)
    used = {"initial": initial, "SA": results(*[(0.9,)] * 9, (0.5, 0.6, 0.9))}
    report = Report("T", "Table 3", EXPERIMENTS["table3"].published, [Used("scenes", True, 0, used)])
    assert "SYNTHETIC" in str(report)
    assert "SYNTHETIC" in report._repr_html_()
    assert "1.2 (-60%)" in str(report)
    assert "3.6 (-73%)" in str(report)  # the paper's DRIONS-DB
    saved = report.savings().loc[("scenes@85 (10)", "SA")]
    assert saved["saved"] == 1.8
    assert 0 < saved["from"] < 1.8 < saved["to"] <= 2
    report.save(tmp_path, "table3")
    assert pd.read_csv(tmp_path / "table3.csv", index_col=0).loc["SA"].item() == 1.2
    assert (tmp_path / "table3.png").stat().st_size > 1000
    assert "real" in str(Report("T", "", {}, [Used("a", False, 2, used)]))


def test_command(tmp_path):
    runner = CliRunner()
    out = str(tmp_path)
    done = runner.invoke(app, ["reproduce", "table2", "--most", "1", "--out", out, "--device", "cpu"])
    assert done.exit_code == 0, done.output
    assert "Paper, Table 2" in done.output
    assert (tmp_path / "offline" / "table2.csv").is_file()
    failed = runner.invoke(app, ["reproduce", "table1", "--profile", "paper", "--out", out])
    assert failed.exit_code == 1
    assert "needs a model of your own" in failed.output


def test_parts_are_names_or_folders():
    for experiment in experiments.EXPERIMENTS.values():
        for parts in experiment.parts.values():
            assert all(isinstance(part, OwnFolder) or part in SEQUENCES for part in parts)
