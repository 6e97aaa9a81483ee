"""Refresh token: keeps a client's access without the user, until it is revoked (RFC 6749 6).

Each use exchanges the token for its successor. Reuse of a token shows that two parties
hold it, and revokes its grant (RFC 9700 4.14.2). A client that lost the response
may repeat the request within `PKCE_REFRESH_TOKEN_GRACE` seconds and gets the same response:
successors are derived from the presented token, so no token is stored in clear text.
"""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749 import grants
from sqlalchemy.engine import Connection

from ..errors import (
    DeadRefreshTokenError,
    InvalidRequestError,
    InvalidScopeError,
    InvalidTargetError,
)
from ..i18n import translatable
from ..models import token as tokens
from ..models.grant import revoke_one
from ..models.token import STORED_TOKEN, Token
from ..protocol.contract import Server
from ..protocol.feature import Feature
from ..protocol.grant_type import (
    REPLAYED,
    SUCCESSOR,
    UNKNOWN,
    GrantType,
    Outcome,
    Redemption,
    check_as_read,
)
from ..protocol.token_response import TokenResponse
from ..signals import tell, token_refreshed, token_reuse_detected
from ..wire.handle import REFRESH


class RotatingRefreshTokenGrant(GrantType, grants.RefreshTokenGrant):
    """Authlib's grant, with refresh tokens that are consumed by use and detected on reuse."""

    def validate_token_request(self) -> None:
        """Check the client, its token and the scopes; write nothing."""
        form = self.request.form
        handle = form.get("refresh_token")
        token = self.stored(STORED_TOKEN, REFRESH, handle)
        client = self.check_client()
        if not handle:
            raise InvalidRequestError("refresh_token is missing.")
        if token is None or not token.check_client(client):
            raise DeadRefreshTokenError()
        if token.has_lost_offline_access:
            raise DeadRefreshTokenError()
        self.rest_on(token.grant, is_spent=token.consumed_at is not None)
        self.request.refresh_token = token
        requested = frozenset(form.get("scope", "").split(" ")) - {""}
        if not requested <= self.request.granted_scopes:
            raise InvalidScopeError("A refresh may ask for fewer scopes, not for others.")
        self.request.scopes = requested or self.request.granted_scopes

    def issue_tokens(self) -> dict[str, Any]:
        """Consume the token and issue its successor, in one transaction."""
        server, request = self.server, self.request
        token: Token = request.refresh_token
        user = self.find_user(token.subject)

        facts = {
            "grant": token.grant,
            "user": user,
            "parent": request.form["refresh_token"],
        }

        def rotate(connection: Connection) -> Redemption:
            now = server.now()
            if tokens.consume(connection, token, now):
                return self.issue(connection, now=now, **facts)
            current = STORED_TOKEN.first(connection, digest=token.digest)
            check_as_read(token, current, now)
            if current is None or current.consumed_at is None or not current.grant.is_live(now):
                return UNKNOWN
            # It may be consumed in the future: by a request that read the clock later but locked
            # the row first, or before the clock was put back, which lengthens no grace.
            if abs(now - current.consumed_at) < server.settings.refresh_token_grace:
                # Made as of that time, so that the response is the same, even its times.
                return self.repeat(connection, now, current.consumed_at, facts)
            revoke_one(connection, token.grant_id, now)
            return REPLAYED

        redemption = server.store.transaction(rotate)
        event = {
            "client_id": token.client_id,
            "subject": token.subject,
            "grant_id": token.grant_id,
        }
        if redemption is REPLAYED:
            tell(token_reuse_detected, server.app, **event)
            raise DeadRefreshTokenError("The refresh token was used before; its grant is revoked.")
        if redemption is UNKNOWN:
            raise DeadRefreshTokenError()
        tell(token_refreshed, server.app, scopes=request.scopes, **event)
        return redemption.body

    def repeat(
        self, connection: Connection, now: int, consumed_at: int, facts: dict[str, Any]
    ) -> Redemption:
        """Repeat the response that was made from `facts` at `consumed_at` (epoch seconds).

        The outcome is unknown, and nothing is revoked, if it was derived with a secret that this
        process does not accept: another worker may have made it during a change of the secret.
        """
        for key in reversed(self.server.accepted_keys(SUCCESSOR)):
            response = self.token_response(now=consumed_at, successor_key=key, **facts)
            redemption = repeat(connection, response, now)
            if redemption is not UNKNOWN:
                return redemption
        return UNKNOWN


def repeat(connection: Connection, response: TokenResponse, now: int) -> Redemption:
    """Repeat the response of an earlier refresh, unless its tokens were used or revoked since.

    The grace period covers only the immediate predecessor: once the successor is consumed, a
    repeated request is a replay. The outcome is unknown if no token of `response` is stored.
    """
    issued = [row for row in response.rows if isinstance(row, Token)]
    stored = [STORED_TOKEN.first(connection, digest=token.digest) for token in issued]
    if not any(stored):
        return UNKNOWN
    for token, earlier in zip(issued, stored, strict=True):
        if earlier is None or not earlier.is_live(now):
            revoke_one(connection, response.grant.grant_id, now)
            return REPLAYED
        # The grant may have been narrowed since, before it was read or after.
        if token.issued_scope != earlier.issued_scope and token.scope != earlier.scope:
            raise InvalidScopeError("A repeated refresh asks for the same scopes.")
        if earlier.audience != token.audience:
            raise InvalidTargetError("A repeated refresh asks for the same resources.")
        if earlier.kind == "access":
            response.body["expires_in"] = earlier.expires_at - now
    return Redemption(Outcome.ISSUED, response.body)


class RefreshTokenFeature(Feature):
    """RFC 6749 6: refreshing an access token."""

    name = "refresh_token"
    scopes = {  # noqa: RUF012 - a constant
        "offline_access": translatable(
            "Keep this access when you are not using the app, until you remove it"
        )
    }

    grants = (RotatingRefreshTokenGrant,)

    def complete_token_response(self, server: Server, response: TokenResponse) -> None:
        settings = server.settings
        if response.access.is_machine or response.access.actors:
            # RFC 6749 4.4.3: the client uses its credentials again, or exchanges another token.
            return
        if response.parent is None and not (
            response.request.client.check_grant_type("refresh_token")
            and (settings.refresh_token_when == "always" or "offline_access" in response.scopes)
        ):
            return
        # RFC 6749 6: the scope of the grant, even if the access token has less.
        response.body["refresh_token"], _ = response.add(
            "refresh", REFRESH, settings.refresh_token_lifetime, response.scopes
        )
