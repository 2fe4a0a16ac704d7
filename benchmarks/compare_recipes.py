"""What a choice in training is worth: short trainings that differ in one thing, by the fixed model's clicks on the tuning sets.

Each starts from ImageNet weights and has a folder of its own in --out, so a stopped comparison goes on. The recipe again with
other seeds shows how much is chance. Short ones say what helps early; on a GPU, give --iterations and --batch as for real.

    python benchmarks/compare_recipes.py --seed 1 --loss ce --paste 0 --first-stage 0.5 --average 0
"""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import pandas as pd
import torch
import typer
from tune_adaptation import SETS, measure, objects, ranked

import ilsegkit as ils
from ilsegkit.adaptation import Adaptation
from ilsegkit.model import pick_device
from ilsegkit.training import Recipe, imagenet_encoder, train


def table(out: Path) -> pd.DataFrame:
    """What has been trained as long as the unchanged recipe, best first.

    `ratio` is the mean over the sets of clicks divided by the unchanged recipe's.
    """
    frame = pd.DataFrame([json.loads(path.read_text()) for path in sorted(out.glob("*/clicks.json"))])
    for name in ("iterations", "batch", "objects"):
        frame = frame[frame[name] == frame.loc[frame["changed"] == "nothing", name].iloc[0]]
    return ranked(frame, frame["changed"] == "nothing")


def main(
    loss: list[str] = [],  # noqa: B006  (typer copies)
    paste: list[float] = [],  # noqa: B006
    first_stage: list[float] = [],  # noqa: B006
    average: list[float] = [],  # noqa: B006
    size: list[int] = [],  # noqa: B006
    rate: list[float] = [],  # noqa: B006
    seed: list[int] = [],  # noqa: B006
    preset: Annotated[list[str], typer.Option(help="as in `ilsegkit train`")] = [],  # noqa: B006
    iterations: int = 300,
    batch: int = 8,
    data: Path = Path("../shared/data"),
    count: Annotated[int, typer.Option(help="objects of each tuning set")] = 20,
    out: Path = Path("runs/recipes"),
    workers: int = 1,
    threads: int = 1,
    device: str | None = None,
) -> None:
    torch.set_num_threads(threads)
    # The bundled weights' recipe, but for length and batch; the average reaches back a tenth of the length.
    base = Recipe(iterations, batch, 320, first_stage=0.157, paste=0.15, average=max(0.0, 1 - 10 / iterations))
    values = {
        "loss": loss,
        "paste": paste,
        "first_stage": first_stage,
        "average": average,
        "size": size,
        "rate": rate,
        "seed": seed,
    }
    tries = {"nothing": ("lite", base)}
    tries |= {f"{name} {value}": ("lite", replace(base, **{name: value})) for name, given in values.items() for value in given}
    tries |= {f"preset {name}": (name, base) for name in preset}
    folders = [ils.FolderDataset(path) for path in sorted((data / "train").iterdir()) if (path / "images").is_dir()]
    chosen = objects(data, count)
    for changed, (name, recipe) in tries.items():
        folder = out / changed.replace(" ", "_").replace(":", "_")
        done, about = folder / "clicks.json", {"changed": changed, **asdict(recipe), "objects": count}
        if done.is_file() and about.items() <= json.loads(done.read_text()).items():
            continue
        torch.manual_seed(recipe.seed)
        model = ils.InteractiveSegmenter(name)
        if not (folder / "checkpoint.pt").is_file():
            model.start_from(imagenet_encoder(model))
        model = train(model.to(pick_device(device)), folders, folder, recipe, workers=workers)
        done.write_text(json.dumps(about | measure(model.to("cpu"), Adaptation(), chosen, 20)))
    found = table(out)
    shown = found[["changed", *SETS, "IoU@1", "IoU@5", *(["ratio"] if "ratio" in found else [])]]
    typer.echo(shown.to_markdown(index=False, floatfmt=".2f"))


if __name__ == "__main__":
    typer.run(main)
