"""No more threads than the processor time that a container is given.

PyTorch takes a thread for each core that it sees. On Binder, a JupyterHub or in Docker that may be every core of a large
machine, while the container's quota is worth two: threads wait for each other by spinning, which uses the quota up, and the
system then stops them all until the next period.
"""

from __future__ import annotations

import os
from pathlib import Path

import torch

__all__ = ["cpu_quota", "fit_threads"]


def cpu_quota(groups: Path = Path("/sys/fs/cgroup")) -> float | None:
    """How many cores' worth of time Linux gives this container, by its control group; None for all there are.

    Parameters
    ----------
    groups : Path, optional
        Where the control groups are mounted; both versions of them are understood.
    """
    try:
        if (groups / "cpu.max").exists():
            quota, period = (groups / "cpu.max").read_text().split()
        else:
            quota, period = ((groups / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        cores = float(quota) / float(period)
    except (OSError, ValueError):  # there is none, or it says "max"
        return None
    return cores if cores > 0 else None  # -1 for no limit


def fit_threads(groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Have PyTorch take no more threads than the `cpu_quota` is worth; give how many it takes.

    What the user has chosen by ``OMP_NUM_THREADS`` stays.

    Examples
    --------
    >>> fit_threads() == torch.get_num_threads()
    True
    """
    quota = None if "OMP_NUM_THREADS" in os.environ else cpu_quota(groups)
    if quota is not None and torch.get_num_threads() > max(1, int(quota)):
        torch.set_num_threads(max(1, int(quota)))
    return torch.get_num_threads()
