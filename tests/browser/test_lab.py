"""The widget in JupyterLab, as a person uses it: real clicks in a real browser, and the pixels that follow."""

import io
import json
import re
import shutil
import statistics
import time
import urllib.request
from base64 import b64decode
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image
from scipy import ndimage

from ilsegkit.photo_canvas import BLUE, GREEN, ORANGE, SKY

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
GREY = 128

# A session whose masks are known: squares around the clicks, and ten steps of "learning" that take 0.2 s.
FAKE_SESSION = """
import time
import numpy as np
from ilsegkit.clicks import Click
from ilsegkit.widget import ClickSegmenter

class Fake:
    adapt, notice, image, clicks, past, future = "IA", None, None, (), [], []
    can_undo = property(lambda self: bool(self.past))
    can_redo = property(lambda self: bool(self.future))

    @property
    def mask(self):
        mask = np.zeros(self.image.shape[:2], bool)
        for c in self.clicks:
            mask[max(0, c.y - 30) : c.y + 31, max(0, c.x - 30) : c.x + 31] = c.positive
        return mask

    def set_image(self, image):
        self.image = image
        self.reset()

    def click(self, x, y, positive=True, on_step=None):
        if x > 310:
            raise RuntimeError("too far to the right")
        for step in range(10):
            if on_step(step, 10) is False:
                break
            time.sleep(0.02)
        self.past.append(self.clicks)
        self.clicks = (*self.clicks, Click(x, y, positive))

    def undo(self):
        self.future.append(self.clicks)
        self.clicks = self.past.pop()

    def redo(self):
        self.past.append(self.clicks)
        self.clicks = self.future.pop()

    def reset(self):
        self.clicks, self.past, self.future = (), [], []

    def finish(self, on_step=None):
        mask = self.mask
        self.reset()
        return mask

photos = {"wide": np.full((160, 320, 3), 128, np.uint8), "tall": np.full((200, 100, 3), 128, np.uint8)}
segmenter = ClickSegmenter(Fake(), photos)
segmenter
"""


class Notebook:
    """A notebook open in JupyterLab, with the widget in it."""

    def __init__(self, lab, browser, name: str, **context) -> None:
        self.lab, self.name = lab, name
        self.page = browser.new_context(viewport={"width": 1100, "height": 1000}, **context).new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.sent: list[str] = []
        self.page.on("websocket", lambda socket: socket.on("framesent", lambda frame: self.sent.append(str(frame))))
        self.open()

    def open(self) -> None:
        self.page.goto(f"{self.lab.url}/doc/tree/{self.name}")
        self.page.wait_for_selector(".jp-Notebook", timeout=120_000)
        self.lab.wait_for_kernel(self.name)

    def run_all(self) -> None:
        """Run all cells, until they have run. A page that has just opened may not be listening yet."""
        for _ in range(5):
            self.page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
            try:
                self.page.wait_for_function(
                    r"() => [...document.querySelectorAll('.jp-InputPrompt')].some(e => /\[(\*|\d+)\]/.test(e.textContent))",
                    timeout=10_000,
                )
                break
            except Exception:  # playwright's own TimeoutError
                continue
        self.wait(lambda: all(re.search(r"\[\d+\]", text) for text in self.prompts()), 300)
        self.page.wait_for_selector("canvas.ilsegkit-canvas", timeout=60_000)

    def prompts(self) -> list[str]:
        return self.page.locator(".jp-CodeCell .jp-InputPrompt").all_text_contents()

    @staticmethod
    def wait(condition, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError("the page is not as expected in time")
            time.sleep(0.05)

    @property
    def canvas(self):
        return self.page.locator("canvas.ilsegkit-canvas").first

    def pixels(self) -> np.ndarray:
        """What is on the canvas, (height, width, 3)."""
        data = self.canvas.evaluate("canvas => canvas.toDataURL('image/png')")
        return np.asarray(Image.open(io.BytesIO(b64decode(data.split(",", 1)[1]))).convert("RGB"))

    def click(self, x: float, y: float, **options) -> None:
        """At a pixel of the canvas; where that is on the screen is looked up each time."""
        self.canvas.scroll_into_view_if_needed()
        box = self.canvas.bounding_box()
        scale = box["width"] / self.canvas.evaluate("canvas => canvas.width")
        self.page.mouse.move(box["x"] + x * scale, box["y"] + y * scale)
        modifiers = options.pop("modifiers", [])
        for key in modifiers:
            self.page.keyboard.down(key)
        self.page.mouse.click(box["x"] + x * scale, box["y"] + y * scale, **options)
        for key in modifiers:
            self.page.keyboard.up(key)

    def status(self) -> str:
        return self.page.locator(".widget-html").last.inner_text()

    def button(self, text: str):
        return self.page.locator(".jp-OutputArea-output button", has_text=re.compile(f"^\\W*{text}\\W*$"))

    def close(self) -> None:
        self.page.context.close()
        for session in self.lab.sessions():
            if session["path"] == self.name:
                request = urllib.request.Request(f"{self.lab.url}/api/sessions/{session['id']}", method="DELETE")
                urllib.request.urlopen(request, timeout=20).close()


def like(pixels: np.ndarray, colour, tolerance: int = 6) -> np.ndarray:
    return (np.abs(pixels.astype(int) - np.array(colour)) <= tolerance).all(-1)


def blended(colour, alpha: int) -> tuple[int, ...]:
    return tuple(round(GREY + (part - GREY) * alpha / 255) for part in colour)


MASK, FINISHED = blended(SKY, 105), blended(GREEN, 70)


@pytest.fixture(scope="module")
def notebook(lab, chromium):
    """A notebook with the fake session; the photo is grey, 320 x 160, shown twice as large."""
    # Without a kernel's name JupyterLab would ask for one.
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=[new_code_cell(FAKE_SESSION)], metadata=metadata), lab.folder / "fake.ipynb")
    notebook = Notebook(lab, chromium, "fake.ipynb", has_touch=True)
    notebook.run_all()
    notebook.wait(lambda: like(notebook.pixels(), (GREY,) * 3, 0).all())
    yield notebook
    notebook.close()


