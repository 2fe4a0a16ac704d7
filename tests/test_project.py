"""A folder of annotations: what is in it, and going on from it."""

import json
import unicodedata

import numpy as np
import pytest
import torch
from fake_session import TINY, FakeSession
from PIL import Image
from pycocotools.coco import COCO
from typer.testing import CliRunner

from ilsegkit import load_model
from ilsegkit.album import Album
from ilsegkit.annotator import Annotator
from ilsegkit.cli import app
from ilsegkit.clicks import Click
from ilsegkit.data import CocoInstances, FolderDataset
from ilsegkit.data.export import export
from ilsegkit.errors import DataError, WeightsError
from ilsegkit.model import InteractiveSegmenter, save_model
from ilsegkit.project import Project
from ilsegkit.replay import replay
from ilsegkit.session import Session

PHOTO = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
A, B, C = Click(15, 20), Click(40, 20), Click(30, 35)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(PHOTO).save(folder / "a cat.png")
    Image.fromarray(PHOTO[:40]).save(folder / "b.png")
    return folder


def work(photos, folder, session=None, classes=("cat", "dog")):
    album = Album(photos)
    project = Project(folder, album, classes)
    annotator = Annotator(session or FakeSession(), album, project, project.classes)
    annotator.open(annotator.name)
    return annotator


def test_what_is_in_the_folder(photos, tmp_path):
    folder = tmp_path / "done"
    annotator = work(photos, folder)
    for click, kind in ((A, "cat"), (B, "dog")):
        annotator.click([click])
        annotator.set_class(kind)
        annotator.finish()
    annotator.open("b.png")
    annotator.click([C])
    annotator.finish()

    masks = annotator.masks("a cat.png")
    for number, mask in enumerate(masks, 1):
        with Image.open(folder / "masks" / f"a_cat_{number}.png") as file:
            saved = np.asarray(file)
        assert set(np.unique(saved)) == {0, 255}
        np.testing.assert_array_equal(saved > 0, mask)
    with Image.open(folder / "ids" / "a_cat.png") as file:
        ids, palette = np.asarray(file), file.getpalette()
    assert (ids[20, 15], ids[20, 40], ids[0, 0]) == (1, 2, 0)
    assert palette[3:6] not in (palette[:3], palette[6:9])
    coco = COCO(folder / "coco.json")
    assert [coco.cats[i]["name"] for i in sorted(coco.cats)] == ["cat", "dog"]
    assert [(image["file_name"], image["width"], image["height"]) for image in coco.imgs.values()] == [
        ("a cat.png", 64, 48),
        ("b.png", 64, 40),
    ]
    first, second, third = (coco.anns[i] for i in (1, 2, 3))
    np.testing.assert_array_equal(coco.annToMask(first).astype(bool), masks[0])
    assert first["area"] == masks[0].sum()
    assert first["bbox"] == [5.0, 10.0, 21.0, 21.0]
    assert (second["category_id"], third["image_id"]) == (2, 2)
    assert not list(folder.rglob(".*"))  # no half files


def test_going_on_in_the_middle_of_an_object(photos, tmp_path):
    first = work(photos, tmp_path / "done")
    first.click([A])
    first.finish()
    first.open("b.png")
    first.click([B])
    first.click([C])
    first.undo()
    first.set_threshold(0.7)
    before = first.record()
    # The kernel is restarted: nothing of it is left but the folder.
    second = work(photos, tmp_path / "done")
    assert second.name == "b.png"
    assert second.clicks == (B,)
    assert second.record() == before
    assert second.session.objects == 1  # what the model had learned
    assert [len(second.finished[name]) for name in ("a cat.png", "b.png")] == [1, 0]
    second.click([C])
    second.finish()
    assert [record.number for _, record in second.order] == [1, 2]
    assert work(photos, tmp_path / "done").clicks == ()


def test_the_mask_stands_even_if_the_model_answers_otherwise_now(photos, tmp_path):
    first = work(photos, tmp_path / "done")
    first.click([A])
    second = work(photos, tmp_path / "done", FakeSession(reach=3))
    np.testing.assert_array_equal(second.mask, first.mask)
    second.click([B])
    assert second.mask.sum() == first.mask.sum() + 7**2


