"""Cloudentity: cloudentity-auth-js, whose paths name a tenant and an authorization server."""

from __future__ import annotations

from ...protocol.contract import Server
from ...protocol.request import Request
from .dialect import Dialect, asked_for

_SERVER = "/<_tenant>/<_server>"


def translate(server: Server, request: Request) -> None:
    """Identify the client of a revocation request by the token in its Authorization header.

    That must be the token to revoke: its holder may revoke it. A confidential client still has
    to send its secret.
    """
    scheme, _, bearer_token = request.headers.get("Authorization", "").partition(" ")
    if not asked_for("revoke") or scheme.lower() != "bearer" or "client_id" in request.form:
        return
    token = server.find_token(bearer_token.strip())
    if token is not None and bearer_token.strip() == request.form.get("token"):
        request.replace(client_id=token.holder)


DIALECT = Dialect(
    name="cloudentity",
    paths={
        f"{_SERVER}/oauth2/authorize": "authorize",
        f"{_SERVER}/oauth2/token": "token",
        f"{_SERVER}/oauth2/revoke": "revoke",
        f"{_SERVER}/userinfo": "userinfo",
    },
    translate=translate,
    # Silent renewal reads iat and exp in the access token.
    readable_tokens=True,
)
