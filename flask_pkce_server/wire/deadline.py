"""Deadline: an overall time limit for work that waits several times."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ..errors import TemporarilyUnavailable

#: Concurrent name lookups; a lookup that hangs keeps its slot after its caller gave up.
_lookups = threading.BoundedSemaphore(32)


class Deadline:
    """A time limit in seconds, shared by all waits of one fetch."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds left; raises `TimeoutError` if there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("out of time")
        return left

    def run(self, work: Callable[[], list[str]]) -> list[str]:
        """Return the result of `work`, such as a name lookup, which has no timeout itself.

        Raises `TimeoutError`, or the `OSError` or `ValueError` that `work` raises. Raises
        `TemporarilyUnavailable` at once if too many lookups of others hang.
        """
        done: list[list[str]] = []
        failed: list[OSError | ValueError] = []
        if not _lookups.acquire(blocking=False):
            raise TemporarilyUnavailable

        def run() -> None:
            try:
                done.append(work())
            except (OSError, ValueError) as error:
                failed.append(error)
            finally:
                _lookups.release()

        thread = threading.Thread(target=run, name="resolver", daemon=True)
        thread.start()
        thread.join(self.left())
        if failed:
            raise failed[0]
        if not done:
            raise TimeoutError("out of time")
        return done[0]
