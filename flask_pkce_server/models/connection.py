"""Connection: a client's access to a user's account, read from consents and live tokens."""

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
    """One sign-in to a client: a family of tokens."""

    family_id: str
    #: What the features recorded with the grant and with each of its tokens since.
    bindings: dict[str, Any]
    #: Epoch seconds; `last_seen` is when the newest live token was issued.
    since: int
    last_seen: int


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
    #: Most recent first.
    sign_ins: list[SignIn]


def of_subject(session: Session, subject: str, now: int) -> list[Connection]:
    """Return the connections of the user `subject` at `now`, most recently used first."""
    granted = session.scalars(select(Consent).where(Consent.subject == subject, is_live(now))).all()
    live = session.scalars(select(Token).where(Token.subject == subject, is_live_token(now))).all()
    ids = {consent.client_id for consent in granted} | {token.client_id for token in live}
    clients = session.scalars(select(Client).where(Client.client_id.in_(ids))).all()
    uses = session.scalars(select(ScopeUse).where(ScopeUse.subject == subject)).all()
    connections = [
        _connection(
            client,
            [consent for consent in granted if consent.client_id == client.client_id],
            [token for token in live if token.client_id == client.client_id],
            [use for use in uses if use.client_id == client.client_id],
        )
        for client in clients
    ]
    return sorted(connections, key=lambda item: (-item.last_used, item.client.client_id))


def _connection(
    client: Client, consents: list[Consent], tokens: list[Token], uses: list[ScopeUse]
) -> Connection:
    issued = [*(row.issued_at for row in consents), *(row.issued_at for row in tokens)]
    ends = [consent.expires_at for consent in consents]
    ends += [token.bindings.get(UNTIL) for token in tokens]
    return Connection(
        client=client,
        scopes=frozenset(row.scope for row in consents).union(*(row.scope for row in tokens)),
        since=min(issued),
        last_used=max([*(use.used_at for use in uses), *issued]),
        until=None if None in ends else max(end for end in ends if end is not None),
        used=frozenset(use.scope for use in uses),
        sign_ins=_sign_ins(tokens),
    )


def _sign_ins(tokens: Iterable[Token]) -> list[SignIn]:
    families: dict[str, list[Token]] = {}
    for token in tokens:
        families.setdefault(token.family_id, []).append(token)
    sign_ins = [
        SignIn(
            family_id=family_id,
            bindings=_joined(family),
            since=min(token.issued_at for token in family),
            last_seen=max(token.issued_at for token in family),
        )
        for family_id, family in families.items()
    ]
    return sorted(sign_ins, key=lambda sign_in: (-sign_in.last_seen, sign_in.family_id))


def _joined(tokens: Iterable[Token]) -> dict[str, Any]:
    """Return the bindings of the tokens of a family, with all of their audiences."""
    bindings = {name: value for token in tokens for name, value in token.bindings.items()}
    audience = dict.fromkeys(uri for token in tokens for uri in token.audience)
    return {**bindings, **({"audience": [*audience]} if audience else {})}


def people_of(session: Session, client_id: str, now: int) -> int:
    """Return how many users have a connection with `client_id`."""
    granted = select(Consent.subject).where(Consent.client_id == client_id, is_live(now))
    live = select(Token.subject).where(Token.client_id == client_id, is_live_token(now))
    people = granted.union(live).subquery()
    return session.scalar(select(func.count()).select_from(people)) or 0
