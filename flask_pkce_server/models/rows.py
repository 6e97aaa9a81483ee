"""Rows: inserts new objects without a Session, in one statement for each table."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import groupby
from typing import Any

from sqlalchemy import bindparam, insert
from sqlalchemy.engine import Connection
from sqlalchemy.orm import class_mapper

from .base import Base
from .statement import Statement


def insert_rows(connection: Connection, rows: Iterable[Base]) -> None:
    """Insert `rows`; those of one table that follow each other are one statement."""
    for kind, group in groupby(rows, type):
        objects = list(group)
        names, statement = _insertion(kind, len(objects))
        values = {
            f"{column}_{at}": stored.__dict__.get(name)
            for at, stored in enumerate(objects)
            for name, column in names
        }
        statement.count(connection, **values)


@cache
def _insertion(kind: type[Base], number: int) -> tuple[list[tuple[str, str]], Statement]:
    """Return the attributes of `kind` with their columns, and the INSERT of `number` rows."""
    attributes = class_mapper(kind).column_attrs
    names = [(attribute.key, attribute.columns[0].name) for attribute in attributes]
    table = kind.__table__
    rows: list[dict[str, Any]] = [
        {column.name: bindparam(f"{column.name}_{at}", type_=column.type) for column in table.c}
        for at in range(number)
    ]
    return names, Statement(insert(table).values(rows))  # type: ignore[arg-type]
