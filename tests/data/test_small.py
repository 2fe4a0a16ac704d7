import json
import logging
import os

import numpy as np
import pytest
from PIL import Image

from ilsegkit.data.coco import AerialBuildings
from ilsegkit.data.small import SMALL_SETS, Nuclei, open_small_set
from ilsegkit.errors import DataError

HEIGHT, WIDTH = 40, 60


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def photo(path, mode="RGB"):
    rng = np.random.default_rng(0)
    return save(path, rng.integers(0, 256, (HEIGHT, WIDTH, len(mode)), np.uint8))


def square(i, value=255):
    """A 10 x (20 + i) rectangle that does not touch the border."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[5:15, 5 : 25 + i] = value
    return mask


# Each writes a set of three images with one object each, and gives the image and the mask file of every object.


def write_grabcut(root):
    pairs = []
    for i, split in enumerate(("val", "train", "test")):
        mask = square(i)
        mask[20:22] = 128
        if i == 2:
            mask = np.stack([mask] * 3, 2)
        image = photo(root / "BSDS500" / "data" / "images" / split / f"10{i}.jpg")
        pairs.append((image, save(root / "ground-truth" / f"10{i}.png", mask)))
    return pairs


def write_davis(root):
    pairs = []
    for i, name in enumerate(("bear/00003", "bear/00010", "cow/00001")):
        image = photo(root / "DAVIS" / "JPEGImages" / "480p" / f"{name}.jpg")
        pairs.append((image, save(root / "DAVIS" / "Annotations" / "480p" / f"{name}.png", square(i))))
    return pairs


def write_panoptic(root):
    listing = root / "panoptic_segmentation" / "annotations" / "panoptic_val2017.json"
    numbers = [7, 300, 70000]  # one byte, two, three
    pairs, annotations = [], []
    for i, number in enumerate(numbers):
        ids = square(i).astype(np.uint32) // 255 * number
        ids[30:32, :], ids[35:37, :], ids[38, 0:2] = 5, 600, 9  # a crowd, stuff, and a very small thing
        colours = np.stack([ids % 256, ids // 256 % 256, ids // 65536], 2).astype(np.uint8)
        image = photo(root / "images" / "val2017" / f"00{i}.jpg")
        pairs.append((image, save(listing.with_suffix("") / f"00{i}.png", colours)))
        segments = [(600, 184, 0), (number, 17, 0), (5, 17, 1), (9, 17, 0)]
        annotations.append(
            {
                "file_name": f"00{i}.png",
                "segments_info": [dict(zip(("id", "category_id", "iscrowd"), segment, strict=True)) for segment in segments],
            }
        )
    categories = [{"id": 17, "name": "cat", "isthing": 1}, {"id": 184, "name": "tree", "isthing": 0}]
    listing.write_text(json.dumps({"images": [], "annotations": annotations[::-1], "categories": categories}))
    return pairs


def write_polygons(root):
    images, annotations = [], []

    def building(image, left, top, right, bottom):
        corners = [left, top, right, top, right, bottom, left, bottom]
        annotations.append({"id": len(annotations), "image_id": image, "category_id": 1, "segmentation": [corners]})

    pairs = []
    for i in range(3):
        images.append({"id": i, "file_name": f"{i}.jpg", "height": HEIGHT, "width": WIDTH})
        building(i, 5, 5, 45 + i, 35)  # taken
        building(i, 0, 5, 45, 35)  # cut by the border
        building(i, 50, 5, 55, 10)  # too small
        pairs.append((photo(root / "test" / f"{i}.jpg"), root / "test" / "_annotations.coco.json"))
    images.append({"id": 9, "file_name": "elsewhere.jpg", "height": 9, "width": 9})
    building(9, 1, 1, 8, 8)
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "Building"}]}
    (root / "test" / "_annotations.coco.json").write_text(json.dumps(content))
    return pairs


def write_nuclei(root):
    pairs = []
    for i, name in enumerate(("a1", "b2", "c3")):
        folder = root / "stage1_train" / name
        pairs.append((photo(folder / "images" / f"{name}.png", "RGBA"), save(folder / "masks" / "n0.png", square(i))))
    return pairs


def write_fundus(root):
    pairs = []
    for i, (split, name) in enumerate((("Test", "eye_002"), ("Test", "eye_009"), ("Training", "eye_001"))):
        votes = square(i)
        votes[30:33], votes[33:35, :20] = 64, 128  # one expert, two experts
        image = photo(root / "data" / split / "Images" / "ALL" / f"{name}.png")
        path = root / "data" / split / "GT" / name / "SoftMap" / f"{name}_ODsegSoftmap.png"
        pairs.append((image, save(path, votes)))
    return pairs


WRITERS = {
    "grabcut-20": write_grabcut,
    "davis2016-val-10pct": write_davis,
    "coco-val-100": write_panoptic,
    "aerial-buildings-130": write_polygons,
    "nuclei-60": write_nuclei,
    "fundus-disc-101": write_fundus,
}
IDS = {
    "grabcut-20": ["100", "101", "102"],
    "davis2016-val-10pct": ["bear/00003", "bear/00010", "cow/00001"],
    "coco-val-100": ["000:7", "001:300", "002:70000"],
    "aerial-buildings-130": ["0:0", "1:3", "2:6"],
    "nuclei-60": ["a1:n0", "b2:n0", "c3:n0"],
    "fundus-disc-101": ["eye_002", "eye_009", "eye_001"],
}


@pytest.fixture(params=WRITERS)
def name(request):
    return request.param


@pytest.fixture
def pairs(name, tmp_path):
    return WRITERS[name](tmp_path / name)


def ids(data):
    return [entry.object_id for entry in data.entries]


def test_every_set_has_a_test():
    assert WRITERS.keys() == SMALL_SETS.keys()


def test_objects_in_a_stable_order(name, pairs, tmp_path):
    data = open_small_set(name, tmp_path)
    assert isinstance(data, SMALL_SETS[name])
    assert ids(data) == ids(open_small_set(name, str(tmp_path))) == IDS[name]
    assert [entry.image for entry in data.entries] == [image for image, _ in pairs]
    assert data.skipped == 0


def test_samples(name, pairs, tmp_path):
    data = open_small_set(name, tmp_path)
    assert len(data) == len(list(data)) == 3
    for entry, sample in zip(data.entries, data, strict=True):
        assert (sample.image.shape, sample.image.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
        assert (sample.mask.shape, sample.mask.dtype) == ((HEIGHT, WIDTH), np.bool_)
        assert sample.mask.sum() == entry.area > 0
        assert sample.object_id == entry.object_id
        assert sample.image_id
        assert sample.object_id.startswith(sample.image_id)
        assert sample.ignore is None or not (sample.ignore & sample.mask).any()
    assert [sample.object_id for sample in data[1:]] == IDS[name][1:]
    assert data[-1].object_id == IDS[name][-1]
    with pytest.raises(IndexError):
        data[3]


def test_masks_are_what_the_files_say(name, pairs, tmp_path):
    data = open_small_set(name, tmp_path)
    for i, sample in enumerate(data):
        expected = square(i) > 0
        if name == "aerial-buildings-130":
            expected[:] = False
            expected[5:35, 5 : 45 + i] = True
        if name == "fundus-disc-101":
            expected[33:35, :20] = True  # two of four experts will do, one will not
        np.testing.assert_array_equal(sample.mask, expected)


def test_pixels_to_ignore(name, pairs, tmp_path):
    for i, sample in enumerate(open_small_set(name, tmp_path)):
        if name == "grabcut-20":
            expected = np.zeros((HEIGHT, WIDTH), bool)
            expected[20:22] = True
            np.testing.assert_array_equal(sample.ignore, expected)
        elif name == "coco-val-100":  # crowds, and what has no label
            expected = square(i) == 0
            expected[35:37], expected[38, 0:2] = False, False
            np.testing.assert_array_equal(sample.ignore, expected)
        else:
            assert sample.ignore is None


def test_classes(name, pairs, tmp_path):
    classes = {
        "coco-val-100": "cat",
        "aerial-buildings-130": "Building",
        "nuclei-60": "nucleus",
        "fundus-disc-101": "optic disc",
    }
    assert {sample.class_name for sample in open_small_set(name, tmp_path)} == {classes.get(name)}


def test_images_are_read_only_when_asked_for(name, pairs, tmp_path):
    data = open_small_set(name, tmp_path)
    pairs[2][0].unlink()
    assert len(data) == 3
    assert data[1].object_id == IDS[name][1]


@pytest.mark.parametrize(
    "damage", ["truncated image", "no image", "size", "missing image", "missing mask", "cut mask", "empty"]
)
def test_what_is_damaged_is_named_once_and_left_out(name, pairs, tmp_path, caplog, damage):
    image, mask = pairs[1]
    culprit = image if "image" in damage or damage == "size" else mask
    if name == "aerial-buildings-130" and (culprit is mask or damage == "missing image"):
        pytest.skip("all masks are in one file, which lists images that are not there")
    if name in ("grabcut-20", "nuclei-60") and damage == "missing mask":
        pytest.skip("the mask files say which objects there are")
    if damage == "truncated image":
        os.truncate(image, image.stat().st_size * 2 // 3)
    elif damage == "no image":
        image.write_text("<html>404</html>")
    elif damage == "size":
        Image.new("RGB", (WIDTH + 1, HEIGHT)).save(image)
    elif damage == "empty":
        Image.fromarray(np.asarray(Image.open(mask)) * 0).save(mask)
    elif damage == "cut mask":
        os.truncate(mask, 60)
    else:
        culprit.unlink()
    with caplog.at_level(logging.WARNING):
        data = open_small_set(name, tmp_path)
    kept = [IDS[name][0], IDS[name][2]]
    assert ids(data) == kept
    assert [sample.object_id for sample in data] == kept
    assert data.skipped == {"coco-val-100": 2, "aerial-buildings-130": 3}.get(name, 1)  # every candidate in that image
    assert len(caplog.records) == 1
    assert culprit.name in caplog.text


def test_unknown_set(tmp_path):
    with pytest.raises(DataError, match=r"'grabcut'; choose one of grabcut-20, davis2016"):
        open_small_set("grabcut", tmp_path)


def test_set_that_is_not_there(name, tmp_path):
    with pytest.raises(DataError, match=f"'{name}' is not in .*fetch"):
        open_small_set(name, tmp_path)


def test_folder_of_another_set(name, tmp_path):
    (tmp_path / name / "something").mkdir(parents=True)
    with pytest.raises(DataError, match=r"there is no '.*fetch"):
        open_small_set(name, tmp_path)


def test_set_without_objects(name, pairs, tmp_path):
    for image, _ in pairs:
        image.unlink()
    with pytest.raises(DataError, match="no object"):
        open_small_set(name, tmp_path)


def test_unknown_option(name, pairs, tmp_path):
    with pytest.raises(DataError, match="'largest'"):
        open_small_set(name, tmp_path, largest=True)


@pytest.mark.parametrize("text", ["{", "[]", '{"images": []}'])
@pytest.mark.parametrize("name", ["coco-val-100", "aerial-buildings-130"], indirect=True)
def test_damaged_listing(name, pairs, tmp_path, text):
    listing = next((tmp_path / name).glob("**/*.json"))
    listing.write_text(text)
    with pytest.raises(DataError, match=listing.name):
        open_small_set(name, tmp_path)


def test_panoptic_things_may_be_small(tmp_path):
    write_panoptic(tmp_path / "coco-val-100")
    data = open_small_set("coco-val-100", tmp_path, smallest=0)
    assert ids(data) == ["000:7", "000:9", "001:9", "001:300", "002:9", "002:70000"]
    assert [entry.area for entry in data.entries][:2] == [200, 2]
    assert len(open_small_set("coco-val-100", tmp_path, smallest=210 / (HEIGHT * WIDTH))) == 2


class TestPolygons:
    @pytest.fixture
    def root(self, tmp_path):
        write_polygons(tmp_path)
        return tmp_path

    def change(self, root, **segmentation):
        """Other segmentations of objects, by their number."""
        listing = root / "test" / "_annotations.coco.json"
        content = json.loads(listing.read_text())
        for annotation in content["annotations"]:
            annotation["segmentation"] = segmentation.get(f"n{annotation['id']}", annotation["segmentation"])
        listing.write_text(json.dumps(content))

    def test_smaller_buildings(self, root):
        assert ids(AerialBuildings(root, smallest=20)) == ["0:0", "0:2", "1:3", "1:5", "2:6", "2:8"]

    def test_several_polygons_are_one_building(self, root):
        self.change(root, n0=[[5, 5, 25, 5, 25, 35, 5, 35], [30, 5, 55, 5, 55, 35, 30, 35]])
        sample = AerialBuildings(root)[0]
        assert sample.mask.sum() == 30 * 20 + 30 * 25
        assert not sample.mask[:, 25:30].any()

    def test_run_lengths(self, root):
        counts = [5 * HEIGHT + 5] + [30, 10] * 39 + [30, 5 + (WIDTH - 45) * HEIGHT]
        self.change(root, n0={"counts": counts, "size": [HEIGHT, WIDTH]})
        expected = np.zeros((HEIGHT, WIDTH), bool)
        expected[5:35, 5:45] = True
        np.testing.assert_array_equal(AerialBuildings(root)[0].mask, expected)

    def test_two_points_enclose_nothing(self, root, caplog):
        self.change(root, n0=[[5, 5, 40, 30]])  # which pycocotools would take for a box
        data = AerialBuildings(root)
        assert (ids(data), data.skipped) == (["1:3", "2:6"], 1)
        assert "'0:0'" in caplog.text


class TestNuclei:
    @pytest.fixture
    def root(self, tmp_path):
        write_nuclei(tmp_path)
        small = np.zeros((HEIGHT, WIDTH), np.uint8)
        small[30:33, 30:33] = 255
        save(tmp_path / "stage1_train" / "b2" / "masks" / "m9.png", small)
        return tmp_path

    def test_one_file_a_nucleus(self, root):
        assert ids(Nuclei(root)) == ["a1:n0", "b2:m9", "b2:n0", "c3:n0"]

    def test_smallest(self, root):
        assert ids(Nuclei(root, smallest=10)) == ["a1:n0", "b2:n0", "c3:n0"]

    def test_largest_each(self, root):
        assert ids(Nuclei(root, largest_each=True)) == ["a1:n0", "b2:n0", "c3:n0"]

    def test_a_damaged_image_is_named_once_for_all_its_nuclei(self, root, caplog):
        (root / "stage1_train" / "b2" / "images" / "b2.png").write_bytes(b"")
        data = Nuclei(root)
        assert (ids(data), data.skipped) == (["a1:n0", "c3:n0"], 2)
        assert len(caplog.records) == 1
        assert caplog.messages[0].count("cannot be read") == 1

    def test_an_image_without_masks_is_named(self, root, caplog):
        (root / "stage1_train" / "c3" / "masks" / "n0.png").unlink()
        data = Nuclei(root)
        assert (ids(data), data.skipped) == (["a1:n0", "b2:m9", "b2:n0"], 1)
        assert os.path.join("c3", "masks") in caplog.text


# Objects, images and images with pixels to ignore: counted once on the publishers' files.
REAL = {
    "grabcut-20": (20, 20),
    "davis2016-val-10pct": (64, 64),
    "coco-val-100": (324, 92),
    "aerial-buildings-130": (343, 65),
    "nuclei-60": (1188, 60),
    "fundus-disc-101": (2, 2),
}


class TestPublishersFiles:
    def test_counts(self, shared_data, name):
        data = open_small_set(name, shared_data / "mirror")
        assert (len(data), len({entry.image_id for entry in data.entries})) == REAL[name]
        assert data.skipped == 0
        assert len(set(ids(data))) == len(data)
        for index in (0, len(data) // 2, -1):
            sample = data[index]
            assert sample.image.shape[:2] == sample.mask.shape
            assert sample.mask.sum() == data.entries[index].area

    def test_areas_are_those_that_coco_states(self, shared_data):
        data = open_small_set("coco-val-100", shared_data / "mirror")
        listing = json.loads((data.root / data.needs[1]).read_text())
        stated = {
            f"{annotation['file_name'][:-4]}:{segment['id']}": segment["area"]
            for annotation in listing["annotations"]
            for segment in annotation["segments_info"]
        }
        assert {entry.object_id: entry.area for entry in data.entries} == {name: stated[name] for name in ids(data)}

    def test_grabcut_mask_with_three_channels(self, shared_data):
        data = open_small_set("grabcut-20", shared_data / "mirror")
        sample = data[ids(data).index("124084")]
        assert sample.mask.mean() == pytest.approx(0.442, abs=5e-4)
        assert sample.ignore is None
        assert data[ids(data).index("153077")].ignore is not None

    def test_buildings_lie_inside_their_boxes(self, shared_data):
        data = open_small_set("aerial-buildings-130", shared_data / "mirror")
        listing = json.loads((data.root / data.needs[0]).read_text())
        boxes = {annotation["id"]: annotation["bbox"] for annotation in listing["annotations"]}
        for entry, sample in zip(data.entries[:20], data[:20], strict=True):
            left, top, width, height = boxes[int(entry.object_id.rsplit(":", 1)[1])]
            rows, columns = np.nonzero(sample.mask)
            assert left - 1 <= columns.min() < columns.max() <= left + width + 1
            assert top - 1 <= rows.min() < rows.max() <= top + height + 1
            assert rows.min() > 0 < columns.min()
