import errno
import io
import os
import stat
import struct
import tarfile
import zipfile
import zlib

import pytest
import rarfile

from ilsegkit.data import unpack as module
from ilsegkit.data.unpack import unpack
from ilsegkit.errors import DataError

CONTENT = {"images/a.txt": b"alpha" * 40, "images/deeper/b.txt": b"beta", "empty.txt": b""}


def write_zip(path, content=CONTENT):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in content.items():
            file.writestr(name, data)


def write_tar(path, content=CONTENT, mode="w:gz", **fields):
    with tarfile.open(path, mode) as file:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for field, value in fields.items():
                setattr(info, field, value)
            file.addfile(info, io.BytesIO(data))


def write_rar(path, content=CONTENT, method=0x30):
    """RAR 3, as its technical note describes it; 0x30 stores, and needs no program to unpack."""

    def block(kind, flags, rest, data=b""):
        header = struct.pack("<BHH", kind, flags, 7 + len(rest)) + rest
        return struct.pack("<H", zlib.crc32(header) & 0xFFFF) + header + data

    parts = [b"Rar!\x1a\x07\x00", block(0x73, 0, bytes(6))]
    for name, data in content.items():
        sizes = struct.pack("<IIBIIBBHI", len(data), len(data), 3, zlib.crc32(data), 0, 20, method, len(name), 0o100644)
        parts.append(block(0x74, 0x8000, sizes + name.encode(), data))
    path.write_bytes(b"".join([*parts, block(0x7B, 0x4000, b"")]))


WRITERS = {"zip": write_zip, "tar": write_tar, "rar": write_rar}


def test_a_zip_without_its_beginning_is_damaged(tmp_path):
    write_zip(tmp_path / "a.zip", {f"{number}.txt": bytes(500) for number in range(9)})
    (tmp_path / "a.zip").write_bytes((tmp_path / "a.zip").read_bytes()[60:])
    with pytest.raises(DataError, match="damaged or cut short"):
        unpack(tmp_path / "a.zip", "zip", tmp_path / "out", progress=False)


@pytest.fixture(params=WRITERS)
def kind(request):
    return request.param


def unpacked(archive, kind, folder):
    return unpack(archive, kind, folder, progress=False)


def test_files_come_out_with_size_and_hash(kind, tmp_path):
    archive, folder = tmp_path / f"set.{kind}", tmp_path / "out"
    WRITERS[kind](archive)
    files = unpacked(archive, kind, folder)
    assert {file.path: file.bytes for file in files} == {name: len(data) for name, data in CONTENT.items()}
    assert {name: (folder / name).read_bytes() for name in CONTENT} == CONTENT
    assert files[1].hash == "sha256:f44e64e75f3948e9f73f8dfa94721c4ce8cbb4f265c4790c702b2d41cfbf2753"


@pytest.mark.parametrize("name", ["../out.txt", "/tmp/out.txt", "a/../../out.txt", "..\\out.txt", "C:\\out.txt"])
def test_nothing_leaves_the_folder(kind, tmp_path, name):
    archive, folder = tmp_path / f"set.{kind}", tmp_path / "in" / "out"
    WRITERS[kind](archive, {"good.txt": b"good", name: b"bad"})
    if kind == "rar" and ":" in name:
        pytest.skip("the RAR library takes drives off by itself")
    with pytest.raises(DataError, match=r"leads out of its folder"):
        unpacked(archive, kind, folder)
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} <= {archive.name, "good.txt"}


@pytest.mark.parametrize("kind_of_link", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_no_links_or_devices_in_tar(tmp_path, kind_of_link):
    archive = tmp_path / "set.tar"
    write_tar(archive, {"link": b""}, "w", type=kind_of_link, linkname="/etc/passwd")
    with pytest.raises(DataError, match="'link', a link or device"):
        unpacked(archive, "tar", tmp_path / "out")


def test_no_links_in_zip(tmp_path):
    archive = tmp_path / "set.zip"
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match="'link', a link"):
        unpacked(archive, "zip", tmp_path / "out")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_bombs_are_stopped(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SLACK", 1000)
    archive = tmp_path / f"bomb.{kind}"
    WRITERS[kind](archive, {"zeros.bin": bytes(3_000_000)})
    with pytest.raises(DataError, match="far more than its size"):
        unpacked(archive, kind, tmp_path / "out")
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.bin")) == 0


def test_bombs_that_lie_about_their_size(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SLACK", 0)
    with pytest.raises(DataError, match="far more than the archive"):
        module._write(io.BytesIO(bytes(5000)), tmp_path, "x", 4000)


def test_too_many_files(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_FILES", 2)
    write_zip(tmp_path / "many.zip")
    with pytest.raises(DataError, match="far more"):
        unpacked(tmp_path / "many.zip", "zip", tmp_path / "out")


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_archives_cut_short(kind, tmp_path, share):
    archive = tmp_path / f"set.{kind}"
    WRITERS[kind](archive, {"a.bin": os.urandom(5000), "b.bin": os.urandom(5000)})
    os.truncate(archive, int(archive.stat().st_size * share))
    with pytest.raises(DataError, match=rf"set.{kind}' is damaged or cut short"):
        unpacked(archive, kind, tmp_path / "out")


def test_something_else(kind, tmp_path):
    archive = tmp_path / f"set.{kind}"
    archive.write_text("<html>404</html>")
    with pytest.raises(DataError, match="damaged or cut short"):
        unpacked(archive, kind, tmp_path / "out")


def test_bytes_that_changed(tmp_path):
    archive = tmp_path / "set.zip"
    write_zip(archive, {"a.bin": os.urandom(5000)})
    data = bytearray(archive.read_bytes())
    data[2000] ^= 1
    archive.write_bytes(data)
    with pytest.raises(DataError, match="damaged"):
        unpacked(archive, "zip", tmp_path / "out")


def test_rar_without_a_program_says_what_to_install(tmp_path, monkeypatch):
    archive = tmp_path / "set.rar"
    write_rar(archive, method=0x33)

    def no_tool(*args, **kwargs):
        raise rarfile.RarCannotExec("Cannot find working tool")

    monkeypatch.setattr(rarfile, "tool_setup", no_tool)
    with pytest.raises(DataError, match=r"install unrar, unar, 7-Zip or bsdtar .*import the folder"):
        unpacked(archive, "rar", tmp_path / "out")


def test_a_full_disk_is_not_a_damaged_archive(tmp_path, monkeypatch):
    write_zip(tmp_path / "set.zip")

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_write", full)
    with pytest.raises(OSError, match="No space"):
        unpacked(tmp_path / "set.zip", "zip", tmp_path / "out")
