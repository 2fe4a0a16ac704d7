import pytest
import torch

from ilsegkit.model import InteractiveSegmenter
from ilsegkit.threads import cpu_quota, fit_threads


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(6)
    yield
    torch.set_num_threads(before)


def second_version(folder, text):
    (folder / "cpu.max").write_text(text)
    return folder


def first_version(folder, quota, period):
    (folder / "cpu").mkdir()
    (folder / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (folder / "cpu" / "cpu.cfs_period_us").write_text(f"{period}\n")
    return folder


@pytest.mark.parametrize(
    ("text", "cores", "taken"),
    [("200000 100000\n", 2, 2), ("50000 100000\n", 0.5, 1), ("380000 100000\n", 3.8, 3), ("1600000 100000\n", 16, 6)],
)
def test_a_quota_is_worth_whole_threads(tmp_path, text, cores, taken):
    assert cpu_quota(second_version(tmp_path, text)) == cores
    assert fit_threads(tmp_path) == torch.get_num_threads() == taken


@pytest.mark.parametrize("text", ["max 100000\n", "", "nonsense\n"])
def test_without_a_quota_all_threads_are_taken(tmp_path, text):
    assert cpu_quota(second_version(tmp_path, text)) is None
    assert fit_threads(tmp_path) == 6


def test_the_first_version_of_control_groups(tmp_path):
    assert cpu_quota(first_version(tmp_path, 150000, 100000)) == 1.5
    assert fit_threads(tmp_path) == 1


def test_the_first_version_without_a_limit(tmp_path):
    assert cpu_quota(first_version(tmp_path, -1, 100000)) is None


def test_where_there_are_no_control_groups(tmp_path):
    assert cpu_quota(tmp_path / "nothing") is None
    assert fit_threads(tmp_path) == 6


def test_what_the_user_has_chosen_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    assert fit_threads(second_version(tmp_path, "200000 100000")) == 6


def test_a_model_asks_for_it(monkeypatch):
    asked = []
    monkeypatch.setattr("ilsegkit.model.fit_threads", lambda: asked.append(1))
    InteractiveSegmenter("Unet:tu-test_resnet")
    assert asked