@pytest.fixture
def fresh(notebook):
    """The notebook, with no clicks; finished objects stay."""
    notebook.click(5, 5)
    notebook.wait(lambda: notebook.button("Reset").is_enabled())
    notebook.button("Reset").click()
    notebook.wait(lambda: notebook.button("Reset").is_disabled())
    notebook.wait(lambda: not (like(notebook.pixels(), BLUE) | like(notebook.pixels(), ORANGE)).any())
    notebook.sent.clear()
    return notebook


def shows_mask_at(notebook, x, y):
    return like(notebook.pixels()[y : y + 3, x : x + 3], MASK).all()


def test_left_right_and_shift_clicks(fresh, artefacts):
    fresh.click(200, 150)
    fresh.wait(lambda: shows_mask_at(fresh, 240, 190))
    pixels = fresh.pixels()
    assert like(pixels[154, 204], BLUE)  # in the disk, beside the plus
    assert like(pixels[150, 200], (255, 255, 255))
    assert abs(int(like(pixels, MASK).sum()) - 122**2) < 1500  # a square of 61 pixels, twice as large, less line and dot
    fresh.click(240, 150, button="right")
    fresh.wait(lambda: like(fresh.pixels()[120, 240], (GREY,) * 3, 2))
    assert like(fresh.pixels()[155, 245], ORANGE)
    assert fresh.page.locator(".lm-Menu:visible").count() == 0  # JupyterLab's menu stays away
    fresh.click(150, 150, modifiers=["Shift"])
    fresh.wait(lambda: like(fresh.pixels()[155, 155], ORANGE))
    fresh.page.screenshot(path=artefacts / "fake-clicks.png")
    fresh.wait(lambda: "3 clicks" in fresh.status())


def test_buttons(fresh):
    fresh.click(200, 150)
    fresh.wait(lambda: shows_mask_at(fresh, 240, 190))
    fresh.button("Undo").click()
    fresh.wait(lambda: like(fresh.pixels(), (GREY,) * 3, 0).all())
    fresh.button("Redo").click()
    fresh.wait(lambda: shows_mask_at(fresh, 240, 190))
    fresh.button("background").click()
    fresh.click(240, 150)
    fresh.wait(lambda: like(fresh.pixels()[155, 245], ORANGE))
    fresh.button("object").click()
    fresh.button("Finish object").click()
    fresh.wait(lambda: like(fresh.pixels()[150, 160], FINISHED))
    fresh.wait(lambda: "kept in .masks" in fresh.status())


