import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import ConcatDataset, Subset

import ilsegkit as ils
from ilsegkit import evaluation
from ilsegkit.adaptation import Adaptation, Settings
from ilsegkit.data import open_sequence
from ilsegkit.errors import DataError, WeightsError
from ilsegkit.evaluation import fingerprint

SA = Adaptation(sequence=Settings(1, 1e-3, 0.5, 0.0, 0.5))


def test_records_hold_every_click(tiny_model, squares):
    results = ils.evaluate(squares(2), ils.Session(tiny_model, "none"), 0.99, 4, progress=False)
    assert [r["object_id"] for r in results.records] == ["square 0", "square 1"]
    for r in results.records:
        assert len(r["clicks"]) == len(r["iou"]) == len(r["seconds"]) == len(r["respected"]) == 4
        assert r["clicks"][0][2] == 1  # on an empty mask the first click is on the object
    assert results.clicks_at() == 4.0
    assert results.to_frame()["clicks@99%"].tolist() == [4, 4]


def test_what_is_no_object_is_told(tiny_model, squares, caplog):
    session, [sample] = ils.Session(tiny_model, "none"), squares(1)
    with pytest.raises(DataError, match=r"is an ilsegkit\.Sample, not of type tuple"):
        ils.evaluate([(sample.image, sample.mask)], session, progress=False)
    with pytest.raises(DataError, match=r"give list\(\.\.\.\)"):
        ils.evaluate((sample for _ in range(2)), session, progress=False)
    with pytest.raises(DataError, match="the mask of 'square 0' has the shape"):
        ils.evaluate([replace(sample, mask=sample.mask[:9])], session, progress=False)
    with pytest.raises(DataError, match="or add yours to"):
        ils.evaluate([sample], session, rule=len, progress=False)
    ils.evaluate([replace(sample, mask=np.zeros_like(sample.mask))], session, max_clicks=1, progress=False)
    assert "the mask of 'square 0' is empty" in caplog.text


def test_results_are_read_and_compared(tiny_model, squares, tmp_path):
    path = tmp_path / "records.jsonl"
    results = ils.evaluate(squares(3), ils.Session(tiny_model, "none"), 0.855, 4, records=path, progress=False)
    again = ils.Results.read(path)
    assert (again.records, again.target_iou, again.max_clicks) == (results.records, 0.855, 4)
    assert "clicks@85.5%" in again.to_frame()
    assert repr(again) == f"<Results: 3 objects, {again.clicks_at():.2f} clicks to reach 85.5%, at most 4>"
    assert again.saved_against(results).tolist() == [0, 0, 0]
    with pytest.raises(DataError, match="evaluate both alike"):
        again.saved_against(ils.Results(results.records[1:], 0.855, 4))
    with pytest.raises(DataError, match="there are no records"):
        ils.Results.read(tmp_path / "nothing.jsonl")
    with pytest.raises(DataError, match=r"write 0\.85 for 85%"):
        results.clicks_at(85)
    with pytest.raises(DataError, match="there is no IoU@0"):
        results.iou_at(0)


def test_an_object_is_left_when_it_is_good_enough(tiny_model, squares):
    results = ils.evaluate(squares(1), ils.Session(tiny_model, "none"), 0.0, 20, progress=False)
    assert len(results.records[0]["iou"]) == 1
    assert results.clicks_at() == 1.0


@pytest.mark.parametrize("adaptation", [Adaptation(), SA])
def test_a_stopped_evaluation_goes_on_and_gives_what_it_would_have_given(
    tiny_model, squares, tmp_path, adaptation, monkeypatch
):
    whole = ils.evaluate(squares(4), ils.Session(tiny_model, adaptation), 0.95, 3, progress=False)
    path = tmp_path / "records.jsonl"

    class Stopping(list):
        def __getitem__(self, index):
            if index == 2:
                raise KeyboardInterrupt
            return super().__getitem__(index)

    with pytest.raises(KeyboardInterrupt):
        ils.evaluate(Stopping(squares(4)), ils.Session(tiny_model, adaptation), 0.95, 3, records=path, progress=False)
    with path.open("a") as file:
        file.write('{"object_id": "half a li')  # as if the power had gone
    rest = ils.evaluate(squares(4), ils.Session(tiny_model, adaptation), 0.95, 3, records=path, progress=False)
    for a, b in zip(whole.records, rest.records, strict=True):
        assert {k: a[k] for k in ("object_id", "clicks", "iou", "respected")} == {
            k: b[k] for k in ("object_id", "clicks", "iou", "respected")
        }
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 5


