"""Pruning: deletes rows that nothing needs any more, in small batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from sqlalchemy import ColumnElement, and_, delete, false, inspect, or_, select, text
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from .base import changed_rows
from .store import Store

#: How many rows a batch looks at. MariaDB turns lists of 1,000 values into a subquery.
BATCH = 500
#: How many rows a batch deletes if each of them takes several statements.
_BATCH_OF_LISTED = 50

_PARTITIONED = text(
    "SELECT 1 FROM pg_class WHERE relname = :name AND relkind = 'p' AND pg_table_is_visible(oid)"
)


class Prunable(Protocol):
    """Rows that `flask pkce prune` deletes, batch by batch until it `is_done`."""

    is_done: bool

    def delete_some(self, store: Store, limit: int) -> int:
        """Delete one batch, of up to `limit` rows; return how many were deleted.

        With a limit of 0, only find out whether it is done.
        """


class Expired:
    """The rows of a table whose `time` (epoch seconds, an indexed column) is `until` or before.

    Rows that are `needed` stay: a function of the columns that returns this condition. To look
    into another table, compare a scalar subquery with LIMIT 1: PostgreSQL may answer an EXISTS by
    reading the whole table. Each batch continues where the last one ended, so that none reads
    again what another one left. It deletes by primary key, and nothing else is locked.

    A table that is partitioned on PostgreSQL is left alone: its partitions are dropped instead.
    """

    def __init__(
        self,
        time: Any,
        until: int,
        needed: Callable[[Any], ColumnElement[bool]] = lambda row: false(),
    ) -> None:
        self.is_done = False
        self._table: Any = inspect(time.class_).local_table
        (self._key,) = self._table.primary_key
        self._time, self._until, self._needed = self._table.c[time.key], until, needed
        self._after: tuple[int, Any] | None = None

    def delete_some(self, store: Store, limit: int) -> int:
        """Delete one batch, of up to `limit` rows; return how many were deleted."""
        rows = store.read(self._read)
        unneeded = [row for row in rows if not row.is_needed]
        chosen = unneeded[:limit]
        self.is_done = len(rows) < BATCH and len(chosen) == len(unneeded)
        for last in chosen[-1:] if len(chosen) < len(unneeded) else rows[-1:]:
            self._after = (last.time, last.key)
        keys = [row.key for row in chosen]
        if not keys:
            return 0
        # The time may have been moved meanwhile. As a sum, it keeps the database from searching
        # by time, and locking what it finds.
        is_over = self._time + 0 <= self._until
        statement = delete(self._table).where(self._key.in_(keys), is_over)
        return store.transaction(lambda connection: changed_rows(connection, statement))

    def _read(self, connection: Connection) -> list[Any]:
        if self._after is None and _is_partitioned(connection, self._table.name):
            return []
        begin = () if self._after is None else (is_beyond(self._time, self._key, *self._after),)
        page = (
            select(self._table)
            .where(self._time <= self._until, *begin)
            .order_by(self._time, self._key)
            .limit(BATCH)
            .subquery()
        )
        key, time = page.c[self._key.name].label("key"), page.c[self._time.name].label("time")
        columns = key, time, self._needed(page.c).label("is_needed")
        return list(connection.execute(select(*columns).order_by(time, key)))


class Listed:
    """Rows of which each is deleted by itself, with what belongs to it.

    `find` returns their keys, and is asked once. `remove` deletes a row by its key, if nothing
    needs it still, and returns whether it did.
    """

    def __init__(
        self, find: Callable[[Session], Iterable[str]], remove: Callable[[Session, str], bool]
    ) -> None:
        self.is_done = False
        self._find, self._remove = find, remove
        self._keys: list[str] | None = None

    def delete_some(self, store: Store, limit: int) -> int:
        """Delete one batch, of up to `limit` rows; return how many were deleted."""
        if self._keys is None:
            with store.reading() as session:
                self._keys = list(self._find(session))
        size = min(limit, _BATCH_OF_LISTED)
        batch, self._keys = self._keys[:size], self._keys[size:]
        self.is_done = not self._keys
        remove = self._remove
        return sum(store.write(lambda session, key=key: remove(session, key)) for key in batch)  # type: ignore[misc]


def is_beyond(time: Any, key: Any, last_time: int, last_key: Any) -> ColumnElement[bool]:
    """Return the condition that a row comes after another one, by `time` and then by `key`."""
    return and_(time >= last_time, or_(time > last_time, key > last_key))


def _is_partitioned(connection: Connection, name: str) -> bool:
    if connection.dialect.name != "postgresql":
        return False
    return connection.execute(_PARTITIONED, {"name": name}).first() is not None
