"""Lookup: reads one row, and those that it is joined with, as objects.

A Session would build its statement anew for every look, keep an identity map and prepare for
changes. What is read in order to be judged needs none of that: the statement is built once, and
the objects belong to no session.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import ColumnElement, FromClause, select
from sqlalchemy.engine import Connection
from sqlalchemy.orm import class_mapper
from sqlalchemy.orm.attributes import instance_state

from .base import Base
from .statement import Statement

M = TypeVar("M", bound=Base)


@dataclass(frozen=True)
class Joined:
    """A row that belongs to another one.

    It becomes the attribute `name` of the object of the class `owner`. `on` says which row it
    is. If it `is_optional`, the attribute is None where there is no such row.
    """

    owner: type[Base]
    name: str
    kind: type[Base]
    on: ColumnElement[bool]
    is_optional: bool = False
    #: Another name of its table, if that is joined more than once.
    alias: FromClause | None = None

    @property
    def table(self) -> FromClause:
        """The table in the statement."""
        return self.kind.__table__ if self.alias is None else self.alias


class Lookup(Generic[M]):
    """A SELECT of one row of the table `kind` that meets `where`, which has bound parameters."""

    def __init__(self, kind: type[M], where: ColumnElement[bool], *joined: Joined) -> None:
        self._kind, self._where, self._joined = kind, where, joined

    def first(self, connection: Connection, **values: Any) -> M | None:
        """Return the object of the row, with those that belong to it; None if there is none."""
        row = self._statement.first(connection, **values)
        return None if row is None else self._read(row)

    @cached_property
    def _statement(self) -> Statement:
        source: FromClause = self._kind.__table__
        for part in self._joined:
            source = source.join(part.table, part.on, isouter=part.is_optional)
        columns = [column for reader in self._readers for column in reader.columns]
        return Statement(select(*columns).select_from(source).where(self._where))

    @cached_property
    def _readers(self) -> list[Reader]:
        readers = [Reader(self._kind, self._kind.__table__, 0)]
        for part in self._joined:
            readers.append(Reader(part.kind, part.table, readers[-1].end))
        return readers

    def _read(self, row: Sequence[Any]) -> M:
        first, *others = self._readers
        found: dict[type[Base], Any] = {self._kind: first.read(row)}
        for part, reader in zip(self._joined, others, strict=True):
            owner = found[part.owner]
            joined = reader.read(row)
            found.setdefault(part.kind, joined)
            if owner is not None:
                owner.__dict__[part.name] = joined
        return cast(M, found[self._kind])


class Reader:
    """Makes objects of the class `kind` from the columns of a row that start at index `start`."""

    def __init__(self, kind: type[Base], table: FromClause, start: int) -> None:
        mapper = class_mapper(kind)
        attributes = list(mapper.column_attrs)
        self.names = [attribute.key for attribute in attributes]
        self.columns = [table.c[attribute.columns[0].key] for attribute in attributes]
        self.end = start + len(self.names)
        self._kind, self._new = kind, mapper.class_manager.new_instance
        self._slice = slice(start, self.end)
        self._key = start + self.names.index(mapper.primary_key[0].key or "")

    def read(self, row: Sequence[Any]) -> Any:
        """Return the object of a row, None if it was joined and there is none."""
        key = row[self._key]
        if key is None:
            return None
        instance = self._new()
        instance.__dict__.update(zip(self.names, row[self._slice], strict=True))
        # It counts as stored, and can be merged into a session.
        instance_state(instance).key = (self._kind, (key,), None)
        return instance
