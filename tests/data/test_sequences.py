import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from ilsegkit.data import Sample, load_sequence, open_sequence, sequences
from ilsegkit.data.base import ObjectEntry
from ilsegkit.data.catalog import LOADERS
from ilsegkit.data.manifest import load_manifest
from ilsegkit.data.scenes import DOMAINS
from ilsegkit.data.sequences import EXPERIMENTS, SEEN_CLASSES, SEQUENCES, SIZES, Spec, _choose
from ilsegkit.errors import DataError


def entries(**counts):
    """So many objects of each class."""
    return [
        ObjectEntry(None, None, f"{kind}:{i}", f"{kind}:{i}", kind.replace("_", " "))
        for kind, n in counts.items()
        for i in range(n)
    ]


def names(chosen, among):
    return [among[index].object_id for index in chosen]


def ids(sequence):
    return [entry.object_id for entry in sequence.objects.entries]


def write_coco(root, per_class=12):
    """COCO val2014 with so many cats, donuts and benches, a box each, in four images."""
    base = root / "coco-val2014"
    (base / "val2014").mkdir(parents=True)
    (base / "annotations").mkdir()
    images = [{"id": i, "file_name": f"{i}.jpg", "height": 40, "width": 200} for i in range(4)]
    for image in images:
        Image.fromarray(np.full((40, 200, 3), 90, np.uint8)).save(base / "val2014" / image["file_name"])
    annotations = []
    for number in range(3 * per_class):
        left = 5 * (number // 4)
        corners = [left, 5, left + 4, 5, left + 4, 30, left, 30]
        kinds = {"image_id": number % 4, "category_id": number % 3, "id": number, "iscrowd": 0, "area": 100}
        annotations.append({**kinds, "segmentation": [corners]})
    categories = [{"id": i, "name": name} for i, name in enumerate(("cat", "donut", "bench"))]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (base / "annotations" / "instances_val2014.json").write_text(json.dumps(content))
    return base


def test_every_experiment_at_every_size():
    for experiment in EXPERIMENTS[:3]:
        for size in SIZES:
            assert sequences(size, experiment), (experiment, size)
    assert {spec.name for size in SIZES for spec in sequences(size)} == set(SEQUENCES)


def test_sequences_are_of_sets_that_exist():
    manifest = load_manifest()
    for spec in SEQUENCES.values():
        if spec.synthetic:
            assert spec.dataset in DOMAINS
        else:
            assert manifest[spec.dataset].loader in LOADERS
            assert manifest[spec.dataset].kind == spec.size


def test_the_papers_targets():
    targets = {
        name: SEQUENCES[name].target_iou for name in ("berkeley", "grabcut", "drions", "rooftop", "coco-seen", "youtube-vos")
    }
    assert targets == {"berkeley": 0.9, "grabcut": 0.9, "drions": 0.9, "rooftop": 0.8, "coco-seen": 0.85, "youtube-vos": 0.85}
    assert len(SEEN_CLASSES) == 20


@pytest.mark.parametrize(
    ("size", "experiment", "told"), [("huge", None, "choose one of offline"), ("small", "x", "one of shift")]
)
def test_unknown_sizes_and_experiments(size, experiment, told):
    with pytest.raises(DataError, match=told):
        sequences(size, experiment)


class TestChoice:
    objects = entries(cat=30, dining_table=30, donut=130, toaster=3)

    def test_the_same_seed_gives_the_same_list_everywhere(self):
        spec = Spec("x", "shift", "paper", "y", 0.85, per_class=2)
        chosen = names(_choose(self.objects, spec, 7), self.objects)
        # Written down once: another machine, Python or NumPy must give the same.
        first = ["donut:31", "donut:48", "dining_table:24", "cat:29", "dining_table:10", "cat:27", "toaster:2", "toaster:1"]
        assert chosen == first
        assert names(_choose(self.objects[::-1], spec, 7), self.objects[::-1]) == chosen
        assert names(_choose(self.objects, spec, 8), self.objects) != chosen

    def test_the_order_is_that_of_the_hashes(self):
        chosen = names(_choose(self.objects, Spec("x", "shift", "paper", "y", 0.85), 0), self.objects)
        assert chosen == sorted(
            (e.object_id for e in self.objects), key=lambda i: hashlib.sha256(f"0:{i}".encode()).hexdigest()
        )

    def test_seen_and_unseen(self):
        def kinds(name):
            return [self.objects[i].class_name for i in _choose(self.objects, SEQUENCES[name], 0)]

        assert (kinds("coco-seen").count("cat"), kinds("coco-seen").count("dining table"), len(kinds("coco-seen"))) == (
            10,
            10,
            20,
        )
        assert (kinds("coco-unseen").count("donut"), kinds("coco-unseen").count("toaster")) == (10, 3)
        assert (kinds("coco-unseen-6k").count("donut"), len(kinds("coco-unseen-6k"))) == (100, 103)
        assert set(kinds("coco-donut")) == {"donut"}
        assert len(kinds("coco-donut")) == 130

    def test_ten_are_the_first_of_a_hundred(self):
        few, many = (
            names(_choose(self.objects, SEQUENCES[name], 3), self.objects) for name in ("coco-unseen", "coco-unseen-6k")
        )
        assert set(few) < set(many)
        donuts = [name for name in many if name.startswith("donut")]
        assert donuts[:10] == [name for name in few if name.startswith("donut")]

    def test_a_tenth_of_the_frames(self):
        frames = [ObjectEntry(None, None, f"v/{i:05d}", "v") for i in range(3455)]
        chosen = _choose(frames, SEQUENCES["davis16-10pct"], 0)
        assert len(chosen) == len(set(chosen)) == 345
        assert np.histogram(chosen, 5)[0].min() > 50  # from everywhere


class TestLists:
    def test_opens_and_checks_only_what_was_chosen(self, tmp_path, caplog):
        base = write_coco(tmp_path)
        whole = open_sequence("coco-unseen", 1, tmp_path)
        assert (len(whole), whole.skipped) == (20, 0)
        assert isinstance(whole[0], Sample)
        (base / "val2014" / "2.jpg").write_bytes(b"")
        part = open_sequence("coco-unseen", 1, tmp_path)
        assert ids(part) == [name for name in ids(whole) if not name.startswith("2:")]
        assert part.skipped == len(whole) - len(part) > 0
        assert "2.jpg" in caplog.text

    def test_saved_and_loaded(self, tmp_path):
        write_coco(tmp_path)
        sequence = open_sequence("coco-unseen", 5, tmp_path)
        sequence.save(tmp_path / "list.csv")
        lines = (tmp_path / "list.csv").read_bytes().split(b"\n")
        assert lines[0] == b"sequence,seed,object_id,image_id,class_name"
        assert lines[1] == f"coco-unseen,5,{ids(sequence)[0]},{ids(sequence)[0][0]},{sequence[0].class_name}".encode()
        again = load_sequence(tmp_path / "list.csv", tmp_path)
        assert (ids(again), again.seed, again.spec) == (ids(sequence), 5, sequence.spec)
        np.testing.assert_array_equal(again[3].mask, sequence[3].mask)

    def test_a_list_may_be_cut(self, tmp_path):
        write_coco(tmp_path)
        open_sequence("coco-unseen", 5, tmp_path).save(tmp_path / "list.csv")
        lines = (tmp_path / "list.csv").read_text().splitlines(keepends=True)
        (tmp_path / "list.csv").write_text("".join([lines[0], lines[4], lines[2]]))
        assert ids(load_sequence(tmp_path / "list.csv", tmp_path)) == [lines[4].split(",")[2], lines[2].split(",")[2]]

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (lambda text: text.replace("coco-unseen", "coco-strange"), "no sequence 'coco-strange'"),
            (lambda text: text.replace(":", ":9"), r"lists 20 objects that 'coco-val2014' does not have"),
            (lambda text: "a,b\n1,2\n", "cannot be read as a list"),
            (lambda text: "", "cannot be read as a list"),
        ],
    )
    def test_lists_that_do_not_fit(self, tmp_path, change, told):
        write_coco(tmp_path)
        path = tmp_path / "list.csv"
        open_sequence("coco-unseen", 5, tmp_path).save(path)
        path.write_text(change(path.read_text()))
        with pytest.raises(DataError, match=told):
            load_sequence(path, tmp_path)

    def test_scenes(self, tmp_path):
        sequence = open_sequence("scenes-moths", 3, most=4)
        assert ids(sequence) == ["moths-3-0000", "moths-3-0015", "moths-3-0030", "moths-3-0045"]  # spread over all 60
        assert sequence.spec.synthetic
        sequence.save(tmp_path / "list.csv")
        again = load_sequence(tmp_path / "list.csv")
        assert ids(again) == ids(sequence)
        np.testing.assert_array_equal(again[2].image, sequence[2].image)

    def test_fewer_and_unknown(self, tmp_path):
        write_coco(tmp_path)
        assert ids(open_sequence("coco-unseen", 5, tmp_path, most=3)) == ids(open_sequence("coco-unseen", 5, tmp_path))[:3]
        with pytest.raises(DataError, match=r"no sequence 'coco'; choose one of berkeley"):
            open_sequence("coco")
        with pytest.raises(DataError, match=r"'berkeley' is in none of"):
            open_sequence("berkeley", root=tmp_path)
        with pytest.raises(DataError, match=r"no object for the sequence 'coco-umbrella'"):
            open_sequence("coco-umbrella", root=tmp_path)


def test_small_real_sequences(shared_data):
    counts = {spec.name: len(open_sequence(spec.name, 0, shared_data / "mirror")) for spec in sequences("small")}
    assert counts == {
        "grabcut-20": 20,
        "davis2016-val-10pct": 64,
        "coco-val-100": 324,
        "coco-val-100-person": 150,
        "fundus-disc-101": 2,
        "aerial-buildings-130": 343,
        "nuclei-60": 60,
    }
