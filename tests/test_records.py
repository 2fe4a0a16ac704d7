import json

import numpy as np
import pytest

from ilsegkit.clicks import Click
from ilsegkit.errors import ClickError, DataError
from ilsegkit.records import ObjectRecord, Stage, read_clicks, shrunk
from ilsegkit.runs import check_runs, decode_mask, encode_mask


@pytest.mark.parametrize("shape", [(1, 1), (7, 30), (50, 3)])
def test_a_mask_survives_the_run_lengths(shape):
    for mask in (np.zeros(shape, bool), np.ones(shape, bool), np.random.default_rng(0).random(shape) > 0.5):
        runs = json.loads(json.dumps(encode_mask(mask)))
        np.testing.assert_array_equal(decode_mask(runs), mask)


@pytest.mark.parametrize(
    "damaged",
    [
        {},
        {"size": [2, 2]},
        {"size": None, "counts": "04"},
        {"size": [-2, -2], "counts": "4"},
        {"size": [2, 2], "counts": ""},
        {"size": [2, 2], "counts": "0" * 50},
        {"size": [2, 2], "counts": "0P1"},  # goes on, and ends
        {"size": [2, 2], "counts": "0P"},
        {"size": [2, 2], "counts": "P" * 20 + "4"},
        {"size": [2, 2], "counts": "2~"},
        {"size": [2, 2], "counts": "9K"},  # 9 - 5
        {"size": [2, 2], "counts": "2ä"},
    ],
)
def test_damaged_run_lengths_are_named(damaged):
    with pytest.raises(DataError, match="no run lengths"):
        decode_mask(damaged)


@pytest.mark.parametrize("density", [0.001, 0.1, 0.5])
def test_whole_run_lengths_are_never_refused(density):
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (1, 3000), (700, 900), (31, 17)):
        for mask in (rng.random(shape) < density, np.zeros(shape, bool), np.ones(shape, bool)):
            check_runs(encode_mask(mask))


def test_shrinking_keeps_the_shape_of_things():
    mask = np.zeros((300, 900), bool)
    mask[:150, :450] = True
    small = shrunk(mask, 90)
    assert small.shape == (30, 90)
    assert small[:15, :45].all()
    assert small.sum() == 15 * 45
    assert shrunk(mask, 900) is mask
    assert shrunk(np.ones((1, 5000), bool), 100).shape == (1, 100)


def test_a_record_survives_json():
    stage = Stage(encode_mask(np.eye(4, dtype=bool)), 0.25, 0.5, iou=0.75)
    record = ObjectRecord((Click(1.0, 2.0), Click(3.0, 4.0, False)), (None, stage), "cat", "IA", 0.6, 1, 7, None, stage.mask)
    again = ObjectRecord.from_json(json.loads(json.dumps(record.to_json())))
    assert again == record
    assert again.to_json()["clicks"] == [[1.0, 2.0, 1], [3.0, 4.0, 0]]
    for damage in (
        {"clicks": [[1, 2]]},
        {"stages": [{"mask": 1}]},
        {"nonsense": 1},
        {"threshold": "x"},
        {"class_name": None},
        {"number": 1.5},
    ):
        with pytest.raises(DataError, match="no record of clicks"):
            ObjectRecord.from_json({**record.to_json(), **damage})


def test_ious_stand_until_the_next_is_known():
    stages = (None, Stage({}, 0, 0, iou=0.5), None, Stage({}, 0, 0, iou=0.7))
    assert ObjectRecord((Click(0, 0),) * 4, stages).ious == [0.0, 0.5, 0.5, 0.7]
    assert ObjectRecord((Click(0, 0),), (Stage({}, 0, 0),)).ious == []


def test_clicks_are_read_from_text_and_from_a_record(tmp_path):
    record = ObjectRecord((Click(1.0, 2.0), Click(3.0, 4.0, False))).to_json()
    older = ObjectRecord((Click(9.0, 9.0),)).to_json()
    path = tmp_path / "clicks.json"
    for content in ({"objects": [older, record], "open": None}, {"objects": [older], "open": record}):
        path.write_text(json.dumps(content))
        assert read_clicks(path).clicks == (Click(1.0, 2.0), Click(3.0, 4.0, False))
    assert read_clicks("5,6,1").clicks == (Click(5.0, 6.0),)
    with pytest.raises(ClickError, match="no file"):
        read_clicks(tmp_path / "other.json")
    path.write_text(json.dumps({"image": "a.jpg", "size": [48, 64], "objects": [record], "open": None}))
    assert len(read_clicks(path, (48, 64)).clicks) == 2
    with pytest.raises(
        DataError, match=r"'a.jpg' was 64 x 48 when .*clicks.json' and is 64 x 30 now; give the image of that size"
    ):
        read_clicks(path, (30, 64))
    for text in ("[", "{}", json.dumps({"objects": [{"clicks": 1}]})):
        path.write_text(text)
        with pytest.raises(DataError, match="no record of clicks"):
            read_clicks(path)
    path.write_text(json.dumps({"objects": [ObjectRecord().to_json()]}))
    with pytest.raises(ClickError, match="no clicks"):
        read_clicks(path)


def test_a_file_of_an_image_without_objects_says_so(tmp_path):
    (tmp_path / "a.json").write_text('{"image": "a.png", "size": [4, 5], "objects": [], "open": null}')
    with pytest.raises(ClickError, match="has no object yet"):
        read_clicks(tmp_path / "a.json")
