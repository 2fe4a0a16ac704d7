"""The widget without a browser: messages as the page sends them, and a session that is quick and can be made to fail."""

import threading
import time

import ipywidgets
import numpy as np
import pytest
from ipycanvas.canvas import _CANVAS_MANAGER, COMMANDS
from PIL import Image

from ilsegkit import photo_canvas
from ilsegkit.clicks import Click
from ilsegkit.errors import ClickError, ImageError
from ilsegkit.images import read_image
from ilsegkit.session import Session
from ilsegkit.widget import ClickSegmenter

WIDTH, HEIGHT = 200, 100  # shown at 640 x 320
PHOTO = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


class FakeSession:
    """Has the interface of `Session`; the mask is a square at each positive click. `gate` lets a test hold its steps."""

    def __init__(self):
        self.adapt, self.notice, self.image = "IA+SA", None, None
        self._past, self._future, self.clicks = [], [], ()
        self.steps_done, self.threads, self.fail_with, self.finished = [], set(), None, []
        self.gate = threading.Event()
        self.gate.set()
        self.at_work = threading.Event()

    def set_image(self, image):
        self._note()
        self.image = read_image(image)
        self._past, self._future, self.clicks = [], [], ()

    @property
    def mask(self):
        mask = np.zeros(self.image.shape[:2], bool)
        for click in self.clicks:
            x, y = int(click.x), int(click.y)
            mask[max(0, y - 10) : y + 11, max(0, x - 10) : x + 11] = click.positive
        return mask

    @property
    def can_undo(self):
        return bool(self._past)

    @property
    def can_redo(self):
        return bool(self._future)

    def _note(self):
        self.threads.add(threading.current_thread().name)

    def _learn(self, on_step):
        done = 0
        for step in range(10):
            self.at_work.set()
            self.gate.wait(5)
            if on_step(step, 10) is False:
                break
            done += 1
        self.steps_done.append(done)

    def click(self, x, y, positive=True, on_step=None):
        self._note()
        if self.fail_with is not None:
            raise self.fail_with
        if not (0 <= x < self.image.shape[1] and 0 <= y < self.image.shape[0]):
            raise ClickError(f"the click ({x}, {y}) is outside")
        if "IA" in self.adapt:
            self._learn(on_step)
        self._past.append(self.clicks)
        self._future, self.clicks = [], (*self.clicks, Click(x, y, positive))
        return self.mask

    def undo(self):
        self._note()
        self._future.append(self.clicks)
        self.clicks = self._past.pop()

    def redo(self):
        self._note()
        self._past.append(self.clicks)
        self.clicks = self._future.pop()

    def reset(self):
        self._note()
        self._past, self._future, self.clicks = [], [], ()

    def finish(self, on_step=None):
        self._note()
        mask = self.mask
        self.finished.append(self.clicks)
        self.reset()
        return mask


class Page:
    """Sends what a browser would, and keeps what a browser would be told to draw."""

    def __init__(self, segmenter, monkeypatch):
        self.segmenter, self.drawn = segmenter, []
        monkeypatch.setattr(_CANVAS_MANAGER, "_send_custom", lambda commands, buffers=(): self.drawn.append(commands))

    def send(self, widget, content):
        # The protocol's own message: nothing below the comm is skipped.
        widget.comm.handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})

    def click(self, x, y, background=False):
        self.send(self.segmenter._canvas.events, {"event": "click", "x": x, "y": y, "background": background})

    def key(self, key):
        self.send(self.segmenter._canvas.events, {"event": "key", "key": key})

    def ready(self):
        self.send(self.segmenter._canvas.canvas[2], {"event": "client_ready"})

    def layers(self):
        """Numbers of the layers that were drawn on since the last call."""
        numbers = {
            f"IPY_MODEL_{layer.model_id}": number for number, layer in enumerate(self.segmenter._canvas.canvas._canvases)
        }
        drawn_on = set()
        for message in self.drawn:
            for code, arguments, *_ in message if isinstance(message[0], list) else [message]:
                if code == COMMANDS["switchCanvas"]:
                    self.current = numbers[arguments[0]]
                else:
                    drawn_on.add(self.current)
        self.drawn.clear()
        return drawn_on


@pytest.fixture
def session():
    return FakeSession()


@pytest.fixture
def segmenter(session):
    segmenter = ClickSegmenter(session, PHOTO)
    segmenter.wait(5)
    yield segmenter
    session.gate.set()
    segmenter.close()


@pytest.fixture
def page(segmenter, monkeypatch):
    return Page(segmenter, monkeypatch)


