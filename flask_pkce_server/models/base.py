"""Base: column types, units of work and retries.

The tables have their own metadata and are copied into that of the host app, so that
`db.create_all()` and Alembic see them. Protocol code uses the host app's database but opens
its own sessions: it never commits, flushes or rolls back the host app's `db.session`.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from sqlalchemy import (
    JSON,
    BigInteger,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UpdateBase,
    delete,
    event,
    inspect,
    select,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import CursorResult, Dialect, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Session

from .engine import with_own_pool
from .failure import Failure, failure_of

T = TypeVar("T")
M = TypeVar("M", bound="Base")

#: How often a unit of work is run again after each kind of failure.
RETRIES = {Failure.BUSY: 13, Failure.TAKEN: 2, Failure.LOST: 1, Failure.UNREACHABLE: 0}


class ScopeSet(TypeDecorator[frozenset[str]]):
    """A set of scopes, stored as a sorted, space-separated string."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: frozenset[str] | None, dialect: Dialect) -> str | None:
        return None if value is None else " ".join(sorted(value))

    def process_result_value(self, value: str | None, dialect: Dialect) -> frozenset[str] | None:
        return None if value is None else frozenset(value.split())


class _TextAsBytes(mysql.VARBINARY):
    """Text, stored as the bytes of its UTF-8."""

    def bind_processor(self, dialect: Dialect) -> Any:
        return lambda value: None if value is None else value.encode()

    def result_processor(self, dialect: Dialect, coltype: Any) -> Any:
        # Drivers differ in what they return, and a column from before has text.
        return lambda value: (
            value if value is None or isinstance(value, str) else bytes(value).decode()
        )


# The collations of MySQL and MariaDB treat "App" and "app" as one client, or "ada" and "ada " as
# one user, and no collation that doesn't is known to both. So they compare bytes.
_PLAIN_IDENTIFIER = String(255).with_variant(mysql.VARBINARY(1020), "mysql", "mariadb")
Identifier = String(255).with_variant(_TextAsBytes(1020), "mysql", "mariadb")
#: SHA-256 of a handle: 32 bytes.
Digest = LargeBinary(32).with_variant(mysql.BINARY(32), "mysql", "mariadb")
#: Seconds since the epoch. A DateTime would lose its time zone on SQLite and MariaDB.
EpochSeconds = BigInteger()


class Base(DeclarativeBase):
    """The base class of all tables of this package."""

    metadata = MetaData()
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it as a class attribute
        dict[str, Any]: JSON,
        list[str]: JSON,
        frozenset[str]: ScopeSet,
        int: EpochSeconds,
    }


def copy_tables(metadata: MetaData) -> None:
    """Copy the tables of this package into the host app's `metadata`, if they are missing.

    The copies have plain column types: a migration that is generated from them lives for
    years and must not import this package.
    """
    for table in Base.metadata.sorted_tables:
        if table.name not in metadata.tables:
            for column in table.to_metadata(metadata).columns:
                if column.type is Identifier:
                    column.type = _PLAIN_IDENTIFIER
                elif isinstance(column.type, TypeDecorator):
                    column.type = column.type.impl_instance


class Store:
    """Short units of work on the host app's database.

    `engine` returns the engine of the current app.
    """

    def __init__(self, engine: Callable[[], Engine]) -> None:
        #: Returns the engine of the host app.
        self.host_engine = engine
        self._engine: Engine | None = None
        self._lock = threading.Lock()

    @property
    def engine(self) -> Engine:
        """The engine of the units of work; first read it within the app context."""
        with self._lock:
            if self._engine is None:
                self._engine = with_own_pool(self.host_engine())
            return self._engine

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a session for reading; close it before a unit of work starts.

        Reading is separate from `write`, so that no transaction reads first and writes later:
        SQLite fails at once if another transaction writes in between.
        """
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    def get(self, kind: type[M], key: Any) -> M | None:
        """Return the row of the table `kind` with this primary key, or None."""
        with Session(self.engine, expire_on_commit=False) as session:
            return session.get(kind, key)

    def write(self, work: Callable[[Session], T]) -> T:
        """Run `work` in one transaction, commit, and return its result.

        `work` receives the session. It runs again after the failures in `RETRIES`, so it must
        have no effects outside the database. Raises the error of the last attempt.
        """
        failures: Counter[Failure] = Counter()
        while True:
            is_committing = False
            try:
                with Session(self.engine, expire_on_commit=False) as session:
                    session.begin()
                    result = work(session)
                    session.flush()
                    is_committing = True
                    session.commit()
                    return result
            except DBAPIError as error:
                failure = failure_of(error)
                if failure is None or failures[failure] == RETRIES[failure]:
                    raise
                if is_committing and failure is Failure.LOST:
                    raise  # nobody knows whether it was committed
                failures[failure] += 1
            # Full jitter, so that transactions that collided do not collide again.
            wait = 0.01 * 2 ** (failures.total() - 1)
            time.sleep(random.uniform(0, min(0.4, wait)))  # noqa: S311


def changed_rows(session: Session, statement: UpdateBase) -> int:
    """Run an UPDATE or DELETE and return how many rows its WHERE clause matched.

    Every engine reports this count, while MariaDB has no RETURNING for an UPDATE. Of
    concurrent callers, the count shows which one won.
    """
    result = session.execute(statement, execution_options={"synchronize_session": False})
    return cast("CursorResult[Any]", result).rowcount


def delete_some(session: Session, table: Any, condition: Any, limit: int) -> int:
    """Delete up to `limit` rows of `table` that meet `condition`; return how many.

    Selects the keys first: MariaDB does not support LIMIT in a subquery of DELETE.
    """
    key = inspect(table).primary_key[0]
    keys = session.scalars(select(key).where(condition).limit(limit)).all()
    if keys:
        session.execute(delete(table).where(key.in_(keys)))
    return len(keys)


def set_sqlite_pragmas(engine: Engine) -> None:
    """Put the SQLite database of `engine` into WAL mode; leave other databases alone."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
