"""Registration: who may change a self-registered client (RFC 7591, RFC 7592)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from ..wire.handle import digest
from . import client_storage as clients
from .base import Base, Digest, EpochSeconds, Identifier, changed_rows
from .client import Client
from .connection import is_unused
from .ephemeral import Ephemeral
from .pruning import Listed, is_beyond

#: Seconds before `seen_at` of a shared client is updated again, and for which an unused client
#: keeps its place.
HOUR = 3600
# How many idle clients are read at once.
_BATCH = 100
# One network gets one place in ten, but not fewer than ten places.
_NETWORKS, _MIN_SHARE = 10, 10


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
    #: Keyed digest of the network that the client was first registered from.
    network_digest: Mapped[bytes | None] = mapped_column(Digest, index=True)
    #: When the client was last registered.
    seen_at: Mapped[int] = mapped_column(EpochSeconds, index=True)


@dataclass(frozen=True)
class Place:
    """Whether there is a place for a new client, and which unused client leaves it, if any."""

    is_free: bool
    leaving: str | None = None


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
    return seen_at > now - HOUR


def touch(session: Session, metadata_digest: bytes, now: int) -> bool:
    """Update `seen_at` of a shared client, to keep it from pruning; return whether it exists."""
    is_same = Registration.metadata_digest == metadata_digest
    return changed_rows(session, update(Registration).where(is_same).values(seen_at=now)) == 1


def find_place(session: Session, limit: int, network_digest: bytes, now: int) -> Place:
    """Return the place of a new client from a network, if `limit` may wait for their first user.

    One network gets a tenth of the places. If they are taken, the unused client that was last
    registered longest ago makes way, unless that was within the last hour: nothing depends on
    it, and its program can register again.

    It reads one row per client, so call it before a unit of work, which would block others.
    Concurrent registrations may therefore exceed the limit by a few.
    """
    share = max(limit // _NETWORKS, _MIN_SHARE)
    is_neighbor = Registration.network_digest == network_digest
    for places, among in ((share, [is_neighbor]), (limit, [])):
        waiting = (
            select(Registration.client_id)
            .where(*among, is_unused(Registration.client_id))
            .limit(places)
        )
        if session.scalar(select(func.count()).select_from(waiting.subquery())) == places:
            leaving = next(_idle(session, now - HOUR, among), None)
            return Place(leaving is not None, leaving)
    return Place(True)


def store(
    ephemeral: Ephemeral,
    client: Client,
    row: Registration,
    *,
    counted: Mapping[str, int],
    place: Place,
) -> Client | None:
    """Store a self-registered client; return it, or the shared client with the same metadata.

    Returns None if a new client is needed and there is no place. Both outcomes, a new client and
    None, count against the limits in `counted` (see `Ephemeral.write`). Raises `TooManyGuesses`
    if one of them is reached.
    """

    def work(session: Session) -> Client | None:
        # Of two that register the same metadata at once, one violates the unique constraint and
        # is run again.
        existing = shared(session, row.metadata_digest) if row.metadata_digest else None
        if existing is not None or not place.is_free:
            return existing and existing[0]
        if place.leaving is not None:
            _remove(session, place.leaving, row.seen_at - HOUR)
        clients.save(session, client)
        session.add(row)
        return client

    return ephemeral.write(
        work,
        counted,
        row.seen_at,
        # Somebody else registered it meanwhile.
        is_free=lambda stored: stored is not None and stored is not client,
    )


def unused(before: int) -> Listed:
    """Return the unused clients last registered at or before `before`, for pruning.

    Clients that the operator has verified are kept.
    """
    return Listed(
        lambda session: _idle(session, before),
        lambda session, client_id: _remove(session, client_id, before),
    )


def _idle(
    session: Session, before: int, among: Iterable[ColumnElement[bool]] = ()
) -> Iterator[str]:
    """Give the unused clients last registered at or before `before`, the oldest first."""
    statement = (
        select(Client, Registration.seen_at)
        .join(Registration, Registration.client_id == Client.client_id)
        .where(Registration.seen_at <= before, *among, is_unused(Registration.client_id))
        .order_by(Registration.seen_at, Registration.client_id)
        .limit(_BATCH)
    )
    # Reads no more than the caller takes. A cursor of PostgreSQL would need a transaction.
    page = statement
    while rows := session.execute(page).all():
        yield from (client.client_id for client, _ in rows if not client.verified)
        last, seen_at = rows[-1]
        key = Registration.client_id
        page = statement.where(is_beyond(Registration.seen_at, key, seen_at, last.client_id))


def _remove(session: Session, client_id: str, before: int) -> bool:
    """Delete a client unless somebody has just used it or registered it again."""
    is_same = Registration.client_id == client_id
    is_idle = is_same, Registration.seen_at <= before, is_unused(Registration.client_id)
    return changed_rows(session, delete(Registration).where(*is_idle)) == 1 and clients.remove(
        session, client_id
    )
