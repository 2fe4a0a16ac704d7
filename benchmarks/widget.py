"""The widget in a real browser: how long a click takes to be seen, and whether memory stays flat over 500 clicks.

Everything runs here: JupyterLab, a kernel with the bundled model, and Debian's Chromium without a window. A click is seen
three times: as a dot, as the mask of the quick prediction, and as the mask after learning.

    python benchmarks/widget.py                 # prints Markdown
    python benchmarks/widget.py --clicks 200    # of the memory part
"""

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from jupyter_pages import CHROMIUM_FLAGS, Notebook, find_chromium, jupyter_server

SIZE = 512
WIDGET = f"""
import numpy as np, torch
import ilsegkit as ils
from PIL import Image

torch.set_num_threads({{threads}})
photo = Image.fromarray(ils.offline_photos()["chelsea"]).resize(({SIZE}, {SIZE * 2 // 3}))
session = ils.Session(ils.load_model(device="cpu"), adapt="{{adapt}}")
segmenter = ils.ClickSegmenter(session, photo)
segmenter
"""
# Each frame, see what the canvas shows. The widget notes on it what is in the picture.
WATCH = """([x, y, count]) => new Promise(resolve => {
    const canvas = document.querySelector("canvas[data-kind=learning]"), d = canvas.dataset;
    const box = canvas.getBoundingClientRect();
    const [px, py] = [(x + .5) * d.scale + +d.left, (y + .5) * d.scale + +d.top];
    const pixel = () => canvas.getContext("2d").getImageData((px - 4) * d.ratio, (py + 1) * d.ratio, 1, 1).data.join();
    const before = pixel(), times = {}, start = performance.now();
    const fire = name => canvas.dispatchEvent(new PointerEvent(name, {bubbles: true, button: 0, pointerId: 1,
        pointerType: "mouse", clientX: box.left + px, clientY: box.top + py}));
    fire("pointerdown");
    fire("pointerup");
    const look = () => {
        const now = performance.now() - start;
        if (!times.dot && pixel() !== before) times.dot = now;
        if (!times.quick && d.early === "true") times.quick = now;
        if (+d.answered === count && d.early === "false") { times.mask = now; resolve(times); }
        else if (now > 60000) resolve(times);
        else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
})"""
MANY = """
import gc, os
import psutil

process, memory = psutil.Process(), []
for click in range({clicks}):
    height, width = session.image.shape[:2]
    segmenter.click((37 * click) % width, (53 * click) % height, bool(click % 3))
    if click % 20 == 19:
        segmenter.finish()
    segmenter.wait()
    if click % 50 == 49:
        gc.collect()
        memory.append([click + 1, process.memory_info().rss / 2**20])
print(memory)
"""


def latency(notebook: Notebook, clicks: int = 8) -> dict[str, float]:
    """Medians in milliseconds; the first click, which warms up, does not count."""
    times = []
    for number in range(clicks + 1):
        x, y = 60 + 45 * number, 60 + 23 * number
        times.append(notebook.page.evaluate(WATCH, [x, y, number + 1]))
        notebook.page.wait_for_timeout(300)
    # The fixed model has no quick answer before its answer.
    return {name: statistics.median(t.get(name, float("nan")) for t in times[1:]) for name in ("dot", "quick", "mask")}


def measure_memory(notebook: Notebook, clicks: int) -> pd.DataFrame:
    """Resident memory of the kernel and the page's JavaScript heap, in MiB, after every 50 clicks."""
    notebook.page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    output = notebook.page.locator(".jp-CodeCell").nth(1).locator(".jp-OutputArea-output pre")
    heap: dict[int, float] = {}
    while True:
        notebook.page.wait_for_timeout(2000)
        done = notebook.page.evaluate("() => window.gc && window.gc() || performance.memory.usedJSHeapSize / 2**20")
        heap[len(heap)] = round(done, 1)
        if output.count():
            break
    rows = pd.DataFrame(json.loads(output.first.inner_text()), columns=["clicks", "kernel MiB"])
    step = max(1, len(heap) // len(rows))
    rows["page MiB"] = [heap[min((i + 1) * step, len(heap) - 1)] for i in range(len(rows))]
    return rows.round(1)


def main(
    clicks: Annotated[int, typer.Option(help="of the memory part; 0 leaves it out")] = 500,
    threads: int = 2,
) -> None:
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as scratch, jupyter_server(Path(scratch)) as server, sync_playwright() as playwright:
        flags = [*CHROMIUM_FLAGS, "--enable-precise-memory-info", "--js-flags=--expose-gc"]
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=flags)
        rows = {}
        for adapt in ("none", "IA"):
            server.write(f"{adapt}.ipynb", WIDGET.format(adapt=adapt, threads=threads))
            notebook = Notebook(server, browser, f"{adapt}.ipynb")
            notebook.run_all()
            rows["fixed" if adapt == "none" else adapt] = latency(notebook)
            notebook.close()
        typer.echo(f"Milliseconds from a click to what is seen, photo of {SIZE} px, {threads} threads, medians:\n")
        typer.echo(pd.DataFrame(rows).T.round(0).to_markdown())
        if clicks:
            server.write("many.ipynb", WIDGET.format(adapt="IA+SA", threads=threads), MANY.format(clicks=clicks))
            notebook = Notebook(server, browser, "many.ipynb")
            typer.echo(f"\nMemory over {clicks} clicks, IA+SA, an object every 20 clicks:\n")
            typer.echo(measure_memory(notebook, clicks).to_markdown(index=False))
            notebook.close()
        browser.close()


if __name__ == "__main__":
    typer.run(main)
