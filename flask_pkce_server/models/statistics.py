"""Statistics: how many rows there are of what, without reading large tables as a whole.

Tokens and grants are counted in a sample, which is all of them while they are few. Their keys
are random, so a range of keys is a fair sample, and the primary key finds it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Executable,
    Select,
    and_,
    case,
    column,
    exists,
    func,
    join,
    literal,
    or_,
    select,
    table,
    text,
    true,
)
from sqlalchemy.orm import Session, aliased

from .authorization_code import AuthorizationCode
from .base import Base
from .client import Client
from .device_code import DeviceCode
from .grant import NOBODY, Grant, is_in_force
from .token import Token, is_live_token

#: A sample has at least this many rows: of a half of them, one can tell the number within 3 %.
MIN_SAMPLE = 4000
_HOUR, _DAY = 3600, 86400


@dataclass(frozen=True)
class Sample:
    """A part of the rows of a table."""

    condition: ColumnElement[bool]
    #: The part of all rows that it has; 1 for all of them.
    share: float


#: All rows of any table.
ALL = Sample(true(), 1)


def sample_tokens(session: Session) -> Sample:
    """Return a sample of the tokens, by their digests."""
    ends = (0x0010, 0x0040, 0x0100, 0x0400, 0x1000, 0x4000)
    ranges = [(Token.digest < end.to_bytes(2, "big"), end / 0x10000) for end in ends]
    return _sample(session, Token, ranges)


def sample_grants(session: Session) -> Sample:
    """Return a sample of the grants, by their ids, which are letters and digits.

    Only digits bound it: databases disagree about the order of letters.
    """
    ends = ("00", "01", 1 / 62**2), ("00", "09", 9 / 62**2), ("0", "1", 1 / 62), ("0", "9", 9 / 62)
    ranges = [
        (and_(Grant.grant_id >= first, Grant.grant_id < end), share) for first, end, share in ends
    ]
    return _sample(session, Grant, ranges)


def _sample(
    session: Session, kind: type[Base], ranges: Sequence[tuple[ColumnElement[bool], float]]
) -> Sample:
    """Return the first sample that is large enough, or all rows of the table `kind`."""
    for condition, share in ranges:
        # The limit keeps this cheap for the table that has millions of rows in one range.
        some = select(literal(1)).select_from(kind).where(condition).limit(MIN_SAMPLE).subquery()
        if session.scalar(select(func.count()).select_from(some)) == MIN_SAMPLE:
            return Sample(condition, share)
    return ALL


def count_tokens(session: Session, now: int) -> tuple[Sample, dict[str, int]]:
    """Return how many tokens there are and how many were issued lately, with the sample.

    Expired tokens count as issued until they are pruned.
    """
    sample = sample_tokens(session)
    is_alive, is_access = and_(is_live_token(now), is_in_force(now)), Token.kind == "access"
    counts = {
        "stored": true(),
        "access_alive": and_(is_alive, is_access),
        "refresh_alive": and_(is_alive, ~is_access),
        "issued_last_hour": Token.issued_at > now - _HOUR,
        "issued_last_day": Token.issued_at > now - _DAY,
    }
    rows = join(Token, Grant, Grant.grant_id == Token.grant_id)
    statement = _sums(counts).select_from(rows).where(sample.condition)
    return sample, _scaled(session, statement, sample)


def count_grants(session: Session, now: int) -> tuple[Sample, dict[str, int]]:
    """Return how many grants of users have live tokens, and of how many users, with the sample.

    Each user counts with the oldest of these grants. So a sample of the grants has as large a
    share of the users.
    """
    sample = sample_grants(session)
    has_token = exists().where(Token.grant_id == Grant.grant_id, is_live_token(now))
    in_use = and_(is_in_force(now), Grant.subject != NOBODY, has_token)
    other = aliased(Grant, select(Grant).where(in_use).subquery())
    is_older = or_(
        other.issued_at < Grant.issued_at,
        and_(other.issued_at == Grant.issued_at, other.grant_id < Grant.grant_id),
    )
    is_first = ~exists(select(other.grant_id).where(other.subject == Grant.subject, is_older))
    statement = _sums({"in_use": true(), "users": is_first}).where(sample.condition, in_use)
    return sample, _scaled(session, statement, sample)


def count_clients(session: Session) -> dict[str, int]:
    """Return how many clients there are of each kind, the described ones with a stored copy."""
    # Only the client_id of a described client is a URL that it chose itself.
    is_described = and_(Client.self_registered, Client.client_id.like("https://%"))
    counts = {
        "registered_by_operator": ~Client.self_registered,
        "self_registered": and_(Client.self_registered, ~is_described),
        "described": is_described,
    }
    return _scaled(session, _sums(counts), ALL)


def count_codes(session: Session, now: int) -> dict[str, int]:
    """Return how many codes wait for their clients; the index of the times finds them."""
    return {
        "authorization_codes": _count(
            session, AuthorizationCode.consumed_at.is_(None), AuthorizationCode.expires_at > now
        ),
        "device_codes": _count(
            session, DeviceCode.consumed_at.is_(None), DeviceCode.expires_at > now
        ),
    }


def overdue(session: Session, now: int) -> int:
    """Return for how many seconds the oldest expired token waits to be pruned; 0 for none.

    Only tokens tell: a used code is kept on purpose while its tokens are alive.
    """
    oldest = session.scalar(select(func.min(Token.expires_at)))
    return 0 if oldest is None else max(0, now - oldest)


def size_in_bytes(session: Session) -> int | None:
    """Return how much space our tables and their indexes take, None if the database is another.

    On SQLite, this is the size of the whole database, on MariaDB an estimate. No table is read:
    the catalog knows it.
    """
    names = [table.name for table in Base.metadata.sorted_tables]
    dialect = session.get_bind().dialect.name
    if dialect == "sqlite":
        statement: Executable = text(
            "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        )
    elif dialect == "postgresql":
        tables = table("pg_class", column("oid"), column("relname")).c
        statement = select(func.sum(func.pg_total_relation_size(tables.oid))).where(
            tables.relname.in_(names), func.pg_table_is_visible(tables.oid)
        )
    elif dialect in ("mysql", "mariadb"):
        columns: Any = map(column, ("table_schema", "table_name", "data_length", "index_length"))
        tables = table("tables", *columns, schema="information_schema").c
        statement = select(func.sum(tables.data_length + tables.index_length)).where(
            tables.table_name.in_(names), tables.table_schema == func.database()
        )
    else:
        return None
    return int(session.scalar(statement) or 0)


def _count(session: Session, *conditions: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).where(*conditions)) or 0


def _sums(counts: Mapping[str, ColumnElement[bool]]) -> Select[Any]:
    """Return a statement that counts the rows that meet each condition, by its name."""
    return select(
        *(func.sum(case((condition, 1), else_=0)).label(name) for name, condition in counts.items())
    )


def _scaled(session: Session, statement: Select[Any], sample: Sample) -> dict[str, int]:
    """Return the counts of a `statement` on `sample`, for the whole table."""
    row = session.execute(statement).mappings().one()
    return {name: round(int(count or 0) / sample.share) for name, count in row.items()}