def test_records_of_another_evaluation_are_refused_and_kept(tiny_model, squares, tmp_path):
    path = tmp_path / "records.jsonl"
    ils.evaluate(squares(1), ils.Session(tiny_model, "none"), 0.95, 3, records=path, progress=False)
    before = path.read_bytes()
    with pytest.raises(DataError, match="target_iou"):
        ils.evaluate(squares(1), ils.Session(tiny_model, "none"), 0.9, 3, records=path, progress=False)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", ['{"categories": []}', "[1]\n", "hello\n", "\n", b"\x89PNG\r\n\x1a\n", None])
def test_what_is_no_file_of_records_is_left_alone(tiny_model, squares, tmp_path, content):
    path = tmp_path / "coco.json"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=r"holds no records of an evaluation; name a new file"):
        ils.evaluate(squares(1), ils.Session(tiny_model, "none"), 0.95, 3, records=path, progress=False)
    assert path.is_dir() or path.read_bytes() == (content if isinstance(content, bytes) else content.encode())


def test_records_outlive_a_kill_while_they_are_taken_up(tiny_model, squares, tmp_path, monkeypatch):
    path = tmp_path / "records.jsonl"
    ils.evaluate(squares(2), ils.Session(tiny_model, "none"), 0.95, 3, records=path, progress=False)
    before = path.read_bytes()

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        ils.evaluate(squares(2), ils.Session(tiny_model, "none"), 0.95, 3, records=path, progress=False)
    assert path.read_bytes() == before


def test_arguments_of_another_kind_are_told(tiny_model, squares):
    with pytest.raises(DataError, match="takes a data set and a session"):
        ils.evaluate(squares(1), tiny_model, progress=False)
    with pytest.raises(DataError, match="takes a data set and a session"):
        ils.evaluate("my_data", ils.Session(tiny_model, "none"), progress=False)
    with pytest.raises(DataError, match="0 clicks"):
        ils.evaluate(squares(1), ils.Session(tiny_model, "none"), max_clicks=0, progress=False)
    with pytest.raises(WeightsError, match=r"Session\(load_model\('a.safetensors'\)\)"):
        ils.Session("a.safetensors")


def test_records_of_other_objects_are_refused(tiny_model, squares, tmp_path):
    path, samples = tmp_path / "records.jsonl", squares(4)
    ils.evaluate(samples[:2], ils.Session(tiny_model, "none"), 0.95, 3, records=path, progress=False)
    for others in (samples[2:], [samples[0], samples[3]]):
        with pytest.raises(DataError, match=r"\(data\)"):
            ils.evaluate(others, ils.Session(tiny_model, "none"), 0.95, 3, records=path, progress=False)


def test_records_of_other_random_choices_are_refused(tiny_model, squares, tmp_path):
    path = tmp_path / "records.jsonl"
    ils.evaluate(squares(1), ils.Session(tiny_model, SA), 0.95, 3, records=path, progress=False)
    with pytest.raises(DataError, match=r"\(random\)"):
        ils.evaluate(squares(1), ils.Session(tiny_model, SA, seed=1), 0.95, 3, records=path, progress=False)


def test_an_interrupted_session_can_go_on_unless_it_has_learned(tiny_model, squares, tmp_path):
    class Stopping(list):
        def __getitem__(self, index):
            if index == 1:
                raise KeyboardInterrupt
            return super().__getitem__(index)

    ia = Adaptation(Settings(2, 1e-3, 0.5, 0.0))
    for adaptation in (ia, SA):
        session, path = ils.Session(tiny_model, adaptation), tmp_path / f"{adaptation.name}.jsonl"
        with pytest.raises(KeyboardInterrupt):
            ils.evaluate(Stopping(squares(3)), session, 0.95, 3, records=path, progress=False)
        session.set_image(squares(1)[0].image)
        session.click(20, 20)
        if adaptation is ia:
            assert len(ils.evaluate(squares(3), session, 0.95, 3, records=path, progress=False)) == 3
        else:
            with pytest.raises(DataError, match="give a new session"):
                ils.evaluate(squares(3), session, 0.95, 3, records=path, progress=False)


def test_no_records_have_no_mean():
    results = ils.Results([], 0.85, 20)
    assert np.isnan([results.clicks_at(), results.iou_at(1)]).all()


def test_a_model_that_works_at_another_size_is_another_model(tiny_model):
    before = fingerprint(tiny_model)
    tiny_model.config = replace(tiny_model.config, input_size=tiny_model.config.input_size + 16)
    sized = fingerprint(tiny_model)
    tiny_model.importance = {name: torch.ones_like(value) for name, value in tiny_model.named_parameters()}
    assert len({before, sized, fingerprint(tiny_model)}) == 3


