"""Background: work that requests leave behind, done by few threads from a bounded queue."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class _Work:
    """Steps for one recipient; the next one is due at `due_at` (monotonic seconds)."""

    recipient: str
    steps: Iterator[float]
    due_at: float


class Background:
    """A queue of `most` pieces of work, done by up to `threads` daemon threads.

    The threads end when nothing is left, and with the process: its exit waits for nothing. Of
    the work for one recipient, one piece is done at a time, so that a recipient that hangs
    holds up only itself.
    """

    def __init__(self, name: str, *, threads: int, most: int) -> None:
        self._name, self._max_threads, self._most = name, threads, most
        self._reset()

    def _reset(self) -> None:
        self._process = os.getpid()
        self._changed = threading.Condition()
        self._queue: list[_Work] = []
        self._busy: set[str] = set()
        self._threads = 0

    def add(self, recipient: str, steps: Iterator[float]) -> bool:
        """Queue work for `recipient`; return False, and do nothing, if the queue is full.

        Each item of `steps` does one step and yields the seconds until the next one.
        """
        if self._process != os.getpid():
            # A fork: the threads, and so the queue, are those of the parent process.
            self._reset()
        with self._changed:
            if len(self._queue) >= self._most:
                return False
            self._queue.append(_Work(recipient, steps, time.monotonic()))
            self._changed.notify()
            if self._threads < self._max_threads:
                self._threads += 1
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
        return True

    def _run(self) -> None:
        while (work := self._take()) is not None:
            try:
                pause = next(work.steps, None)
            except Exception:
                logger.exception("%s: an unexpected error", self._name)
                pause = None
            with self._changed:
                self._busy.discard(work.recipient)
                if pause is not None:
                    work.due_at = time.monotonic() + pause
                    self._queue.append(work)
                self._changed.notify_all()

    def _take(self) -> _Work | None:
        """Wait for the next work that is due and return it; None if nothing is queued."""
        with self._changed:
            while self._queue:
                free = [work for work in self._queue if work.recipient not in self._busy]
                first = min(free, key=lambda work: work.due_at, default=None)
                pause = None if first is None else first.due_at - time.monotonic()
                if first is None or pause is None or pause > 0:
                    self._changed.wait(pause)
                    continue
                self._queue.remove(first)
                self._busy.add(first.recipient)
                return first
            self._threads -= 1
            return None
