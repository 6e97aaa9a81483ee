"""Fetch limit: other hosts, however slow, hold only a few threads of a process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from ..errors import TemporarilyUnavailable

#: Fetches of a process at the same time, and callers that wait for one or for their turn.
MAX_FETCHES, MAX_WAITING = 8, 5


class FetchLimit:
    """How many threads may be held by other hosts: those that fetch, and those that wait."""

    def __init__(self, fetches: int, waiting: int) -> None:
        self._fetches = threading.BoundedSemaphore(fetches)
        self._waiting = threading.BoundedSemaphore(waiting)

    def turn(self, seconds: float) -> AbstractContextManager[None]:
        """Hold one of the turns to fetch, as `held` holds a lock."""
        return self.held(self._fetches, seconds)

    @contextmanager
    def held(self, lock: threading.Lock | threading.Semaphore, seconds: float) -> Iterator[None]:
        """Hold `lock`, waiting for up to `seconds` if not too many callers wait already.

        Raises `TemporarilyUnavailable` if it cannot be had.
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


#: For hosts that strangers name. They share the threads of a process, so its apps share this.
STRANGERS = FetchLimit(MAX_FETCHES, MAX_WAITING)
