"""Cloudentity: cloudentity-auth-js, below a tenant and an authorization server."""

from __future__ import annotations

from ...protocol.contract import Server
from ...protocol.request import Request
from .dialect import Dialect, asked_for

_SERVER = "/<_tenant>/<_server>"


def translate(server: Server, request: Request) -> None:
    """Take a revocation that comes with the token itself for one of its client.

    Who holds a token may give it back; a confidential client still has to say its secret.
    """
    scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
    if not asked_for("revoke") or scheme.lower() != "bearer" or "client_id" in request.form:
        return
    token = server.find_token(shown.strip())
    if token is not None and shown.strip() == request.form.get("token"):
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
