"""Fixed / IA / SA / IA+SA on the synthetic scenes, which need no network. Never to be mixed with results on real sets.

Records stay in --out: a stopped run goes on, and a second process can do other sequences at the same time. The table is printed
from all that is there.

    python benchmarks/scenes.py
    python benchmarks/scenes.py --names scenes-fundus --modes none --modes SA --most 30
"""

from pathlib import Path
from typing import Annotated

import torch
import typer
from tables import clicks_table, refuse_unknown

import ilsegkit as ils
from ilsegkit.adaptation import MODES
from ilsegkit.data import SEQUENCES, open_sequence, sequences

NAMES = [spec.name for spec in sequences("offline")]


def main(
    names: Annotated[list[str], typer.Option(help="which sequences")] = NAMES,
    modes: Annotated[list[str], typer.Option(help="which ways to segment")] = list(MODES),  # noqa: B006
    weights: Path | None = None,
    most: Annotated[int, typer.Option(help="objects of each sequence at most")] = 20,
    seed: int = 0,
    out: Path = Path("runs/scenes"),
    threads: int = 1,
) -> None:
    refuse_unknown(names, NAMES)
    refuse_unknown(modes, MODES)
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    model = ils.load_model(weights, "cpu")
    for name in names:
        objects = open_sequence(name, seed, most=most)
        for mode in modes:
            typer.echo(f"{name}, {mode}")
            ils.evaluate(objects, ils.Session(model, mode), SEQUENCES[name].target_iou, records=out / f"{name}_{mode}.jsonl")
    targets = {name: SEQUENCES[name].target_iou for name in NAMES}
    typer.echo(clicks_table(out, targets, "synthetic sequence").to_markdown(index=False, floatfmt=".2f"))


if __name__ == "__main__":
    typer.run(main)
