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
