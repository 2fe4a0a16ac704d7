"""The widget in Notebook 7, in Voila, on a screen of twice the resolution, and the first notebook."""

import io
import json
import shutil
import subprocess
import sys
from base64 import b64decode

import numpy as np
import pytest
from jupyter_pages import ROOT
from PIL import Image

from ilsegkit.drawing import COLOURS, MASK_COLOURS

pytestmark = pytest.mark.browser

CELL = """
import numpy as np
from fake_session import FakeSession
from ilsegkit.widget import ClickSegmenter

# A coloured square that a test can find without asking the widget where it is.
photo = np.full((200, 300, 3), 128, np.uint8)
photo[140:150, 240:250] = (255, 0, 255)
segmenter = ClickSegmenter(FakeSession(reach=20), photo, folder={folder!r})
segmenter
"""
SKY = tuple(round(128 + (part - 128) * 0.45) for part in MASK_COLOURS[0])


def find_square(notebook) -> tuple[float, float]:
    """The middle of the coloured square on a screenshot, in CSS pixels."""
    picture = np.asarray(Image.open(io.BytesIO(notebook.page.screenshot())).convert("RGB")).astype(int)
    rows, columns = np.nonzero(np.abs(picture - [255, 0, 255]).sum(-1) < 60)
    ratio = notebook.page.evaluate("window.devicePixelRatio")
    return (columns.mean() + 0.5) / ratio, (rows.mean() + 0.5) / ratio


def first_click(notebook, folder) -> list[float]:
    path = notebook.server.folder / folder / "clicks" / "image_1.json"

    def there():
        return path.is_file() and json.loads(path.read_text())["open"] is not None

    notebook.wait(there)
    return json.loads(path.read_text())["open"]["clicks"][0]


@pytest.mark.parametrize(("host", "ratio"), [("doc/tree", 2), ("notebooks", 1.25), ("voila/render", 1)])
def test_a_click_on_what_is_seen_is_a_click_on_that_pixel(open_notebook, artefacts, host, ratio):
    name = f"{host.split('/')[0]}-{ratio}".replace(".", "_")
    notebook = open_notebook(f"{name}.ipynb", CELL.format(folder=name), host=host, device_scale_factor=ratio)
    try:
        notebook.wait_for_photo() if "voila" in host else notebook.run_all()
        notebook.pane().scroll_into_view_if_needed()
        notebook.wait(lambda: not np.isnan(find_square(notebook)[0]))
        notebook.page.mouse.click(*find_square(notebook))
        x, y, label = first_click(notebook, name)
        assert (abs(x - 244.5) <= 1, abs(y - 144.5) <= 1, label) == (True, True, 1)
        notebook.wait(lambda: (np.abs(notebook.colour(230, 130).astype(int) - SKY) < 8).all())
        notebook.says("1 click ")
        if ratio == 2:  # sharp: as many pixels as the screen has
            assert notebook.pixels().shape[1] == pytest.approx(2 * notebook.pane().bounding_box()["width"], abs=2)
        notebook.page.mouse.click(*notebook.place(100, 50), button="right")
        notebook.says("2 clicks")
        notebook.press("z")
        notebook.says("1 click ")
        notebook.press("Enter")
        notebook.says("finished")
        assert (notebook.server.folder / name / "masks" / "image_1_1.png").is_file()
        notebook.page.screenshot(path=artefacts / f"host-{name}.png")
    finally:
        notebook.close()


def test_the_saved_notebook_shows_a_picture_without_a_kernel(open_notebook, server, chromium, tmp_path, artefacts):
    notebook = open_notebook("saved.ipynb", CELL.format(folder="saved"))
    try:
        notebook.run_all()
        assert notebook.page.locator(".jp-RenderedImage:visible").count() == 0  # the live widget is enough
        notebook.click(100, 50)
        notebook.says("1 click ")
        path = server.folder / "saved.ipynb"

        def picture():
            notebook.press("Control+s")
            notebook.page.wait_for_timeout(300)
            for output in json.loads(path.read_text())["cells"][0]["outputs"]:
                if "image/jpeg" in output.get("data", {}):
                    return np.asarray(Image.open(io.BytesIO(b64decode(output["data"]["image/jpeg"]))))
            return None

        # It is the one after the click.
        notebook.wait(
            lambda: (seen := picture()) is not None and (np.abs(seen[107, 213].astype(int) - COLOURS["object"]) < 40).all()
        )
    finally:
        notebook.close()
    command = [sys.executable, "-m", "nbconvert", "--to", "html", str(path), "--output", str(tmp_path / "saved.html")]
    subprocess.run(command, check=True, capture_output=True)
    page = chromium.new_page()
    page.goto((tmp_path / "saved.html").as_uri(), wait_until="domcontentloaded")
    assert page.locator("img:visible").count() == 1
    page.screenshot(path=artefacts / "saved-html.png")
    page.close()


def test_the_first_notebook(open_notebook, server, artefacts):
    """Run `00_click_to_segment` with the real model, and go on clicking where it ends."""
    shutil.copy(ROOT / "notebooks" / "00_click_to_segment.ipynb", server.folder)
    notebook = open_notebook("00_click_to_segment.ipynb")
    try:
        notebook.run_all()
        assert notebook.page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
        notebook.says("finished")
        notebook.pane().scroll_into_view_if_needed()
        notebook.page.screenshot(path=artefacts / "notebook-1-run.png")
        start = notebook.settled()
        notebook.click(95, 170)
        notebook.says("1 click ", 120)
        notebook.click(150, 185)
        notebook.says("2 clicks", 120)
        notebook.wait(lambda: (notebook.pixels() != start).any(-1).sum() > 600)  # more than the dots
        clicked = notebook.settled()
        notebook.click(120, 178, button="right")  # into what the two have found
        notebook.says("3 clicks", 120)
        notebook.wait(lambda: (notebook.pixels() != clicked).any(-1).sum() > 600)
        notebook.page.screenshot(path=artefacts / "notebook-2-clicks.png")
        notebook.button("Undo").click()
        notebook.wait(lambda: (notebook.pixels() == clicked).all())
        notebook.press("k", "i")
        notebook.wait(lambda: notebook.pane("fixed").is_visible())
        notebook.wait(lambda: notebook.root.locator(".ils-panel h3").count() > 1)  # what was learned has been found out
        notebook.settled("fixed")
        notebook.page.screenshot(path=artefacts / "notebook-3-compare.png")
        notebook.press("k", "i")
        notebook.button("Finish object").click()
        notebook.says("Object 2", 120)
        for number, output in enumerate(notebook.page.locator(".jp-RenderedImage:visible").all()):
            output.screenshot(path=artefacts / f"notebook-figure-{number + 1}.png")
        assert not notebook.errors
    finally:
        notebook.close()
