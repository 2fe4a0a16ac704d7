"""How long a notebook takes, and how much memory its kernel."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
from nbclient import NotebookClient


@dataclass
class Use:
    """Seconds from start to end, and the most memory (resident, in MiB) of the kernel and the processes it started."""

    seconds: float = 0.0
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
                resident = sum(p.memory_info().rss for p in (kernel, *kernel.children(recursive=True)))
            except psutil.Error:  # it has just ended
                continue
            use.memory = max(use.memory, resident / 2**20)

    watcher = threading.Thread(target=watch, daemon=True)
    began = time.monotonic()
    watcher.start()
    try:
        yield use
    finally:
        over.set()
        watcher.join()
        use.seconds = time.monotonic() - began
