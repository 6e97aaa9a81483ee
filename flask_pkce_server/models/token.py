"""Token: access and refresh tokens, and the family that descends from one decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from authlib.oauth2.rfc6749.models import TokenMixin
from sqlalchemy import ColumnElement, and_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from ..wire.handle import base64url, digest
from .base import Base, Digest, EpochSeconds, Identifier, changed_rows, delete_some
from .client import Client

#: The binding that says when what the user allowed is over (epoch seconds).
UNTIL = "until"
#: The subject of a token that a client has for itself (RFC 6749 4.4): that of no user.
NOBODY = ""
#: The binding of a token that was exchanged for another one: by whom, and for which.
EXCHANGED = "token_exchange"


class Token(Base, TokenMixin):
    """An access or a refresh token, known by its digest.

    `consumed_at` is set when a refresh token was exchanged for its successor,
    `revoked_at` when it was taken back.
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
        """Whether its client has it for itself, and no user stands behind it."""
        return self.subject == NOBODY

    def is_live(self, now: int) -> bool:
        """Say whether it may be used at `now` (epoch seconds)."""
        return self.consumed_at is None and self.revoked_at is None and self.expires_at > now

    @property
    def audience(self) -> list[str]:
        """The APIs that it is for, by their URIs; empty for this app alone."""
        return list(self.bindings.get("audience", ()))

    @property
    def actors(self) -> tuple[str, ...]:
        """The clients that exchanged their way to it, the last first (RFC 8693 4.1).

        Empty for what a client was given by no exchange.
        """
        return tuple(self.bindings.get(EXCHANGED, {}).get("actors", ()))

    @property
    def holder(self) -> str:
        """The client_id of the client that was given it.

        `client_id` names the one that the user let in: whatever they take back of that one,
        they take back of this too.
        """
        return self.actors[0] if self.actors else self.client_id

    @property
    def act(self) -> dict[str, Any]:
        """The claim `act` in a dict, nested as RFC 8693 4.1 has it; empty if there is none."""
        claim: dict[str, Any] = {}
        for client_id in reversed(self.actors):
            claim = {"act": {"sub": client_id, **claim}}
        return claim

    def exchanged(self, client_id: str) -> dict[str, Any]:
        """Return the binding of what `client_id` is given in exchange for it."""
        before = self.bindings.get(EXCHANGED, {}).get("from", ())
        return {"actors": [client_id, *self.actors], "from": [*before, base64url(self.digest)]}

    # What Authlib asks of a token.

    def check_client(self, client: Any) -> bool:
        return bool(self.holder == client.client_id)

    def get_scope(self) -> str:
        return " ".join(sorted(self.scope))


@dataclass(frozen=True)
class Family:
    """What all tokens of one decision share."""

    family_id: str
    client_id: str
    subject: str
    bindings: Mapping[str, Any]

    def token(
        self, kind: str, handle: str, *, scope: frozenset[str], issued_at: int, lifetime: int
    ) -> Token:
        """Make a member that is not stored yet; `lifetime` is in seconds."""
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
    """Return the condition that a token may be used at `now` (epoch seconds)."""
    return and_(Token.consumed_at.is_(None), Token.revoked_at.is_(None), Token.expires_at > now)


def find(session: Session, handle: str) -> Token | None:
    """Return the token with this handle, whatever its state."""
    return session.get(Token, digest(handle))


def find_holder(session: Session, token: Token) -> Client | None:
    """Return the client that was given a token that was exchanged for.

    None where one that had a hand in it is gone: such a token is not stored under the names
    of all of them. Who has that name since then is another one.
    """
    hands = {token.client_id, *token.actors}
    found = session.scalars(select(Client).where(Client.client_id.in_(hands)))
    known = {client.client_id: client for client in found}
    newest = max((known[name].issued_at for name in token.actors if name in known), default=0)
    return known[token.holder] if len(known) == len(hands) and newest <= token.issued_at else None


def consume(session: Session, token: Token, now: int) -> bool:
    """Consume a live refresh token; of any number of callers at once, one sees True."""
    statement = (
        update(Token)
        .where(
            Token.digest == token.digest,
            # Nothing of it was taken back since it was read.
            Token.scope == token.scope,
            Token.consumed_at.is_(None),
            Token.revoked_at.is_(None),
            Token.expires_at > now,
        )
        .values(consumed_at=now)
    )
    return changed_rows(session, statement) == 1


def hold(session: Session, token: Token, now: int) -> bool:
    """Hold a live token as it was read until the transaction ends; say whether it is live.

    Who takes back something of it meanwhile waits, and finds what was made from it.
    """
    statement = (
        update(Token)
        .where(Token.digest == token.digest, Token.scope == token.scope, is_live_token(now))
        .values(issued_at=Token.issued_at)
    )
    return changed_rows(session, statement) == 1


def revoke_family(session: Session, family_id: str, now: int) -> int:
    """Revoke all tokens of a family; return how many were not revoked before.

    The statement is repeated until it finds nothing. It waits for a refresh that is
    under way, since that holds a row of the family, but it does not see what that
    refresh inserted meanwhile: the next round does.
    """
    statement = (
        update(Token)
        .where(Token.family_id == family_id, Token.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    total = 0
    while found := changed_rows(session, statement):
        total += found
    return total


def revoke_exchanged(session: Session, token: Token, now: int) -> int:
    """Revoke a token that was exchanged for, and all that was made from it; return how many.

    The rest of the family is the user's and the app's that they let in. Repeated until
    nothing is found, as `revoke_family` is.
    """
    mine, key, total = [token.digest], base64url(token.digest), 0
    while mine:
        statement = update(Token).where(Token.digest.in_(mine), Token.revoked_at.is_(None))
        total += changed_rows(session, statement.values(revoked_at=now))
        others = session.execute(
            select(Token.digest, Token.bindings)
            .where(Token.family_id == token.family_id, Token.revoked_at.is_(None))
            .with_for_update()
        ).all()
        mine = [one for one, its in others if key in its.get(EXCHANGED, {}).get("from", ())]
    return total


def revoke_family_of(session: Session, family_id: str, subject: str, now: int) -> str | None:
    """Revoke a family if it is of `subject`; return whose client's it was."""
    owner = session.scalars(
        select(Token.client_id).where(Token.family_id == family_id, Token.subject == subject)
    ).first()
    if owner is not None:
        revoke_family(session, family_id, now)
    return owner


def prune(session: Session, now: int, limit: int) -> int:
    """Delete up to `limit` expired tokens; return how many."""
    return delete_some(session, Token, Token.expires_at <= now, limit)
