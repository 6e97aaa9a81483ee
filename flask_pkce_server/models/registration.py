"""Registration: who may change a self-registered client (RFC 7591, RFC 7592)."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from ..wire.handle import digest
from . import client_storage as clients
from . import guess
from .base import Base, Digest, EpochSeconds, Identifier, changed_rows
from .client import Client
from .connection import is_unused

#: Seconds before `seen_at` of a shared client is updated again.
_HOUR = 3600
# Clients deleted per call: each deletion touches a dozen tables.
_BATCH = 100


class Registration(Base):
    """The registration of one self-registered client.

    A public client without an owner is shared by everybody who registers the same metadata,
    and found by `metadata_digest`. Any other client can be changed with its registration
    access token.
    """

    __tablename__ = "pkce_registration"

    client_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    token_digest: Mapped[bytes | None] = mapped_column(Digest, unique=True)
    metadata_digest: Mapped[bytes | None] = mapped_column(Digest, unique=True)
    #: When the client was last registered.
    seen_at: Mapped[int] = mapped_column(EpochSeconds, index=True)


def of_token(session: Session, handle: str) -> Registration | None:
    """Return the registration with the registration access token `handle`, or None."""
    return session.scalars(
        select(Registration).where(Registration.token_digest == digest(handle))
    ).first()


def shared(session: Session, metadata_digest: bytes) -> tuple[Client, int] | None:
    """Return the shared client with this metadata and its `seen_at`, or None."""
    row = session.execute(
        select(Client, Registration.seen_at)
        .join(Registration, Registration.client_id == Client.client_id)
        .where(Registration.metadata_digest == metadata_digest)
    ).first()
    return None if row is None else (row[0], row[1])


def is_fresh(seen_at: int, now: int) -> bool:
    """Return whether `seen_at` is recent enough to be left as it is."""
    return seen_at > now - _HOUR


def touch(session: Session, metadata_digest: bytes, now: int) -> bool:
    """Update `seen_at` of a shared client, to keep it from pruning; return whether it exists."""
    is_same = Registration.metadata_digest == metadata_digest
    return changed_rows(session, update(Registration).where(is_same).values(seen_at=now)) == 1


def is_full(session: Session, limit: int) -> bool:
    """Return whether `limit` clients or more wait for their first user.

    It reads one row per client, so call it before a unit of work, which would block others.
    Concurrent registrations may therefore exceed the limit by a few.
    """
    waiting = select(Registration.client_id).where(is_unused(Registration.client_id)).limit(limit)
    return session.scalar(select(func.count()).select_from(waiting.subquery())) == limit


def store(
    session: Session, client: Client, row: Registration, *, counted: Mapping[str, int], full: bool
) -> Client | None:
    """Store a self-registered client; return it, or the shared client with the same metadata.

    Returns None if a new client is needed and `full` is true. Both outcomes, a new client and
    None, count against the limits in `counted` (see `guess.take`). Raises `TooManyGuesses` if
    one of them is reached.
    """
    # Write first: a concurrent registration of the same metadata waits here or is retried.
    guess.take(session, counted, row.seen_at)
    existing = shared(session, row.metadata_digest) if row.metadata_digest else None
    if existing is not None:
        # Somebody else registered it meanwhile.
        guess.give_back(session, counted, row.seen_at)
        return existing[0]
    if full:
        return None
    clients.save(session, client)
    session.add(row)
    return client


def prune(session: Session, before: int, limit: int) -> int:
    """Delete up to `limit` unused clients last registered at or before `before`.

    Returns how many. Clients that the operator has verified are kept.
    """
    unused = (
        select(Client)
        .join(Registration, Registration.client_id == Client.client_id)
        .where(Registration.seen_at <= before, is_unused(Registration.client_id))
    )
    # Not in batches: one batch might contain nothing but verified clients.
    idle = [client.client_id for client in session.scalars(unused) if not client.verified]
    return sum(clients.remove(session, client_id) for client_id in idle[: min(limit, _BATCH)])
