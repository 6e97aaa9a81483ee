"""Fetch limit: slow hosts can hold only a few threads of a process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import TemporarilyUnavailable

#: Concurrent fetches of a process; callers that wait for one or for their turn, and for how
#: many seconds. Together fewer than the threads that a worker usually has.
MAX_FETCHES, MAX_WAITING, MAX_WAIT_SECONDS = 4, 2, 1


class FetchLimit:
    """A limit on the threads that other hosts can hold: `fetches` fetch, `waiting` wait.

    A caller waits for up to `seconds`.
    """

    def __init__(self, fetches: int, waiting: int, seconds: float = MAX_WAIT_SECONDS) -> None:
        self.seconds = seconds
        self._fetches = threading.BoundedSemaphore(fetches)
        self._waiting = threading.BoundedSemaphore(waiting)
        self._of_thread = threading.local()

    @contextmanager
    def turn(self, seconds: float) -> Iterator[None]:
        """Hold one of the turns to fetch, waiting for up to `seconds` (see `held`).

        A thread that has a turn already keeps that one.
        """
        if getattr(self._of_thread, "has_turn", False):
            yield
            return
        with self.held(self._fetches, seconds):
            self._of_thread.has_turn = True
            try:
                yield
            finally:
                self._of_thread.has_turn = False

    @contextmanager
    def held(self, lock: threading.Lock | threading.Semaphore, seconds: float) -> Iterator[None]:
        """Hold `lock`, waiting for up to `seconds` unless too many callers wait already.

        Raises `TemporarilyUnavailable` if the lock cannot be acquired.
        """
        if not lock.acquire(blocking=False):
            if seconds <= 0 or not self._waiting.acquire(blocking=False):
                raise TemporarilyUnavailable
            try:
                if not lock.acquire(timeout=seconds):
                    raise TemporarilyUnavailable
            finally:
                self._waiting.release()
        try:
            yield
        finally:
            lock.release()


#: For hosts that strangers name. All apps of a process share its threads, and so this limit.
STRANGERS = FetchLimit(MAX_FETCHES, MAX_WAITING)
