"""Choose the settings of IA or SA for a model on the tuning sets, never on a test set.

Every combination of the values given is tried on the same objects of every set; the fixed model is the baseline. What has
been measured stays in --out, so a search can be stopped, gone on with, and widened. Each process does the combinations
that no other has begun: start one for each core.

    python benchmarks/tune_adaptation.py IA --rate 1e-5 --rate 3e-5 --steps 5 --scope decoder
"""

import itertools
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import torch
import typer

import ilsegkit as ils
from ilsegkit.adaptation import Adaptation, Settings

SETS = ("food_plates", "butterflies", "facades", "em_membranes")
TARGET = 0.85


def objects(data: Path, count: int) -> dict[str, list[ils.Sample]]:
    """The same objects for every combination: at least 0.3% of the image, in a fixed random order."""
    chosen = {}
    for name in SETS:
        dataset = ils.FolderDataset(data / "tune" / name, smallest=0.003)
        order = np.random.default_rng(0).permutation(len(dataset))[:count]
        chosen[name] = [dataset[int(i)] for i in order]
    return chosen


def measure(
    model: ils.InteractiveSegmenter, adaptation: Adaptation, chosen: dict[str, list[ils.Sample]], most: int
) -> dict[str, float]:
    """Mean clicks to reach the target on each set, IoU after 1 and 5 clicks and respected clicks over all of them."""
    results = {
        name: ils.evaluate(samples, ils.Session(model, adaptation), TARGET, most, progress=False)
        for name, samples in chosen.items()
    }
    row = {name: r.clicks_at() for name, r in results.items()}
    for label, value in {
        "IoU@1": lambda r: r.iou_at(1),
        "IoU@5": lambda r: r.iou_at(5),
        "respected": lambda r: r.respected(),
        "s/click": lambda r: r.seconds_per_click(),
    }.items():
        row[label] = float(np.mean([value(r) for r in results.values()]))
    return row


def table(out: Path) -> pd.DataFrame:
    """All that has been measured, best first; `ratio` is the mean over the sets of clicks divided by the fixed model's."""
    # An empty file is a combination that a process is busy with.
    frame = pd.DataFrame([json.loads(path.read_text()) for path in sorted(out.glob("*.json")) if path.stat().st_size])
    fixed = frame[frame["mode"] == "none"]
    if len(fixed):
        frame["ratio"] = (frame[list(SETS)] / fixed.iloc[0][list(SETS)].astype(float)).mean(axis=1)
        frame = frame.sort_values("ratio")
    return frame


def main(
    mode: Annotated[str, typer.Argument(help="IA or SA")],
    rate: list[float] = [1e-5],  # noqa: B006  (typer copies)
    steps: list[int] = [1],  # noqa: B006
    lam: list[float] = [1.0],  # noqa: B006
    gamma: list[float] = [1.0],  # noqa: B006
    keep: list[float] = [1.0],  # noqa: B006
    confident: Annotated[list[float], typer.Option(help="0 for never stopping early")] = [0.0],  # noqa: B006
    scope: list[str] = ["all"],  # noqa: B006
    data: Path = Path("../shared/data"),
    weights: Path | None = None,
    count: Annotated[int, typer.Option(help="objects of each set")] = 12,
    max_clicks: int = 20,
    out: Path = Path("runs/tune"),
    threads: int = 1,
) -> None:
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    model = ils.load_model(weights, "cpu")
    chosen = objects(data, count)
    grid = [
        Settings(n, r, la, g, k, c or None, s)
        for r, n, la, g, k, c, s in itertools.product(rate, steps, lam, gamma, keep, confident, scope)
    ]
    candidates = [("none", Adaptation()), *((mode, Adaptation(**{{"IA": "image", "SA": "sequence"}[mode]: s})) for s in grid)]
    for name, adaptation in candidates:
        settings = next((asdict(s) for s in (adaptation.image, adaptation.sequence) if s is not None), {})
        path = out / ("_".join([name, *(f"{k}={v}" for k, v in settings.items())]) + ".json")
        try:
            path.open("x").close()  # this combination is ours
        except FileExistsError:
            continue
        try:
            row = {"mode": name, **settings, **measure(model, adaptation, chosen, max_clicks)}
        except BaseException:
            path.unlink()
            raise
        path.write_text(json.dumps(row))
        typer.echo(json.dumps(row))
    typer.echo(table(out).to_string(index=False, float_format="{:.4g}".format))


if __name__ == "__main__":
    typer.run(main)
