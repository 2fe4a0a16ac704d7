"""Learning from corrections: Eq. 4 by Adam, for one image (Algorithm 1) and for a sequence (sections 3.2.1 to 3.2.3).

With the paper's `Settings` this is the literal version: all parameters, every step a full forward and backward pass. With
``scope="decoder"`` the encoder stays as it is, and its features, which take most of the time, are computed once.

Single-image and image-sequence adaptation are the same steps on the same loss; they differ in where they start, in how many
clicks the network is shown, and in what becomes of the result, which is for `ilsegkit.session` to decide.

Batch norm's statistics never move: the model stays in evaluation mode, and gradients flow through it all the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .allocator import keeping_large_blocks
from .appearance import Looks
from .clicks import Click
from .errors import DataError, check_ranges
from .frame import Frame
from .losses import adaptation_loss, forgetting_loss
from .model import InteractiveSegmenter

__all__ = ["MODES", "PAPER", "Adaptation", "Outcome", "Settings", "adapt", "kept_clicks", "named_adaptation"]

#: Names of the four ways to segment, as in the paper's tables. ``"none"`` is the initial model, held fixed.
MODES = ("none", "IA", "SA", "IA+SA")

#: Called before every step with its number, from 0, and how many there may be; False stops, keeping what was learned.
OnStep = Callable[[int, int], bool | None]

#: Called once, before anything is learned, with the network's first answer: logits, frame.size.
OnPrediction = Callable[[Tensor], object]


#: Names of the parameters that learn begin with one of these.
SCOPES = {"all": ("",), "decoder": ("network.decoder.", "network.segmentation_head.")}


@dataclass(frozen=True)
class Settings:
    """How to adapt.

    Attributes
    ----------
    steps : int
        Adam steps on Eq. 4, k in Algorithm 1.
    rate : float
        Learning rate.
    lam, gamma : float
        λ and γ of Eq. 4.
    keep : float
        In SA, the share of the clicks that the network is shown in the guidance channels; all of them are in the loss. Below
        1, the network cannot do well by copying the guidance (section 3.2.2). IA shows all of them.
    confident : float or None
        Stop before all steps are done once every click is predicted with at least this probability. None, as in
        Algorithm 1, always does all of them.
    scope : {"all", "decoder"}
        Which parameters learn: all of them, as in the paper, or those of the decoder and the segmentation head.
    """

    steps: int
    rate: float
    lam: float
    gamma: float
    keep: float = 1.0
    confident: float | None = None
    scope: str = "all"

    def __post_init__(self) -> None:
        if self.scope not in SCOPES:
            raise DataError(f"there is no scope {self.scope!r}; choose one of {', '.join(SCOPES)}")
        positive = dict.fromkeys(("gamma", "rate", "steps"), (0, math.inf))
        check_ranges(self, {"lam": (0, 1), "keep": (0, 1), **positive})
        if self.confident is not None:
            check_ranges(self, {"confident": (0, 1)})
        if not isinstance(self.steps, Integral):
            raise DataError(f"steps = {self.steps} is no whole number")


@dataclass(frozen=True)
class Adaptation:
    """Which adaptations are on, and how they work; None is off.

    Examples
    --------
    >>> Adaptation(sequence=PAPER["SA"]).name
    'SA'
    """

    image: Settings | None = None
    sequence: Settings | None = None

    @property
    def name(self) -> str:
        """One of `MODES`."""
        return MODES[(self.image is not None) + 2 * (self.sequence is not None)]


#: The paper's settings (section 4.1). They belong to its network of 41 million parameters.
PAPER: dict[str, Settings] = {
    "IA": Settings(steps=10, rate=1e-6, lam=1.0, gamma=1.0),
    "SA": Settings(steps=1, rate=1e-6, lam=0.5, gamma=2.0, keep=0.5),
}


def named_adaptation(mode: str, chosen: Mapping[str, Mapping[str, Any]] | None = None) -> Adaptation:
    """One of the paper's four ways, with the settings chosen for a model where there are any, else the paper's.

    Raises
    ------
    DataError
        If there is no such mode, or the settings are none.

    Examples
    --------
    >>> named_adaptation("IA").image.steps
    10
    """
    if isinstance(mode, Settings | Mapping):
        raise DataError("settings alone do not say what they are for; write Adaptation(image=...) or Adaptation(sequence=...)")
    if mode not in MODES:
        raise DataError(f"there is no adaptation {mode!r}; choose one of {', '.join(MODES)}")
    if chosen is not None and not (isinstance(chosen, Mapping) and chosen.keys() <= PAPER.keys()):
        raise DataError(f"adaptation settings are for {' and '.join(PAPER)}; give them as in benchmarks/adaptation.json")
    try:
        settings = {name: Settings(**(chosen or {}).get(name, vars(default))) for name, default in PAPER.items()}
    except (AttributeError, TypeError) as error:
        raise DataError(f"these are no adaptation settings ({error}); give them as in benchmarks/adaptation.json") from error
    return Adaptation(settings["IA"] if "IA" in mode else None, settings["SA"] if "SA" in mode else None)


@dataclass(frozen=True)
class Outcome:
    """What came of `adapt`.

    Attributes
    ----------
    steps : int
        Steps done.
    logits : Tensor, frame.size
        What the network says after the last of them.
    notice : str or None
        What the user should know.
    """

    steps: int
    logits: Tensor
    notice: str | None = None


def kept_clicks(clicks: Sequence[Click], share: float, rng: np.random.Generator) -> list[Click]:
    """A random subset of the clicks, of the given share, rounded up; in their own order.

    Examples
    --------
    >>> len(kept_clicks([Click(0, 0), Click(1, 1), Click(2, 2)], 0.5, np.random.default_rng(0)))
    2
    """
    chosen = rng.choice(len(clicks), math.ceil(share * len(clicks)), replace=False)
    return [clicks[i] for i in sorted(chosen)]


def adapt(
    model: InteractiveSegmenter,
    frame: Frame,
    clicks: Sequence[Click],
    prediction: Tensor | None,
    settings: Settings,
    anchor: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer | None = None,
    shown: Sequence[Click] | None = None,
    on_step: OnStep | None = None,
    on_prediction: OnPrediction | None = None,
    known: Mapping[Frame, list[Tensor]] | None = None,
    looks: Looks | None = None,
) -> Outcome:
    """Minimise Eq. 4 by a few Adam steps; changes the model's parameters in place.

    Parameters
    ----------
    model : InteractiveSegmenter
        In evaluation mode.
    frame : Frame
        The image, or a window of it; the loss is of what `Frame.decode` gives, which may be an average of the two.
    clicks : sequence of Click
        All the clicks of the object, in image pixels.
    prediction : Tensor, frame.size, or None
        p of Eq. 4: the binarised prediction, 0 and 1, held fixed. None for the answer before the first step, as in
        Algorithm 1 (line 5 of it in chapter 04), corrected as `Frame.answer` does; that costs no pass of its own.
    settings : Settings
        `keep` is not looked at here; see `shown`.
    anchor : mapping of name to Tensor
        θ* of Eq. 3.
    optimizer : torch.optim.Optimizer, optional
        Of the model's parameters; its state lives on. A fresh Adam if left out.
    shown : sequence of Click, optional
        The clicks in the guidance channels; all of them if left out.
    on_step : callable, optional
        See `OnStep`.
    on_prediction : callable, optional
        See `OnPrediction`.
    known : mapping of Frame to list of Tensor, optional
        See `Frame.encode`; used where the encoder does not learn.
    looks : Looks, optional
        What `Frame.looks` gives, for the answer before the first step; found out where needed if left out.

    Returns
    -------
    Outcome
        A step after which the network gives NaN or infinity is undone, ends the steps, and is told in the notice.
    """
    shown = clicks if shown is None else shown
    corrections = frame.corrections(clicks)
    parameters = {name: value for name, value in model.named_parameters() if name.startswith(SCOPES[settings.scope])}
    features = None
    if settings.scope != "all":
        features = frame.encode(model, shown, known, frozen=True)
    optimizer = optimizer or torch.optim.Adam(parameters.values(), lr=settings.rate)
    importance = model.importance or {name: torch.ones_like(value) for name, value in parameters.items()}
    notice, good = None, None
    # One pass more than there are steps: what is reported is never a step old, and the last step is checked like the others.
    for step in range(settings.steps + 1):
        last = step == settings.steps
        if not last and on_step is not None and on_step(step, settings.steps) is False:
            last, notice = True, "adapting was stopped"
        with torch.set_grad_enabled(not last):
            logits = frame.decode(model, frame.encode(model, shown) if features is None else features)
        if not torch.isfinite(logits).all():
            if good is None:
                return Outcome(0, logits.detach(), "the network gives numbers that are not finite")
            with torch.no_grad():
                for name, value in parameters.items():
                    value.copy_(good[0][name])
            optimizer.state.clear()
            return Outcome(step - 1, good[1], "a learning step gave numbers that are not finite; it was undone")
        good = {name: value.detach().clone() for name, value in parameters.items()}, logits.detach()
        if prediction is None or (step == 0 and on_prediction is not None):
            early = frame.answer(good[1], clicks, looks or frame.looks(model))
            if on_prediction is not None and not last:
                on_prediction(early)
            prediction = (early > 0).float() if prediction is None else prediction
        if last or (settings.confident is not None and frame.respected(good[1], clicks, settings.confident)):
            break
        forgetting = forgetting_loss(parameters.items(), anchor, importance) if settings.gamma else 0.0
        optimizer.zero_grad(set_to_none=True)
        with keeping_large_blocks():
            adaptation_loss(logits, corrections, prediction, forgetting, settings.lam, settings.gamma).backward()
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return Outcome(step, logits.detach(), notice)
