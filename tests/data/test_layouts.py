"""The official layouts of the paper's sets, each written here as its publisher has it."""

import json
import logging
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from scipy.io import savemat
from torch.utils.data import DataLoader
from typer.testing import CliRunner

from ilsegkit.cli import app
from ilsegkit.data.ade20k import ADE20K
from ilsegkit.data.catalog import LOADERS, open_dataset
from ilsegkit.data.coco import CocoInstances, CocoVal2014, CocoVal2017
from ilsegkit.data.contours import Drions, Rooftop
from ilsegkit.data.crops import RandomCrops
from ilsegkit.data.export import export
from ilsegkit.data.folder import FolderDataset, ImageFolder
from ilsegkit.data.grabcut import Berkeley, GrabCut
from ilsegkit.data.video import Davis, YouTubeVOS
from ilsegkit.data.voc import SBD, VOC, VOCTrainAug
from ilsegkit.errors import DataError

HEIGHT, WIDTH = 40, 60


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(array)
    if options.pop("palette", False):
        image = image.convert("P")
        image.putpalette([value for i in range(256) for value in (i, 255 - i, 7 * i % 256)])
        image.putdata(array.ravel().tolist())
    image.save(path, **options)
    return path


def photo(path):
    return save(path, np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8))


def boxes(*labelled):
    """A label map of (label, top, bottom, left, right)."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    for label, top, bottom, left, right in labelled:
        labels[top:bottom, left:right] = label
    return labels


def ids(data):
    return [entry.object_id for entry in data.entries]


def rows(data):
    return [(entry.object_id, entry.class_name, entry.area) for entry in data.entries]


def write_voc(root, names=("2007_000032", "2007_000039", "2008_000002")):
    """An aeroplane and a person with white borders in each; the first is for training, the others for validation."""
    base = root / "VOCdevkit" / "VOC2012"
    for name in names:
        photo(base / "JPEGImages" / f"{name}.jpg")
        objects = boxes((1, 5, 15, 5, 25), (2, 20, 35, 30, 50), (255, 15, 17, 5, 25))
        classes = boxes((1, 5, 15, 5, 25), (15, 20, 35, 30, 50), (255, 15, 17, 5, 25))
        save(base / "SegmentationObject" / f"{name}.png", objects, palette=True)
        save(base / "SegmentationClass" / f"{name}.png", classes, palette=True)
    lists = base / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for split, chosen in (("train", names[:1]), ("val", names[1:]), ("trainval", names)):
        (lists / f"{split}.txt").write_text("".join(f"{name}\n" for name in reversed(chosen)))
    return base


def write_sbd(root, train=("2008_000003", "2008_000002"), val=("2007_000032", "2009_000001")):
    base = root / "benchmark_RELEASE" / "dataset"
    for name in (*train, *val):
        photo(base / "img" / f"{name}.jpg")
        labels = boxes((1, 2, 12, 2, 12), (2, 20, 30, 20, 40))
        inst = base / "inst" / f"{name}.mat"
        inst.parent.mkdir(exist_ok=True)
        savemat(inst, {"GTinst": {"Segmentation": labels, "Categories": np.array([[12], [20]], np.uint8), "Boundaries": 0}})
    (base / "train.txt").write_text("\n".join(train))
    (base / "val.txt").write_text("\n".join(val))
    return base


def write_coco(root, split="val2014"):
    """A cat of two polygons, a dog as run lengths, a crowd of people over a part of the cat, a cat in another image."""
    for name in ("000000000009", "000000000025"):
        photo(root / split / f"COCO_{split}_{name}.jpg")
    dog, crowd = (np.asfortranarray(boxes(box)) for box in ((1, 25, 35, 10, 30), (1, 0, 10, 0, 40)))
    run = coco_mask.encode(crowd)
    counts = [len(list(part)) for part in _runs(crowd)]
    annotations = [
        (70, 25, 17, [[10, 10, 20, 10, 20, 20, 10, 20]], 0, 100),
        (52, 9, 17, [[5, 5, 15, 5, 15, 15, 5, 15], [30, 5, 40, 5, 40, 15, 30, 15]], 0, 200),
        (900, 9, 1, {"counts": counts, "size": [HEIGHT, WIDTH]}, 1, 400),
        (51, 9, 18, {"counts": coco_mask.encode(dog)["counts"].decode(), "size": [HEIGHT, WIDTH]}, 0, 200),
    ]
    assert run["size"] == [HEIGHT, WIDTH]
    keys = ("id", "image_id", "category_id", "segmentation", "iscrowd", "area")
    images = [{"id": n, "file_name": f"COCO_{split}_{n:012d}.jpg", "height": HEIGHT, "width": WIDTH} for n in (25, 9)]
    content = {
        "images": images,
        "annotations": [dict(zip(keys, annotation, strict=True)) for annotation in annotations],
        "categories": [{"id": 1, "name": "person"}, {"id": 17, "name": "cat"}, {"id": 18, "name": "dog"}],
    }
    listing = root / "annotations" / f"instances_{split}.json"
    listing.parent.mkdir()
    listing.write_text(json.dumps(content))
    return listing


def _runs(mask):
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat]))) if flat[0] == 0 else np.flatnonzero(np.diff(flat)) + 1
    starts = [0, *edges] if flat[0] == 0 else [0, 0, *edges]
    return [range(a, b) for a, b in zip(starts, [*starts[1:], len(flat)], strict=True)]


def write_davis(root):
    base = root / "DAVIS"
    for video, frames in (("bear", 4), ("cows", 3), ("tennis", 3)):
        for number in range(frames):
            photo(base / "JPEGImages" / "480p" / video / f"{number:05d}.jpg")
            labels = boxes((1, 5, 15, 5, 25), (2, 20, 30, 5, 25))  # two objects of DAVIS 2017
            save(base / "Annotations" / "480p" / video / f"{number:05d}.png", labels, palette=True)
    lists = base / "ImageSets" / "2016"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("bear\n")
    frame = "/JPEGImages/480p/cows/00000.jpg /Annotations/480p/cows/00000.png\n"
    (lists / "val.txt").write_text(frame)  # as DAVIS 2016 itself has it
    return base


def write_youtube(root):
    base = root / "test"
    frames = {
        ("a1", "00000"): boxes((1, 5, 15, 5, 25)),
        ("a1", "00005"): boxes((1, 6, 16, 6, 26), (2, 20, 30, 30, 50)),
        ("b2", "00010"): boxes((3, 5, 15, 5, 25)),
    }
    for (video, frame), labels in frames.items():
        photo(base / "JPEGImages" / video / f"{frame}.jpg")
        photo(base / "JPEGImages" / video / "00099.jpg")  # not annotated
        save(base / "Annotations" / video / f"{frame}.png", labels, palette=True)
    objects = {"1": {"category": "zebra", "frames": ["00000"]}, "2": {"category": "duck", "frames": ["00005"]}}
    (base / "meta.json").write_text(json.dumps({"videos": {"a1": {"objects": objects}}}))
    return base


def write_drions(root):
    base = root / "DRIONS-DB"
    for number in (1, 2):
        photo(base / "images" / f"image_{number:03d}.jpg")
        for expert in (1, 2):
            points = [(10, 10), (30, 10), (30, 10 + 10 * expert), (10, 10 + 10 * expert)]
            path = base / "experts_anotation" / f"anotExpert{expert}_{number:03d}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text("".join(f"{x:.4f} , {y:.4f}\r\n" for x, y in points))
    return base


def write_rooftop(root):
    base = root / "Rooftop"
    for name, polygons in (("r1", [(10, 10, 20, 20), (30, 5, 55, 15)]), ("r2", [(10, 10, 30, 30)])):
        photo(base / f"{name}.jpg")
        cells = np.empty((1, len(polygons)), object)
        for i, (left, top, right, bottom) in enumerate(polygons):  # the first pixel of MATLAB is 1
            cells[0, i] = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float) + 0.5
        savemat(base / f"{name}.mat", {"gt": cells})
    return base


def write_ade(root):
    base = root / "ADEChallengeData2016"
    for split in ("training", "validation"):
        photo(base / "images" / split / "ADE_val_00000001.jpg")
        classes = boxes((3, 0, 40, 0, 60), (8, 5, 15, 5, 25), (8, 20, 30, 30, 50), (20, 35, 36, 0, 2), (0, 0, 3, 0, 60))
        save(base / "annotations" / split / "ADE_val_00000001.png", classes)
    lines = ["Idx\tRatio\tTrain\tVal\tName", "3\t0.1\t1\t1\tsky", "8\t0.02\t1\t1\tbed, bunk", "20\t0.01\t1\t1\tcar, auto"]
    (base / "objectInfo150.txt").write_text("\n".join(lines))
    return base


def write_grabcut(root):
    base = root / "GrabCut"
    for name, suffix in (("banana1", "bmp"), ("124084", "jpg")):
        photo(base / "data_GT" / f"{name}.{suffix}")
        save(base / "boundary_GT" / f"{name}.bmp", boxes((128, 3, 17, 3, 27), (255, 5, 15, 5, 25)))
    return base


def write_berkeley(root):
    base = root / "Berkeley"
    photo(base / "images" / "12003.jpg")
    photo(base / "images" / "24063.jpg")
    colours = np.repeat(boxes((255, 5, 15, 5, 25))[..., None], 3, 2)
    save(base / "masks" / "12003.png", colours)
    save(base / "masks" / "24063#1.png", colours)
    save(base / "masks" / "24063#2.png", colours)
    return base


# What a loader gives for a set: a writer, the loader, and (id, class, pixels) of its objects.
SETS = {
    "VOC": (
        write_voc,
        VOC,
        [
            (f"{name}:{label}", kind, area)
            for name in ("2007_000039", "2008_000002")
            for label, kind, area in ((1, "aeroplane", 200), (2, "person", 300))
        ],
    ),
    "SBD": (
        write_sbd,
        SBD,
        [
            (f"{name}:{label}", kind, area)
            for name in ("2008_000002", "2008_000003")
            for label, kind, area in ((1, "dog", 100), (2, "tvmonitor", 200))
        ],
    ),
    "CocoVal2014": (
        write_coco,
        CocoVal2014,
        [
            ("COCO_val2014_000000000009:51", "dog", 200),
            ("COCO_val2014_000000000009:52", "cat", 200),
            ("COCO_val2014_000000000025:70", "cat", 100),
        ],
    ),
    "Davis": (
        write_davis,
        Davis,
        [(f"{v}/{n:05d}", None, 400) for v, count in (("bear", 4), ("cows", 3), ("tennis", 3)) for n in range(count)],
    ),
    "YouTubeVOS": (write_youtube, YouTubeVOS, [("a1:1", "zebra", 200), ("a1:2", "duck", 200), ("b2:3", None, 200)]),
    "Drions": (write_drions, Drions, [("image_001", "optic disc", 200), ("image_002", "optic disc", 200)]),
    "Rooftop": (write_rooftop, Rooftop, [("r1:0", "rooftop", 100), ("r1:1", "rooftop", 250), ("r2:0", "rooftop", 400)]),
    "ADE20K": (
        write_ade,
        ADE20K,
        [("ADE_val_00000001:1", "sky", 37 * 60 - 402), ("ADE_val_00000001:2", "bed", 200), ("ADE_val_00000001:3", "bed", 200)],
    ),
    "GrabCut": (write_grabcut, GrabCut, [("124084", None, 200), ("banana1", None, 200)]),
    "Berkeley": (write_berkeley, Berkeley, [("12003", None, 200), ("24063#1", None, 200), ("24063#2", None, 200)]),
}


@pytest.fixture(params=SETS)
def made(request, tmp_path):
    writer, loader, expected = SETS[request.param]
    writer(tmp_path)
    return loader, expected, tmp_path


def test_objects_in_a_stable_order(made):
    loader, expected, root = made
    data = loader(root)
    assert rows(data) == expected
    assert ids(loader(root)) == ids(data)
    assert data.skipped == 0


def test_samples(made):
    loader, expected, root = made
    data = loader(root)
    for entry, sample in zip(data.entries, data, strict=True):
        assert (sample.image.shape, sample.image.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
        assert (sample.mask.shape, sample.mask.dtype) == ((HEIGHT, WIDTH), np.bool_)
        assert sample.mask.sum() == entry.area
        assert sample.ignore is None or (sample.ignore.any() and not (sample.ignore & sample.mask).any())
        assert (sample.object_id, sample.class_name, sample.image_id) == (entry.object_id, entry.class_name, entry.image_id)
    with pytest.raises(IndexError):
        data[len(expected)]


def test_without_looking_at_the_files(made):
    loader, expected, root = made
    data = loader(root, check=False)
    assert ids(data)[: len(expected)] == [name for name, *_ in expected]
    part = data.subset([1, 0]).check()
    assert rows(part) == [expected[1], expected[0]]
    assert len(data) >= len(expected)


def test_many_workers_read_the_same(made):
    loader, expected, root = made
    data = loader(root)
    again = pickle.loads(pickle.dumps(data))
    assert rows(again) == expected
    np.testing.assert_array_equal(again[-1].mask, data[-1].mask)


def test_damaged_images_are_named_and_counted(made, caplog):
    loader, expected, root = made
    whole = loader(root, check=False)
    image = whole.entries[0].image
    os.truncate(image, image.stat().st_size // 2)
    lost = [entry.object_id for entry in whole.entries if entry.image == image]
    lost = [name for name, *_ in expected if name in lost]
    if len(lost) == len(expected):
        with pytest.raises(DataError, match="no object"):
            loader(root)
        return
    with caplog.at_level(logging.WARNING):
        data = loader(root)
    assert ids(data) == [name for name, *_ in expected if name not in lost]
    assert len(caplog.records) == 1
    assert image.name in caplog.text
    assert f"{data.skipped} left out" in caplog.text


def test_damaged_masks_are_named_and_counted(made, caplog):
    loader, expected, root = made
    if loader is CocoVal2014:
        pytest.skip("all masks are in one file")
    mask = loader(root, check=False).entries[-1].mask
    mask.write_bytes(mask.read_bytes()[:30])
    with caplog.at_level(logging.WARNING):
        try:
            data = loader(root)
        except DataError:  # there was only this one
            assert loader is ADE20K
            data = []
    assert len(data) < len(expected)
    assert mask.name in caplog.text
    assert len(caplog.records) == 1


def test_a_folder_of_something_else(made, tmp_path):
    loader, _, _ = made
    with pytest.raises(DataError, match=r"there is no "):
        loader(tmp_path / "nothing")


def test_every_loader_of_the_manifest_has_a_test():
    small = {"AerialBuildings", "CocoPanoptic", "FundusSoftMap", "GrabCut20", "Nuclei"}  # in test_small.py
    assert set(LOADERS) == set(SETS) | small | {"CocoVal2017", "VOCTrainAug"}


class TestVOC:
    def test_white_borders_are_ignored(self, tmp_path):
        write_voc(tmp_path)
        sample = VOC(tmp_path)[0]
        assert sample.ignore.sum() == 40
        assert sample.ignore[15:17, 5:25].all()

    def test_splits(self, tmp_path):
        write_voc(tmp_path)
        assert len(VOC(tmp_path, "train")) == 2
        assert len(VOC(tmp_path, "trainval")) == 6
        with pytest.raises(DataError, match=r"test.txt.*is the split right"):
            VOC(tmp_path, "test")
        assert len(SBD(write_sbd(tmp_path), "trainval")) == 8

    def test_with_sbd_it_is_the_papers_training_set(self, tmp_path):
        voc, sbd = write_voc(tmp_path / "voc"), write_sbd(tmp_path / "sbd")
        data = VOCTrainAug(tmp_path / "sbd", tmp_path / "voc")
        # VOC's train, and what SBD has beyond VOC's train and val: not 2008_000002.
        assert [entry.image for entry in data.entries][::2] == [
            voc / "JPEGImages" / "2007_000032.jpg",
            sbd / "img" / "2008_000003.jpg",
            sbd / "img" / "2009_000001.jpg",
        ]
        assert [entry.class_name for entry in data.entries[:4]] == ["aeroplane", "person", "dog", "tvmonitor"]
        assert data[0].ignore is not None
        assert data[2].ignore is None

    def test_it_can_be_trained_on(self, tmp_path):
        write_voc(tmp_path / "voc")
        write_sbd(tmp_path / "sbd")
        data = VOCTrainAug(tmp_path / "sbd", tmp_path / "voc")
        crop = next(iter(DataLoader(RandomCrops([data], 32, seed=0), batch_size=None, num_workers=1, sampler=range(2))))
        assert crop.target.shape == (32, 32)
        assert (crop.target == 1).any()

    def test_an_sbd_file_of_another_kind(self, tmp_path, caplog):
        base = write_sbd(tmp_path)
        savemat(base / "inst" / "2008_000002.mat", {"GTcls": 1})
        savemat(base / "inst" / "2008_000003.mat", {"GTinst": {"Segmentation": boxes((3, 0, 9, 0, 9)), "Categories": [1, 2]}})
        with caplog.at_level(logging.WARNING), pytest.raises(DataError, match="no object"):
            SBD(tmp_path)
        assert "2008_000002.mat" in caplog.text
        assert "2008_000003.mat' has objects without a class" in caplog.text


class TestCoco:
    def test_images_in_folders_are_told_apart(self, tmp_path):
        content = json.loads(write_coco(tmp_path).read_text())
        for image, folder in zip(content["images"], ("cam1", "cam2"), strict=True):
            photo(tmp_path / folder / "0001.jpg")
            image["file_name"] = f"{folder}/0001.jpg"
        (tmp_path / "mine.json").write_text(json.dumps(content))
        data = CocoInstances(tmp_path / "mine.json")
        assert [entry.object_id for entry in data.entries] == ["cam1/0001:70", "cam2/0001:51", "cam2/0001:52"]
        export(data, tmp_path / "out")
        assert len(list((tmp_path / "out" / "images").iterdir())) == 2

    def test_a_crowd_of_another_size_is_told_and_its_image_left_out(self, tmp_path, caplog):
        listing = write_coco(tmp_path)
        content = json.loads(listing.read_text())
        content["annotations"][2]["segmentation"] = {"counts": [0, 12], "size": [3, 4]}
        listing.write_text(json.dumps(content))
        with caplog.at_level(logging.WARNING):
            assert len(CocoVal2014(tmp_path)) == 1
        assert "is 4 x 3, its image" in caplog.text

    @pytest.mark.parametrize(
        "segmentation",
        [
            [[0, 0, 5, float("nan"), 5, 5]],
            [[0, 0, 1e12, 0, 5, 5]],
            [["a", 0, 5, 0, 5, 5]],
            {"size": [40, 60], "counts": [5, 3]},
            {"size": [40, 60], "counts": [-1, 2401]},
            {"size": [40, 60], "counts": None},
            {"counts": "0"},
            {"size": [40, 60]},
            7,
        ],
    )
    def test_what_is_no_mask_is_told(self, tmp_path, caplog, segmentation):
        """pycocotools reads beyond the end of some, and never comes back from others."""
        listing = write_coco(tmp_path)
        content = json.loads(listing.read_text())
        content["annotations"][0]["segmentation"] = segmentation
        listing.write_text(json.dumps(content))
        try:
            with caplog.at_level(logging.WARNING):
                assert len(CocoVal2014(tmp_path)) == 2
            assert "left out" in caplog.text
        except DataError as error:
            assert "not as COCO's are" in str(error)  # noqa: PT017  (either is right)

    @pytest.mark.parametrize(
        ("part", "values"),
        [
            ("images", {"height": "40"}),
            ("images", {"height": -40}),
            ("images", {"id": None, "file_name": 3}),
            ("annotations", {"id": "seven", "image_id": 9}),
            ("categories", {"id": [1]}),
            ("annotations", {"area": float("inf")}),
            ("annotations", {"segmentation": {"size": [40, 60], "counts": ""}}),
            ("annotations", {"segmentation": {"size": [40, 60], "counts": "0" * 500}}),
        ],
    )
    def test_what_is_not_as_coco_writes_it_is_told(self, tmp_path, part, values):
        listing = write_coco(tmp_path)
        content = json.loads(listing.read_text())
        content[part][0] |= values
        if values.get("file_name"):
            content["images"] = content["images"][0]
        listing.write_text(json.dumps(content))
        with pytest.raises(DataError, match="not as COCO's are"):
            CocoVal2014(tmp_path)

    def test_an_image_without_a_name_is_told(self, tmp_path):
        listing = write_coco(tmp_path)
        content = json.loads(listing.read_text())
        for image in content["images"]:
            image["file_name"] = ""
        listing.write_text(json.dumps(content))
        with pytest.raises(DataError, match="not as COCO's are"):
            CocoInstances(listing)

    def test_crowds_are_ignored(self, tmp_path):
        write_coco(tmp_path)
        data = CocoVal2014(tmp_path)
        crowd = boxes((1, 0, 10, 0, 40)) > 0
        np.testing.assert_array_equal(data[1].ignore, crowd & ~data[1].mask)
        assert data[2].ignore is None

    def test_masks_of_polygons_and_run_lengths(self, tmp_path):
        write_coco(tmp_path)
        data = CocoVal2014(tmp_path)
        np.testing.assert_array_equal(data[0].mask, boxes((1, 25, 35, 10, 30)) > 0)
        np.testing.assert_array_equal(data[1].mask, boxes((1, 5, 15, 5, 15), (1, 5, 15, 30, 40)) > 0)

    def test_smallest_goes_by_the_annotation(self, tmp_path):
        write_coco(tmp_path, "val2017")
        assert len(CocoVal2017(tmp_path, smallest=150)) == 2

    def test_a_listing_of_ones_own(self, tmp_path):
        listing = write_coco(tmp_path)
        data = CocoInstances(listing, tmp_path / "val2014")
        assert len(data) == 3
        os.rename(listing, tmp_path / "val2014" / "mine.json")
        assert ids(CocoInstances(tmp_path / "val2014" / "mine.json")) == ids(data)

    def test_images_that_are_missing_are_named(self, tmp_path, caplog):
        listing = write_coco(tmp_path)
        (tmp_path / "val2014" / "COCO_val2014_000000000009.jpg").unlink()
        data = CocoInstances(listing, tmp_path / "val2014")
        assert (len(data), data.skipped) == (1, 2)
        assert caplog.text.count("COCO_val2014_000000000009.jpg") == 1

    def test_an_annotation_of_another_kind(self, tmp_path):
        listing = write_coco(tmp_path)
        content = json.loads(listing.read_text())
        del content["annotations"][0]["id"]
        listing.write_text(json.dumps(content))
        with pytest.raises(DataError, match=r"instances_val2014.json' has an annotation that is not as COCO's"):
            CocoVal2014(tmp_path)


class TestVideos:
    def test_the_videos_of_2016(self, tmp_path):
        write_davis(tmp_path)
        assert len(Davis(tmp_path, "train")) == 4
        assert len(Davis(tmp_path, "val")) == 3
        assert len(Davis(tmp_path, "trainval")) == 7
        with pytest.raises(DataError, match=r"no list .*all.txt.*choose split"):
            Davis(tmp_path, "all")

    def test_frames_without_the_object_are_named(self, tmp_path, caplog):
        base = write_davis(tmp_path)
        save(base / "Annotations" / "480p" / "bear" / "00002.png", boxes())
        assert len(Davis(tmp_path)) == 9
        assert "bear/00002" in caplog.text.replace(os.sep, "/")

    def test_splits_of_youtube(self, tmp_path):
        base = write_youtube(tmp_path / "YouTubeVOS")
        base.rename(base.with_name("valid"))
        assert len(YouTubeVOS(tmp_path, "valid")) == 3
        with pytest.raises(DataError, match=r"no folder 'test' .*name another split"):
            YouTubeVOS(tmp_path)

    def test_a_damaged_list_of_classes(self, tmp_path):
        base = write_youtube(tmp_path)
        (base / "meta.json").write_text("[]")
        with pytest.raises(DataError, match=r"meta.json"):
            YouTubeVOS(tmp_path)


class TestContours:
    def test_second_expert(self, tmp_path):
        write_drions(tmp_path)
        assert [entry.area for entry in Drions(tmp_path, expert=2).entries] == [400, 400]

    @pytest.mark.parametrize("text", ["", "1,2,3\n4,5,6\n", "a,b\n", "1,nan\n2,3\n4,5\n", "1,2\n3,4\n"])
    def test_contours_that_are_none(self, tmp_path, caplog, text):
        base = write_drions(tmp_path)
        (base / "experts_anotation" / "anotExpert1_002.txt").write_text(text)
        data = Drions(tmp_path)
        assert (ids(data), data.skipped) == (["image_001"], 1)
        assert "anotExpert1_002.txt" in caplog.text

    def test_roofs_without_an_image_and_other_cells(self, tmp_path, caplog):
        base = write_rooftop(tmp_path)
        (base / "r2.jpg").unlink()
        savemat(base / "r3.mat", {"gt": np.ones((1, 1), object)})
        data = Rooftop(tmp_path)
        assert (ids(data), data.skipped) == (["r1:0", "r1:1"], 2)
        assert "r2.jpg" in caplog.text
        assert "r3.mat' has a polygon that is no matrix" in caplog.text


class TestADE20K:
    def test_what_has_no_class_is_ignored(self, tmp_path):
        write_ade(tmp_path)
        sample = ADE20K(tmp_path)[0]
        assert sample.ignore[:3].all()
        assert sample.ignore.sum() == 180

    def test_smaller_regions(self, tmp_path):
        write_ade(tmp_path)
        assert [e.class_name for e in ADE20K(tmp_path, "training", smallest=0).entries] == ["sky", "bed", "bed", "car"]
        assert [e.class_name for e in ADE20K(tmp_path, "training", check=False).entries] == ["sky", "bed", "bed"]
        with pytest.raises(DataError, match="choose training or validation"):
            ADE20K(tmp_path, "test")


def test_images_without_masks(tmp_path, caplog):
    photo(tmp_path / "b.png")
    photo(tmp_path / "a.jpg")
    (tmp_path / "c.jpg").write_text("no image")
    (tmp_path / "notes.txt").write_text("no image")
    images = ImageFolder(tmp_path)
    assert list(images) == ["a.jpg", "b.png"]
    assert images["a.jpg"].shape == (HEIGHT, WIDTH, 3)
    assert images.skipped == 1
    assert "c.jpg" in caplog.text
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no image in"):
        ImageFolder(tmp_path / "empty")
    with pytest.raises(DataError, match="no folder"):
        ImageFolder(tmp_path / "none")


def test_opening_by_id(tmp_path):
    write_voc(tmp_path / "voc2012")
    write_sbd(tmp_path / "sbd")
    assert len(open_dataset("voc2012", tmp_path, split="train")) == 2
    assert len(open_dataset("sbd", tmp_path)) == 6
    with pytest.raises(DataError, match=r"'voc2012' has no such option .*year"):
        open_dataset("voc2012", tmp_path, year=2012)
    with pytest.raises(DataError, match=r"'xception65' are weights"):
        open_dataset("xception65", tmp_path)
    with pytest.raises(DataError, match=r"'drions-db' is in none of"):
        open_dataset("drions-db", tmp_path)


# --- written as a folder that can be trained on


@pytest.fixture
def training_set(tmp_path):
    write_voc(tmp_path / "voc2012")
    write_sbd(tmp_path / "sbd")
    return VOCTrainAug(tmp_path / "sbd", tmp_path / "voc2012")


def test_the_same_objects_come_back(training_set, tmp_path):
    assert export(training_set, tmp_path / "out", progress=False) == 3
    again = FolderDataset(tmp_path / "out")
    assert [entry.class_name for entry in again.entries] == [entry.class_name for entry in training_set.entries]
    for ours, theirs in zip(again, training_set, strict=True):
        assert ours.image_id == theirs.image_id
        np.testing.assert_array_equal(ours.image, theirs.image)
        np.testing.assert_array_equal(ours.mask, theirs.mask)
        assert (ours.ignore is None) == (theirs.ignore is None)
    np.testing.assert_array_equal(again[0].ignore, training_set[0].ignore)


def test_an_export_of_other_objects_is_not_mixed_with_it(tmp_path):
    write_coco(tmp_path)
    data = CocoVal2014(tmp_path)
    export(data.subset([1]), tmp_path / "out")
    export(data, tmp_path / "out")
    export(data, tmp_path / "anew")
    for part in ("masks/*.png", "instances.json"):
        for path in sorted((tmp_path / "anew").glob(part)):
            assert path.read_bytes() == (tmp_path / "out" / path.relative_to(tmp_path / "anew")).read_bytes()


def test_a_complete_export_is_written_again(training_set, tmp_path):
    export(training_set, tmp_path / "out", progress=False)
    mask = tmp_path / "out" / "masks" / "2007_000032.png"
    before = mask.read_bytes()
    mask.write_bytes(b"as it was before it was corrected")
    export(training_set, tmp_path / "out", progress=False)
    assert mask.read_bytes() == before


def test_images_that_differ_in_their_endings_alone(tmp_path):
    annotations = []
    for number, name in enumerate(("a.png", "a.jpg"), 1):
        Image.new("RGB", (8, 6)).save(tmp_path / name)
        runs = {"size": [6, 8], "counts": [0, 6 * number, 48 - 6 * number]}
        annotations.append({"id": number, "image_id": number, "category_id": 1, "segmentation": runs, "area": 6, "iscrowd": 0})
    listing = {
        "images": [{"id": i, "file_name": name, "width": 8, "height": 6} for i, name in enumerate(("a.png", "a.jpg"), 1)],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "thing"}],
    }
    (tmp_path / "coco.json").write_text(json.dumps(listing))
    export(CocoInstances(tmp_path / "coco.json"), tmp_path / "out", progress=False)
    assert sorted(path.name for path in (tmp_path / "out" / "images").iterdir()) in (
        ["a.jpg", "a_png.png"],
        ["a.png", "a_jpg.jpg"],
    )
    assert len(FolderDataset(tmp_path / "out")) == 2


def test_an_export_leaves_what_others_have_made_alone(training_set, tmp_path):
    for name in ("instances.json", "images/mine.jpg", "images/2007_000032.jpg", "masks/2007_000032.png"):
        out = tmp_path / name.replace("/", "_")
        (out / name).parent.mkdir(parents=True)
        (out / name).write_text("mine")
        with pytest.raises(DataError, match=r"holds images of something else.*name an empty folder"):
            export(training_set, out, progress=False)
        assert [p.relative_to(out).as_posix() for p in images_and_others(out)] == [name]
        assert (out / name).read_text() == "mine"
    (tmp_path / "out" / "images").mkdir(parents=True)
    (tmp_path / "out" / "images" / "Thumbs.db").write_text("of Windows")
    export(training_set, tmp_path / "out", progress=False)
    (tmp_path / "out" / ".export.jsonl").write_text("{broken\n")
    with pytest.raises(DataError, match=r"cannot be read.*name an empty folder"):
        export(training_set, tmp_path / "out", progress=False)


def images_and_others(folder):
    return [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]


def test_an_export_of_another_set_is_left_alone(training_set, tmp_path):
    """Another listing, another split, the export itself, and what was annotated on its copies."""
    out = tmp_path / "out"
    export(training_set, out, progress=False)
    before = {path: path.read_bytes() for path in images_and_others(out)}
    write_coco(tmp_path / "coco")
    others = [CocoVal2014(tmp_path / "coco"), FolderDataset(out), VOC(tmp_path / "voc2012", "val")]
    annotations = json.loads((tmp_path / "coco" / "annotations" / "instances_val2014.json").read_text())
    for image, path in zip(annotations["images"], sorted((out / "images").iterdir()), strict=False):
        image["file_name"] = path.name
    (tmp_path / "mine.json").write_text(json.dumps(annotations))
    for other in (*others, CocoInstances(tmp_path / "mine.json", out / "images")):
        with pytest.raises(DataError, match=r"name (an empty|another) folder"):
            export(other, out, progress=False)
        assert {path: path.read_bytes() for path in images_and_others(out)} == before


def test_a_photo_that_is_gone_leaves_its_copy(tmp_path, caplog):
    write_coco(tmp_path / "coco")
    out = tmp_path / "out"
    export(CocoVal2014(tmp_path / "coco"), out, progress=False)
    before = sorted(images_and_others(out))
    sorted((tmp_path / "coco" / "val2014").iterdir())[0].unlink()
    with pytest.raises(DataError, match=r"left out as missing or damaged"):
        export(CocoVal2014(tmp_path / "coco"), out, progress=False)
    assert sorted(images_and_others(out)) == before


def test_an_export_that_fails_has_lost_nothing(training_set, tmp_path, monkeypatch):
    """Wherever it is stopped: what follows gives what an undisturbed one gives."""
    export(training_set, tmp_path / "whole", progress=False)
    expected = {p.relative_to(tmp_path / "whole"): p.read_bytes() for p in images_and_others(tmp_path / "whole")}
    replace_file, out, calls = Path.replace, tmp_path / "out", []

    def stop(path, target):
        calls.append(path)
        if len(calls) == stop_at:
            raise KeyboardInterrupt
        return replace_file(path, target)

    for complete in (False, True):
        stop_at = 0
        while True:
            stop_at += 1
            if complete:
                export(training_set, out, progress=False)
            with monkeypatch.context() as patch:
                patch.setattr(Path, "replace", stop)
                calls.clear()
                try:
                    export(training_set, out, progress=False)
                    break
                except KeyboardInterrupt:
                    pass
            left = {p.relative_to(out): p.read_bytes() for p in images_and_others(out)}
            assert left.items() <= expected.items()
            assert not complete or len(left) >= len(expected) - 1  # but for the listing
            export(training_set, out, progress=False)
            assert {p.relative_to(out): p.read_bytes() for p in images_and_others(out)} == expected
            if not complete:
                shutil.rmtree(out)
        shutil.rmtree(out)


def test_an_export_follows_its_objects(tmp_path, caplog):
    """Those of an image that were stopped halfway, too; and what has none any more goes."""
    write_coco(tmp_path / "coco")
    data = CocoVal2014(tmp_path / "coco")
    out = tmp_path / "out"
    first, *others = range(len(data))
    export(data.subset([first, others[0]]), out, progress=False)
    (out / "instances.json").unlink()  # as if it had been stopped
    export(data, out, progress=False)
    export(data, tmp_path / "anew", progress=False)
    for path in (tmp_path / "anew").rglob("*.png"):
        assert path.read_bytes() == (out / path.relative_to(tmp_path / "anew")).read_bytes()
    assert "have no object now" not in caplog.text
    export(data.subset([first]), out, progress=False)
    assert "1 images of before have no object now and are removed" in caplog.text
    assert len(list((out / "images").iterdir())) == len(list((out / "masks").iterdir())) == 1
    assert len(FolderDataset(out)) == 1


def test_an_export_can_be_read_whatever_the_photos_are_called(tmp_path):
    names = ("../photos/a.png", ".hidden.png", "loop.gif", "plain")
    (tmp_path / "set").mkdir()
    (tmp_path / "photos").mkdir()
    for name in names:
        Image.new("RGB", (8, 6)).save(tmp_path / "set" / name, format="GIF" if name.endswith("gif") else "PNG")
    runs = {"size": [6, 8], "counts": [0, 6, 42]}
    listing = {
        "images": [{"id": i, "file_name": name, "width": 8, "height": 6} for i, name in enumerate(names)],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "segmentation": runs, "area": 6, "iscrowd": 0} for i in range(len(names))
        ],
        "categories": [{"id": 1, "name": "thing"}],
    }
    (tmp_path / "set" / "coco.json").write_text(json.dumps(listing))
    export(CocoInstances(tmp_path / "set" / "coco.json"), tmp_path / "out", progress=False)
    assert {entry.image.name for entry in FolderDataset(tmp_path / "out").entries} == {
        "_..-photos-a.png",
        "_.hidden.png",
        "loop.png",
        "plain.png",
    }


def test_a_stopped_export_goes_on(training_set, tmp_path, monkeypatch):
    decode, calls = training_set._decode, []

    def stop(entry):
        calls.append(entry)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return decode(entry)

    monkeypatch.setattr(training_set, "_decode", stop)
    with pytest.raises(KeyboardInterrupt):
        export(training_set, tmp_path / "out", progress=False)
    assert [path.name for path in (tmp_path / "out" / "masks").iterdir()] == ["2007_000032.png"]
    export(training_set, tmp_path / "out", progress=False)
    assert len(calls) == 3 + 4  # the first image is not read again
    assert len(FolderDataset(tmp_path / "out")) == len(training_set)


def test_too_many_objects(training_set, tmp_path, monkeypatch):
    monkeypatch.setattr("ilsegkit.data.export.MOST_OBJECTS", 1)
    with pytest.raises(DataError, match="'2007_000032' has 2 objects; a mask holds at most 1"):
        export(training_set, tmp_path / "out", progress=False)


@pytest.mark.usefixtures("training_set")
def test_command(tmp_path):
    done = CliRunner().invoke(app, ["data", "export", "sbd", str(tmp_path / "out"), "--root", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1].endswith("out: 3 images")
    assert (tmp_path / "out" / "instances.json").is_file()
