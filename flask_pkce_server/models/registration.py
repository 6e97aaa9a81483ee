"""Registration: how a client that registered itself came here (RFC 7591, RFC 7592)."""

from __future__ import annotations

import ipaddress

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from ..errors import TooManyRegistrations
from . import client as clients
from . import guess
from .authorization_code import AuthorizationCode
from .base import Base, Digest, EpochSeconds, Identifier, changed_rows
from .client import Client
from .consent import Consent
from .device_code import DeviceCode
from .guess import TooManyGuesses
from .handle import digest
from .token import Token

#: Seconds after which it is noted again that a shared client was asked for, and after which
#: to look whether there is room for another.
_HOUR = 3600
#: New clients of one address within ten minutes.
_MOST_OF_ONE = 20
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


def store(
    session: Session, client: Client, row: Registration, *, address: str, most: int
) -> Client:
    """Store a client that registers itself; return it, or the shared one that was there.

    Raises `TooManyRegistrations` if `address` was here too often, or if `most` clients wait
    for their first user.
    """
    now, guesser = row.seen_at, {f"registration {_network(address)}": _MOST_OF_ONE}
    # First that which writes: whoever registers the same at once waits here or tries again.
    try:
        guess.take(session, guesser, now)
    except TooManyGuesses as many:
        raise TooManyRegistrations(many.wait) from None
    found = shared(session, row.metadata_digest) if row.metadata_digest else None
    if found is not None:
        # Somebody was faster.
        guess.give_back(session, guesser, now)
        return found[0]
    some = select(Registration.client_id).where(*_unused()).limit(most)
    if session.scalar(select(func.count()).select_from(some.subquery())) == most:
        raise TooManyRegistrations(_HOUR)
    clients.save(session, client)
    session.add(row)
    return client


def _network(address: str) -> str:
    """Return what one customer is given: an address, of IPv6 the 64 bits before it."""
    try:
        wide = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(wide.ipv4_mapped or ipaddress.IPv6Network((int(wide), 64), strict=False))


def prune(session: Session, before: int, limit: int) -> int:
    """Delete clients that signed nobody in, and were not asked for since `before`.

    Up to `limit` of them, and none that the operator has checked; return how many.
    """
    unused = (
        select(Client)
        .join(Registration, Registration.client_id == Client.client_id)
        .where(Registration.seen_at <= before, *_unused())
        .limit(min(limit, _BATCH))
    )
    idle = [one.client_id for one in session.scalars(unused) if not one.verified]
    return sum(clients.remove(session, client_id) for client_id in idle)


def _unused() -> list[ColumnElement[bool]]:
    """Return the condition that no user and no code hangs on a client."""
    return [
        ~select(table.client_id).where(table.client_id == Registration.client_id).exists()
        for table in (Token, AuthorizationCode, DeviceCode, Consent)
    ]
