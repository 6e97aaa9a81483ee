"""Authorization code: a one-time code that the browser takes to the client (RFC 6749 4.1.2)."""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749.models import AuthorizationCodeMixin
from sqlalchemy import Text, and_, exists, func, or_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from .base import Base, Digest, EpochSeconds, Identifier, changed_rows, delete_some
from .token import Token


class AuthorizationCode(Base, AuthorizationCodeMixin):
    """An authorization code, stored by its digest and bound to the authorization request.

    A consumed row is kept until the tokens issued for the code have expired: this
    distinguishes a second use from an unknown code.
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
        """Return whether the code can be redeemed at `now` (epoch seconds)."""
        return self.consumed_at is None and self.expires_at > now

    # The interface that Authlib expects of a code.

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return " ".join(sorted(self.scope))


def consume(session: Session, code: AuthorizationCode, code_challenge: str, now: int) -> bool:
    """Consume `code` if it is live and has this `code_challenge`; return whether it worked.

    One atomic UPDATE decides: of any number of concurrent redemptions, only one gets True.
    The challenge is part of its WHERE clause, so that no caller can skip the proof.
    """
    statement = (
        update(AuthorizationCode)
        .where(
            AuthorizationCode.digest == code.digest,
            AuthorizationCode.client_id == code.client_id,
            AuthorizationCode.code_challenge == code_challenge,
            # No scope was withdrawn since the code was read.
            AuthorizationCode.scope == code.scope,
            AuthorizationCode.consumed_at.is_(None),
            AuthorizationCode.expires_at > now,
        )
        .values(consumed_at=now)
    )
    return changed_rows(session, statement) == 1


def sharing_a_challenge(session: Session, limit: int) -> set[str]:
    """Return the client_ids that reused a code_challenge, from up to `limit` pairs of clients.

    A verifier is for one sign-in (RFC 7636 4.1). Two clients may also share a challenge, if
    both copied it from the same example.
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
    """Delete up to `limit` expired codes without live tokens; return how many."""
    has_live_token = exists().where(
        Token.family_id == AuthorizationCode.family_id, Token.expires_at > now
    )
    is_unneeded = or_(AuthorizationCode.consumed_at.is_(None), ~has_live_token)
    is_prunable = and_(AuthorizationCode.expires_at <= now, is_unneeded)
    return delete_some(session, AuthorizationCode, is_prunable, limit)
