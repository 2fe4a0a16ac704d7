"""The command line: ``ilsegkit segment | replay | reproduce | evaluate | train | importance | data``."""

from __future__ import annotations

import io
import json
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from .data.commands import app as data_app
from .data.commands import stopped, told
from .errors import DataError
from .reproduce import reproduce

__all__ = ["app"]

app = typer.Typer(
    help="Interactive object segmentation that learns from corrections.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data_app, name="data")

Weights = Annotated[Path | None, typer.Option(help="Weights file; the bundled one if left out.")]
Device = Annotated[str | None, typer.Option(help="cuda, mps or cpu; the best there is if left out.")]
Adapt = Annotated[str, typer.Option(help="none, IA, SA or IA+SA.")]


def _tell_version(wanted: bool) -> None:
    if wanted:
        from . import __version__

        typer.echo(f"ilsegkit {__version__}")
        raise typer.Exit


@app.callback()
def _setup(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Tell the version.")
    ] = False,
) -> None:
    for stream in (sys.stdout, sys.stderr):  # a pipe on Windows may know no Greek
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    logging.basicConfig(level=logging.INFO, format="%(message)s")


@app.command()
@told()
def segment(
    image: Annotated[Path, typer.Argument(help="The image to segment.")],
    clicks: Annotated[
        str, typer.Option(help="In image pixels: 'x,y,1' for the object, 'x,y,0' for the background; or a .json of the widget.")
    ],
    out: Annotated[Path, typer.Option(help="The mask to write, a PNG of 0 and 255.")],
    adapt: Adapt = "IA",
    weights: Weights = None,
    device: Device = None,
) -> None:
    """Segment an object of an image from a list of clicks, without a window."""
    from .images import read_image, write_mask
    from .model import load_model
    from .records import read_clicks
    from .session import Session

    if out.suffix.lower() != ".png":
        raise DataError(f"masks are written as PNG; name it {str(out.with_suffix('.png'))!r}")
    if not out.parent.is_dir():
        raise DataError(f"there is no folder {str(out.parent)!r} to write the mask to; make it first")
    pixels = read_image(image)
    if out.exists() and out.samefile(image):
        raise DataError(f"{str(out)!r} is the image itself, and the mask would take its place; name another file")
    record = read_clicks(clicks, pixels.shape[:2])
    session = Session(load_model(weights, device), adapt)
    session.set_image(pixels)
    for click in record.clicks:
        session.click(*click)
        if session.notice:
            typer.echo(session.notice, err=True)
    if record.start is not None and record.seeds:
        typer.echo("the mask that the object was started from is left out; 'ilsegkit replay' takes it into account", err=True)
    mask, count = session.probability > record.threshold, len(record.clicks)
    write_mask(out, mask)
    typer.echo(f"{out}: {mask.sum()} of {mask.size} pixels, {count} click{'s' * (count != 1)}")


@app.command()
@told()
def replay(
    folder: Annotated[Path, typer.Argument(help="A folder of annotations, as the widget saves them.")],
    out: Annotated[Path, typer.Option(help="Folder for what comes of it, in the same form.")],
    images: Annotated[Path | None, typer.Option(help="Folder with the images; where they were if left out.")] = None,
    adapt: Annotated[str | None, typer.Option(help="none, IA, SA or IA+SA; as it was if left out.")] = None,
    weights: Weights = None,
    device: Device = None,
) -> None:
    """Make every click of a folder of annotations again, and compare the masks."""
    from .model import load_model
    from .replay import replay as run
    from .session import Session

    results = run(folder, out, Session(load_model(weights, device), "none"), images, adapt)
    for result in results:
        clicks = f"{result.clicks} click{'s' * (result.clicks != 1)}"
        typer.echo(f"{result.number}: {result.name}, {clicks}, IoU {result.iou:.3f} with the saved mask")
    typer.echo(f"{out}: {len(results)} objects, mean IoU {sum(r.iou for r in results) / len(results):.3f}")


app.command()(told()(reproduce))


@app.command()
@told()
def evaluate(
    data: Annotated[str, typer.Argument(help="A folder with images/ and masks/, or a data set that 'ilsegkit data' got.")],
    root: Annotated[Path | None, typer.Option(help="A folder that holds one of the small sets, whole or in part.")] = None,
    adapt: Adapt = "none",
    target: Annotated[float, typer.Option(min=0.0, max=1.0, help="IoU at which an object is good enough.")] = 0.85,
    max_clicks: Annotated[int, typer.Option(min=1, help="Most clicks an object gets.")] = 20,
    rule: Annotated[str, typer.Option(help="Robot user: paper or ritm.")] = "paper",
    records: Annotated[Path | None, typer.Option(help="File for the records; the evaluation goes on from it.")] = None,
    weights: Weights = None,
    device: Device = None,
) -> None:
    """Let the robot user segment a data set; print clicks and IoU."""
    from .data import FolderDataset, load_manifest, open_dataset, open_small_set
    from .evaluation import evaluate as run
    from .model import load_model
    from .session import Session

    if root is not None:
        dataset = open_small_set(data, root)
    else:
        dataset = open_dataset(data) if data in load_manifest() and not Path(data).exists() else FolderDataset(data)
    session = Session(load_model(weights, device), adapt)
    kept = "nothing is kept; name a file with --records, and an evaluation goes on from it"
    with stopped(f"every finished object is kept in {records}: the same command goes on" if records else kept):
        results = run(dataset, session, target, max_clicks, rule, records)
    shown = [k for k in (1, 2, 4, 10) if k <= max_clicks]
    columns = {f"clicks@{100 * target:g}%": results.clicks_at(), **{f"IoU@{k}": results.iou_at(k) for k in shown}}
    columns |= {"respected": results.respected(), "s/click": results.seconds_per_click()}
    reached = sum(max(record["iou"], default=0.0) >= target for record in results.records)
    numbers = ", ".join(f"{name} {value:.3f}" for name, value in columns.items())
    typer.echo(f"{len(results)} objects, {adapt}, {reached} reached {100 * target:g}%: {numbers}")


