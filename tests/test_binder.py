"""What Binder runs after the install: it must end well when no host can be reached."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or shutil.which("bash") is None, reason="Binder's scripts are for bash on Linux"
)


def run(script, arguments, tmp_path, **commands):
    """Run a script of binder/ with commands in the place of the real ones."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    for name, body in commands.items():
        (bin_folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (bin_folder / name).chmod(0o755)
    environment = {"HOME": str(tmp_path), "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        ["bash", str(ROOT / "binder" / script), *arguments], env=environment, capture_output=True, text=True, check=False
    )


def test_post_build_survives_hosts_that_are_down(tmp_path):
    done = run("postBuild", [], tmp_path, ilsegkit="echo 'no route to host' >&2; exit 1", python="exit 1")
    assert done.returncode == 0
    assert done.stdout.count("could not be fetched") == 5
    assert "00_click_to_segment" in (tmp_path / ".jupyter" / "jupyter_lab_config.json").read_text()


def test_post_build_fetches_the_small_sets(tmp_path):
    done = run("postBuild", [], tmp_path, ilsegkit='echo "$@"', python="exit 0")
    assert done.returncode == 0
    assert f"data download grabcut-20 --root {tmp_path}/ilsegkit-data" in done.stdout


def test_start_hands_over_with_the_data_folder(tmp_path):
    done = run("start", ["sh", "-c", "echo $ILSEGKIT_DATA"], tmp_path)
    assert done.stdout.strip() == f"{tmp_path}/ilsegkit-data"
