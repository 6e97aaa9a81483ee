"""miniOrange: its documented endpoints, which many plugins use but no SDK."""

from __future__ import annotations

from ...protocol.contract import Server
from ...protocol.request import Request
from .dialect import Dialect, asked_for
from .leaving import leave


def translate(server: Server, request: Request) -> None:
    """Assign a logout request without a client to the client that registered its URI."""
    if asked_for("logout"):
        leave(server, request)


DIALECT = Dialect(
    name="miniorange",
    paths={
        "/moas/idp/openidsso": "authorize",
        "/moas/rest/oauth/token": "token",
        "/moas/rest/oauth/getuserinfo": "userinfo",
        "/moas/idp/oidc/logout": "logout",
    },
    translate=translate,
)