def status(segmenter):
    return segmenter._status.value


# --- clicks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "pixel"),
    [
        ((0.0, 0.0), (0, 0)),
        ((0.5, 0.5), (100, 50)),
        ((0.9999, 0.9999), (199, 99)),
        ((1.0, 1.0), (199, 99)),
        ((-0.001, 0.25), (0, 25)),
    ],
)
def test_a_click_on_the_canvas_is_mapped_to_a_pixel_of_the_photo(segmenter, page, share, pixel):
    page.click(*share)
    segmenter.wait(5)
    assert segmenter.clicks == (Click(*pixel, True),)
    assert (segmenter._canvas.canvas.width, segmenter._canvas.canvas.height) == (640, 320)


def test_the_button_and_the_toggle_decide_what_a_click_means(segmenter, page):
    page.click(0.1, 0.1)
    page.click(0.2, 0.2, background=True)
    page.key("b")
    page.click(0.3, 0.3)
    page.click(0.4, 0.4, background=True)
    segmenter._label.value = True
    page.click(0.5, 0.5)
    segmenter.wait(5)
    assert [click.positive for click in segmenter.clicks] == [True, False, False, False, True]


def test_fast_clicks_all_arrive_in_order_and_cost_one_full_run(segmenter, page, session):
    session.gate.clear()
    page.click(0.01, 0.5)
    assert session.at_work.wait(5)
    for number in range(2, 20):
        page.click(number / 100, 0.5)
    assert len(segmenter._shown_clicks()) == 19
    assert segmenter.clicks == ()
    session.gate.set()
    segmenter.wait(5)
    assert [click.x for click in session.clicks] == list(range(2, 40, 2))
    assert session.steps_done == [0] * 18 + [10]


def test_clicks_by_code_are_not_cut_short_by_each_other(segmenter, session):
    session.gate.clear()
    for x in (10, 20, 30):
        segmenter.click(x, 5)
    session.gate.set()
    segmenter.wait(5)
    assert session.steps_done == [10, 10, 10]
    assert segmenter.mask.any()


def test_the_dot_is_drawn_before_the_model_has_answered(segmenter, page, session):
    page.ready()
    page.layers()
    session.gate.clear()
    page.click(0.5, 0.5)
    assert page.layers() == {2}
    assert not segmenter.clicks
    session.gate.set()
    segmenter.wait(5)
    assert {1, 2} <= page.layers()


def test_only_the_worker_touches_the_session(segmenter, page, session):
    page.click(0.5, 0.5)
    page.key("z")
    page.key("y")
    segmenter.finish()
    segmenter.wait(5)
    assert session.threads == {"ilsegkit-worker"}


# --- buttons and keys -------------------------------------------------------------------------------------------------


def test_undo_redo_reset_by_button_and_key(segmenter, page):
    for x in (0.1, 0.2, 0.3):
        page.click(x, 0.5)
    segmenter._undo.click()
    page.key("z")
    segmenter.wait(5)
    assert len(segmenter.clicks) == 1
    assert not segmenter._redo.disabled
    segmenter._redo.click()
    page.key("y")
    page.key("y")
    segmenter.wait(5)
    assert len(segmenter.clicks) == 3
    assert "no click to redo" in status(segmenter)
    page.key("r")
    segmenter.wait(5)
    assert segmenter.clicks == ()
    assert not segmenter.mask.any()
    assert segmenter._undo.disabled
    segmenter.undo()
    segmenter.wait(5)
    assert "no click to undo" in status(segmenter)


@pytest.mark.parametrize("how", ["button", "key", "code"])
def test_finish_keeps_the_mask(segmenter, page, session, how):
    page.click(0.5, 0.5)
    segmenter.wait(5)
    expected = segmenter.mask
    {"button": segmenter._finish.click, "key": lambda: page.key("Enter"), "code": segmenter.finish}[how]()
    segmenter.wait(5)
    [kept] = segmenter.masks["image 1"]
    np.testing.assert_array_equal(kept, expected)
    assert not segmenter.mask.any()
    assert session.finished == [(Click(100, 50, True),)]
    segmenter.finish()
    segmenter.wait(5)
    assert "nothing to finish" in status(segmenter)
    assert len(segmenter.masks["image 1"]) == 1


def test_the_mode_can_be_switched_in_the_middle_of_an_object(segmenter, page, session):
    page.click(0.1, 0.5)
    segmenter._mode.value = "none"
    page.click(0.2, 0.5)
    segmenter.wait(5)
    assert session.adapt == "none"
    assert len(session.steps_done) == 1
    assert "fixed" in status(segmenter)
    segmenter._mode.value = "IA"
    page.click(0.3, 0.5)
    segmenter.wait(5)
    assert session.adapt == "IA"
    assert len(session.steps_done) == 2
    assert len(session.clicks) == 3


