"""Token: access and refresh tokens, each part of a grant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from authlib.oauth2.rfc6749.models import TokenMixin
from sqlalchemy import BindParameter, ColumnElement, and_, bindparam, literal, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship

from ..wire.handle import base64url
from ..wire.resource_uri import canonical
from .base import (
    NOW,
    ROOM_FOR_UPDATES,
    Base,
    Digest,
    EpochSeconds,
    Identifier,
    one_more,
)
from .client import Client
from .grant import OF_GRANT, OFFLINE_ACCESS, Grant, as_read, stands
from .lookup import Joined, Lookup
from .pruning import Expired
from .statement import Statement


class Token(Base, TokenMixin):
    """An access token or a refresh token, stored by its digest.

    `consumed_at` is set when a refresh token is replaced by its successor, `revoked_at` when
    an exchanged token is revoked; all other tokens end with their grant.
    """

    __tablename__ = "pkce_token"
    __table_args__ = (ROOM_FOR_UPDATES,)

    digest: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    kind: Mapped[str] = mapped_column(Identifier)
    grant_id: Mapped[str] = mapped_column(Identifier, index=True)
    #: The scopes that it was issued with. `scope` is what is left of them.
    issued_scope: Mapped[frozenset[str]] = mapped_column("scope")
    #: The URIs of the APIs that the token is for; empty if it is for this app only.
    audience: Mapped[list[str]]
    #: For a token issued by an exchange: which clients exchanged which tokens.
    exchange: Mapped[dict[str, Any] | None]
    issued_at: Mapped[int]
    expires_at: Mapped[int] = mapped_column(EpochSeconds, index=True)
    consumed_at: Mapped[int | None]
    revoked_at: Mapped[int | None]
    #: How often it was held (see `hold`).
    holds: Mapped[int | None]

    #: What the user decided, which the token is part of.
    grant: Mapped[Grant] = relationship(
        primaryjoin=lambda: foreign(Token.grant_id) == Grant.grant_id,
        lazy="joined",
        innerjoin=True,
        viewonly=True,
    )

    #: Who presents it, if it was read with that client.
    caller: ClassVar[Client | None] = None

    def __repr__(self) -> str:
        return f"<Token {self.kind} of {self.client_id}>"

    @property
    def client_id(self) -> str:
        """The client that the user authorized."""
        return self.grant.client_id

    @property
    def subject(self) -> str:
        """The user who authorized the client; "" for a token without a user."""
        return self.grant.subject

    @property
    def scope(self) -> frozenset[str]:
        """The scopes that the token still has: what was withdrawn since is gone."""
        return self.issued_scope & self.grant.allowed

    @property
    def bindings(self) -> Mapping[str, Any]:
        """What the grant of the token is tied to."""
        return self.grant.bindings

    @property
    def is_machine(self) -> bool:
        """Whether the client obtained the token on its own behalf, without a user."""
        return self.grant.is_machine

    @property
    def has_lost_offline_access(self) -> bool:
        """Whether it is a refresh token that was issued for access that the user took back."""
        lost = self.issued_scope - self.scope
        return self.kind == "refresh" and OFFLINE_ACCESS in lost

    def is_live(self, now: int) -> bool:
        """Return whether the token can be used at `now` (epoch seconds)."""
        return (
            self.consumed_at is None
            and not self.has_lost_offline_access
            and self.revoked_at is None
            and self.expires_at > now
            and self.grant.is_live(now)
        )

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
        return tuple((self.exchange or {}).get("actors", ()))

    @property
    def holder(self) -> str:
        """The client_id of the client that the token was issued to.

        The grant names the client that the user authorized: whatever the user withdraws from
        that client is withdrawn from this token too.
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
        """Return the `exchange` of a token that `client_id` obtains for this one."""
        earlier = (self.exchange or {}).get("from", ())
        return {"actors": [client_id, *self.actors], "from": [*earlier, base64url(self.digest)]}

    # The interface that Authlib expects of a token.

    def check_client(self, client: Any) -> bool:
        return bool(self.holder == client.client_id)

    def get_scope(self) -> str:
        return " ".join(sorted(self.scope))


STORED_TOKEN = Lookup(
    Token,
    Token.digest == bindparam("digest"),
    Joined(Token, "grant", Grant, Token.grant_id == Grant.grant_id),
    OF_GRANT,
)


_CALLER = Client.__table__.alias("caller")
#: The same, with the client that presents it (`caller`) and need not be the one of the grant.
PRESENTED_TOKEN = Lookup(
    Token,
    Token.digest == bindparam("digest"),
    Joined(Token, "grant", Grant, Token.grant_id == Grant.grant_id),
    OF_GRANT,
    Joined(Token, "caller", Client, _CALLER.c.client_id == bindparam("caller"), True, _CALLER),
)


def is_live_token(now: int | BindParameter[int]) -> ColumnElement[bool]:
    """Return the condition that a token of a live grant can be used at `now` (epoch seconds)."""
    return and_(Token.consumed_at.is_(None), Token.revoked_at.is_(None), Token.expires_at > now)


_IS_STILL_LIVE = and_(Token.digest == bindparam("of_digest"), is_live_token(NOW), stands())
_CONSUME = Statement(
    update(Token.__table__)  # type: ignore[arg-type]
    .where(_IS_STILL_LIVE)
    .values(consumed_at=NOW)
)
_HOLD = Statement(
    update(Token.__table__)  # type: ignore[arg-type]
    .where(_IS_STILL_LIVE)
    .values(holds=one_more(Token.holds))
)


def consume(connection: Connection, token: Token, now: int) -> bool:
    """Consume a live refresh token; of any number of concurrent callers, only one gets True."""
    read = as_read(token.grant, now)
    return _CONSUME.count(connection, of_digest=token.digest, **read) == 1


def hold(connection: Connection, token: Token, now: int) -> bool:
    """Lock a live token until the transaction ends; return whether it is live and unchanged.

    A concurrent revocation waits for the lock, and then finds what was issued from the token.
    Nodes of a Galera cluster see changes of each other, and no locks: there it collides.
    """
    read = as_read(token.grant, now)
    return _HOLD.count(connection, of_digest=token.digest, **read) == 1


def expired(now: int) -> tuple[Expired, Expired]:
    """Return the expired tokens, and the grants that have no other tokens, for pruning."""
    grants = Expired(Grant.expires_at, now, lambda grant: has_valid_token(grant, now))
    return Expired(Token.expires_at, now), grants


def has_valid_token(row: Any, now: int) -> ColumnElement[bool]:
    """Return the condition that the grant of `row` has a token that expires after `now`."""
    is_valid = Token.grant_id == row.grant_id, Token.expires_at > now
    return select(literal(1)).where(*is_valid).limit(1).scalar_subquery().is_not(None)
