"""Engine: the connections of this package to the host app's database.

While a request is answered, the host's session keeps the connection on which it read the user.
If our units of work took a second one from the same pool, as many requests as the pool has
connections would all wait for each other. They have a pool of their own therefore.
"""

from __future__ import annotations

import os
from typing import Any, cast

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.engine.base import OptionEngine
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import QueuePool

#: Seconds to wait for a connection, which others hold for one unit of work only.
POOL_TIMEOUT = 5


class _EngineWithOwnPool(OptionEngine):
    """The engine of the host, its dialect, options and events, with another pool."""

    # OptionEngine has a property here, which returns the pool of the engine it is made from.
    pool: Any = None


def with_own_pool(engine: Engine) -> Engine:
    """Return an engine for the same database that takes no connections from the pool of `engine`.

    Its pool has as many connections as that pool keeps, without overflow, and checks each one
    before use: the database may have closed it. If `engine` has no limit of connections, or one
    connection that all share as SQLite in memory does, return `engine` itself.
    """
    if not isinstance(engine.pool, QueuePool):
        return engine
    own = _EngineWithOwnPool(engine, {})
    own.pool = _pool_beside(engine)
    process = os.getpid()

    @event.listens_for(engine, "engine_disposed")
    def follow(disposed: Engine) -> None:
        # After a fork, the connections belong to the parent process and must stay open.
        if os.getpid() == process:
            own.pool.dispose()
        own.pool = _pool_beside(engine)

    return own


def _pool_beside(engine: Engine) -> QueuePool:
    """Return a pool that connects as that of `engine` does, and has its events."""
    pool = cast(QueuePool, engine.pool.recreate())
    pool._max_overflow = min(pool._max_overflow, 0)
    pool._timeout = min(pool._timeout, POOL_TIMEOUT)
    if engine.dialect.name == "sqlite":
        return pool

    # First, before events of the host that send statements.
    @event.listens_for(pool, "checkout", insert=True)
    def check(connection: Any, record: Any, proxy: Any) -> None:
        try:
            is_alive = engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error:
            is_alive = False
        if not is_alive:
            # Probably the database was restarted: the host's older connections are closed too.
            engine.pool._invalidate(proxy, _checkin=False)
            raise InvalidatePoolError()

    return pool


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
