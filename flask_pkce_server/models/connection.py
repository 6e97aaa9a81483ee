"""Connection: a client's access to a user's account, read from grants and consents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, select
from sqlalchemy.orm import Session

from .client import Client
from .consent import IDENTITY, Consent, ScopeUse, is_live
from .grant import NOBODY, Grant, is_in_force
from .token import Token, is_live_token


@dataclass(frozen=True)
class LiveGrant:
    """A grant with a live token."""

    grant: Grant
    #: When the newest of its live tokens was issued (epoch seconds).
    last_issued_at: int
    #: The URIs of the APIs that its live tokens are for, apart from this server itself.
    audience: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Connection:
    """The access that one client has to one user's account."""

    client: Client
    scopes: frozenset[str]
    #: Epoch seconds; issuing a token or a consent counts as use.
    since: int
    last_used: int
    #: When all access has ended (epoch seconds); None for never.
    until: int | None
    #: The scopes that the client has really used, if their use is recorded.
    used: frozenset[str]
    #: The grants that it still has tokens of, most recently used first.
    grants: list[LiveGrant]


def of_subject(session: Session, subject: str, now: int) -> list[Connection]:
    """Return the connections of the user `subject` at `now`, most recently used first."""
    consents = session.scalars(
        select(Consent).where(Consent.subject == subject, is_live(now))
    ).all()
    live = live_grants(session, now, Grant.subject == subject)
    uses = session.scalars(select(ScopeUse).where(ScopeUse.subject == subject)).all()
    clients = {item.grant.client_id: item.grant.client for item in live}
    others = {consent.client_id for consent in consents} - clients.keys()
    if others:
        found = session.scalars(select(Client).where(Client.client_id.in_(others)))
        clients |= {client.client_id: client for client in found}
    connections = [
        _connection(
            client,
            [consent for consent in consents if consent.client_id == client.client_id],
            [item for item in live if item.grant.client_id == client.client_id],
            [use for use in uses if use.client_id == client.client_id],
        )
        for client in clients.values()
        if client is not None
    ]
    return sorted(connections, key=lambda item: (-item.last_used, item.client.client_id))


def live_grants(session: Session, now: int, *conditions: ColumnElement[bool]) -> list[LiveGrant]:
    """Return the grants with live tokens that meet `conditions`, most recently used first."""
    rows = session.execute(
        select(Grant, Token.issued_at, Token.audience)
        .join(Token, Token.grant_id == Grant.grant_id)
        .where(is_in_force(now), is_live_token(now), *conditions)
        .order_by(Token.issued_at.desc(), Grant.grant_id)
    )
    found: dict[str, LiveGrant] = {}
    for grant, issued_at, audience in rows:
        live = found.setdefault(grant.grant_id, LiveGrant(grant, issued_at))
        live.audience.update(audience)
    return list(found.values())


def _connection(
    client: Client, consents: list[Consent], live: list[LiveGrant], uses: Iterable[ScopeUse]
) -> Connection:
    starts = [*(row.issued_at for row in consents), *(item.grant.issued_at for item in live)]
    since = min(starts)
    # An app that was removed and allowed again starts anew.
    uses = [use for use in uses if use.used_at >= since]
    scopes = frozenset(row.scope for row in consents) - {IDENTITY}
    ends = [row.expires_at for row in consents] + [item.grant.until for item in live]
    return Connection(
        client=client,
        scopes=scopes.union(*(item.grant.allowed for item in live)),
        since=since,
        last_used=max(
            [*starts, *(use.used_at for use in uses), *(item.last_issued_at for item in live)]
        ),
        until=None if None in ends else max(end for end in ends if end is not None),
        used=frozenset(use.scope for use in uses),
        grants=live,
    )


def is_unused(client_id: Any) -> ColumnElement[bool]:
    """Return the condition that the client in this column has nothing that a user granted."""
    granted = exists().where(Grant.client_id == client_id, Grant.revoked_at.is_(None))
    return and_(~granted, ~exists().where(Consent.client_id == client_id))


def people_of(session: Session, client_id: str, now: int) -> int:
    """Return how many users have a connection with `client_id`."""
    consented = select(Consent.subject).where(Consent.client_id == client_id, is_live(now))
    holding = (
        select(Grant.subject)
        .join(Token, Token.grant_id == Grant.grant_id)
        .where(Grant.client_id == client_id, Grant.subject != NOBODY)
        .where(is_in_force(now), is_live_token(now))
    )
    people = consented.union(holding).subquery()
    return session.scalar(select(func.count()).select_from(people)) or 0
