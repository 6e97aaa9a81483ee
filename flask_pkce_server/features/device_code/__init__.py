"""Device code: sign in on a device without a browser, with the browser of another (RFC 8628).

The device shows a code and polls the token endpoint until its user, signed in to the host app,
has typed that code here and decided. Codes can be used once and are bound to their client, and
wrong codes are counted. As RFC 10027 asks, the page says whose app it is, and warns that a
code sent by somebody else gives a stranger access.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import Any

import flask
from authlib.oauth2 import rfc8628
from flask import Response
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from ...errors import (
    AccessDeniedError,
    InvalidGrantError,
    InvalidRequestError,
    UnauthorizedClientError,
)
from ...http.rate_limit import RateLimit
from ...models import device_code
from ...models.device_code import STORED_DEVICE_CODE, DeviceCode
from ...models.grant import Grant, revoke_one
from ...models.guess import Guess
from ...models.pruning import Prunable
from ...protocol.code_proof import prove
from ...protocol.contract import Server
from ...protocol.declarations import Route
from ...protocol.feature import Feature
from ...protocol.grant_type import REPLAYED, GrantNarrowed, GrantType, Redemption
from ...signals import code_replayed, tell, token_issued
from ...wire import code_challenge
from ...wire.handle import DEVICE, digest, new_handle
from ...wire.names import DEVICE_CODE as GRANT_TYPE
from .errors import AuthorizationPendingError, ExpiredTokenError, SlowDownError
from .page import device, link_to
from .request import check_request

#: How often a caller may start a device with a client that may be anybody's.
STARTS = RateLimit("device_authorization", 30)
_UNKNOWN = "The device_code is unknown, or not this client's."
#: Client authentication, user code and code_challenge: the user does not decide on these.
_NOT_KEPT = {
    "client_id", "client_secret", "client_assertion", "client_assertion_type", "user_code",
    "code_challenge", "code_challenge_method",
}  # fmt: skip
_MAX_PARAMETER_CHARACTERS = 4000


class SingleUseDeviceCodeGrant(GrantType, rfc8628.DeviceCodeGrant):
    """Authlib's grant, with single-use codes.

    Authlib 1.9.8 issues tokens for an approved code as often as it is asked.
    """

    def validate_token_request(self) -> None:
        """Check the client, its device code and the verifier, without writing anything."""
        request = self.request
        handle = request.form.get("device_code")
        code = self.stored(STORED_DEVICE_CODE, DEVICE, handle)
        client = self.check_client()
        if not handle:
            raise InvalidRequestError("device_code is missing.")
        if code is None or code.client_id != client.client_id:
            raise InvalidGrantError(_UNKNOWN)
        request.proven_challenge = self.prove(code)
        request.credential = code
        if code.grant is not None:
            self.rest_on(code.grant, is_spent=code.consumed_at is not None)
            request.scopes = request.granted_scopes

    def prove(self, code: DeviceCode) -> str | None:
        """Return the code_challenge that the verifier proves, None for a code without one.

        Raises `InvalidGrantError` for a verifier that does not fit the code.
        """
        verifier = self.request.form.get("code_verifier")
        if code.code_challenge is None:
            if verifier is not None:
                # RFC 9700 4.8.2: an attacker may have removed the code_challenge.
                raise InvalidGrantError("code_verifier is sent, and no code_challenge was.")
            return None
        return prove(self.server, code, verifier)

    def issue_tokens(self) -> dict[str, Any]:
        """Consume the code and issue tokens for it, if its user has approved it."""
        server, request = self.server, self.request
        code: DeviceCode = request.credential
        grant = self.check_approved(code)
        user = None if code.consumed_at is not None else self.find_user(grant.subject)

        def redeem(connection: Connection) -> Redemption:
            now = server.now()
            if device_code.consume(connection, code, grant, request.proven_challenge, now):
                return self.issue(connection, grant=grant, user=user, now=now)
            current = STORED_DEVICE_CODE.first(connection, digest=code.digest)
            if current is None or current.consumed_at is None:
                # Some of it was revoked since it was read, or it has expired.
                raise GrantNarrowed
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
        tell(token_issued, server.app, scopes=request.scopes, **facts)
        return redemption.body

    def check_approved(self, code: DeviceCode) -> Grant:
        """Return what the user allowed, also for a code that was used before.

        Refuses a code that is denied, expired or still pending (RFC 8628 3.5).
        """
        now, grant = self.server.now(), code.grant
        if grant is not None and code.consumed_at is not None:
            return grant
        if code.denied_at is not None or (grant is not None and not grant.is_live(now)):
            raise AccessDeniedError("The user did not allow the access.")
        if code.expires_at <= now:
            raise ExpiredTokenError()
        if grant is None:
            in_time = self.server.store.write(lambda session: device_code.poll(session, code, now))
            raise AuthorizationPendingError() if in_time else SlowDownError()
        return grant


class DeviceCodeFeature(Feature):
    """RFC 8628: the device authorization grant."""

    name = "device_code"
    models = (DeviceCode, Guess)

    grants = (SingleUseDeviceCodeGrant,)

    def prune(self, server: Server) -> Iterable[Prunable]:
        yield device_code.expired(server.now())

    def routes(self, server: Server) -> Iterable[Route]:
        yield Route(
            "device_authorization", "/device_authorization", authorize, ("POST",), "endpoint"
        )
        yield Route("device", "/device", device, ("GET", "POST"), "page")
        if find_spec("segno") is not None:
            yield Route("device_qr", "/device/qr.svg", qr_code, ("GET",), "endpoint")

    def metadata(self, server: Server) -> Mapping[str, Any]:
        return {
            "device_authorization_endpoint": server.url_of("device_authorization"),
        }


def authorize(server: Server) -> Response:
    """Issue the two codes of a device: one to poll with, one to type (RFC 8628 3.1, 3.2)."""
    settings, request = server.settings, server.create_oauth2_request(None)
    client = server.authenticate_client(request, endpoint="device_authorization")
    if not client.check_grant_type(GRANT_TYPE):
        raise UnauthorizedClientError("The client is not registered for the device code grant.")
    request.client, data = client, request.payload.data
    if "code_challenge" in data or "code_challenge_method" in data:
        request.code_challenge = code_challenge.read(data)
    kept = request.payload.without(_NOT_KEPT)
    if kept.size > _MAX_PARAMETER_CHARACTERS:
        raise InvalidRequestError(
            f"The request of a device has at most {_MAX_PARAMETER_CHARACTERS} characters."
        )
    check_request(server, request)
    handle, now = new_handle(DEVICE), server.now()
    counted = STARTS.ask_of(server, client)

    def issue(session: Session) -> str:
        # Made here, so that a retry makes a new one: another device may have the same code.
        user_code = device_code.new_user_code()
        session.add(
            DeviceCode(
                digest=digest(handle),
                user_code_digest=device_code.keyed_digest(server.key("user codes"), user_code),
                client_id=client.client_id,
                code_challenge=request.code_challenge,
                parameters=kept.datalist,
                poll_interval=settings.device_code_interval,
                issued_at=now,
                expires_at=now + settings.device_code_lifetime,
            )
        )
        return user_code

    user_code = server.ephemeral.write(issue, counted, now)
    return flask.jsonify(
        device_code=handle,
        user_code=device_code.shown(user_code),
        verification_uri=server.url_of("device"),
        verification_uri_complete=link_to(server, user_code),
        expires_in=settings.device_code_lifetime,
        interval=settings.device_code_interval,
    )


def qr_code(server: Server) -> Response:
    """Return `verification_uri_complete` as a QR code, for a device that can show images."""
    import segno

    user_code = device_code.read_user_code(flask.request.args.get("user_code", ""))
    if user_code is None:
        raise InvalidRequestError("user_code is missing, or can be none.")
    image = io.BytesIO()
    symbol = segno.make(link_to(server, user_code), micro=False)
    symbol.save(image, kind="svg", xmldecl=False, scale=8, light="white")
    return Response(image.getvalue(), mimetype="image/svg+xml")
