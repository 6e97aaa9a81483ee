"""The PostgreSQL database of a target: created, dropped, and the CPU time of its backends.

`PKCE_BENCH_POSTGRESQL_URL` names a server on which databases may be created.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

import psycopg
from psycopg import sql

SERVER_URL = os.environ.get(
    "PKCE_BENCH_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432/postgres"
)


@dataclass(frozen=True)
class Database:
    """A database on the server, reached directly or through the counting proxy."""

    host: str
    port: int
    user: str
    password: str
    name: str

    def at(self, port: int) -> Database:
        """Return the same database behind a proxy on a port of this machine."""
        return Database("127.0.0.1", port, self.user, self.password, self.name)

    def url(self, scheme: str = "postgresql") -> str:
        """Return its URL; never with TLS, so that the proxy can read what is sent."""
        account = quote(self.user, safe="")
        if self.password:
            account += f":{quote(self.password, safe='')}"
        return f"{scheme}://{account}@{self.host}:{self.port}/{self.name}?sslmode=disable"

    def execute(self, *statements: str) -> None:
        """Execute statements, each in a transaction of its own."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def backends(self) -> list[int]:
        """Return the process ids of the backends that serve this database."""
        with psycopg.connect(SERVER_URL, autocommit=True) as connection:
            query = "SELECT pid FROM pg_stat_activity WHERE datname = %s"
            return [pid for (pid,) in connection.execute(query, [self.name])]


@contextmanager
def own_database(label: str) -> Iterator[Database]:
    """Create a database; drop it at the end."""
    name, url = f"pkce_bench_{label}_{secrets.token_hex(4)}", urlsplit(SERVER_URL)
    try:
        _administer(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except psycopg.OperationalError as error:
        at = f"{url.hostname}:{url.port}, see PKCE_BENCH_POSTGRESQL_URL"
        raise SystemExit(f"No PostgreSQL at {at}: {error}") from None
    try:
        yield Database(
            url.hostname or "127.0.0.1",
            url.port or 5432,
            unquote(url.username or "postgres"),
            unquote(url.password or ""),
            name,
        )
    finally:
        _administer(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _administer(statement: sql.Composed) -> None:
    with psycopg.connect(SERVER_URL, autocommit=True) as connection:
        connection.execute(statement)
