"""Statement: SQL that is compiled once and run by the driver.

SQLAlchemy computes a cache key, a context and a result for every execution, which takes longer
than the driver and the database together. What every request runs is compiled once for each
dialect, with the functions that convert its parameters and its columns.

Where somebody listens to the statements of the engine (a log, a tracer, a test that counts),
SQLAlchemy runs the same SQL and tells them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.sql.expression import Executable

_Converter = Callable[[Any], Any]


class Statement:
    """A statement of SQLAlchemy Core whose parameters are all named (`bindparam`)."""

    def __init__(self, clause: Executable) -> None:
        self._clause = clause
        self._compiled: WeakKeyDictionary[Dialect, _Compiled] = WeakKeyDictionary()

    def first(self, connection: Connection, **values: Any) -> Sequence[Any] | None:
        """Return the columns of the first row, None if there is none."""
        compiled, cursor = self._run(connection, values)
        row = cursor.fetchone()
        cursor.close()
        return None if row is None else compiled.convert(row)

    def all(self, connection: Connection, **values: Any) -> Sequence[Sequence[Any]]:
        """Return the columns of every row."""
        compiled, cursor = self._run(connection, values)
        rows = [compiled.convert(row) for row in cursor.fetchall()]
        cursor.close()
        return rows

    def count(self, connection: Connection, **values: Any) -> int:
        """Run an INSERT, UPDATE or DELETE; return how many rows its WHERE clause matched.

        Every engine reports this count, while MariaDB has no RETURNING for an UPDATE. Of
        concurrent callers, the count shows which one won.
        """
        _, cursor = self._run(connection, values)
        matched: int = cursor.rowcount
        cursor.close()
        return matched

    def _run(self, connection: Connection, values: dict[str, Any]) -> tuple[_Compiled, Any]:
        """Run the statement; return it compiled, and what has its result."""
        dialect = connection.dialect
        compiled = self._compiled.get(dialect)
        if compiled is None:
            compiled = self._compiled[dialect] = _Compiled(self._clause, dialect)
        parameters = compiled.parameters(values)
        if _is_heard(connection):
            # Of an INSERT, SQLAlchemy forgets the count otherwise.
            options = {"preserve_rowcount": True}
            return compiled, connection.exec_driver_sql(compiled.sql, parameters, options)
        cursor = connection.connection.cursor()
        try:
            cursor.execute(compiled.sql, parameters)
        except dialect.loaded_dbapi.Error as error:
            # Raises it as an error of SQLAlchemy, and gives up a connection that was lost.
            connection._handle_dbapi_exception(error, compiled.sql, parameters, cursor, None)
        return compiled, cursor


class _Compiled:
    """A statement in the SQL of one dialect."""

    def __init__(self, clause: Executable, dialect: Dialect) -> None:
        compiled: Any = clause.compile(dialect=dialect)  # type: ignore[attr-defined]
        self.statement = compiled
        self.sql: str = compiled.string
        self._is_positional = compiled.positional
        names = compiled.positiontup if compiled.positional else compiled.binds
        converters = compiled._bind_processors
        self._parameters = [(name, converters.get(name) or _unchanged) for name in names]
        # The values that are part of the statement itself.
        self._constants = {n: bind.value for n, bind in compiled.binds.items() if not bind.required}
        columns = [
            column.type._cached_result_processor(dialect, None)
            for column in getattr(clause, "selected_columns", ())
        ]
        self._columns = [(at, convert) for at, convert in enumerate(columns) if convert]

    def parameters(self, values: dict[str, Any]) -> Any:
        """Return `values` as the driver wants them."""
        if self._constants:
            values = {**self._constants, **values}
        if self._is_positional:
            return tuple([convert(values[name]) for name, convert in self._parameters])
        return {name: convert(values[name]) for name, convert in self._parameters}

    def convert(self, row: Sequence[Any]) -> Sequence[Any]:
        """Return the columns of `row` as Python values."""
        if not self._columns:
            return row
        values = list(row)
        for at, convert in self._columns:
            values[at] = convert(values[at])
        return values


def _unchanged(value: Any) -> Any:
    return value


def _is_heard(connection: Connection) -> bool:
    """Return whether somebody listens to the statements."""
    engine: Any = connection.engine
    if not engine._has_events:
        return bool(connection._echo)
    listeners = engine.dispatch
    return bool(
        listeners.before_cursor_execute or listeners.after_cursor_execute or connection._echo
    )
