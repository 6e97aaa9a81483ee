"""Token: access and refresh tokens, and the family that descends from one grant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from authlib.oauth2.rfc6749.models import TokenMixin
from sqlalchemy import ColumnElement, and_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from ..wire.handle import base64url, digest
from ..wire.resource_uri import canonical
from .base import Base, Digest, EpochSeconds, Identifier, changed_rows, delete_some
from .client import Client

#: The binding with the time when the grant of the user ends (epoch seconds).
UNTIL = "until"
#: The subject of a token that a client obtained on its own behalf (RFC 6749 4.4).
NOBODY = ""
#: The binding of a token issued by an exchange: which clients exchanged which tokens.
EXCHANGED = "token_exchange"


class Token(Base, TokenMixin):
    """An access token or a refresh token, stored by its digest.

    `consumed_at` is set when a refresh token is replaced by its successor, `revoked_at` when
    a token is revoked.
    """

    __tablename__ = "pkce_token"

    digest: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    kind: Mapped[str] = mapped_column(Identifier)
    family_id: Mapped[str] = mapped_column(Identifier, index=True)
    client_id: Mapped[str] = mapped_column(Identifier, index=True)
    subject: Mapped[str] = mapped_column(Identifier, index=True)
    scope: Mapped[frozenset[str]]
    bindings: Mapped[dict[str, Any]]
    issued_at: Mapped[int]
    expires_at: Mapped[int] = mapped_column(EpochSeconds, index=True)
    consumed_at: Mapped[int | None]
    revoked_at: Mapped[int | None]

    def __repr__(self) -> str:
        return f"<Token {self.kind} of {self.client_id}>"

    @property
    def is_machine(self) -> bool:
        """Whether the client obtained the token on its own behalf, without a user."""
        return self.subject == NOBODY

    def is_live(self, now: int) -> bool:
        """Return whether the token can be used at `now` (epoch seconds)."""
        return self.consumed_at is None and self.revoked_at is None and self.expires_at > now

    @property
    def audience(self) -> list[str]:
        """The URIs of the APIs that the token is for; empty if it is for this app only."""
        return list(self.bindings.get("audience", ()))

    def is_for(self, uri: str | None, issuer: str) -> bool:
        """Return whether the token is for the API `uri`, or for the app itself if None.

        The app itself is named by `issuer`, or not at all (RFC 9068 4, RFC 8707 2).
        """
        audience = self.audience
        if uri is not None:
            return canonical(uri) in map(canonical, audience or [issuer])
        return not audience or issuer in audience

    @property
    def actors(self) -> tuple[str, ...]:
        """The client_ids of the chain of exchanges, the latest first (RFC 8693 4.1).

        Empty for a token that was not issued by an exchange.
        """
        return tuple(self.bindings.get(EXCHANGED, {}).get("actors", ()))

    @property
    def holder(self) -> str:
        """The client_id of the client that the token was issued to.

        The column `client_id` names the client that the user authorized: whatever the user
        withdraws from that client is withdrawn from this token too.
        """
        return self.actors[0] if self.actors else self.client_id

    @property
    def act(self) -> dict[str, Any]:
        """A dict with the `act` claim, nested as in RFC 8693 4.1; empty without an exchange."""
        claim: dict[str, Any] = {}
        for client_id in reversed(self.actors):
            claim = {"act": {"sub": client_id, **claim}}
        return claim

    def exchanged(self, client_id: str) -> dict[str, Any]:
        """Return the `EXCHANGED` binding of a token that `client_id` obtains for this one."""
        earlier = self.bindings.get(EXCHANGED, {}).get("from", ())
        return {"actors": [client_id, *self.actors], "from": [*earlier, base64url(self.digest)]}

    # The interface that Authlib expects of a token.

    def check_client(self, client: Any) -> bool:
        return bool(self.holder == client.client_id)

    def get_scope(self) -> str:
        return " ".join(sorted(self.scope))


@dataclass(frozen=True)
class Family:
    """What all tokens of one grant have in common."""

    family_id: str
    client_id: str
    subject: str
    bindings: Mapping[str, Any]

    def token(
        self, kind: str, handle: str, *, scope: frozenset[str], issued_at: int, lifetime: int
    ) -> Token:
        """Return a new token of the family, without storing it; `lifetime` is in seconds."""
        return Token(
            digest=digest(handle),
            kind=kind,
            family_id=self.family_id,
            client_id=self.client_id,
            subject=self.subject,
            scope=scope,
            bindings=dict(self.bindings),
            issued_at=issued_at,
            expires_at=issued_at + lifetime,
        )


def is_live_token(now: int) -> ColumnElement[bool]:
    """Return the condition that a token can be used at `now` (epoch seconds)."""
    return and_(Token.consumed_at.is_(None), Token.revoked_at.is_(None), Token.expires_at > now)


def find(session: Session, handle: str) -> Token | None:
    """Return the token with this handle, live or not; None if there is none."""
    return session.get(Token, digest(handle))


def find_holder(session: Session, token: Token) -> Client | None:
    """Return the client that holds a token issued by an exchange.

    Returns None if a client of the chain has been deleted, even if its client_id is registered
    again: the token has one client_id, so deleting the other clients does not delete it.
    """
    client_ids = {token.client_id, *token.actors}
    rows = session.scalars(select(Client).where(Client.client_id.in_(client_ids)))
    clients = {client.client_id: client for client in rows}
    newest = max((clients[name].issued_at for name in token.actors if name in clients), default=0)
    is_intact = len(clients) == len(client_ids) and newest <= token.issued_at
    return clients[token.holder] if is_intact else None


def consume(session: Session, token: Token, now: int) -> bool:
    """Consume a live refresh token; of any number of concurrent callers, only one gets True."""
    statement = (
        update(Token)
        .where(
            Token.digest == token.digest,
            # No scope was withdrawn since the token was read.
            Token.scope == token.scope,
            Token.consumed_at.is_(None),
            Token.revoked_at.is_(None),
            Token.expires_at > now,
        )
        .values(consumed_at=now)
    )
    return changed_rows(session, statement) == 1


def hold(session: Session, token: Token, now: int) -> bool:
    """Lock a live token until the transaction ends; return whether it is live and unchanged.

    A concurrent withdrawal waits for the lock, and then finds what was issued from the token.
    """
    statement = (
        update(Token)
        .where(Token.digest == token.digest, Token.scope == token.scope, is_live_token(now))
        .values(issued_at=Token.issued_at)
    )
    return changed_rows(session, statement) == 1


def revoke_family(session: Session, family_id: str, now: int) -> int:
    """Revoke all tokens of a family; return how many were not revoked before.

    The statement is repeated until it finds nothing. It waits for a concurrent refresh, which
    holds a row of the family, but does not see the rows that the refresh inserted: the next
    round does.
    """
    statement = (
        update(Token)
        .where(Token.family_id == family_id, Token.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    total = 0
    while changed := changed_rows(session, statement):
        total += changed
    return total


def revoke_exchanged(session: Session, token: Token, now: int) -> int:
    """Revoke a token issued by an exchange, and all tokens made from it; return how many.

    The rest of the family belongs to the client that the user authorized, and stays. Repeated
    until nothing is found, like `revoke_family`.
    """
    digests, key, total = [token.digest], base64url(token.digest), 0
    while digests:
        statement = update(Token).where(Token.digest.in_(digests), Token.revoked_at.is_(None))
        total += changed_rows(session, statement.values(revoked_at=now))
        family = session.execute(
            select(Token.digest, Token.bindings)
            .where(Token.family_id == token.family_id, Token.revoked_at.is_(None))
            .with_for_update()
        ).all()
        parents = ((member, bindings.get(EXCHANGED, {})) for member, bindings in family)
        digests = [member for member, exchange in parents if key in exchange.get("from", ())]
    return total


def revoke_family_of(session: Session, family_id: str, subject: str, now: int) -> str | None:
    """Revoke a family if it belongs to `subject`; return its client_id, or None."""
    client_id = session.scalars(
        select(Token.client_id).where(Token.family_id == family_id, Token.subject == subject)
    ).first()
    if client_id is not None:
        revoke_family(session, family_id, now)
    return client_id


def prune(session: Session, now: int, limit: int) -> int:
    """Delete up to `limit` expired tokens; return how many."""
    return delete_some(session, Token, Token.expires_at <= now, limit)
