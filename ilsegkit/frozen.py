"""An encoder that does not learn at the moment: the same features, sooner.

While a click is answered, and while the decoder alone learns, the encoder stays as it is. Then batch norm, whose statistics
never move, is but a factor and an offset for each channel, and the convolution before it can do both (what that saves is told
by the rows "without frozen encoder" of ``benchmarks/speed.py``).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from timm.models.efficientnet import EfficientNetFeatures
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

__all__ = ["FrozenEncoder", "stamp"]


class FrozenEncoder:
    """Gives an encoder's features, as they are with its present parameters; no gradients flow back to them.

    Sooner for timm's EfficientNets, the bundled one's kind, in evaluation mode; others do themselves what is asked for.

    Parameters
    ----------
    encoder : nn.Module
        Of segmentation_models_pytorch. It may learn between calls.

    Examples
    --------
    >>> import segmentation_models_pytorch as smp
    >>> encoder = smp.encoders.get_encoder("tu-tf_efficientnet_lite0", weights=None).eval()
    >>> x = torch.rand(1, 3, 64, 64)
    >>> all(torch.allclose(a, b, atol=1e-4) for a, b in zip(encoder(x), FrozenEncoder(encoder)(x)))
    True
    """

    def __init__(self, encoder: nn.Module) -> None:
        self._encoder = encoder
        self._folded: nn.Module | None = None
        self._version: list[tuple[int, int]] = []

    @torch.no_grad()
    def __call__(self, x: Tensor, count: int | None = None) -> list[Tensor]:
        """Features, the input among them; with a `count`, the first so many, for which only the first stages are run."""
        encoder = self._encoder
        if not isinstance(getattr(encoder, "model", None), EfficientNetFeatures):
            return encoder(x)[:count]
        if not encoder.training:
            encoder = self._up_to_date()
        return (encoder if count is None else _first_stages(encoder, count))(x)[:count]

    def version(self) -> list[tuple[int, int]]:
        """Another one when something has written to the encoder's parameters, or put others in their place."""
        tensors = (*self._encoder.parameters(), *self._encoder.buffers())
        return [stamp(value) for value in tensors]

    def _up_to_date(self) -> nn.Module:
        """A copy without batch norms, made anew with every `version`."""
        version = self.version()
        if self._folded is None or version != self._version:
            self._folded, self._version = _folded(self._encoder), version
        return self._folded


def stamp(value: Tensor) -> tuple[int, int]:
    """Another one when something has written to a tensor, or it is another tensor.

    Optimisers with ``fused=True`` write without a trace, so `ilsegkit.session` has none.
    """
    # Those of a model that was made in torch.inference_mode have no version, and cannot learn.
    return value.data_ptr(), 0 if value.is_inference() else value._version


def _folded(encoder: nn.Module) -> nn.Module:
    """A copy whose convolutions do what the batch norms after them do."""
    memo: dict[int, object] = {}
    for convolution, norm in _pairs(encoder):
        memo |= {id(convolution): fuse_conv_bn_eval(convolution, norm), id(norm): norm.act}
    return copy.deepcopy(encoder, memo)


def _pairs(encoder: nn.Module) -> Iterator[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Convolutions with the batch norm after each: the blocks of these networks name them in the order of their running."""
    for block in encoder.modules():
        convolution = None
        for part in block.children():
            if isinstance(part, nn.BatchNorm2d) and convolution is not None:
                yield convolution, part
            if isinstance(part, nn.Conv2d):
                convolution = part
            elif any(True for _ in part.parameters()):  # its norm has been, or is of another kind of convolution
                convolution = None


def _first_stages(encoder: nn.Module, count: int) -> nn.Module:
    """An encoder without the stages after its first `count` features, the image among them: it shares the parameters.

    The first four are a third of the work.
    """
    full: Any = encoder.model
    short, model = copy.copy(encoder), copy.copy(full)
    model._modules = {**model._modules, "blocks": full.blocks[: full.feature_info[count - 2]["stage"]]}
    short._modules = {**short._modules, "model": model}
    return short