def test_removed_objects_leave_no_files(photos, tmp_path):
    annotator = work(photos, tmp_path / "done")
    for click in (A, B, C):
        annotator.click([click])
        annotator.finish()
    annotator.remove(0)
    masks = sorted(path.name for path in (tmp_path / "done" / "masks").iterdir())
    assert masks == ["a_cat_1.png", "a_cat_2.png"]
    assert len(json.loads((tmp_path / "done" / "coco.json").read_text())["annotations"]) == 2
    assert [len(r) for r in work(photos, tmp_path / "done").finished.values()] == [2, 0]


def test_names_that_no_file_could_have(tmp_path):
    album = Album({"a/b": PHOTO, "A:b": PHOTO, "..": PHOTO, "日本": PHOTO})
    project = Project(tmp_path / "done", album)
    for name in album:
        project.save(name, (48, 64), [], None)
    stems = sorted(path.stem for path in (tmp_path / "done" / "clicks").iterdir())
    assert stems == sorted(["a_b", "A_b-2", "image", "日本"])


def test_more_objects_than_a_palette_has(tmp_path):
    annotator = Annotator(FakeSession(reach=1), album := Album({"a": PHOTO}), Project(tmp_path, album))
    annotator.open("a")
    annotator.click([A])
    record = annotator.record()
    Project(tmp_path, album).save("a", (48, 64), [record] * 300, None)
    with Image.open(tmp_path / "ids" / "a.png") as file:
        assert np.asarray(file).max() == 300


@pytest.mark.parametrize("damage", ["project.json", "clicks/a_cat.json", "learned.pt"])
def test_a_damaged_file_is_named_and_left_alone(photos, tmp_path, damage):
    annotator = work(photos, tmp_path / "done")
    annotator.click([A])
    annotator.finish()
    (tmp_path / "done" / damage).write_text('{"objects": 3}')
    with pytest.raises(DataError, match="cannot be read as annotations") as error:
        work(photos, tmp_path / "done")
    assert damage.split("/")[-1] in str(error.value)
    assert (tmp_path / "done" / damage).read_text() == '{"objects": 3}'


def test_other_images_and_other_models_are_refused(photos, tmp_path):
    annotator = work(photos, tmp_path / "done")
    annotator.click([A])
    annotator.finish()
    Image.fromarray(PHOTO[:30]).save(photos / "a cat.png")
    with pytest.raises(DataError, match=r"64 x 48 when it was annotated .* 64 x 30 now"):
        work(photos, tmp_path / "done")

    class Other(FakeSession):
        def load_state_dict(self, state):
            raise KeyError("encoder")

    with pytest.raises(WeightsError, match="another model"):
        work(photos, tmp_path / "done", Other())
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is a file"):
        Project(tmp_path / "file", Album(PHOTO))


def test_an_image_of_another_size_changes_nothing(photos, tmp_path):
    annotator = work(photos, tmp_path / "done")
    annotator.click([A])
    annotator.finish()
    annotator.open("b.png")
    annotator.click([B])
    Image.fromarray(PHOTO[:30]).save(photos / "a cat.png")
    with pytest.raises(DataError, match="64 x 30 now"):
        annotator.open("a cat.png")
    assert (annotator.name, annotator.clicks, annotator.session.image.shape) == ("b.png", (B,), (40, 64, 3))
    annotator.click([C])
    assert json.loads((tmp_path / "done" / "clicks" / "a_cat.json").read_text())["size"] == [48, 64]


def test_what_another_model_learned_is_neither_used_nor_lost(photos, tmp_path):
    def session(seed):
        session = FakeSession()
        torch.manual_seed(seed)
        session.model = InteractiveSegmenter(TINY)
        return session

    first = work(photos, tmp_path / "done", session(1))
    first.click([A])
    first.finish()
    before = {name: (tmp_path / "done" / name).read_bytes() for name in ("learned.pt", "model.safetensors")}
    again = work(photos, tmp_path / "done", session(1))
    assert again.session.objects == 1
    assert "began with another model" not in again.open("b.png")
    second = Annotator(session(2), album := Album(photos), Project(tmp_path / "done", album))
    assert second.session.objects == 0
    assert "began with another model" in second.open("b.png")
    second.click([A])
    assert {path.name: path.read_bytes() for path in (tmp_path / "done").glob("[lm]*.*")} == before
    second.finish()
    kept = {path.stem.split("-")[0] + path.suffix: path.read_bytes() for path in (tmp_path / "done").glob("*-*")}
    assert kept == before
    second.click([B])
    second.finish()
    assert len(list((tmp_path / "done").glob("*-*"))) == 2
    assert work(photos, tmp_path / "done", session(2)).session.objects == 2


