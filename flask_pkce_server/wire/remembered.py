"""Remembered: documents of other hosts, each fetched once however many callers want it.

A document is fresh until a time that it comes with, and stale for some time after that: then
it is fetched again, and still used if that fails. After each fetch its host is left in peace
for a pause. Slow hosts hold a few threads of the process at most, whoever names them.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ..errors import TemporarilyUnavailable
from .fetch_limit import STRANGERS, FetchLimit

T = TypeVar("T")

#: Documents that are remembered; whoever makes up URLs gets no more memory than that.
MAX_DOCUMENTS = 500
#: Seconds to wait for a fetch that is under way, and for a turn to fetch.
_MAX_WAIT_SECONDS, _MAX_TURN_SECONDS = 10, 2


@dataclass(frozen=True)
class Fetched(Generic[T]):
    """A document, and when it has to be fetched again (epoch seconds)."""

    document: T
    fresh_until: float


@dataclass
class _Entry(Generic[T]):
    """What is known of the document at one URL."""

    fetched: Fetched[T] | None = None
    #: When its host was last asked (epoch seconds).
    asked_at: float = -math.inf
    #: Held by the thread that fetches it.
    lock: threading.Lock = field(default_factory=threading.Lock)


class Remembered(Generic[T]):
    """The documents that were fetched of late, by their URLs.

    A document is used for `stale` seconds after it was fresh, and its host is asked at most
    once in `pause` seconds. `limit` is shared by all who fetch at the expense of one another.
    """

    def __init__(self, *, stale: float, pause: float, limit: FetchLimit = STRANGERS) -> None:
        self._stale, self._pause, self._limit = stale, pause, limit
        self._entries: OrderedDict[str, _Entry[T]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def find_fresh(self, url: str, now: float) -> T | None:
        """Return the document at `url` if it is fresh at `now` (epoch seconds); never wait."""
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

        Times are epoch seconds. `fetch` returns None if the document cannot be had. `again`
        fetches a fresh one too, for a caller that finds in it not what it looks for.
        `copy_fresh_until` tells how old the caller's own copy is: only a caller with neither
        a usable copy nor a usable document waits for others, and for it alone `admit` is
        called before the fetch, and may raise.

        Returns None if there is no usable document. Raises `TemporarilyUnavailable` if the
        caller would have to wait for longer, or too many wait already; whether there is such
        a document is not known then.
        """
        entry = self._entry(url)
        if now < copy_fresh_until or (not again and self._is_fresh(entry, now)):
            return self._usable(entry, now)
        if self._rests(entry, now) and not entry.lock.locked():
            return self._usable(entry, now)
        has_copy = now < copy_fresh_until + self._stale
        can_do_without = not again and (has_copy or self._usable(entry, now) is not None)
        try:
            with self._limit.held(entry.lock, 0 if can_do_without else _MAX_WAIT_SECONDS):
                # Another thread may have fetched it meanwhile.
                if (again or not self._is_fresh(entry, now)) and not self._rests(entry, now):
                    if admit is not None and not can_do_without:
                        admit()
                    with self._limit.turn(0 if can_do_without else _MAX_TURN_SECONDS):
                        # Set first: a fetch that raises is not repeated at once either.
                        entry.asked_at = now
                        entry.fetched = fetch() or entry.fetched
        except TemporarilyUnavailable:
            if not can_do_without:
                raise
        return self._usable(entry, now)

    def _is_fresh(self, entry: _Entry[T], now: float) -> bool:
        # A clock that was set back must not keep it fresh for longer.
        is_clock_right = now > entry.asked_at - self._pause
        return entry.fetched is not None and now < entry.fetched.fresh_until and is_clock_right

    def _rests(self, entry: _Entry[T], now: float) -> bool:
        # A caller that waited brings an earlier time than the one that fetched.
        return abs(now - entry.asked_at) < self._pause

    def _usable(self, entry: _Entry[T], now: float) -> T | None:
        fetched = entry.fetched
        if fetched is None or now >= fetched.fresh_until + self._stale:
            return None
        return fetched.document

    def _entry(self, url: str) -> _Entry[T]:
        """Return what is known of `url`; what is least useful makes room for a new one."""
        with self._lock:
            entry = self._entries.setdefault(url, _Entry())
            self._entries.move_to_end(url)
            if len(self._entries) > MAX_DOCUMENTS:
                del self._entries[self._least_useful(url)]
            return entry

    def _least_useful(self, newest: str) -> str:
        """Return the URL that was not used for longest, of those without a document if any.

        Made-up URLs push out no document that way.
        """
        for url, entry in self._entries.items():
            if entry.fetched is None and url != newest and not entry.lock.locked():
                return url
        return next(iter(self._entries))
