"""What many tests use: a network small enough for milliseconds, and the real images that only developers have."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ilsegkit.data import Sample
from ilsegkit.model import InteractiveSegmenter, ModelConfig

# Networks this small are no faster with more threads, and much slower when the machine is busy.
torch.set_num_threads(1)

#: 80 thousand parameters, stride 8, nothing to download.
TINY = ModelConfig("Unet", "tu-test_resnet", {"encoder_depth": 3, "decoder_channels": (16, 8, 8)}, multiple=8, input_size=64)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real images and masks beside the repository; they are not part of it."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"there are no real images in {folder}")
    return folder


@pytest.fixture
def tiny_model() -> InteractiveSegmenter:
    """Always the same random parameters, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return InteractiveSegmenter(TINY).eval()


@pytest.fixture
def squares() -> Callable[[int], list[Sample]]:
    """Makes so many objects: bright noisy squares on dark noise."""

    def make(count: int) -> list[Sample]:
        samples = []
        for i in range(count):
            rng = np.random.default_rng(i)
            image = rng.integers(0, 120, (48, 64, 3), dtype=np.uint8)
            mask = np.zeros((48, 64), bool)
            mask[8 + i : 28 + i, 10:40] = True
            image[mask] += 100
            samples.append(Sample(image, mask, object_id=f"square {i}", class_name="square"))
        return samples

    return make