def test_a_removed_object_comes_back_to_the_folder(photos, tmp_path):
    annotator = work(photos, tmp_path / "done")
    for click in (A, B):
        annotator.click([click])
        annotator.finish()
    files = {path: path.read_bytes() for path in (tmp_path / "done").rglob("*.*") if path.is_file()}
    annotator.remove(0)
    annotator.undo()
    assert {path: path.read_bytes() for path in (tmp_path / "done").rglob("*.*") if path.is_file()} == files


def test_when_nothing_can_be_written_nothing_is_lost(photos, tmp_path, monkeypatch):
    annotator = work(photos, tmp_path / "done")
    annotator.click([A])
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.write_bytes", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(DataError, match=r"cannot be saved .*No space left"):
            annotator.finish()
        with pytest.raises(DataError, match="the next click saves all"):
            annotator.open("b.png")
    folder = tmp_path / "done"
    assert len(annotator.finished["a cat.png"]) == 1
    assert not list(folder.glob("masks/*"))
    annotator.click([B])  # of another photo; and what the model learned from the first is saved without what it has from this
    assert [path.name for path in folder.glob("masks/*")] == ["a_cat_1.png"]
    assert len(json.loads((folder / "coco.json").read_text())["annotations"]) == 1
    assert Project(folder).learned()["objects"] == 1
    assert (folder / "model.safetensors").is_file()
    annotator.open("a cat.png")
    annotator.click([B])
    annotator.finish()
    assert [len(r) for r in work(photos, tmp_path / "done").finished.values()] == [2, 1]
    assert not list((tmp_path / "done").rglob(".*"))


def test_of_masks_only_those_that_changed_are_written(photos, tmp_path, monkeypatch):
    written = []
    write = Project._write
    monkeypatch.setattr(Project, "_write", lambda self, name, content: (written.append(name), write(self, name, content)))
    annotator = work(photos, tmp_path / "done", FakeSession(reach=3))

    def ids():
        with Image.open(tmp_path / "done" / "ids" / "a_cat.png") as file:
            return np.asarray(file)

    def masks_written():
        names = sorted(name for name in written if name.startswith("masks"))
        written.clear()
        return names

    for click in (A, B, C):
        annotator.click([click])
        annotator.finish()
    assert masks_written() == [f"masks/a_cat_{number}.png" for number in (1, 2, 3)]
    annotator.remove(1)
    assert masks_written() == ["masks/a_cat_2.png", "masks/a_cat_3.png"]  # the last is deleted
    assert [ids()[int(y), int(x)] for x, y, _ in (A, B, C)] == [1, 0, 2]
    again = work(photos, tmp_path / "done", FakeSession(reach=3))
    assert masks_written() == []
    (tmp_path / "done" / "masks" / "a_cat_2.png").unlink()  # as if the kernel had died before it was written
    again = work(photos, tmp_path / "done", FakeSession(reach=3))
    again.click([B])
    again.finish()
    assert masks_written() == [f"masks/a_cat_{number}.png" for number in (1, 2, 3)]
    assert [ids()[int(y), int(x)] for x, y, _ in (A, B, C)] == [1, 3, 2]


def test_what_the_model_learned_goes_on(tiny_model, photos, tmp_path):
    first = work(photos, tmp_path / "done", Session(tiny_model, "SA"))
    first.click([A])
    first.finish()
    second = Session(tiny_model, "SA")
    work(photos, tmp_path / "done", second)
    learned = load_model(tmp_path / "done" / "model.safetensors", "cpu")
    moved = 0
    for (name, now), before, file in zip(
        second.model.named_parameters(), tiny_model.parameters(), learned.parameters(), strict=True
    ):
        np.testing.assert_array_equal(now.detach().numpy(), file.detach().numpy(), name)
        moved += int((now != before).sum())
    assert moved > 1000


def test_replay_gives_the_same_masks(tiny_model, photos, tmp_path):
    annotator = work(photos, tmp_path / "done", Session(tiny_model, "IA+SA"))
    annotator.click([A])
    annotator.click([B, C._replace(positive=False)])
    annotator.finish()
    annotator.adapt("none")
    annotator.open("b.png")
    start = np.zeros((40, 64), bool)
    start[10:30, 10:30] = True
    annotator.start_from(start)
    annotator.click([C])
    annotator.finish()
    results = replay(tmp_path / "done", tmp_path / "again", Session(tiny_model, "none"))
    assert [(r.name, r.number, r.clicks >= 2) for r in results] == [("a cat.png", 1, True), ("b.png", 2, True)]
    assert [r.iou for r in results] == [1.0, 1.0]
    before, after = (Project(tmp_path / name).order() for name in ("done", "again"))
    assert [r.clicks for _, r in before] == [r.clicks for _, r in after]
    assert (tmp_path / "again" / "coco.json").is_file()
    with pytest.raises(DataError, match="already"):
        replay(tmp_path / "done", tmp_path / "again", Session(tiny_model))
    with pytest.raises(DataError, match="no annotations"):
        replay(photos, tmp_path / "x", Session(tiny_model))


