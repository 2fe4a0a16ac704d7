import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from ilsegkit.data import FolderDataset
from ilsegkit.data.crops import RandomCrops


def make_folder(root, masks):
    """A folder of noise images with these label maps."""
    rng = np.random.default_rng(0)
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    for i, mask in enumerate(masks):
        Image.fromarray(rng.integers(0, 256, (*mask.shape, 3), np.uint8)).save(root / "images" / f"{i}.png")
        Image.fromarray(mask).save(root / "masks" / f"{i}.png")
    return FolderDataset(root)


def labels(height, width, *boxes):
    mask = np.zeros((height, width), np.uint8)
    for label, top, bottom, left, right in boxes:
        mask[top:bottom, left:right] = label
    return mask


@pytest.fixture
def folder(tmp_path):
    return make_folder(
        tmp_path / "set",
        [
            labels(60, 90, (1, 5, 25, 5, 25), (2, 30, 58, 40, 88)),
            labels(200, 50, (1, 0, 200, 10, 14)),  # long and thin
            labels(100, 120, (1, 0, 100, 0, 120)),  # nothing but object
        ],
    )


def same(a, b):
    return torch.equal(a.image, b.image) and np.array_equal(a.target, b.target) and np.array_equal(a.others, b.others)


def test_shapes_types_and_values(folder):
    crops = RandomCrops([folder], 48, seed=0)
    for index in range(40):
        crop = crops[index]
        assert (crop.image.shape, crop.image.dtype) == ((3, 48, 48), torch.uint8)
        assert (crop.target.shape, crop.target.dtype) == ((48, 48), np.int8)
        assert (crop.others.shape, crop.others.dtype) == ((48, 48), np.bool_)
        assert set(np.unique(crop.target)) <= {-1, 0, 1}
        assert not (crop.others & (crop.target != 0)).any()


def test_same_index_same_crop_wherever_it_is_made(folder):
    crops, again = RandomCrops([folder], 48, seed=0), RandomCrops([folder], 48, seed=0)
    first = [crops[index] for index in range(6)]
    torch.manual_seed(99)  # the global generators have no say
    np.random.seed(99)  # noqa: NPY002
    backwards = [again[index] for index in reversed(range(6))][::-1]
    assert all(same(a, b) for a, b in zip(first, backwards, strict=True))
    loader = DataLoader(crops, batch_size=None, sampler=range(6), collate_fn=lambda crop: crop, num_workers=1)
    assert all(same(a, b) for a, b in zip(first, loader, strict=True))


def test_crops_leave_the_global_generator_alone(folder):
    before = torch.random.get_rng_state()
    RandomCrops([folder], 48, seed=0)[3]
    assert torch.equal(torch.random.get_rng_state(), before)


def test_other_index_or_seed_other_crop(folder):
    crops = RandomCrops([folder], 48, seed=0)
    assert not same(crops[0], crops[1])
    assert not same(crops[0], RandomCrops([folder], 48, seed=1)[0])


def test_the_object_is_visible(folder):
    crops = RandomCrops([folder], 48, seed=2)
    assert all((crops[index].target == 1).any() for index in range(200))


def test_what_lies_beyond_the_image_is_unknown(tmp_path):
    # 30 x 200 with an object as wide as the image: a window around it is far higher than the image.
    flat = make_folder(tmp_path / "flat", [labels(30, 200, (1, 10, 20, 0, 200))])
    crops = RandomCrops([flat], 64, seed=0)
    shares = []
    for index in range(60):
        outside = crops[index].target == -1
        # Whole rows (or columns, where the crop is turned), nothing else.
        lines = max(outside.all(axis).mean() for axis in (0, 1))
        assert outside.mean() == pytest.approx(lines)
        shares.append(outside.mean())
    assert min(shares) > 0.6  # at least 1 - 30 / (200 / 1.15)


def test_an_image_that_fills_the_window_has_no_unknown_pixels(tmp_path):
    large = make_folder(tmp_path / "large", [labels(300, 300, (1, 140, 160, 140, 160))])
    crops = RandomCrops([large], 48, seed=0)
    assert not any((crops[index].target == -1).any() for index in range(40))


def test_pixels_to_ignore_are_unknown_and_other_objects_are_others(tmp_path):
    data = make_folder(tmp_path / "set", [labels(64, 64, (1, 20, 44, 20, 44), (2, 20, 44, 46, 64), (255, 46, 64, 0, 64))])
    crops = RandomCrops([data], 64, seed=0)
    seen = {index: crops[index] for index in range(30)}
    assert any((crop.target == -1).any() for crop in seen.values())
    assert any(crop.others.any() for crop in seen.values())


def test_small_objects_are_not_used(tmp_path):
    data = make_folder(tmp_path / "set", [labels(64, 64, (1, 0, 12, 0, 12), (2, 20, 60, 20, 60))])  # 144 and 1600 pixels
    assert RandomCrops([data], 32, seed=0).usable == [[1]]


def test_a_large_folder_does_not_drown_a_small_one(tmp_path):
    one = make_folder(tmp_path / "one", [labels(40, 40, (1, 5, 35, 5, 35))])
    many = make_folder(tmp_path / "many", [labels(40, 40, (1, 5, 35, 5, 35))] * 16)
    assert RandomCrops([one, many], 32, seed=0).weights.tolist() == pytest.approx([0.2, 0.8])


def test_a_pasted_object_keeps_its_shape_and_gets_another_background(folder):
    plain, pasted = RandomCrops([folder], 48, seed=0), RandomCrops([folder], 48, seed=0, paste=1.0)
    changed = 0
    for index in range(20):
        before, after = plain[index], pasted[index]
        assert np.array_equal(before.target == 1, after.target == 1)
        assert not (after.others & (after.target == 1)).any()
        assert after.image.dtype == torch.uint8
        changed += not torch.equal(before.image, after.image)
    assert changed == 20
