"""One process at a time: whoever else wants the same file or folder is told, instead of both writing."""

from __future__ import annotations

import logging
from pathlib import Path

from filelock import FileLock, Timeout

from .errors import DataError

__all__ = ["locked"]

log = logging.getLogger(__name__)


def locked(path: Path, busy: str) -> FileLock:
    """A lock that is held, for the caller to release.

    Some network file systems know no locks, and some folders take no file; then the work goes on without, as before there
    were locks. If nothing can be written there at all, the work itself will tell.

    Parameters
    ----------
    path : Path
        The lock's own file.
    busy : str
        What to tell where another process holds it: what it does, and what the user can do.

    Raises
    ------
    DataError
        If another process holds it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lock = locked(Path(folder) / ".records.lock", "another evaluation is writing these records; wait for it")
    ...     lock.release()
    """
    # It stays there, and the next to want it may be another user; and another thread may release it.
    lock = FileLock(path, mode=0o666, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise DataError(f"{busy} (if none is at work, remove {str(path)!r})") from None
    except (OSError, NotImplementedError) as error:
        log.info("going on without a lock: %s", error)
    return lock
