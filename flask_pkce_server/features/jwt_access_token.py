"""JWT access token: a token that an API verifies by itself (RFC 9068).

Opt-in, for the whole server, for a client, or for the scopes of an API that lies beside
this app. Each JWT stands for a row of the token table, as an opaque token does: it is
revoked with its family, and introspected like any other.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import InvalidRequestError
from ..models.client import Client
from ..models.token import EXCHANGED, NOBODY, Token
from ..protocol.feature import ClientField, Feature
from ..protocol.grant import TokenResponse
from ..protocol.request import Request
from ..protocol.server import Server, current_server
from ..wire.handle import base64url

_TYPES = {"at+jwt", "application/at+jwt"}
_MACHINE = "client_credentials"


def check_format(server: Server, client: Client, value: Any) -> None:
    """Refuse JWTs for a client that must not learn the users' own subjects."""
    if value == "jwt" and server.subject_for(client, "subject") != "subject":
        raise InvalidRequestError("A pairwise client has opaque access tokens.")


class JwtAccessTokenFeature(Feature):
    """RFC 9068: access tokens as signed JWTs."""

    name = "jwt_access_token"
    settings = (
        "PKCE_JWT_ACCESS_TOKEN",
        "PKCE_JWT_ACCESS_TOKEN_ALG",
        "PKCE_JWT_ACCESS_TOKEN_RESOURCES",
        "PKCE_JWT_ACCESS_TOKEN_CHECK_REVOCATION",
    )
    client_fields = (
        ClientField(
            "access_token_format",
            "Whether its access tokens are JWTs; as the server has it where it says nothing.",
            choices=("jwt", "opaque"),
            check=check_format,
        ),
    )

    def check_token_request(self, request: Request) -> None:
        if is_jwt(current_server, request, request.granted_scopes):
            current_server.keys.prepare()

    def complete_token_response(self, response: TokenResponse) -> None:
        server, request, token = response.server, response.request, response.access
        audience = audience_of(server, token.scope, request.resources)
        if audience != [server.issuer]:
            token.bindings = {**token.bindings, "audience": audience}
        if not is_jwt(server, request, token.scope):
            return
        bound = token.bindings.get("openid", {})
        claims = {
            "iss": server.issuer,
            # RFC 9068 2.2: where no user is, the client. Which of both, a claim of ours says:
            # somebody's subject may be the client_id of an app.
            "sub": token.subject or token.client_id,
            "aud": audience[0] if len(audience) == 1 else audience,
            "client_id": token.holder,
            "exp": token.expires_at,
            "iat": token.issued_at,
            "jti": base64url(token.digest),
            "scope": " ".join(sorted(token.scope)),
            **token.act,
            # RFC 9068 2.2.1
            **{name: bound[name] for name in ("auth_time", "acr", "amr") if name in bound},
            # An SDK that reads it watches the session by it.
            **{name: bound[name] for name in ("sid",) if request.wants_jwt and name in bound},
        }
        if token.is_machine:
            claims["grant_type"] = _MACHINE
        response.body["access_token"] = server.keys.sign(
            claims, server.settings.jwt_access_token_alg, typ="at+jwt"
        )

    def read_token(self, server: Server, text: str) -> Token | None:
        claims = server.keys.verify(text, _TYPES)
        if claims is None or claims.get("iss") != server.issuer:
            return None
        return _as_token(claims)


def is_jwt(server: Server, request: Request, scopes: frozenset[str]) -> bool:
    """Say whether the client of a token request is given a JWT for `scopes`."""
    client: Client = request.client
    if server.subject_for(client, "subject") != "subject":
        # A JWT tells everybody the user's own subject.
        return False
    here = {server.issuer, *(one.uri for one in server.own_resources.values())}
    elsewhere = not here.issuperset(audience_of(server, scopes, request.resources))
    jwt = server.settings.jwt_access_token or request.wants_jwt or elsewhere
    usual = "jwt" if jwt else "opaque"
    return bool(client.client_metadata.get("access_token_format", usual) == "jwt")


def audience_of(server: Server, scopes: frozenset[str], asked: Iterable[str] = ()) -> list[str]:
    """Return whom a token with `scopes` is for: this app, and the APIs that they open.

    Those that were `asked` for. RFC 9068 3: where no resource was named, the scopes tell it.
    """
    if asked:
        return list(dict.fromkeys(asked))
    resources = server.settings.jwt_access_token_resources
    audience = [uri for uri, its in resources.items() if scopes & set(its)]
    theirs = {scope for its in resources.values() for scope in its}
    return [server.issuer, *audience] if scopes - theirs or not audience else audience


def _as_token(claims: Mapping[str, Any]) -> Token | None:
    """Return the token that the verified `claims` of a JWT describe, without the database."""
    audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    try:
        digest = base64.urlsafe_b64decode(claims["jti"] + "=")
    except (binascii.Error, ValueError):
        return None
    actors, act = [], claims.get("act")
    while act:
        actors.append(act["sub"])
        act = act.get("act")
    return Token(
        digest=digest,
        kind="access",
        family_id="",
        client_id=claims["client_id"],
        subject=NOBODY if claims.get("grant_type") == _MACHINE else claims["sub"],
        scope=frozenset(claims["scope"].split()),
        bindings={"audience": audience, **({EXCHANGED: {"actors": actors}} if actors else {})},
        issued_at=claims["iat"],
        expires_at=claims["exp"],
    )
