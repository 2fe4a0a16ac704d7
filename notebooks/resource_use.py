"""How long a notebook takes, and how much memory its kernel.

    python notebooks/resource_use.py                    # a table of all chapters, on two threads; nothing is stored
    python notebooks/resource_use.py 03 05              # of some; OMP_NUM_THREADS sets another number of threads
    python notebooks/resource_use.py --profile offline  # with one size only

Real images are looked for where notebooks/build.py looks for them.
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient

THREADS = 2


@dataclass
class Use:
    """What the kernel, and the processes it started, used from start to end.

    Attributes
    ----------
    seconds, processor : float
        By the clock, and of the processor. On a busy machine only the second says much.
    memory : float
        The most memory (resident), in MiB.
    """

    seconds: float = 0.0
    processor: float = 0.0
    memory: float = 0.0

    def __str__(self) -> str:
        return f"{self.seconds:.0f} s, {self.memory:.0f} MiB"


@contextmanager
def of_kernel(client: NotebookClient) -> Iterator[Use]:
    """Measure what the kernel of a client uses while the block runs."""
    use, over = Use(), threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            provisioner = getattr(client.km, "provisioner", None)
            pid = getattr(provisioner, "pid", None)
            if pid is None:
                continue
            try:
                kernel = psutil.Process(pid)
                processes = (kernel, *kernel.children(recursive=True))
                resident = sum(p.memory_info().rss for p in processes)
                processor = sum(sum(p.cpu_times()[:2]) for p in processes)
            except psutil.Error:  # it has just ended
                continue
            use.memory = max(use.memory, resident / 2**20)
            use.processor = max(use.processor, processor)

    watcher = threading.Thread(target=watch, daemon=True)
    began = time.monotonic()
    watcher.start()
    try:
        yield use
    finally:
        over.set()
        watcher.join()
        use.seconds = time.monotonic() - began


def measured(path: Path, profile: str, data: str | None) -> Use:
    """Run a notebook with nothing on record: an experiment that is there already would only be read."""
    os.environ["ILSEGKIT_PROFILE"] = profile
    os.environ.pop("ILSEGKIT_DATA", None)
    if profile != "offline" and data is not None:
        os.environ["ILSEGKIT_DATA"] = data
    with tempfile.TemporaryDirectory() as results:
        os.environ["ILSEGKIT_RESULTS"] = results
        client = NotebookClient(nbformat.read(path, 4), timeout=1200, resources={"metadata": {"path": str(path.parent)}})
        with of_kernel(client) as use:
            client.execute()
    return use


def main() -> None:
    """Print a Markdown table."""
    from build import environment  # which imports this module

    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("only", nargs="*", help="beginnings of chapters' names; all if left out")
    arguments.add_argument("--profile", action="append", choices=["offline", "small"], help="both if left out")
    chosen = arguments.parse_args()
    profiles = chosen.profile or ["offline", "small"]
    environment()
    data = os.environ.get("ILSEGKIT_DATA")
    if data is None and "small" in profiles:
        arguments.error("there are no real images; name their folder in ILSEGKIT_DATA, or give --profile offline")
    os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))
    print("| chapter |" + "".join(f" {p}: seconds | processor seconds | peak memory, MiB |" for p in profiles))
    print("|---|" + "---|---|---|" * len(profiles), flush=True)
    for path in sorted(Path(__file__).parent.glob("[0-9]*.ipynb")):
        if not chosen.only or any(path.name.startswith(name) for name in chosen.only):
            print(f"| {path.stem} |", end="", flush=True)
            for profile in profiles:
                use = measured(path, profile, data)
                print(f" {use.seconds:.0f} | {use.processor:.0f} | {use.memory:.0f} |", end="", flush=True)
            print(flush=True)


if __name__ == "__main__":
    main()
