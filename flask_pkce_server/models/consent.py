"""Consent: what a user has allowed a client, remembered scope by scope."""

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

#: People who let a client in are counted up to here.
MOST_PEOPLE = 1000


class Consent(Base):
    """One scope that one user has granted to one client.

    A row a scope: two tabs that grant different scopes at once lose nothing.
    """

    __tablename__ = "pkce_consent"
    __table_args__ = (
        Index("ix_pkce_consent_subject_client_id", "subject", "client_id"),
        # To count people without reading all their rows.
        Index("ix_pkce_consent_client_id_subject", "client_id", "subject"),
    )

    digest: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    subject: Mapped[str] = mapped_column(Identifier)
    client_id: Mapped[str] = mapped_column(Identifier)
    scope: Mapped[str] = mapped_column(Identifier)
    issued_at: Mapped[int]
    #: When it has to be asked again; None for never.
    expires_at: Mapped[int | None] = mapped_column(EpochSeconds, index=True)


@dataclass(frozen=True)
class Standing:
    """How a user and a client stand to each other."""

    #: What the user has granted before, and when each has to be asked again (None: never).
    granted: Mapping[str, int | None]
    #: How many people let the client in, counted up to `MOST_PEOPLE`.
    people: int

    @property
    def scopes(self) -> frozenset[str]:
        """What the user has granted before."""
        return frozenset(self.granted)

    def until(self, scopes: Iterable[str]) -> int | None:
        """Return when the first of `scopes` has to be asked again; None for never."""
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
    """Note that `client_id` used `scopes` for `subject`."""
    for scope in scopes:
        key = digest("\n".join((subject, client_id, scope)))
        known = update(ScopeUse).where(ScopeUse.digest == key).values(used_at=now)
        if changed_rows(session, known) == 0:
            session.add(
                ScopeUse(digest=key, subject=subject, client_id=client_id, scope=scope, used_at=now)
            )


def is_live(now: int) -> ColumnElement[bool]:
    """Return the condition that a consent still counts at `now` (epoch seconds)."""
    return or_(Consent.expires_at.is_(None), Consent.expires_at > now)


def standing(session: Session, subject: str, client_id: str, now: int, since: int = 0) -> Standing:
    """Return how `subject` and `client_id` stand to each other, by one statement.

    What was granted before `since` was granted to what the client is no more.
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
    """Remember that `subject` grants `scopes` to `client_id`, for good or up to `until`.

    What was granted before stays, and lasts as long as was decided last; what was granted
    before `since`, as in `standing`, is granted anew.
    """
    known = {
        row.scope: row
        for row in session.scalars(
            select(Consent).where(Consent.subject == subject, Consent.client_id == client_id)
        )
    }
    for scope in sorted(scopes):
        row = known.get(scope)
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
    total += device_code.withdraw(session, subject, client_id, now)
    live = update(Token).where(Token.revoked_at.is_(None))
    while found := changed_rows(session, live.filter_by(**of_client).values(revoked_at=now)):
        total += found
    return total > 0


def narrow(session: Session, subject: str, client_id: str, scopes: Iterable[str], now: int) -> bool:
    """Take back `scopes` of what `subject` gave `client_id`; say whether there was anything.

    What is left goes on with the fewer scopes: codes on their way, and every token. A
    refresh or a redemption under way holds the row that it consumes, and consumes it only
    with the scopes that it read: so it comes before, and what it gave is found by the next
    round, or after, and begins again.
    """
    gone = frozenset(scopes)
    of_client = {"subject": subject, "client_id": client_id}
    total = changed_rows(
        session, delete(Consent).filter_by(**of_client).where(Consent.scope.in_(gone))
    )
    session.execute(delete(ScopeUse).filter_by(**of_client).where(ScopeUse.scope.in_(gone)))
    for table in (AuthorizationCode, DeviceCode, Token):
        while found := _with_any(session, table, gone, of_client):
            total += len(found)
            for key, its in found:
                session.execute(
                    update(table)
                    .where(table.digest == key)
                    .values(scope=its - gone)
                    .execution_options(synchronize_session=False)
                )
    if "offline_access" in gone:
        # Without it nothing outlives the sign-in.
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
    """Return the rows that have one of `scopes`, as they are now, and hold them."""
    rows = session.execute(
        select(table.digest, table.scope).filter_by(**of_client).with_for_update()
    ).all()
    return [(key, its) for key, its in rows if its & scopes]


def prune(session: Session, now: int, limit: int) -> int:
    """Delete up to `limit` consents that have ended; return how many."""
    return delete_some(session, Consent, Consent.expires_at <= now, limit)
