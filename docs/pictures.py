"""Take the pictures of the widget for its page, with the bundled model: python docs/pictures.py"""

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from jupyter_pages import CHROMIUM_FLAGS, Notebook, find_chromium, jupyter_server

DOCS = Path(__file__).resolve().parent
CELL = """
import ilsegkit as ils

photos = ils.offline_photos()
chosen = {name: photos[name] for name in ("chelsea", "astronaut", "coffee", "rocket", "coins")}
segmenter = ils.ClickSegmenter(ils.Session(), chosen)
segmenter
"""


def save(widget, name: str) -> None:
    """A screenshot of no more than 256 colours, which is a third of the bytes."""
    picture = Image.open(io.BytesIO(widget.screenshot())).convert("RGB")
    picture.quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(DOCS / name, optimize=True)


def main() -> None:
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as scratch, jupyter_server(Path(scratch)) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_FLAGS)
        server.write("pictures.ipynb", CELL)
        notebook = Notebook(server, browser, "pictures.ipynb", viewport={"width": 1280, "height": 1200})
        notebook.run_all()
        notebook.pane().focus()
        notebook.press("i")
        for number, (x, y, button) in enumerate([(230, 150, "left"), (320, 230, "left"), (60, 40, "right")], 1):
            notebook.click(x, y, button=button)
            notebook.says(f"{number} click")
        notebook.wait(lambda: notebook.button("Stop").is_hidden(), 120)
        save(notebook.root, "widget.png")
        notebook.press("k")
        notebook.wait(lambda: notebook.pane("fixed").is_visible())
        notebook.click(380, 60, button="right")
        notebook.says("4 clicks", 120)
        notebook.wait(lambda: notebook.root.get_attribute("data-detail") == "true")
        save(notebook.root, "widget-compare.png")
        notebook.close()
        browser.close()


if __name__ == "__main__":
    main()