def test_a_killed_process_goes_on_from_what_was_written_last(tiny_model, squares, tmp_path, monkeypatch):
    path, write = tmp_path / "records.jsonl", evaluation._Records.save_state
    whole = ils.evaluate(squares(4), ils.Session(tiny_model, SA), 0.95, 3, progress=False)
    with monkeypatch.context() as m:
        m.setattr(evaluation, "SAVE_EVERY", -1.0)  # after every object, but for what the process is killed in
        m.setattr(evaluation._Records, "save_state", lambda self: write(self) if len(self.done) < 3 else None)
        ils.evaluate(squares(4), ils.Session(tiny_model, SA), 0.95, 3, records=path, progress=False)
    assert torch.load(tmp_path / "records.jsonl.state", weights_only=True)["records"] == 2
    rest = ils.evaluate(squares(4), ils.Session(tiny_model, SA), 0.95, 3, records=path, progress=False)
    assert [r["iou"] for r in rest.records] == [r["iou"] for r in whole.records]


def test_what_was_learned_in_another_evaluation_is_not_gone_on_with(tiny_model, squares, tmp_path):
    """Names that are alike, and records that were removed: what the process wrote last is not of these."""
    path, other = tmp_path / "horses_0.85", tmp_path / "horses_0.9"
    whole = ils.evaluate(squares(4), ils.Session(tiny_model, SA), 0.95, 3, records=path, progress=False)
    ils.evaluate(squares(4), ils.Session(tiny_model, SA), 0.9, 2, records=other, progress=False)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:3]))  # as if it had been begun anew, and killed before it wrote what it had learned
    session = ils.Session(tiny_model, SA)
    rest = ils.evaluate(squares(4), session, 0.95, 3, records=path, progress=False)
    assert [r["iou"] for r in rest.records] == [r["iou"] for r in whole.records]
    assert session.objects == 4
    (tmp_path / "horses_0.85.state").write_bytes(b"damaged")
    with pytest.raises(DataError, match="remove it"):
        ils.evaluate(squares(4), ils.Session(tiny_model, SA), 0.95, 3, records=path, progress=False)


def test_one_evaluation_at_a_time_writes_a_file(tiny_model, squares, tmp_path, monkeypatch):
    path = tmp_path / "records.jsonl"

    def meanwhile(*_, **__):
        ils.evaluate(squares(2), ils.Session(tiny_model, "none"), 0.95, 1, records=path, progress=False)

    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "segment_object", meanwhile)
        with pytest.raises(DataError, match="another evaluation is writing"):
            meanwhile()
    meanwhile()
    assert len(path.read_text().splitlines()) == 3


def test_a_mistake_in_the_arguments_leaves_no_records(tiny_model, squares, tmp_path):
    path = tmp_path / "records.jsonl"
    with pytest.raises(DataError, match="no robot user 'papr'"):
        ils.evaluate(squares(2), ils.Session(tiny_model, "none"), 0.95, 1, "papr", path, progress=False)
    assert not path.exists()
    path.write_text('{"target_iou": 0.5, "max_clicks": 3}\n')  # stopped before its first object was done
    ils.evaluate(squares(2), ils.Session(tiny_model, "none"), 0.95, 1, records=path, progress=False)


def test_records_whose_state_is_gone_are_not_lost(tiny_model, squares, tmp_path, caplog):
    path, state = tmp_path / "records.jsonl", tmp_path / "records.jsonl.state"
    whole = ils.evaluate(squares(4), ils.Session(tiny_model, SA), 0.95, 2, records=path, progress=False)
    before = path.read_text()
    state.unlink()
    again = ils.evaluate(squares(4), ils.Session(tiny_model, SA), 0.95, 2, records=path, progress=False)
    assert (again.records, path.read_text()) == (whole.records, before)
    assert "has learned nothing" in caplog.text
    part = "".join(before.splitlines(keepends=True)[:3])
    path.write_text(part)
    rest = ils.evaluate(squares(4), ils.Session(tiny_model, SA), 0.95, 2, records=path, progress=False)
    assert [r["iou"] for r in rest.records] == [r["iou"] for r in whole.records]
    assert (tmp_path / "records.jsonl.old").read_text() == part
    assert "2 objects are measured again" in caplog.text


