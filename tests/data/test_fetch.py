"""Downloads over a real connection to a server on this machine, imports, roots, and what is said when they fail."""

import errno
import hashlib
import logging
import os
import shutil
import threading
import zipfile
from pathlib import Path

import pytest
import requests
from filelock import FileLock

from ilsegkit.data import download, import_data, open_dataset
from ilsegkit.data import download as download_set
from ilsegkit.data.manifest import Entry, File, load_manifest
from ilsegkit.data.store import RECEIPT, find, places, roots, verify
from ilsegkit.data.transfer import StoppedError, fetch_file
from ilsegkit.errors import DataError

PHOTO = os.urandom(300_000)


def sha256(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def entry(files, name="photos", **fields):
    texts = dict.fromkeys(("title", "role", "licence", "terms", "citation"), "for tests")
    return Entry(**{"id": name, "kind": "paper", "homepage": "https://example.org", "files": files, **texts, **fields})


def photo(server, name="a.jpg", data=PHOTO, **fields):
    """A file on the server."""
    path = server.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return File(**{"path": name, "url": server.url + name, "hash": sha256(data), "bytes": len(data), **fields})


def archive(server, content, name="set.zip", **fields):
    path = server.root / name
    with zipfile.ZipFile(path, "w") as file:
        for inner, data in content.items():
            file.writestr(inner, data)
    data = path.read_bytes()
    return File(**{"path": name, "url": server.url + name, "hash": sha256(data), "bytes": len(data), "unpack": "zip", **fields})


def fetch(entry, root, **options):
    return download_set(entry.id, root, {entry.id: entry}, progress=False, **options)[0]


def left_over(root):
    """Files under a root, without locks."""
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file() and p.suffix != ".lock")


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


