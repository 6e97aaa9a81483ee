"""Client origin: a web origin of a client, indexed by origin."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ..wire.handle import digest
from .base import Base, Digest, Identifier
from .client import Client

#: How many clients of one origin are looked at.
_MOST_CLIENTS = 20


class ClientOrigin(Base):
    """One origin of one client, derived from the client whenever it is saved.

    The lookup is by origin because a CORS preflight names an origin but no client.
    """

    __tablename__ = "pkce_client_origin"

    digest: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    origin: Mapped[str] = mapped_column(Identifier, index=True)
    client_id: Mapped[str] = mapped_column(Identifier, index=True)


def replace(session: Session, client_id: str, origins: Iterable[str]) -> None:
    """Replace the origins of the client `client_id` with `origins`."""
    session.execute(delete(ClientOrigin).where(ClientOrigin.client_id == client_id))
    session.add_all(
        [
            ClientOrigin(digest=digest(f"{origin} {client_id}"), origin=origin, client_id=client_id)
            for origin in sorted(origins)
        ]
    )


def is_of_any(session: Session, origin: str) -> bool:
    """Return whether any client has the web origin `origin`."""
    rows = session.execute(
        select(ClientOrigin.digest).where(ClientOrigin.origin == origin).limit(1)
    )
    return rows.first() is not None


def is_vouched_for(session: Session, origin: str) -> bool:
    """Return whether the operator registered or verified a client with the web origin `origin`.

    The clients of the operator are looked at first, and then the oldest, so that strangers who
    name the origin later displace none.
    """
    clients = session.scalars(
        select(Client)
        .join(ClientOrigin, ClientOrigin.client_id == Client.client_id)
        .where(ClientOrigin.origin == origin)
        .order_by(Client.self_registered, Client.issued_at)
        .limit(_MOST_CLIENTS)
    )
    return not all(client.is_of_stranger for client in clients)
