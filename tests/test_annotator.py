"""What each action does to the object at hand; the session is quick and its masks are known."""

import numpy as np
import pytest
import torch
from fake_session import FakeSession

from ilsegkit.album import Album
from ilsegkit.annotator import Annotator, clicks_needed
from ilsegkit.clicks import Click
from ilsegkit.data import Sample
from ilsegkit.errors import ClickError, DataError, ImageError
from ilsegkit.images import write_mask
from ilsegkit.project import Project
from ilsegkit.records import ObjectRecord, Stage, numbered
from ilsegkit.runs import decode_mask, encode_mask
from ilsegkit.session import Session

PHOTO = np.full((100, 200, 3), 128, np.uint8)
A, B, C = Click(30, 50), Click(90, 50), Click(150, 50)


def square(*clicks, reach=10):
    mask = np.zeros((100, 200), bool)
    for x, y, positive in clicks:
        mask[y - reach : y + reach + 1, x - reach : x + reach + 1] = positive
    return mask


@pytest.fixture
def session():
    return FakeSession()


@pytest.fixture
def annotator(session):
    annotator = Annotator(session, Album({"one": PHOTO, "two": PHOTO[:80]}), classes=["cat", "dog"])
    annotator.open("one")
    return annotator


def test_clicks_make_the_mask_and_leave_a_record(annotator):
    annotator.click([A])
    said = annotator.click([B, C])  # answered together
    assert said.startswith("3 clicks · ")
    np.testing.assert_array_equal(annotator.mask, square(A, B, C))
    np.testing.assert_array_equal(annotator.before, square(A))
    record = annotator.record()
    assert record.clicks == (A, B, C)
    assert [stage is None for stage in record.stages] == [False, True, False]
    np.testing.assert_array_equal(decode_mask(record.stages[0].mask), square(A))
    assert record.stages[2].changed == pytest.approx(2 * 21**2 / 20000, abs=1e-6)
    assert record.stages[0].iou is None
    assert (record.class_name, record.adapt, record.threshold) == ("cat", "IA+SA", 0.5)


def test_the_quick_answer_comes_before_the_model_has_learned(annotator, session):
    seen = []
    annotator.click([A], on_prediction=lambda mask: seen.append((mask.copy(), len(session.steps_done))))
    [(mask, runs)] = seen
    np.testing.assert_array_equal(mask, square(A))
    assert runs == 0


def test_undo_and_redo_find_the_record_again(annotator):
    annotator.click([A])
    annotator.click([B])
    whole = annotator.record()
    annotator.undo()
    np.testing.assert_array_equal(annotator.mask, square(A))
    np.testing.assert_array_equal(annotator.before, square(A, B))
    assert len(annotator.record().stages) == 1
    annotator.redo()
    assert annotator.record() == whole
    assert "no click to redo" in annotator.redo()
    annotator.undo()
    annotator.undo()
    assert "no click to undo" in annotator.undo()


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_single_click_is_deleted_and_brought_back(annotator, index):
    for click in (A, B, C):
        annotator.click([click])
    before = annotator.record()
    rest = [click for number, click in enumerate((A, B, C)) if number != index]
    annotator.delete(index)
    assert annotator.clicks == tuple(rest)
    np.testing.assert_array_equal(annotator.mask, square(*rest))
    annotator.click([Click(30, 20)])  # and something after it
    annotator.undo()
    assert annotator.clicks == tuple(rest)
    assert annotator.undo().startswith("Brought back")
    assert annotator.record() == before
    annotator.undo()
    assert annotator.clicks == (A, B)


def test_the_last_click_of_all_can_be_deleted(annotator):
    annotator.click([A])
    annotator.delete(0)
    assert not annotator.mask.any()
    annotator.undo()
    assert annotator.clicks == (A,)
    with pytest.raises(ClickError, match="no click number 2"):
        annotator.delete(1)


def test_a_deletion_that_fails_changes_nothing(annotator, session, monkeypatch):
    annotator.click([A])
    annotator.click([B])
    before = annotator.record()
    click, failures = session.click, [MemoryError("full")]

    def fails_once(*arguments, **options):
        if failures:
            raise failures.pop()
        return click(*arguments, **options)

    monkeypatch.setattr(session, "click", fails_once)
    with pytest.raises(MemoryError):
        annotator.delete(0)
    assert annotator.record() == before
    np.testing.assert_array_equal(annotator.mask, square(A, B))


def test_reset_can_be_undone(annotator):
    annotator.click([A])
    annotator.click([B])
    before = annotator.record()
    annotator.reset()
    assert not annotator.clicks
    assert not annotator.mask.any()
    annotator.undo()
    assert annotator.record() == before
    annotator.reset()
    assert "nothing to reset" in annotator.reset()


