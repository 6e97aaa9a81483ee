"""Okta: @okta/okta-auth-js, at its native paths below the issuer or configured to use ours."""

from __future__ import annotations

from collections.abc import Iterable

import flask
from flask import Response

from ...errors import DeadRefreshTokenError, InvalidRequestError
from ...models import client_origin, participation
from ...protocol.contract import Server
from ...protocol.declarations import Problem, Route
from ...users.sign_in import noted_login
from .dialect import Dialect
from .message import OKTA_POST_MESSAGE


def base(server: Server) -> str:
    """Return the prefix of the paths: the SDK adds /oauth2 unless the issuer contains it."""
    return "" if "/oauth2" in server.issuer.path else "/oauth2"


def end_session(server: Server) -> Response:
    """Sign the user of this browser out, for a page of a client that holds no ID token.

    The session must have signed in to that client; for other clients there is no session.
    Raises `InvalidRequestError` for an origin that no client registered.
    """
    origin = flask.request.headers.get("Origin", "")
    login = noted_login()
    with server.store.reading() as session:
        registered = client_origin.is_of_any(session, origin)
        takes_part = login is not None and participation.is_known_at(session, login.sid, origin)
    if not registered:
        raise InvalidRequestError("The origin of the page is not one that a client registered.")
    if not takes_part or server.users.current() is None:
        answer = flask.jsonify(errorCode="E0000007", errorSummary="There is no session here.")
        answer.status_code = 404
        return answer
    server.users.end_login()
    return Response(status=204)


def problems(server: Server) -> Iterable[Problem]:
    """Report an issuer whose path makes the SDK expect messages from a wrong origin."""
    path = server.issuer.path
    if path and not path.startswith("/oauth2/"):
        yield Problem(
            "FAIL",
            f"Okta's SDK takes no message from an issuer whose path is {path}.",
            'app.config["PKCE_ISSUER"] = "https://your.domain/oauth2/default"',
        )


DIALECT = Dialect(
    name="okta",
    base=base,
    paths={
        "/v1/authorize": "authorize",
        "/v1/token": "token",
        "/v1/userinfo": "userinfo",
        "/v1/revoke": "revoke",
        "/v1/introspect": "introspect",
        "/v1/logout": "logout",
        "/v1/keys": "jwks",
    },
    routes=(
        Route(
            "okta_session",
            "/api/v1/sessions/me",
            end_session,
            ("DELETE",),
            "endpoint",
            at_root=True,
        ),
    ),
    mark="X-Okta-User-Agent-Extended",
    response_modes={"okta_post_message": OKTA_POST_MESSAGE},
    # The SDK discards a refresh token only after exactly this description.
    sentences={DeadRefreshTokenError: "The refresh token is invalid or expired."},
    problems=problems,
)
