"""An image at the size the network works at, and the way there and back."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from .clicks import Click
from .guidance import correction_map, guidance_maps
from .model import InteractiveSegmenter

__all__ = ["Frame"]


class Frame:
    """What a model works on: the image resized so that its longest side is the model's input size, never stretched.

    Parameters
    ----------
    image : ndarray of uint8, (height, width, 3)
    model : InteractiveSegmenter
        Decides size, device and click radius.

    Attributes
    ----------
    image_size, size : tuple of int
        Height and width of the image, and of the frame.
    pixels : Tensor, (1, 3, *size)
        RGB in 0-255, float32, on the model's device.
    """

    def __init__(self, image: np.ndarray, model: InteractiveSegmenter) -> None:
        height, width = image.shape[:2]
        scale = model.config.input_size / max(height, width)
        self.image_size = (height, width)
        self.size = (max(1, round(height * scale)), max(1, round(width * scale)))
        # PIL works on 8 bits: a photo of 48 megapixels needs no float copy of itself.
        small = Image.fromarray(image).resize(self.size[::-1], Image.Resampling.BILINEAR, reducing_gap=3.0)
        self.pixels = torch.from_numpy(np.array(small)).permute(2, 0, 1)[None].to(model.device).float()
        self._radius = model.config.click_radius

    def clicks(self, clicks: Iterable[Click]) -> list[Click]:
        """Clicks of the image as clicks of the frame."""
        (height, width), (rows, columns) = self.image_size, self.size

        def along(value: float, length: int, pixels: int) -> float:
            return float(np.clip((value + 0.5) * pixels / length - 0.5, 0, pixels - 1))

        return [Click(along(c.x, width, columns), along(c.y, height, rows), c.positive) for c in clicks]

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
        """Logits of the frame, ``size``, at the size of the image, on the CPU."""
        return F.interpolate(logits[None, None].float().cpu(), self.image_size, mode="bilinear", align_corners=False)[0, 0]
