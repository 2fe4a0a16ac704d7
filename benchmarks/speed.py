"""Seconds a click and peak memory: the fixed model, IA as tuned for the bundled weights, and the literal Algorithm 1.

All in one run, each in a process of its own, on the same photo and clicks. Times on shared machines differ from run to run;
the ratios do so less.

    python benchmarks/speed.py
"""

import json
import subprocess
import sys
import time
from dataclasses import replace
from typing import Annotated

import numpy as np
import pandas as pd
import torch
import typer

import ilsegkit as ils
from ilsegkit.adaptation import PAPER, Adaptation, named_adaptation

CLICKS = [(0.45, 0.40, 1), (0.55, 0.70, 1), (0.05, 0.05, 0), (0.35, 0.55, 1), (0.90, 0.30, 0), (0.60, 0.50, 1)]
WAYS = ("fixed", "IA", "literal IA")


def measure(way: str, size: int) -> dict[str, float]:
    """Median seconds over the clicks after the first, which warms up, and peak resident memory of this process."""
    model = ils.load_model(device="cpu")
    model.config = replace(model.config, input_size=size)
    adaptation = {
        "fixed": Adaptation(),
        "IA": named_adaptation("IA", model.adaptation),
        "literal IA": Adaptation(replace(PAPER["IA"], rate=named_adaptation("IA", model.adaptation).image.rate)),
    }[way]
    session = ils.Session(model, adaptation)
    image = ils.offline_photos()["chelsea"]
    session.set_image(image)
    seconds = []
    for x, y, label in CLICKS:
        began = time.perf_counter()
        session.click(x * image.shape[1], y * image.shape[0], bool(label))
        seconds.append(time.perf_counter() - began)
    try:
        import resource
    except ImportError:  # Windows
        peak = float("nan")
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return {"s/click": float(np.median(seconds[1:])), "slowest": max(seconds[1:]), "first": seconds[0], "peak MiB": peak}


def main(
    size: Annotated[int, typer.Option(help="longest side in pixels")] = 512,
    threads: int = 2,
    way: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    if way is not None:
        torch.set_num_threads(threads)
        typer.echo(json.dumps(measure(way, size)))
        return
    rows = []
    for name in WAYS:
        command = [sys.executable, __file__, "--size", str(size), "--threads", str(threads), "--way", name]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows.append({"way": name, **json.loads(output.splitlines()[-1])})
    frame = pd.DataFrame(rows)
    frame.insert(2, "ratio", frame["s/click"] / frame["s/click"][0])
    typer.echo(f"{size} px, {threads} threads")
    typer.echo(frame.to_markdown(index=False, floatfmt=".2f"))


if __name__ == "__main__":
    typer.run(main)
