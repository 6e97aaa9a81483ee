"""Refresh token: stay, without the user, until it is taken back (RFC 6749 6).

Each use exchanges the token for its successor. One that is used again shows that two
hold it, and ends the whole family (RFC 9700 4.14.2). A client whose network lost the
answer may ask again within `PKCE_REFRESH_TOKEN_GRACE` seconds and gets the same answer:
successors are derived from the token that came, so nothing need be kept in clear.
"""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749 import grants
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..errors import (
    DeadRefreshTokenError,
    InvalidRequestError,
    InvalidScopeError,
    InvalidTargetError,
)
from ..i18n import translatable
from ..models import token as tokens
from ..models.token import Family, Token
from ..protocol.contract import Server
from ..protocol.feature import Feature
from ..protocol.grant import REPLAYED, UNKNOWN, Grant, Outcome, Redemption, check_as_read
from ..protocol.token_response import TokenResponse
from ..signals import tell, token_refreshed, token_reuse_detected
from ..wire.handle import REFRESH, digest, is_handle


class RotatingRefreshTokenGrant(Grant, grants.RefreshTokenGrant):
    """Authlib's grant, with tokens that are spent by use and told apart from stolen ones."""

    def validate_token_request(self) -> None:
        """Check the client, its token and the scopes; nothing is written yet."""
        client, form = self.check_client(), self.request.form
        handle = form.get("refresh_token")
        if not handle:
            raise InvalidRequestError("refresh_token is missing.")
        token = self.authenticate_refresh_token(handle)
        if token is None or not token.check_client(client):
            raise DeadRefreshTokenError()
        asked = frozenset(form.get("scope", "").split(" ")) - {""}
        if not asked <= token.scope:
            raise InvalidScopeError("A refresh may ask for fewer scopes, not for others.")
        self.request.refresh_token = token
        self.request.granted_scopes = token.scope
        self.request.granted_bindings = token.bindings
        self.request.scopes = asked or token.scope

    def authenticate_refresh_token(self, refresh_token: str) -> Token | None:
        """Return the refresh token with this handle, whatever its state."""
        if not is_handle(refresh_token, REFRESH):
            return None
        return self.server.store.get(Token, digest(refresh_token))

    def issue_tokens(self) -> dict[str, Any]:
        """Consume the token and give its successor, in one transaction."""
        server, request = self.server, self.request
        token: Token = request.refresh_token
        user = self.find_user(token.subject)

        facts = {
            "family": Family(token.family_id, token.client_id, token.subject, token.bindings),
            "user": user,
            "scopes": token.scope,
            "access_scopes": request.scopes,
            "parent": request.form["refresh_token"],
        }

        def rotate(session: Session) -> Redemption:
            now = server.now()
            if tokens.consume(session, token, now):
                return self.issue(session, now=now, **facts)
            current = session.get(Token, token.digest)
            check_as_read(token, current, now)
            if current is None or current.revoked_at is not None or current.consumed_at is None:
                return UNKNOWN
            # Another's clock may have been read later and its row locked earlier.
            if max(0, now - current.consumed_at) < server.settings.refresh_token_grace:
                # Made as of then: the same answer, down to its times.
                response = self.token_response(now=current.consumed_at, **facts)
                return repeat(session, response, now)
            tokens.revoke_family(session, token.family_id, now)
            return REPLAYED

        redemption = server.store.write(rotate)
        told = {
            "client_id": token.client_id,
            "subject": token.subject,
            "family_id": token.family_id,
        }
        if redemption is REPLAYED:
            tell(token_reuse_detected, server.app, **told)
            raise DeadRefreshTokenError("The refresh token was used before; its family is revoked.")
        if redemption is UNKNOWN:
            raise DeadRefreshTokenError()
        tell(token_refreshed, server.app, scopes=request.scopes, **told)
        return redemption.body


def repeat(session: Session, response: TokenResponse, now: int) -> Redemption:
    """Give the answer that was given before, unless it was used or taken back since.

    Only the immediate predecessor is shielded: once the successor is spent, so is this.
    """
    given = [row for row in response.rows if isinstance(row, Token)]
    stored = {
        token.digest: token
        for token in session.scalars(
            select(Token).where(Token.digest.in_([token.digest for token in given]))
        )
    }
    for token in given:
        before = stored.get(token.digest)
        if before is None or not before.is_live(now):
            tokens.revoke_family(session, response.family.family_id, now)
            return REPLAYED
        if before.scope != token.scope:
            raise InvalidScopeError("A repeated refresh asks for the same scopes.")
        if before.audience != token.audience:
            raise InvalidTargetError("A repeated refresh asks for the same resources.")
        if before.kind == "access":
            response.body["expires_in"] = before.expires_at - now
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
            # RFC 6749 4.4.3: it asks with its credentials instead; or exchanges again.
            return
        if response.parent is None and not (
            response.request.client.check_grant_type("refresh_token")
            and (settings.refresh_token_when == "always" or "offline_access" in response.scopes)
        ):
            return
        # RFC 6749 6: the scope of the grant, even where the access token got less.
        response.body["refresh_token"], _ = response.add(
            "refresh", REFRESH, settings.refresh_token_lifetime, response.scopes
        )
