"""Spent jti: the names of JWTs that were shown once and must not be again (RFC 7523 3)."""

from __future__ import annotations

from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from ..wire.handle import digest
from .base import Base, Digest, EpochSeconds, delete_some


class SpentBefore(Exception):
    """Somebody has shown this very JWT before."""


class SpentJti(Base):
    """One JWT that a client has shown, until it expires by itself.

    The client is in the digest, and in no column: whoever deletes a client and registers it
    again must not bring its JWTs back to life.
    """

    __tablename__ = "pkce_spent_jti"

    digest: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    expires_at: Mapped[int] = mapped_column(EpochSeconds, index=True)


def spend(session: Session, client_id: str, jti: str, expires_at: int) -> None:
    """Note that `client_id` has shown `jti`; raises `SpentBefore` if it is known already.

    The insert is the gate: of two at the same moment one gets in.
    """
    row = {"digest": digest(f"{client_id}\n{jti}"), "expires_at": expires_at}
    try:
        session.execute(insert(SpentJti).values(row))
    except IntegrityError:
        # Not as a DBAPIError, after which the unit of work would be tried again.
        raise SpentBefore from None


def prune(session: Session, now: int, limit: int) -> int:
    """Delete up to `limit` of those that are refused for their age; return how many."""
    return delete_some(session, SpentJti, SpentJti.expires_at <= now, limit)
