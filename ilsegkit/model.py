"""The network: an RGB image and two click channels in, one logit per pixel out (section 3.1 of the paper).

Any segmentation_models_pytorch architecture but DPT can be the network, with any encoder that takes images of any size;
normalisation, padding and the treatment of the click channels are the same for all.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import segmentation_models_pytorch as smp
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as tensors_as_bytes
from segmentation_models_pytorch.decoders.deeplabv3.decoder import DeepLabV3PlusDecoder
from torch import Tensor, nn
from torch.nn import functional as F

from .allocator import keep_memory, keeping_large_blocks
from .errors import WeightsError
from .frozen import FrozenEncoder
from .threads import fit_threads

__all__ = ["PRESETS", "InteractiveSegmenter", "ModelConfig", "load_model", "model_bytes", "pick_device", "save_model"]

FORMAT = "ilsegkit-model-1"
BUNDLED = Path(__file__).parent / "weights" / "lite.safetensors"


@dataclass(frozen=True)
class ModelConfig:
    """What it takes to build the network; stored with its weights.

    Attributes
    ----------
    architecture, encoder : str
        Names of segmentation_models_pytorch, for example ``"Unet"`` and ``"resnet18"``.
    options : mapping
        Further arguments of the architecture, for example ``{"encoder_output_stride": 8}``.
    multiple : int
        Height and width are padded to a multiple of this; it must be one of the architecture's stride.
    input_size : int
        Longest side, in pixels, at which images are worked on.
    click_radius : float
        Radius of the guidance disks in pixels at that size.
    zoom : float or None
        Work on a window around what has been found that is this many times as large, so that small objects are seen large
        (Sofiiuk et al., "f-BRS", CVPR 2020); with the first click, around what the whole image shows. None, as in the paper:
        always on the whole image.
    context : float
        With a zoom, the share of the whole image's logits in the answer for a window, in 0-1: the window shows fine borders,
        the whole image what is beyond them.
    appearance : float
        With a zoom, how much the colours and textures of this image have a say in the answer; see `ilsegkit.appearance`. 0
        for none.
    mean, std : tuple of 3 floats
        Normalisation of RGB values in 0-255.
    """

    architecture: str
    encoder: str
    options: Mapping[str, Any] = field(default_factory=dict)
    multiple: int = 32
    input_size: int = 384
    click_radius: float = 3.0
    zoom: float | None = None
    context: float = 0.5
    appearance: float = 0.5
    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    std: tuple[float, float, float] = (58.395, 57.12, 57.375)


#: ``"lite"`` is the bundled network, made for two CPU cores. ``"paper"`` is the paper's (section 4.1): DeepLabV3+ on
#: Xception-65, encoder stride 8, atrous rates 12, 24, 36, decoder stride 4, 513 px, 41 million parameters.
PRESETS: dict[str, ModelConfig] = {
    "lite": ModelConfig(
        "DeepLabV3Plus",
        "tu-tf_efficientnet_lite0",
        {"encoder_output_stride": 16, "decoder_atrous_rates": (6, 12, 18), "decoder_channels": 128},
        multiple=16,
        input_size=384,
        zoom=1.4,
        mean=(127.0, 127.0, 127.0),
        std=(128.0, 128.0, 128.0),
    ),
    "paper": ModelConfig(
        "DeepLabV3Plus",
        "tu-xception65",
        {"encoder_output_stride": 8, "decoder_atrous_rates": (12, 24, 36)},
        multiple=16,
        input_size=513,
        mean=(127.5, 127.5, 127.5),
        std=(127.5, 127.5, 127.5),
    ),
}


class InteractiveSegmenter(nn.Module):
    """A segmentation network that takes clicks.

    Parameters
    ----------
    config : ModelConfig or str, optional
        Or the name of a preset, or ``"ARCHITECTURE:ENCODER"`` of segmentation_models_pytorch. The parameters are random; use
        `load_model` for trained ones.

    Attributes
    ----------
    config : ModelConfig
    importance : dict of name to Tensor, or None
        Ω of Eq. 3, one value for each parameter, with mean 1 (see `ilsegkit.importance`).
    adaptation : dict
        Adaptation settings chosen for these weights: ``{"IA": {...}, "SA": {...}}``; empty for the paper's.
    info : dict
        How the weights were made.
    frozen : FrozenEncoder
        The encoder while it does not learn.

    Raises
    ------
    WeightsError
        If segmentation_models_pytorch cannot build the network.

    Examples
    --------
    >>> model = InteractiveSegmenter("Unet:resnet18")
    >>> model(torch.zeros(1, 3, 50, 70), torch.zeros(1, 2, 50, 70)).shape
    torch.Size([1, 1, 50, 70])
    """

    def __init__(self, config: ModelConfig | str = "lite") -> None:
        super().__init__()
        keep_memory()
        fit_threads()
        if isinstance(config, str):
            architecture, _, encoder = config.partition(":")
            if not encoder and config not in PRESETS:
                raise WeightsError(f"there is no preset {config!r}; choose one of {', '.join(PRESETS)} or give a ModelConfig")
            config = _config_for(architecture, encoder) if encoder else PRESETS[config]
        self.config = config
        try:
            build = getattr(smp, config.architecture)
            self.network = build(config.encoder, encoder_weights=None, in_channels=5, classes=1, **config.options)
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise WeightsError(
                f"segmentation_models_pytorch cannot build {config.architecture} on {config.encoder} ({error!s:.150}); "
                "see its documentation for their names"
            ) from error
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(config.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config.std).view(1, 3, 1, 1), persistent=False)
        self.frozen = FrozenEncoder(self.network.encoder)
        self.importance: dict[str, Tensor] | None = None
        self.adaptation: dict[str, dict[str, Any]] = {}
        self.info: dict[str, Any] = {}
        self._layout = _layout(self.network)
        self.to(memory_format=self._layout)

    def forward(self, image: Tensor, guidance: Tensor) -> Tensor:
        """Logits for a batch.

        Parameters
        ----------
        image : Tensor, (batch, 3, height, width)
            RGB in 0-255, of the parameters' type. Any height and width.
        guidance : Tensor, (batch, 2, height, width)
            See `ilsegkit.guidance.guidance_maps`.

        Returns
        -------
        Tensor, (batch, 1, height, width)
            Above 0 where the object is more likely than not.
        """
        return self.decode(self.encode(image, guidance), image.shape[-2:])

    @keeping_large_blocks()
    def encode(self, image: Tensor, guidance: Tensor, frozen: bool = False, count: int | None = None) -> list[Tensor]:
        """The encoder's features, of every stride, for the arguments of `forward`: the first half of it.

        Parameters
        ----------
        image, guidance : Tensor
            As for `forward`.
        frozen : bool, optional
            Sooner, the same but for rounding, and without gradients; see `ilsegkit.frozen`.
        count : int, optional
            Only the first so many.
        """
        x = torch.cat([(image - self.mean) / self.std, guidance], dim=1)
        height, width = x.shape[-2:]
        # Padded, not stretched: the aspect ratio is information. Zero is the mean colour and no click.
        below, right = -height % self.config.multiple, -width % self.config.multiple
        x = F.pad(x, (0, right, 0, below)).contiguous(memory_format=self._layout)
        return self.frozen(x, count) if frozen else self.network.encoder(x)[:count]

    @contextmanager
    def sparing_memory(self) -> Iterator[None]:
        """While this lasts, to learn takes less memory and more time, on a CPU: the gradients are the same.

        What happens inside the encoder's blocks is not kept but computed again for the gradients, if the encoder is one of
        timm's (gradient checkpointing: Chen et al., "Training Deep Nets with Sublinear Memory Cost", arXiv:1604.06174).
        Only in evaluation mode: batch norm would count what it sees twice.

        Examples
        --------
        >>> model = InteractiveSegmenter("Unet:tu-test_resnet").eval()
        >>> with model.sparing_memory():
        ...     model(torch.zeros(1, 3, 64, 64), torch.zeros(1, 2, 64, 64)).sum().backward()
        """
        inner: Any = getattr(getattr(self.network, "encoder", None), "model", None)  # a subclass may have another network
        if not hasattr(inner, "grad_checkpointing") or self.training or self.device.type != "cpu":
            yield
            return
        inner.grad_checkpointing = True
        try:
            yield
        finally:
            inner.grad_checkpointing = False

    @keeping_large_blocks()
    def decode(self, features: list[Tensor], size: Sequence[int], part: Sequence[float] | None = None) -> Tensor:
        """Logits, ``(batch, 1, *size)``, from `encode`'s features: the second half of `forward`.

        Parameters
        ----------
        features : list of Tensor
        size : height and width
            Of the images: without padding.
        part : top, left, bottom and right, optional
            In pixels. Where only this part of the logits is needed: those outside it may be anything, and the fine half of
            a DeepLabV3+ decoder, most of its work, is done for no more.
        """
        decoder, head = self.network.decoder, self.network.segmentation_head
        if part is None or not isinstance(decoder, DeepLabV3PlusDecoder):
            return head(decoder(features))[..., : size[0], : size[1]]
        coarse, fine = decoder.up(decoder.aspp(features[-1])), features[2]
        # Of a square at the edge, the convolutions of 3 x 3 and the interpolation look at the next ones.
        sides = []
        for low, high, squares, pixels in zip(part[:2], part[2:], fine.shape[-2:], features[0].shape[-2:], strict=True):
            scale = squares / pixels
            sides.append((max(0, math.floor(low * scale) - 3), min(squares, math.ceil(high * scale) + 3)))
        (top, bottom), (left, right) = sides
        coarse, fine = (values[..., top:bottom, left:right] for values in (coarse, fine))
        to_logits, enlarge, activation = head
        logits = to_logits(decoder.block2(torch.cat([coarse, decoder.block1(fine)], 1)))
        around = (left, features[2].shape[-1] - right, top, features[2].shape[-2] - bottom)
        return activation(enlarge(F.pad(logits, around)))[..., : size[0], : size[1]]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> InteractiveSegmenter:
        """What `to`, `cuda` and `cpu` call: the importance goes along."""
        super()._apply(fn, recurse)
        if self.importance is not None:
            self.importance = {name: fn(value) for name, value in self.importance.items()}
        return self

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    def first_convolution(self) -> nn.Conv2d:
        """The convolution that reads the image and the clicks."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.in_channels == 5:
                return module
        raise WeightsError(f"no convolution of {self.config.encoder} takes 5 channels; choose another encoder")

    @torch.no_grad()
    def start_from(self, encoder: Mapping[str, Tensor]) -> None:
        """Start from an encoder for RGB images, as a state dict with its names; the decoder stays as it is.

        The click channels get random values of twice the spread of the RGB weights. Measured: channels that start at
        zero, or shrink the RGB weights to make room, are ignored by the network for hundreds of iterations.
        """
        first = self.first_convolution()
        rgb: list[Tensor] = []
        own = self.network.encoder.state_dict()
        if missing := [name for name in own if name not in encoder and not name.endswith("num_batches_tracked")]:
            raise WeightsError(f"the encoder weights lack {missing[0]!r} and {len(missing) - 1} other tensors")
        for name, value in encoder.items():
            if name not in own:
                raise WeightsError(f"the encoder weights have a tensor {name!r} that {self.config.encoder} lacks")
            if own[name].shape == value.shape:
                own[name].copy_(value)
            elif value.ndim == 4 and own[name].shape == first.weight.shape and value.shape[1] == 3:
                rgb.append(value)
            else:
                raise WeightsError(f"{name!r} of the encoder weights is {tuple(value.shape)}, not {tuple(own[name].shape)}")
        if len(rgb) != 1:
            raise WeightsError("the encoder weights have no first convolution for RGB; are they of another encoder?")
        first.weight[:, :3] = rgb[0]
        first.weight[:, 3:].normal_(0, 2 * float(rgb[0].std()))


