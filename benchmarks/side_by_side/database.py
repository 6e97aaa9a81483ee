"""The PostgreSQL database of a target: created, dropped, and the CPU time of its backends.

`PKCE_BENCH_POSTGRESQL_URL` names a server on which databases may be created.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

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
        account = f"{self.user}:{self.password}" if self.password else self.user
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
    name = sql.Identifier(f"pkce_bench_{label}_{secrets.token_hex(4)}")
    with psycopg.connect(SERVER_URL, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
    url = urlsplit(SERVER_URL)
    try:
        yield Database(
            url.hostname or "127.0.0.1",
            url.port or 5432,
            unquote(url.username or "postgres"),
            unquote(url.password or ""),
            name.as_string().strip('"'),
        )
    finally:
        with psycopg.connect(SERVER_URL, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
