"""The widget without a browser: messages as the page sends them, and a session that is quick and can be made to fail."""

import gc
import io
import subprocess
import sys
import threading
import time
import weakref

import anywidget
import numpy as np
import pytest
from canvas_player import mask_of, played
from fake_session import FakeSession
from PIL import Image
from traitlets import TraitError

import ilsegkit
from ilsegkit.album import Album
from ilsegkit.clicks import Click
from ilsegkit.data import Sample
from ilsegkit.drawing import COLOURS, OBJECT_COLOURS
from ilsegkit.errors import ClickError, DataError, ImageError, MissingExtraError
from ilsegkit.hosts import StillPicture
from ilsegkit.images import write_mask
from ilsegkit.photo_canvas import MOST
from ilsegkit.project import Project
from ilsegkit.session import Session
from ilsegkit.widget import ClickSegmenter

WIDTH, HEIGHT = 200, 100
PHOTO = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


class Browser:
    """Sends what a page would."""

    def __init__(self, segmenter, monkeypatch):
        self.segmenter, self.got, self.ids = segmenter, [], 0
        monkeypatch.setattr(segmenter, "send", lambda content, buffers=None: self.got.append((content, buffers)))

    def tell(self, **content):
        # The protocol's own message: nothing below the comm is skipped.
        message = {"content": {"data": {"method": "custom", "content": content}}, "buffers": []}
        self.segmenter.comm.handle_msg(message)

    def click(self, x, y, positive=True, photo=None):
        self.ids += 1
        photo = self.segmenter.photo_info["name"] if photo is None else photo
        self.tell(event="click", id=str(self.ids), x=x, y=y, positive=positive, photo=photo)

    def do(self, action, value=None):
        self.tell(event="do", action=action, value=value, photo=self.segmenter.photo_info["name"])

    def set(self, name, value):
        self.tell(event="set", id="wish", name=name, value=value)


def eventually(condition, seconds=5):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


@pytest.fixture
def session():
    return FakeSession()


@pytest.fixture
def player():
    """What is drawn."""
    with played() as player:
        yield player


@pytest.fixture
def segmenter(session, player):
    segmenter = ClickSegmenter(session, PHOTO)
    segmenter.wait(5)
    yield segmenter
    session.gate.set()
    segmenter.close()


@pytest.fixture
def browser(segmenter, monkeypatch):
    return Browser(segmenter, monkeypatch)


@pytest.fixture
def seen(segmenter, player):
    """Gives the mask that is seen, of the model that learns or of the fixed one."""
    return lambda name="learning": mask_of(player, segmenter.stage.canvases[name], HEIGHT)


def said(segmenter):
    return segmenter.message["text"]


# --- clicks -----------------------------------------------------------------------------------------------------------


def test_a_click_makes_a_point_and_a_mask(segmenter, browser, seen):
    browser.click(100, 50)
    browser.click(20, 10, positive=False)
    segmenter.wait(5)
    assert segmenter.clicks == (Click(100, 50, True), Click(20, 10, False))
    shown = [(p["x"], p["y"], p["positive"], p["answered"]) for p in segmenter.points]
    assert shown == [(100, 50, True, True), (20, 10, False, True)]
    np.testing.assert_array_equal(seen(), segmenter.mask)
    assert segmenter.mask.sum() == 21 * 21
    assert [content for content, _ in browser.got] == [{"received": "1"}, {"received": "2"}]
    assert "2 clicks" in said(segmenter)


def test_fast_clicks_all_arrive_in_order_and_cost_one_run(segmenter, browser, session):
    session.gate.clear()
    browser.click(1, 50)
    assert session.at_work.wait(5)
    for x in range(2, 20):
        browser.click(x, 50)
    assert len(segmenter.points) == 19
    assert [p["answered"] for p in segmenter.points] == [False] * 19
    assert segmenter.clicks == ()
    session.gate.set()
    segmenter.wait(5)
    assert [click.x for click in session.clicks] == list(range(1, 20))
    assert session.steps_done == [0, 10]  # the first was overtaken, the others were answered together


def test_clicks_by_code_are_neither_merged_nor_cut_short(segmenter, session):
    session.gate.clear()
    for x in (10, 20, 30):
        segmenter.click(x, 5)
    session.gate.set()
    segmenter.wait(5)
    assert session.steps_done == [10, 10, 10]


def test_the_point_is_there_before_the_model_has_answered_and_the_quick_mask_before_it_has_learned(
    segmenter, browser, session, player, seen
):
    session.gate.clear()
    browser.click(100, 50)
    assert session.at_work.wait(5)
    assert len(segmenter.points) == 1
    assert not segmenter.clicks
    quick = player.layer(segmenter.stage.canvases["learning"], -1).copy()
    assert seen()[50, 100]
    assert segmenter.state["busy"]
    steps = []
    segmenter.observe(lambda change: steps.append(change.new), "progress")
    session.gate.set()
    segmenter.wait(5)
    assert [0, 10] in steps
    final = player.layer(segmenter.stage.canvases["learning"], -1)
    np.testing.assert_array_equal(seen(), segmenter.mask)
    assert (quick != final).any()  # the outline was dashed
    assert segmenter.progress == []
    assert not segmenter.state["busy"]


def test_only_the_worker_touches_the_session(segmenter, browser, session):
    browser.click(100, 50)
    for action in ("undo", "redo", "delete", "finish"):
        browser.do(action, [100, 50, True])
    segmenter.wait(5)
    assert session.threads == {"ilsegkit-worker"}