def test_finishing(annotator, session):
    assert "nothing to finish" in annotator.finish()
    annotator.click([A._replace(positive=False)])
    assert "The mask is empty" in annotator.finish()
    assert annotator.finished["one"] == []
    assert annotator.clicks == (A._replace(positive=False),)  # is still open
    annotator.undo()
    annotator.click([A])
    annotator.set_class("dog")
    said = annotator.finish()
    assert "Object 1 of 'one' is finished and kept" in said
    [mask] = annotator.masks("one")
    np.testing.assert_array_equal(mask, square(A))
    assert annotator.finished["one"][0].class_name == "dog"
    assert session.finished == [(A,)]
    annotator.click([B])
    assert annotator.open("two") == "Object 2 of 'one' is finished and kept in .masks."
    assert [len(annotator.finished[name]) for name in ("one", "two")] == [2, 0]
    assert [(name, record.number) for name, record in annotator.order] == [("one", 1), ("one", 2)]
    assert annotator.mask.shape == (80, 200)


def test_an_empty_object_is_not_kept_when_one_goes_on(annotator, session):
    annotator.click([A])
    annotator.finish()
    annotator.click([A._replace(positive=False)])
    assert annotator.reopen(0).startswith("The object at hand had an empty mask and is dropped. Object 1 is open again: ")
    annotator.click([A._replace(positive=False)])
    assert "is dropped" in annotator.open("two")
    assert [len(records) for records in annotator.finished.values()] == [0, 0]
    assert session.finished == [(A,)]


def test_a_removed_object_comes_back(annotator):
    for click in (A, B, C):
        annotator.click([click])
        annotator.finish()
    before, order = list(annotator.finished["one"]), list(annotator.order)
    annotator.click([A])
    annotator.remove(0)
    annotator.remove(1)
    annotator.click([B])
    annotator.undo()  # the click that came after
    assert annotator.undo() == "Object 2 of 'one' is back."
    assert annotator.undo() == "Object 1 of 'one' is back."
    assert (annotator.finished["one"], annotator.order) == (before, order)
    for mask, click in zip(annotator.masks("one"), (A, B, C), strict=True):
        np.testing.assert_array_equal(mask, square(click))
    annotator.undo()
    assert not annotator.can_undo
    annotator.remove(2)
    assert annotator.can_undo
    annotator.open("two")
    assert not annotator.can_undo
    assert "no click to undo" in annotator.undo()


def test_finished_objects_are_one_picture_of_their_numbers(annotator, monkeypatch):
    def expected():
        return numbered(annotator.finished["one"], PHOTO.shape[:2])

    assert not annotator.objects.any()
    for click in (A, B, C, A):  # the last lies over the first
        shown = annotator.objects
        annotator.click([click])
        with monkeypatch.context() as patch:
            patch.setattr("ilsegkit.records.decode_mask", lambda runs: pytest.fail("a mask was decoded"))
            annotator.finish()
            assert annotator.objects is not shown  # it may be on its way to the page
        np.testing.assert_array_equal(annotator.objects, expected())
    assert set(np.unique(annotator.objects)) == {0, 2, 3, 4}
    for change in (lambda: annotator.remove(3), annotator.undo, lambda: annotator.reopen(0), annotator.undo):
        change()
        np.testing.assert_array_equal(annotator.objects, expected())
    annotator.open("two")
    assert not annotator.objects.any()


def test_what_somebody_else_did_with_the_session_is_not_kept(session):
    session.set_image(PHOTO[:30])
    session.click(3, 3)
    annotator = Annotator(session, Album(PHOTO))
    annotator.open("image 1")
    assert not annotator.clicks
    assert annotator.finished == {"image 1": []}


def test_the_threshold_makes_the_mask_larger_or_smaller(annotator):
    annotator.click([A])
    annotator.set_threshold(0.7)
    np.testing.assert_array_equal(annotator.mask, square(A, reach=5))
    annotator.set_threshold(0.3)
    np.testing.assert_array_equal(annotator.mask, square(A))
    annotator.set_threshold(0.7)
    annotator.finish()
    np.testing.assert_array_equal(annotator.masks("one")[0], square(A, reach=5))
    assert annotator.finished["one"][0].threshold == 0.7
    with pytest.raises(DataError, match="not between 0 and 1"):
        annotator.set_threshold(1.0)


