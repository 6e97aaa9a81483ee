"""Authorization code: what the browser carries to the client, good once (RFC 6749 4.1.2)."""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749.models import AuthorizationCodeMixin
from sqlalchemy import Text, and_, exists, func, or_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from .base import Base, Digest, EpochSeconds, Identifier, changed_rows, delete_some
from .token import Token


class AuthorizationCode(Base, AuthorizationCodeMixin):
    """A code, known by its digest, bound to all that was asked with it.

    A consumed row stays until what the code gave has expired: only so is a second use
    told from an unknown code.
    """

    __tablename__ = "pkce_authorization_code"

    digest: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    family_id: Mapped[str] = mapped_column(Identifier)
    client_id: Mapped[str] = mapped_column(Identifier, index=True)
    subject: Mapped[str] = mapped_column(Identifier)
    redirect_uri: Mapped[str] = mapped_column(Text)
    #: RFC 7636 4.2: BASE64URL(SHA256(code_verifier)), never absent.
    code_challenge: Mapped[str] = mapped_column(Identifier)
    scope: Mapped[frozenset[str]]
    bindings: Mapped[dict[str, Any]]
    issued_at: Mapped[int]
    expires_at: Mapped[int] = mapped_column(EpochSeconds, index=True)
    consumed_at: Mapped[int | None]

    def __repr__(self) -> str:
        return f"<AuthorizationCode of {self.client_id}>"

    def is_live(self, now: int) -> bool:
        """Say whether it may be redeemed at `now` (epoch seconds)."""
        return self.consumed_at is None and self.expires_at > now

    # What Authlib asks of a code.

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return " ".join(sorted(self.scope))


def consume(session: Session, code: AuthorizationCode, code_challenge: str, now: int) -> bool:
    """Consume `code` if it is live and `code_challenge` is its own; say who won.

    The statement is the gate: of any number of redemptions at once, one sees True.
    Proof of the verifier is part of it, so that no way in can leave it out.
    """
    statement = (
        update(AuthorizationCode)
        .where(
            AuthorizationCode.digest == code.digest,
            AuthorizationCode.client_id == code.client_id,
            AuthorizationCode.code_challenge == code_challenge,
            # Nothing of it was taken back since it was read.
            AuthorizationCode.scope == code.scope,
            AuthorizationCode.consumed_at.is_(None),
            AuthorizationCode.expires_at > now,
        )
        .values(consumed_at=now)
    )
    return changed_rows(session, statement) == 1


def sharing_a_challenge(session: Session, limit: int) -> set[str]:
    """Return the clients that sent one code_challenge more than once, of up to `limit` pairs.

    A verifier is for one sign-in (RFC 7636 4.1). Two clients may share a challenge too,
    where both have it from the same example.
    """
    first, last = func.min(AuthorizationCode.client_id), func.max(AuthorizationCode.client_id)
    statement = (
        select(first, last)
        .group_by(AuthorizationCode.code_challenge)
        .having(func.count() > 1)
        .distinct()
        .limit(limit)
    )
    return {client_id for pair in session.execute(statement) for client_id in pair}


def prune(session: Session, now: int, limit: int) -> int:
    """Delete up to `limit` codes that nothing depends on any more; return how many."""
    gave_something_live = exists().where(
        Token.family_id == AuthorizationCode.family_id, Token.expires_at > now
    )
    nothing_hangs_on_it = or_(AuthorizationCode.consumed_at.is_(None), ~gave_something_live)
    over = and_(AuthorizationCode.expires_at <= now, nothing_hangs_on_it)
    return delete_some(session, AuthorizationCode, over, limit)
