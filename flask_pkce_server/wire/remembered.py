"""Remembered: documents of other hosts, each fetched once for any number of callers.

A document is fresh until its `fresh_until`, and stale for some time after that: a stale
document is fetched again, but still used if that fails. After each fetch, it is not asked for
again during a pause, which gets longer with each slow failure. Slow hosts can hold only a few
threads of the process.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ..errors import TemporarilyUnavailable
from .fetch_limit import STRANGERS, FetchLimit

T = TypeVar("T")

#: Documents that are remembered: invented URLs must not use up the memory.
MAX_DOCUMENTS = 500
#: Seconds after which a fetch that fails is a slow one, and the longest pause after those.
_SLOW_SECONDS, _MAX_PAUSE_SECONDS = 2, 3600


@dataclass(frozen=True)
class Fetched(Generic[T]):
    """A document, and when it has to be fetched again (epoch seconds)."""

    document: T
    fresh_until: float


@dataclass
class _Entry(Generic[T]):
    """The state of the document at one URL."""

    #: Seconds until its host is asked again. By URL and not by host: who knows a slow page of
    #: a host must not hold up its other documents.
    pause: float
    fetched: Fetched[T] | None = None
    #: When its host was last asked (epoch seconds).
    asked_at: float = -math.inf
    #: Held by the thread that fetches the document.
    lock: threading.Lock = field(default_factory=threading.Lock)


class Remembered(Generic[T]):
    """The recently fetched documents, by their URLs.

    A document is used for `stale` seconds after `fresh_until`, and fetched at most once in
    `pause` seconds, or in up to `max_pause` seconds if it fails slowly. `limit` may be shared
    with other instances.
    """

    def __init__(
        self,
        *,
        stale: float,
        pause: float,
        max_pause: float = _MAX_PAUSE_SECONDS,
        limit: FetchLimit = STRANGERS,
    ) -> None:
        self._stale, self._pause, self._limit = stale, pause, limit
        self._max_pause = max_pause
        self._entries: OrderedDict[str, _Entry[T]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def find_fresh(self, url: str, now: float) -> T | None:
        """Return the document at `url` if it is fresh at `now` (epoch seconds), without waiting."""
        entry = self._entries.get(url)
        return self._usable(entry, now) if entry and self._is_fresh(entry, now) else None

    def find(
        self,
        url: str,
        now: float,
        fetch: Callable[[], Fetched[T] | None],
        *,
        again: bool = False,
        copy_fresh_until: float = -math.inf,
        admit: Callable[[], None] | None = None,
    ) -> T | None:
        """Return the document at `url`, fetching it unless it is fresh at `now`.

        Times are epoch seconds. `fetch` returns None if the document is unavailable. `again`
        fetches even a fresh document, for a caller that misses something in it.
        `copy_fresh_until` is the freshness of the caller's own copy. Only a caller with neither
        a usable copy nor a usable document waits for others. `admit` is called before a fetch
        and may raise `TooManyRequests`: nothing is fetched then.

        Returns None if there is no usable document. Raises `TemporarilyUnavailable` to a caller
        with nothing if it is not admitted, would have to wait too long, or too many callers
        wait already: then it is unknown whether there is a document.
        """
        entry = self._entry(url)
        if now < copy_fresh_until or (not again and self._is_fresh(entry, now)):
            return self._usable(entry, now)
        if self._rests(entry, now) and not entry.lock.locked():
            return self._usable(entry, now)
        has_copy = now < copy_fresh_until + self._stale
        can_do_without = not again and (has_copy or self._usable(entry, now) is not None)
        patience = 0 if can_do_without else self._limit.seconds
        ends_at = time.monotonic() + patience
        try:
            with self._limit.held(entry.lock, patience):
                # Another thread may have fetched it meanwhile.
                if (again or not self._is_fresh(entry, now)) and not self._rests(entry, now):
                    with self._limit.turn(ends_at - time.monotonic()):
                        if admit is not None:
                            admit()
                        self._ask(entry, now, fetch)
        except TemporarilyUnavailable:
            if not can_do_without:
                raise
        return self._usable(entry, now)

    def _ask(self, entry: _Entry[T], now: float, fetch: Callable[[], Fetched[T] | None]) -> None:
        before, began = entry.asked_at, time.monotonic()
        # Set before the fetch, so that a fetch that raises is not repeated at once.
        entry.asked_at = now
        try:
            fetched = fetch()
        except TemporarilyUnavailable:
            entry.asked_at = before
            raise
        is_slow = time.monotonic() - began >= _SLOW_SECONDS
        is_worse = is_slow and fetched is None
        entry.pause = min(entry.pause * 2, self._max_pause) if is_worse else self._pause
        entry.fetched = fetched or entry.fetched

    def _is_fresh(self, entry: _Entry[T], now: float) -> bool:
        # If the clock was set back, the document must not stay fresh for longer.
        is_clock_right = now > entry.asked_at - self._pause
        return entry.fetched is not None and now < entry.fetched.fresh_until and is_clock_right

    def _rests(self, entry: _Entry[T], now: float) -> bool:
        # The `now` of a caller that waited is earlier than that of the caller that fetched.
        return abs(now - entry.asked_at) < entry.pause

    def _usable(self, entry: _Entry[T], now: float) -> T | None:
        fetched = entry.fetched
        if fetched is None or now >= fetched.fresh_until + self._stale:
            return None
        return fetched.document

    def _entry(self, url: str) -> _Entry[T]:
        """Return the entry of `url`; if it is one too many, drop the least useful entry."""
        with self._lock:
            entry = self._entries.setdefault(url, _Entry(self._pause))
            self._entries.move_to_end(url)
            if len(self._entries) > MAX_DOCUMENTS:
                del self._entries[self._least_useful(url)]
            return entry

    def _least_useful(self, newest: str) -> str:
        """Return the least recently used URL without a document; if there is none, of all.

        This way, invented URLs do not displace documents.
        """
        for url, entry in self._entries.items():
            if entry.fetched is None and url != newest and not entry.lock.locked():
                return url
        return next(iter(self._entries))