@app.command()
@told()
def train(
    data: Annotated[list[Path], typer.Argument(help="Folders with images/ and masks/.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoint, log and model; training goes on from it.")],
    preset: Annotated[
        str | None,
        typer.Option(
            help="Of a new network: lite, as if left out, paper, or ARCHITECTURE:ENCODER of segmentation models pytorch."
        ),
    ] = None,
    start: Annotated[
        str,
        typer.Option(
            help="Of the encoder: imagenet (needs the extra 'train') or random; bundled, or a weights file, to train further."
        ),
    ] = "imagenet",
    iterations: Annotated[int, typer.Option(min=1, help="Steps of the optimiser.")] = 4200,
    batch: Annotated[int, typer.Option(min=2, help="Crops a step.")] = 8,
    size: Annotated[int, typer.Option(min=32, help="Side of the crops in pixels.")] = 256,
    first_stage: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of the iterations with sampled clicks.")] = 0.35,
    rate: Annotated[
        float, typer.Option(help="Peak learning rate, reached after 200 steps, of the decoder; the encoder has less.")
    ] = 1e-3,
    loss: Annotated[str, typer.Option(help="focal, or ce for Eq. 1.")] = "focal",
    paste: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of objects pasted over other crops.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Decides the crops and clicks.")] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Processes that read images, and as many that find clicks.")] = 1,
    device: Device = None,
) -> None:
    """Train the initial model in two stages: sampled clicks, then iterative ones."""
    import torch

    from .data import FolderDataset
    from .evaluation import fingerprint
    from .model import PRESETS, InteractiveSegmenter, load_model, pick_device
    from .training import Recipe, imagenet_encoder
    from .training import train as run

    new = start in ("imagenet", "random")
    if preset is not None and not new:
        raise DataError("--preset is for a new network; the weights of --start have one of their own, so leave it out")
    recipe = Recipe(iterations, batch, size, first_stage, rate=rate, loss=loss, paste=paste, seed=seed)
    folders = [FolderDataset(folder) for folder in data]
    torch.manual_seed(seed)
    model = InteractiveSegmenter(preset or "lite") if new else load_model(None if start == "bundled" else start, "cpu")
    if start == "imagenet" and not (out / "checkpoint.pt").is_file():
        model.start_from(imagenet_encoder(model))
    begun = start if new else fingerprint(model)
    if new and model.config == PRESETS["lite"]:
        model.adaptation = load_model(device="cpu").adaptation  # chosen for such a network, as the paper's are not
    with stopped(f"there is a checkpoint in {out}, a minute old at most, if it came that far: the same command goes on"):
        run(model.to(pick_device(device)), folders, out, recipe, workers=workers, start=begun)
    typer.echo(f"{out / 'model.safetensors'}: done; give it an importance with 'ilsegkit importance'")


@app.command()
@told()
def importance(
    data: Annotated[list[Path], typer.Argument(help="The folders the model was trained on.")],
    weights: Annotated[Path, typer.Option(help="Weights file.")],
    out: Annotated[Path, typer.Option(help="Weights file to write, with the importance in it.")],
    most: Annotated[
        int, typer.Option(min=1, help="Use a random choice of this many objects of each folder; folders count alike.")
    ] = 60,
    adaptation: Annotated[
        Path | None, typer.Option(help="JSON with adaptation settings to store, as adaptation.json in benchmarks is.")
    ] = None,
    half: Annotated[bool, typer.Option(help="Store in 16 bits, for handing out.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Decides the objects and clicks.")] = 0,
    device: Device = None,
) -> None:
    """Compute the importance of each parameter (Eq. 3) and store it with the weights."""
    from .adaptation import named_adaptation
    from .data import FolderDataset
    from .importance import estimate_importance
    from .model import load_model, save_model

    model = load_model(weights, device)
    out.parent.mkdir(parents=True, exist_ok=True)  # what is wrong with it is told now, not after the work
    if out.is_dir():
        raise DataError(f"{str(out)!r} is a folder; name the weights file to write")
    folders = [FolderDataset(folder) for folder in data]
    if adaptation is not None:
        try:
            model.adaptation = json.loads(adaptation.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(
                f"{str(adaptation)!r} is no valid JSON ({error}); give a file like benchmarks/adaptation.json"
            ) from error
        named_adaptation("IA+SA", model.adaptation)  # tells now, not when the weights are used, what does not fit
    total: dict = {}
    with stopped(
        f"what was done of the folder at hand is kept beside {out}, but for up to 50 objects: the same command goes on, after "
        "the folders before it"
    ):
        for number, folder in enumerate(folders):
            checkpoint = out.with_name(f".{out.name}.{number}.{data[number].name}.importance")
            part = estimate_importance(model, folder, most, seed, checkpoint)
            total = {name: total.get(name, 0) + value / len(folders) for name, value in part.items()}
    model.importance = total
    save_model(out, model, half)
    typer.echo(f"{out}: importance of {len(total)} tensors stored")