def test_keys_of_the_widget_and_of_the_page(notebook):
    notebook.click(500, 60)
    notebook.wait(lambda: shows_mask_at(notebook, 520, 90))
    notebook.page.keyboard.press("z")
    notebook.wait(lambda: like(notebook.pixels()[90, 520], (GREY,) * 3, 0))
    notebook.page.keyboard.press("y")
    notebook.wait(lambda: shows_mask_at(notebook, 520, 90))
    cells = notebook.page.locator(".jp-Cell").count()
    notebook.page.keyboard.press("b")  # in JupyterLab's command mode: a new cell
    notebook.page.keyboard.press("x")  # cut the cell
    notebook.click(500, 200)
    notebook.wait(lambda: like(notebook.pixels()[205, 505], ORANGE))
    notebook.page.keyboard.press("b")
    assert notebook.page.locator(".jp-Cell").count() == cells
    notebook.page.keyboard.press("r")
    notebook.wait(lambda: like(notebook.pixels()[90, 520], (GREY,) * 3, 0))

    before = (notebook.lab.folder / notebook.name).stat().st_mtime_ns
    notebook.page.keyboard.press("Control+s")
    notebook.wait(lambda: (notebook.lab.folder / notebook.name).stat().st_mtime_ns != before)
    assert notebook.canvas.evaluate("canvas => canvas === document.activeElement")
    notebook.page.keyboard.press("Tab")
    notebook.wait(lambda: not notebook.canvas.evaluate("canvas => canvas === document.activeElement"))


def test_fast_clicks_all_arrive(fresh):
    for x in range(60, 360, 30):
        fresh.click(x, 250)
    fresh.wait(lambda: "10 clicks" in fresh.status())
    assert all(like(fresh.pixels()[254, x + 4], BLUE) for x in range(60, 360, 30))


def test_moving_the_mouse_and_turning_the_wheel_send_nothing(fresh):
    box = fresh.canvas.bounding_box()
    for i in range(30):
        fresh.page.mouse.move(box["x"] + 10 * i, box["y"] + 5 * i)
    fresh.page.mouse.wheel(0, 10)
    fresh.page.wait_for_timeout(300)
    assert not [frame for frame in fresh.sent if "mouse_" in frame]


def test_a_tap_is_a_click_and_a_swipe_is_none(fresh):
    box = fresh.canvas.bounding_box()
    fresh.page.touchscreen.tap(box["x"] + 200, box["y"] + 150)
    fresh.wait(lambda: shows_mask_at(fresh, 240, 190))
    fresh.wait(lambda: "1 click " in fresh.status())
    fresh.canvas.evaluate(
        """canvas => {
            const box = canvas.getBoundingClientRect();
            const fire = (name, y) => canvas.dispatchEvent(new PointerEvent(name, {
                bubbles: true, pointerType: "touch", pointerId: 7, clientX: box.left + 50, clientY: box.top + y}));
            fire("pointerdown", 20); fire("pointerup", 90);
        }"""
    )
    fresh.page.wait_for_timeout(300)
    assert "1 click " in fresh.status()


def test_an_exception_is_shown_below_the_photo(fresh):
    fresh.click(630, 100)
    fresh.wait(lambda: "too far to the right" in fresh.status())
    fresh.click(200, 150)
    fresh.wait(lambda: shows_mask_at(fresh, 240, 190))


def test_another_photo_of_another_size_and_back(fresh, artefacts):
    fresh.click(200, 150)
    fresh.page.locator(".widget-dropdown select").select_option("tall")
    fresh.wait(lambda: fresh.pixels().shape == (640, 320, 3) and like(fresh.pixels(), (GREY,) * 3, 0).all())
    fresh.click(160, 600)
    fresh.wait(lambda: shows_mask_at(fresh, 190, 620))
    fresh.page.screenshot(path=artefacts / "fake-tall.png")
    fresh.page.locator(".widget-dropdown select").select_option("wide")
    fresh.wait(lambda: fresh.pixels().shape == (320, 640, 3) and like(fresh.pixels()[190, 240], FINISHED))


def test_in_a_narrow_window_the_photo_is_smaller_and_clicks_are_where_they_are_made(fresh, artefacts):
    wide = fresh.page.viewport_size
    try:
        fresh.page.set_viewport_size({"width": 560, "height": 900})
        fresh.wait(lambda: fresh.canvas.bounding_box()["width"] < 500)
        box = fresh.canvas.bounding_box()
        assert box["height"] == pytest.approx(box["width"] / 2, abs=1)
        fresh.click(520, 250)
        fresh.wait(lambda: shows_mask_at(fresh, 545, 280))
        assert like(fresh.pixels()[254, 524], BLUE)
        fresh.page.screenshot(path=artefacts / "fake-narrow.png")
    finally:
        fresh.page.set_viewport_size(wide)


