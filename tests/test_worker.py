import threading
import time

import pytest

from ilsegkit.worker import Request, Worker, WorkerDiedError


@pytest.fixture
def work():
    """A worker whose requests are kept, and can be held."""

    class Work:
        def __init__(self):
            self.served, self.errors, self.held = [], [], threading.Event()
            self.held.set()
            self.begun = threading.Event()
            self.worker = Worker(self.serve, self.errors.append)

        def serve(self, requests):
            self.begun.set()
            self.held.wait(5)
            self.served.append(requests)
            for request in requests:
                if isinstance(request.value, BaseException):
                    raise request.value

        def hold(self):
            """Be busy with something."""
            self.begun.clear()
            self.held.clear()
            self.worker.ask(Request("busy"))
            assert self.begun.wait(5)

    work = Work()
    yield work
    work.held.set()
    work.worker.retire()


def clicks(*numbers, seen="photo"):
    return [Request("click", number, seen) for number in numbers]


def test_clicks_by_hand_that_follow_each_other_are_taken_together(work):
    work.hold()
    asked = [*clicks(1, 2), Request("undo", None, "photo"), *clicks(3), *clicks(4, 5, seen="other"), *clicks(6, 7, seen=None)]
    for request in asked:
        work.worker.ask(request)
    work.held.set()
    assert work.worker.wait(5)
    assert [[r.value for r in requests] for requests in work.served] == [[None], [1, 2], [None], [3], [4, 5], [6], [7]]


@pytest.mark.parametrize(
    ("newer", "expected"),
    [
        (Request("click", 2, "photo"), True),
        (Request("undo", None, "photo"), True),
        (Request("finish", None, "photo"), False),  # which wants the click to be learned from
        (Request("threshold", 0.6, "photo"), False),
        (Request("click", 2), False),  # by code
    ],
)
def test_what_overtakes_a_click_by_hand(work, newer, expected):
    work.begun.clear()
    work.held.clear()
    work.worker.ask(Request("click", 1, "photo"))
    assert work.begun.wait(5)
    assert not work.worker.overtaken()
    work.worker.ask(newer)
    assert work.worker.overtaken() is expected


def test_an_exception_ends_nothing(work):
    error = ValueError("x")
    work.worker.ask(Request("a", error))
    work.worker.ask(Request("b"))
    assert work.worker.wait(5)
    assert work.errors == [error]
    assert len(work.served) == 2


@pytest.mark.parametrize("death", [SystemExit(), KeyboardInterrupt(), GeneratorExit()])
def test_a_worker_that_dies_says_so_and_starts_again(work, death):
    work.hold()
    work.worker.ask(Request("a", death))
    work.worker.ask(Request("b"))
    work.held.set()
    deadline = time.monotonic() + 5
    while len(work.served) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [r.action for requests in work.served for r in requests] == ["busy", "a", "b"]
    assert work.worker.wait(5)
    [error] = work.errors
    assert isinstance(error, WorkerDiedError)
    assert type(death).__name__ in str(error)
    work.worker.ask(Request("c"))
    assert work.worker.wait(5)
    assert work.served[-1] == [Request("c")]


def test_a_thread_that_is_simply_gone_is_replaced(work):
    gone = threading.Thread(target=lambda: None)
    gone.start()
    gone.join()
    work.worker._thread = gone
    work.worker.ask(Request("a"))
    assert work.worker.wait(5)
    assert work.served == [[Request("a")]]


def test_retiring_forgets_what_was_asked(work):
    work.hold()
    work.worker.ask(Request("a"))
    work.worker.retire()
    work.held.set()
    assert work.worker.wait(5)
    work.worker.ask(Request("b"))
    assert work.worker.wait(5)
    assert work.served == [[Request("busy")]]


def test_the_thread_leaves_when_idle_and_comes_back(work, monkeypatch):
    monkeypatch.setattr("ilsegkit.worker.IDLE_SECONDS", 0.01)
    work.worker.ask(Request("a"))
    deadline = time.monotonic() + 5
    while work.worker._thread is not None and time.monotonic() < deadline:
        time.sleep(0.005)
    assert work.worker._thread is None
    work.worker.ask(Request("b"))
    assert work.worker.wait(5)
    assert len(work.served) == 2
