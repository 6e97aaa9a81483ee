"""Consent: the scopes that a user has granted to a client, remembered one by one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Index, delete, func, null, or_, select, union_all, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from ..wire.handle import digest
from . import device_code
from .authorization_code import AuthorizationCode
from .base import Base, Digest, EpochSeconds, Identifier, changed_rows, delete_some
from .device_code import DeviceCode
from .token import Token

#: The users of a client are counted up to this number.
MOST_PEOPLE = 1000


class Consent(Base):
    """One scope that one user has granted to one client.

    There is one row per scope, so that two tabs can grant different scopes at once.
    """

    __tablename__ = "pkce_consent"
    __table_args__ = (
        Index("ix_pkce_consent_subject_client_id", "subject", "client_id"),
        # To count users without reading all their rows.
        Index("ix_pkce_consent_client_id_subject", "client_id", "subject"),
    )

    digest: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    subject: Mapped[str] = mapped_column(Identifier)
    client_id: Mapped[str] = mapped_column(Identifier)
    scope: Mapped[str] = mapped_column(Identifier)
    issued_at: Mapped[int]
    #: When the user has to be asked again; None for never.
    expires_at: Mapped[int | None] = mapped_column(EpochSeconds, index=True)


@dataclass(frozen=True)
class Standing:
    """What a user has granted to a client, and how many users the client has."""

    #: The scopes granted before, each with the time when it ends (None: never).
    granted: Mapping[str, int | None]
    #: How many users have granted the client anything, counted up to `MOST_PEOPLE`.
    people: int

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes that the user has granted before."""
        return frozenset(self.granted)

    def until(self, scopes: Iterable[str]) -> int | None:
        """Return when the first of `scopes` ends (epoch seconds); None for never."""
        ends = (self.granted.get(scope) for scope in scopes)
        return min((end for end in ends if end is not None), default=None)


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
    """Store that `client_id` used `scopes` for `subject` at `now` (epoch seconds)."""
    for scope in scopes:
        key = digest("\n".join((subject, client_id, scope)))
        statement = update(ScopeUse).where(ScopeUse.digest == key).values(used_at=now)
        if changed_rows(session, statement) == 0:
            session.add(
                ScopeUse(digest=key, subject=subject, client_id=client_id, scope=scope, used_at=now)
            )


def is_live(now: int) -> ColumnElement[bool]:
    """Return the condition that a consent is in force at `now` (epoch seconds)."""
    return or_(Consent.expires_at.is_(None), Consent.expires_at > now)


def standing(session: Session, subject: str, client_id: str, now: int, since: int = 0) -> Standing:
    """Return what `subject` has granted to `client_id`, in one SQL statement.

    Times are epoch seconds. Consents from before `since` do not count, because the client has
    changed since.
    """
    people = select(Consent.subject).where(Consent.client_id == client_id).distinct()
    counted = people.limit(MOST_PEOPLE).subquery()
    rows: Sequence[Any] = session.execute(
        union_all(
            select(Consent.scope, Consent.expires_at, null()).where(
                Consent.subject == subject,
                Consent.client_id == client_id,
                Consent.issued_at >= since,
                is_live(now),
            ),
            select(null(), null(), func.count()).select_from(counted),
        )
    ).all()
    return Standing(
        granted={scope: until for scope, until, _ in rows if scope is not None},
        people=max(number or 0 for _, _, number in rows),
    )


def remember(
    session: Session,
    subject: str,
    client_id: str,
    scopes: Iterable[str],
    now: int,
    until: int | None = None,
    since: int = 0,
) -> None:
    """Store that `subject` grants `scopes` to `client_id`, up to `until` or permanently.

    Times are epoch seconds. Other scopes stay granted; a scope granted again lasts until the
    new `until`. A consent that has ended, or is from before `since` (see `standing`), starts
    anew.
    """
    rows = {
        row.scope: row
        for row in session.scalars(
            select(Consent).where(Consent.subject == subject, Consent.client_id == client_id)
        )
    }
    for scope in sorted(scopes):
        row = rows.get(scope)
        if row is None:
            row = Consent(
                digest=digest("\n".join((subject, client_id, scope))),
                subject=subject,
                client_id=client_id,
                scope=scope,
                issued_at=now,
            )
            session.add(row)
        elif row.issued_at < since or (row.expires_at is not None and row.expires_at <= now):
            row.issued_at = now
        row.expires_at = until


def withdraw(session: Session, subject: str, client_id: str, now: int) -> bool:
    """Withdraw all access of `client_id` to `subject`; return whether there was any.

    Deletes the consents, consumes pending codes and revokes live tokens, in this order: a
    concurrent redemption holds the row of its code, so that the later statements see its
    tokens. The last statement is repeated until it finds nothing.
    """
    of_client = {"subject": subject, "client_id": client_id}
    total = changed_rows(session, delete(Consent).filter_by(**of_client))
    session.execute(delete(ScopeUse).filter_by(**of_client))
    codes = update(AuthorizationCode).where(AuthorizationCode.consumed_at.is_(None))
    total += changed_rows(session, codes.filter_by(**of_client).values(consumed_at=now))
    total += device_code.withdraw(session, subject, client_id, now)
    live = update(Token).where(Token.revoked_at.is_(None))
    while changed := changed_rows(session, live.filter_by(**of_client).values(revoked_at=now)):
        total += changed
    return total > 0


def narrow(session: Session, subject: str, client_id: str, scopes: Iterable[str], now: int) -> bool:
    """Withdraw `scopes` that `subject` granted to `client_id`; return whether there were any.

    Pending codes and all tokens keep their other scopes. A concurrent refresh or redemption
    locks the row that it consumes, and consumes it only with the scopes that it read. So it
    either comes first, and the next round finds its tokens, or it comes later and starts again
    with the remaining scopes.
    """
    withdrawn = frozenset(scopes)
    of_client = {"subject": subject, "client_id": client_id}
    total = changed_rows(
        session, delete(Consent).filter_by(**of_client).where(Consent.scope.in_(withdrawn))
    )
    session.execute(delete(ScopeUse).filter_by(**of_client).where(ScopeUse.scope.in_(withdrawn)))
    for table in (AuthorizationCode, DeviceCode, Token):
        while rows := _with_any(session, table, withdrawn, of_client):
            total += len(rows)
            for key, scope in rows:
                session.execute(
                    update(table)
                    .where(table.digest == key)
                    .values(scope=scope - withdrawn)
                    .execution_options(synchronize_session=False)
                )
    if "offline_access" in withdrawn:
        # Without offline_access, no access outlives the sign-in.
        live = update(Token).where(Token.kind == "refresh", Token.revoked_at.is_(None))
        while changed_rows(session, live.filter_by(**of_client).values(revoked_at=now)):
            pass
    return total > 0


def _with_any(
    session: Session,
    table: type[AuthorizationCode] | type[DeviceCode] | type[Token],
    scopes: frozenset[str],
    of_client: Mapping[str, str],
) -> list[tuple[bytes, frozenset[str]]]:
    """Lock all rows of the user and the client; return the current ones with any of `scopes`."""
    rows = session.execute(
        select(table.digest, table.scope).filter_by(**of_client).with_for_update()
    ).all()
    return [(key, scope) for key, scope in rows if scope & scopes]


def prune(session: Session, now: int, limit: int) -> int:
    """Delete up to `limit` ended consents; return how many."""
    return delete_some(session, Consent, Consent.expires_at <= now, limit)
