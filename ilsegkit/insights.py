"""What learning did: how far each part of the network has moved, and what it would have said without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from .clicks import Click
from .session import Session

__all__ = ["FixedModel", "layer_movement"]


def layer_movement(now: Mapping[str, torch.Tensor], before: Mapping[str, torch.Tensor]) -> dict[str, float]:
    """How far the weights of each part of a network have moved, relative to where they were: ``|θ - θ*| / |θ*|``.

    Parameters
    ----------
    now, before : mapping of str to Tensor
        Parameters by name, as `torch.nn.Module.named_parameters` gives them.

    Returns
    -------
    dict of str to float
        By part, in the order of the network: the stages of the encoder, the blocks of the decoder, the head.

    Examples
    --------
    >>> before = {"network.encoder.blocks.0.weight": torch.ones(4), "network.head.0.bias": torch.ones(1)}
    >>> layer_movement({name: value * 1.5 for name, value in before.items()}, before)
    {'encoder.blocks.0': 0.5, 'head': 0.5}
    """
    squares: dict[str, list[float]] = {}
    for name, old in before.items():
        moved = float((now[name].detach() - old.detach()).square().sum())
        sums = squares.setdefault(_part(name), [0.0, 0.0])
        sums[0], sums[1] = sums[0] + moved, sums[1] + float(old.detach().square().sum())
    return {part: (moved / max(size, 1e-12)) ** 0.5 for part, (moved, size) in squares.items()}


def _part(name: str) -> str:
    """``network.encoder.model.blocks.3.0.conv.weight`` belongs to ``encoder.blocks.3``."""
    parts = [part for part in name.split(".")[:-1] if part not in ("network", "model")]
    if not parts:
        return name
    if parts[0] == "encoder":
        return ".".join(parts[: 3 if len(parts) > 2 and parts[2].isdigit() else 2])
    return ".".join(part for part in parts[:2] if not part.isdigit())


class FixedModel:
    """The initial model, which learns nothing, answers the same clicks as a session that does (Fig. 1 of the paper).

    Parameters
    ----------
    session : Session
        Whose initial model it is.

    Attributes
    ----------
    mask, before : ndarray of bool, (height, width)
        What it says to the last clicks it was given, and to those before.

    Examples
    --------
    >>> session = Session(adapt="IA")
    >>> fixed = FixedModel(session)
    >>> fixed.answer(np.full((40, 40, 3), 99, np.uint8), [Click(20, 20)], 0.5).shape
    (40, 40)
    """

    def __init__(self, session: Any) -> None:
        self._session = Session(session.initial_model(), adapt="none")
        self._image: np.ndarray | None = None
        self._asked: tuple[Any, ...] = ()
        self.mask = self.before = np.zeros((0, 0), bool)

    def parameters(self) -> dict[str, torch.Tensor]:
        """θ*, by name."""
        return dict(self._session.model.named_parameters())

    def answer(self, image: np.ndarray, clicks: Sequence[Click], threshold: float) -> np.ndarray:
        """The mask for these clicks; asked for the same again, it is not computed again."""
        session, clicks = self._session, tuple(clicks)
        if self._image is not image:
            session.set_image(image)
            self._image, self._asked = image, ()
            self.mask = self.before = session.mask
        if (clicks, threshold) == self._asked:
            return self.mask
        while len(session.clicks) > len(clicks) and session.can_undo:
            session.undo()
        if session.clicks != clicks[: len(session.clicks)]:
            session.reset()
        self.before = self.mask if clicks else session.mask
        if new := clicks[len(session.clicks) :]:
            if len(new) > 1:  # nobody looked for a while: what was before the last of them has not been seen yet
                session.click(*new[-2], earlier=new[:-2])
                self.before = session.probability > threshold
            session.click(*new[-1])
        self.mask, self._asked = session.probability > threshold, (clicks, threshold)
        return self.mask
