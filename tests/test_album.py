import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Subset

from ilsegkit.album import Album
from ilsegkit.data import Sample
from ilsegkit.errors import ImageError

PHOTO = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)


def test_whatever_is_given_gets_names(tmp_path):
    for name in ("b.png", "a.jpg", "c.txt"):
        (Image.fromarray(PHOTO) if not name.endswith("txt") else Image.new("L", (2, 2))).save(
            tmp_path / name, format="PNG" if name != "a.jpg" else "JPEG"
        )
    assert list(Album(PHOTO)) == ["image 1"]
    assert list(Album([PHOTO, tmp_path / "a.jpg", PHOTO])) == ["image 1", "a.jpg", "image 3"]
    assert list(Album([tmp_path / "a.jpg", str(tmp_path / "a.jpg")])) == ["a.jpg", "a.jpg (2)"]
    (tmp_path / "._b.png").write_bytes(b"as macOS leaves it")
    assert list(Album(tmp_path)) == ["a.jpg", "b.png"]
    # Those of one name in several folders are the same tomorrow, wherever they are in the list.
    assert list(Album(["p/0.png", "q/0.png", "1.png"])) == ["p/0.png", "q/0.png", "1.png"]
    assert list(Album(["o/0.png", "q/0.png"])) == ["o/0.png", "q/0.png"]
    assert list(Album({1: PHOTO})) == ["1"]
    assert list(Album(tmp_path.glob("*.jpg"))) == ["a.jpg"]
    assert list(Album({"x": PHOTO}.values())) == ["image 1"]
    assert list(Album(Subset([PHOTO, PHOTO, PHOTO], [0, 2]))) == ["image 1", "image 2"]
    assert list(Album(torch.zeros(3, 40, 60, 3))) == ["image 1"]
    assert list(Album(tmp_path)) == ["a.jpg", "b.png"]  # a folder: its images, by name
    mask = np.ones((40, 60), bool)
    album = Album([Sample(PHOTO, mask, "cat:1", class_name="cat")])
    assert list(album) == ["cat:1"]
    assert album["cat:1"].class_name == "cat"
    np.testing.assert_array_equal(album["cat:1"].truth, mask)


def test_images_are_read_only_when_they_are_asked_for():
    class Lazy(dict):
        read = ()

        def __getitem__(self, name):
            self.read += (name,)
            return PHOTO

    images = Lazy(one=None, two=None)
    album = Album(images)
    assert images.read == ()
    assert album["two"].pixels.shape == (40, 60, 3)
    assert images.read == ("two",)
    assert [album.after("one", k) for k in (1, 2, -1)] == ["two", "one", "two"]


def test_true_masks(tmp_path):
    mask = np.zeros((40, 60), np.uint8)
    mask[5:9] = 3
    Image.fromarray(mask).save(tmp_path / "mask.png")
    album = Album({"a": PHOTO, "b": PHOTO, "c": PHOTO}, {"a": mask, "b": tmp_path / "mask.png"})
    assert album["a"].truth.dtype == bool
    assert album["a"].truth.sum() == album["b"].truth.sum() == 240
    assert album["c"].truth is None
    with pytest.raises(ImageError, match="no image of that name"):
        Album({"a": PHOTO}, {"b": mask})
    with pytest.raises(ImageError, match="60 x 40 pixels but its true mask 60 x 39"):
        _ = Album({"a": PHOTO}, {"a": mask[1:]})["a"]


def test_what_is_not_there_is_said(tmp_path):
    for nothing in ([], {}, tmp_path):
        with pytest.raises(ImageError, match="no image"):
            Album(nothing)
    with pytest.raises(ImageError, match=r"no image in '.*'; give a folder with files of .*\.png"):
        Album(tmp_path)
    with pytest.raises(ImageError, match=r"no image file or folder '.*nowhere'; check the path"):
        Album(tmp_path / "nowhere")
    with pytest.raises(ImageError, match="no image 'x'; choose one of a"):
        _ = Album({"a": PHOTO})["x"]


def test_thumbnails(tmp_path):
    turned = Image.fromarray(PHOTO).resize((600, 400))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side
    turned.save(tmp_path / "turned.jpg", exif=exif)
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    album = Album([tmp_path / "turned.jpg", PHOTO, tmp_path / "broken.jpg"])
    (tmp_path / "seen.jpg").write_bytes(album.thumbnail("turned.jpg"))
    with Image.open(tmp_path / "seen.jpg") as seen:
        assert seen.size == (64, 96)
    assert album.thumbnail("image 2")[:2] == b"\xff\xd8"
    with pytest.raises(ImageError, match="cannot be read"):
        album.thumbnail("broken.jpg")
