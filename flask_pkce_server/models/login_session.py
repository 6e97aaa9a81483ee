"""Login session: one sign-in in one browser, and the clients that took part in it.

The sign-in itself is kept in the host app's session. The database stores which clients to
notify when it ends (OpenID Connect Back-Channel Logout 1.0 2.1).
"""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ..wire.handle import digest
from .base import Base, Digest, EpochSeconds, Identifier, changed_rows, delete_some
from .client_origin import ClientOrigin


class SessionClient(Base):
    """A grant to a client within a login session.

    There is one row per grant rather than per client: concurrent grants do not conflict, and
    each row names the family of tokens that came from the session.
    """

    __tablename__ = "pkce_session_client"

    digest: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    sid: Mapped[str] = mapped_column(Identifier, index=True)
    subject: Mapped[str] = mapped_column(Identifier)
    client_id: Mapped[str] = mapped_column(Identifier, index=True)
    family_id: Mapped[str] = mapped_column(Identifier)
    #: Whether the grant outlives the session (OIDC Core 11).
    offline: Mapped[bool]
    issued_at: Mapped[int]
    expires_at: Mapped[int] = mapped_column(EpochSeconds, index=True)


def joined(
    *,
    sid: str,
    subject: str,
    client_id: str,
    family_id: str,
    offline: bool,
    now: int,
    lifetime: int,
) -> SessionClient:
    """Return a new row for a grant to a client, without storing it; `lifetime` is in seconds."""
    return SessionClient(
        digest=digest(f"{sid} {family_id}"),
        sid=sid,
        subject=subject,
        client_id=client_id,
        family_id=family_id,
        offline=offline,
        issued_at=now,
        expires_at=now + lifetime,
    )


def takes_part(session: Session, sid: str, client_id: str) -> bool:
    """Return whether the client was issued tokens within the session `sid`."""
    match = SessionClient.sid == sid, SessionClient.client_id == client_id
    return session.scalars(select(SessionClient.digest).where(*match).limit(1)).first() is not None


def is_known_at(session: Session, sid: str, origin: str) -> bool:
    """Return whether a client with the web origin `origin` took part in the session `sid`."""
    client_ids = select(ClientOrigin.client_id).where(ClientOrigin.origin == origin)
    match = SessionClient.sid == sid, SessionClient.client_id.in_(client_ids)
    return session.scalars(select(SessionClient.digest).where(*match).limit(1)).first() is not None


def end(session: Session, sid: str) -> list[SessionClient]:
    """Delete and return the rows of the session `sid`; a second call returns none."""
    rows = list(session.scalars(select(SessionClient).where(SessionClient.sid == sid)))
    if not rows:
        return []
    deleted = changed_rows(session, delete(SessionClient).where(SessionClient.sid == sid))
    # If two requests end it at once, only one of them notifies the clients.
    return rows if deleted else []


def prune(session: Session, now: int, limit: int) -> int:
    """Delete up to `limit` expired rows; return how many."""
    return delete_some(session, SessionClient, SessionClient.expires_at <= now, limit)
