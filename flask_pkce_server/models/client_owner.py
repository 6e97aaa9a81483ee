"""Client owner: who registered a client in the developer portal."""

from __future__ import annotations

import itertools
from enum import Enum

from sqlalchemy import UniqueConstraint, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from . import client_storage as clients
from .base import Base, Identifier, changed_rows
from .client import Client


class ClientOwner(Base):
    """The user who may change and delete a client."""

    __tablename__ = "pkce_client_owner"
    # Of concurrent registrations of one user, only one gets a number. It also finds the clients
    # of a user.
    __table_args__ = (UniqueConstraint("subject", "number"),)

    client_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    subject: Mapped[str] = mapped_column(Identifier)
    #: Different for each client of the user.
    number: Mapped[int]


class Outcome(Enum):
    """What became of a client that a user registers."""

    STORED = 1
    #: The client_id exists, since the same form was sent before.
    TAKEN = 2
    #: The user owns as many clients as they may.
    FULL = 3


def add(session: Session, client: Client, subject: str, limit: int) -> Outcome:
    """Store a new client of the user `subject` unless they own `limit` clients already."""
    # Write first: on SQLite, only one of several concurrent registrations gets past this.
    owner = update(ClientOwner).where(ClientOwner.client_id == client.client_id)
    if changed_rows(session, owner.values(number=ClientOwner.number)):
        return Outcome.TAKEN
    of_user = select(ClientOwner.number).where(ClientOwner.subject == subject)
    numbers = set(session.scalars(of_user))
    if len(numbers) >= limit:
        return Outcome.FULL
    clients.save(session, client)
    # Elsewhere, they all find this number and the unique constraint stops all but one. The others
    # run again.
    number = next(number for number in itertools.count() if number not in numbers)
    session.add(ClientOwner(client_id=client.client_id, subject=subject, number=number))
    return Outcome.STORED


def owned(session: Session, subject: str) -> list[Client]:
    """Return the clients of the user `subject`, ordered by name."""
    return list(
        session.scalars(
            select(Client)
            .join(ClientOwner, ClientOwner.client_id == Client.client_id)
            .where(ClientOwner.subject == subject)
            .order_by(Client.client_name, Client.client_id)
        )
    )


def find(session: Session, subject: str, client_id: str) -> Client | None:
    """Return the client `client_id` if the user `subject` owns it, or None."""
    owner = session.get(ClientOwner, client_id)
    is_owner = owner is not None and owner.subject == subject
    return session.get(Client, client_id) if is_owner else None
