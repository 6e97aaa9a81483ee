"""Introspection: an API asks whether a token is active and what it grants (RFC 7662).

A confidential client can introspect its own tokens. A client that is registered as a resource
server can also introspect the access tokens for the APIs that it serves, and then sees only its
own scopes. For all other tokens, for those of a user who is gone or inactive, and for text that
is not a token, the answer is the same: not active.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import flask
from authlib.consts import default_json_headers
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from flask import Response

from ..errors import InvalidClientError, InvalidRequestError
from ..models.client import Client
from ..models.token import Token
from ..protocol.contract import Server
from ..protocol.declarations import Route
from ..protocol.feature import ClientField, Feature
from ..protocol.request import Request
from ..protocol.state import request_state
from ..protocol.token_description import token_claims, user_claims
from ..wire.jws import ALGORITHMS

#: RFC 9701 5: the media type of an answer that is a signed JWT.
_JWT = "application/token-introspection+jwt"


class TokenIntrospection(IntrospectionEndpoint):
    """Authlib's endpoint, restricted to confidential clients and ignoring the hint.

    Authlib 1.9.8 refuses an unknown token_type_hint, which may be ignored (RFC 7662 2.1).
    """

    def create_endpoint_response(self, request: Request) -> tuple[int, dict[str, Any], Any]:
        client: Client = self.authenticate_endpoint_client(request)
        if client.is_public:
            raise InvalidClientError("Introspection is for confidential clients.")
        text = request.form.get("token")
        if not text:
            raise InvalidRequestError("token is missing.")
        server: Server = self.server
        body = describe(server, server.find_token(text), client)
        # The answer is for the client that asked, not for the client of the token.
        request_state().client = client
        return 200, body, default_json_headers


def describe(server: Server, token: Token | None, client: Client) -> dict[str, Any]:
    """Return what `client` may learn about `token` (RFC 7662 2.2)."""
    if token is None or not token.is_live(server.now()):
        return {"active": False}
    scopes = token.scope
    if token.check_client(client):
        owner: Client | None = client
    elif token.kind == "access" and _is_meant_for(server, token, client):
        owner = server.find_client(token.holder)
        scopes = scopes if client.scope is None else scopes & client.scope
    else:
        owner = None
    user = None if owner is None or token.is_machine else server.users.load(token.subject)
    if owner is None or (user is None and not token.is_machine):
        return {"active": False}
    description = {"active": True, **token_claims(server, token, user, scopes)}
    if user is not None:
        asked = ("preferred_username", "name")
        told = user_claims(server, owner, token.subject, user, scopes, asked)
        description["sub"] = told["sub"]
        # It says who it is, so it needs the scope that releases these claims: `profile`.
        name = told.get("preferred_username", told.get("name"))
        if name is not None:
            description["username"] = name
    if token.kind == "access":
        description["token_type"] = "Bearer"
    return description


def check_resources(server: Server, client: Client, value: Any) -> None:
    """Refuse APIs of a client that is none, and APIs for which no tokens are issued."""
    if "resource_server" not in client.client_metadata:
        raise InvalidRequestError("resources are for a client with resource_server.")
    if not server.resources.are_known(value):
        raise InvalidRequestError(
            "resources are the APIs that this server knows: the issuer, and those of "
            "PKCE_JWT_ACCESS_TOKEN_RESOURCES, pkce.resource and pkce.mcp."
        )


class IntrospectionFeature(Feature):
    """RFC 7662: the introspection endpoint."""

    name = "introspection"
    client_fields = (
        ClientField(
            "resource_server",
            "Whether it is an API that may look at the access tokens that are for it.",
            kind=bool,
        ),
        ClientField(
            "resources",
            "An API that such a client serves, by its URI; the issuer if none is given.",
            kind=list[str],
            check=check_resources,
        ),
        ClientField(
            "introspection_signed_response_alg",
            "What introspection answers are signed with when it asks for a JWT.",
            choices=ALGORITHMS,
            said_by=("operator", "client"),
        ),
    )

    endpoints = (TokenIntrospection,)

    def routes(self, server: Server) -> Iterable[Route]:
        yield Route("introspect", "/introspect", introspect, ("POST",), "endpoint")

    def metadata(self, server: Server) -> Mapping[str, Any]:
        return {
            "introspection_endpoint": server.url_of("introspect"),
            "introspection_endpoint_auth_methods_supported": server.registrar.auth_methods[1:],
            "introspection_signing_alg_values_supported": list(ALGORITHMS),
        }


def introspect(server: Server) -> Response:
    """Answer an introspection request with JSON or, if the client asks for it, a signed JWT."""
    response: Response = server.create_endpoint_response("introspection")
    if response.status_code != 200 or _JWT not in flask.request.headers.get("Accept", ""):
        return response
    client = cast(Client, request_state().client)
    server.keys.prepare()
    signed = server.keys.sign(
        {
            "iss": server.issuer,
            "aud": client.client_id,
            "iat": server.now(),
            "token_introspection": response.get_json(),
        },
        client.client_metadata.get("introspection_signed_response_alg", "RS256"),
        typ="token-introspection+jwt",
    )
    return Response(signed, mimetype=_JWT)


def _is_meant_for(server: Server, token: Token, client: Client) -> bool:
    """Say whether `client` is a resource server that `token` is meant for (RFC 7662 4)."""
    metadata = client.client_metadata
    if not metadata.get("resource_server"):
        return False
    # An API that exchanges tokens has said already what it serves (RFC 8693).
    served = metadata.get("resources") or metadata.get("token_exchange_from") or [server.issuer]
    if not any(token.is_for(uri, server.issuer) for uri in served):
        return False
    return client.scope is None or bool(token.scope & client.scope)