def test_while_the_user_looks_the_session_prepares(segmenter, browser, session):
    assert session.prepared_for == [()]  # the photo is open
    session.gate.clear()
    browser.click(100, 50)
    assert session.at_work.wait(5)
    browser.click(20, 10)  # there is no time for it before this one
    session.gate.set()
    segmenter.wait(5)
    assert session.prepared_for == [(), (Click(100, 50), Click(20, 10))]


def test_a_session_that_cannot_prepare_answers_all_the_same(segmenter, browser, session, caplog):
    def fail():
        raise MemoryError("too little")

    session.prepare = fail
    browser.click(100, 50)
    segmenter.wait(5)
    assert segmenter.mask[50, 100]
    assert "1 click" in said(segmenter)
    assert "could not prepare" in caplog.text


# --- buttons and keys -------------------------------------------------------------------------------------------------


def test_undo_redo_delete_reset(segmenter, browser, seen):
    assert not segmenter.state["undo"]
    for x in (20, 50, 80):
        browser.click(x, 50)
    browser.do("undo")
    segmenter.wait(5)
    assert len(segmenter.clicks) == 2
    assert segmenter.state["redo"]
    browser.do("redo")
    browser.do("redo")
    segmenter.wait(5)
    assert len(segmenter.clicks) == 3
    assert "no click to redo" in said(segmenter)
    browser.do("delete", [50, 50, True])
    segmenter.wait(5)
    assert [click.x for click in segmenter.clicks] == [20, 80]
    browser.do("reset")
    segmenter.wait(5)
    assert segmenter.clicks == ()
    assert not seen().any()
    assert segmenter.state["undo"]  # it can be brought back
    assert not segmenter.state["object"]
    browser.do("undo")
    browser.do("undo")
    segmenter.wait(5)
    assert len(segmenter.clicks) == 3
    segmenter.delete(7)
    with pytest.raises(ClickError, match="no click number 8"):
        segmenter.wait(5)


def test_a_page_that_lags_behind_means_what_it_shows(segmenter, browser, session):
    """It counts points and objects as they were before what it asked for last."""
    for x in (20, 50, 80, 110):
        browser.click(x, 50)
    browser.do("delete", [20, 50, True])
    browser.do("delete", [50, 50, True])
    segmenter.wait(5)
    assert [click.x for click in segmenter.clicks] == [80, 110]
    browser.do("delete", [50, 50, True])
    browser.do("delete", [80, 50, False])
    segmenter.wait(5)
    assert [click.x for click in segmenter.clicks] == [80, 110]
    assert said(segmenter) == "That point is not there any more."
    segmenter.finish()
    for x in (30, 60):
        segmenter.click(x, 20)
        segmenter.finish()
    segmenter.wait(5)
    assert [item["number"] for item in segmenter.objects] == [1, 2, 3]
    browser.do("remove", 1)
    browser.do("remove", 1)
    segmenter.wait(5)
    assert said(segmenter) == "That object is not there any more."
    browser.do("reopen", 2)
    browser.do("reopen", 2)
    segmenter.wait(5)
    assert said(segmenter) == "That object is not there any more."
    assert [item["number"] for item in segmenter.objects] == [3]
    assert segmenter.clicks == (Click(30, 20),)


