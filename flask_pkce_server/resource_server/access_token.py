"""Access token: the one that came with a request, found and checked (RFC 6750 2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import flask
from authlib.integrations.flask_oauth2 import ResourceProtector
from authlib.oauth2.rfc6750 import BearerTokenValidator
from sqlalchemy import select

from ..errors import InsufficientScopeError, InvalidTokenError
from ..models.client import Client
from ..models.token import Token, find_holder
from ..protocol.contract import Server
from ..protocol.resources import Resource
from ..protocol.state import RequestState, request_state
from ..wire.handle import ACCESS, digest, is_handle
from ..wire.resource_uri import canonical

#: Authlib's reading of the Authorization header; what the token is worth is judged here.
_protector = ResourceProtector()
_protector.register_token_validator(BearerTokenValidator())


def read_header() -> str:
    """Return the token of the Authorization header; raises an `OAuth2Error` if there is none."""
    text: str = _protector.parse_request_authorization(flask.request)[1]
    return text


def find(server: Server, text: str, state: RequestState) -> Token | None:
    """Return the access token `text`: by one statement, and without a commit.

    By none for a JWT, where the host gave up to see that it was revoked. Notes in `state`
    which client has it.
    """
    if is_handle(text, ACCESS):
        return _find_stored(server, digest(text), state)
    described = server.hooks.read_token(server, text)
    if described is None or not server.settings.jwt_access_token_check_revocation:
        return described
    return _find_stored(server, described.digest, state)


def _find_stored(server: Server, token_digest: bytes, state: RequestState) -> Token | None:
    with server.store.reading() as session:
        found = session.execute(
            select(Token, Client)
            .join(Client, Client.client_id == Token.client_id)
            .where(Token.digest == token_digest, Token.kind == "access")
        ).first()
    if found is None:
        return None
    token: Token = found.Token
    holder: Client | None = found.Client
    if token.actors:
        with server.store.reading() as session:
            holder = find_holder(session, token)
    if holder is None:
        return None
    state.client = holder
    return token


def check(
    server: Server,
    token: Token | None,
    scopes: Iterable[str],
    resource: Resource | None = None,
    *,
    for_any_api: bool = False,
) -> Token:
    """Return `token` if it is live, for `resource` or for the app, and has all of `scopes`.

    Raises `InvalidTokenError` or `InsufficientScopeError` (RFC 6750 3.1).
    """
    if token is None or not token.is_live(server.now()):
        raise InvalidTokenError()
    if not for_any_api and not _is_meant(server, token.bindings, resource):
        raise InvalidTokenError()
    if not token.scope.issuperset(scopes):
        raise InsufficientScopeError()
    server.hooks.check_token_use(server, token, resource)
    return token


def _is_meant(server: Server, bindings: dict[str, Any], resource: Resource | None) -> bool:
    """Say whether a token is for `resource`, or for the app as a whole (RFC 9068 4, RFC 8707 2)."""
    audience = bindings.get("audience")
    if resource is not None:
        return canonical(resource.uri) in map(canonical, audience or [server.issuer])
    return audience is None or server.issuer in audience


def acquire(server: Server, text: str | None, scopes: tuple[str, ...]) -> Token:
    """Return the access token `text`, or that of the Authorization header, as it is stored.

    For whatever API it is: `openid` opens userinfo beside that one (OIDC Core 5.3). Raises an
    `OAuth2Error`, for `challenge` to tell, unless it is live and has `scopes`.
    """
    state = request_state()
    found = find(server, read_header() if text is None else text, state)
    token = check(server, found, scopes, for_any_api=True)
    if not token.family_id:
        # A JWT that the database was not asked about yet.
        token = check(server, _find_stored(server, token.digest, state), scopes, for_any_api=True)
    return token
