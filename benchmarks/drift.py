"""Does SA drift? Hundreds of objects of mixed classes and domains in a row, clicks by hundreds, beside the fixed model.

Nothing repeats in such a sequence, so there is little to gain; what is asked is that nothing is lost. For reporting only.

    python benchmarks/drift.py
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import torch
import typer
from real_sets import dataset
from torch.utils.data import ConcatDataset, Subset

import ilsegkit as ils

SETS = ("coco-val-100", "horses", "davis2016-val-10pct", "nuclei-60", "aerial-buildings-130", "grabcut-20")
BLOCK = 100


def main(
    modes: Annotated[list[str], typer.Option(help="which ways to segment")] = ["none", "SA"],  # noqa: B006  (typer copies)
    count: Annotated[int, typer.Option(help="objects in all")] = 500,
    target: Annotated[float, typer.Option(help="IoU aimed at, for all alike")] = 0.85,
    data: Path = Path("../shared/data"),
    out: Path = Path("runs/drift"),
    threads: int = 1,
) -> None:
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    objects = ConcatDataset([dataset(name, data, most=count) for name in SETS])
    order = np.random.default_rng(0).permutation(len(objects))[:count]
    count = len(order)
    model, rows = ils.load_model(device="cpu"), {}
    for mode in modes:
        session = ils.Session(model, mode)
        results = ils.evaluate(Subset(objects, order.tolist()), session, target, records=out / f"{mode}.jsonl")
        parts = [ils.Results(results.records[k : k + BLOCK], target, results.max_clicks) for k in range(0, count, BLOCK)]
        rows["fixed" if mode == "none" else mode] = [*(part.clicks_at() for part in parts), results.clicks_at()]
    blocks = [f"{k + 1}-{min(k + BLOCK, count)}" for k in range(0, count, BLOCK)]
    typer.echo(pd.DataFrame(rows, [*blocks, "all"]).T.to_markdown(floatfmt=".2f"))


if __name__ == "__main__":
    typer.run(main)