@pytest.mark.parametrize("by_code", [False, True])
def test_finish_keeps_the_mask(segmenter, browser, session, player, by_code):
    browser.click(100, 50)
    segmenter.wait(5)
    expected = segmenter.mask
    segmenter.finish() if by_code else browser.do("finish")
    segmenter.wait(5)
    [kept] = segmenter.masks["image 1"]
    np.testing.assert_array_equal(kept, expected)
    assert not segmenter.mask.any()
    assert session.finished == [(Click(100, 50, True),)]
    canvas = segmenter.stage.canvases["learning"]
    factor = canvas.height // HEIGHT
    middle = player.layer(canvas, 1)[factor // 2 :: factor, factor // 2 :: factor]
    np.testing.assert_array_equal(middle[..., 3] > 0, expected)
    np.testing.assert_allclose(middle[50, 100], [*(0.45 * 0.7 * part for part in OBJECT_COLOURS[0] + (1,))], atol=0.01)
    assert segmenter.objects == [{"number": 1, "class_name": "object", "clicks": 1}]
    segmenter.finish()
    segmenter.wait(5)
    assert "nothing to finish" in said(segmenter)
    browser.do("reopen", 1)
    segmenter.wait(5)
    assert segmenter.objects == []
    assert not player.layer(canvas, 1).any()
    np.testing.assert_array_equal(segmenter.mask, expected)


def test_the_mode_can_be_switched_in_the_middle_of_an_object(segmenter, browser, session):
    browser.click(20, 50)
    browser.do("adapt", "none")
    browser.click(50, 50)
    segmenter.wait(5)
    assert segmenter.state["adapt"] == session.adapt == "none"
    assert len(session.steps_done) == 1
    assert "fixed" in said(segmenter)
    browser.do("adapt", "IA")
    browser.click(80, 50)
    segmenter.wait(5)
    assert len(session.steps_done) == 2
    assert len(session.clicks) == 3


def test_stop_ends_this_adaptation_and_not_the_next(segmenter, browser, session):
    session.gate.clear()
    browser.click(100, 50)
    assert session.at_work.wait(5)
    browser.do("stop")
    session.gate.set()
    segmenter.wait(5)
    browser.click(120, 50)
    segmenter.wait(5)
    assert session.steps_done == [0, 10]
    assert len(segmenter.clicks) == 2


def test_threshold_and_class(session, monkeypatch):
    segmenter = ClickSegmenter(session, PHOTO, classes=["cat", "dog"])
    segmenter.wait(5)
    browser = Browser(segmenter, monkeypatch)
    browser.click(100, 50)
    browser.do("threshold", 0.7)
    segmenter.set_class("cat")
    browser.do("class", "dog")
    segmenter.wait(5)
    assert segmenter.mask.sum() == 11 * 11
    assert segmenter.state["threshold"] == 0.7
    browser.do("threshold", 2)
    segmenter.wait(5)
    assert "not between" in said(segmenter)
    segmenter.finish()
    segmenter.wait(5)
    assert segmenter.records["image 1"][0].class_name == "dog"


def test_what_the_page_sets_is_kept_for_other_views(segmenter, browser):
    for name, value in [("opacity", 0.8), ("tool", "erase"), ("show_points", False), ("colour", 2)]:
        browser.set(name, value)
        assert getattr(segmenter, name) == value
    browser.set("tool", "hammer")
    assert "TraitError" in said(segmenter)
    browser.set("photo_info", {})
    assert segmenter.photo_info
    assert segmenter.tool == "erase"


@pytest.mark.parametrize(
    ("name", "value"), [("opacity", 45), ("opacity", -0.1), ("opacity", np.nan), ("colour", -1), ("colour", 99)]
)
def test_a_look_that_there_is_not_is_refused(segmenter, browser, name, value):
    before = getattr(segmenter, name)
    with pytest.raises(TraitError, match=f"^{name} is from 0 to .*, not {value}$"):
        setattr(segmenter, name, value)
    browser.set(name, value)
    assert f"{name} is from 0 to" in said(segmenter)
    assert getattr(segmenter, name) == before
    assert browser.got[-1][0] == {"received": "wish"}  # the page heeds what comes from here again


# --- learning made visible --------------------------------------------------------------------------------------------


def test_the_compare_view_has_both_masks_and_what_was_before(tiny_model, player):
    segmenter = ClickSegmenter(Session(tiny_model, "IA"), PHOTO)
    learning, fixed = segmenter.stage.canvases["learning"], segmenter.stage.canvases["fixed"]
    segmenter.click(100, 50)
    segmenter.wait(20)
    before = segmenter.mask
    assert fixed.width == 1  # nobody looks
    segmenter.show(compare=True)
    segmenter.click(20, 20, positive=False)
    segmenter.wait(20)
    alone = Session(tiny_model, "none")
    alone.set_image(PHOTO)
    first = alone.click(100, 50)
    second = alone.click(20, 20, False)
    for canvas, old, new in ((learning, before, segmenter.mask), (fixed, first, second)):
        factor = canvas.height // HEIGHT
        middle = player.layer(canvas, -1)[factor // 2 :: factor, factor // 2 :: factor]
        np.testing.assert_array_equal(middle[..., 3] > 0, old | new)
        np.testing.assert_allclose(middle[old & ~new][:, :3], 0.75 * np.tile(COLOURS["lost"], ((old & ~new).sum(), 1)), atol=1)
    np.testing.assert_array_equal(player.layer(fixed, 0), player.layer(learning, 0))  # the photo
    segmenter.show(compare=False)
    segmenter.undo()
    segmenter.wait(20)
    assert fixed.width == 1
    segmenter.stage.show_detail(segmenter.stage.part([0, 0, 50, 50], 4, 1))
    segmenter.show(compare=True)  # a sharper part of the learning model's view has one beside it
    segmenter.wait(20)
    assert segmenter.stage.canvases["fixed_detail"].width == 200
    segmenter.close()


def test_insights(session, monkeypatch):
    truth = np.zeros((HEIGHT, WIDTH), bool)
    truth[40:61, 90:111] = True
    segmenter = ClickSegmenter(session, {"a": PHOTO, "b": PHOTO}, truth={"a": truth}, target_iou=0.8)
    segmenter.wait(5)
    assert segmenter.insights == {}  # nobody looks
    browser = Browser(segmenter, monkeypatch)
    browser.set("panel", True)
    browser.click(100, 50)
    browser.click(20, 20)
    segmenter.wait(5)
    assert segmenter.insights["truth"]
    assert segmenter.insights["clicks"][-1]["iou"] == 0.5
    assert all(moved == 0 for _, moved in segmenter.insights["layers"])
    assert segmenter.target[:2] == b"\xff\xd8"
    segmenter.finish()
    segmenter.choose("b")
    segmenter.wait(5)
    assert [(o["name"], o["iou"]) for o in segmenter.insights["objects"]] == [("a", 0.5)]
    assert not segmenter.insights["truth"]
    assert segmenter.target == b""
    segmenter.close()


def test_a_person_against_the_robot(tiny_model, squares):
    samples = squares(2)
    segmenter = ClickSegmenter(Session(tiny_model, "none"), samples, target_iou=0.7)
    for sample in samples:
        segmenter.choose(sample.object_id)
        segmenter.click(20, 20)
        segmenter.click(60, 45, positive=False)
        segmenter.finish()
    segmenter.wait(20)
    assert len(segmenter.results()) == 2
    assert segmenter.results().target_iou == 0.7
    table = segmenter.against_robot(max_clicks=3).to_frame()
    assert list(table.columns) == ["you", "robot"]
    assert table.notna().all(axis=None)
    segmenter.close()


def test_the_robot_needs_the_true_masks(tiny_model, squares, tmp_path):
    sample = squares(1)[0]
    photos = {"a": sample.image}
    segmenter = ClickSegmenter(Session(tiny_model, "none"), photos, tmp_path, truth={"a": sample.mask})
    segmenter.click(20, 20)
    segmenter.finish()
    segmenter.wait(20)
    segmenter.close()
    tomorrow = ClickSegmenter(Session(tiny_model, "none"), photos, tmp_path)
    assert len(tomorrow.results()) == 1
    with pytest.raises(DataError, match=r"their true masks; give truth=\.\.\. again"):
        tomorrow.against_robot()
    tomorrow.close()


def test_it_begins_with_the_first_image_that_can_be_read(session, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no image")
    Image.fromarray(PHOTO).save(tmp_path / "b.png")
    segmenter = ClickSegmenter(session, tmp_path)
    segmenter.wait(5)
    assert segmenter.photo_info["name"] == "b.png"
    assert "a.jpg' cannot be read" in segmenter.message["text"]
    segmenter.close()


# --- errors -----------------------------------------------------------------------------------------------------------


def test_an_exception_is_shown_and_the_widget_goes_on(segmenter, browser, session, caplog):
    session.fail_with = RuntimeError("out of <memory>")
    browser.click(100, 50)
    segmenter.wait(5)  # what the mouse did is no concern of the code that waits
    assert segmenter.message == {"text": "RuntimeError: out of <memory>", "kind": "error"}
    assert "out of <memory>" in caplog.text
    assert segmenter.clicks == ()
    assert segmenter.points == []
    session.fail_with = None
    browser.click(100, 50)
    segmenter.wait(5)
    assert len(segmenter.clicks) == 1
    assert segmenter.message["kind"] == ""


def test_a_dead_worker_says_so_and_goes_on(segmenter, browser, session, seen, monkeypatch):
    browser.click(30, 20)
    segmenter.wait(5)
    known, mask = segmenter.points, segmenter.mask

    def die(self, on_step):
        on_step(0, 10)
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(FakeSession, "_learn", die)
        browser.click(100, 50)
        eventually(lambda: "died" in said(segmenter))
    # Of the click nothing is left: no dot, no early mask, no button to stop what is over.
    assert segmenter.points == known
    assert not segmenter.state["busy"]
    assert segmenter.progress == []
    np.testing.assert_array_equal(seen(), mask)
    browser.click(120, 50)
    segmenter.wait(5)
    assert [click.x for click in segmenter.clicks] == [30, 120]


def test_an_error_of_a_click_by_code_is_raised_by_wait(segmenter):
    segmenter.click(10_000, 5)
    segmenter.click(float("nan"), 5)
    segmenter.click(5, 5)
    assert all(np.isfinite([p["x"], p["y"]]).all() for p in segmenter.points)
    with pytest.raises(ClickError, match="outside"):
        segmenter.wait(5)
    segmenter.wait(5)
    assert len(segmenter.clicks) == 1


@pytest.mark.parametrize(
    "content",
    [
        {"event": "click"},
        {"event": "click", "id": "1", "x": None, "y": 3, "positive": True, "photo": "image 1"},
        {"event": "do", "action": "dance", "photo": "image 1"},
        {"event": "do", "action": "delete", "value": "x", "photo": "image 1"},
        {"event": "detail", "view": "1", "box": [], "density": 1, "ratio": 1, "photo": "image 1"},
    ],
)
def test_a_message_that_makes_no_sense_is_reported(segmenter, browser, content):
    browser.tell(event="something of tomorrow")
    assert segmenter.message["kind"] == ""
    browser.tell(**content)
    eventually(lambda: segmenter.message["kind"] == "error")
    browser.click(100, 50)
    segmenter.wait(5)
    assert len(segmenter.clicks) == 1


def test_waiting_can_be_limited(segmenter, browser, session):
    session.gate.clear()
    browser.click(100, 50)
    with pytest.raises(TimeoutError):
        segmenter.wait(0.05)


# --- images and sessions ----------------------------------------------------------------------------------------------


def test_several_images(session, tmp_path, monkeypatch):
    Image.fromarray(PHOTO[:, :50]).save(tmp_path / "tall.png")
    segmenter = ClickSegmenter(session, [PHOTO, tmp_path / "tall.png"])
    segmenter.wait(5)
    browser = Browser(segmenter, monkeypatch)
    assert segmenter.fixed_settings["names"] == ["image 1", "tall.png"]
    segmenter.click(20, 20)
    browser.do("choose", "tall.png")  # the object at hand is kept
    segmenter.wait(5)
    assert "Object 1 of 'image 1' is finished" in said(segmenter)
    assert session.image.shape == (100, 50, 3)
    assert segmenter.film == [{"name": "image 1", "objects": 1}, {"name": "tall.png", "objects": 0}]
    assert segmenter.photo_info == {"name": "tall.png", "width": 50, "height": 100}
    canvas = segmenter.stage.canvases["learning"]
    assert canvas.width * 2 == canvas.height == 1300
    browser.do("next", 1)
    segmenter.wait(5)
    assert segmenter.photo_info["name"] == "image 1"
    browser.tell(event="thumbnails", names=["tall.png"])
    eventually(lambda: browser.got)
    assert browser.got[-1][0] == {"thumbnail": "tall.png"}
    assert browser.got[-1][1][0][:2] == b"\xff\xd8"
    with pytest.raises(ImageError, match="no image 'x'"):
        segmenter.choose("x")
    segmenter.close()


def test_a_click_on_the_photo_before_is_not_made_on_the_next(session, monkeypatch):
    segmenter = ClickSegmenter(session, {"one": PHOTO, "two": PHOTO})
    segmenter.wait(5)
    browser = Browser(segmenter, monkeypatch)
    browser.do("choose", "two")
    browser.click(100, 50, photo="one")
    segmenter.wait(5)
    assert segmenter.clicks == ()
    assert "before" in said(segmenter)
    segmenter.close()


def test_nothing_is_done_to_a_photo_that_has_not_been_seen(session, monkeypatch):
    segmenter = ClickSegmenter(session, {"one": PHOTO, "two": PHOTO}, start={"two": PHOTO[..., 0] > 0}, classes=["cat", "dog"])
    segmenter.wait(5)
    browser = Browser(segmenter, monkeypatch)
    browser.do("choose", "two")
    for action, value in (("finish", None), ("class", "dog"), ("threshold", 0.8)):
        browser.tell(event="do", action=action, value=value, photo="one")
        segmenter.wait(5)
        assert "before" in said(segmenter)
    assert segmenter.records["two"] == []
    assert (segmenter.state["class_name"], segmenter.state["threshold"]) == ("cat", 0.5)
    segmenter.close()


def test_a_photo_of_another_size_is_refused_and_what_was_done_stays(session, tmp_path, monkeypatch):
    folder, path = tmp_path / "done", tmp_path / "a.png"
    Image.fromarray(PHOTO).save(path)
    first = ClickSegmenter(session, path, folder=folder, classes=["cat", "dog"])
    first.click(30, 30)
    first.wait(5)
    first.close()
    before = (folder / "clicks" / "a.json").read_bytes()
    Image.fromarray(PHOTO[::2, ::2].copy()).save(path)
    second = ClickSegmenter(FakeSession(), path, folder=folder)
    with pytest.raises(DataError, match="now; give the image"):
        second.wait(5)
    browser = Browser(second, monkeypatch)
    for action, value in (("class", "dog"), ("finish", None), ("undo", None)):
        browser.do(action, value)
        second.wait(5)
        assert "could not be opened" in said(second)
    assert (folder / "clicks" / "a.json").read_bytes() == before
    Image.fromarray(PHOTO).save(path)
    browser.do("choose", "a.png")
    second.wait(5)
    assert second.clicks == (Click(30, 30),)
    second.close()


def test_next_goes_past_what_cannot_be_opened(session, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    segmenter = ClickSegmenter(session, {"one": PHOTO, "broken": tmp_path / "broken.png", "two": PHOTO})
    segmenter.next()
    segmenter.wait(5)
    assert segmenter.photo_info["name"] == "two"
    assert "cannot be read" in said(segmenter)
    segmenter.next(-1)
    segmenter.wait(5)
    assert segmenter.photo_info["name"] == "one"
    segmenter.close()


def test_next_goes_no_further_when_the_object_at_hand_cannot_be_saved(session, tmp_path, monkeypatch):
    segmenter = ClickSegmenter(session, {"one": PHOTO, "two": PHOTO, "three": PHOTO}, folder=tmp_path / "done")
    segmenter.click(30, 30)
    segmenter.wait(5)

    def fails(self, name, content):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Project, "_write", fails)
        segmenter.next()
        with pytest.raises(DataError, match="No space"):
            segmenter.wait(5)
        assert segmenter.photo_info["name"] == "one"
    segmenter.next()
    segmenter.wait(5)
    assert segmenter.photo_info["name"] == "two"
    assert len(segmenter.records["one"]) == 1
    segmenter.close()


def test_what_could_not_be_saved_is_saved_when_another_takes_the_folder(session, tmp_path, monkeypatch):
    write, full = Project._write, [True]

    def fails(self, name, content):
        if full[0]:
            raise OSError(28, "No space left on device")
        write(self, name, content)

    monkeypatch.setattr(Project, "_write", fails)
    first = ClickSegmenter(session, {"one": PHOTO}, folder=tmp_path / "done")
    first.click(30, 30)
    first.finish()
    first.adapt("IA")  # saves nothing by itself
    with pytest.raises(DataError, match="No space"):
        first.wait(5)
    assert "No space" in said(first)
    with pytest.raises(DataError, match="No space"):
        ClickSegmenter(FakeSession(), {"one": PHOTO}, folder=tmp_path / "done")
    full[0] = False
    second = ClickSegmenter(FakeSession(), {"one": PHOTO}, folder=tmp_path / "done")
    second.wait(5)
    assert len(second.records["one"]) == 1
    second.close()


def test_pictures_that_decode_themselves_are_not_mixed_up(session, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (900, 900, 3), dtype=np.uint8)).save(tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as file:
        expected = np.asarray(file)
    for _ in range(5):
        album = Album([Image.open(tmp_path / "a.jpg")])
        threads = [threading.Thread(target=album.thumbnail, args=["image 1"]) for _ in range(3)]
        for thread in threads:
            thread.start()
        np.testing.assert_array_equal(album["image 1"].pixels, expected)
        for thread in threads:
            thread.join()


def test_an_image_that_cannot_be_read_leaves_everything_as_it_was(session, tmp_path, monkeypatch):
    (tmp_path / "broken.png").write_bytes(b"no image")
    segmenter = ClickSegmenter(session, {"good": PHOTO, "broken": tmp_path / "broken.png"})
    segmenter.click(20, 20)
    segmenter.wait(5)
    browser = Browser(segmenter, monkeypatch)
    browser.do("choose", "broken")
    segmenter.wait(5)
    assert "cannot be read" in said(segmenter)
    assert segmenter.photo_info["name"] == "good"
    assert len(segmenter.clicks) == 1
    browser.tell(event="thumbnails", names=["broken"])
    eventually(lambda: browser.got)
    assert browser.got[-1] == ({"thumbnail": "broken"}, [b""])
    segmenter.close()
    with pytest.raises(ImageError):
        ClickSegmenter(session, tmp_path / "broken.png")
    with pytest.raises(ImageError, match="no image"):
        ClickSegmenter(session, [])


def test_a_folder_is_gone_on_with(session, tmp_path):
    first = ClickSegmenter(session, {"one": PHOTO, "two": PHOTO}, folder=tmp_path / "done")
    first.choose("two")
    first.click(30, 30)
    first.finish()
    first.click(50, 50)
    first.wait(5)
    first.save_story(tmp_path / "story.gif")
    first.close()
    second = ClickSegmenter(FakeSession(), {"one": PHOTO, "two": PHOTO}, folder=tmp_path / "done")
    second.wait(5)
    assert second.photo_info["name"] == "two"
    assert second.clicks == (Click(50, 50),)
    assert len(second.masks["two"]) == 1
    assert "Taken up" in said(second)
    with pytest.raises(DataError, match="no finished object number 3"):
        second.save_story(tmp_path / "story.gif", 3)
    second.close()


def test_images_begin_with_their_masks(session, tmp_path):
    start = np.zeros((HEIGHT, WIDTH), bool)
    start[20:50, 30:120] = True
    write_mask(tmp_path / "two.png", start)
    segmenter = ClickSegmenter(session, {"one": PHOTO, "two": PHOTO}, start={"two": tmp_path / "two.png"})
    segmenter.next()
    segmenter.wait(5)
    np.testing.assert_array_equal(segmenter.mask, start)
    segmenter.close()


def test_a_removed_object_comes_back_by_undo(segmenter, browser, seen):
    browser.click(100, 50)
    browser.do("finish")
    segmenter.wait(5)
    [there] = segmenter.objects
    browser.do("remove", there["number"])
    segmenter.wait(5)
    assert segmenter.objects == []
    assert segmenter.state["undo"]
    browser.do("undo")
    segmenter.wait(5)
    assert segmenter.objects == [there]
    assert not segmenter.state["undo"]


def test_starting_from_a_mask_by_code(segmenter, seen):
    start = np.zeros((HEIGHT, WIDTH), bool)
    start[20:50, 30:120] = True
    segmenter.start_from(start)
    segmenter.wait(5)
    np.testing.assert_array_equal(seen(), start)
    assert all(point["seed"] for point in segmenter.points)
    assert segmenter.state["object"]
    assert not segmenter.state["undo"]


def test_a_second_widget_takes_the_session_over(session, monkeypatch):
    first = ClickSegmenter(session, PHOTO)
    session.gate.clear()
    first.click(5, 5)
    first.click(6, 6)
    assert session.at_work.wait(5)
    threading.Timer(0.1, session.gate.set).start()
    second = ClickSegmenter(session, PHOTO[:50])
    second.click(7, 7)
    second.wait(5)
    first.wait(5)
    assert session.clicks == (Click(7, 7, True),)
    assert session.image.shape == (50, 200, 3)
    assert "Another ClickSegmenter" in said(first)
    Browser(first, monkeypatch).click(100, 50)
    first.wait(5)
    assert len(session.clicks) == 1


def test_a_second_widget_takes_the_folder_over(tmp_path):
    old, new = FakeSession(), FakeSession()
    first = ClickSegmenter(old, {"one": PHOTO, "two": PHOTO}, folder=tmp_path / "done")
    first.choose("two")
    first.wait(5)
    old.gate.clear()
    first.click(5, 5)
    first.click(6, 6)
    assert old.at_work.wait(5)
    threading.Timer(0.1, old.gate.set).start()
    second = ClickSegmenter(new, {"one": PHOTO, "two": PHOTO}, folder=tmp_path / "." / "done")
    second.wait(5)
    assert (second.photo_info["name"], second.clicks) == ("two", (Click(5, 5),))  # what the first had at hand is saved
    assert "Another ClickSegmenter uses this folder" in said(first)
    record = (tmp_path / "done" / "clicks" / "two.json").read_bytes()
    with pytest.raises(DataError, match="Another ClickSegmenter uses this folder"):
        first.click(7, 7)
    first.wait(5)
    assert (tmp_path / "done" / "clicks" / "two.json").read_bytes() == record
    assert first.mask.shape == PHOTO.shape[:2]
    with pytest.raises(DataError, match="has let go of its session"):
        first.against_robot()
    left, old = weakref.ref(old), None
    gc.collect()
    assert left() is None  # with all that undo would need
    second.close()


def test_what_another_took_over_keeps_its_work_and_lets_the_photo_go(session, tmp_path):
    Image.fromarray(PHOTO).save(tmp_path / "a.png")
    first = ClickSegmenter(session, tmp_path / "a.png")
    first.click(30, 30)
    first.finish()
    first.click(60, 60)
    first.wait(5)
    photo, shown, mask = weakref.ref(first._photo), np.asarray(first.picture()), first.mask
    second = ClickSegmenter(session, PHOTO)
    second.wait(5)
    gc.collect()
    assert photo() is None
    np.testing.assert_array_equal(np.asarray(first.picture()), shown)
    np.testing.assert_array_equal(first.mask, mask)
    assert len(first.masks["a.png"]) == 1
    first.close()
    second.close()


def test_two_widgets_with_sessions_of_their_own_do_not_mind_each_other():
    segmenters = [ClickSegmenter(FakeSession(), PHOTO) for _ in range(2)]
    for number, segmenter in enumerate(segmenters):
        for x in range(5):
            segmenter.click(10 * number + x, 5)
    for number, segmenter in enumerate(segmenters):
        segmenter.wait(5)
        assert [click.x for click in segmenter.clicks] == [10 * number + x for x in range(5)]
        segmenter.close()


def test_it_is_a_widget_with_a_short_name(segmenter):
    assert isinstance(segmenter, anywidget.AnyWidget)
    assert repr(segmenter) == "<ClickSegmenter: 'image 1', 0 clicks, 0 finished objects>"


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (8000, 6), (5, 8000)])
def test_images_of_any_shape(tiny_model, shape):
    segmenter = ClickSegmenter(Session(tiny_model, "IA"), np.zeros((*shape, 3), np.uint8))
    segmenter.click(shape[1] // 2, shape[0] // 2)
    segmenter.finish()
    segmenter.wait(30)
    assert segmenter.masks["image 1"][0].shape == shape
    canvas = segmenter.stage.canvases["learning"]
    assert max(canvas.width, canvas.height) <= MOST
    segmenter.close()


# --- what is sent -----------------------------------------------------------------------------------------------------


def test_the_photo_is_sent_once_and_a_mask_is_small(segmenter, browser, player):
    assert player.commands.count("putImageData") == 1
    player.messages.clear()
    for x in range(10, 200, 20):
        browser.click(x, 50)
    segmenter.wait(5)
    assert player.commands.count("putImageData") == 1
    assert max(player.messages) < 10_000


def test_a_page_that_has_just_opened_is_shown_everything(segmenter, browser, seen, player):
    browser.click(100, 50)
    segmenter.finish()
    browser.click(150, 50)
    segmenter.wait(5)
    layers = {name: layer.copy() for name, layer in player.layers.items()}
    player.layers.clear()  # a reloaded page has empty canvases, and says so
    canvas = segmenter.stage.canvases["learning"]
    canvas[-1].comm.handle_msg({"content": {"data": {"method": "custom", "content": {"event": "client_ready"}}}, "buffers": []})
    assert seen().any()
    for index in range(3):
        name = canvas[index].model_id
        np.testing.assert_array_equal(player.layers[name], layers[name])
    np.testing.assert_array_equal(player.layer(canvas, 0)[3::6, 3::6, :3], PHOTO)


def test_a_part_is_shown_more_sharply_to_the_view_that_asks(session, player, monkeypatch):
    photo = np.random.default_rng(0).integers(0, 256, (3000, 4000, 3), np.uint8)
    segmenter = ClickSegmenter(session, photo)
    segmenter.wait(5)
    browser = Browser(segmenter, monkeypatch)
    browser.click(2000, 1500)
    segmenter.wait(5)
    browser.tell(event="detail", view="v", box=[1980.4, 1480, 2019.5, 1520], density=9.7, ratio=1, photo="image 1")
    eventually(lambda: browser.got[-1][0] == {"tile": "v"})
    assert (segmenter.detail["view"], segmenter.detail["box"]) == ("v", [1980, 1480, 2020, 1520])
    with Image.open(io.BytesIO(browser.got[-1][1][0])) as tile:
        np.testing.assert_array_equal(np.asarray(tile), photo[1480:1520, 1980:2020])
    canvas = segmenter.stage.canvases["learning_detail"]
    assert (canvas.width, canvas.height) == (400, 400)
    expected = segmenter.mask[1480:1520, 1980:2020]
    np.testing.assert_array_equal(mask_of(player, canvas, 40), expected)
    browser.click(2010, 1510)  # and it is kept up to date
    segmenter.wait(5)
    np.testing.assert_array_equal(mask_of(player, canvas, 40), segmenter.mask[1480:1520, 1980:2020])
    browser.tell(event="detail", view="v", box=None, density=0, ratio=1, photo="image 1")
    eventually(lambda: canvas.width == 1)
    segmenter.close()


# --- in a notebook ----------------------------------------------------------------------------------------------------


def test_a_picture_is_stored_and_kept_up_to_date(segmenter, browser, monkeypatch):
    shown = []
    monkeypatch.setattr(StillPicture, "_display", lambda self, picture, update: shown.append((update, len(picture))))
    monkeypatch.setattr("IPython.display.display", lambda data, **_: shown.append(sorted(data)))
    monkeypatch.setattr("ilsegkit.widget.shows_outputs_apart", lambda: False)
    segmenter._ipython_display_()
    assert shown[0] == ["application/vnd.jupyter.widget-view+json", "text/plain"]
    assert shown[1][0] is False
    browser.click(100, 50)
    eventually(lambda: len(shown) == 3)
    assert shown[2][0] is True
    assert shown[2][1] != shown[1][1]


def test_where_outputs_stand_apart_the_picture_comes_with_the_widget(segmenter, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **_: shown.append(sorted(data)))
    monkeypatch.setenv("VSCODE_PID", "1")
    segmenter._ipython_display_()
    assert shown == [["application/vnd.jupyter.widget-view+json", "image/jpeg", "text/plain"]]


def test_colab_is_told_to_allow_the_widget(monkeypatch):
    import sys
    import types

    called = []
    colab, output = types.ModuleType("google.colab"), types.ModuleType("google.colab.output")
    output.enable_custom_widget_manager = lambda: called.append(True)
    output._widgets = types.SimpleNamespace(_installed_url=None)
    colab.output = output
    for name, module in (("google", types.ModuleType("google")), ("google.colab", colab), ("google.colab.output", output)):
        monkeypatch.setitem(sys.modules, name, module)
    ClickSegmenter(FakeSession(), PHOTO).close()
    assert called


def test_a_picture_by_code(segmenter):
    segmenter.click(100, 50)
    segmenter.wait(5)
    assert segmenter.picture(side=400).size == (400, 200)


def test_the_true_object_of_a_sample_is_shown(session):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[10:50, 10:50] = True
    segmenter = ClickSegmenter(session, [Sample(PHOTO, mask, "square", class_name="thing")])
    segmenter.wait(5)
    assert segmenter.target
    assert segmenter.state["class_name"] == "thing"
    segmenter.close()


def test_one_class_can_be_given_as_text(tiny_model, tmp_path):
    segmenter = ClickSegmenter(Session(tiny_model, "none"), PHOTO, folder=tmp_path, classes="cat")
    assert segmenter._annotator.classes == ("cat",)
    with pytest.raises(DataError, match=r"ClickSegmenter\(Session\(model\)"):
        ClickSegmenter(tiny_model, PHOTO)


def test_without_the_extra_its_name_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "ilsegkit.widget", None)
    with pytest.raises(MissingExtraError, match=r"the widget needs packages .* of the extra 'lab'.*pip install -e '\.\[lab\]'"):
        ilsegkit.ClickSegmenter  # noqa: B018
    exec("from ilsegkit import *", {})


def test_what_was_asked_for_is_done_before_it_is_closed(session, tmp_path):
    segmenter = ClickSegmenter(session, {"one": PHOTO}, folder=tmp_path)
    segmenter.click(100, 50)
    segmenter.finish()
    segmenter.close()
    assert [record.clicks for record in Project(tmp_path).finished["one"]] == [(Click(100, 50),)]
    assert len(segmenter.masks["one"]) == 1
    assert segmenter.session is None
    with pytest.raises(DataError, match="This widget is closed"):
        segmenter.finish()
    segmenter.close()


def test_a_widget_of_another_program_is_not_disturbed(session, tmp_path):
    code = "import sys; from ilsegkit.lock import locked; lock = locked(sys.argv[1], ''); print('held', flush=True); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code, tmp_path / ".widget.lock"], **pipes) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(DataError, match=r"a widget of another notebook or program works in .*; end its kernel"):
            ClickSegmenter(session, {"one": PHOTO}, folder=tmp_path)
        other.kill()
    first = ClickSegmenter(session, {"one": PHOTO}, folder=tmp_path)
    second = ClickSegmenter(FakeSession(), {"one": PHOTO}, folder=tmp_path)  # in this one, the later takes over
    second.close()
    first.close()
    ClickSegmenter(session, {"one": PHOTO}, folder=tmp_path).close()


def test_a_widget_that_could_not_be_made_leaves_the_folder_free(session, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(FakeSession, "adapt", property(lambda _: 1 / 0), raising=False)
        with pytest.raises(ZeroDivisionError) as kept:  # as a notebook keeps what went wrong, with all it was about
            ClickSegmenter(session, {"one": PHOTO}, folder=tmp_path)
    ClickSegmenter(FakeSession(), {"one": PHOTO}, folder=tmp_path).close()
    assert kept.traceback


def test_any_number_of_steps_leads_to_a_photo(session):
    segmenter = ClickSegmenter(session, {"one": PHOTO, "two": PHOTO})
    for steps, name in ((0, "one"), (2, "one"), (-2, "one"), (3, "two"), (-1, "one")):
        segmenter.next(steps)
        segmenter.wait(5)
        assert segmenter.photo_info["name"] == name
    segmenter.close()


def test_forgetting_is_asked_of_the_widget(session):
    segmenter = ClickSegmenter(session, {"one": PHOTO}, classes=[])
    segmenter.click(100, 50)
    segmenter.forget()
    segmenter.wait(5)
    assert (session.objects, segmenter.clicks, segmenter.mask.any()) == (0, (), False)
    assert [record.class_name for record in segmenter.records["one"]] == ["object"]
    assert said(segmenter).endswith("What was learned is forgotten.")
    segmenter.close()


def test_the_home_folder_can_be_written_in_short(session, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    Image.fromarray(PHOTO).save(tmp_path / "a.png")
    segmenter = ClickSegmenter(session, "~/a.png", folder="~/done")
    segmenter.wait(5)
    segmenter.close()
    assert (tmp_path / "done" / "project.json").is_file()


def test_finished_objects_that_no_folder_keeps_are_spoken_of(session):
    first = ClickSegmenter(session, PHOTO)
    first.click(100, 50)
    first.finish()
    first.wait(5)
    second = ClickSegmenter(session, PHOTO)
    second.wait(5)
    assert "Finished objects of the widget before that are not in this one: 1" in said(second)
    assert sum(len(masks) for masks in first.masks.values()) == 1