def test_stop_ends_this_adaptation_and_not_the_next(segmenter, page, session):
    session.gate.clear()
    page.click(0.5, 0.5)
    assert session.at_work.wait(5)
    assert not segmenter._stop.disabled
    segmenter._stop.click()
    session.gate.set()
    segmenter.wait(5)
    assert segmenter._stop.disabled
    page.click(0.6, 0.5)
    segmenter.wait(5)
    assert session.steps_done == [0, 10]
    assert len(segmenter.clicks) == 2


# --- errors -----------------------------------------------------------------------------------------------------------


def test_an_exception_is_shown_and_the_widget_goes_on(segmenter, page, session, caplog):
    session.fail_with = RuntimeError("out of <memory>")
    page.click(0.5, 0.5)
    segmenter.wait(5)  # what the mouse did is no concern of the code that waits
    assert "RuntimeError: out of &lt;memory&gt;" in status(segmenter)
    assert "out of <memory>" in caplog.text
    assert segmenter.clicks == ()
    assert segmenter._shown_clicks() == []
    session.fail_with = None
    page.click(0.5, 0.5)
    segmenter.wait(5)
    assert len(segmenter.clicks) == 1
    assert "RuntimeError" not in status(segmenter)


def test_an_error_of_a_click_by_code_is_raised_by_wait(segmenter, page):
    page.ready()
    segmenter.click(10_000, 5)
    segmenter.click(float("nan"), 5)
    segmenter.click(5, 5)
    with pytest.raises(ClickError, match="outside"):
        segmenter.wait(5)
    segmenter.wait(5)
    assert len(segmenter.clicks) == 1
    assert "nan" not in str(page.drawn).lower()


def test_a_message_that_makes_no_sense_is_reported(segmenter, page):
    page.send(segmenter._canvas.events, {"event": "click"})
    assert "KeyError" in status(segmenter)
    page.send(segmenter._canvas.events, {"event": "something else"})
    page.click(0.5, 0.5)
    segmenter.wait(5)
    assert len(segmenter.clicks) == 1


def test_waiting_can_be_limited(segmenter, page, session):
    session.gate.clear()
    page.click(0.5, 0.5)
    with pytest.raises(TimeoutError):
        segmenter.wait(0.05)


def test_drawing_goes_on_after_an_exception_while_the_canvas_is_held(segmenter, page):
    page.ready()

    def draw():
        with photo_canvas._drawing():
            segmenter._canvas.canvas[2].clear()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        draw()
    assert not _CANVAS_MANAGER._caching
    page.layers()
    page.click(0.5, 0.5)
    segmenter.wait(5)
    assert {1, 2} <= page.layers()


def test_a_failing_drawing_does_not_end_the_worker(segmenter, page, monkeypatch):
    page.ready()
    with monkeypatch.context() as patch:
        patch.setattr(photo_canvas, "_mask_picture", lambda *_: 1 / 0)
        page.click(0.5, 0.5)
        segmenter.wait(5)
        assert "ZeroDivisionError" in status(segmenter)
    page.click(0.6, 0.5)
    segmenter.wait(5)
    assert len(segmenter.clicks) == 2
    assert "2 clicks" in status(segmenter)


# --- drawing ----------------------------------------------------------------------------------------------------------


def test_nothing_is_sent_before_a_page_is_there_and_all_of_it_afterwards(segmenter, page):
    page.click(0.5, 0.5)
    segmenter.wait(5)
    assert page.drawn == []
    page.ready()
    assert page.layers() == {0, 1, 2}
    page.ready()  # reloaded, or a second view: the layer is named anew
    assert page.layers() == {0, 1, 2}


def test_masks_are_drawn_half_transparent_with_a_line_around():
    mask, finished = np.zeros((2, 50, 100), bool)
    mask[10:40, 10:60] = True
    finished[:, 80:] = True
    picture = photo_canvas._mask_picture(mask, [finished], 200, 100)
    assert picture.shape == (100, 200, 4)
    assert tuple(picture[50, 60]) == (*photo_canvas.SKY, 105)
    assert tuple(picture[20, 60]) == (*photo_canvas.BLUE, 255)
    assert tuple(picture[19, 60]) == (255, 255, 255, 255)
    assert tuple(picture[50, 190]) == (*photo_canvas.GREEN, 70)
    assert picture[90, 60, 3] == 0


