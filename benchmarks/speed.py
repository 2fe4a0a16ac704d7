"""Seconds a click and peak memory: literal Algorithm 1, each shortcut alone, and the default, as ratios in one run.

All on the same photo and clicks, each in a process of its own. Times on shared machines differ from run to run; the ratios do
so less. The second and third table show how the default's time grows with the size and with the number of clicks.

    python benchmarks/speed.py --plot benchmarks/speed.png
"""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import torch
import typer

import ilsegkit as ils
from ilsegkit.adaptation import PAPER, Adaptation, Settings, named_adaptation

POINTS = [(0.45, 0.40, 1), (0.55, 0.70, 1), (0.05, 0.05, 0), (0.35, 0.55, 1), (0.90, 0.30, 0), (0.60, 0.50, 1)]


def ways(chosen: Settings) -> dict[str, Settings | None]:
    """IA in several ways. All but the last do all of their steps at the rate chosen for the weights."""
    literal = replace(PAPER["IA"], rate=chosen.rate)
    return {
        "literal Algorithm 1": literal,
        "decoder only": replace(literal, scope="decoder"),
        "half the steps": replace(literal, steps=literal.steps // 2),
        "stop when confident": replace(literal, confident=0.8),
        "default IA": chosen,
        "fixed": None,
    }


def clicks(count: int) -> list[tuple[float, float, int]]:
    """So many clicks, in 0-1: the points above, then the same a little aside."""
    return [((x + 0.013 * (i // 6)) % 1, (y + 0.017 * (i // 6)) % 1, p) for i, (x, y, p) in enumerate(POINTS * 10)][:count]


def measure(way: str, size: int, count: int, device: str | None) -> dict:
    """Seconds of every click, seconds to the first answer to it, and peak resident memory of this process."""
    model = ils.load_model(device=device)
    model.config = replace(model.config, input_size=size, zoom=None)
    session = ils.Session(model, Adaptation(ways(named_adaptation("IA", model.adaptation).image)[way]))
    image = ils.offline_photos()["chelsea"]
    session.set_image(image)
    seconds, answers = [], []
    for x, y, label in clicks(count):
        early: list[float] = []
        began = time.perf_counter()
        at = (x * image.shape[1], y * image.shape[0], bool(label))
        session.click(*at, on_prediction=lambda _, to=early: to.append(time.perf_counter()))
        seconds.append(time.perf_counter() - began)
        answers.append((early[0] if early else time.perf_counter()) - began)
    try:
        import resource
    except ImportError:  # Windows
        peak = float("nan")
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return {"seconds": seconds, "answers": answers, "peak": peak}


def main(
    size: Annotated[int, typer.Option(help="longest side in pixels")] = 512,
    threads: int = 2,
    device: str | None = "cpu",
    plot: Annotated[Path | None, typer.Option(help="PNG of the time against the size and against the number of clicks")] = None,
    way: Annotated[str | None, typer.Option(hidden=True)] = None,
    count: Annotated[int, typer.Option(help="clicks")] = 6,
) -> None:
    if way is not None:
        torch.set_num_threads(threads)
        typer.echo(json.dumps(measure(way, size, count, device)))
        return

    def run(name: str, size: int, count: int) -> dict:
        command = [sys.executable, __file__, "--way", name]
        command += ["--size", str(size), "--threads", str(threads), "--count", str(count), "--device", str(device)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return json.loads(output.splitlines()[-1])

    # The first click warms up.
    rows = []
    for name in ways(PAPER["IA"]):
        result = run(name, size, count)
        row = {"way": name, "s/click": np.median(result["seconds"][1:]), "slowest": max(result["seconds"][1:])}
        rows.append(row | {"first answer": np.median(result["answers"][1:]), "peak MiB": result["peak"]})
    frame = pd.DataFrame(rows)
    frame.insert(2, "faster", frame["s/click"].iloc[0] / frame["s/click"])
    typer.echo(f"{size} px, {threads} threads, {device}\n\n{frame.to_markdown(index=False, floatfmt='.2f')}\n")

    by_size = pd.DataFrame(
        [
            {"longest side": side, **{way: np.median(run(way, side, count)["seconds"][1:]) for way in ("default IA", "fixed")}}
            for side in (256, 384, 512, 768, 1024)
        ]
    )
    typer.echo(f"{by_size.to_markdown(index=False, floatfmt='.3f')}\n")
    by_clicks = pd.DataFrame({way: run(way, size, 30)["seconds"] for way in ("default IA", "fixed")}).iloc[1:]
    by_clicks.index.name = "clicks"
    typer.echo(by_clicks.groupby((by_clicks.index - 1) // 5 * 5 + 5).median().to_markdown(floatfmt=".3f"))
    if plot is not None:
        import matplotlib.pyplot as plt

        figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True, layout="constrained")
        for way in ("default IA", "fixed"):
            left.plot(by_size["longest side"] ** 2 / 1e6, by_size[way], marker="o", label=way)
            right.plot(by_clicks.index, by_clicks[way], label=way)
        left.set(xlabel="megapixels of a square image at this longest side", ylabel="seconds a click", ylim=(0, None))
        right.set(xlabel=f"clicks so far ({size} px)")
        left.legend()
        figure.savefig(plot, dpi=120)


if __name__ == "__main__":
    typer.run(main)
