"""Registration: how a client that registered itself came here (RFC 7591, RFC 7592)."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from ..wire.handle import digest
from . import client_storage as clients
from . import guess
from .authorization_code import AuthorizationCode
from .base import Base, Digest, EpochSeconds, Identifier, changed_rows
from .client import Client
from .consent import Consent
from .device_code import DeviceCode
from .token import Token

#: Seconds after which it is noted again that a shared client was asked for.
_HOUR = 3600
# Each of them takes the rows of a dozen tables with it.
_BATCH = 100


class Registration(Base):
    """That a client registered itself, and who may change it.

    A public client that nobody owns is shared by all who say the same of themselves, and
    found by that; another one may be changed by who has its token.
    """

    __tablename__ = "pkce_registration"

    client_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    token_digest: Mapped[bytes | None] = mapped_column(Digest, unique=True)
    metadata_digest: Mapped[bytes | None] = mapped_column(Digest, unique=True)
    #: When it was last asked for.
    seen_at: Mapped[int] = mapped_column(EpochSeconds, index=True)


def of_token(session: Session, handle: str) -> Registration | None:
    """Return what the registration access token `handle` opens."""
    return session.scalars(
        select(Registration).where(Registration.token_digest == digest(handle))
    ).first()


def shared(session: Session, metadata_digest: bytes) -> tuple[Client, int] | None:
    """Return the client that all share who say this, and when it was last asked for."""
    found = session.execute(
        select(Client, Registration.seen_at)
        .join(Registration, Registration.client_id == Client.client_id)
        .where(Registration.metadata_digest == metadata_digest)
    ).first()
    return None if found is None else (found[0], found[1])


def is_fresh(seen_at: int, now: int) -> bool:
    """Say whether it need not be noted again that a client was asked for."""
    return seen_at > now - _HOUR


def touch(session: Session, metadata_digest: bytes, now: int) -> bool:
    """Note that a shared client is asked for, and not to be pruned; say if it is there."""
    same = Registration.metadata_digest == metadata_digest
    return changed_rows(session, update(Registration).where(same).values(seen_at=now)) == 1


def is_full(session: Session, most: int) -> bool:
    """Say whether `most` clients wait for their first user.

    It reads a row of each: to be asked before a unit of work, which would hold up others.
    Those who ask at the same moment may be a few more than there is room for.
    """
    some = select(Registration.client_id).where(*_unused()).limit(most)
    return session.scalar(select(func.count()).select_from(some.subquery())) == most


def store(
    session: Session, client: Client, row: Registration, *, counted: Mapping[str, int], full: bool
) -> Client | None:
    """Store a client that registers itself; return it, or the shared one that was there.

    None if all is `full`. That costs who asks one of what they have: `counted` is them, and
    how many. Raises `TooManyGuesses` if they have none left.
    """
    # First that which writes: whoever registers the same at once waits here or tries again.
    guess.take(session, counted, row.seen_at)
    found = shared(session, row.metadata_digest) if row.metadata_digest else None
    if found is not None:
        # Somebody was faster.
        guess.give_back(session, counted, row.seen_at)
        return found[0]
    if full:
        return None
    clients.save(session, client)
    session.add(row)
    return client


def prune(session: Session, before: int, limit: int) -> int:
    """Delete clients that signed nobody in, and were not asked for since `before`.

    Up to `limit` of them, and none that the operator has checked; return how many.
    """
    unused = (
        select(Client)
        .join(Registration, Registration.client_id == Client.client_id)
        .where(Registration.seen_at <= before, *_unused())
    )
    # All of them, and not a batch: it could be one of checked clients alone.
    idle = [one.client_id for one in session.scalars(unused) if not one.verified]
    return sum(clients.remove(session, client_id) for client_id in idle[: min(limit, _BATCH)])


def _unused() -> list[ColumnElement[bool]]:
    """Return the condition that no user and no code hangs on a client."""
    return [
        ~select(table.client_id).where(table.client_id == Registration.client_id).exists()
        for table in (Token, AuthorizationCode, DeviceCode, Consent)
    ]
