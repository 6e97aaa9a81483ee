"""The floor: bare Flask and psycopg, with the least work that is right."""

from __future__ import annotations

from hashlib import sha256

import psycopg

from ..apps.floor_tables import TABLES
from ..database import Database
from ..server import gunicorn
from .target import PASSWORD, REDIRECT_URI, SECRET, SECRET_KEY, USERNAME, Paths, Target, signing_key


class Floor(Target):
    """What Flask and a driver cost without any library for OAuth."""

    name = "floor"
    distributions = ("Flask", "psycopg")
    paths = Paths(
        authorize="/authorize",
        token="/token",
        introspection="/introspect",
        userinfo="/userinfo",
        discovery="/.well-known/openid-configuration",
        jwks="/jwks",
        guarded="/api/me",
        open_view="/open",
    )
    servers = ("main", "host")

    def prepare(self, database: Database) -> None:
        database.execute(*TABLES)
        with psycopg.connect(database.url(), autocommit=True) as connection:
            user = "INSERT INTO users VALUES (1, %s, %s, 'Ada', 'ada@example.com')"
            connection.execute(user, [USERNAME, sha256(PASSWORD.encode()).digest()])
            secrets = {"public": "", "confidential": SECRET, "resource-server": SECRET}
            for client_id, secret in secrets.items():
                hashed = sha256(secret.encode()).digest() if secret else None
                client = "INSERT INTO clients VALUES (%s, %s, %s, %s)"
                scopes = ["openid", "profile", "offline_access"]
                connection.execute(client, [client_id, hashed, [REDIRECT_URI], scopes])

    def command(self, server: str, port: int) -> list[str]:
        if server == "host":
            return gunicorn("benchmarks.side_by_side.apps.host:create_app(extension=False)", port)
        return gunicorn("benchmarks.side_by_side.apps.floor:app", port)

    def variables(self, database: Database, server: str) -> dict[str, str]:
        return {
            "FLOOR_DATABASE": database.url(),
            "SECRET_KEY": SECRET_KEY,
            "SIGNING_KEY": signing_key(),
            "HOST_DATABASE": database.url("postgresql+psycopg"),
        }
