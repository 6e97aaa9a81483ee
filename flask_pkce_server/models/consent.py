"""Consent: what a user has allowed a client, remembered scope by scope."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Index, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from .base import Base, Digest, Identifier
from .handle import digest


class Consent(Base):
    """One scope that one user has granted to one client.

    A row a scope: two tabs that grant different scopes at once lose nothing.
    """

    __tablename__ = "pkce_consent"
    __table_args__ = (Index("ix_pkce_consent_subject_client_id", "subject", "client_id"),)

    digest: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    subject: Mapped[str] = mapped_column(Identifier)
    client_id: Mapped[str] = mapped_column(Identifier, index=True)
    scope: Mapped[str] = mapped_column(Identifier)
    issued_at: Mapped[int]


def granted(session: Session, subject: str, client_id: str) -> frozenset[str]:
    """Return the scopes that `subject` has granted to `client_id`."""
    return frozenset(
        session.scalars(
            select(Consent.scope).where(Consent.subject == subject, Consent.client_id == client_id)
        )
    )


def remember(
    session: Session, subject: str, client_id: str, scopes: Iterable[str], now: int
) -> None:
    """Remember that `subject` grants `scopes` to `client_id`; what was known stays."""
    new = frozenset(scopes) - granted(session, subject, client_id)
    session.add_all(
        Consent(
            digest=digest("\n".join((subject, client_id, scope))),
            subject=subject,
            client_id=client_id,
            scope=scope,
            issued_at=now,
        )
        for scope in sorted(new)
    )
