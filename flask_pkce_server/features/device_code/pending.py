"""Pending: devices that wait for the decision of the user who typed their code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from ...errors import OAuth2Error, TemporarilyUnavailable
from ...models import device_code
from ...models.device_code import DeviceCode
from ...protocol.contract import Server
from ...protocol.issuance import new_grant
from ...protocol.request import Payload, Request
from ...signals import authorization_denied, authorization_granted, tell
from ...wire.handle import new_identifier
from .request import check_request


@dataclass(frozen=True)
class PendingDevice:
    """A device that waits for the decision of the user who typed its code."""

    code: DeviceCode
    #: The request of the device, checked for this user.
    request: Request
    user_code: str
    #: The reference to the request that was put aside for a sign-in; "" if none was.
    reference: str


def find_code(server: Server, user_code: str) -> DeviceCode | None:
    """Return the code of the device that waits with `user_code`, None if there is none."""
    with server.store.reading() as session:
        return device_code.waiting(session, digests_of(server, user_code), server.now())


def find_pending(
    server: Server,
    user: Any | None,
    code: DeviceCode | None,
    user_code: str,
    carried: Request | None,
    reference: str,
) -> PendingDevice | None:
    """Return what a device asks of `user`, None if it no longer waits or its client is gone.

    `carried` is the request that the browser brought back, if any. Raises an `OAuth2Error` if
    this user cannot be asked for it; the device is then told that access was denied.
    """
    client = None if code is None else server.find_client(code.client_id)
    if code is None or client is None or client.suspended:
        return None
    pairs = [(name, value) for name, values in code.parameters.items() for value in values]
    request = Request(method="GET", issuer=server.issuer, pairs=pairs)
    request.client, request.user = client, user
    request.carried = Payload([("user_code", user_code)])
    if carried is not None:
        request.put_aside_at = carried.put_aside_at
        request.login_before, request.times_asked = carried.login_before, carried.times_asked
    with denied_if_refused(server, code, user):
        check_request(server, request)
    return PendingDevice(code, request, user_code, reference)


@contextmanager
def denied_if_refused(server: Server, code: DeviceCode, user: Any | None) -> Iterator[None]:
    """Deny access to the device if an `OAuth2Error` shows that its user cannot be asked."""
    try:
        yield
    except OAuth2Error as error:
        if user is not None and not isinstance(error, TemporarilyUnavailable):
            deny(server, code, server.users.subject_of(user))
        raise


def deny(server: Server, code: DeviceCode, subject: str) -> bool:
    """Store that `subject` denies the request; say whether it was the first decision."""
    now = server.now()
    is_first = server.store.write(lambda session: device_code.deny(session, code, now))
    if is_first:
        tell(authorization_denied, server.app, client_id=code.client_id, subject=subject)
    return is_first


def approve(server: Server, code: DeviceCode, request: Request) -> bool:
    """Store what the user of `request` grants; say whether it was the first decision."""
    now, subject = server.now(), server.users.subject_of(request.user)
    grant_id = new_identifier()

    def store(session: Session) -> bool:
        grant = new_grant(server, request, grant_id=grant_id, subject=subject)
        return device_code.approve(session, code, grant, now)

    is_first = server.store.write(store)
    if is_first:
        facts = {"client_id": code.client_id, "subject": subject, "grant_id": grant_id}
        tell(authorization_granted, server.app, scopes=request.scopes, **facts)
    return is_first


def digests_of(server: Server, user_code: str) -> list[bytes]:
    """Return the keyed digests under which `user_code` may be stored."""
    return [device_code.keyed_digest(key, user_code) for key in server.accepted_keys("user codes")]