def test_the_commands_that_read_records(tiny_model, photos, tmp_path):
    annotator = work(photos, tmp_path / "done", Session(tiny_model, "none"))
    annotator.click([A])
    annotator.click([B])
    annotator.set_threshold(float(np.quantile(annotator.session.probability, 0.7)))
    assert not np.array_equal(annotator.mask, annotator.session.mask)
    annotator.finish()
    save_model(weights := tmp_path / "tiny.safetensors", tiny_model)
    run = CliRunner().invoke
    common = ["--weights", str(weights), "--device", "cpu"]
    record = tmp_path / "done" / "clicks" / "a_cat.json"
    arguments = [str(photos / "a cat.png"), "--clicks", str(record), "--out", str(tmp_path / "mask.png"), "--adapt", "none"]
    result = run(app, ["segment", *arguments, *common])
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "mask.png") as file:
        np.testing.assert_array_equal(np.asarray(file) > 0, annotator.masks("a cat.png")[0])
    result = run(app, ["segment", str(photos / "b.png"), *arguments[1:], *common])
    assert result.exit_code == 1
    assert "'a cat.png' was 64 x 48 when it was annotated" in result.output
    moved = tmp_path / "moved"
    photos.rename(moved)
    result = run(app, ["replay", str(tmp_path / "done"), "--out", str(tmp_path / "again"), *common])
    assert result.exit_code == 1
    assert "--images" in result.output
    result = run(app, ["replay", str(tmp_path / "done"), "--out", str(tmp_path / "again"), "--images", str(moved), *common])
    assert result.exit_code == 0, result.output
    assert "1: a cat.png, 2 clicks, IoU 1.000" in result.output
    Image.fromarray(PHOTO[:30]).save(moved / "a cat.png")
    result = run(app, ["replay", str(tmp_path / "done"), "--out", str(tmp_path / "x"), "--images", str(moved), *common])
    assert result.exit_code == 1
    assert "'a cat.png' was 64 x 48 when it was annotated" in result.output
    assert "is 64 x 30 now; give the image of that size" in result.output
    assert not (tmp_path / "x").exists()


def test_a_name_too_long_for_a_file_and_one_that_windows_keeps_for_itself(tmp_path):
    names = ["https://example.org/" + "ä" * 300 + ".jpg", "con.png", "b.png"]
    annotator = work(dict.fromkeys(names, PHOTO), tmp_path)
    for name in names:
        annotator.open(name)
        annotator.click([A])
        annotator.finish()
    stems = [path.stem for path in (tmp_path / "clicks").iterdir()]
    assert max(len(stem.encode()) for stem in stems) <= 110
    assert "con" not in stems
    again = work(dict.fromkeys(names, PHOTO), tmp_path)
    assert [len(again.finished[name]) for name in names] == [1, 1, 1]


def test_a_file_that_cannot_be_written_does_not_keep_the_others(photos, tmp_path, monkeypatch):
    annotator, write = work(photos, tmp_path / "done"), Project._write

    def fails_for_one(self, name, content):
        if name == "clicks/a_cat.json":
            raise OSError(28, "No space left")
        write(self, name, content)

    with monkeypatch.context() as patch:
        patch.setattr(Project, "_write", fails_for_one)
        with pytest.raises(DataError, match="No space left"):
            annotator.click([A])
        with pytest.raises(DataError, match="No space left"):
            annotator.finish()
    assert [path.name for path in (tmp_path / "done" / "masks").iterdir()] == ["a_cat_1.png"]
    annotator.click([B])
    assert len(json.loads((tmp_path / "done" / "clicks" / "a_cat.json").read_text())["objects"]) == 1


def test_objects_are_numbered_over_all_that_the_folder_holds(tmp_path):
    for name in ("a.png", "b.png", "a.png"):  # one image a day
        annotator = work({name: PHOTO}, tmp_path)
        annotator.click([A])
        annotator.finish()
    assert [(name, record.number) for name, record in Project(tmp_path).order()] == [("a.png", 1), ("b.png", 2), ("a.png", 3)]


