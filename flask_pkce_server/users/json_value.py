"""JSON value: a value of the host app as JSON that every client can read (RFC 8259, RFC 7493).

Userinfo, ID tokens, access tokens and introspection use the same conversion.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from datetime import date, datetime, time, timezone
from decimal import Decimal
from enum import Enum
from numbers import Integral, Real
from typing import Any
from uuid import UUID

#: Levels of lists and objects within each other; a cycle has more.
_MAX_LEVELS = 16
#: RFC 7493 2.2 allows less, but the keys of many databases have 64 bits.
_MAX_NUMBER = 2**63


def as_json(value: Any, levels: int = _MAX_LEVELS) -> Any:
    """Return `value` as None, a boolean, number, string, list or dict with string keys.

    Dates and times become ISO 8601 text, and a datetime without a time zone counts as UTC. A
    UUID or Decimal becomes text, an Enum its value, a row of a database a dict, and any other
    collection a list, sorted if it is a set. Raises `ValueError`, without `value` in its text,
    for anything else, also somewhere inside: bytes, NaN, an object of another class.
    """
    if levels == 0:
        raise ValueError("it is nested too deeply")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return as_json(value.value, levels - 1)
    if isinstance(value, str | UUID):
        return _text(str(value))
    if isinstance(value, Integral | Real | Decimal):
        return _number(value)
    if isinstance(value, date | time):
        return (at_utc(value) if isinstance(value, datetime) else value).isoformat()
    mapping = as_mapping(value)
    if mapping is not None:
        return {_key(key): as_json(item, levels - 1) for key, item in mapping.items()}
    if isinstance(value, Collection) and not isinstance(value, bytes | bytearray | memoryview):
        items = [as_json(item, levels - 1) for item in value]
        # The order of a set differs between processes; a repeated answer must not.
        return sorted(items, key=repr) if isinstance(value, set | frozenset) else items
    raise ValueError(f"JSON has nothing for a value of the type {type(value).__name__}")


def as_mapping(value: Any) -> Mapping[Any, Any] | None:
    """Return a mapping, or a row of SQLAlchemy, of sqlite3 or of named tuples, as a mapping.

    None for anything else.
    """
    if isinstance(value, Mapping):
        return value
    of_sqlalchemy = getattr(value, "_mapping", None)
    if isinstance(of_sqlalchemy, Mapping):
        return of_sqlalchemy
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        named: Mapping[Any, Any] = value._asdict()
        return named
    is_class = isinstance(value, type)
    if not is_class and callable(getattr(value, "keys", None)) and hasattr(value, "__getitem__"):
        return {key: value[key] for key in value.keys()}  # noqa: SIM118 - sqlite3.Row is no dict
    return None


def at_utc(value: datetime) -> datetime:
    """Return `value` with its time zone, or with UTC if it has none."""
    return value if value.tzinfo is not None else value.replace(tzinfo=timezone.utc)


def _text(value: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("it has a character that Unicode does not allow")
    return value


def _number(value: Any) -> int | float | str:
    if isinstance(value, Integral):
        number = int(value)
        if abs(number) >= _MAX_NUMBER:
            raise ValueError("it is a number of more than 64 bits")
        return number
    try:
        is_finite = value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)
    except OverflowError:
        is_finite = False
    if not is_finite:
        raise ValueError("it is a number that is not finite")
    # As a float, an amount of money could change.
    return str(value) if isinstance(value, Decimal) else float(value)


def _key(key: Any) -> str:
    text = as_json(key)
    if isinstance(text, bool) or not isinstance(text, str | int):
        raise ValueError("a key in it is neither text nor a whole number")
    return str(text)
