"""Fetches: measures how long documents and keys of clients take to be fetched."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ...errors import TemporarilyUnavailable
from ...wire.fetch import Document, Fetcher, FetchError
from . import instruments


@dataclass(frozen=True)
class _TimedFetcher(Fetcher):
    """A fetcher that measures."""

    def get_document(self, uri: str) -> Document:
        facts: dict[str, str] = {}
        started = time.perf_counter()
        try:
            return super().get_document(uri)
        except FetchError:
            facts[instruments.ERROR] = "failed"
            raise
        except TemporarilyUnavailable:
            facts[instruments.ERROR] = "too_many"
            raise
        finally:
            instruments.fetch_duration.record(time.perf_counter() - started, facts)


def timed(fetcher: Fetcher) -> Fetcher:
    """Return a fetcher that works as `fetcher` does, and measures."""
    return _TimedFetcher(**vars(fetcher))
