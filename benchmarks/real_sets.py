"""The table of the README: fixed / IA / SA / IA+SA on the real sets. For reporting only: nothing is chosen on these.

Records stay in --out: a stopped run goes on, and a second process can do other sets at the same time. The table is printed
from all that is there.

    python benchmarks/real_sets.py
    python benchmarks/real_sets.py --sets grabcut-20 --sets horses --modes none

With --literal, the bundled model's shortcuts against Algorithm 1 to the letter, on fewer objects: seconds a click, not tenths.

    python benchmarks/real_sets.py --literal --most 10 --out runs/real_literal

The network alone, without what the colours of the image say:

    python benchmarks/real_sets.py --appearance 0 --modes none --out runs/real_network
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import torch
import typer
from tables import LITERAL, clicks_table, refuse_unknown
from torch.utils.data import Subset

import ilsegkit as ils
from ilsegkit.adaptation import MODES, PAPER, Adaptation, named_adaptation


class Task(NamedTuple):
    """A set: a folder under the data, or a small set under ``mirror``; and the IoU aimed at (the paper's, per kind of set)."""

    target: float
    folder: str | None = None
    options: dict = {}  # noqa: RUF012  (never changed)


TASKS = {
    "grabcut-20": Task(0.90),
    "davis2016-val-10pct": Task(0.85),
    "coco-val-100": Task(0.85),
    "horses": Task(0.85, "eval/horses"),
    "fundus_disc": Task(0.90, "eval/fundus_disc"),
    "aerial-buildings-130": Task(0.80),
    "nuclei-60": Task(0.85, None, {"largest_each": True}),
}


# For ten steps on all parameters; chosen on the tuning sets (benchmarks/results.md).
LITERAL_RATE = 1e-5


def adaptation(name: str, model: ils.InteractiveSegmenter) -> Adaptation:
    """A mode with the settings stored with the weights; of the literal ones, IA does the paper's steps on all parameters."""
    stored = named_adaptation(name.removeprefix("literal "), model.adaptation)
    if stored.image is None or name in MODES:
        return stored
    return replace(stored, image=replace(stored.image, steps=PAPER["IA"].steps, rate=LITERAL_RATE, scope="all"))


def dataset(name: str, data: Path, most: int):
    """Up to `most` objects of a set, in a fixed random order, so that classes and videos are mixed."""
    task = TASKS[name]
    if task.folder is not None:
        objects = ils.FolderDataset(data / task.folder, **task.options)
    else:
        objects = ils.open_small_set(name, data / "mirror", **task.options)
    return Subset(objects, np.random.default_rng(0).permutation(len(objects))[:most].tolist())


def main(
    sets: Annotated[list[str], typer.Option(help="which sets")] = list(TASKS),  # noqa: B006  (typer copies)
    modes: Annotated[list[str], typer.Option(help="which ways to segment")] = list(MODES),  # noqa: B006
    literal: Annotated[bool, typer.Option("--literal", help="the literal ways, too")] = False,
    data: Path = Path("../shared/data"),
    weights: Path | None = None,
    most: Annotated[int, typer.Option(help="objects of each set at most")] = 30,
    appearance: Annotated[
        float | None, typer.Option(help="weight of the image's colours and textures; as stored if left out")
    ] = None,
    out: Path = Path("runs/real_sets"),
    threads: int = 1,
) -> None:
    refuse_unknown(sets, TASKS)
    refuse_unknown(modes, [*MODES, *LITERAL])
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    model = ils.load_model(weights, "cpu")
    if appearance is not None:
        model.config = replace(model.config, appearance=appearance)
    for name in sets:
        objects = dataset(name, data, most)
        for mode in [*modes, *(LITERAL if literal else ())]:
            typer.echo(f"{name}, {mode}")
            ils.evaluate(
                objects, ils.Session(model, adaptation(mode, model)), TASKS[name].target, records=out / f"{name}_{mode}.jsonl"
            )
    targets = {name: task.target for name, task in TASKS.items()}
    typer.echo(clicks_table(out, targets, "set").to_markdown(index=False, floatfmt=".2f"))


if __name__ == "__main__":
    typer.run(main)
