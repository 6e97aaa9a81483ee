"""Replica: a standby of PostgreSQL for reads that may be a moment behind.

What a replica does not know yet is looked up in the primary, and so is everything while the
replica is away or too far behind.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import URL, create_engine, event, make_url, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from ..errors import ConfigurationError
from ..settings import Settings
from .base import Base
from .engine import POOL_TIMEOUT
from .failure import DATABASE_ERRORS, Failure, failure_of
from .lookup import Lookup
from .new_connection import spare_poolers

M = TypeVar("M", bound=Base)

logger = logging.getLogger(__name__)

#: How often the lag is measured, and how soon a replica that was away is tried again (seconds).
_INTERVAL = 1
#: Seconds after which a replica that does not answer is away.
_CONNECT_TIMEOUT = 2
_DRIVERS = ("psycopg", "psycopg2")

_WRITTEN = text("SELECT pg_current_wal_lsn()::text, extract(epoch FROM clock_timestamp())::float")
_REPLAYED = text(
    "SELECT pg_is_in_recovery(), pg_last_wal_replay_lsn() >= CAST(:written AS pg_lsn), "
    "extract(epoch FROM pg_last_xact_replay_timestamp())::float"
)


@dataclass(frozen=True)
class Lag:
    """How far a replica is behind, or why it cannot be used."""

    #: None if it is not known.
    seconds: float | None
    #: Empty if the lag is known.
    problem: str = ""


def replica_of(settings: Settings, host: Callable[[], Engine]) -> Replica | None:
    """Return the replica of the settings, None if there is none; call it in the app context.

    Raises `ConfigurationError` unless it and the database of the host app are PostgreSQL.
    """
    uri = settings.read_engine_uri
    if uri is None:
        return None
    try:
        dialect = make_url(uri).get_backend_name()
    except ArgumentError:
        dialect = ""
    if {dialect, host().dialect.name} != {"postgresql"}:
        raise ConfigurationError(
            "PKCE_READ_ENGINE_URI is the URL of a replica of PostgreSQL, which the database of "
            "your app has to be too.",
            write='app.config["PKCE_READ_ENGINE_URI"] = "postgresql+psycopg://..."',
        )
    return Replica(uri, settings.read_engine_max_lag, host)


class Replica:
    """The replica at `uri`, used while it is at most `max_lag` seconds behind.

    `host` returns the engine of the host app: the connections are as many, and end with its own.
    """

    def __init__(self, uri: str, max_lag: int, host: Callable[[], Engine]) -> None:
        self.max_lag = max_lag
        self._url, self._host = make_url(uri), host
        self._engine: Engine | None = None
        self._lock = threading.Lock()
        #: When to look at the lag again, and until when the last look counts (seconds of the
        #: monotonic clock).
        self._next_look = self._fit_until = 0.0
        self._is_looking = self._is_away = False

    def find(self, lookup: Lookup[M], values: dict[str, Any], primary: Engine) -> M | None:
        """Return what `lookup` finds; None if that is nothing, or the replica is not used now."""
        if not self._may_be_used(primary):
            return None
        try:
            with self._own_engine().connect() as connection:
                return lookup.first(connection, **values)
        except PoolTimeout:
            return None
        except DBAPIError as error:
            # A query that stood in the way of the replication is no sign of a failure.
            if failure_of(error) is not Failure.BUSY:
                self._judge(Lag(None, _reason(error)), time.monotonic())
            return None

    def lag(self, primary: Engine) -> Lag:
        """Measure how far the replica is behind `primary`; raise the errors of `primary`."""
        with primary.connect() as connection:
            written, now = connection.execute(_WRITTEN).one()
        try:
            with self._own_engine().connect() as connection:
                row = connection.execute(_REPLAYED, {"written": written}).one()
        except DATABASE_ERRORS as error:
            return Lag(None, _reason(error))
        is_replica, has_all, replayed_at = row
        if not is_replica:
            return Lag(None, "it is not a replica")
        if has_all:
            return Lag(0.0)
        if replayed_at is None:
            return Lag(None, "it has replayed nothing yet")
        # Of the transactions that are missing, the oldest was committed after the last one that
        # is not. Both times are of the clock of the primary.
        return Lag(max(0.0, now - replayed_at))

    def problem_of(self, lag: Lag) -> str:
        """Return why a replica with this lag is not used, "" if it is."""
        if lag.seconds is not None and lag.seconds > self.max_lag:
            return f"it is more than {self.max_lag} seconds behind"
        return lag.problem

    def _may_be_used(self, primary: Engine) -> bool:
        """Return whether the replica was fit when last looked at, a moment ago."""
        now = time.monotonic()
        with self._lock:
            if now < self._next_look or self._is_looking:
                # Nobody waits for the look of another: a replica that hangs holds up one request.
                return now < self._fit_until
            self._is_looking = True
        try:
            self._judge(self.lag(primary), now)
        finally:
            self._is_looking = False
        return now < self._fit_until

    def _judge(self, lag: Lag, looked_at: float) -> None:
        """Take note of the `lag` at `looked_at`; log a change, and only that."""
        problem = self.problem_of(lag)
        with self._lock:
            self._next_look = time.monotonic() + _INTERVAL
            self._fit_until = 0.0 if problem else looked_at + 2 * _INTERVAL
            is_news, self._is_away = bool(problem) != self._is_away, bool(problem)
        if is_news and problem:
            logger.warning("the replica is not used, the primary answers instead: %s", problem)
        elif is_news:
            logger.warning("the replica is used again")

    def _own_engine(self) -> Engine:
        with self._lock:
            if self._engine is not None:
                return self._engine
            host = self._host()
            self._engine = engine = _new_engine(self._url, host)
        process, has_events = os.getpid(), host._has_events

        @event.listens_for(host, "engine_disposed")
        def follow(disposed: Engine) -> None:
            # After a fork, the connections belong to the parent process and must stay open.
            engine.dispose(close=os.getpid() == process)

        # Otherwise every statement of the host looks for its listeners.
        host._has_events = has_events
        return engine


def _new_engine(url: URL, host: Engine) -> Engine:
    """Return an engine that keeps as many connections as that of the host app."""
    has_timeout = url.get_driver_name() not in _DRIVERS or "connect_timeout" in url.query
    engine = create_engine(
        url,
        # Each statement for itself: there is nothing to commit.
        isolation_level="AUTOCOMMIT",
        pool_size=host.pool.size() if isinstance(host.pool, QueuePool) else 5,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT,
        connect_args={} if has_timeout else {"connect_timeout": _CONNECT_TIMEOUT},
    )
    spare_poolers(engine)
    return engine


def _reason(error: Exception) -> str:
    """Return the first line of what the driver says; the others may show values."""
    return str(getattr(error, "orig", None) or error).partition("\n")[0]