class TestOneFile:
    def test_bytes_arrive(self, server, tmp_path):
        counted = []
        fetch_file(photo(server), tmp_path / "a.jpg", counted.append)
        assert (tmp_path / "a.jpg").read_bytes() == PHOTO
        assert sum(counted) == len(PHOTO)

    def test_a_cut_connection_goes_on_where_it_was(self, server, tmp_path):
        server.cuts["a.jpg"] = [100_000, 50_000]
        counted = []
        fetch_file(photo(server), tmp_path / "a.jpg", counted.append)
        assert (tmp_path / "a.jpg").read_bytes() == PHOTO
        starts = [int(wanted[6:-1]) if wanted else 0 for _, wanted in server.requests]
        assert len(starts) == 3
        assert 0 == starts[0] < starts[1] <= 100_000 < starts[2] <= 150_000
        assert sum(counted) == len(PHOTO)

    def test_another_day_goes_on_too(self, server, tmp_path):
        (tmp_path / "a.jpg.part").write_bytes(PHOTO[:123_456])
        fetch_file(photo(server), tmp_path / "a.jpg")
        assert (tmp_path / "a.jpg").read_bytes() == PHOTO
        assert server.requests == [("a.jpg", "bytes=123456-")]
        assert not (tmp_path / "a.jpg.part").exists()

    def test_a_server_without_ranges_starts_again(self, server, tmp_path):
        server.ranges = False
        server.cuts["a.jpg"] = [100_000]
        counted = []
        fetch_file(photo(server), tmp_path / "a.jpg", counted.append)
        assert (tmp_path / "a.jpg").read_bytes() == PHOTO
        assert sum(counted) == len(PHOTO)

    def test_a_part_that_is_complete_or_too_long(self, server, tmp_path):
        (tmp_path / "a.jpg.part").write_bytes(PHOTO)
        fetch_file(photo(server), tmp_path / "a.jpg")
        assert server.requests == []
        (tmp_path / "b.jpg.part").write_bytes(PHOTO + b"more")
        fetch_file(photo(server, "b.jpg"), tmp_path / "b.jpg")
        assert (tmp_path / "b.jpg").read_bytes() == PHOTO

    def test_a_part_longer_than_the_file_whose_size_is_unknown(self, server, tmp_path):
        (tmp_path / "a.jpg.part").write_bytes(PHOTO + b"more")
        fetch_file(photo(server, bytes=None), tmp_path / "a.jpg")
        assert (tmp_path / "a.jpg").read_bytes() == PHOTO

    def test_without_a_hash_a_part_is_not_trusted(self, server, tmp_path):
        (tmp_path / "a.jpg.part").write_bytes(b"of an older version")
        fetch_file(photo(server, hash=None), tmp_path / "a.jpg")
        assert (tmp_path / "a.jpg").read_bytes() == PHOTO

    def test_500_twice(self, server, tmp_path):
        server.answers["a.jpg"] = [500, 500, 200]
        fetch_file(photo(server), tmp_path / "a.jpg")
        assert (tmp_path / "a.jpg").read_bytes() == PHOTO
        assert server.asked()["a.jpg"] == 3

    def test_500_for_ever(self, server, tmp_path):
        server.answers["a.jpg"] = [500] * 9
        with pytest.raises(DataError, match="the server answers 500"):
            fetch_file(photo(server), tmp_path / "a.jpg")

    def test_a_wrong_hash_keeps_nothing(self, server, tmp_path):
        wrong = photo(server, hash="sha256:" + "0" * 64)
        with pytest.raises(DataError, match=rf"'a.jpg'.*another file, now deleted: expected {wrong.hash}, got {sha256(PHOTO)}"):
            fetch_file(wrong, tmp_path / "get" / "a.jpg")
        assert list((tmp_path / "get").iterdir()) == []

    @pytest.mark.parametrize("left", [1000, len(PHOTO)])
    def test_what_an_earlier_try_has_left_may_be_wrong(self, server, tmp_path, left):
        (tmp_path / "a.jpg.part").write_bytes(bytes(left))
        fetch_file(photo(server), tmp_path / "a.jpg")
        assert (tmp_path / "a.jpg").read_bytes() == PHOTO
        assert not (tmp_path / "a.jpg.part").exists()

    def test_a_wrong_size_keeps_nothing(self, server, tmp_path):
        with pytest.raises(DataError, match="300000 bytes instead of 7"):
            fetch_file(photo(server, bytes=7), tmp_path / "a.jpg")
        assert not list(tmp_path.glob("a.jpg*"))

    @pytest.mark.parametrize("known", ["md5", "sha1"])
    def test_other_hashes(self, server, tmp_path, known):
        fetch_file(photo(server, hash=f"{known}:{hashlib.new(known, PHOTO).hexdigest()}"), tmp_path / "a.jpg")
        assert (tmp_path / "a.jpg").read_bytes() == PHOTO

    @pytest.mark.parametrize(("code", "told"), [(404, "no longer there"), (403, "refuses access"), (401, "login")])
    def test_what_is_hopeless_is_not_tried_again(self, server, tmp_path, code, told):
        server.answers["a.jpg"] = [code] * 5
        with pytest.raises(DataError, match=rf"127.0.0.1:\d+: .*{told}.*\({code}\)"):
            fetch_file(photo(server), tmp_path / "a.jpg")
        assert server.asked()["a.jpg"] == 1

    def test_the_other_mirror(self, server, tmp_path):
        photo(server, "mirror/a.jpg")
        file = photo(server, mirrors=[server.url + "gone/a.jpg", server.url + "mirror/a.jpg"])
        server.answers["a.jpg"] = [403]
        fetch_file(file, tmp_path / "a.jpg")
        assert (tmp_path / "a.jpg").read_bytes() == PHOTO
        assert server.asked() == {"a.jpg": 1, "gone/a.jpg": 1, "mirror/a.jpg": 1}

    def test_a_web_page_instead(self, server, tmp_path):
        server.kinds["a.jpg"] = "text/html; charset=utf-8"
        with pytest.raises(DataError, match="a web page instead of the file"):
            fetch_file(photo(server, hash=None, bytes=None), tmp_path / "a.jpg")

    def test_no_network(self, server, tmp_path):
        file = photo(server)
        server.http.shutdown()
        server.http.server_close()
        with pytest.raises(DataError, match="no connection"):
            fetch_file(file, tmp_path / "a.jpg")

    @pytest.mark.parametrize(
        ("error", "told"),
        [
            (requests.exceptions.SSLError("certificate verify failed: certificate has expired"), "certificate has expired"),
            (requests.exceptions.SSLError("self-signed certificate"), "certificate cannot be trusted"),
            (requests.exceptions.ReadTimeout(), "no answer in time"),
        ],
    )
    def test_other_troubles(self, server, tmp_path, monkeypatch, error, told):
        def fail(*args, **kwargs):
            raise error

        monkeypatch.setattr("ilsegkit.data.transfer._session.get", fail)
        with pytest.raises(DataError, match=told):
            fetch_file(photo(server), tmp_path / "a.jpg")

    def test_stopping_keeps_what_has_come(self, server, tmp_path):
        stop = threading.Event()
        server.cuts["a.jpg"] = [100_000]

        def advance(count):
            if count > 0:
                stop.set()

        with pytest.raises(StoppedError):
            fetch_file(photo(server), tmp_path / "a.jpg", advance, stop)
        assert 0 < (tmp_path / "a.jpg.part").stat().st_size < len(PHOTO)


