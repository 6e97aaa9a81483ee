"""Client origin: a web origin that pages of a client are served from, to be found by origin."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ..wire.handle import digest
from .base import Base, Digest, Identifier


class ClientOrigin(Base):
    """One origin of one client; made from the client's row when that is saved.

    A preflight names an origin and no client.
    """

    __tablename__ = "pkce_client_origin"

    digest: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    origin: Mapped[str] = mapped_column(Identifier, index=True)
    client_id: Mapped[str] = mapped_column(Identifier, index=True)


def replace(session: Session, client_id: str, origins: Iterable[str]) -> None:
    """Store `origins` in the place of all that the client had."""
    session.execute(delete(ClientOrigin).where(ClientOrigin.client_id == client_id))
    session.add_all(
        [
            ClientOrigin(digest=digest(f"{origin} {client_id}"), origin=origin, client_id=client_id)
            for origin in sorted(origins)
        ]
    )


def is_of_any(session: Session, origin: str) -> bool:
    """Say whether pages of some client are served from `origin`."""
    rows = session.execute(
        select(ClientOrigin.digest).where(ClientOrigin.origin == origin).limit(1)
    )
    return rows.first() is not None
