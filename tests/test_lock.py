"""One process at a time, and no lock where there can be none."""

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


@pytest.mark.parametrize("error", [OSError(37, "No locks available"), PermissionError(13, "denied"), NotImplementedError()])
def test_the_work_goes_on_without_where_there_can_be_none(tmp_path, monkeypatch, squares, tiny_model, error):
    def acquire(*_, **__):
        raise error

    monkeypatch.setattr(FileLock, "acquire", acquire)
    locked(tmp_path / ".lock", "busy").release()
    session = ils.Session(tiny_model, "none")
    results = ils.evaluate(squares(1), session, max_clicks=1, records=tmp_path / "r.jsonl", progress=False)
    assert len(results) == 1