class TestSets:
    def test_files_and_archives_make_a_set(self, server, root):
        files = [archive(server, {"images/b.txt": b"b", "c.txt": b"c"}), photo(server, "notes/a.jpg")]
        folder = fetch(entry(files), root)
        assert folder == root / "photos"
        assert left_over(root) == sorted(f"photos/{name}" for name in (RECEIPT, "images/b.txt", "c.txt", "notes/a.jpg"))
        assert verify(entry(files), folder, progress=False) == []

    def test_what_is_there_is_not_fetched_again(self, server, root):
        photos = entry([photo(server)])
        assert fetch(photos, root) == fetch(photos, root)
        assert server.asked()["a.jpg"] == 1

    def test_sets_it_needs_come_too(self, server, root):
        manifest = {"a": entry([photo(server)], "a", requires=["b"]), "b": entry([photo(server, "b.jpg")], "b")}
        assert download_set("a", root, manifest, progress=False) == [root / "a", root / "b"]

    def test_an_interrupted_set_goes_on(self, server, root):
        files = [photo(server, f"{i}.jpg", os.urandom(1000)) for i in range(20)]
        server.answers["13.jpg"] = [403]
        with pytest.raises(DataError, match=r"photos: '13.jpg'.*refuses access.*import .*small or offline"):
            fetch(entry(files), root)
        assert not (root / "photos").exists()
        before = server.asked()
        folder = fetch(entry(files), root)
        again = server.asked() - before
        assert again["13.jpg"] == 1
        assert len(again) < 20
        assert verify(entry(files), folder, progress=False) == []

    def test_by_hand(self, root):
        with pytest.raises(DataError, match=r"Draw them\. .*'ilsegkit data import photos PATH'"):
            fetch(entry([], by_hand="Draw them."), root)
        with pytest.raises(DataError, match=r"'a.jpg' of 'photos' cannot be fetched .*Ask\."):
            fetch(entry([File(path="a.jpg", hash=None)], by_hand="Ask."), root)

    def test_unknown_hashes_are_told(self, server, root, caplog):
        with caplog.at_level(logging.WARNING):
            fetch(entry([photo(server, hash=None)]), root)
        assert f"no hash of a.jpg is known; this one has {sha256(PHOTO)}" in caplog.text

    def test_a_truncated_zip_gives_no_set(self, server, root):
        whole = archive(server, {"a.bin": os.urandom(9000)})
        os.truncate(server.root / "set.zip", 5000)
        cut = (server.root / "set.zip").read_bytes()
        known, unknown = {"hash": sha256(cut), "bytes": 5000}, {"hash": None, "bytes": None}
        for fields in (known, unknown):
            file = whole.model_copy(update=fields)
            with pytest.raises(DataError, match=r"'set.zip' is damaged or cut short"):
                fetch(entry([file]), root)
            assert not (root / "photos").exists()
        assert left_over(root) == []  # without a hash the archive itself is not kept
        with pytest.raises(DataError, match="5000 bytes instead of"):
            fetch(entry([whole]), root)

    def test_a_zip_that_leads_out_gives_no_set(self, server, root):
        with pytest.raises(DataError, match="leads out of its folder"):
            fetch(entry([archive(server, {"../evil.txt": b"x"})]), root)
        assert not list(root.parent.rglob("evil.txt"))
        assert not (root / "photos").exists()

    def test_a_full_disk(self, server, root, monkeypatch):
        photos = entry([photo(server)])
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 1000))
            with pytest.raises(DataError, match=r"needs about .* GB .*--root"):
                fetch(photos, root)

        def full(*args, **kwargs):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("ilsegkit.data.staging.write_receipt", full)
        with pytest.raises(DataError, match=r"the disk is full; make room"):
            fetch(photos, root)

    @pytest.mark.parametrize(
        ("number", "told"), [(errno.EACCES, "you may not write there"), (errno.EROFS, "it can only be read")]
    )
    def test_a_folder_that_cannot_be_written(self, server, root, monkeypatch, number, told):
        def refuse(*args, **kwargs):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr("ilsegkit.data.staging.Stage.finish", refuse)
        with pytest.raises(DataError, match=rf"nothing can be stored in .*root': {told}; choose another folder with --root"):
            fetch(entry([photo(server)]), root)

    def test_two_at_the_same_time(self, server, root):
        root.mkdir()
        with FileLock(root / ".photos.lock"), pytest.raises(DataError, match="another program is fetching 'photos'"):
            fetch(entry([photo(server)]), root)

    def test_damage_is_found_and_mended(self, server, root):
        photos = entry([photo(server), photo(server, "b.jpg", b"b" * 50)])
        folder = fetch(photos, root)
        (folder / "a.jpg").write_bytes(bytes(len(PHOTO)))
        (folder / "b.jpg").unlink()
        problems = verify(photos, folder, progress=False)
        assert problems[0].startswith(f"a.jpg differs: expected {sha256(PHOTO)}, got sha256:")
        assert problems[1] == "b.jpg is missing"
        assert verify(photos, fetch(photos, root), progress=False) == []


