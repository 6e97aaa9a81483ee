"""Standing: what a user has granted to a client before, read together with the client."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, func, select
from sqlalchemy.engine import Connection

from .base import NOW, Identifier
from .client import Client
from .consent import IDENTITY, Asked, Consent, is_live
from .login_session import EndedSession
from .lookup import Reader
from .statement import Statement


@dataclass(frozen=True)
class Standing:
    """What a user has granted to a client for the APIs that it asks for."""

    #: The scopes granted before, each with the time when it ends (None: never).
    granted: Mapping[str, int | None]
    #: Whether the user let the client in before, with any scope or none.
    is_let_in: bool = False
    #: Whether the login session of the browser is over.
    is_session_over: bool = False

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes that the user has granted before."""
        return frozenset(self.granted)

    def until(self, scopes: Iterable[str]) -> int | None:
        """Return when the first of `scopes` ends (epoch seconds); None for never."""
        ends = (self.granted.get(scope) for scope in scopes)
        return min((end for end in ends if end is not None), default=None)


class _Row(NamedTuple):
    """One consent."""

    scope: str
    resource: str
    #: Epoch seconds; None for never.
    expires_at: int | None
    issued_at: int


@dataclass(frozen=True)
class Consents:
    """All that a user has granted to a client and that is in force."""

    rows: Sequence[_Row]
    is_session_over: bool

    def standing(self, resources: Iterable[str], since: int = 0) -> Standing:
        """Return what is granted for each of `resources` ("" is this server itself).

        Consents from before `since` (epoch seconds) do not count, because the client has
        changed since.
        """
        ends = {(r.scope, r.resource): r.expires_at for r in self.rows if r.issued_at >= since}
        wanted = list(resources)
        granted = {
            scope: min((ends[scope, uri] for uri in wanted), key=lambda end: (end is None, end))
            for scope in {scope for scope, _ in ends}
            if all((scope, uri) in ends for uri in wanted)
        }
        is_let_in = bool(granted)
        granted.pop(IDENTITY, None)
        return Standing(granted, is_let_in, self.is_session_over)


@cache
def _statement() -> tuple[Reader, Statement]:
    """Return what reads the client from a row, and the statement of `read`."""
    reader = Reader(Client, Client.__table__, 0)
    ended = select(func.count()).select_from(EndedSession)
    # One row even if there is neither a client nor a consent.
    asked = select(bindparam("client_id", type_=Identifier).label("client_id")).subquery("asked")
    of_user = and_(
        Consent.client_id == asked.c.client_id,
        Consent.subject == bindparam("subject", type_=Identifier),
        is_live(NOW),
    )
    rows = asked.outerjoin(Client.__table__, Client.client_id == asked.c.client_id)
    rows = rows.outerjoin(Consent.__table__, of_user)
    selected = select(
        *reader.columns,
        Consent.scope,
        Consent.resource,
        Consent.expires_at,
        Consent.issued_at,
        ended.where(EndedSession.sid == bindparam("sid")).scalar_subquery(),
    )
    return reader, Statement(selected.select_from(rows))


def read(
    connection: Connection, *, client_id: str, subject: str, sid: str, now: int
) -> tuple[Client | None, Consents]:
    """Return the client and what `subject` has granted to it, in one statement.

    `sid` is the login session of the browser, `now` is in epoch seconds.
    """
    values = {"client_id": client_id, "subject": subject, "sid": sid, "now": now}
    reader, statement = _statement()
    found: Sequence[Any] = statement.all(connection, **values)
    end = reader.end
    rows = [_Row(*row[end : end + 4]) for row in found if row[end] is not None]
    return reader.read(found[0]), Consents(rows, bool(found[0][end + 4]))


def standing(
    connection: Connection, asked: Asked, now: int, since: int = 0, *, sid: str = ""
) -> Standing:
    """Return what the user has granted to the client for the APIs that are `asked` for.

    Times are epoch seconds; see `Consents.standing` for `since`.
    """
    facts = {"client_id": asked.client_id, "subject": asked.subject}
    _, consents = read(connection, **facts, sid=sid, now=now)
    return consents.standing(asked.resources, since)
