"""Consent: what a user has allowed a client, remembered scope by scope."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Index, delete, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from .authorization_code import AuthorizationCode
from .base import Base, Digest, Identifier, changed_rows
from .handle import digest
from .token import Token


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


class ScopeUse(Base):
    """When a client last used one scope for one user, to the hour."""

    __tablename__ = "pkce_scope_use"

    digest: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    subject: Mapped[str] = mapped_column(Identifier, index=True)
    client_id: Mapped[str] = mapped_column(Identifier, index=True)
    scope: Mapped[str] = mapped_column(Identifier)
    used_at: Mapped[int]


def note_use(
    session: Session, subject: str, client_id: str, scopes: Iterable[str], now: int
) -> None:
    """Note that `client_id` used `scopes` for `subject`."""
    for scope in scopes:
        key = digest("\n".join((subject, client_id, scope)))
        known = update(ScopeUse).where(ScopeUse.digest == key).values(used_at=now)
        if changed_rows(session, known) == 0:
            session.add(
                ScopeUse(digest=key, subject=subject, client_id=client_id, scope=scope, used_at=now)
            )


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


def withdraw(session: Session, subject: str, client_id: str, now: int) -> bool:
    """Take back all that `subject` gave `client_id`; say whether there was anything.

    The consent goes, codes that are on their way are spent, and live tokens are revoked,
    in this order: who redeems a code meanwhile holds its row, and what they were given is
    seen by the statements that come after it. These are repeated until they find nothing.
    """
    of_client = {"subject": subject, "client_id": client_id}
    total = changed_rows(session, delete(Consent).filter_by(**of_client))
    session.execute(delete(ScopeUse).filter_by(**of_client))
    codes = update(AuthorizationCode).where(AuthorizationCode.consumed_at.is_(None))
    total += changed_rows(session, codes.filter_by(**of_client).values(consumed_at=now))
    live = update(Token).where(Token.revoked_at.is_(None))
    while found := changed_rows(session, live.filter_by(**of_client).values(revoked_at=now)):
        total += found
    return total > 0