class TestRoots:
    def test_a_shared_root_is_read_first(self, server, root, tmp_path, monkeypatch):
        photos = entry([photo(server)])
        shared = fetch(photos, tmp_path / "class").parent
        monkeypatch.setenv("ILSEGKIT_DATA", os.pathsep.join([str(tmp_path / "none"), str(shared)]))
        for path in (shared, *shared.rglob("*")):
            path.chmod(0o500 if path.is_dir() else 0o400)
        assert find(photos) == shared / "photos"
        assert fetch(photos, None) == shared / "photos"
        assert server.asked()["a.jpg"] == 1

    def test_a_part_in_a_shared_root_is_taken_over(self, server, tmp_path, monkeypatch):
        photos = entry([photo(server), photo(server, "b.jpg", b"b" * 50), photo(server, "c.jpg", b"c" * 50)])
        shared = tmp_path / "class" / "photos"
        shared.mkdir(parents=True)
        (shared / "a.jpg").write_bytes(PHOTO)
        (shared / "b.jpg").write_bytes(b"x" * 50)  # not the right one
        monkeypatch.setenv("ILSEGKIT_DATA", str(shared.parent))
        assert places(photos)[0].missing == 1
        folder = fetch(photos, None)
        assert folder == tmp_path / "cache" / "ilsegkit" / "photos"
        assert server.asked() == {"b.jpg": 1, "c.jpg": 1}
        assert places(photos)[0].folder == folder

    def test_a_set_that_is_nowhere(self, server, tmp_path):
        with pytest.raises(DataError, match=r"in none of .*ilsegkit data download photos.*small or offline"):
            find(entry([photo(server)]))
        with pytest.raises(DataError, match=r"ilsegkit data info photos"):
            find(entry([], by_hand="Ask."))

    def test_a_damaged_receipt_is_told_and_mended_by_a_download(self, server, root, caplog):
        photos = entry([photo(server)])
        folder = fetch(photos, root)
        (folder / RECEIPT).write_text("garbage")
        assert find(photos, root) == folder
        assert "is damaged" in caplog.text
        assert "download the set again" in caplog.text
        assert [place.missing for place in places(photos, root)] == [1]
        assert verify(photos, fetch(photos, root), progress=False) == []

    def test_hidden_files_are_no_set(self, server, root):
        photos = entry([photo(server)])
        (root / photos.id).mkdir(parents=True)
        (root / photos.id / ".DS_Store").write_bytes(b"")
        assert places(photos, root) == []

    def test_what_may_not_be_read_is_left_out(self, server, root, tmp_path, monkeypatch, caplog):
        photos = entry([photo(server)])
        fetch(photos, root)
        plain = Path.is_dir
        monkeypatch.setenv("ILSEGKIT_DATA", str(tmp_path / "shared"))
        monkeypatch.setattr("pooch.os_cache", lambda name: root)

        def is_dir(path):
            if "shared" in path.parts:
                raise PermissionError(13, "Permission denied", str(path))
            return plain(path)

        monkeypatch.setattr(Path, "is_dir", is_dir)
        assert [place.folder for place in places(photos)] == [root / photos.id]
        assert "is left out" in caplog.text

    def test_a_tilde_is_the_home(self, monkeypatch, tmp_path):
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("USERPROFILE", str(tmp_path))
        monkeypatch.setenv("ILSEGKIT_DATA", "~/data")
        assert roots()[0] == tmp_path / "data"
        assert roots("~/other") == [tmp_path / "other"]


