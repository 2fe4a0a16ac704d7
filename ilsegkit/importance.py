"""Ω of Eq. 3: which parameters the initial model needs (Memory-Aware Synapses, Aljundi et al., ECCV 2018).

The importance of a parameter is the mean absolute gradient, over training images with clicks, of the squared L2 norm of
the network's output. It is then divided by its mean over all parameters. So Eq. 3 is the squared distance to the initial
parameters with weights of mean 1, whatever the size of the output or the range of the logits, and γ means the same for
every model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from .clicks import sample_clicks
from .data.sample import Sample
from .errors import DataError
from .evaluation import fingerprint
from .frame import Frame
from .model import InteractiveSegmenter

__all__ = ["estimate_importance"]


def estimate_importance(
    model: InteractiveSegmenter,
    dataset: Sequence[Sample],
    most: int | None = None,
    seed: int = 0,
    checkpoint: str | PathLike[str] | None = None,
    every: int = 50,
) -> dict[str, Tensor]:
    """Importance of each parameter for what the model has learned.

    Parameters
    ----------
    model : InteractiveSegmenter
        Its parameters are not changed.
    dataset : sequence of Sample
        The objects it was trained on.
    most : int, optional
        Use a random choice of this many.
    seed : int, optional
        For that choice and for the clicks.
    checkpoint : path, optional
        A file that keeps the state every so many objects, and from which the work goes on if it is of the same model and
        objects. It is removed at the end.
    every : int, optional
        Objects between checkpoints.

    Returns
    -------
    dict of name to Tensor
        Shapes of the parameters, float32, >= 0, mean 1 over all of them.

    Raises
    ------
    DataError
        If the data set is empty, no gradient comes through, or the checkpoint is of something else.
    """
    count = min(len(dataset), most or len(dataset))
    if count == 0:
        raise DataError("there is no object to compute the importance from")
    order = np.random.default_rng(seed).permutation(len(dataset))[:count]
    was_training = model.training
    model.eval()
    total = {name: torch.zeros_like(value) for name, value in model.named_parameters()}
    start = 0
    path = Path(checkpoint) if checkpoint is not None else None
    first = dataset[int(order[0])]
    content = hashlib.sha256(first.object_id.encode() + first.image.tobytes() + first.mask.tobytes()).hexdigest()
    about = {"seed": seed, "count": count, "objects": len(dataset), "first": content, "model": fingerprint(model)}
    if path is not None and path.is_file():
        try:
            state = torch.load(path, map_location=model.device, weights_only=True)
            made = state.get("about")
        except Exception as error:  # torch raises whatever its readers raise
            raise DataError(f"{str(path)!r} cannot be read ({error!r:.100}); remove it to begin anew") from error
        if made != about:
            raise DataError(
                f"{str(path)!r} is of another model, other objects, another seed or number of them; remove it, or name "
                "another file"
            )
        start, total = state["next"], state["total"]
    try:
        for position in tqdm(range(start, count), initial=start, total=count, desc="importance", unit="object"):
            sample = dataset[int(order[position])]
            frame = Frame(sample.image, model)
            clicks = sample_clicks(sample.mask, np.random.default_rng([seed, position]), ignore=sample.ignore)
            model.zero_grad(set_to_none=True)
            model(frame.pixels, frame.guidance(clicks)).square().sum().backward()
            for name, value in model.named_parameters():
                if value.grad is not None:
                    total[name] += value.grad.abs()
            if path is not None and (position + 1) % every == 0:
                path.parent.mkdir(parents=True, exist_ok=True)
                scratch = path.with_suffix(".part")
                torch.save({"about": about, "next": position + 1, "total": total}, scratch)
                scratch.replace(path)
    finally:
        model.zero_grad(set_to_none=True)
        model.train(was_training)
    mean = sum(float(value.cpu().double().sum()) for value in total.values()) / sum(value.numel() for value in total.values())
    if not (np.isfinite(mean) and mean > 0):
        raise DataError("the gradients of the output are zero or not finite; is the model trained?")
    if path is not None:
        path.unlink(missing_ok=True)
    return {name: value / mean for name, value in total.items()}