def test_what_another_program_has_added_to_the_folder_is_found(tmp_path):
    """Two kernels that know nothing of each other share a folder, each with an image of its own."""
    albums = [Album({name: PHOTO}) for name in ("a.png", "b.png")]
    projects = [Project(tmp_path, album) for album in albums]  # before any of them has saved
    for album, project in zip(albums, projects, strict=True):
        annotator = Annotator(FakeSession(), album, project)
        annotator.open(annotator.name)
        annotator.click([A])
        annotator.finish()
    assert json.loads((tmp_path / "project.json").read_text())["images"] == {"b.png": "b"}  # the later one's list
    again = work({"a.png": PHOTO, "b.png": PHOTO}, tmp_path)
    assert [len(records) for records in again.finished.values()] == [1, 1]


def test_classes_that_were_typed_keep_their_numbers_too(photos, tmp_path):
    folder = tmp_path / "done"
    annotator = work(photos, folder)
    annotator.click([A])
    annotator.set_class(" zebra ")
    annotator.finish()
    later = work(photos, folder, classes=("cat", "dog", "bird"))
    assert later.classes == ("cat", "dog", "zebra", "bird")
    later.click([B])
    later.finish()
    listing = COCO(folder / "coco.json")
    assert {kind["id"]: kind["name"] for kind in listing.loadCats(listing.getCatIds())}[3] == "zebra"
    assert sorted(listing.getAnnIds()) == [1, 2]
    later.remove(0)
    assert COCO(folder / "coco.json").getAnnIds() == [2]  # an object's number stays
    for wrong in ("", "  ", None):
        with pytest.raises(DataError, match="is no name of a class"):
            later.set_class(wrong)


def test_an_image_is_the_same_though_another_of_its_name_has_come(tmp_path):
    paths = [tmp_path / "photos" / name for name in ("a/x.png", "a/y.png", "b/x.png")]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(PHOTO).save(path)
    annotator = work(paths[:2], tmp_path / "done")
    annotator.click([A])
    annotator.finish()
    later = work(paths, tmp_path / "done")
    assert {name: len(records) for name, records in later.finished.items()} == {"a/x.png": 1, "y.png": 0, "b/x.png": 0}
    later.open("y.png")
    assert json.loads((tmp_path / "done" / "project.json").read_text())["images"]["a/x.png"] == "x"


def test_from_annotations_to_a_data_set(photos, tmp_path):
    folder, out = tmp_path / "done", tmp_path / "data"
    annotator = work(photos, folder)

    def one(name, click, kind):
        annotator.open(name)
        annotator.click([click])
        annotator.set_class(kind)
        annotator.finish()

    def run(*arguments):
        return CliRunner().invoke(app, ["data", "export", str(folder), str(out), *map(str, arguments)])

    one("a cat.png", A, "cat")
    assert "'ilsegkit data export" in CliRunner().invoke(app, ["evaluate", str(folder)]).output
    assert f"{out}: 1 images\n" in run().output
    one("a cat.png", B, "dog")  # what has come since is there after the same command
    one("b.png", A, "cat")
    assert f"{out}: 2 images\n" in run().output
    data = FolderDataset(out)
    assert [(sample.image_id, sample.class_name) for sample in data] == [("a cat", "cat"), ("a cat", "dog"), ("b", "cat")]
    np.testing.assert_array_equal(data[1].mask, annotator.masks("a cat.png")[1])
    annotator.open("a cat.png")
    annotator.reopen(0)  # now the first is the last
    annotator.finish()
    assert run().exit_code == 0
    assert [sample.class_name for sample in FolderDataset(out)] == ["dog", "cat", "cat"]
    photos.rename(tmp_path / "elsewhere")
    assert "there is no object to segment" in run().output
    assert run("--images", tmp_path / "elsewhere").exit_code == 0


def test_an_object_under_another_is_named(photos, tmp_path, caplog):
    annotator = work(photos, tmp_path / "done")
    for _ in range(2):
        annotator.click([A])
        annotator.finish()
    export(CocoInstances(tmp_path / "done" / "coco.json", photos), tmp_path / "data", progress=False)
    assert "1 objects lie wholly under others" in caplog.text


