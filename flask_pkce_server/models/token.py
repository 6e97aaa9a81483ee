"""Token: access and refresh tokens, and the family that descends from one decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from authlib.oauth2.rfc6749.models import TokenMixin
from sqlalchemy import ColumnElement, and_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from .base import Base, Digest, EpochSeconds, Identifier, changed_rows, delete_some
from .handle import digest

#: The binding that says when what the user allowed is over (epoch seconds).
UNTIL = "until"
#: The subject of a token that a client has for itself (RFC 6749 4.4): that of no user.
NOBODY = ""


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

    # What Authlib asks of a token.

    def check_client(self, client: Any) -> bool:
        return bool(self.client_id == client.client_id)

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
