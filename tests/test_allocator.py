import json
import os
import platform
import subprocess
import sys

import numpy as np
import psutil
import pytest

import ilsegkit as ils
from ilsegkit.adaptation import Adaptation, Settings
from ilsegkit.allocator import give_back_memory, keep_memory

#: How many pages does the system give for 160 megabytes that have just been freed: of ten blocks, of three large ones, and of
#: three that the network asks for?
PAGES = """
import json, resource, torch, ilsegkit
from contextlib import nullcontext
from ilsegkit.allocator import keeping_large_blocks
ilsegkit.InteractiveSegmenter("Unet:tu-test_resnet")

def pages(count, asked_for):
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        with asked_for():
            blocks = [torch.ones(40 * 2**20 // count) for _ in range(count)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(json.dumps([pages(10, nullcontext), pages(3, nullcontext), pages(3, keeping_large_blocks)]))
"""
glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")


def pages(**environment):
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    return json.loads(subprocess.check_output([sys.executable, "-c", PAGES], env={**inherited, **environment}, text=True))


@glibc
def test_what_has_been_freed_is_used_again():
    small, large, of_network = pages()
    by_user = pages(MALLOC_ARENA_TEST="8")  # glibc's default, chosen by the user, who is left alone
    assert small < 0.1 * by_user[0]
    assert of_network < 0.5 * large
    assert by_user[2] > 0.9 * by_user[1]


@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES"])
def test_what_the_user_has_chosen_stays(name, monkeypatch):
    monkeypatch.setenv(name, "1")
    assert not keep_memory()


def test_elsewhere_nothing_happens(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert not keep_memory()
    give_back_memory()


@glibc
def test_finishing_gives_memory_back(tiny_model):
    session = ils.Session(tiny_model, Adaptation(sequence=Settings(steps=1, rate=1e-3, lam=0.5, gamma=0.0)))
    session.set_image(np.zeros((48, 64, 3), np.uint8))
    session.click(20, 20)
    blocks, between = [], []  # 80 megabytes, and what stays among them
    for _ in range(20):
        blocks.append(np.ones(2**19))
        between.append(np.ones(2**13))
    before = psutil.Process().memory_info().rss
    blocks.clear()
    session.finish()
    assert psutil.Process().memory_info().rss < before - 60 * 2**20
    assert between
