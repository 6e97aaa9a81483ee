"""Failure: why the database did not do something, and whether it may do it later."""

from __future__ import annotations

import sqlite3
from enum import Enum
from typing import Any

from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeout

#: What the database, or the wait for a connection to it, raises.
DATABASE_ERRORS = (DBAPIError, PoolTimeout, PendingRollbackError)
#: SQLAlchemy's code for a session whose connection was lost earlier in the request.
_CANNOT_RECONNECT = "8s2b"


class Failure(Enum):
    """A failure after which the same statements may succeed."""

    #: Serialization failure, deadlock, lock timeout, locked file.
    BUSY = "busy"
    #: Another transaction inserted the row first.
    TAKEN = "taken"
    #: The connection was closed: a restart, an idle timeout, an operator.
    LOST = "lost"
    #: No connection could be made, or no more than there are, or to a node without its cluster.
    UNREACHABLE = "unreachable"
    #: It writes nothing now: its disk is full, or it has become a standby.
    READ_ONLY = "read-only"


# PostgreSQL: serialization failure, deadlock, lock not available.
_BUSY_STATES = {"40001", "40P01", "55P03"}
# MariaDB, MySQL: lock wait timeout, deadlock, record changed since last read.
_BUSY_NUMBERS = {1205, 1213, 1020}
# A node of a Galera cluster that is starting, or cannot see most of the others.
_NOT_READY = 1047
# PostgreSQL: disk full; read-only transaction.
_READ_ONLY_STATES = {"53100", "25006"}
# MariaDB, MySQL: disk full, table full, error on write; the server is read-only.
_READ_ONLY_NUMBERS = {1021, 1114, 1026, 1290, 1836}
# SQLite: also for a journal that finds no room.
_READ_ONLY_TEXTS = ("disk is full", "disk I/O error")


def failure_of(error: Exception) -> Failure | None:
    """Return the failure that `error` reports, None if it would be the same next time."""
    if isinstance(error, PendingRollbackError):
        return Failure.UNREACHABLE if error.code == _CANNOT_RECONNECT else None
    if isinstance(error, PoolTimeout):
        return Failure.UNREACHABLE
    if not isinstance(error, DBAPIError):
        return None
    if isinstance(error, IntegrityError):
        return Failure.TAKEN
    cause: Any = error.orig
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    number = cause.args[0] if cause is not None and cause.args else None
    if state in _BUSY_STATES or number in _BUSY_NUMBERS or "locked" in str(cause):
        return Failure.BUSY
    if number == _NOT_READY:
        return Failure.UNREACHABLE
    if state in _READ_ONLY_STATES or number in _READ_ONLY_NUMBERS:
        return Failure.READ_ONLY
    if isinstance(cause, sqlite3.Error) and any(text in str(cause) for text in _READ_ONLY_TEXTS):
        return Failure.READ_ONLY
    if error.connection_invalidated:
        return Failure.LOST
    # No statement: it was not even sent. A SQLite file that cannot be opened never can be.
    is_unsent = isinstance(error, OperationalError) and error.statement is None
    if is_unsent and not isinstance(cause, sqlite3.Error):
        return Failure.UNREACHABLE
    return None
