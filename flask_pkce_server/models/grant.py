"""Grant: what a user, or for a machine the operator, decided about one client."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Index,
    Text,
    and_,
    bindparam,
    exists,
    func,
    literal,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship

from .base import NOW, Base, EpochSeconds, Executor, Identifier, changed_rows
from .client import Client
from .login_session import EndedSession
from .lookup import Joined

#: The subject of a grant that a client obtained on its own behalf (RFC 6749 4.4).
NOBODY = ""
OFFLINE_ACCESS = "offline_access"


class Grant(Base):
    """One decision: what one client may do on behalf of one user, and until when.

    Codes, device codes and tokens point to their grant and end with it. A grant is only ever
    narrowed or revoked; a new decision makes a new grant.
    """

    __tablename__ = "pkce_grant"
    __table_args__ = (Index("ix_pkce_grant_subject_client_id", "subject", "client_id"),)

    grant_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    client_id: Mapped[str] = mapped_column(Identifier, index=True)
    subject: Mapped[str] = mapped_column(Identifier)
    #: The login session in which a browser asked; None for a device or a machine.
    sid: Mapped[str | None] = mapped_column(Identifier, index=True)
    scope: Mapped[frozenset[str]]
    #: The URIs of the APIs that the client named (RFC 8707 2); empty for this server itself.
    resources: Mapped[list[str]]
    #: What else the grant is tied to; each feature uses its own name as the key.
    bindings: Mapped[dict[str, Any]]
    issued_at: Mapped[int]
    #: When the user wants it to end (epoch seconds); None for never.
    until: Mapped[int | None]
    #: The row is needed until then, even if no token of the grant is left.
    expires_at: Mapped[int] = mapped_column(EpochSeconds, index=True)
    revoked_at: Mapped[int | None]

    #: The client as it is registered now; None if it was deleted.
    client: Mapped[Client | None] = relationship(
        primaryjoin=lambda: foreign(Grant.client_id) == Client.client_id,
        lazy="joined",
        viewonly=True,
    )

    def __repr__(self) -> str:
        return f"<Grant of {self.client_id}>"

    @property
    def is_machine(self) -> bool:
        """Whether the client acts for itself, without a user."""
        return self.subject == NOBODY

    @property
    def allowed(self) -> frozenset[str]:
        """The granted scopes that the client may have by its registration of now."""
        ceiling = None if self.client is None else self.client.scope
        return self.scope if ceiling is None else self.scope & ceiling

    def is_live(self, now: int) -> bool:
        """Return whether the grant is in force at `now` (epoch seconds)."""
        is_suspended = self.client is not None and self.client.suspended
        is_over = self.until is not None and self.until <= now
        return self.revoked_at is None and not is_over and not is_suspended


#: The client of a grant, for a `Lookup`.
OF_GRANT = Joined(Grant, "client", Client, Grant.client_id == Client.client_id, is_optional=True)


def is_in_force(now: int | BindParameter[int]) -> ColumnElement[bool]:
    """Return the condition that a grant is neither revoked nor over at `now` (epoch seconds)."""
    return and_(Grant.revoked_at.is_(None), or_(Grant.until.is_(None), Grant.until > now))


def stands() -> ColumnElement[bool]:
    """Return the condition that a grant still is as it was read, and may be used now.

    Part of the statement that consumes a code or a token; `as_read` has its parameters. It is
    false if scopes were withdrawn since, and if the login session is over, unless the grant has
    `offline_access` (OIDC Core 11).
    """
    ended = exists().where(EndedSession.sid == Grant.sid)
    return exists(
        select(Grant.grant_id).where(
            Grant.grant_id == bindparam("of_grant"),
            Grant.scope == bindparam("read_scope"),
            is_in_force(NOW),
            or_(has_scope(OFFLINE_ACCESS), Grant.sid.is_(None), ~ended),
        )
    )


def as_read(grant: Grant, now: int) -> dict[str, Any]:
    """Return the parameters of `stands` for `grant`, at `now` (epoch seconds)."""
    return {"of_grant": grant.grant_id, "read_scope": grant.scope, "now": now}


def has_scope(scope: str) -> ColumnElement[bool]:
    """Return the condition that a grant has `scope`."""
    return _padded_scope().contains(f" {scope} ", autoescape=True)


def without(scopes: Iterable[str]) -> ColumnElement[str]:
    """Return the scope string of a grant without `scopes`, as an SQL expression."""
    text: ColumnElement[str] = _padded_scope()
    for scope in sorted(scopes):
        text = func.replace(text, f" {scope} ", " ")
    return func.trim(text)


def _padded_scope() -> ColumnElement[str]:
    return literal(" ") + type_coerce(Grant.scope, Text) + literal(" ")


def revoke(session: Executor, now: int, *conditions: ColumnElement[bool]) -> int:
    """Revoke the grants that meet `conditions`; return how many were not revoked before.

    One statement, whatever number of codes and tokens hang on them.
    """
    statement = update(Grant).where(Grant.revoked_at.is_(None), *conditions)
    return changed_rows(session, statement.values(revoked_at=now))


def revoke_one(session: Executor, grant_id: str, now: int) -> int:
    """Revoke the grant `grant_id`; return 1 if it was not revoked before."""
    return revoke(session, now, Grant.grant_id == grant_id)