class TestImport:
    def bring(self, entry, sources, root):
        return import_data(entry.id, sources, root, {entry.id: entry}, progress=False)

    def test_files_by_name_or_content_one_after_the_other(self, server, root, tmp_path, caplog):
        photos = entry([photo(server), archive(server, {"x/b.txt": b"b"})])
        renamed = tmp_path / "download (1).jpg"
        shutil.copy(server.root / "a.jpg", renamed)
        with caplog.at_level(logging.WARNING):
            assert self.bring(photos, [renamed], root) is None
        assert "1 files are still missing: set.zip" in caplog.text
        folder = self.bring(photos, [server.root / "set.zip"], root)
        assert left_over(folder) == [RECEIPT, "a.jpg", "x/b.txt"]
        assert server.requests == []

    def test_a_download_takes_up_what_was_imported(self, server, root):
        photos = entry([photo(server), photo(server, "b.jpg", b"b")])
        self.bring(photos, [server.root / "a.jpg"], root)
        fetch(photos, root)
        assert server.asked() == {"b.jpg": 1}

    def test_the_folder_of_a_class_mate(self, server, root, tmp_path):
        for photos in (entry([photo(server)], "plain"), entry([archive(server, {"x/b.txt": b"b"})], "packed")):
            theirs = fetch(photos, tmp_path / "theirs")
            assert self.bring(photos, [theirs], root) == root / photos.id
            shutil.rmtree(root / photos.id)
            folder = self.bring(photos, [theirs.parent], root)  # or all that they have
            assert verify(photos, folder, progress=False) == []

    def test_a_damaged_folder_of_a_class_mate(self, server, root, tmp_path):
        packed = entry([archive(server, {"x/b.txt": b"b"})])
        theirs = fetch(packed, tmp_path / "theirs")
        (theirs / "x" / "b.txt").write_bytes(b"c")
        with pytest.raises(DataError, match=r"is damaged: x/b.txt differs"):
            self.bring(packed, [theirs], root)
        plain = entry([photo(server)])
        theirs = fetch(plain, tmp_path / "others")
        (theirs / "a.jpg").write_bytes(b"c")
        with pytest.raises(DataError, match=r"a.jpg' is not the published file: 1 bytes instead of 300000"):
            self.bring(plain, [theirs], root)

    def test_an_unpacked_folder_must_be_of_that_set(self, root, tmp_path):
        drions = load_manifest()["drions-db"]
        wrong = tmp_path / "holidays"
        wrong.mkdir()
        (wrong / "a.jpg").write_bytes(b"")
        with pytest.raises(DataError, match=r"there is no 'images' in .*holidays"):
            self.bring(drions, [wrong], root)
        for name, told in (("rooftop", "no .mat file"), ("youtube-vos-2019", "no folder 'Annotations'")):
            with pytest.raises(DataError, match=told):
                self.bring(load_manifest()[name], [wrong], root)
        right = tmp_path / "retina" / "DRIONS-DB"
        (right / "images").mkdir(parents=True)
        (right / "experts_anotation").mkdir()
        (right / "images" / "image_001.jpg").write_bytes(b"photo")
        folder = self.bring(drions, [right.parent], root)
        assert left_over(folder) == [RECEIPT, "DRIONS-DB/images/image_001.jpg"]
        assert verify(drions, folder, progress=False) == []

    def test_an_unpacked_folder_is_taken_whole_and_alone(self, root, tmp_path):
        drions = load_manifest()["drions-db"]
        theirs, disk = tmp_path / "theirs", tmp_path / "disk"
        for folder in (theirs, disk):
            (folder / "DRIONS-DB" / "experts_anotation").mkdir(parents=True)
        (disk / "photos").mkdir()
        for name in ("image_001.jpg", " a.jpg", "caf\udce9.jpg"):  # the last is Latin-1
            (disk / "photos" / name).write_bytes(b"photo")
        (theirs / "DRIONS-DB" / "images").symlink_to(disk / "photos", target_is_directory=True)
        with pytest.raises(DataError, match="taken alone"):
            self.bring(drions, [theirs, disk], root)
        folder = self.bring(drions, [theirs], root)
        assert len(list((folder / "DRIONS-DB" / "images").iterdir())) == 3
        assert verify(drions, folder, progress=False) == []
        (disk / "photos" / " a.jpg").unlink()
        with pytest.raises(DataError, match=r"has 1 files that .* lacks, such as 'DRIONS-DB/images/ a.jpg'"):
            self.bring(drions, [theirs], root)
        assert verify(drions, folder, progress=False) == []
        shutil.rmtree(folder)
        (disk / "photos" / "a\nb.jpg").write_bytes(b"photo")
        with pytest.raises(DataError, match="not every system allows"):
            self.bring(drions, [theirs], root)

    def test_what_had_come_is_not_lost_at_the_end(self, server, root, monkeypatch):
        photos = entry([photo(server), photo(server, "b.jpg", b"b")])

        def full(*_):
            raise OSError(errno.ENOSPC, "full")

        with monkeypatch.context() as patch:
            patch.setattr("ilsegkit.data.staging.write_receipt", full)
            with pytest.raises(DataError, match="disk is full"):
                fetch(photos, root)
        before = dict(server.asked())
        assert verify(photos, fetch(photos, root), progress=False) == []
        assert server.asked() == before

    def test_wrong_files(self, server, root, tmp_path):
        photos = entry([photo(server)])
        other = tmp_path / "other.jpg"
        other.write_bytes(b"other")
        with pytest.raises(DataError, match=r"'.*other.jpg' is no file of 'photos' \(a.jpg\)"):
            self.bring(photos, [other], root)
        other = other.rename(tmp_path / "a.jpg")
        with pytest.raises(DataError, match=r"a.jpg' is not the published file: 5 bytes instead of 300000; .*nothing was kept"):
            self.bring(photos, [other], root)
        with pytest.raises(DataError, match=r"there is no '.*nothing.jpg' to import"):
            self.bring(photos, [tmp_path / "nothing.jpg"], root)
        assert left_over(root) == []


