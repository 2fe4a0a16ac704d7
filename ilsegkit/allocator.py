"""Memory that a click has used is kept for the next one, and given back after what needs more; where the C library is glibc.

As it is set, glibc gives back to the system much of what a pass through the network frees, and the next pass gets it again page
by page: a good part of the time of a click (the rows "glibc's own settings" of ``benchmarks/speed.py``). That is so in the main
thread, of scripts and evaluations; on a thread such as the widget's it keeps memory anyhow. Yet of what a learning step of all
parameters has used, it keeps hundreds of megabytes.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable

__all__ = ["give_back_memory", "keep_memory"]

# Of glibc's malloc.h; the values are bytes.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
KEPT = 256 * 2**20  # more than this at the end of the heap goes back to the system
LARGEST = 32 * 2**20  # larger blocks go back at once; glibc takes no larger value


def _function(name: str) -> Callable[..., int] | None:
    """A function of glibc; other C libraries, musl too, have none of these."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


def keep_memory() -> bool:
    """Make this process keep memory that it frees; give whether it does.

    It does not on other systems, and where the user has set up malloc (``MALLOC_*`` or ``GLIBC_TUNABLES`` in the environment).

    Examples
    --------
    >>> keep_memory() == keep_memory()
    True
    """
    chosen_by_user = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
    mallopt = _function("mallopt")
    if mallopt is None or chosen_by_user:
        return False
    return bool(mallopt(_M_TRIM_THRESHOLD, KEPT) and mallopt(_M_MMAP_THRESHOLD, LARGEST))


def give_back_memory() -> None:
    """Give all that is free back to the system: tens of milliseconds."""
    if (malloc_trim := _function("malloc_trim")) is not None:
        malloc_trim(0)
