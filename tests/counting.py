"""What counts the SQL of an app."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from sqlalchemy import event


class Counted:
    """Counts the statements on our tables, and the commits."""

    def __init__(self, app: Flask) -> None:
        self.app, self.statements, self.commits = app, 0, 0
        with app.app_context():
            engine = app.db.engine
        event.listen(engine, "before_cursor_execute", self._execute)
        event.listen(engine, "commit", self._commit)

    def _execute(self, connection, cursor, statement, *rest) -> None:
        self.statements += "FROM user" not in statement

    def _commit(self, connection) -> None:
        self.commits += 1

    @contextmanager
    def expect(self, statements: int, commits: int) -> Iterator[None]:
        self.statements = self.commits = 0
        yield
        assert (self.statements, self.commits) == (statements, commits)