def test_an_existing_mask_stands_but_for_what_is_corrected(annotator):
    start = np.zeros((100, 200), bool)
    start[20:80, 40:110] = True
    start[22, 50] = False  # a hole no square would make
    annotator.start_from(start)
    np.testing.assert_array_equal(annotator.mask, start)
    seeds = annotator.seeds
    assert 1 <= seeds <= 5
    assert not annotator.can_undo
    annotator.click([C])
    np.testing.assert_array_equal(annotator.mask, start | square(C))
    annotator.set_threshold(0.7)
    np.testing.assert_array_equal(annotator.mask, start | square(C, reach=5))
    annotator.set_threshold(0.5)
    annotator.undo()
    np.testing.assert_array_equal(annotator.mask, start)
    assert not annotator.can_undo
    annotator.click([C])
    annotator.finish()
    record = annotator.finished["one"][0]
    assert record.seeds == seeds
    assert clicks_needed(record, None) == 1
    np.testing.assert_array_equal(decode_mask(record.start), start)
    np.testing.assert_array_equal(decode_mask(record.mask), start | square(C))


def test_masks_that_cannot_be_started_from(annotator):
    with pytest.raises(ImageError, match="is 200 x 100 pixels but its mask to start from 200 x 80"):
        annotator.start_from(np.ones((80, 200)))
    with pytest.raises(ImageError, match="empty"):
        annotator.start_from(np.zeros((100, 200)))
    with pytest.raises(ImageError, match="no mask file"):
        annotator.start_from("none.png")
    with pytest.raises(ImageError, match="cannot be used"):
        annotator.start_from(np.ones((100, 200, 3)))


def test_a_mask_to_start_from_may_be_a_file_and_be_given_with_the_images(session, tmp_path):
    write_mask(tmp_path / "a.png", square(A, B))
    album = Album({"a": PHOTO, "b": PHOTO, "c": PHOTO}, start={"a": tmp_path / "a.png", "b": square()})
    annotator = Annotator(session, album)
    assert "Started from a mask" in annotator.open("a")
    np.testing.assert_array_equal(annotator.mask, square(A, B))
    annotator.click([C])
    assert annotator.open("b") == "Object 1 of 'a' is finished and kept in .masks."  # an empty mask is none
    annotator.start_from(tmp_path / "a.png")
    np.testing.assert_array_equal(annotator.mask, square(A, B))
    annotator.open("a")  # has an object by now
    assert not annotator.mask.any()
    with pytest.raises(ImageError, match="mask to start from for 'x' but no image"):
        Album({"a": PHOTO}, start={"x": square(A)})


def test_a_finished_object_is_opened_again_and_corrected(annotator):
    annotator.click([A])
    annotator.finish()
    annotator.click([B])
    annotator.finish()
    annotator.click([C])  # is finished first
    annotator.reopen(0)
    assert [record.clicks for record in annotator.finished["one"]] == [(B,), (C,)]
    assert annotator.clicks == (A,)
    annotator.click([Click(30, 80)])
    annotator.finish()
    assert [record.clicks[0] for record in annotator.finished["one"]] == [B, C, A]
    assert [record.number for _, record in annotator.order] == [2, 3, 4]
    annotator.remove(1)
    assert [record.clicks[0] for record in annotator.finished["one"]] == [B, A]
    with pytest.raises(DataError, match="no finished object number 3"):
        annotator.reopen(2)
    with pytest.raises(DataError, match="no finished object number 0"):
        annotator.remove(-1)


def test_an_object_that_cannot_be_opened_again_stays_finished(annotator, session):
    for click in (A, B):
        annotator.click([click])
        annotator.finish()
    annotator.remove(1)
    session.fail_with = MemoryError()
    with pytest.raises(MemoryError):
        annotator.reopen(0)
    session.fail_with = None
    assert len(annotator.finished["one"]) == 1
    assert not annotator.clicks
    annotator.undo()  # what was removed before still comes back
    assert len(annotator.finished["one"]) == 2
    annotator.click([B])
    assert annotator.clicks == (B,)


def test_with_the_truth_each_click_has_its_iou(session):
    sample = Sample(PHOTO, square(A, B), "two squares", class_name="square")
    annotator = Annotator(session, Album([sample]))
    annotator.open("two squares")
    assert annotator.class_name == "square"
    annotator.click([A])
    assert "IoU 0.500" in annotator.summary()
    annotator.click([B])
    record = annotator.record()
    assert record.ious == [0.5, 1.0]
    assert (clicks_needed(record, 0.5), clicks_needed(record, 0.9), clicks_needed(record, None)) == (1, 2, 2)


