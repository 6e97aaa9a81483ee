"""Userinfo: what the access token may know about the user (OIDC Core 5.3).

By GET or POST, the token in the header or in the body of a POST (RFC 6750 2.1, 2.2);
JSON, or a signed JWT for the clients that registered it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import flask
from flask import Response, g

from ..errors import InvalidRequestError, InvalidTokenError, OAuth2Error
from ..models.client import Client
from ..protocol.declarations import Route
from ..protocol.feature import ClientField, Feature
from ..protocol.server import Server, current_server
from ..resource_server import access_token
from ..resource_server.www_authenticate import challenge
from ..signals import tell, token_used
from ..users import claims
from ..wire.jws import ALGORITHMS


class UserinfoFeature(Feature):
    """OIDC Core 5.3: the userinfo endpoint."""

    name = "userinfo"
    client_fields = (
        ClientField(
            "userinfo_signed_response_alg",
            "What its userinfo is signed with; plain JSON where it says nothing.",
            choices=ALGORITHMS,
        ),
    )

    def routes(self, server: Server) -> Iterable[Route]:
        yield Route("userinfo", "/userinfo", userinfo, ("GET", "POST"), "endpoint")

    def metadata(self, server: Server) -> Mapping[str, Any]:
        return {
            "userinfo_endpoint": server.url_of("userinfo"),
            "userinfo_signing_alg_values_supported": list(ALGORITHMS),
        }


def userinfo() -> Response:
    """Answer with the claims about the user that the token opens."""
    server, scopes, posted = current_server, ("openid",), _token_of_body()
    try:
        token = access_token.acquire(posted, scopes)
        user = None if token.is_machine else server.users.load(token.subject)
        if user is None:
            raise InvalidTokenError()
    except OAuth2Error as error:
        return challenge(error, scopes)
    tell(
        token_used,
        server.app,
        client_id=token.client_id,
        subject=token.subject,
        scopes=token.scope & {*claims.SCOPE_CLAIMS, *server.settings.openid_claims},
        family_id=token.family_id,
    )
    client: Client = g._pkce_client
    names = claims.opened_by(token.scope, server.settings.openid_claims)
    said = {
        **claims.select(server.users.claims_of(user), names),
        "sub": server.subject_for(client, token.subject),
    }
    algorithm = client.client_metadata.get("userinfo_signed_response_alg")
    if algorithm is None:
        return flask.jsonify(said)
    server.keys.prepare()
    signed = server.keys.sign({**said, "iss": server.issuer, "aud": client.client_id}, algorithm)
    return Response(signed, mimetype="application/jwt")


def _token_of_body() -> str | None:
    """Return the token of a POSTed form, None if it comes in the header."""
    incoming = flask.request
    token = incoming.form.get("access_token")
    if token and "Authorization" in incoming.headers:
        raise InvalidRequestError("The access token is sent by more than one method.")
    return token or None
