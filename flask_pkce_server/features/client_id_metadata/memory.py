"""Memory: the documents that were fetched of late, each once however many ask for it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from ...errors import TemporarilyUnavailable
from ...http.rate_limit import RateLimit
from ...models.client_document import STALE, Description
from ...protocol.contract import Server

#: Documents that one asks for, of clients that no user ever let in.
NEW_DOCUMENTS = RateLimit("client_document", 20)

#: Documents that are remembered; whoever makes up URLs gets no more memory than that.
MOST = 500
#: Fetches of a process at the same time.
MOST_AT_ONCE = 8
#: Seconds between two tries to get the same document.
PAUSE = 60
#: Seconds to wait for another who fetches the same one, and for one's turn.
_PATIENCE, _TURN = 10, 2


@dataclass
class _Known:
    """What is known of one document in this process."""

    description: Description | None = None
    #: When it was last asked for in vain (epoch seconds).
    failed_at: int | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_empty(self) -> bool:
        """Whether there is no document, and nobody is asking for it."""
        return self.description is None and not self.lock.locked()


class Memory:
    """Remembers documents, and gets those whose life is over by `fetch`."""

    def __init__(self, fetch: Callable[[Server, str, int], Description | None]) -> None:
        self._fetch = fetch
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(MOST_AT_ONCE)

    def __len__(self) -> int:
        return len(self._known)

    def find(
        self, server: Server, url: str, now: int, fresh_until: int | None
    ) -> Description | None:
        """Return what is known of the document at `url`, asking for it if that is too old.

        `fresh_until` is of the copy that the caller has, None if there is none. It, or what
        is returned, may be over: then the document is not to be had, or another thread is
        asking for it. Raises `TooManyRequests` if whoever asks named too many new ones, and
        `TemporarilyUnavailable` if it could not be asked for and there is nothing else: that
        says nothing of the client, which SDKs would forget if it were unknown.
        """
        known = self._of(url)
        best = _later(fresh_until, known.description)
        if best is not None and now < best:
            return known.description
        may_wait = best is None or now >= best + STALE
        # Who has nothing else waits for who asks, and then has the answer too.
        if not known.lock.acquire(timeout=_PATIENCE if may_wait else 0):
            if may_wait:
                raise TemporarilyUnavailable
            return known.description
        try:
            best = _later(None, known.description)
            rests = known.failed_at is not None and now - known.failed_at < PAUSE
            if (best is None or now >= best) and not rests:
                if may_wait and fresh_until is None:
                    NEW_DOCUMENTS.take(server)
                self._ask(server, url, known, now, _TURN if may_wait else 0)
            return known.description
        finally:
            known.lock.release()

    def _ask(self, server: Server, url: str, known: _Known, now: int, turn: float) -> None:
        if not self._turns.acquire(timeout=turn):
            if turn:
                raise TemporarilyUnavailable
            return
        try:
            found = self._fetch(server, url, now)
        finally:
            self._turns.release()
        if found is None:
            known.failed_at = now
        else:
            known.description, known.failed_at = found, None

    def _of(self, url: str) -> _Known:
        with self._lock:
            known = self._known.setdefault(url, _Known())
            self._known.move_to_end(url)
            if len(self._known) > MOST:
                # First one that has no document: made-up URLs push out none that has.
                empty = (one for one, its in self._known.items() if its.is_empty and one != url)
                del self._known[next(empty, next(iter(self._known)))]
            return known


def _later(fresh_until: int | None, description: Description | None) -> int | None:
    ends = (fresh_until, None if description is None else description.fresh_until)
    return max((end for end in ends if end is not None), default=None)
