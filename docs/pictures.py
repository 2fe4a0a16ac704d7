"""Take the pictures of the widget for its page, with the bundled model: python docs/pictures.py"""

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from ilsegkit.drawing import COLOURS, MASK_COLOURS, OBJECT_COLOURS

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from jupyter_pages import CHROMIUM_FLAGS, Notebook, find_chromium, jupyter_server

DOCS = Path(__file__).resolve().parent
CELL = """
import ilsegkit as ils

photos = ils.offline_photos()
chosen = {name: photos[name] for name in ("motorcycle", "astronaut", "coffee", "rocket", "chelsea", "coins")}
segmenter = ils.ClickSegmenter(ils.Session(), chosen)
segmenter
"""


def save(widget, name: str) -> None:
    """A screenshot of 256 colours, which is a third of the bytes; of small things, too, like the points."""
    picture = Image.open(io.BytesIO(widget.screenshot())).convert("RGB")
    own = [part for colour in [*COLOURS.values(), *MASK_COLOURS, *OBJECT_COLOURS] for part in colour]
    most = picture.quantize(256 - len(own) // 3).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette(most[: 768 - len(own)] + own)
    picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(DOCS / name, optimize=True)


def main() -> None:
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as scratch, jupyter_server(Path(scratch)) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_FLAGS)
        server.write("pictures.ipynb", CELL)
        notebook = Notebook(server, browser, "pictures.ipynb", viewport={"width": 1280, "height": 1200})
        notebook.run_all()
        notebook.pane().focus()
        notebook.press("i")
        for number, (x, y, button) in enumerate([(300, 330, "left"), (600, 400, "left"), (490, 290, "right")], 1):
            notebook.click(x, y, button=button)
            notebook.says(f"{number} click")
        notebook.wait(lambda: notebook.button("Stop").is_hidden(), 120)
        save(notebook.root, "widget.png")
        notebook.press("k")
        notebook.wait(lambda: notebook.pane("fixed").is_visible())
        notebook.click(150, 185)
        notebook.says("4 clicks", 120)
        notebook.wait(lambda: notebook.root.get_attribute("data-detail") == "true")
        save(notebook.root, "widget-compare.png")
        notebook.close()
        browser.close()


if __name__ == "__main__":
    main()