def test_classes_keep_their_numbers(photos, tmp_path):
    work(photos, tmp_path, classes=("cat", "dog"))
    assert Project(tmp_path).classes == ["cat", "dog"]
    assert Project(tmp_path, classes=["bird", "dog"]).classes == ["cat", "dog", "bird"]
    assert Project(tmp_path / "new").classes == ["object"]


def test_replay_does_not_take_one_file_for_two_images(tiny_model, tmp_path):
    paths = [tmp_path / part / "0.png" for part in ("p", "q")]
    for path in paths:
        path.parent.mkdir()
        Image.fromarray(PHOTO).save(path)
    annotator = work(paths, tmp_path / "done")
    for name in annotator.album:
        annotator.open(name)
        annotator.click([A])
        annotator.finish()
    with pytest.raises(DataError, match="several images"):
        replay(tmp_path / "done", tmp_path / "again", Session(tiny_model, "none"), images=tmp_path / "p")


def test_an_object_that_cannot_be_taken_up_again_is_not_lost(photos, tmp_path):
    annotator = work(photos, tmp_path)
    annotator.click([A, B])
    session = FakeSession()
    session.fails_beyond = 0  # as if memory were short
    with pytest.raises(RuntimeError):
        work(photos, tmp_path, session)
    left = json.loads((tmp_path / "clicks" / "a_cat.json").read_text())["open"]
    assert len(left["clicks"]) == 2
    album = Album(photos)
    again = Annotator(session, album, Project(tmp_path, album))
    with pytest.raises(RuntimeError):
        again.open("a cat.png")
    session.fails_beyond = None
    again.undo()
    assert again.clicks == (A, B)


@pytest.mark.parametrize("given", ["PHOTO.PNG", unicodedata.normalize("NFC", "zo\u00e9.png")])
def test_an_image_that_another_system_writes_otherwise_is_the_same(tmp_path, given):
    old = {"PHOTO.PNG": "photo.png"}.get(given, unicodedata.normalize("NFD", given))
    annotator = work({old: PHOTO, "other": PHOTO}, tmp_path / "done")
    annotator.click([A])
    annotator.finish()
    annotator = work({given: PHOTO, "other": PHOTO}, tmp_path / "done")
    assert (annotator.name, len(annotator.finished[given])) == (given, 1)
    listing = json.loads((tmp_path / "done" / "coco.json").read_text())
    assert [image["file_name"] for image in listing["images"]] == [given]
    assert len(list((tmp_path / "done" / "clicks").iterdir())) == 1


def test_a_kernel_that_dies_after_the_last_object_is_removed(photos, tmp_path, monkeypatch):
    folder = tmp_path / "done"
    annotator = work(photos, folder)
    annotator.click([A])
    annotator.finish()
    write = Project._write

    def dies(self, name, content):
        if not name.startswith("clicks/"):
            raise KeyboardInterrupt
        write(self, name, content)

    with monkeypatch.context() as patch:
        patch.setattr(Project, "_write", dies)
        with pytest.raises(KeyboardInterrupt):
            annotator.remove(0)
    assert json.loads((folder / "coco.json").read_text())["annotations"]
    work(photos, folder)
    assert json.loads((folder / "coco.json").read_text())["annotations"] == []
    assert list((folder / "masks").iterdir()) == []
    assert not np.asarray(Image.open(folder / "ids" / "a_cat.png")).any()


def test_masks_are_not_ahead_of_the_listing(photos, tmp_path, monkeypatch):
    """A listing that a program on Windows holds open; and the kernel is started anew."""
    folder, write = tmp_path / "done", Project._write

    def fails(self, name, content):
        if name == "coco.json":
            raise PermissionError("held by another program")
        write(self, name, content)

    annotator = work(photos, folder)
    with monkeypatch.context() as patch:
        patch.setattr(Project, "_write", fails)
        annotator.click([A])
        with pytest.raises(DataError, match="another program"):
            annotator.finish()
    work(photos, folder)
    assert len(json.loads((folder / "coco.json").read_text())["annotations"]) == 1
    assert [path.name for path in (folder / "masks").iterdir()] == ["a_cat_1.png"]


def test_of_two_images_of_nearly_one_name_none_is_taken_for_a_third(tmp_path):
    annotator = work({"a.png": PHOTO, "A.png": PHOTO}, tmp_path / "done")
    for name in ("a.png", "A.png"):
        annotator.open(name)
        annotator.click([A])
        annotator.finish()
    assert work({"a.PNG": PHOTO}, tmp_path / "done").finished == {"a.PNG": []}
