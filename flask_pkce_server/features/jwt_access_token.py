"""JWT access token: a token that an API verifies without asking this server (RFC 9068).

Opt-in, for the whole server, for a client, or for the scopes of an API outside this app.
Each JWT has a row in the token table, like an opaque token: it is revoked with its grant
and can be introspected.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import InvalidRequestError
from ..models.client import Client
from ..models.token import Token
from ..protocol.contract import Server
from ..protocol.feature import ClientField, Feature
from ..protocol.request import Request
from ..protocol.token_description import read_claims, token_claims
from ..protocol.token_response import TokenResponse
from ..wire.handle import base64url

_TYPES = {"at+jwt", "application/at+jwt"}


def check_format(server: Server, client: Client, value: Any) -> None:
    """Refuse JWTs for a pairwise client, which must not learn the users' public subjects."""
    if value == "jwt" and server.is_pairwise(client):
        raise InvalidRequestError("A pairwise client has opaque access tokens.")


class JwtAccessTokenFeature(Feature):
    """RFC 9068: access tokens as signed JWTs."""

    name = "jwt_access_token"
    client_fields = (
        ClientField(
            "access_token_format",
            "Whether its access tokens are JWTs; as the server has it where it says nothing.",
            choices=("jwt", "opaque"),
            check=check_format,
        ),
    )

    def check_token_request(self, server: Server, request: Request) -> None:
        if is_jwt(server, request, audience_of(server, request.granted_scopes, request.resources)):
            server.keys.prepare()

    def complete_token_response(self, server: Server, response: TokenResponse) -> None:
        request, token = response.request, response.access
        audience = audience_of(server, token.scope, request.resources)
        if audience != [server.issuer]:
            token.audience = audience
        if not is_jwt(server, request, audience):
            return
        claims = {
            **token_claims(server, token, response.user, token.scope),
            "sub": token.subject or token.client_id,
            "jti": base64url(token.digest),
        }
        if request.wants_jwt and token.grant.sid is not None:
            # SDKs that read access tokens use it to watch the session.
            claims["sid"] = server.sid_for(request.client, token.grant.sid)
        response.body["access_token"] = server.keys.sign(
            claims, server.settings.jwt_access_token_alg, typ="at+jwt"
        )

    def read_token(self, server: Server, text: str) -> Token | None:
        claims = server.keys.verify(text, _TYPES)
        if claims is None or claims.get("iss") != server.issuer:
            return None
        return read_claims(claims)


def is_jwt(server: Server, request: Request, audience: list[str]) -> bool:
    """Return whether the client of a token request gets a JWT for `audience`."""
    client: Client = request.client
    token_format = client.client_metadata.get("access_token_format")
    if token_format is None and not (
        server.settings.access_token_format == "jwt" or request.wants_jwt
    ):
        # An API outside this app cannot look into our database.
        is_here = audience == [server.issuer] or server.resources.here.issuperset(audience)
        token_format = "opaque" if is_here else "jwt"
    # A JWT reveals the public subject of the user.
    return token_format != "opaque" and not server.is_pairwise(client)


def audience_of(server: Server, scopes: frozenset[str], asked: Iterable[str] = ()) -> list[str]:
    """Return the audience of a token, as URIs: the resources in `asked`, if there are any.

    Otherwise, `scopes` determine the audience (RFC 9068 3): the APIs outside this app that
    they belong to, and this app for all other scopes.
    """
    if asked:
        return list(dict.fromkeys(asked))
    elsewhere = server.resources.elsewhere
    audience = [uri for uri, api_scopes in elsewhere.items() if scopes & api_scopes]
    elsewhere_scopes = frozenset[str]().union(*elsewhere.values())
    return [server.issuer, *audience] if scopes - elsewhere_scopes or not audience else audience
