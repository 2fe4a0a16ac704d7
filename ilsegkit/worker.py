"""A queue of requests and the one thread that serves them, in order: a session can be used from one thread at a time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["Request", "Worker", "WorkerDiedError"]

IDLE_SECONDS = 30.0  # the thread ends when nothing was asked of it for so long, and lets go of what it serves


class WorkerDiedError(RuntimeError):
    """The thread was ended from outside while it served a request."""


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
        Called with a list of requests, on the thread: one, or clicks by hand that came while another was served.
    on_error : callable
        Called with an exception that `serve` ended in, when nothing is at hand any more; what was asked for next is served
        all the same.
    name : str, optional
        Of the thread.

    Attributes
    ----------
    guard : threading.Condition
        Held for moments only: by the worker for its queue, and by its owner for what belongs together with the queue.
    stopping : threading.Event
        Set to ask `serve` to stop early; cleared before each request.
    retired : bool
        Whether it serves no more.

    Examples
    --------
    >>> served = []
    >>> worker = Worker(served.append, print)
    >>> worker.ask(Request("undo"))
    >>> worker.wait(5), served
    (True, [[Request(action='undo', value=None, seen=None)]])
    """

    def __init__(
        self,
        serve: Callable[[list[Request]], None],
        on_error: Callable[[Exception], None],
        name: str = "ilsegkit-worker",
    ) -> None:
        self._serve, self._on_error, self._name = serve, on_error, name
        self.guard = threading.Condition(threading.RLock())
        self.stopping = threading.Event()
        self.retired = False
        self._queue: deque[Request] = deque()
        self._current: list[Request] = []
        self._serving = False
        self._thread: threading.Thread | None = None

    def ask(self, request: Request) -> None:
        """Put a request at the end of the queue, and return at once."""
        with self.guard:
            if self.retired:
                return
            self._queue.append(request)
            self._start()
            self.guard.notify_all()

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()

    def waiting(self) -> list[Request]:
        """What has been asked for and has not been answered."""
        with self.guard:
            return [*self._current, *self._queue]

    def answered(self) -> None:
        """The request at hand is answered, though not yet all is done; called by `serve`, with the `guard`."""
        self._current = []

    def overtaken(self) -> bool:
        """Whether a newer request by hand makes it pointless to go on learning from the clicks by hand that are being served.

        Only requests by hand overtake each other. What code asks for must not depend on how fast the computer is.
        """
        with self.guard:
            if not self._current or self._current[0].seen is None or self._current[0].action != "click":
                return False
            newer = {request.action for request in self._queue if request.seen is not None}
        return not newer.isdisjoint(("click", "undo", "reset", "delete", "choose", "next"))

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

    def _take(self) -> list[Request]:
        """The next request; clicks by hand that follow each other are taken together, to cost one run of the model."""
        taken = [self._queue.popleft()]
        if taken[0].action == "click" and taken[0].seen is not None:
            while self._queue and self._queue[0][0::2] == taken[0][0::2]:  # the same action on the same photo
                taken.append(self._queue.popleft())
        return taken

    def _work(self) -> None:
        try:
            while True:
                with self.guard:
                    if not self.guard.wait_for(lambda: bool(self._queue) or self.retired, IDLE_SECONDS) or self.retired:
                        self._thread = None
                        return
                    self._current, self._serving = self._take(), True
                    self.stopping.clear()
                    requests = list(self._current)
                try:
                    self._serve(requests)
                except Exception as error:
                    self._fail(error)
                self._done()
        except BaseException as error:  # SystemExit and the like: say so, and let a new thread go on
            try:
                self._fail(WorkerDiedError(f"the model's thread died ({type(error).__name__}); a new one goes on"))
            finally:
                with self.guard:
                    self._thread = None
                    if self._queue and not self.retired:
                        self._start()
                    self._done()

    def _fail(self, error: Exception) -> None:
        with self.guard:
            self.answered()
        self._on_error(error)

    def _done(self) -> None:
        with self.guard:
            self._current, self._serving = [], False
            self.guard.notify_all()
