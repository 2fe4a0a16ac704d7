import json
import logging
import os

import numpy as np
import pytest
from PIL import Image, ImageFilter

from ilsegkit.data import FolderDataset, Sample
from ilsegkit.errors import DataError


@pytest.fixture
def root(tmp_path):
    """Three images: ids 1 and 2 with some pixels to ignore; a binary mask; another id."""
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    labels = {name: np.zeros((20, 30), np.uint8) for name in ("a", "b", "c")}
    labels["a"][2:8, 2:8], labels["a"][10:18, 10:28], labels["a"][0:2] = 1, 2, 255
    labels["b"][5:10, 5:10] = 255
    labels["c"][12:20, 0:9] = 7
    for name, mask in labels.items():
        suffix = "png" if name == "b" else "jpg"
        Image.fromarray(rng.integers(0, 256, (20, 30, 3), np.uint8)).save(tmp_path / "images" / f"{name}.{suffix}")
        Image.fromarray(mask).save(tmp_path / "masks" / f"{name}.png")
    return tmp_path


def names(data):
    return [sample.object_id for sample in data]


def test_objects_in_a_stable_order(root):
    data = FolderDataset(root)
    assert len(data) == 4
    assert names(data) == names(FolderDataset(root)) == ["a:1", "a:2", "b:255", "c:7"]
    assert [entry.area for entry in data.entries] == [36, 144, 25, 72]
    assert [sample.image_id for sample in data] == ["a", "a", "b", "c"]


def test_samples(root):
    data = FolderDataset(root)
    sample = data[1]
    assert isinstance(sample, Sample)
    assert (sample.image.shape, sample.image.dtype) == ((20, 30, 3), np.uint8)
    expected = np.zeros((20, 30), bool)
    expected[10:18, 10:28] = True
    np.testing.assert_array_equal(sample.mask, expected)
    assert sample.ignore.sum() == 60
    assert sample.ignore[:2].all()
    assert sample.class_name is None
    np.testing.assert_array_equal(np.unique(data.labels(1)), [0, 1, 2, 255])


def test_in_a_binary_mask_255_is_the_object(root):
    sample = FolderDataset(root)[2]
    assert sample.mask.sum() == 25
    assert sample.ignore is None


def test_like_a_list(root):
    data = FolderDataset(root)
    assert names(data[1:3]) == ["a:2", "b:255"]
    assert data[-1].object_id == "c:7"
    assert len(list(data)) == 4
    with pytest.raises(IndexError):
        data[4]


def test_images_are_read_only_when_asked_for(root):
    data = FolderDataset(root)
    (root / "images" / "c.jpg").unlink()
    assert len(data) == 4
    assert data[0].object_id == "a:1"


def test_smallest_and_largest(root):
    assert names(FolderDataset(root, smallest=0.1)) == ["a:2", "c:7"]
    assert names(FolderDataset(root, smallest=36 / 600)) == ["a:1", "a:2", "c:7"]
    assert names(FolderDataset(root, largest_each=True)) == ["a:2", "b:255", "c:7"]


def test_classes_from_the_listing(root):
    (root / "instances.json").write_text(json.dumps({"a": [[2, "dog"]], "c": [[7, "cat"]]}))
    data = FolderDataset(root)
    assert [(sample.object_id, sample.class_name) for sample in data] == [("a:2", "dog"), ("c:7", "cat")]


def test_damaged_files_are_named_and_left_out(root, caplog):
    (root / "masks" / "a.png").unlink()
    Image.new("RGB", (31, 20)).save(root / "images" / "b.png")
    os.truncate(root / "masks" / "c.png", 40)
    Image.new("RGB", (4, 4)).save(root / "images" / "d.jpg")
    Image.new("L", (4, 4), 1).save(root / "masks" / "d.png")
    (root / "images" / "e.jpg").write_text("no image")
    Image.new("L", (4, 4), 1).save(root / "masks" / "e.png")
    with caplog.at_level(logging.WARNING):
        data = FolderDataset(root)
    assert names(data) == ["d:1"]
    assert len(caplog.records) == 1
    assert "4 left out" in caplog.text
    for part in ("a.png", "b.png' is 31 x 20 but its mask 30 x 20", "c.png", "e.jpg"):
        assert part in caplog.text


def test_images_that_cannot_be_read_are_left_out_from_the_start(root, caplog):
    Image.fromarray(np.full((20, 30), np.nan, np.float32)).save(root / "images" / "b.tif")
    (root / "images" / "b.png").unlink(missing_ok=True)
    (root / "images" / "b.jpg").unlink(missing_ok=True)
    with caplog.at_level(logging.WARNING):
        data = FolderDataset(root)
    assert names(data) == ["a:1", "a:2", "c:7"]
    assert "b.tif" in caplog.text
    assert "NaN" in caplog.text
    assert [sample.image_id for sample in data] == ["a", "a", "c"]


@pytest.mark.parametrize("blur", [0.5, 1, 3])
def test_soft_edges_are_no_objects(root, caplog, blur):
    mask = np.zeros((20, 30), np.uint8)
    mask[5:15, 5:25] = 255
    mask = mask.repeat(4, 0).repeat(4, 1)
    Image.new("RGB", mask.shape[::-1]).save(next(root.glob("images/c.*")))
    soft = Image.fromarray(mask).filter(ImageFilter.GaussianBlur(blur))
    soft.save(root / "masks" / "c.png")
    with caplog.at_level(logging.WARNING):
        data = FolderDataset(root)
    assert names(data) == ["a:1", "a:2", "b:255"]
    assert "greys beside 0 and 255, as of soft edges" in caplog.text


def test_negative_numbers_are_no_objects(root, caplog):
    (root / "masks" / "c.png").unlink(missing_ok=True)
    Image.fromarray(np.full((20, 30), -1, np.int32)).save(root / "masks" / "c.png", format="TIFF")
    with caplog.at_level(logging.WARNING):
        assert names(FolderDataset(root)) == ["a:1", "a:2", "b:255"]
    assert "has negative numbers" in caplog.text


@pytest.mark.parametrize("content", [[], {"a": 3}, {"a": [["x", "roof"]]}, {"a": [[1]]}])
def test_a_listing_of_another_form_is_told(root, content):
    (root / "instances.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"does not map names to \[\[number, class\], ...\]"):
        FolderDataset(root)


def test_folders_must_be_there(root):
    with pytest.raises(DataError, match="'images' and a folder 'masks'"):
        FolderDataset(root / "images")


def test_a_set_without_objects(root):
    for path in (root / "masks").iterdir():
        Image.new("L", (30, 20)).save(path)
    with pytest.raises(DataError, match="no object"):
        FolderDataset(root)


def test_real_images(shared_data):
    data = FolderDataset(shared_data / "eval" / "horses")
    assert len(data) >= 164
    sample = data[3]
    assert sample.image.shape[:2] == sample.mask.shape
    assert sample.mask.sum() == data.entries[3].area


def test_two_images_do_not_share_a_mask(root, caplog):
    Image.new("RGB", (30, 20)).save(root / "images" / "a.png")
    with caplog.at_level(logging.WARNING):
        data = FolderDataset(root)
    assert names(data) == ["a:1", "a:2", "b:255", "c:7"]
    assert data.skipped == 1
    assert "would share the mask 'a.png'" in caplog.text
