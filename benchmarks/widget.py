"""The widget in a real browser: how long a click takes to be seen, and whether memory stays flat over 500 clicks.

Everything runs here: JupyterLab, a kernel with the bundled model, and Debian's Chromium without a window. A click is seen
three times: as a dot, as the mask of the quick prediction, and as the mask after learning (the fixed model answers once).

    python benchmarks/widget.py                 # prints Markdown
    python benchmarks/widget.py --clicks 200    # of the memory part
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from jupyter_pages import CHROMIUM_FLAGS, Notebook, find_chromium, jupyter_server

# The shuttle behind the astronaut: a photo of 512 by 512 pixels, and an object that leaves room for a window.
POINTS = [(410, 150), (425, 230), (455, 205), (416, 60), (390, 110), (445, 90), (385, 200), (415, 270), (428, 190)]
WIDGET = """
import torch
import ilsegkit as ils

torch.set_num_threads({threads})
session = ils.Session(ils.load_model(device="cpu"), adapt="{adapt}")
segmenter = ils.ClickSegmenter(session, ils.offline_photos()["astronaut"])
segmenter
"""
# Whenever one of them was drawn, see before the next frame whether the pixel beside the click and, much reduced, the canvas
# with the masks have changed. To look at every frame would take computing time from the model.
WATCH = """([x, y, count]) => new Promise(resolve => {
    const sheet = document.querySelector("canvas[data-kind=learning]"), d = sheet.dataset;
    const masks = sheet.parentElement.querySelector("canvas.ils-sheet"), box = sheet.getBoundingClientRect();
    const probe = new OffscreenCanvas(96, 64).getContext("2d", {willReadFrequently: true});
    const [px, py] = [(x + .5) * d.scale + +d.left, (y + .5) * d.scale + +d.top];
    const dot = () => sheet.getContext("2d").getImageData((px - 4) * d.ratio, (py + 1) * d.ratio, 1, 1).data.join();
    const look = () => {
        probe.drawImage(masks, 0, 0, 96, 64);
        return probe.getImageData(0, 0, 96, 64).data.reduce((sum, value, i) => (31 * sum + value) % 1000003, 0);
    };
    const before = dot(), began = Date.now(), start = performance.now(), times = {began, changes: []};
    let seen = look();
    const frame = () => {
        const now = performance.now() - start, looks = look();
        if (!times.dot && dot() !== before) times.dot = now;
        if (looks !== seen) times.changes.push(now);
        seen = looks;
    };
    for (const context of [sheet, masks].map(canvas => canvas.getContext("2d"))) {
        context.clearRect = (...area) => {  // each drawing begins with it
            CanvasRenderingContext2D.prototype.clearRect.apply(context, area);
            requestAnimationFrame(frame);
        };
    }
    const fire = name => sheet.dispatchEvent(new PointerEvent(name, {bubbles: true, button: 0, pointerId: 1,
        pointerType: "mouse", clientX: box.left + px, clientY: box.top + py}));
    fire("pointerdown");
    fire("pointerup");
    const wait = setInterval(() => {
        const now = performance.now() - start;
        if (now < 60000 && (+d.answered !== count || !times.changes.length || now - times.changes.at(-1) < 400)) return;
        clearInterval(wait);
        resolve(times);
    }, 200);
})"""
# When Python has an answer to draw, in milliseconds of the clock.
NOTE = """
import json, time

def noted(show, name):
    def wrapper(*values):
        with open("answers.jsonl", "a") as file:
            print(json.dumps([name, time.time() * 1000]), file=file)
        show(*values)
    return wrapper

segmenter.stage.show_early = noted(segmenter.stage.show_early, "quick")
segmenter.stage.show_answers = noted(segmenter.stage.show_answers, "mask")
"""
# One step for each click: what is kept of a click is the same, and 500 take minutes.
MANY = """
import gc
from dataclasses import replace

import psutil

session.adapt = replace(session.adaptation, image=replace(session.adaptation.image, steps=1))
height, width = session.image.shape[:2]
for click in range({clicks}):
    segmenter.click((37 * click) % width, (53 * click) % height, bool(click % 3))
    if click % 20 == 19:
        segmenter.finish()
    segmenter.wait()
    if click % 50 == 49:
        gc.collect()
        print(click + 1, round(psutil.Process().memory_info().rss / 2**20), flush=True)
"""


def latency(notebook: Notebook) -> dict[str, float]:
    """Medians in milliseconds from the click and, for masks, from the model's answer; the first click warms up."""
    rows = []
    log = notebook.server.folder / "answers.jsonl"
    for number, (x, y) in enumerate(POINTS, 1):
        log.unlink(missing_ok=True)
        times = notebook.page.evaluate(WATCH, [x, y, number])
        answers = dict(json.loads(line) for line in log.read_text().splitlines())
        row = {"dot": times.get("dot"), "adapted mask": times["changes"][-1]}
        row["adapted mask, after the answer"] = times["began"] + times["changes"][-1] - answers["mask"]
        if "quick" in answers and len(times["changes"]) > 1:
            row["quick mask"] = times["changes"][0]
            row["quick mask, after the answer"] = times["began"] + times["changes"][0] - answers["quick"]
        rows.append(row)
    return pd.DataFrame(rows[1:]).median().to_dict()


def measure_memory(notebook: Notebook, clicks: int) -> None:
    """Print the resident memory of the kernel and the page's JavaScript heap, in MiB, after every 50 clicks."""
    notebook.run_all(shown=False, wait=False)
    output = notebook.page.locator(".jp-CodeCell").nth(1).locator(".jp-OutputArea-output pre")
    for row in range(clicks // 50):
        notebook.wait(lambda row=row: output.count() and output.first.inner_text().count("\n") > row, 1200)
        done, kernel = output.first.inner_text().splitlines()[row].split()
        page = notebook.page.evaluate("() => { window.gc(); return performance.memory.usedJSHeapSize / 2**20 }")
        typer.echo(f"| {done} | {kernel} | {page:.0f} |")


def main(
    clicks: Annotated[int, typer.Option(help="of the memory part; 0 leaves it out")] = 500,
    threads: int = 2,
    latencies: bool = True,
) -> None:
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as scratch, jupyter_server(Path(scratch)) as server, sync_playwright() as playwright:
        flags = [*CHROMIUM_FLAGS, "--enable-precise-memory-info", "--js-flags=--expose-gc"]
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=flags)
        if latencies:
            rows = {}
            for adapt in ("none", "IA"):
                server.write(f"{adapt}.ipynb", WIDGET.format(adapt=adapt, threads=threads), NOTE)
                notebook = Notebook(server, browser, f"{adapt}.ipynb")
                notebook.run_all()
                rows["fixed" if adapt == "none" else adapt] = latency(notebook)
                notebook.close()
            typer.echo(f"Milliseconds from a click to what is seen, photo of 512 px, {threads} threads, medians:\n")
            typer.echo(pd.DataFrame(rows).T.round(0).to_markdown() + "\n")
        if clicks:
            server.write("many.ipynb", WIDGET.format(adapt="IA+SA", threads=threads), MANY.format(clicks=clicks))
            notebook = Notebook(server, browser, "many.ipynb")
            typer.echo(f"Memory over {clicks} clicks, IA+SA, an object every 20 clicks:\n")
            typer.echo("| clicks | kernel, MiB | page, MiB |\n|---:|---:|---:|")
            measure_memory(notebook, clicks)
            notebook.close()
        browser.close()


if __name__ == "__main__":
    typer.run(main)
