"""Choose the settings of IA or SA for a model on the tuning sets, never on a test set.

Every combination of the values given is tried on the same objects of every set; the fixed model is the baseline. What has
been measured stays in --out, so a search can be stopped, gone on with, and widened. Each process does the combinations
that no other has begun: start one for each core.

    python benchmarks/tune_adaptation.py IA --rate 1e-5 --rate 3e-5 --steps 5 --scope decoder

What is not given is as stored with the weights. With --alone, each value is tried with all else as stored, and --plot
draws how much each setting matters.

    python benchmarks/tune_adaptation.py SA --alone --rate 1e-5 --rate 4e-5 --keep 1 --plot benchmarks/sensitivity_sa.png
"""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import torch
import typer
from tables import refuse_unknown

import ilsegkit as ils
from ilsegkit.adaptation import Adaptation, Settings, named_adaptation
from ilsegkit.evaluation import fingerprint

SETS = ("food_plates", "butterflies", "facades", "em_membranes")
TARGET = 0.85


def objects(data: Path, count: int, skip: int = 0) -> dict[str, list[ils.Sample]]:
    """The same objects for every combination: at least 0.3% of the image, in a fixed random order, after the first `skip`."""
    chosen = {}
    for name in SETS:
        dataset = ils.FolderDataset(data / "tune" / name, smallest=0.003)
        order = np.random.default_rng(0).permutation(len(dataset))[skip : skip + count]
        chosen[name] = [dataset[int(i)] for i in order]
    return chosen


