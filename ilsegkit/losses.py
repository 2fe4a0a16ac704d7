"""Equations 1 to 4 of the paper, on logits.

Shapes: logits, targets and corrections are ``(height, width)`` or any other shape, all the same. Targets hold 0 and 1;
corrections, and targets with pixels to leave out, hold -1 there. Cross-entropy is computed from logits, so it stays
finite however sure the network is.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from .guidance import IGNORED

__all__ = ["adaptation_loss", "correction_loss", "cross_entropy", "forgetting_loss"]


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Eq. 1: mean pixel cross-entropy, over the pixels whose target is not -1; 0 when there are none.

    Parameters
    ----------
    logits : Tensor
        Any shape.
    target : Tensor
        Same shape; 1 foreground, 0 background, -1 left out.

    Returns
    -------
    Tensor
        Scalar, differentiable in ``logits``.

    Examples
    --------
    >>> cross_entropy(torch.zeros(2, 2), torch.tensor([[1.0, 0.0], [-1.0, -1.0]])).item()  # log 2
    0.6931471824645996
    """
    known = target != IGNORED
    # No boolean indexing: that would synchronise a GPU.
    pixels = F.binary_cross_entropy_with_logits(logits, target.clamp(min=0).to(logits.dtype), reduction="none")
    return torch.where(known, pixels, 0).sum() / known.sum().clamp(min=1)


def correction_loss(logits: Tensor, corrections: Tensor) -> Tensor:
    """Eq. 2: cross-entropy averaged over the corrected pixels alone; 0 when nothing is corrected.

    It is Eq. 1 with the corrections for targets. It has a name of its own because the paper's idea is in it: the clicks,
    sparse as they are, are training examples.

    Parameters
    ----------
    logits : Tensor
        Any shape.
    corrections : Tensor
        Same shape; 1 at foreground clicks, 0 at background clicks, -1 elsewhere
        (see `ilsegkit.guidance.correction_map`).

    Returns
    -------
    Tensor
        Scalar.
    """
    return cross_entropy(logits, corrections)


def forgetting_loss(
    parameters: Iterable[tuple[str, Tensor]], anchor: Mapping[str, Tensor], importance: Mapping[str, Tensor]
) -> Tensor:
    """Eq. 3: squared distance of the parameters from those of the initial model, weighted with their importance.

    Parameters
    ----------
    parameters : iterable of (name, Tensor)
        The current parameters, as ``model.named_parameters()`` gives them.
    anchor : mapping of name to Tensor
        The initial parameters.
    importance : mapping of name to Tensor
        Importance of each parameter, >= 0 (see `ilsegkit.importance`).

    Returns
    -------
    Tensor
        Scalar; 0 for no parameters.
    """
    terms = [(importance[name] * (value - anchor[name]).square()).sum() for name, value in parameters]
    return torch.stack(terms).sum() if terms else torch.zeros(())


def adaptation_loss(
    logits: Tensor, corrections: Tensor, prediction: Tensor, forgetting: Tensor | float, lam: float, gamma: float
) -> Tensor:
    """Eq. 4: ``lam * Eq. 2 + (1 - lam) * Eq. 1 + gamma * Eq. 3``.

    Parameters
    ----------
    logits : Tensor
        What the network says now.
    corrections : Tensor
        Same shape; the clicks, see `correction_loss`.
    prediction : Tensor
        Same shape, 0 and 1: the network's own binarised prediction before the step, held fixed.
    forgetting : Tensor or float
        Value of Eq. 3.
    lam : float
        In [0, 1]: how much the clicks count against the prediction.
    gamma : float
        How much Eq. 3 counts, >= 0.

    Returns
    -------
    Tensor
        Scalar.
    """
    clicks = correction_loss(logits, corrections)
    everything = cross_entropy(logits, prediction.detach())
    return lam * clicks + (1 - lam) * everything + gamma * forgetting