def test_a_mode_with_settings_of_its_own_comes_back_by_its_name():
    class Keeps(FakeSession):
        set_to = ()

        def __setattr__(self, name, value):
            if name == "adapt":
                self.set_to += (value,)
            super().__setattr__(name, value)

    session = Keeps()
    session.adaptation = settings = object()
    annotator = Annotator(session, Album(PHOTO))
    annotator.adapt("none")
    annotator.adapt("IA+SA")
    assert session.set_to[-2:] == ("none", settings)


@pytest.mark.parametrize("adapt", ["none", "IA", "IA+SA"])
def test_with_a_real_session(tiny_model, adapt):
    session = Session(tiny_model, adapt)
    annotator = Annotator(session, Album(PHOTO))
    annotator.open("image 1")
    early = []
    annotator.click([A], on_prediction=early.append)
    assert [mask.shape for mask in early] == ([(100, 200)] if "IA" in adapt else [])
    annotator.click([B, C._replace(positive=False)])
    mask = annotator.mask
    annotator.undo()
    assert annotator.clicks == (A, B)
    annotator.undo()
    annotator.redo()
    annotator.redo()
    np.testing.assert_array_equal(annotator.mask, mask)
    annotator.delete(1)
    annotator.undo()
    np.testing.assert_array_equal(annotator.mask, mask)  # even if learning anew comes to something else
    annotator.set_threshold(0.3)
    annotator.finish()
    annotator.reopen(0)
    assert annotator.threshold == 0.3
    assert session.objects == 1


def test_clicks_needed_counts_what_a_person_did():
    stages = tuple(Stage({}, 0, 0, iou=value) for value in (0.2, 0.8, 0.9))
    record = ObjectRecord((A, B, C), stages, seeds=1)
    assert clicks_needed(record, 0.8) == 1
    assert clicks_needed(record, 0.99) == 2


def test_at_least_one_class(session):
    with pytest.raises(DataError, match="classes is empty"):
        Annotator(session, Album({"a": np.zeros((4, 4, 3), np.uint8)}), classes=[])


def test_a_sequence_learns_from_what_is_shown(annotator, session):
    annotator.click([A])
    annotator.set_threshold(0.8)
    shown = annotator.mask
    annotator.finish()
    np.testing.assert_array_equal(session.learned_from, shown)
    given = square(B, reach=25)
    annotator.start_from(given)
    annotator.finish()
    np.testing.assert_array_equal(session.learned_from, given)


def test_undo_that_fails_loses_nothing_and_can_be_tried_again(annotator, session):
    annotator.click([A])
    annotator.click([B])
    annotator.delete(0)
    session.fails_beyond = 50  # as if memory were short
    with pytest.raises(RuntimeError):
        annotator.undo()
    session.fails_beyond = None
    assert annotator.can_undo
    annotator.undo()  # what was there before, B alone
    assert annotator.clicks == (B,)
    np.testing.assert_array_equal(annotator.mask, square(B))


def test_undo_of_a_reset_that_fails_can_be_tried_again(annotator, session):
    annotator.click([A, B])
    annotator.reset()
    session.fails_beyond = 50
    with pytest.raises(RuntimeError):
        annotator.undo()
    session.fails_beyond = None
    assert annotator.can_undo
    annotator.undo()
    assert annotator.clicks == (A, B)


def test_an_object_that_was_opened_again_goes_back_by_undo(annotator):
    annotator.click([B])
    annotator.reset()
    annotator.click([A])
    annotator.finish()
    finished = list(annotator.finished["one"])
    annotator.click([C])
    annotator.reset()
    annotator.reopen(0)
    annotator.click([B])
    annotator.undo()
    assert annotator.clicks == (A,)
    assert "finished again" in annotator.undo()
    assert (annotator.clicks, annotator.finished["one"]) == ((), finished)
    assert not annotator.mask.any()
    annotator.undo()  # what was dropped before
    assert annotator.clicks == (C,)


def test_the_threshold_also_changes_an_object_that_was_opened_again(annotator, session):
    annotator.click([A])
    annotator.finish()
    session.reach = 12  # by now the model says something else
    annotator.reopen(0)
    np.testing.assert_array_equal(annotator.mask, square(A))
    annotator.set_threshold(0.7)
    np.testing.assert_array_equal(annotator.mask, square(A, reach=6))
    annotator.set_threshold(0.5)
    np.testing.assert_array_equal(annotator.mask, square(A))


