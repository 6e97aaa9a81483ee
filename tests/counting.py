"""What counts the SQL of an app."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from sqlalchemy import event


class Counted:
    """Counts the statements on our tables, and the commits."""

    def __init__(self, app: Flask) -> None:
        self.statements = self.commits = 0
        with app.app_context():
            engine = app.db.engine
        self.listeners = (
            (engine, "before_cursor_execute", self._execute),
            (engine, "commit", self._commit),
        )

    def _execute(self, connection, cursor, statement, *rest) -> None:
        of_host = "FROM user" in statement
        self.statements += not of_host and not statement.startswith("BEGIN")

    def _commit(self, connection) -> None:
        self.commits += 1

    @contextmanager
    def expect(self, statements: int, commits: int) -> Iterator[None]:
        self.statements = self.commits = 0
        for listener in self.listeners:
            event.listen(*listener)
        yield
        for listener in self.listeners:
            event.remove(*listener)
        assert (self.statements, self.commits) == (statements, commits)
