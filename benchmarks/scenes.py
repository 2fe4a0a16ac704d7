"""Fixed / IA / SA / IA+SA on the synthetic scenes, which need no network. Never to be mixed with results on real sets.

Records stay in --out: a stopped run goes on, and a second process can do other sequences at the same time. The table is printed
from all that is there.

    python benchmarks/scenes.py
    python benchmarks/scenes.py --names scenes-fundus --modes none --modes SA --most 30
"""

from pathlib import Path
from typing import Annotated

import pandas as pd
import torch
import typer

import ilsegkit as ils
from ilsegkit.adaptation import MODES
from ilsegkit.data import SEQUENCES, open_sequence, sequences

NAMES = [spec.name for spec in sequences("offline")]


def table(out: Path) -> pd.DataFrame:
    """A row for each sequence and mode that has been measured; `change` is clicks against the fixed model's."""
    rows = []
    for name in NAMES:
        fixed = None
        for mode in MODES:
            path = out / f"{name}_{mode}.jsonl"
            if not path.is_file():
                continue
            frame = pd.read_json(path, lines=True)
            target = SEQUENCES[name].target_iou
            results = ils.Results(frame[1:].to_dict("records"), target, int(frame["max_clicks"][0]))
            half = ils.Results(results.records[len(results) // 2 :], target, results.max_clicks)
            clicks = results.clicks_at()
            fixed = clicks if mode == "none" else fixed
            rows.append(
                {
                    "synthetic sequence": f"{name} ({len(results)}) @{target:.0%}",
                    "mode": "fixed" if mode == "none" else mode,
                    "clicks": clicks,
                    "change": f"{clicks / fixed - 1:+.0%}" if fixed else "",
                    "2nd half": half.clicks_at(),
                    **{f"IoU@{k}": results.iou_at(k) for k in (1, 2, 4, 10)},
                    "respected": results.respected(),
                    "s/click": results.seconds_per_click(),
                }
            )
    return pd.DataFrame(rows)


def main(
    names: Annotated[list[str], typer.Option(help="which sequences")] = NAMES,
    modes: Annotated[list[str], typer.Option(help="which ways to segment")] = list(MODES),  # noqa: B006
    weights: Path | None = None,
    most: Annotated[int, typer.Option(help="objects of each sequence at most")] = 20,
    seed: int = 0,
    out: Path = Path("runs/scenes"),
    threads: int = 1,
) -> None:
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    model = ils.load_model(weights, "cpu")
    for name in names:
        objects = open_sequence(name, seed, most=most)
        for mode in modes:
            typer.echo(f"{name}, {mode}")
            ils.evaluate(objects, ils.Session(model, mode), SEQUENCES[name].target_iou, records=out / f"{name}_{mode}.jsonl")
    typer.echo(table(out).to_markdown(index=False, floatfmt=".2f"))


if __name__ == "__main__":
    typer.run(main)
