"""Consent: what a user's decisions let a client have again without asking, scope by scope."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Index,
    Text,
    bindparam,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from ..wire.handle import digest
from .base import NOW, Base, Digest, EpochSeconds, Identifier, changed_rows, one_more
from .pruning import Expired

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
    #: How often it was held: nodes of a Galera cluster see changes of each other, and no locks.
    holds: Mapped[int | None]


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


def is_live(now: int | BindParameter[int]) -> ColumnElement[bool]:
    """Return the condition that a consent is in force at `now` (epoch seconds)."""
    return or_(Consent.expires_at.is_(None), Consent.expires_at > now)


def count_people(session: Session, client_id: str) -> int:
    """Return how many users have granted the client anything, up to `MOST_PEOPLE`."""
    people = select(Consent.subject).where(Consent.client_id == client_id).distinct()
    counted = people.limit(MOST_PEOPLE).subquery()
    return session.scalar(select(func.count()).select_from(counted)) or 0


def are_there(number: int) -> tuple[ColumnElement[bool], list[str]]:
    """Return the condition that `number` consents are there, and the names of their digests.

    The other parameters are `since` and `now` (epoch seconds).
    """
    names = [f"consent_{at}" for at in range(number)]
    there = select(func.count()).where(
        Consent.digest.in_([bindparam(name, type_=Digest) for name in names]),
        Consent.issued_at >= bindparam("since", type_=EpochSeconds),
        is_live(NOW),
    )
    return there.scalar_subquery() == number, names


def hold(session: Session, asked: Asked, now: int, since: int) -> bool:
    """Lock the consents that allow what is `asked`; return whether all are still there.

    Times are epoch seconds. A concurrent withdrawal waits for the lock, or comes first and
    leaves nothing to hold. At another node of a Galera cluster, it collides with the change.
    """
    digests = asked.digests
    statement = update(Consent).where(
        Consent.digest.in_(digests), Consent.issued_at >= since, is_live(now)
    )
    return changed_rows(session, statement.values(holds=one_more(Consent.holds))) == len(digests)


def remember(
    session: Session, asked: Asked, now: int, until: int | None = None, since: int = 0
) -> None:
    """Store that the user grants what is `asked`, up to `until` or permanently.

    Times are epoch seconds. Other scopes stay granted; a scope granted again lasts until the
    new `until`. A consent starts anew if it has ended, or is from before `since` (see
    `Consents.standing`).
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


def expired(now: int) -> Expired:
    """Return the ended consents, for pruning."""
    return Expired(Consent.expires_at, now)
