"""miniOrange: its documented endpoints, which have no SDK but many plugins."""

from __future__ import annotations

from ...protocol.contract import Server
from ...protocol.request import Request
from .dialect import Dialect, asked_for
from .leaving import leave


def translate(server: Server, request: Request) -> None:
    """Take a logout request without a client for one of who registered its URI."""
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
