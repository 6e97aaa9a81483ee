"""Spent jti: the `jti` of JWTs that were used and must not be used again (RFC 7523 3).

These are the ones in the database; `ephemeral` says where they are.
"""

from __future__ import annotations

from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from ..wire.handle import digest
from .base import Base, Digest, EpochSeconds
from .pruning import Expired

#: Seconds for which a row is kept after its JWT expired: a clock that is ahead may be put back.
_CLOCK_ERROR = 3600


class SpentBefore(Exception):
    """The same JWT was used before."""


class SpentJti(Base):
    """One JWT that a client has used, kept until the JWT has expired for good.

    The client_id is part of the digest and not a column, so that deleting the client keeps the
    row: if the client is registered again, its used JWTs must not be valid again.
    """

    __tablename__ = "pkce_spent_jti"

    digest: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    expires_at: Mapped[int] = mapped_column(EpochSeconds, index=True)


def spend(session: Session, client_id: str, jti: str, expires_at: int) -> None:
    """Store that `client_id` has used `jti`; raises `SpentBefore` if it had before.

    `expires_at` is in epoch seconds. The insert is atomic: of two concurrent uses, one fails.
    """
    row = {"digest": key_of(client_id, jti), "expires_at": expires_at}
    try:
        session.execute(insert(SpentJti).values(row))
    except IntegrityError:
        # Not as a DBAPIError, which would make `Store.write` retry the unit of work.
        raise SpentBefore from None


def key_of(client_id: str, jti: str) -> bytes:
    """Return the digest under which a `jti` of `client_id` is stored."""
    return digest(f"{client_id}\n{jti}")


def expired(now: int) -> Expired:
    """Return the rows of JWTs that expired long enough ago, for pruning."""
    return Expired(SpentJti.expires_at, now - _CLOCK_ERROR)
