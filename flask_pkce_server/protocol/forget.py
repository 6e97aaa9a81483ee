"""Forget: end everything that hangs on a user who is gone, or whose password has changed."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..models import withdrawal
from ..models.grant import Grant, has_scope
from ..signals import tell, user_forgotten, user_logged_out
from .contract import Server


def forget_subject(server: Server, subject: str, deleted: bool = False) -> bool:
    """Revoke all that `subject` granted, and tell the clients of their sessions.

    Return whether there was anything. Consents, codes and tokens end at once. If the user is
    `deleted`, apps that they registered in the developer portal stay, without an owner.
    """
    now = server.now()
    if not withdrawal.forget(server.store, subject, now, deleted):
        return False
    tell(user_forgotten, server.app, subject=subject)
    with server.store.reading() as session:
        sessions = _sessions_of(session, subject, now)
    for sid, client_ids in sessions.items():
        # OpenID Connect Back-Channel Logout 1.0 2.1: the clients end their own sessions.
        tell(user_logged_out, server.app, subject=subject, sid=sid, client_ids=client_ids)
    return True


def _sessions_of(session: Session, subject: str, now: int) -> dict[str, list[str]]:
    """Return the login sessions of `subject`, each with the client_ids that took part."""
    rows = session.execute(
        select(Grant.sid, Grant.client_id)
        .where(Grant.subject == subject, Grant.expires_at > now, has_scope("openid"))
        .where(Grant.sid.is_not(None))
        .distinct()
        .order_by(Grant.sid, Grant.client_id)
    )
    sessions: dict[str, list[str]] = {}
    for sid, client_id in rows:
        sessions.setdefault(sid or "", []).append(client_id)
    return sessions
