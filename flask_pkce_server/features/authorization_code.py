"""Authorization code: the grant in which the browser carries a code to the client.

RFC 6749 4.1. A code is valid for a minute by default, can be used once, and is bound to its
client, redirect URI, code_challenge and user. A second redemption that would have been valid
revokes the tokens that the first one issued (RFC 9700 2.1.1, 4.5).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc6749.hooks import hooked
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from ..errors import (
    AccessDeniedError,
    InvalidGrantError,
    InvalidRequestError,
    UnauthorizedClientError,
)
from ..models import authorization_code, consent
from ..models.authorization_code import STORED_CODE, AuthorizationCode, store_resting_on
from ..models.grant import Grant, revoke_one
from ..models.pruning import Prunable
from ..models.rows import insert_rows
from ..protocol.contract import Server
from ..protocol.feature import Feature
from ..protocol.grant_type import (
    REPLAYED,
    UNKNOWN,
    ConsentWithdrawn,
    GrantType,
    Redemption,
    check_as_read,
)
from ..protocol.issuance import new_grant
from ..signals import authorization_denied, authorization_granted, code_replayed, tell, token_issued
from ..wire.handle import CODE, digest, new_handle, new_identifier

_UNKNOWN = "The code is unknown, expired, or not this client's."


class SingleUseCodeGrant(GrantType, grants.AuthorizationCodeGrant):
    """Authlib's grant, with single-use codes and mandatory PKCE."""

    # The authorization endpoint.

    def validate_authorization_request(self) -> str:
        """Check the response type and the payload; return the validated redirect URI."""
        request = self.request
        if not request.client.check_response_type(request.payload.response_type):
            raise UnauthorizedClientError("The client is not registered for this response_type.")
        self.validate_authorization_request_payload(request.valid_redirect_uri)
        return request.valid_redirect_uri or ""

    @hooked  # type: ignore[untyped-decorator] # Authlib has no types
    def validate_authorization_request_payload(self, redirect_uri: str | None) -> None:
        """Check the scopes; a hook that runs afterwards checks the code_challenge."""
        request = self.request
        payload = request.payload
        request.scopes = self.server.scopes.asked_by(
            request.client, payload.scope, payload.datalist.get("resource", [])
        )

    def create_authorization_response(self, redirect_uri: str, grant_user: Any) -> dict[str, str]:
        """Issue a code to `grant_user`; return the parameters of the authorization response.

        Raises `AccessDeniedError` without a user, and `InvalidRequestError` for a request
        without a code_challenge or one that was used before.
        """
        request, server = self.request, self.server
        client_id = request.client.client_id
        if not grant_user:
            tell(
                authorization_denied,
                server.app,
                client_id=client_id,
                subject=server.users.subject_of(request.user),
            )
            raise AccessDeniedError("The user did not allow the access.")
        if request.code_challenge is None or request.valid_redirect_uri is None:
            # Checked again where the code is issued, in case the hook did not run (RFC 9700 2.1.1).
            raise InvalidRequestError("code_challenge is missing; PKCE is required (RFC 7636).")
        now, since = server.now(), request.client.changed_at
        subject = server.users.subject_of(grant_user)

        def made() -> tuple[str, Grant, AuthorizationCode]:
            handle = new_handle(CODE)
            grant = new_grant(server, request, grant_id=new_identifier(), subject=subject)
            code = AuthorizationCode(
                digest=digest(handle),
                grant_id=grant.grant_id,
                redirect_uri=request.valid_redirect_uri,
                code_challenge=request.code_challenge,
                issued_at=now,
                expires_at=now + server.settings.authorization_code_lifetime,
            )
            return handle, grant, code

        def decided(session: Session) -> tuple[str, str]:
            if not all(use_up(session) for use_up in request.used_up):
                # The exception rolls back those that were used up before this one.
                raise InvalidRequestError("This request was used before. Start again in the app.")
            if request.rests_on and not consent.hold(session, request.rests_on, now, since):
                raise ConsentWithdrawn
            if request.consented:
                consent.remember(session, request.consented, now, request.until, since)
            handle, grant, code = made()
            session.add_all([grant, code])
            return handle, grant.grant_id

        def remembered(connection: Connection) -> tuple[str, str]:
            handle, grant, code = made()
            insert_rows(connection, [grant])
            if request.rests_on is None:
                insert_rows(connection, [code])
            elif not store_resting_on(connection, code, request.rests_on, now, since):
                revoke_one(connection, grant.grant_id, now)
                return "", ""
            return handle, grant.grant_id

        if request.consented or request.used_up:
            handle, grant_id = server.store.write(decided)
        else:
            # Nothing else is stored: without a transaction, it takes two round trips.
            handle, grant_id = server.store.in_steps(remembered)
        if not handle:
            raise ConsentWithdrawn
        tell(
            authorization_granted,
            server.app,
            client_id=client_id,
            subject=subject,
            scopes=request.scopes,
            grant_id=grant_id,
        )
        return {"code": handle}

    # The token endpoint.

    @hooked  # type: ignore[untyped-decorator] # Authlib has no types
    def validate_token_request(self) -> None:
        """Check everything but the code_verifier, which a hook checks afterwards."""
        form = self.request.form
        handle = form.get("code")
        code = self.stored(STORED_CODE, CODE, handle)
        client = self.check_client()
        if not handle:
            raise InvalidRequestError("code is missing.")
        if code is None or code.client_id != client.client_id:
            # No client can probe for or consume another client's codes.
            raise InvalidGrantError(_UNKNOWN)
        # OAuth 2.1 drops this parameter because PKCE replaces it; a value that differs is
        # refused all the same.
        if form.get("redirect_uri", code.redirect_uri) != code.redirect_uri:
            raise InvalidGrantError("redirect_uri is not the one that the code was sent to.")
        self.request.authorization_code = code
        self.rest_on(code.grant, is_spent=code.consumed_at is not None)
        self.request.scopes = self.request.granted_scopes

    def issue_tokens(self) -> dict[str, Any]:
        """Consume the code and issue tokens for it, in one transaction."""
        server, request = self.server, self.request
        code, proof = request.authorization_code, request.proven_challenge
        if proof is None:
            # Checked again where the tokens are issued: no proof, no tokens.
            raise InvalidGrantError("The code_verifier was not proven.")
        # A replayed code only has its tokens revoked; its user may be gone by then.
        grant = code.grant
        user = None if code.consumed_at is not None else self.find_user(grant.subject)

        def redeem(connection: Connection) -> Redemption:
            now = server.now()
            if authorization_code.consume(connection, code, proof, now):
                return self.issue(connection, grant=grant, user=user, now=now)
            current = STORED_CODE.first(connection, digest=code.digest)
            check_as_read(code, current, now)
            if current is None or current.consumed_at is None:
                return UNKNOWN
            revoke_one(connection, grant.grant_id, now)
            return REPLAYED

        redemption = server.store.transaction(redeem)
        facts = {
            "client_id": grant.client_id,
            "subject": grant.subject,
            "grant_id": grant.grant_id,
        }
        if redemption is REPLAYED:
            tell(code_replayed, server.app, **facts)
            raise InvalidGrantError("The code was used before; all that it gave is revoked.")
        if redemption is UNKNOWN:
            raise InvalidGrantError(_UNKNOWN)
        tell(token_issued, server.app, scopes=request.scopes, **facts)
        return redemption.body


class AuthorizationCodeFeature(Feature):
    """RFC 6749 4.1: the authorization code grant."""

    name = "authorization_code"
    core = True

    grants = (SingleUseCodeGrant,)

    def prune(self, server: Server) -> Iterable[Prunable]:
        yield authorization_code.expired(server.now())
