import matplotlib
import numpy as np
import pytest

from ilsegkit.clicks import Click
from ilsegkit.contest import Contest, hold_contest, person_results
from ilsegkit.errors import DataError
from ilsegkit.evaluation import Results, evaluate
from ilsegkit.records import ObjectRecord, Stage
from ilsegkit.session import Session

matplotlib.use("Agg")


def done(*ious):
    clicks = tuple(Click(i, i) for i in range(len(ious)))
    return ObjectRecord(clicks, tuple(None if value is None else Stage({}, 0.5, 0.1, value) for value in ious))


def test_a_person_is_counted_like_the_robot():
    objects = [("a", done(0.5, 0.9)), ("b", done(None, 0.86)), ("a", done(0.99)), ("c", done(0.1))]
    results = person_results(objects, 0.85, max_clicks=10)
    assert [record["object_id"] for record in results.records] == ["a", "b", "c"]
    assert results.clicks_at() == (2 + 2 + 10) / 3
    assert results.iou_at(1) == pytest.approx((0.5 + 0.0 + 0.1) / 3)
    with pytest.raises(DataError, match="true mask is known"):
        person_results([("a", ObjectRecord((Click(0, 0),), (Stage({}, 0, 0),)))], 0.85)


def test_the_robot_does_the_same_objects(squares, tiny_model):
    samples = squares(2)
    person = person_results([(sample.object_id, done(0.3, 0.95)) for sample in samples], 0.9, max_clicks=4)
    contest = hold_contest(person, samples, Session(tiny_model, "none"))
    robot = evaluate(samples, Session(tiny_model, "none"), 0.9, 4, progress=False)
    table = contest.to_frame()
    assert list(table.index) == ["square 0", "square 1", "mean"]
    assert list(table["you"]) == [2, 2, 2]
    assert table.loc["mean", "robot"] == pytest.approx(robot.clicks_at())
    left, right = contest.plot().axes
    heights = [patch.get_height() for patch in left.patches]
    np.testing.assert_allclose(heights, [*table["you"], *table["robot"]])
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["you", "robot"]


def test_the_robots_seeds_are_not_a_persons_clicks():
    clicks = tuple(Click(i, i) for i in range(4))
    stages = (None, None, None, Stage({}, 0.5, 0.1, 0.9))
    results = person_results([("a", ObjectRecord(clicks, stages, seeds=3))], 0.85)
    assert (results.clicks_at(), results.iou_at(1)) == (1.0, 0.9)
    assert results.records[0]["clicks"] == [[3, 3, 1]]


def test_what_is_no_contest_is_told():
    with pytest.raises(DataError, match="a contest needs results"):
        Contest({})
    twice = Results([{"object_id": "a", "iou": [0.9]}] * 2, 0.85, 20)
    with pytest.raises(DataError, match="two objects of one name"):
        Contest({"you": twice})


def test_what_began_from_a_mask_says_so():
    begun = ObjectRecord((Click(0, 0),), (Stage({}, 0, 0, 0.9),), start={"size": [1, 1], "counts": "1"})
    records = person_results([("a", done(0.9)), ("b", begun)], 0.85).records
    assert [record["began_from_mask"] for record in records] == [False, True]
