"""Access token: finds and checks the access token of a request (RFC 6750 2)."""

from __future__ import annotations

from collections.abc import Iterable

import flask
from authlib.integrations.flask_oauth2 import ResourceProtector
from authlib.oauth2.rfc6750 import BearerTokenValidator

from ..errors import InsufficientScopeError, InvalidTokenError
from ..models.exchanged_token import find_holder
from ..models.token import STORED_TOKEN, Token
from ..protocol.contract import Server
from ..protocol.resources import Resource
from ..protocol.state import RequestState, request_state
from ..wire.handle import ACCESS, digest, is_handle

#: Authlib parses the Authorization header; this module checks the token.
_protector = ResourceProtector()
_protector.register_token_validator(BearerTokenValidator())


def read_header() -> str:
    """Return the token in the Authorization header; raises `OAuth2Error` if there is none."""
    text: str = _protector.parse_request_authorization(flask.request)[1]
    return text


def find(server: Server, text: str, state: RequestState) -> Token | None:
    """Return the access token `text`, None if there is none.

    Runs one SQL statement, a second one for an exchanged token, and no commit. Runs none for a
    JWT if `PKCE_JWT_ACCESS_TOKEN_CHECK_REVOCATION` is off. Sets `state.client` to the holder of
    a stored token.
    """
    if is_handle(text, ACCESS):
        return _find_stored(server, digest(text), state)
    described = server.hooks.read_token(server, text)
    if described is None or not server.settings.jwt_access_token_check_revocation:
        return described
    return _find_stored(server, described.digest, state)


def _find_stored(server: Server, token_digest: bytes, state: RequestState) -> Token | None:
    token = server.store.find(STORED_TOKEN, digest=token_digest)
    if token is None or token.kind != "access":
        return None
    holder = token.grant.client
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
    """Return `token` if it is live, is for `resource` or the app (None), and has all `scopes`.

    With `for_any_api`, the audience is not checked. Raises `InvalidTokenError` or
    `InsufficientScopeError` (RFC 6750 3.1), or the `OAuth2Error` of a feature.
    """
    if token is None or not token.is_live(server.now()):
        raise InvalidTokenError()
    uri = None if resource is None else resource.uri
    if not for_any_api and not token.is_for(uri, server.issuer):
        raise InvalidTokenError()
    if not token.scope.issuperset(scopes):
        raise InsufficientScopeError()
    server.hooks.check_token_use(server, token, resource)
    return token


def acquire(server: Server, text: str | None, scopes: tuple[str, ...]) -> Token:
    """Return the stored access token for `text`, or for the Authorization header if None.

    The token may be for any API, since `openid` also allows userinfo (OIDC Core 5.3). Raises
    `OAuth2Error` unless it is live and has all `scopes`; answer that with `challenge`.
    """
    state = request_state()
    presented = find(server, read_header() if text is None else text, state)
    token = check(server, presented, scopes, for_any_api=True)
    if not token.grant.grant_id:
        # A JWT that has not been looked up in the database yet.
        token = check(server, _find_stored(server, token.digest, state), scopes, for_any_api=True)
    return token
