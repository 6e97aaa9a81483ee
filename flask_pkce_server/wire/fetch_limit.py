"""Fetch limit: slow hosts can hold only a few threads of a process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from ..errors import TemporarilyUnavailable

#: Concurrent fetches of a process, and callers that wait for one or for their turn.
MAX_FETCHES, MAX_WAITING = 8, 5


class FetchLimit:
    """A limit on the threads that other hosts can hold: `fetches` fetch, `waiting` wait."""

    def __init__(self, fetches: int, waiting: int) -> None:
        self._fetches = threading.BoundedSemaphore(fetches)
        self._waiting = threading.BoundedSemaphore(waiting)

    def turn(self, seconds: float) -> AbstractContextManager[None]:
        """Hold one of the turns to fetch, waiting for up to `seconds` (see `held`)."""
        return self.held(self._fetches, seconds)

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