def _config_for(architecture: str, encoder: str) -> ModelConfig:
    """With the normalisation that timm's weights for an encoder were trained with; for others, what nearly all were."""
    config = ModelConfig(architecture, encoder)
    if not encoder.startswith("tu-"):  # segmentation_models_pytorch would ask the hub
        return config
    try:
        known = smp.encoders.get_preprocessing_params(encoder)
        mean, std = ([255 * float(value) for value in known[name]] for name in ("mean", "std"))
    except (KeyError, TypeError, ValueError, RuntimeError):  # that there is no such encoder is told when it is built
        return config
    return replace(config, mean=(mean[0], mean[1], mean[2]), std=(std[0], std[1], std[2]))


def _layout(network: nn.Module) -> torch.memory_format:
    """How the numbers lie in memory.

    Channels last is twice as fast on CPUs for depthwise convolutions, forwards and backwards, and what tensor cores like. But
    there PyTorch 2.14 writes beyond its memory on a CPU in the gradients of convolutions of single pixels, with a stride, on
    few channels: those of MobileOne and RepVGG on the image.
    """
    few = (m for m in network.modules() if isinstance(m, nn.Conv2d) and m.in_channels < 16 and m.groups == 1)
    wrong = any(m.kernel_size == (1, 1) and max(m.stride) > 1 for m in few)
    return torch.contiguous_format if wrong else torch.channels_last


