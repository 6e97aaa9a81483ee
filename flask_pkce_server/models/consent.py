"""Consent: what a user's decisions let a client have again without asking, scope by scope."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Index,
    Text,
    func,
    null,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from ..wire.handle import digest
from .base import Base, Digest, EpochSeconds, Identifier, changed_rows, delete_some
from .login_session import EndedSession

#: The users of a client are counted up to this number.
MOST_PEOPLE = 1000
#: The scope of the consent to a request without scopes, which tells who the user is.
IDENTITY = ""


class Consent(Base):
    """One scope that one user has granted to one client, for one API.

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
    #: The URI of the API; "" for this server itself.
    resource: Mapped[str] = mapped_column(Text)
    issued_at: Mapped[int]
    #: When the user has to be asked again; None for never.
    expires_at: Mapped[int | None] = mapped_column(EpochSeconds, index=True)


@dataclass(frozen=True)
class Asked:
    """What a client asks a user for."""

    subject: str
    client_id: str
    scopes: frozenset[str]
    #: The URIs of the APIs; "" is this server itself.
    resources: Sequence[str] = ("",)

    @property
    def digests(self) -> dict[bytes, tuple[str, str]]:
        """The primary keys of the consents that allow it, each with its scope and API."""
        # Who grants anything lets the client know who they are.
        return {
            _key(self.subject, self.client_id, scope, resource): (scope, resource)
            for scope in self.scopes or {IDENTITY}
            for resource in self.resources
        }


@dataclass(frozen=True)
class Standing:
    """What a user has granted to a client, and how many users the client has."""

    #: The scopes granted before, each with the time when it ends (None: never).
    granted: Mapping[str, int | None]
    #: How many users have granted the client anything, counted up to `MOST_PEOPLE`.
    people: int
    #: Whether the user let the client in before, with any scope or none.
    is_let_in: bool = False
    #: Whether the login session of the browser is over.
    is_session_over: bool = False

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes that the user has granted before."""
        return frozenset(self.granted)

    def until(self, scopes: Iterable[str]) -> int | None:
        """Return when the first of `scopes` ends (epoch seconds); None for never."""
        ends = (self.granted.get(scope) for scope in scopes)
        return min((end for end in ends if end is not None), default=None)


def _key(subject: str, client_id: str, scope: str, resource: str) -> bytes:
    return digest("\n".join((subject, client_id, scope, resource)))


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


def standing(
    session: Session, asked: Asked, now: int, since: int = 0, *, sid: str = ""
) -> Standing:
    """Return what the user has granted to the client, in one SQL statement.

    Times are epoch seconds. A scope counts if it was granted for each of the APIs that are
    asked for. Consents from before `since` do not count, because the client has changed since.
    `sid` is the login session of the browser.
    """
    subject, client_id, wanted = asked.subject, asked.client_id, asked.resources
    people = select(Consent.subject).where(Consent.client_id == client_id).distinct()
    counted = people.limit(MOST_PEOPLE).subquery()
    ended = select(func.count()).select_from(EndedSession).where(EndedSession.sid == sid)
    rows: Sequence[Any] = session.execute(
        union_all(
            select(Consent.scope, Consent.resource, Consent.expires_at, null()).where(
                Consent.subject == subject,
                Consent.client_id == client_id,
                Consent.issued_at >= since,
                is_live(now),
            ),
            select(null(), null(), ended.scalar_subquery(), func.count()).select_from(counted),
        )
    ).all()
    ends = {(scope, uri): until for scope, uri, until, number in rows if number is None}
    granted = {
        scope: min((ends[scope, uri] for uri in wanted), key=lambda end: (end is None, end or 0))
        for scope in {scope for scope, _ in ends}
        if all((scope, uri) in ends for uri in wanted)
    }
    is_let_in = bool(granted)
    granted.pop(IDENTITY, None)
    _, _, is_over, number = next(row for row in rows if row[3] is not None)
    return Standing(
        granted=granted,
        people=number,
        is_let_in=is_let_in,
        is_session_over=bool(is_over),
    )


def hold(session: Session, asked: Asked, now: int, since: int) -> bool:
    """Lock the consents that allow what is `asked`; return whether all are still there.

    Times are epoch seconds. A concurrent withdrawal waits for the lock, or comes first and
    leaves nothing to hold.
    """
    digests = asked.digests
    statement = update(Consent).where(
        Consent.digest.in_(digests), Consent.issued_at >= since, is_live(now)
    )
    return changed_rows(session, statement.values(issued_at=Consent.issued_at)) == len(digests)


def remember(
    session: Session, asked: Asked, now: int, until: int | None = None, since: int = 0
) -> None:
    """Store that the user grants what is `asked`, up to `until` or permanently.

    Times are epoch seconds. Other scopes stay granted; a scope granted again lasts until the
    new `until`. A consent that has ended, or is from before `since` (see `standing`), starts
    anew.
    """
    digests = asked.digests
    stored = session.scalars(select(Consent).where(Consent.digest.in_(digests)))
    rows = {row.digest: row for row in stored}
    for key, (scope, resource) in sorted(digests.items()):
        row = rows.get(key)
        if row is None:
            row = Consent(
                digest=key,
                subject=asked.subject,
                client_id=asked.client_id,
                scope=scope,
                resource=resource,
                issued_at=now,
            )
            session.add(row)
        elif row.issued_at < since or (row.expires_at is not None and row.expires_at <= now):
            row.issued_at = now
        row.expires_at = until


def prune(session: Session, now: int, limit: int) -> int:
    """Delete up to `limit` ended consents; return how many."""
    return delete_some(session, Consent, Consent.expires_at <= now, limit)