def test_a_reloaded_page_shows_everything_again(notebook):
    notebook.click(420, 150)
    notebook.wait(lambda: shows_mask_at(notebook, 440, 180))
    before = notebook.pixels()
    notebook.page.keyboard.press("Control+s")
    notebook.open()
    notebook.page.wait_for_selector("canvas.ilsegkit-canvas", timeout=60_000)
    notebook.wait(lambda: notebook.pixels().shape == before.shape and like(notebook.pixels(), before, 2).all())
    notebook.click(520, 250)
    notebook.wait(lambda: shows_mask_at(notebook, 540, 280))


def test_how_long_it_takes(fresh, artefacts):
    """No limit: the numbers go to `test-artefacts/latency.json`."""
    watch = """([x, y, away]) => new Promise(resolve => {
        const canvas = document.querySelector("canvas.ilsegkit-canvas"), box = canvas.getBoundingClientRect(), times = {};
        const at = x => canvas.getContext("2d").getImageData(x, y, 1, 1).data.join();
        const before = [at(x), at(x + away)], start = performance.now();
        canvas.dispatchEvent(new PointerEvent("pointerdown", {bubbles: true, clientX: box.left + x, clientY: box.top + y}));
        const look = () => {
            const now = performance.now() - start;
            if (!times.dot && at(x) !== before[0]) times.dot = now;
            if (!times.mask && at(x + away) !== before[1]) times.mask = now;
            if ((times.dot && times.mask) || now > 20000) resolve(times); else requestAnimationFrame(look);
        };
        look();
    })"""
    times = []
    for x in range(70, 570, 100):
        times.append(fresh.page.evaluate(watch, [x, 80, 40]))
        fresh.wait(lambda: fresh.button("Stop").is_disabled())
    medians = {name: round(statistics.median(time[name] for time in times)) for name in ("dot", "mask")}
    (artefacts / "latency.json").write_text(json.dumps(medians | {"note": "milliseconds; of the mask 200 are the session's"}))
    assert not fresh.errors


def test_the_first_notebook(lab, chromium, artefacts):
    """Run `00_click_to_segment` and go on clicking where it ends."""
    shutil.copy(ROOT / "notebooks" / "00_click_to_segment.ipynb", lab.folder)
    notebook = Notebook(lab, chromium, "00_click_to_segment.ipynb")
    try:
        notebook.run_all()
        assert notebook.page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
        notebook.wait(lambda: "kept in .masks" in notebook.status())
        notebook.wait(lambda: notebook.pixels().std() > 10)
        notebook.canvas.scroll_into_view_if_needed()
        notebook.page.screenshot(path=artefacts / "notebook-1-run.png")

        start = notebook.pixels()
        notebook.click(80, 150)
        notebook.wait(lambda: "1 click " in notebook.status(), 120)
        first = notebook.pixels()
        assert like(first[153, 83], BLUE)
        assert (first != start).any(-1).sum() > 300  # more than the dot
        notebook.click(130, 160)
        notebook.wait(lambda: "2 clicks" in notebook.status(), 120)
        second = notebook.pixels()
        # Well inside the mask, and away from the clicks: the model has to give something up.
        depth = ndimage.distance_transform_edt((second != start).any(-1))
        for x, y in ((80, 150), (130, 160)):
            depth[max(0, y - 30) : y + 30, max(0, x - 30) : x + 30] = 0
        y, x = map(int, np.unravel_index(depth.argmax(), depth.shape))
        notebook.click(x, y, button="right")
        notebook.wait(lambda: "3 clicks" in notebook.status(), 120)
        third = notebook.pixels()
        assert like(third[y + 3, x + 3], ORANGE)
        assert (third != second).any(-1).sum() > 300  # more than the square
        notebook.page.screenshot(path=artefacts / "notebook-2-clicks.png")

        notebook.button("Undo").click()
        notebook.wait(lambda: (notebook.pixels() == second).all())
        notebook.button("Finish object").click()
        notebook.wait(lambda: "Object 2" in notebook.status(), 120)
        assert not like(notebook.pixels()[153, 83], BLUE)
        notebook.page.screenshot(path=artefacts / "notebook-3-finished.png")
        for number, output in enumerate(notebook.page.locator(".jp-RenderedImage").all()):
            output.screenshot(path=artefacts / f"notebook-figure-{number + 1}.png")
        assert not notebook.errors
    finally:
        notebook.close()
