"""Connection: all that a client holds of a user, read from consents and live tokens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from .client import Client
from .consent import Consent, ScopeUse, is_live
from .token import UNTIL, Token, is_live_token


@dataclass(frozen=True)
class SignIn:
    """One sign-in of a client: a family of tokens."""

    family_id: str
    #: What the rooms noted when it was allowed, and with each token of it since.
    bindings: dict[str, Any]
    #: Epoch seconds.
    since: int
    last_seen: int


@dataclass(frozen=True)
class Connection:
    """What one client holds of one user."""

    client: Client
    scopes: frozenset[str]
    #: Epoch seconds; it was used when it was last given a token, or used one.
    since: int
    last_used: int
    #: When the last of it has to be asked again; None for never.
    until: int | None
    #: The scopes that it has really used, where that is noted.
    used: frozenset[str]
    #: The most recent first.
    sign_ins: list[SignIn]


def of_subject(session: Session, subject: str, now: int) -> list[Connection]:
    """Return the connections of a user, the last used first."""
    granted = session.scalars(select(Consent).where(Consent.subject == subject, is_live(now))).all()
    live = session.scalars(select(Token).where(Token.subject == subject, is_live_token(now))).all()
    ids = {one.client_id for one in granted} | {one.client_id for one in live}
    clients = session.scalars(select(Client).where(Client.client_id.in_(ids))).all()
    uses = session.scalars(select(ScopeUse).where(ScopeUse.subject == subject)).all()
    found = [
        _connection(
            client,
            [one for one in granted if one.client_id == client.client_id],
            [one for one in live if one.client_id == client.client_id],
            [one for one in uses if one.client_id == client.client_id],
        )
        for client in clients
    ]
    return sorted(found, key=lambda one: (-one.last_used, one.client.client_id))


def _connection(
    client: Client, consents: list[Consent], tokens: list[Token], uses: list[ScopeUse]
) -> Connection:
    seen = [*(one.issued_at for one in consents), *(one.issued_at for one in tokens)]
    ends = [*(one.expires_at for one in consents), *(one.bindings.get(UNTIL) for one in tokens)]
    return Connection(
        client=client,
        scopes=frozenset(one.scope for one in consents).union(*(one.scope for one in tokens)),
        since=min(seen),
        last_used=max([*(one.used_at for one in uses), *seen]),
        until=None if None in ends else max(end for end in ends if end is not None),
        used=frozenset(one.scope for one in uses),
        sign_ins=_sign_ins(tokens),
    )


def _sign_ins(tokens: Iterable[Token]) -> list[SignIn]:
    families: dict[str, list[Token]] = {}
    for token in tokens:
        families.setdefault(token.family_id, []).append(token)
    found = [
        SignIn(
            family_id=family_id,
            bindings=_joined(its),
            since=min(one.issued_at for one in its),
            last_seen=max(one.issued_at for one in its),
        )
        for family_id, its in families.items()
    ]
    return sorted(found, key=lambda one: (-one.last_seen, one.family_id))


def _joined(tokens: Iterable[Token]) -> dict[str, Any]:
    """Return what the tokens of a family are tied to; of their audiences all."""
    found = {name: value for one in tokens for name, value in one.bindings.items()}
    audience = dict.fromkeys(uri for one in tokens for uri in one.audience)
    return {**found, **({"audience": [*audience]} if audience else {})}


def people_of(session: Session, client_id: str, now: int) -> int:
    """Return how many users have a connection with `client_id`."""
    granted = select(Consent.subject).where(Consent.client_id == client_id, is_live(now))
    live = select(Token.subject).where(Token.client_id == client_id, is_live_token(now))
    people = granted.union(live).subquery()
    return session.scalar(select(func.count()).select_from(people)) or 0