def measure(
    model: ils.InteractiveSegmenter, adaptation: Adaptation, chosen: dict[str, list[ils.Sample]], most: int
) -> dict[str, float]:
    """Mean clicks to reach the target on each set, IoU after 1, 2 and 5 clicks and respected clicks over all of them."""
    results = {
        name: ils.evaluate(samples, ils.Session(model, adaptation), TARGET, most, progress=False)
        for name, samples in chosen.items()
    }
    row = {name: r.clicks_at() for name, r in results.items()}
    for label, value in {
        "IoU@1": lambda r: r.iou_at(1),
        "IoU@2": lambda r: r.iou_at(2),
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
    return ranked(frame, frame["mode"] == "none")


def ranked(frame: pd.DataFrame, reference: pd.Series) -> pd.DataFrame:
    """With a column `ratio`, the mean over the sets of clicks divided by the reference row's, and sorted by it."""
    if not reference.any():
        return frame
    clicks = frame[list(SETS)].astype(float)
    return frame.assign(ratio=(clicks / clicks[reference].iloc[0]).mean(axis=1)).sort_values("ratio")


def grid(stored: Settings, values: Mapping[str, Sequence], alone: bool) -> list[Settings]:
    """The stored settings, changed to every combination of the values, or to one of them at a time."""
    values = {name: given for name, given in values.items() if given}
    if alone:
        return [stored, *(replace(stored, **{name: value}) for name, given in values.items() for value in given)]
    return [replace(stored, **dict(zip(values, some, strict=True))) for some in itertools.product(*values.values())]


def plot(frame: pd.DataFrame, mode: str, stored: Settings, path: Path) -> None:
    """Clicks against the fixed model's when one setting is changed and all else is as stored; the ring is what is stored."""
    import matplotlib.pyplot as plt

    frame = frame[frame["mode"] == mode].fillna({"confident": 0.0})
    names = [field.name for field in fields(Settings)]
    centre = {name: value or 0.0 if name == "confident" else value for name, value in asdict(stored).items()}
    alone = {
        name: frame[
            (frame[[n for n in names if n != name]] == pd.Series({n: v for n, v in centre.items() if n != name})).all(axis=1)
        ]
        for name in names
    }
    alone = {name: rows.sort_values(name) for name, rows in alone.items() if len(rows) > 1}
    figure, axes = plt.subplots(1, len(alone), figsize=(2.3 * len(alone) + 0.6, 2.7), sharey=True, layout="constrained")
    for ax, (name, rows) in zip(np.atleast_1d(axes), alone.items(), strict=True):
        labels = [value if isinstance(value, str) else f"{value:g}" for value in rows[name]]
        ax.plot(labels, rows["ratio"], "o-", color="#0072b2", markersize=4)
        chosen = list(rows[name]).index(centre[name])
        ax.plot(chosen, rows["ratio"].iloc[chosen], "o", markersize=11, markerfacecolor="none", color="#d55e00")
        ax.axhline(1, color="grey", linestyle=":", linewidth=1)
        ax.set_xlabel({"lam": "λ", "gamma": "γ"}.get(name, name))
        ax.tick_params(axis="x", labelsize=8)
    np.atleast_1d(axes)[0].set_ylabel("clicks / fixed model's")
    figure.savefig(path, dpi=110)


def main(
    mode: Annotated[str, typer.Argument(help="IA or SA")],
    rate: list[float] = [],  # noqa: B006  (typer copies)
    steps: list[int] = [],  # noqa: B006
    lam: list[float] = [],  # noqa: B006
    gamma: list[float] = [],  # noqa: B006
    keep: Annotated[list[float], typer.Option(help="of SA alone")] = [],  # noqa: B006
    confident: Annotated[list[float], typer.Option(help="0 for never stopping early")] = [],  # noqa: B006
    scope: list[str] = [],  # noqa: B006
    alone: Annotated[bool, typer.Option("--alone", help="change one setting at a time")] = False,
    plot_to: Annotated[Path | None, typer.Option("--plot", help="draw how much each setting matters")] = None,
    data: Path = Path("../shared/data"),
    weights: Path | None = None,
    count: Annotated[int, typer.Option(help="objects of each set")] = 12,
    skip: Annotated[int, typer.Option(help="leave out so many first: other objects")] = 0,
    max_clicks: Annotated[int, typer.Option(min=5, help="for each object")] = 20,
    out: Path = Path("runs/tune"),
    threads: int = 1,
) -> None:
    refuse_unknown([mode], ("IA", "SA"))
    if plot_to is not None and not alone:
        raise typer.BadParameter("--plot shows what one setting does while all else is as stored: give --alone, too")
    if keep and mode == "IA":
        raise typer.BadParameter("IA is shown all clicks: there is no --keep")
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    model = ils.load_model(weights, "cpu")
    measured = f"{count} objects of each set, after the first {skip}, at most {max_clicks} clicks, model {fingerprint(model)}"
    about = out / "about.txt"
    if about.exists() and about.read_text() != measured:
        raise typer.BadParameter(f"{out} is about {about.read_text()}; give another --out")
    about.write_text(measured)
    which = {"IA": "image", "SA": "sequence"}[mode]
    stored = getattr(named_adaptation(mode, model.adaptation), which)
    values = {"rate": rate, "steps": steps, "lam": lam, "gamma": gamma, "keep": keep, "scope": scope}
    settings = grid(stored, {**values, "confident": [value or None for value in confident]}, alone)
    chosen = objects(data, count, skip)
    for name, given in [("none", None), *((mode, one) for one in settings)]:
        values = {} if given is None else asdict(given)
        path = out / ("_".join([name, *(f"{k}={v}" for k, v in values.items())]) + ".json")
        try:
            path.open("x").close()  # this combination is ours
        except FileExistsError:
            if not path.stat().st_size:
                typer.echo(f"left to the process that has begun it; if there is none, remove {path}", err=True)
            continue
        try:
            adaptation = Adaptation() if given is None else Adaptation(**{which: given})
            row = {"mode": name, **values, **measure(model, adaptation, chosen, max_clicks)}
        except BaseException:
            path.unlink()
            raise
        path.write_text(json.dumps(row))
        typer.echo(json.dumps(row))
    found = table(out)
    shown = found.map(lambda value: value if isinstance(value, str) else "" if pd.isna(value) else f"{value:.3g}")
    typer.echo(shown.to_markdown(index=False, disable_numparse=True))
    if plot_to is not None:
        plot(found, mode, stored, plot_to)


if __name__ == "__main__":
    typer.run(main)
