"""Auth0: @auth0/auth0-spa-js, @auth0/auth0-react and SDKs that are built on them."""

from __future__ import annotations

from collections.abc import Iterable

from ...errors import DeadRefreshTokenError, GoneUserError
from ...protocol.contract import Server
from ...protocol.declarations import Problem
from ...protocol.request import Request
from .dialect import Dialect, asked_for
from .json_body import read_json
from .leaving import leave
from .message import WEB_MESSAGE


def translate(server: Server, request: Request) -> None:
    """Translate `audience` to a resource, `returnTo` to a logout URI, and JSON to a form."""
    read_json(request)
    audience = request.payload.data.get("audience")
    if audience is not None and asked_for("authorize", "token"):
        request.replace(audience=None, resource=_resource(server, audience))
    if asked_for("logout"):
        leave(server, request, "returnTo")


def _resource(server: Server, audience: str) -> str | None:
    """Return the resource that an audience means; None for userinfo, which needs no resource."""
    return None if audience == server.issuer.rstrip("/") + "/userinfo" else audience


def problems(server: Server) -> Iterable[Problem]:
    """Report an issuer without a slash at its end: the SDK compares it with the domain and one."""
    issuer = server.issuer
    if not issuer.endswith("/"):
        yield Problem(
            "FAIL",
            f"Auth0's SDK refuses the ID tokens of {issuer}: it wants a slash at the end.",
            f'app.config["PKCE_ISSUER"] = "{issuer}/"',
        )


DIALECT = Dialect(
    name="auth0",
    paths={
        "/authorize": "authorize",
        "/oauth/token": "token",
        "/oauth/revoke": "revoke",
        "/userinfo": "userinfo",
        "/v2/logout": "logout",
        "/.well-known/jwks.json": "jwks",
    },
    mark="Auth0-Client",
    response_modes={"web_message": WEB_MESSAGE},
    translate=translate,
    # After the first description the SDK retries in a frame (useRefreshTokensFallback); after
    # the second it signs the user out.
    sentences={
        DeadRefreshTokenError: "Unknown or invalid refresh token.",
        GoneUserError: "The user is blocked: the user is gone, or may not sign in.",
    },
    claims_in_id_token=True,
    issuer_has_slash=True,
    problems=problems,
)
