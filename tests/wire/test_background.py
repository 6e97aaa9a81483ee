"""Background: few threads do what requests leave behind, and whatever happens they go on."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from flask_pkce_server.wire.background import Background

NAME = "background of a test"
#: Seconds after which a test fails rather than hang.
DEADLINE = 20


@pytest.fixture
def background() -> Iterator[Background]:
    yield Background(NAME, threads=2, most=3)
    wait()


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == NAME]


def wait() -> None:
    for thread in threads():
        thread.join(DEADLINE)
    assert threads() == []


def steps(done: list[object], *pauses: float) -> Iterator[float]:
    for pause in pauses:
        done.append(pause)
        yield pause
    done.append(None)


def hanging(gate: threading.Event, begun: threading.Semaphore) -> Iterator[float]:
    begun.release()
    assert gate.wait(DEADLINE)
    yield from ()


def test_steps_are_done_one_after_the_other(background: Background) -> None:
    done: list[object] = []
    assert background.add("a", steps(done, 0, 0.01, 0))
    wait()
    assert done == [0, 0.01, 0, None]


def test_what_has_to_wait_holds_up_nothing(background: Background) -> None:
    done: list[object] = []
    assert background.add("a", steps(done, 0.3))
    assert background.add("b", steps(done))
    assert background.add("a", steps(done))
    wait()
    assert done in ([0.3, None, None, None], [None, 0.3, None, None])


def test_threads_and_queue_are_bounded(background: Background) -> None:
    gate, begun = threading.Event(), threading.Semaphore(0)
    added = [background.add(name, hanging(gate, begun)) for name in "ab"]
    assert all(begun.acquire(timeout=DEADLINE) for _ in added)
    added += [background.add(name, hanging(gate, begun)) for name in "cdef"]
    assert added == [True] * 5 + [False]
    assert len(threads()) == 2
    assert all(thread.daemon for thread in threads())
    gate.set()
    wait()
    done: list[object] = []
    assert background.add("a", steps(done))
    wait()
    assert done == [None]


def test_an_error_ends_that_work_alone(
    background: Background, caplog: pytest.LogCaptureFixture
) -> None:
    def wrong() -> Iterator[float]:
        raise ValueError("all is lost")
        yield 0

    done: list[object] = []
    assert background.add("a", wrong())
    assert background.add("a", steps(done))
    wait()
    assert done == [None]
    assert "all is lost" in caplog.text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_does_its_own_work_and_not_that_of_its_parent() -> None:
    background = Background(NAME, threads=1, most=9)
    gate, begun = threading.Event(), threading.Semaphore(0)
    assert background.add("a", hanging(gate, begun))
    assert begun.acquire(timeout=DEADLINE)
    queued: list[object] = []
    assert background.add("b", steps(queued))
    child = os.fork()
    if child == 0:
        own: list[object] = []
        background.add("c", steps(own))
        for thread in threads():
            thread.join(5)
        os._exit(0 if own == [None] and queued == [] else 1)
    assert os.waitpid(child, 0)[1] == 0
    gate.set()
    wait()
    assert queued == [None]
