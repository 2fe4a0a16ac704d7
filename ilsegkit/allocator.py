"""Memory that a click has used is kept for the next one, and given back after what needs more; where the C library is glibc.

As it is set, glibc gives back to the system much of what a pass through the network frees, and the next pass gets it again page
by page: a good part of the time of a click (the rows "glibc's own settings" of ``benchmarks/speed.py``). That is so in the main
thread, of scripts and evaluations; on a thread such as the widget's it keeps memory anyhow. Yet of what a learning step of all
parameters has used, it keeps hundreds of megabytes.

It keeps no block of more than 32 MB, which the first feature maps are from a working size of 1024 px on; `keeping_large_blocks`
lets it, for the network alone: the copies of a large photo are better given back.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["give_back_memory", "keep_memory", "keeping_large_blocks"]

# Of glibc's malloc.h; the values are bytes.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4
_MMAP_MAX = 65536  # as glibc is set: so many large blocks at a time are the system's own
KEPT = 256 * 2**20  # more than this at the end of the heap goes back to the system
LARGEST = 32 * 2**20  # larger blocks go back at once; glibc takes no larger value


def _function(name: str) -> Callable[..., int] | None:
    """A function of glibc; other C libraries, musl too, have none of these."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


def _mallopt() -> Callable[..., int] | None:
    """The function that sets up malloc, unless the user has done so."""
    chosen_by_user = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
    return None if chosen_by_user else _function("mallopt")


def keep_memory() -> bool:
    """Make this process keep memory that it frees; give whether it does.

    It does not on other systems, and where the user has set up malloc (``MALLOC_*`` or ``GLIBC_TUNABLES`` in the environment).

    Examples
    --------
    >>> keep_memory() == keep_memory()
    True
    """
    mallopt = _mallopt()
    return mallopt is not None and bool(mallopt(_M_TRIM_THRESHOLD, KEPT) and mallopt(_M_MMAP_THRESHOLD, LARGEST))


@contextmanager
def keeping_large_blocks() -> Iterator[None]:
    """Of what is asked for while this lasts, glibc keeps blocks of any size, where `keep_memory` works.

    Examples
    --------
    >>> with keeping_large_blocks():
    ...     block = bytearray(64 * 2**20)
    """
    if (mallopt := _mallopt()) is None:
        yield
        return
    mallopt(_M_MMAP_MAX, 0)
    try:
        yield
    finally:
        mallopt(_M_MMAP_MAX, _MMAP_MAX)


def give_back_memory() -> None:
    """Give all that is free back to the system: tens of milliseconds."""
    if (malloc_trim := _function("malloc_trim")) is not None:
        malloc_trim(0)
