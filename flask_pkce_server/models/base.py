"""Base: the base class of the tables, column types, and statements that count rows.

The tables have their own metadata and are copied into that of the host app, so that
`db.create_all()` and Alembic see them.
"""

from __future__ import annotations

import json
from typing import Any, cast

import sqlalchemy
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UpdateBase,
    bindparam,
    event,
    func,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Connection, CursorResult, Dialect, Engine
from sqlalchemy.orm import DeclarativeBase, Session


class ScopeSet(TypeDecorator[frozenset[str]]):
    """A set of scopes, stored as a sorted, space-separated string."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: frozenset[str] | None, dialect: Dialect) -> str | None:
        return None if value is None else " ".join(sorted(value))

    def process_result_value(self, value: str | None, dialect: Dialect) -> frozenset[str] | None:
        return None if value is None else frozenset(value.split())


class JsonText(TypeDecorator[Any]):
    """A dict or a list, stored as JSON in a column of text.

    Drivers decode a column of the database's own JSON type at every look. Most of ours are
    empty, which needs no decoding.
    """

    impl = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(value, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        if value == "{}":
            return {}
        if value == "[]":
            return []
        return None if value is None else json.loads(value)


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
#: The time in a statement that is built once (epoch seconds).
NOW = bindparam("now", type_=EpochSeconds)


#: Options of a table: an UPDATE touches no index of PostgreSQL if the page of the row has room.
#: SQLAlchemy 2.0 does not know them.
ROOM_FOR_UPDATES: dict[str, Any] = (
    {"postgresql_with": {"fillfactor": 90}} if sqlalchemy.__version__ >= "2.1" else {}
)


class Base(DeclarativeBase):
    """The base class of all tables of this package."""

    metadata = MetaData()
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it as a class attribute
        dict[str, Any]: JsonText,
        list[str]: JsonText,
        frozenset[str]: ScopeSet,
        int: EpochSeconds,
    }

    def __init__(self, **values: Any) -> None:
        # SQLAlchemy's own sets each attribute as if it could have changed.
        unknown = values.keys() - type(self).__annotations__.keys()
        if unknown:
            raise TypeError(f"{type(self).__name__} has no {', '.join(unknown)}")
        self.__dict__.update(values)


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


#: What runs a statement: a session, or a connection in a transaction.
Executor = Session | Connection


def changed_rows(session: Executor, statement: UpdateBase) -> int:
    """Run an UPDATE or DELETE and return how many rows its WHERE clause matched.

    Every engine reports this count, while MariaDB has no RETURNING for an UPDATE. Of
    concurrent callers, the count shows which one won.
    """
    result = session.execute(statement, execution_options={"synchronize_session": False})
    return cast("CursorResult[Any]", result).rowcount


def one_more(column: Any) -> ColumnElement[int]:
    """Return the value of a counter that is NULL at first, plus one."""
    return func.coalesce(column, 0) + 1


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
