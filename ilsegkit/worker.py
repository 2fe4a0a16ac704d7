"""A queue of requests and the one thread that serves them, in order: a session can be used from one thread at a time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["Request", "Worker"]

IDLE_SECONDS = 30.0  # the thread ends when nothing was asked of it for so long, and lets go of what it serves


class Request(NamedTuple):
    """Something to be done. From the page it carries the name of the photo that was seen there; from code, None."""

    action: str
    value: Any = None
    seen: str | None = None


class Worker:
    """Serves requests on a daemon thread, which comes and goes as needed.

    Parameters
    ----------
    serve : callable
        Called with each `Request`, on the thread.
    on_error : callable
        Called with an exception that `serve` ended in; the next request is served all the same.

    Attributes
    ----------
    guard : threading.Condition
        Held for moments only: by the worker for its queue, and by its owner for what belongs together with the queue.
    stopping : threading.Event
        Set to ask `serve` to stop early; cleared before each request.
    retired : bool
        Whether it serves no more.
    """

    def __init__(self, serve: Callable[[Request], None], on_error: Callable[[Exception], None]) -> None:
        self._serve, self._on_error = serve, on_error
        self.guard = threading.Condition(threading.RLock())
        self.stopping = threading.Event()
        self.retired = False
        self._queue: deque[Request] = deque()
        self._current: Request | None = None
        self._serving = False
        self._thread: threading.Thread | None = None

    def ask(self, request: Request) -> None:
        """Put a request at the end of the queue, and return at once."""
        with self.guard:
            if self.retired:
                return
            self._queue.append(request)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="ilsegkit-worker", daemon=True)
                self._thread.start()
            self.guard.notify_all()

    def waiting(self) -> list[Request]:
        """What has been asked for and has not been answered."""
        with self.guard:
            return [*([self._current] if self._current else []), *self._queue]

    def answered(self) -> None:
        """The request at hand is answered, though not yet all is done; called by `serve`, with the `guard`."""
        self._current = None

    def overtaken(self) -> bool:
        """Whether a newer request by hand makes it pointless to go on learning from the click by hand that is being served.

        Only requests by hand overtake each other. What code asks for must not depend on how fast the computer is.
        """
        by_hand = [request.action for request in self.waiting() if request.seen is not None]
        return by_hand[:1] == ["click"] and not {"click", "undo", "reset", "choose"}.isdisjoint(by_hand[1:])

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until everything is done; give False if it is not after `timeout` seconds."""
        with self.guard:
            return self.guard.wait_for(lambda: not self._queue and not self._serving, timeout)

    def retire(self) -> None:
        """Stop what is being done, forget what was asked for, and serve no more."""
        with self.guard:
            self.retired = True
            self._queue.clear()
            self.stopping.set()
            self.guard.notify_all()

    def is_this_thread(self) -> bool:
        """Whether it is the worker that asks."""
        return threading.current_thread() is self._thread

    def _work(self) -> None:
        while True:
            with self.guard:
                if not self.guard.wait_for(lambda: bool(self._queue) or self.retired, IDLE_SECONDS) or self.retired:
                    self._thread = None
                    return
                self._current, self._serving = self._queue.popleft(), True
                self.stopping.clear()
                request = self._current
            try:
                self._serve(request)
            except Exception as error:
                self._on_error(error)
            finally:
                with self.guard:
                    self._current, self._serving = None, False
                    self.guard.notify_all()
