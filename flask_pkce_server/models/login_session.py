"""Login session: one sign-in in one browser, and the clients that took part in it.

The sign-in itself lives in the host's own session; what is stored is who has to be told
when it ends (OpenID Connect Back-Channel Logout 1.0 2.1).
"""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ..wire.handle import digest
from .base import Base, Digest, EpochSeconds, Identifier, changed_rows, delete_some
from .client_origin import ClientOrigin


class SessionClient(Base):
    """A client that was given tokens within a login session.

    A row for each grant and not for each client: two grants at once never meet, and the
    row knows which family came of the session.
    """

    __tablename__ = "pkce_session_client"

    digest: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    sid: Mapped[str] = mapped_column(Identifier, index=True)
    subject: Mapped[str] = mapped_column(Identifier)
    client_id: Mapped[str] = mapped_column(Identifier, index=True)
    family_id: Mapped[str] = mapped_column(Identifier)
    #: Whether what was granted outlives the session (OIDC Core 11).
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
    """Make the row, not stored yet, of a client that takes part; `lifetime` in seconds."""
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
    """Say whether a client was given tokens within the session `sid`."""
    wanted = SessionClient.sid == sid, SessionClient.client_id == client_id
    return session.scalars(select(SessionClient.digest).where(*wanted).limit(1)).first() is not None


def is_known_at(session: Session, sid: str, origin: str) -> bool:
    """Say whether a client with pages on `origin` was given tokens within the session `sid`."""
    its = select(ClientOrigin.client_id).where(ClientOrigin.origin == origin)
    wanted = SessionClient.sid == sid, SessionClient.client_id.in_(its)
    return session.scalars(select(SessionClient.digest).where(*wanted).limit(1)).first() is not None


def end(session: Session, sid: str) -> list[SessionClient]:
    """Delete the rows of a session that is over, and return them; twice, none are left."""
    rows = list(session.scalars(select(SessionClient).where(SessionClient.sid == sid)))
    if not rows:
        return []
    done = changed_rows(session, delete(SessionClient).where(SessionClient.sid == sid))
    # Two that end it at once: one of them tells the clients.
    return rows if done else []


def prune(session: Session, now: int, limit: int) -> int:
    """Delete up to `limit` rows that are too old to matter; return how many."""
    return delete_some(session, SessionClient, SessionClient.expires_at <= now, limit)
