"""An image, or a window of it, at the size the network works at: the way there, the network's answer, and the way back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from .appearance import STRIDE, GuidedFilter, Looks, with_appearance
from .clicks import Click
from .guidance import correction_map, guidance_maps
from .model import InteractiveSegmenter

__all__ = ["Frame", "Window", "window_around"]


class Window(NamedTuple):
    """A part of an image, in pixels; bottom and right are the first beyond it."""

    top: int
    left: int
    bottom: int
    right: int


def window_around(mask: np.ndarray, clicks: Iterable[Click], zoom: float, smallest: int) -> Window | None:
    """The window to look at for an object: `zoom` times what has been found and clicked so far.

    Parameters
    ----------
    mask : ndarray of bool, (height, width)
        What has been found.
    clicks : iterable of Click
        Foreground clicks are in the window.
    zoom : float
        Above 1.
    smallest : int
        Sides are at least this long, but for what is beyond the image: pixels that are enlarged further show nothing new.

    Returns
    -------
    Window or None
        None for the whole image: nothing has been found, or the object fills most of it.

    Examples
    --------
    >>> mask = np.zeros((100, 200), bool)
    >>> mask[40:60, 100:120] = True
    >>> window_around(mask, [], zoom=1.5, smallest=10)
    Window(top=35, left=95, bottom=65, right=125)
    """
    if not mask.any():
        return None
    found = [np.flatnonzero(mask.any(axis)) for axis in (1, 0)]
    clicked = [c for c in clicks if c.positive]
    sides = []
    for pixels, at, length in zip(found, ([c.y for c in clicked], [c.x for c in clicked]), mask.shape, strict=True):
        low, high = min([pixels[0], *at]), max([pixels[-1] + 1, *(value + 1 for value in at)])
        half, middle = max((high - low) * zoom, smallest) / 2, (low + high) / 2
        sides.append((max(0, math.floor(middle - half)), min(length, math.ceil(middle + half))))
    (top, bottom), (left, right) = sides
    # A little larger is not worth it: the object would only be cut off from what is around it.
    return None if max(bottom - top, right - left) >= 0.9 * max(mask.shape) else Window(top, left, bottom, right)


class Frame:
    """What a model works on: the image, resized so that its longest side is the model's input size, never stretched.

    Parameters
    ----------
    image : ndarray of uint8, (height, width, 3)
    model : InteractiveSegmenter
        Decides size, device and click radius.
    window : Window, optional
        The part of the image to work on; all of it if left out.
    around : Frame, optional
        The whole image. What the network says of it has the share `ModelConfig.context` in the answer for the window.

    Attributes
    ----------
    image : ndarray of uint8
        As given.
    image_size, size : tuple of int
        Height and width of the image, and of the frame.
    pixels : Tensor, (1, 3, height, width)
        RGB in 0-255, float32, on the model's device.
    """

    def __init__(
        self, image: np.ndarray, model: InteractiveSegmenter, window: Window | None = None, around: Frame | None = None
    ) -> None:
        height, width = image.shape[:2]
        self.image, self.image_size = image, (height, width)
        self.window = window or Window(0, 0, height, width)
        part = image[self.window.top : self.window.bottom, self.window.left : self.window.right]
        height, width = part.shape[:2]
        scale = model.config.input_size / max(height, width)
        self.size = (max(1, round(height * scale)), max(1, round(width * scale)))
        # PIL works on 8 bits: a photo of 48 megapixels needs no float copy of itself.
        small = Image.fromarray(part).resize(self.size[::-1], Image.Resampling.BILINEAR, reducing_gap=3.0)
        self.pixels = torch.from_numpy(np.array(small)).permute(2, 0, 1)[None].to(model.device).float()
        self._radius = model.config.click_radius
        self._around, self._share = around, model.config.context
        self._appearance = 0.0 if model.config.zoom is None else model.config.appearance

    def clicks(self, clicks: Iterable[Click]) -> list[Click]:
        """Clicks of the image as clicks of the frame; those outside the window are left out."""
        (top, left, bottom, right), (rows, columns) = self.window, self.size

        def along(value: float, low: int, high: int, pixels: int) -> float:
            return float(np.clip((value + 0.5 - low) * pixels / (high - low) - 0.5, 0, pixels - 1))

        return [
            Click(along(c.x, left, right, columns), along(c.y, top, bottom, rows), c.positive)
            for c in clicks
            if left - 0.5 <= c.x <= right - 0.5 and top - 0.5 <= c.y <= bottom - 0.5
        ]

    def encode(
        self,
        model: InteractiveSegmenter,
        clicks: Sequence[Click],
        known: Mapping[Frame, list[Tensor]] | None = None,
        frozen: bool = False,
    ) -> list[list[Tensor]]:
        """The encoder's features, for `decode`: of the frame and, where it has one, of what is around it.

        Parameters
        ----------
        model : InteractiveSegmenter
        clicks : sequence of Click
            In image pixels, for the guidance.
        known : mapping of Frame to list of Tensor, optional
            Features that need not be computed: of one of the two frames, for these clicks.
        frozen : bool, optional
            See `InteractiveSegmenter.encode`.
        """
        known = known or {}
        own = known.get(self) or model.encode(self.pixels, self.guidance(clicks), frozen=frozen)
        return [own] if self._around is None else [own, *self._around.encode(model, clicks, known, frozen)]

    def decode(self, model: InteractiveSegmenter, features: list[list[Tensor]]) -> Tensor:
        """The network's answer from `encode`'s features: logits, ``size``."""
        logits = model.decode(features[0], self.size)[0, 0]
        if self._around is None:
            return logits
        down, across = (side / pixels for side, pixels in zip(self._around.size, self.image_size, strict=True))
        top, left, bottom, right = self.window
        part = top * down, left * across, bottom * down, right * across
        around = model.decode(features[1], self._around.size, part)[0, 0]
        return (1 - self._share) * logits + self._share * self.part_of(around)

    @torch.no_grad()
    def looks(self, model: InteractiveSegmenter) -> Looks | None:
        """How the frame looks, for `answer`; None if the model does without.

        Textures are what the encoder's first blocks, up to stride 8, see when nothing is clicked: with clicks, they would see
        what was clicked rather than how it looks. Of squares of 4 pixels, each channel with mean 0 and spread 1.
        """
        if not self._appearance:
            return None
        rows, columns = (-(-side // STRIDE) for side in self.size)
        pixels, *deeper = model.encode(self.pixels, self.guidance([]), frozen=True, count=4)
        size = [-(-side // STRIDE) for side in pixels.shape[-2:]]
        seen = [F.interpolate(pixels, size, mode="area")[0]]
        for features in deeper:
            if features.numel():  # some encoders have nothing at stride 2
                seen.append(F.interpolate(features, size, mode="area" if features.shape[-1] > size[1] else "bilinear")[0])
        values = torch.cat(seen)[:, :rows, :columns].float()
        spread, mean = torch.std_mean(values, (1, 2), correction=0, keepdim=True)
        image = self.pixels[0].permute(1, 2, 0).byte().cpu().numpy()
        return Looks(image, ((values - mean) / (spread + 1e-3)).cpu().numpy(), GuidedFilter(image))

    def answer(self, logits: Tensor, clicks: Iterable[Click], looks: Looks | None) -> Tensor:
        """What the person sees: the network's logits, ``size``, corrected by the frame's looks where the model says so."""
        if looks is None or not torch.isfinite(logits).all():
            return logits
        guidance = self.guidance(clicks)[0].bool().cpu().numpy()
        answer = with_appearance(logits.detach().float().cpu().numpy(), looks, guidance, self._appearance)
        return torch.from_numpy(answer).to(logits)

    def guidance(self, clicks: Iterable[Click]) -> Tensor:
        """Guidance channels for clicks of the image: ``(1, 2, *size)``."""
        return guidance_maps(self.clicks(clicks), *self.size, self._radius)[None].to(self.pixels.device)

    def corrections(self, clicks: Iterable[Click]) -> Tensor:
        """Correction map for clicks of the image: ``size``, with 1, 0, and -1 elsewhere."""
        return correction_map(self.clicks(clicks), *self.size).to(self.pixels.device)

    def respected(self, logits: Tensor, clicks: Sequence[Click], least: float = 0.5) -> bool:
        """Whether every click has its own label with at least this probability."""
        corrections = self.corrections(clicks)
        signed = torch.where(corrections == 1, logits, -logits)[corrections >= 0]
        return bool((torch.sigmoid(signed) >= least).all()) and bool((signed != 0).all())

    def at_image_size(self, logits: Tensor) -> Tensor:
        """Logits of the frame, ``size``, at the size of the image, on the CPU; minus infinity outside the window."""
        top, left, bottom, right = self.window
        part = F.interpolate(
            logits[None, None].float().cpu(), (bottom - top, right - left), mode="bilinear", align_corners=False
        )[0, 0]
        if part.shape == self.image_size:
            return part
        whole = torch.full(self.image_size, -torch.inf)
        whole[top:bottom, left:right] = part
        return whole

    def part_of(self, logits: Tensor) -> Tensor:
        """Logits of a frame of the whole image, at any size, as logits of this one's window: ``size``, on the same device."""
        (top, left, bottom, right), (height, width) = self.window, self.image_size
        across = [(right - left) / width, 0, (left + right) / width - 1]
        down = [0, (bottom - top) / height, (top + bottom) / height - 1]
        places = F.affine_grid(torch.tensor([[across, down]]), [1, 1, *self.size], align_corners=False)
        whole = logits[None, None].float().cpu()  # not every device knows how to pad with what is at the border
        return F.grid_sample(whole, places, padding_mode="border", align_corners=False)[0, 0].to(logits.device)

    def at_frame_size(self, mask: np.ndarray) -> Tensor:
        """A mask of the image, at the size of the frame: 0 and 1, float32, ``size``, on the model's device."""
        top, left, bottom, right = self.window
        part = torch.from_numpy(mask[top:bottom, left:right].astype(np.float32))[None, None]
        # Not by "area": a pixel on the border would get the whole weight of all it touches, and what is half an object be none.
        return (F.interpolate(part, self.size, mode="bilinear", antialias=True)[0, 0] > 0.5).float().to(self.pixels.device)
