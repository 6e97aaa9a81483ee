"""Store: reads and units of work on the host app's database.

Protocol code uses the host app's database but opens its own sessions: it never commits, flushes
or rolls back the host app's `db.session`.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import ColumnElement
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from .base import Base
from .engine import Connections, Unit
from .failure import Failure, failure_of
from .lookup import Lookup
from .replica import Replica

T = TypeVar("T")
M = TypeVar("M", bound=Base)

#: How often a unit of work is run again after each kind of failure.
RETRIES = {Failure.BUSY: 13, Failure.TAKEN: 2, Failure.LOST: 1}


class Store:
    """Reads and short units of work on the host app's database.

    `engine` returns the engine of the current app, which may have a `replica`.
    """

    def __init__(self, engine: Callable[[], Engine], replica: Replica | None = None) -> None:
        #: Returns the engine of the host app.
        self.host_engine = engine
        self.replica = replica
        self._connections: Connections | None = None
        self._lock = threading.Lock()

    @property
    def connections(self) -> Connections:
        """The connections of the reads and transactions; first read within the app context."""
        if self._connections is None:
            with self._lock:
                if self._connections is None:
                    self._connections = Connections(self.host_engine())
        return self._connections

    @property
    def engine(self) -> Engine:
        """The engine of the connections."""
        return self.connections.engine

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a session for reading; close it before a unit of work starts.

        Reading is separate from `write`, so that no transaction reads first and writes later:
        SQLite fails at once if another transaction writes in between. Each statement is a
        transaction of its own, and sees what was committed before it.
        """
        with (
            self.connections.checked() as connection,
            Session(connection, expire_on_commit=False) as session,
        ):
            yield session

    def get(self, kind: type[M], key: Any) -> M | None:
        """Return the row of the table `kind` with this primary key, or None."""
        with self.reading() as session:
            return session.get(kind, key)

    def lookup(self, kind: type[Any], where: ColumnElement[bool]) -> Lookup[Any]:
        """Return the lookup of rows of the mapped class `kind` that meet `where`, for `find`."""
        return Lookup(kind, where)

    def find(self, lookup: Lookup[M], *, may_lag: bool = False, **values: Any) -> M | None:
        """Return what `lookup` finds for `values`, or None.

        With `may_lag`, it looks in the replica first, if there is one: what that finds may be
        some seconds old.
        """
        if may_lag and self.replica is not None:
            found = self.replica.find(lookup, values, self.engine)
            if found is not None:
                return found
        return self.read(lambda connection: lookup.first(connection, **values))

    def read(self, ask: Callable[[Connection], T]) -> T:
        """Return what `ask` reads from a connection.

        It asks again, once, if the connection turns out to be closed.
        """
        engine = self.engine
        try:
            with engine.connect() as connection:
                return ask(connection)
        except DBAPIError as error:
            if failure_of(error) is not Failure.LOST:
                raise
        self.connections.renew_those_of_host()
        with engine.connect() as connection:
            return ask(connection)

    def write(self, work: Callable[[Session], T]) -> T:
        """Run `work` in one transaction, commit, and return its result.

        `work` receives the session of the transaction. See `transaction`.
        """

        def work_in_session(connection: Connection) -> T:
            with Session(connection, expire_on_commit=False) as session:
                result = work(session)
                session.flush()
                return result

        return self.transaction(work_in_session)

    def in_steps(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, each of whose statements is committed by itself; return its result.

        It runs again like a transaction, and has to make what it stores anew then. Where the
        connection is the host's, it is one transaction.
        """
        return self._run(work, self.connections.steps)

    def transaction(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction, commit, and return its result.

        `work` receives the connection of the transaction. It runs again after the failures in
        `RETRIES`, so it must have no effects outside the database. Raises the error of the last
        attempt.
        """
        return self._run(work, self.connections.transaction)

    def _run(self, work: Callable[[Connection], T], opened: Callable[[], Unit]) -> T:
        failures: Counter[Failure] = Counter()
        while True:
            is_committing = False
            try:
                with opened() as (connection, commit):
                    result = work(connection)
                    is_committing = True
                    commit()
                    return result
            except DBAPIError as error:
                failure = failure_of(error)
                if failure is None or failures[failure] == RETRIES.get(failure, 0):
                    raise
                if is_committing and failure is Failure.LOST:
                    raise  # nobody knows whether it was committed
                if failure is Failure.LOST:
                    self.connections.renew_those_of_host()
                failures[failure] += 1
            # Full jitter, so that transactions that collided do not collide again.
            wait = 0.01 * 2 ** (failures.total() - 1)
            time.sleep(random.uniform(0, min(0.4, wait)))  # noqa: S311