def pick_device(device: str | torch.device | None = None) -> torch.device:
    """The device asked for, or the best there is: cuda, then mps, then cpu.

    Raises
    ------
    WeightsError
        If the device asked for is not there.

    Examples
    --------
    >>> pick_device("cpu")
    device(type='cpu')
    """
    if device is not None:
        try:
            tensor = torch.empty(0, device=device)
            tensor.cpu()  # "meta" holds no numbers
            return tensor.device
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise WeightsError(
                f"the device {str(device)!r} cannot be used ({reason}); choose another, or leave it out"
            ) from error
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def model_bytes(model: InteractiveSegmenter, half: bool = False) -> bytes:
    """What `save_model` writes."""
    from . import __version__

    parameters = {name for name, _ in model.named_parameters()}
    tensors = {f"weights/{name}": value for name, value in model.state_dict().items()}
    if model.importance is not None:
        tensors |= {f"importance/{name}": value for name, value in model.importance.items()}
    for name, value in tensors.items():
        value = value.detach().cpu().contiguous()
        if half and name.split("/", 1)[1] in parameters:
            value = value.clamp(-65504, 65504).half()
        tensors[name] = value
    metadata = {
        "format": FORMAT,
        "version": __version__,
        "config": json.dumps(asdict(model.config)),
        "adaptation": json.dumps(model.adaptation),
        "info": json.dumps(model.info),
    }
    return tensors_as_bytes(tensors, metadata)


