"""Behind: what the doctor says of replicas, poolers and clusters behind a connection."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.engine import Engine

from ..models.new_connection import SYNC_WAIT, is_of_cluster, is_pooled
from ..protocol.contract import Server
from ..protocol.declarations import Problem


def problems_behind(server: Server) -> Iterable[Problem]:
    """Yield the findings about what is behind the connections to the database."""
    dialect = server.store.engine.dialect
    if dialect.driver == "psycopg" and not dialect.is_async:
        yield from _problems_of_pooler(server.store.engine)
    elif dialect.name in ("mysql", "mariadb"):
        yield from _problems_of_cluster(server.store.host_engine())
    yield from _problems_of_replica(server)


def _problems_of_pooler(engine: Engine) -> Iterable[Problem]:
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        is_behind, threshold = is_pooled(driver), getattr(driver, "prepare_threshold", None)
    if is_behind and threshold is None:
        yield Problem(
            "OK",
            "A pooler such as pgbouncer is between your app and PostgreSQL. Therefore no "
            "statements are prepared.",
        )
    elif is_behind:
        yield Problem(
            "WARN",
            "A pooler such as pgbouncer is between your app and PostgreSQL, and your app has "
            "statements prepared. Only a pooler that keeps track of them can do that.",
            'app.config["SQLALCHEMY_ENGINE_OPTIONS"] = '
            '{"connect_args": {"prepare_threshold": None}}',
        )


def _problems_of_cluster(host: Engine) -> Iterable[Problem]:
    with host.connect() as connection:
        cursor = connection.connection.cursor()
        if not is_of_cluster(cursor):
            return
        cursor.execute("SELECT @@SESSION.wsrep_sync_wait")
        row = cursor.fetchone()
        cursor.close()
    if row is not None and int(row[0]) & 1:
        yield Problem("OK", "Each node of the Galera cluster reads what any of them committed.")
    else:
        yield Problem(
            "WARN",
            "Your app reads from a node of a Galera cluster, and may read rows as they were "
            "before a change at another node. This server itself waits for such changes.",
            'app.config["SQLALCHEMY_ENGINE_OPTIONS"] = '
            f'{{"connect_args": {{"init_command": "SET SESSION wsrep_sync_wait = {SYNC_WAIT}"}}}}',
        )


def _problems_of_replica(server: Server) -> Iterable[Problem]:
    replica = server.store.replica
    if replica is None:
        return
    lag = replica.lag(server.store.engine)
    problem = replica.problem_of(lag)
    if problem:
        yield Problem(
            "WARN",
            f"The replica is not used, the primary answers instead: {problem}.",
            "PKCE_READ_ENGINE_URI",
        )
    else:
        yield Problem("OK", f"The replica is {lag.seconds:.1f} seconds behind.")
