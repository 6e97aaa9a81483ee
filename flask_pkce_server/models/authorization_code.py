"""Authorization code: a one-time code that the browser takes to the client (RFC 6749 4.1.2)."""

from __future__ import annotations

from functools import cache

from authlib.oauth2.rfc6749.models import AuthorizationCodeMixin
from sqlalchemy import Text, and_, bindparam, func, insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Mapped, Session, foreign, mapped_column, relationship

from . import consent
from .base import NOW, Base, Digest, EpochSeconds, Identifier
from .consent import Asked
from .grant import OF_GRANT, Grant, as_read, stands
from .lookup import Joined, Lookup
from .pruning import Expired
from .statement import Statement
from .token import has_valid_token


class AuthorizationCode(Base, AuthorizationCodeMixin):
    """An authorization code, stored by its digest, for one grant.

    A consumed row is kept until the tokens issued for the code have expired: this
    distinguishes a second use from an unknown code.
    """

    __tablename__ = "pkce_authorization_code"

    digest: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    grant_id: Mapped[str] = mapped_column(Identifier, index=True)
    redirect_uri: Mapped[str] = mapped_column(Text)
    #: RFC 7636 4.2: BASE64URL(SHA256(code_verifier)), never absent.
    code_challenge: Mapped[str] = mapped_column(Identifier)
    issued_at: Mapped[int]
    expires_at: Mapped[int] = mapped_column(EpochSeconds, index=True)
    consumed_at: Mapped[int | None]

    #: What the user decided, which the code lets the client redeem.
    grant: Mapped[Grant] = relationship(
        primaryjoin=lambda: foreign(AuthorizationCode.grant_id) == Grant.grant_id,
        lazy="joined",
        innerjoin=True,
        viewonly=True,
    )

    def __repr__(self) -> str:
        return f"<AuthorizationCode of {self.client_id}>"

    @property
    def client_id(self) -> str:
        """The client that the code was issued to."""
        return self.grant.client_id

    def is_live(self, now: int) -> bool:
        """Return whether the code can be redeemed at `now` (epoch seconds)."""
        return self.consumed_at is None and self.expires_at > now

    # The interface that Authlib expects of a code.

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return " ".join(sorted(self.grant.scope))


STORED_CODE = Lookup(
    AuthorizationCode,
    AuthorizationCode.digest == bindparam("digest"),
    Joined(AuthorizationCode, "grant", Grant, AuthorizationCode.grant_id == Grant.grant_id),
    OF_GRANT,
)


@cache
def _storing(number_of_consents: int) -> tuple[Statement, list[str]]:
    """Return the INSERT of a code that rests on consents, and the names of their digests."""
    condition, names = consent.are_there(number_of_consents)
    table = AuthorizationCode.__table__
    values = [bindparam(f"code_{column.name}", type_=column.type) for column in table.c]
    selected = select(*values).where(condition)
    return Statement(insert(table).from_select(list(table.c), selected)), names  # type: ignore[arg-type]


def store_resting_on(
    connection: Connection, code: AuthorizationCode, asked: Asked, now: int, since: int
) -> bool:
    """Store `code` if the consents that allow what is `asked` are there; return whether they are.

    Times are epoch seconds, see `Consents.standing` for `since`. Commit the grant before this:
    consents are deleted before grants are revoked, so that either this finds them gone or the
    revocation finds the grant.
    """
    statement, names = _storing(len(asked.digests))
    values = {f"code_{column.name}": code.__dict__.get(column.name) for column in code.__table__.c}
    consents = dict(zip(names, asked.digests, strict=True))
    return statement.count(connection, **values, **consents, now=now, since=since) == 1


_CONSUME = Statement(
    update(AuthorizationCode.__table__)  # type: ignore[arg-type]
    .where(
        AuthorizationCode.digest == bindparam("of_digest"),
        AuthorizationCode.code_challenge == bindparam("proof"),
        AuthorizationCode.consumed_at.is_(None),
        AuthorizationCode.expires_at > NOW,
        stands(),
    )
    .values(consumed_at=NOW)
)


def consume(connection: Connection, code: AuthorizationCode, code_challenge: str, now: int) -> bool:
    """Consume `code` if it is live and has this `code_challenge`; return whether it worked.

    One atomic UPDATE decides: of any number of concurrent redemptions, only one gets True.
    The challenge is part of its WHERE clause, so that no caller can skip the proof.
    """
    read = as_read(code.grant, now)
    return _CONSUME.count(connection, of_digest=code.digest, proof=code_challenge, **read) == 1


def sharing_a_challenge(session: Session, limit: int) -> set[str]:
    """Return the client_ids that reused a code_challenge, from up to `limit` pairs of clients.

    A verifier is for one sign-in (RFC 7636 4.1). Two clients may also share a challenge, if
    both copied it from the same example.
    """
    first, last = func.min(Grant.client_id), func.max(Grant.client_id)
    statement = (
        select(first, last)
        .join(AuthorizationCode, AuthorizationCode.grant_id == Grant.grant_id)
        .group_by(AuthorizationCode.code_challenge)
        .having(func.count() > 1)
        .distinct()
        .limit(limit)
    )
    return {client_id for pair in session.execute(statement) for client_id in pair}


def expired(now: int) -> Expired:
    """Return the expired codes whose tokens have expired too, for pruning."""
    return Expired(
        AuthorizationCode.expires_at,
        now,
        lambda code: and_(code.consumed_at.is_not(None), has_valid_token(code, now)),
    )