def save_model(path: str | PathLike[str], model: InteractiveSegmenter, half: bool = False) -> None:
    """Write weights, importance, adaptation settings and how they were made to one safetensors file, atomically.

    Parameters
    ----------
    path : path
        Overwritten if it exists.
    model : InteractiveSegmenter
    half : bool, optional
        Store parameters and importance in 16 bits: half the size, for files that are handed out. Batch norm's statistics
        stay in 32.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.part")
    scratch.write_bytes(model_bytes(model, half))
    scratch.replace(path)


def load_model(path: str | PathLike[str] | None = None, device: str | torch.device | None = None) -> InteractiveSegmenter:
    """A trained model, ready to predict.

    Parameters
    ----------
    path : path, optional
        A file written by `save_model`; the weights that come with the package if left out. No network is needed.
    device : str or torch.device, optional
        ``"cuda"``, ``"mps"`` or ``"cpu"``; the best there is if left out.

    Returns
    -------
    InteractiveSegmenter
        In evaluation mode: batch norm's statistics never move while it adapts.

    Raises
    ------
    WeightsError
        If the file is missing, damaged, or not one of ours.

    Examples
    --------
    >>> model = load_model(device="cpu")
    >>> model.config.encoder
    'tu-tf_efficientnet_lite0'
    """
    path = BUNDLED if path is None else Path(path)
    if path.is_dir():
        raise WeightsError(f"{str(path)!r} is a folder; give the weights file in it")
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
    except FileNotFoundError:
        raise WeightsError(f"there is no weights file {str(path)!r}; check the path") from None
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{str(path)!r} is no complete safetensors file ({error}); fetch or train it again") from error
    if metadata.get("format") != FORMAT:
        raise WeightsError(f"{str(path)!r} was not written by ilsegkit (format {metadata.get('format')!r}, not {FORMAT!r})")
    try:
        settings = json.loads(metadata["config"])
        settings |= {name: tuple(settings[name]) for name in ("mean", "std")}  # JSON knows only lists
        settings["options"] = {k: tuple(v) if isinstance(v, list) else v for k, v in settings["options"].items()}
        config = ModelConfig(**settings)
        model = InteractiveSegmenter(config)
        parts: dict[str, dict[str, Tensor]] = {"weights": {}, "importance": {}}
        for name, value in tensors.items():
            part, key = name.split("/", 1)
            parts[part][key] = value.float() if value.is_floating_point() else value
        model.load_state_dict(parts["weights"])
        model.adaptation, model.info = json.loads(metadata["adaptation"]), json.loads(metadata["info"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"the weights in {str(path)!r} do not fit the network they name ({error})") from error
    model.to(pick_device(device)).eval()
    if parts["importance"]:
        shapes = {name: value.shape for name, value in model.named_parameters()}
        if {name: value.shape for name, value in parts["importance"].items()} != shapes:
            raise WeightsError(f"the importance in {str(path)!r} does not match its weights; compute it again")
        # Copied: on Windows, nothing can be written over a file that tensors still lie in.
        model.importance = {name: value.to(model.device, copy=True) for name, value in parts["importance"].items()}
    return model