@pytest.mark.parametrize("kind", ["list", "subset"])
def test_other_objects_in_the_middle_are_noticed(tiny_model, squares, tmp_path, kind):
    samples, path = squares(5), tmp_path / "records.jsonl"
    of = {"list": lambda order: [samples[i] for i in order], "subset": lambda order: Subset(samples, order)}[kind]
    ils.evaluate(of([0, 1, 2, 4]), ils.Session(tiny_model, "none"), 0.95, 2, records=path, progress=False)
    with pytest.raises(DataError, match="other objects, or in another order"):
        ils.evaluate(of([0, 2, 1, 4]), ils.Session(tiny_model, "none"), 0.95, 2, records=path, progress=False)


def test_a_mask_that_was_corrected_is_noticed(tiny_model, squares, tmp_path):
    """Wherever it is in the set, and what is to be ignored, too."""
    samples = list(squares(3))
    session = ils.Session(tiny_model, "none")
    ils.evaluate(samples, session, 0.5, 2, records=tmp_path / "r.jsonl", progress=False)
    corrected = samples[1].mask.copy()
    corrected[0, 0] ^= True
    ignored = np.zeros_like(corrected)
    ignored[0, 0] = True
    for number, change in ((1, {"mask": corrected}), (0, {"ignore": ignored})):
        others = list(samples)
        others[number] = replace(others[number], **change)
        with pytest.raises(DataError, match=r"another evaluation \(data\)"):
            ils.evaluate(others, session, 0.5, 2, records=tmp_path / "r.jsonl", progress=False)


def test_scenes_and_several_sets_are_told_apart(tiny_model, squares, tmp_path):
    sequence = open_sequence("scenes-fundus", most=3)
    both = ConcatDataset([sequence, squares(2)])

    def run(objects, name):
        return ils.evaluate(objects, ils.Session(tiny_model, "none"), 0.5, 1, records=tmp_path / name, progress=False)

    assert len(run(sequence.objects, "scenes.jsonl")) == 3
    run(both, "both.jsonl")
    with pytest.raises(DataError, match="other objects, or in another order"):
        run(Subset(both, [0, 2, 1, 3, 4]), "both.jsonl")


def test_records_take_numbers_of_numpy_and_ids_that_are_no_text(tiny_model, squares, tmp_path):
    samples = [replace(sample, object_id=name) for sample, name in zip(squares(2), (np.int64(3), Path("a")), strict=True)]
    for _ in range(2):
        results = ils.evaluate(
            samples, ils.Session(tiny_model, "none"), np.float32(0.5), np.int64(2), records=tmp_path / "r.jsonl", progress=False
        )
    assert [record["object_id"] for record in results.records] == [3, "a"]


def test_an_iou_is_not_rounded_up_to_the_target(tiny_model, squares, monkeypatch):
    monkeypatch.setattr(evaluation, "iou", lambda *_: 0.849996)
    assert len(ils.evaluate(squares(1), ils.Session(tiny_model, "none"), 0.85, 3, progress=False).records[0]["iou"]) == 3


def test_after_forgetting_the_same_records_go_on(tiny_model, squares, tmp_path):
    samples, session = squares(3), ils.Session(tiny_model, SA)
    done = ils.evaluate(samples, session, 0.9, 2, records=tmp_path / "r.jsonl", progress=False)
    session.forget()
    assert ils.evaluate(samples, session, 0.9, 2, records=tmp_path / "r.jsonl", progress=False).records == done.records


def test_curves_and_shares():
    records = [
        {"object_id": "a", "iou": [0.4, 0.9], "respected": [1, 1], "seconds": [1.0, 3.0]},
        {"object_id": "b", "iou": [0.6], "respected": [1], "seconds": [2.0]},
    ]
    results = ils.Results(records, 0.85, 20)
    assert results.curve().loc[[1, 2, 20]].tolist() == pytest.approx([0.5, 0.75, 0.75])
    assert results.over_time(clicks=2, window=1).tolist() == [0.9, 0.6]
    assert results.respected() == 3 / 4
    assert results.seconds_per_click() == 2.0
    assert results.clicks_at(0.5) == 1.5
    with pytest.raises(DataError, match=r"0\.95"):
        results.clicks_at(0.95)
    with pytest.raises(DataError, match="at most 20 clicks"):
        results.iou_at(21)
    assert [name for name in ils.Results(records, 0.85, 2).to_frame() if "IoU" in name] == ["IoU@1", "IoU@2"]


def test_a_target_in_percent_is_refused(tiny_model, squares):
    with pytest.raises(DataError, match="85%"):
        ils.evaluate(squares(1), ils.Session(tiny_model, "none"), target_iou=85, progress=False)
