"""Deadline: the end of a piece of work, whatever it waits for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

#: Names that are looked up at once; one that hangs goes on when nobody waits for it any more.
_lookups = threading.BoundedSemaphore(32)


class Deadline:
    """The end of a fetch; each wait before it is as long as what is left."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("out of time")
        return left

    def run(self, work: Callable[[], list[str]]) -> list[str]:
        """Return what `work` returns, if it does in time: a resolver knows no timeout."""
        done: list[list[str]] = []
        failed: list[OSError | ValueError] = []
        if not _lookups.acquire(timeout=self.left()):
            raise TimeoutError("out of time")

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
