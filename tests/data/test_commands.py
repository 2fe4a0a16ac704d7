"""``ilsegkit data``, run as a user runs it but in this process."""

import hashlib
import shutil

import pytest
from typer.testing import CliRunner

from ilsegkit.cli import app
from ilsegkit.data import manifest as module
from ilsegkit.data.manifest import load_manifest

DATA = b"photo" * 100


def run(*arguments):
    return CliRunner().invoke(app, ["data", *(str(a) for a in arguments)])


@pytest.fixture
def photos(server, monkeypatch):
    """A manifest with one small set on the server of this machine."""
    (server.root / "a.jpg").write_bytes(DATA)
    real = load_manifest()["grabcut-20"]
    file = real.files[0].model_copy(
        update={"path": "a.jpg", "url": server.url + "a.jpg", "mirrors": [], "bytes": len(DATA), "hash": digest(DATA)}
    )
    entry = real.model_copy(update={"id": "photos", "files": [file], "listings": [], "loader": None})
    monkeypatch.setattr(module, "_bundled", lambda: {"photos": entry})
    return entry


def digest(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_list_names_every_set():
    result = run("list")
    assert result.exit_code == 0, result.output
    for entry in load_manifest().values():
        [line] = [line for line in result.output.splitlines() if line.startswith(f"{entry.id} ")]
        assert entry.title in line
        assert ("to fetch" in line) == any(file.url for file in entry.files)


def test_info_tells_terms_and_how_to_get_it():
    result = run("info", "youtube-vos-2019")
    assert result.exit_code == 0
    for part in ("licence:", "terms must be accepted", "by hand:  Register at https://youtube-vos.org"):
        assert part in result.output
    result = run("info", "sbd")
    assert "needs:    voc2012" in result.output
    assert "sha256:6a5a2918d5c73ce032fdeba876574d150d9d04113ab87540a1304cbcc715be53" in result.output
    assert "1248 files below\n          https://raw.githubusercontent.com/" in run("info", "nuclei-60").output


def test_download_verify_path_list(photos, tmp_path):
    root = tmp_path / "class"
    result = run("download", "photos", "--root", root)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == str(root / "photos")
    assert run("path", "photos", "--root", root).output == f"{root / 'photos'}\n"
    assert "photos: all well in" in run("verify", "photos", "--root", root).output
    assert " here " in run("list", "--root", root).output
    (root / "photos" / "a.jpg").write_bytes(bytes(len(DATA)))
    result = run("verify", "photos", "--root", root)
    assert result.exit_code == 1
    assert f"photos: a.jpg differs: expected {digest(DATA)}, got {digest(bytes(len(DATA)))}" in result.output
    assert (
        f"remove those that are not as published, then 'ilsegkit data download photos --root {root}' brings them back"
        in result.output
    )
    (root / "photos" / "a.jpg").unlink()
    assert "1 files missing" in run("list", "--root", root).output


def test_a_root_that_is_no_folder_is_told(photos, tmp_path):
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "file", tmp_path / "file" / "inside"):
        result = run("download", "photos", "--root", root)
        assert result.exit_code == 1
        assert "it is no folder; choose another with --root" in result.stderr


def test_import(photos, server, tmp_path):
    shutil.copy(server.root / "a.jpg", tmp_path / "a.jpg")
    result = run("import", "photos", tmp_path / "a.jpg", "--root", tmp_path / "root")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == str(tmp_path / "root" / "photos")
    assert server.requests == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["info", "pascal"], "there is no data set 'pascal'; choose one of photos"),
        (["path", "photos"], "'photos' is in none of"),
        (["import", "photos", "nothing.zip"], "there is no 'nothing.zip' to import"),
    ],
)
def test_mistakes_are_told_in_one_line(photos, arguments, told):
    result = run(*arguments)
    assert result.exit_code == 1
    assert told in result.output
    assert result.output.count("\n") == 1


def test_a_failed_download_says_what_to_do(photos, server):
    (server.root / "a.jpg").unlink()
    result = run("download", "photos")
    assert result.exit_code == 1
    told = result.stderr.splitlines()[-1]
    assert told.startswith("ilsegkit: photos: 'a.jpg' could not be fetched (127.0.0.1:")
    assert "no longer there (404)" in told
    assert "ilsegkit data import photos PATH" in told
    assert told.endswith("or choose the size small or offline.")


@pytest.mark.parametrize(("value", "code"), [("~nobody-has-this-name/data", 1), ("x" * 300, 0)])
def test_a_data_root_that_cannot_be(monkeypatch, value, code):
    monkeypatch.setenv("ILSEGKIT_DATA", value)
    result = run("list")
    assert result.exit_code == code, result.output
    assert ("write the whole path" in result.output) == bool(code)
    assert "Traceback" not in result.output
