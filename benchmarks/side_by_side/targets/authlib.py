"""Authlib: the authorization server that its documentation describes."""

from __future__ import annotations

from ..database import Database
from ..server import gunicorn
from .target import (
    PASSWORD,
    REDIRECT_URI,
    SECRET,
    SECRET_KEY,
    USERNAME,
    Paths,
    Target,
    signing_key,
)


class Authlib(Target):
    """Authlib's classes, its SQLAlchemy mixins, and the glue that its tutorial shows."""

    name = "authlib"
    distributions = ("Authlib", "SQLAlchemy")
    paths = Paths(
        authorize="/authorize",
        token="/token",
        introspection="/introspect",
        userinfo="/userinfo",
        discovery="/.well-known/openid-configuration",
        jwks="/jwks",
        guarded="/api/me",
    )

    def prepare(self, database: Database) -> None:
        metadata = {
            "redirect_uris": [REDIRECT_URI],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "scope": "openid profile offline_access",
        }
        clients = {
            "public": ("", {**metadata, "token_endpoint_auth_method": "none"}),
            "confidential": (SECRET, metadata),
            "resource-server": (SECRET, metadata),
        }
        user = {
            "username": USERNAME,
            "password": PASSWORD,
            "name": "Ada",
            "email": "ada@example.com",
        }
        self.fill(database, "authlib_fill", [user, clients])

    def command(self, server: str, port: int) -> list[str]:
        return gunicorn("benchmarks.side_by_side.apps.authlib:create_app()", port)

    def variables(self, database: Database, server: str) -> dict[str, str]:
        return {
            "DATABASE": database.url("postgresql+psycopg"),
            "SECRET_KEY": SECRET_KEY,
            "SIGNING_KEY": signing_key(),
            # The measurement speaks http.
            "AUTHLIB_INSECURE_TRANSPORT": "1",
        }
