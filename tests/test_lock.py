"""One process at a time, and no lock where there can be none."""

import os

import pytest
from filelock import FileLock

import ilsegkit as ils
from ilsegkit.errors import DataError
from ilsegkit.lock import locked


def test_who_comes_second_is_told(tmp_path):
    lock = locked(tmp_path / ".lock", "another program is at work; wait")
    with pytest.raises(DataError, match=r"another program is at work; wait \(if none is at work, remove .*\.lock'\)"):
        locked(tmp_path / ".lock", "another program is at work; wait")
    lock.release()
    locked(tmp_path / ".lock", "").release()


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")
def test_another_user_can_have_the_lock_next(tmp_path):
    locked(tmp_path / ".lock", "").release()
    left = list(tmp_path.iterdir())  # some releases of filelock remove it
    assert all(path.stat().st_mode & 0o777 == 0o666 for path in left)


@pytest.mark.parametrize("error", [OSError(37, "No locks available"), PermissionError(13, "denied"), NotImplementedError()])
def test_the_work_goes_on_without_where_there_can_be_none(tmp_path, monkeypatch, squares, tiny_model, error):
    def acquire(*_, **__):
        raise error

    monkeypatch.setattr(FileLock, "acquire", acquire)
    locked(tmp_path / ".lock", "busy").release()
    session = ils.Session(tiny_model, "none")
    results = ils.evaluate(squares(1), session, max_clicks=1, records=tmp_path / "r.jsonl", progress=False)
    assert len(results) == 1
