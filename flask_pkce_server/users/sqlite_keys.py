"""SQLite keys: SQLite gives the highest primary key again once its row is deleted.

A table with AUTOINCREMENT gives each key once: https://www.sqlite.org/autoinc.html
"""

from __future__ import annotations

import re
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, Integer, Table, TypeDecorator, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import NoReferenceError
from sqlalchemy.orm import Mapper, Session

from ..errors import ConfigurationError

#: Without a rowid, SQLite chooses no keys.
_GIVEN_ONCE = re.compile(r"\b(AUTOINCREMENT|WITHOUT\s+ROWID)\b", re.IGNORECASE)
#: The tables that were found to give each key once, by engine.
_checked: WeakKeyDictionary[Engine, set[str]] = WeakKeyDictionary()


def give_keys_once(mapper: Mapper[Any]) -> None:
    """Let SQLite create the table of a model with AUTOINCREMENT, unless the host says otherwise."""
    try:
        table = _table_of_keys(mapper)
    except NoReferenceError:
        return  # not declared yet
    if table is None or "sqlite_autoincrement" in list(table.dialect_kwargs):
        return
    types = [column.type for column in table.primary_key]
    # SQLite chooses no other keys, and refuses AUTOINCREMENT for them.
    if (
        len(types) == 1
        and isinstance(types[0], Integer | TypeDecorator)
        and types[0].compile(sqlite.dialect()) == "INTEGER"
    ):
        table.dialect_kwargs["sqlite_autoincrement"] = True


def check_keys(session: Session, mapper: Mapper[Any]) -> bool:
    """Refuse a model if SQLite gives the key of a deleted row to a new one.

    Asks the database only once in a process, on the connection of `session`. Return False if the
    table does not exist yet. Raises `ConfigurationError`.
    """
    engine, table = session.get_bind(mapper).engine, _table_of_keys(mapper)
    if engine.dialect.name != "sqlite" or table is None:
        return True
    checked = _checked.setdefault(engine, set())
    if table.key in checked:
        return True
    # Not a connection of our own: in memory there is only one, and to give it back rolls back.
    connection = session.connection(bind_arguments={"mapper": mapper})
    schema = connection.dialect.identifier_preparer.quote(table.schema or "main")
    key = connection.execute(
        text(
            "SELECT made.sql, field.type "  # noqa: S608 - the name is in the host's code
            f"FROM {schema}.sqlite_master AS made, pragma_table_info(made.name, :schema) AS field "
            "WHERE lower(made.name) = lower(:table) AND field.pk = 1"
        ),
        {"schema": table.schema or "main", "table": table.name},
    ).first()
    if key is None:
        return False
    if key.type.upper() == "INTEGER" and not _GIVEN_ONCE.search(key.sql):
        raise ConfigurationError(
            f"On SQLite, a new row in the table {table.name} gets the primary key of a deleted "
            "one: a new user would have the subject of a deleted user.",
            write='__table_args__ = {"sqlite_autoincrement": True}  # in the model, and create '
            "the table anew (docs/users.md says how),\n"
            "    or @pkce.user_subject and @pkce.user_loader with a value that is never given "
            "again",
        )
    checked.add(table.key)
    return True


def _table_of_keys(mapper: Mapper[Any]) -> Table | None:
    """Return the table in which the primary keys of a model begin; None if it has no table."""
    table: Any = mapper.local_table
    while isinstance(table, Table) and len(table.primary_key) == 1:
        parents = [key.column.table for key in next(iter(table.primary_key)).foreign_keys]
        if not parents or parents[0] is table:
            break
        table = parents[0]
    return table if isinstance(table, Table) else None