class TestPublishersFiles:
    """The real bytes, through the whole path."""

    @pytest.fixture
    def mirrored(self, shared_data, server):
        """Entries of small sets, of what is mirrored here, with the addresses of the server on this machine."""
        server.root = shared_data / "mirror"

        def make(name):
            real = load_manifest()[name]
            here = [f for f in real.files if (server.root / name / f.path).is_file()]
            files = [f.model_copy(update={"url": f"{server.url}{name}/{f.path}", "mirrors": []}) for f in here]
            return real.model_copy(update={"files": files, "listings": []})

        return make

    @pytest.mark.parametrize(
        ("name", "objects", "options"),
        [
            ("grabcut-20", 20, {}),
            ("davis2016-val-10pct", 64, {}),
            ("coco-val-100", 324, {}),
            ("aerial-buildings-130", 343, {}),
            ("nuclei-60", 60, {"largest_each": True}),
            ("fundus-disc-101", 2, {}),
        ],
    )
    def test_from_the_server_to_the_samples(self, mirrored, server, root, name, objects, options):
        small = mirrored(name)
        first = small.files[0].path
        server.answers[f"{name}/{first}"] = [500, 500, 200]
        server.cuts[f"{name}/{small.files[1].path}"] = [small.files[1].bytes // 2]
        folder = fetch(small, root)
        assert verify(small, folder, progress=False) == []
        assert server.asked()[f"{name}/{first}"] == 3
        data = open_dataset(name, root, **options)
        assert (len(data), data.skipped) == (objects, 0)
        sample = data[-1]
        assert sample.image.shape[:2] == sample.mask.shape
        assert sample.mask.any()

    def test_a_wrong_hash_among_real_files(self, mirrored, root):
        small = mirrored("grabcut-20")
        small.files[7] = small.files[7].model_copy(update={"hash": "sha256:" + "1" * 64})
        with pytest.raises(DataError, match=rf"{small.files[7].path}.*another file, now deleted: expected sha256:111"):
            fetch(small, root)
        assert not (root / "grabcut-20").exists()

    def test_the_mirror_is_a_shared_root(self, shared_data, monkeypatch):
        monkeypatch.setenv("ILSEGKIT_DATA", str(shared_data / "mirror"))
        manifest = load_manifest()
        assert download("grabcut-20", progress=False) == [shared_data / "mirror" / "grabcut-20"]
        assert verify(manifest["coco-val-100"], find(manifest["coco-val-100"]), progress=False) == []
        assert places(manifest["fundus-disc-101"])[0].missing == 198


@pytest.mark.network
def test_the_real_servers(tmp_path):
    """A small set from where it is published."""
    [folder] = download("grabcut-20", tmp_path, progress=False)
    assert verify(load_manifest()["grabcut-20"], folder, progress=False) == []
    assert len(open_dataset("grabcut-20", tmp_path)) == 20
