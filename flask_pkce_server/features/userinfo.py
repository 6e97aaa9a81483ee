"""Userinfo: the claims about the user that an access token gives access to (OIDC Core 5.3).

The request is a GET or a POST, with the token in the header or in the body of a POST (RFC
6750 2.1, 2.2). The response is JSON, or a signed JWT for clients that registered for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import flask
from flask import Response

from ..errors import InvalidRequestError, InvalidTokenError, OAuth2Error
from ..models.client import Client
from ..protocol.contract import Server
from ..protocol.declarations import Route
from ..protocol.feature import EVERYBODY, ClientField, Feature
from ..protocol.state import request_state
from ..protocol.token_description import user_claims
from ..resource_server import access_token
from ..resource_server.require import tell_of_use
from ..resource_server.www_authenticate import challenge
from ..users.claims import SCOPE_CLAIMS
from ..wire.jws import ALGORITHMS


class UserinfoFeature(Feature):
    """OIDC Core 5.3: the userinfo endpoint."""

    name = "userinfo"
    client_fields = (
        ClientField(
            "userinfo_signed_response_alg",
            "What its userinfo is signed with; plain JSON where it says nothing.",
            choices=ALGORITHMS,
            said_by=EVERYBODY,
        ),
    )

    def routes(self, server: Server) -> Iterable[Route]:
        yield Route("userinfo", "/userinfo", userinfo, ("GET", "POST"), "endpoint")

    def metadata(self, server: Server) -> Mapping[str, Any]:
        return {
            "userinfo_endpoint": server.url_of("userinfo"),
            "userinfo_signing_alg_values_supported": list(ALGORITHMS),
        }


def userinfo(server: Server) -> Response:
    """Respond with the claims about the user that the token gives access to."""
    scopes, posted = ("openid",), _token_of_body()
    try:
        token = access_token.acquire(server, posted, scopes)
        user = None if token.is_machine else server.users.load(token.subject)
        if user is None:
            raise InvalidTokenError()
    except OAuth2Error as error:
        return challenge(error, scopes)
    tell_of_use(server, token, token.scope & {*SCOPE_CLAIMS, *server.settings.openid_claims})
    client = cast(Client, request_state().client)
    released = user_claims(server, client, token.subject, user, token.scope)
    algorithm = client.client_metadata.get("userinfo_signed_response_alg")
    if algorithm is None:
        return flask.jsonify(released)
    server.keys.prepare()
    released |= {"iss": server.issuer, "aud": client.client_id}
    return Response(server.keys.sign(released, algorithm), mimetype="application/jwt")


def _token_of_body() -> str | None:
    """Return the token of a POSTed form, or None if there is none.

    Raises `InvalidRequestError` if the request has an Authorization header too.
    """
    incoming = flask.request
    token = incoming.form.get("access_token")
    if token and "Authorization" in incoming.headers:
        raise InvalidRequestError("The access token is sent by more than one method.")
    return token or None
