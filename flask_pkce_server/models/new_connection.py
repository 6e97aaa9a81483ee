"""New connection: finds out what is behind a connection, and sets it up for that.

It may be a pooler such as pgbouncer, which gives each transaction another session of PostgreSQL,
or a node of a Galera cluster.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool

#: What psycopg starts with: a statement is prepared when it is executed a sixth time.
_PREPARE_THRESHOLD = 5
#: Reads, updates and deletes wait for what other nodes have committed before.
SYNC_WAIT = 3


def spare_poolers(engine: Engine) -> None:
    """Have no statements prepared by the new connections of `engine` that go to a pooler.

    A prepared statement belongs to a session of PostgreSQL, and a pooler that gives each
    transaction another session loses it or finds it there already. psycopg2 prepares nothing. A
    `prepare_threshold` other than psycopg's default is left alone.
    """
    dialect = engine.dialect
    if dialect.driver != "psycopg" or dialect.is_async:
        return

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, record: Any) -> None:
        if connection.prepare_threshold == _PREPARE_THRESHOLD and is_pooled(connection):
            connection.prepare_threshold = None


def is_pooled(connection: Any) -> bool:
    """Return whether something between psycopg's `connection` and PostgreSQL pools sessions.

    PostgreSQL tells the client its process id, for cancelling. A pooler tells one that it makes
    up itself.
    """
    (process_id,) = connection.execute("SELECT pg_backend_pid()").fetchone()
    connection.rollback()
    return bool(process_id != connection.info.backend_pid)


def await_cluster(pool: Pool) -> None:
    """Have the new connections of `pool` read what any node of their Galera cluster committed.

    Nodes apply what another one committed a moment later: without this, a token that was
    revoked at one node would still be accepted at another.
    """

    @event.listens_for(pool, "connect")
    def on_connect(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        if is_of_cluster(cursor):
            cursor.execute(f"SET SESSION wsrep_sync_wait = {SYNC_WAIT}")
        cursor.close()


def is_of_cluster(cursor: Any) -> bool:
    """Return whether a cursor is of a connection to a node of a Galera cluster."""
    # A server without Galera does not have this variable, and lists nothing.
    cursor.execute("SHOW VARIABLES LIKE 'wsrep_on'")
    row = cursor.fetchone()
    return row is not None and str(row[1]).upper() == "ON"
