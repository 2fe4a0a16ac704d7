"""What zoom, the share of the whole image in the answer, and the weight of its looks are worth: clicks on the tuning sets.

`ratio` is the mean over the sets of clicks divided by those of the first row. What has been measured stays in --out.

    python benchmarks/zoom.py --context 0 --context 0.3 --context 0.5
    python benchmarks/zoom.py --mode IA --appearance 0 --appearance 0.5
"""

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pandas as pd
import torch
import typer
from tune_adaptation import SETS, measure, objects, ranked

import ilsegkit as ils
from ilsegkit.adaptation import named_adaptation
from ilsegkit.evaluation import fingerprint

VARIED = ("zoom", "context", "appearance")


def main(
    zoom: Annotated[list[float], typer.Option(help="0 for none; as stored with the weights if left out")] = [],  # noqa: B006
    context: Annotated[list[float], typer.Option(help="as stored if left out")] = [],  # noqa: B006
    appearance: Annotated[list[float], typer.Option(help="as stored if left out")] = [],  # noqa: B006
    mode: Annotated[str, typer.Option(help="none, IA, SA or IA+SA")] = "none",
    data: Path = Path("../shared/data"),
    weights: Path | None = None,
    count: Annotated[int, typer.Option(help="objects of each set")] = 60,
    skip: Annotated[int, typer.Option(help="leave out so many first: other objects")] = 0,
    out: Path = Path("runs/zoom"),
    threads: int = 1,
) -> None:
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    model = ils.load_model(weights, "cpu")
    stored, of, chosen, rows = model.config, fingerprint(model), objects(data, count, skip), []
    for enlarged, share, weight in itertools.product(
        zoom or [stored.zoom or 0.0], context or [stored.context], appearance or [stored.appearance]
    ):
        values = {"mode": mode, "zoom": enlarged, "context": share, "appearance": weight}
        path = out / f"{of}_{'_'.join(map(str, values.values()))}_{count}_{skip}.json"
        if not path.is_file():
            model.config = replace(stored, zoom=enlarged or None, context=share, appearance=weight)
            row = values | measure(model, named_adaptation(mode, model.adaptation), chosen, 20)
            path.write_text(json.dumps(row))
        rows.append(json.loads(path.read_text()))
    frame = pd.DataFrame(rows)
    shown = ranked(frame, frame.index == 0)[["mode", *VARIED, "ratio", *SETS, "IoU@1", "IoU@2", "IoU@5", "respected"]]
    typer.echo(shown.to_markdown(index=False, floatfmt=".3f"))


if __name__ == "__main__":
    typer.run(main)
