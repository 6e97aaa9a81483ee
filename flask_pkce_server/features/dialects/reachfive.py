"""ReachFive: @reachfive/identity-core, whose SDK reads its settings from the server."""

from __future__ import annotations

from collections.abc import Iterable

import flask
from flask import Response

from ...errors import InvalidClientError
from ...protocol.contract import Server
from ...protocol.declarations import Problem, Route
from ...protocol.request import Request
from .dialect import Dialect, asked_for
from .json_body import read_json
from .leaving import leave
from .message import WEB_MESSAGE


def config(server: Server) -> Response:
    """Return the settings of a client, which the SDK requests before anything else.

    Raises `InvalidClientError` for an unknown client_id.
    """
    client = server.find_client(flask.request.args.get("client_id", ""))
    if client is None:
        raise InvalidClientError("No app is registered here under this client_id.")
    scopes = server.scopes.keys() if client.scope is None else client.scope
    return flask.jsonify(
        client_id=client.client_id,
        domain=server.issuer.host,
        language=server.languages.choose().tag,
        sso=True,
        is_public=client.is_public,
        pkce_enforced=True,
        is_implicit_flow_forbidden=True,
        scope=" ".join(sorted(scopes & {"openid", "profile", "email", "phone"})),
    )


def translate(server: Server, request: Request) -> None:
    """Translate `redirect_to` to a logout URI, and JSON to a form."""
    read_json(request)
    if asked_for("logout"):
        leave(server, request, "redirect_to")


def problems(server: Server) -> Iterable[Problem]:
    """Report an issuer that the SDK cannot use: it knows a server only by its domain."""
    if not server.issuer.startswith("https:") or server.issuer.path:
        yield Problem(
            "FAIL",
            f"ReachFive's SDK finds nothing at {server.issuer}: it wants https and no path.",
            'app.config["PKCE_ISSUER"] = "https://your.domain"',
        )


DIALECT = Dialect(
    name="reachfive",
    paths={
        "/oauth/authorize": "authorize",
        "/oauth/token": "token",
        "/oauth/revoke": "revoke",
        "/identity/v1/userinfo": "userinfo",
        "/identity/v1/logout": "logout",
    },
    routes=(
        Route(
            "reachfive_config", "/identity/v1/config", config, ("GET",), "endpoint", at_root=True
        ),
    ),
    mark="X-R5-Correlation-Id",
    response_modes={"web_message": WEB_MESSAGE},
    translate=translate,
    claims_in_id_token=True,
    problems=problems,
)