def test_the_iou_is_of_the_mask_as_it_is(session):
    truth = square(A, reach=5)
    annotator = Annotator(session, Album({"one": PHOTO}, {"one": truth}))
    annotator.open("one")
    annotator.click([B])
    annotator.click([A])
    annotator.delete(0)
    assert annotator.record().ious == [pytest.approx(121 / 441, abs=1e-4)]
    assert "IoU 0.274" in annotator.set_threshold(0.5)
    assert "IoU 1.000" in annotator.set_threshold(0.7)
    np.testing.assert_array_equal(decode_mask(annotator.record().stages[0].mask), truth)
    annotator.click([C])
    annotator.set_threshold(0.5)
    annotator.undo()
    assert annotator.record().ious == [pytest.approx(121 / 441, abs=1e-4)]
    annotator.set_threshold(0.7)
    annotator.finish()
    assert annotator.finished["one"][0].ious == [1.0]


@pytest.mark.parametrize("take_out", [lambda a: a.delete(0), lambda a: a.undo()])
def test_a_mask_that_clicks_made_goes_with_the_last_of_them(annotator, session, tmp_path, take_out):
    annotator.click([A])
    annotator.finish()
    session.reach = 12  # by now the model says something else
    annotator.reopen(0)
    again = Annotator(session, annotator.album, Project(tmp_path, annotator.album))
    again.open("one")
    again.finished, again.order = annotator.finished, annotator.order
    again._restore(ObjectRecord((A,), mask=encode_mask(square(A))))
    np.testing.assert_array_equal(again.mask, square(A))
    take_out(again)
    assert (again.clicks, again.mask.any(), again.busy_with_object, again.summary()) == ((), False, False, "")
    assert "nothing to finish" in again.finish()
    again.redo() if session.can_redo else again.undo()
    np.testing.assert_array_equal(again.mask, square(A))


def test_a_mask_that_was_given_stands_at_every_threshold_the_next_day_too(session, tmp_path):
    album, start = Album({"one": PHOTO}), square(A, reach=25)
    annotator = Annotator(session, album, Project(tmp_path, album))
    annotator.open("one")
    annotator.start_from(start)
    session.reach = 12
    tomorrow = Annotator(session, album, Project(tmp_path, album))
    tomorrow.open("one")
    np.testing.assert_array_equal(tomorrow.mask, start)
    tomorrow.set_threshold(0.7)
    np.testing.assert_array_equal(tomorrow.mask, start)


def test_class_and_threshold_of_an_object_opened_again_are_its_own(annotator):
    annotator.set_class("dog")
    annotator.click([A])
    annotator.set_threshold(0.7)
    annotator.finish()
    annotator.set_class("cat")
    annotator.set_threshold(0.5)
    for leave in (annotator.undo, annotator.finish, annotator.reset):
        annotator.reopen(0)
        assert (annotator.class_name, annotator.threshold) == ("dog", 0.7)
        leave()
        assert (annotator.class_name, annotator.threshold) == ("cat", 0.5)
    annotator.undo()
    assert (annotator.class_name, annotator.threshold) == ("dog", 0.7)
    annotator.set_class("cow")  # chosen by hand: for this one, and those after it
    annotator.finish()
    assert (annotator.finished["one"][0].class_name, annotator.class_name, annotator.threshold) == ("cow", "cow", 0.7)


def test_what_was_learned_is_forgotten_in_the_folder_too(tiny_model, tmp_path):
    album = Album({"one": PHOTO})

    def begin():
        annotator = Annotator(Session(tiny_model, "IA+SA"), album, Project(tmp_path, album))
        annotator.open("one")
        return annotator, annotator.session

    annotator, _ = begin()
    annotator.click([A])
    if not annotator.mask.any():
        annotator.start_from(square(A))
    annotator.finish()
    assert begin()[1].objects == 1
    annotator.start_from(square(B))
    assert annotator.forget().endswith("is finished and saved in " + repr(tmp_path.name) + ". What was learned is forgotten.")
    assert (annotator.clicks, annotator.busy_with_object, len(annotator.finished["one"])) == ((), False, 2)
    _, session = begin()
    assert session.objects == 0
    assert all(torch.equal(a, b) for a, b in zip(session.model.parameters(), tiny_model.parameters(), strict=True))


def test_images_of_the_same_name_in_folders_of_the_same_name_are_told_apart(tmp_path):
    paths = [tmp_path / patient / "ct" / "1.png" for patient in ("p1", "p2", "p0")]
    for path in paths:
        path.parent.mkdir(parents=True)
        write_mask(path, np.ones((4, 4), bool))
    assert list(Album(paths[:2])) == ["p1/ct/1.png", "p2/ct/1.png"]
    assert list(Album(sorted(paths))) == ["p0/ct/1.png", "p1/ct/1.png", "p2/ct/1.png"]  # the others are called the same
    assert list(Album([paths[0], paths[0]])) == ["1.png", "1.png (2)"]
