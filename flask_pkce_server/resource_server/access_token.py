"""Access token: the one that came with a request, found and checked (RFC 6750 2)."""

from __future__ import annotations

from typing import Any, cast

from authlib.integrations.flask_oauth2 import ResourceProtector
from authlib.oauth2.rfc6750 import BearerTokenValidator
from flask import g
from sqlalchemy import select

from ..errors import InsufficientScopeError, InvalidTokenError
from ..models.client import Client
from ..models.token import Token, find_holder
from ..protocol.resources import Resource
from ..protocol.server import current_server
from ..wire.handle import ACCESS, digest, is_handle
from ..wire.resource_uri import canonical


class AccessTokenValidator(BearerTokenValidator):
    """Accepts the access tokens of this server: one statement, no commit.

    None at all for a JWT, where the host gave up to see that it was revoked.
    """

    def authenticate_token(self, token_string: str) -> Token | None:
        if is_handle(token_string, ACCESS):
            return find(digest(token_string))
        described = current_server.read_token(token_string)
        if described is None or not current_server.settings.jwt_access_token_check_revocation:
            return described
        return find(described.digest)

    def validate_token(
        self,
        token: Token | None,
        scopes: Any,
        request: Any,
        resource: Resource | None = None,
        whatever_for: bool = False,
    ) -> None:
        server = current_server
        if token is None or not token.is_live(server.now()):
            raise InvalidTokenError()
        # RFC 9068 4, RFC 8707 2: one that is meant for another API opens nothing here.
        audience = token.bindings.get("audience", [server.issuer])
        if resource is not None:
            is_meant = canonical(resource.uri) in map(canonical, audience)
        else:
            is_meant = server.issuer in audience
        if not is_meant and not whatever_for:
            raise InvalidTokenError()
        if not token.scope.issuperset(scopes or ()):
            raise InsufficientScopeError()


protector = ResourceProtector()
validator = AccessTokenValidator()
protector.register_token_validator(validator)


def find(token_digest: bytes) -> Token | None:
    """Return the stored access token with this digest, and note whose it is."""
    with current_server.store.reading() as session:
        found = session.execute(
            select(Token, Client)
            .join(Client, Client.client_id == Token.client_id)
            .where(Token.digest == token_digest, Token.kind == "access")
        ).first()
        if found is None:
            return None
        token: Token = found.Token
        holder: Client | None = find_holder(session, token) if token.actors else found.Client
    if holder is None:
        return None
    # The CORS room asks who speaks.
    g._pkce_client = holder
    return token


def acquire(text: str | None, scopes: tuple[str, ...]) -> Token:
    """Return the access token `text`, or that of the Authorization header, as it is stored.

    For whatever API it is: `openid` opens userinfo beside that one (OIDC Core 5.3). Raises an
    `OAuth2Error`, for `challenge` to tell, unless it is live and has `scopes`.
    """
    if text is None:
        token: Token | None = protector.acquire_token(scopes, whatever_for=True)
    else:
        token = validator.authenticate_token(text)
        validator.validate_token(token, scopes, None, whatever_for=True)
    if token is not None and not token.family_id:
        # A JWT that the database was not asked about yet.
        token = find(token.digest)
        validator.validate_token(token, scopes, None, whatever_for=True)
    return cast(Token, token)
