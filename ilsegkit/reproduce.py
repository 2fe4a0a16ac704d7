"""``ilsegkit reproduce``: an experiment of the paper without a notebook."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from .data.commands import stopped
from .errors import MissingExtraError

__all__ = ["reproduce"]


def reproduce(
    experiment: Annotated[str, typer.Argument(help="table1, table2, table3, table4 or ablation.")],
    profile: Annotated[str, typer.Option(help="offline (synthetic), small (small real sets) or paper.")] = "offline",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for records, table and figure; a stopped run goes on from it. ILSEGKIT_RESULTS or runs/experiments "
            "if left out."
        ),
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Where the data sets lie; else ILSEGKIT_DATA and the cache.")] = None,
    sequence: Annotated[list[str] | None, typer.Option(help="Only this sequence; may be given several times.")] = None,
    most: Annotated[int | None, typer.Option(min=1, help="Objects of each sequence at most.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Which objects, and in which order.")] = 0,
    weights: Annotated[Path | None, typer.Option(help="Weights file; the bundled one if left out.")] = None,
    device: Annotated[str | None, typer.Option(help="cuda, mps or cpu; the best there is if left out.")] = None,
) -> None:
    """Run an experiment of the paper; print the paper's rows and ours, save the table and the figure."""
    from .experiments import results_folder, run
    from .model import load_model

    if find_spec("matplotlib") is None:
        raise MissingExtraError("the figures need matplotlib", "lab")
    own = weights is not None or profile != "paper"
    model = load_model(weights, device) if own else None
    with stopped(f"every finished object is kept in {results_folder(out)}: the same command goes on"):
        report = run(experiment, profile, model, out, root, sequence, most, seed)
    table, figure = report.save(results_folder(out) / profile, experiment)
    typer.echo(f"{report}\n\nClicks saved per object, with 95% intervals\n{report.savings().to_string()}\n")
    typer.echo(f"saved: {table}, {figure}")
