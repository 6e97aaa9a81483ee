"""Client owner: who registered a client in the developer portal."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session, mapped_column

from .base import Base, Identifier
from .client import Client


class ClientOwner(Base):
    """The user who may change and delete a client."""

    __tablename__ = "pkce_client_owner"

    client_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    subject: Mapped[str] = mapped_column(Identifier, index=True)


def owned(session: Session, subject: str) -> list[Client]:
    """Return the clients of a user, by their names."""
    return list(
        session.scalars(
            select(Client)
            .join(ClientOwner, ClientOwner.client_id == Client.client_id)
            .where(ClientOwner.subject == subject)
            .order_by(Client.client_name, Client.client_id)
        )
    )


def find(session: Session, subject: str, client_id: str) -> Client | None:
    """Return a client if it is the user's own."""
    owner = session.get(ClientOwner, client_id)
    mine = owner is not None and owner.subject == subject
    return session.get(Client, client_id) if mine else None
