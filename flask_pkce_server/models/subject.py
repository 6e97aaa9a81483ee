"""Subject: what belongs to one user, and how all of it ends."""

from __future__ import annotations

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from . import client_storage
from .authorization_code import AuthorizationCode
from .base import changed_rows
from .client_owner import ClientOwner
from .consent import Consent, ScopeUse
from .device_code import DeviceCode
from .login_session import SessionClient
from .token import Token


def forget(session: Session, subject: str, now: int) -> None:
    """End all that the user `subject` has allowed, at `now` (epoch seconds), and delete their apps.

    Like `consent.withdraw`, it consumes what can be redeemed before it revokes tokens, until
    there are none.
    """
    for table in (Consent, ScopeUse, SessionClient):
        session.execute(delete(table).where(table.subject == subject))
    codes = update(AuthorizationCode).where(AuthorizationCode.subject == subject)
    changed_rows(
        session, codes.where(AuthorizationCode.consumed_at.is_(None)).values(consumed_at=now)
    )
    devices = update(DeviceCode).where(
        DeviceCode.subject == subject,
        DeviceCode.consumed_at.is_(None),
        DeviceCode.denied_at.is_(None),
    )
    changed_rows(session, devices.values(denied_at=now))
    live = update(Token).where(Token.subject == subject, Token.revoked_at.is_(None))
    while changed_rows(session, live.values(revoked_at=now)):
        pass
    owned = select(ClientOwner.client_id).where(ClientOwner.subject == subject)
    for client_id in session.scalars(owned).all():
        client_storage.remove(session, client_id)
