"""Training examples: random crops around objects, the same for the same seed and index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as TF

from ..errors import DataError
from ..images import read_image
from .folder import IGNORE_LABEL, FolderDataset

__all__ = ["Crop", "RandomCrops"]

# Roles of pixels in a crop. What lies beyond the image is left out of loss and clicks; 0, so that padding means that.
_OUTSIDE, _BACKGROUND, _OBJECT, _OTHER = range(4)


class Crop(NamedTuple):
    """One training example.

    Attributes
    ----------
    image : Tensor of uint8, (3, size, size)
    target : ndarray of int8, (size, size)
        1 on the object, 0 on the background, -1 where nothing is known.
    others : ndarray of bool, (size, size)
        Other objects.
    """

    image: Tensor
    target: np.ndarray
    others: np.ndarray


class RandomCrops(Dataset[Crop]):
    """An endless supply of crops: item `index` is the same whenever and wherever it is asked for.

    A folder is drawn in proportion to the square root of its number of objects, so that none drowns the others; then one of
    its objects; then a scale, a window around the object, flips, and changes of colour.

    Parameters
    ----------
    folders : sequence of FolderDataset
        Objects of fewer than 150 pixels are not used.
    size : int
        Side of the crops in pixels.
    seed : int
    paste : float, optional
        Share of the objects that are cut out and pasted over another crop: more backgrounds than there are images
        (Ghiasi et al., "Simple Copy-Paste", CVPR 2021).
    """

    def __init__(self, folders: Sequence[FolderDataset], size: int, seed: int, paste: float = 0.0) -> None:
        self.folders, self.size, self.seed, self.paste = folders, size, seed, paste
        self.usable = [[i for i, entry in enumerate(folder.entries) if entry.area >= 150] for folder in folders]
        if not any(self.usable):
            raise DataError("there is no object of 150 pixels or more to train on")
        weights = np.sqrt([len(usable) for usable in self.usable])
        self.weights = weights / weights.sum()
        self.colour = v2.Compose(
            [
                v2.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3),
                v2.RandomApply([v2.ColorJitter(hue=0.05)], 0.3),  # half the cost of a crop
                v2.RandomGrayscale(0.07),
                v2.RandomApply([v2.GaussianBlur(5, (0.3, 1.5))], 0.1),
            ]
        )

    def __len__(self) -> int:
        return 2**62

    def __getitem__(self, index: int) -> Crop:
        rng = np.random.default_rng([self.seed, index])
        image, pixels = self._draw(rng)
        if rng.random() < self.paste:
            behind, around = self._draw(rng)
            here = pixels == _OBJECT
            # Borders soft as a camera's: a hard cut would tell the network where the object ends.
            share = TF.gaussian_blur(here.float(), [3, 3], [float(rng.uniform(0.3, 1.0))])
            image = (share * image + (1 - share) * behind).round().to(torch.uint8)
            around[around == _OBJECT] = _OTHER
            pixels = torch.where(here, pixels, around)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**62)))
            image = self.colour(image)
        roles = pixels[0].numpy()
        target = np.select([roles == _OUTSIDE, roles == _OBJECT], [-1, 1], 0).astype(np.int8)
        return Crop(image.contiguous(), target, roles == _OTHER)

    def _draw(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A crop around a random object, flipped and turned at random: colours (3, size, size), roles (1, size, size)."""
        folder = int(rng.choice(len(self.folders), p=self.weights))
        entry_index = int(rng.choice(self.usable[folder]))
        entry = self.folders[folder].entries[entry_index]
        labels = self.folders[folder].labels(entry_index)
        roles = np.full(labels.shape, _BACKGROUND, np.uint8)
        roles[(labels != 0) & (labels != IGNORE_LABEL)] = _OTHER
        roles[labels == IGNORE_LABEL] = _OUTSIDE
        roles[labels == entry.label] = _OBJECT
        top, left, side = self._window(roles == _OBJECT, rng)
        image = torch.from_numpy(read_image(entry.image)).permute(2, 0, 1)
        image = TF.resize(TF.crop(image, top, left, side, side), [self.size, self.size], antialias=True)
        pixels = TF.crop(torch.from_numpy(roles)[None], top, left, side, side)
        pixels = TF.resize(pixels, [self.size, self.size], interpolation=v2.InterpolationMode.NEAREST_EXACT)
        if rng.random() < 0.5:
            image, pixels = image.flip(-1), pixels.flip(-1)
        if rng.random() < 0.2:  # aerial and microscope images have no up
            turns = int(rng.integers(1, 4))
            image, pixels = image.rot90(turns, (1, 2)), pixels.rot90(turns, (1, 2))
        return image, pixels.clone()

    def _window(self, mask: np.ndarray, rng: np.random.Generator) -> tuple[int, int, int]:
        """Top, left and side of a square around the object, in image pixels; it may reach beyond the image."""
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box = ((rows[0], rows[-1] + 1), (columns[0], columns[-1] + 1))
        extent = max(end - start for start, end in box)
        scale = float(np.exp(rng.uniform(np.log(0.6), np.log(1.6))))
        # Neither larger than the crop by much, nor too small to be seen.
        scale = float(np.clip(scale, 24 / extent, 1.15 * self.size / extent))
        side = max(round(self.size / scale), 8)
        corner = []
        for (start, end), length in zip(box, mask.shape, strict=True):
            low, high = sorted((end - side, start))  # the window holds the object, or the object holds the window
            if side <= length:
                low, high = np.clip([low, high], 0, length - side)
            else:
                low, high = length - side, 0
            corner.append(int(rng.integers(low, high + 1)))
        return corner[0], corner[1], side