# --- images and sessions ----------------------------------------------------------------------------------------------


def test_several_images(session, tmp_path):
    Image.fromarray(PHOTO[:, :50]).save(tmp_path / "tall.png")
    segmenter = ClickSegmenter(session, [PHOTO, tmp_path / "tall.png"])
    assert list(segmenter.masks) == ["image 1", "tall.png"]
    segmenter.click(20, 20)
    segmenter._chooser.value = "tall.png"  # the object at hand is kept
    segmenter.wait(5)
    assert session.image.shape == (100, 50, 3)
    assert [len(masks) for masks in segmenter.masks.values()] == [1, 0]
    assert (segmenter._canvas.canvas.width, segmenter._canvas.canvas.height) == (320, 640)
    segmenter.click(20, 90)
    segmenter.finish()
    segmenter.choose("image 1")
    segmenter.wait(5)
    assert segmenter._chooser.value == "image 1"
    assert [masks[0].shape for masks in segmenter.masks.values()] == [(100, 200), (100, 50)]
    with pytest.raises(ImageError, match="no image 'x'"):
        segmenter.choose("x")


def test_a_click_on_the_photo_before_is_not_made_on_the_next(session, monkeypatch):
    segmenter = ClickSegmenter(session, {"one": PHOTO, "two": PHOTO})
    segmenter.wait(5)
    page = Page(segmenter, monkeypatch)
    session.gate.clear()
    segmenter.click(5, 5)
    assert session.at_work.wait(5)
    segmenter._chooser.value = "two"
    page.click(0.5, 0.5)
    session.gate.set()
    segmenter.wait(5)
    assert segmenter.clicks == ()
    assert "before" in status(segmenter)


def test_an_image_that_cannot_be_read_leaves_everything_as_it_was(session, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    segmenter = ClickSegmenter(session, {"good": PHOTO, "broken": tmp_path / "broken.png"})
    segmenter.click(20, 20)
    segmenter._chooser.value = "broken"
    segmenter.wait(5)
    assert "cannot be read" in status(segmenter)
    assert segmenter._chooser.value == "good"
    assert len(segmenter.clicks) == 1
    with pytest.raises(ImageError):
        ClickSegmenter(session, tmp_path / "broken.png")
    with pytest.raises(ImageError, match="no image"):
        ClickSegmenter(session, [])


def test_a_second_widget_takes_the_session_over(session, monkeypatch):
    first = ClickSegmenter(session, PHOTO)
    session.gate.clear()
    first.click(5, 5)
    first.click(6, 6)
    assert session.at_work.wait(5)
    second = ClickSegmenter(session, PHOTO[:50])
    session.gate.set()
    second.click(7, 7)
    second.wait(5)
    first.wait(5)
    assert session.clicks == (Click(7, 7, True),)
    assert session.image.shape == (50, 200, 3)
    assert "Another ClickSegmenter" in status(first)
    Page(first, monkeypatch).click(0.5, 0.5)
    first.wait(5)
    assert len(session.clicks) == 1


def test_the_worker_leaves_when_idle_and_comes_back(session, monkeypatch):
    monkeypatch.setattr("ilsegkit.worker.IDLE_SECONDS", 0.01)
    segmenter = ClickSegmenter(session, PHOTO)
    deadline = time.monotonic() + 5
    while segmenter._worker._thread is not None and time.monotonic() < deadline:
        time.sleep(0.005)
    assert segmenter._worker._thread is None
    segmenter.click(5, 5)
    segmenter.wait(5)
    assert len(segmenter.clicks) == 1


def test_it_is_a_widget_with_a_short_name(segmenter):
    assert isinstance(segmenter, ipywidgets.VBox)
    assert repr(segmenter) == "<ClickSegmenter: 'image 1', 0 clicks, 0 finished objects>"


def test_with_a_real_session_and_a_small_model(tiny_model):
    segmenter = ClickSegmenter(Session(tiny_model, adapt="IA"), PHOTO)
    segmenter.click(100, 50)
    segmenter._mode.value = "none"
    segmenter.click(5, 5, positive=False)
    segmenter.wait(30)
    assert segmenter.clicks == (Click(100, 50, True), Click(5, 5, False))
    assert segmenter.mask.shape == (HEIGHT, WIDTH)
    segmenter._mode.value = "SA"
    segmenter.undo()
    segmenter.finish()
    segmenter.wait(30)
    assert len(segmenter.masks["image 1"]) == 1
    assert "⚠" not in status(segmenter)
