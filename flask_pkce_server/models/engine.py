"""Engine: the connections of this package to the host app's database.

While a request is answered, the host's session keeps the connection on which it read the user.
If our units of work took a second one from the same pool, as many requests as the pool has
connections would all wait for each other. They have a pool of their own therefore.

Its connections are in autocommit mode: a read is one round trip, without BEGIN and ROLLBACK,
and psycopg keeps its prepared statements, which it drops at every rollback. A unit of work sends
BEGIN and COMMIT as statements.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, cast

from sqlalchemy import event, text
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.engine.base import OptionEngine
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import QueuePool
from sqlalchemy.pool.base import ResetStyle

from .new_connection import await_cluster
from .statement import Statement

#: Seconds to wait for a connection, which others hold for one unit of work only.
POOL_TIMEOUT = 5
#: A connection that was in use within these seconds is not checked before it is used again by
#: what can be run again on another one.
TRUSTED_SECONDS = 1
#: How a transaction begins. That of SQLite takes the write lock at once: it cannot wait for it
#: later, once it has read.
_BEGIN = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "BEGIN", "mysql": "BEGIN", "mariadb": "BEGIN"}
_COMMIT, _ROLLBACK = Statement(text("COMMIT")), Statement(text("ROLLBACK"))


_USED_AT = "pkce_used_at"


class _EngineBeside(OptionEngine):
    """The engine of the host, its dialect, options and events, with another pool."""

    # OptionEngine has a property here, which returns the pool of the engine it is made from.
    pool: Any = None


#: An open connection, with the function that commits.
Unit = AbstractContextManager[tuple[Connection, Callable[[], None]]]


class Connections:
    """The connections of this package; `engine` is their engine."""

    def __init__(self, host: Engine) -> None:
        """Connect to the database of `host` without taking connections from its pool.

        The pool has as many connections as that of `host` keeps, without overflow. If `host` has
        no limit of connections, or one connection that all share as SQLite in memory does, the
        engine is `host` itself.
        """
        self._host = host
        begin = _BEGIN.get(host.dialect.name)
        if begin is None or not isinstance(host.pool, QueuePool):
            self.engine, self._begin, self._ends_by_sql = host, None, False
            return
        self.engine = _engine_beside(host, self.renew_those_of_host)
        self._begin = Statement(text(begin))
        # On a connection in autocommit mode, its own commit() does nothing.
        self._ends_by_sql = host.dialect.driver == "psycopg2"

    def checked(self) -> Connection:
        """Open a connection that the database has not closed, at the cost of a round trip."""
        connection = self.engine.connect()
        if self.engine is self._host or _is_alive(self.engine, connection.connection):
            return connection
        connection.invalidate()
        connection.close()
        self.engine.pool._invalidate(cast(Any, None), _checkin=False)
        self.renew_those_of_host()
        return self.engine.connect()

    def renew_those_of_host(self) -> None:
        """Let the host's pool replace its connections: one of ours was found closed.

        Probably the database was restarted, so that they are closed too.
        """
        if self.engine is not self._host:
            self._host.pool._invalidate(cast(Any, None), _checkin=False)

    @contextmanager
    def steps(self) -> Iterator[tuple[Connection, Callable[[], None]]]:
        """Open a connection on which each statement is committed; yield what `transaction` does.

        A connection of the host is opened in a transaction.
        """
        if self.engine is self._host:
            with self.transaction() as opened:
                yield opened
        else:
            with self.engine.connect() as connection:
                yield connection, lambda: None

    @contextmanager
    def transaction(self) -> Iterator[tuple[Connection, Callable[[], None]]]:
        """Open a connection in a transaction; yield it with the function that commits.

        What is not committed is rolled back.
        """
        with self.engine.connect() as connection:
            current = connection.begin()
            # For SQLite, a host may have a listener that sends BEGIN.
            is_begun = getattr(connection.connection, "in_transaction", False)
            if self._begin is not None and not is_begun:
                self._begin.count(connection)

            def commit() -> None:
                if self._ends_by_sql:
                    _COMMIT.count(connection)
                current.commit()

            try:
                yield connection, commit
            except BaseException:
                if self._ends_by_sql and not connection.invalidated:
                    _ROLLBACK.count(connection)
                raise


def _engine_beside(engine: Engine, renew_those_of_host: Callable[[], None]) -> Engine:
    own = _EngineBeside(engine, {})
    own.pool = _pool_beside(engine, renew_those_of_host)
    process, has_events = os.getpid(), engine._has_events

    @event.listens_for(engine, "engine_disposed")
    def follow(disposed: Engine) -> None:
        # After a fork, the connections belong to the parent process and must stay open.
        if os.getpid() == process:
            own.pool.dispose()
        own.pool = _pool_beside(engine, renew_those_of_host)

    # Otherwise every statement and transaction, of the host too, looks for its listeners.
    engine._has_events = has_events
    return own


def _pool_beside(engine: Engine, renew_those_of_host: Callable[[], None]) -> QueuePool:
    """Return a pool that connects as that of `engine` does, and has its events."""
    pool = cast(QueuePool, engine.pool.recreate())
    pool._max_overflow = min(pool._max_overflow, 0)
    pool._timeout = min(pool._timeout, POOL_TIMEOUT)
    # No connection is returned within a transaction: SQLAlchemy ends it first.
    pool._reset_on_return = ResetStyle.reset_none

    @event.listens_for(pool, "connect")
    def set_autocommit(connection: Any, record: Any) -> None:
        engine.dialect.set_isolation_level(connection, "AUTOCOMMIT")

    if engine.dialect.name == "sqlite":
        return pool
    if engine.dialect.name in ("mysql", "mariadb"):
        await_cluster(pool)

    # First, before events of the host that send statements.
    @event.listens_for(pool, "checkout", insert=True)
    def check(connection: Any, record: Any, proxy: Any) -> None:
        now = time.monotonic()
        used_at = record.info.get(_USED_AT, now)
        record.info[_USED_AT] = now
        if now - used_at <= TRUSTED_SECONDS:
            return
        if not _is_alive(engine, connection):
            renew_those_of_host()
            raise InvalidatePoolError()

    return pool


def _is_alive(engine: Engine, connection: Any) -> bool:
    try:
        return engine.dialect.do_ping(connection)
    except engine.dialect.loaded_dbapi.Error:
        return False


def max_connections(engine: Engine) -> int | None:
    """Return how many connections a process opens with `engine` at most, None for any number."""
    pool = engine.pool
    if not isinstance(pool, QueuePool) or pool._max_overflow < 0:
        return None
    return pool.size() + pool._max_overflow


def checks_connections(engine: Engine) -> bool:
    """Return whether connections of `engine` cannot be stale, or are checked before use."""
    pool = engine.pool
    return engine.dialect.name == "sqlite" or not isinstance(pool, QueuePool) or pool._pre_ping
