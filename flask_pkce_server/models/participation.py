"""Participation: which clients take part in a login session, read from its grants."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Select, and_, select
from sqlalchemy.orm import Session

from .client_origin import ClientOrigin
from .grant import Grant, has_scope


def of_session(sid: str) -> ColumnElement[bool]:
    """Return the condition that a grant tells its client of a sign-in in the session `sid`."""
    return and_(Grant.sid == sid, has_scope("openid"))


def clients_of(sid: str) -> Select[str]:
    """Return the statement for the client_ids of the session `sid`."""
    return select(Grant.client_id).where(of_session(sid)).distinct()


def takes_part(session: Session, sid: str, client_id: str) -> bool:
    """Return whether the client signed the user in within the session `sid`."""
    statement = clients_of(sid).where(Grant.client_id == client_id).limit(1)
    return session.scalars(statement).first() is not None


def is_known_at(session: Session, sid: str, origin: str) -> bool:
    """Return whether a client with the web origin `origin` took part in the session `sid`."""
    client_ids = select(ClientOrigin.client_id).where(ClientOrigin.origin == origin)
    statement = clients_of(sid).where(Grant.client_id.in_(client_ids)).limit(1)
    return session.scalars(statement).first() is not None
