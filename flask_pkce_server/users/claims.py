"""Claims: the claims about a user, and which scopes release them (OpenID Connect Core 5)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from .json_value import as_json, as_mapping, at_utc

logger = logging.getLogger(__name__)

_TEXT: tuple[type, ...] = (str,)
#: OIDC Core 5.1: the standard claims, with the types of their values.
STANDARD_CLAIMS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(
        (
            "name", "family_name", "given_name", "middle_name", "nickname", "preferred_username",
            "profile", "picture", "website", "gender", "birthdate", "zoneinfo", "locale",
        ),
        _TEXT,
    ),
    "updated_at": (int,),
    "email": _TEXT,
    "email_verified": (bool,),
    "address": (dict,),
    "phone_number": _TEXT,
    "phone_number_verified": (bool,),
}  # fmt: skip

#: OIDC Core 5.4: the claims that each scope releases. `profile` releases all the others.
SCOPE_CLAIMS: Mapping[str, tuple[str, ...]] = {
    "email": ("email", "email_verified"),
    "address": ("address",),
    "phone": ("phone_number", "phone_number_verified"),
    "profile": tuple(
        claim
        for claim in STANDARD_CLAIMS
        if claim != "address" and not claim.startswith(("email", "phone"))
    ),
}

#: Claims that only the server sets: a host app's claim of the same name is omitted.
SERVER_CLAIMS = {
    "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "auth_time", "nonce", "acr", "amr", "azp",
    "at_hash", "c_hash", "s_hash", "sid", "events", "client_id", "scope", "cnf", "act",
}  # fmt: skip

#: The attributes of a user that stand for a claim, if none has the name of the claim.
_OTHER_NAMES = {
    "preferred_username": "username",
    "given_name": "first_name",
    "family_name": "last_name",
}


def attributes_as_claims(user: Any) -> dict[str, Any]:
    """Return the standard claims that `user` has as attributes (or keys) of the right type."""
    read, claims = _reader_of(user), {}
    for claim in STANDARD_CLAIMS:
        value = read(claim)
        if value is None and claim in _OTHER_NAMES:
            value = read(_OTHER_NAMES[claim])
        try:
            # An attribute of another type has the name of a claim by coincidence.
            value = _as_claim(claim, value)
        except ValueError:
            continue
        if value not in (None, "", {}):
            claims[claim] = value
    full_name = _full_name(read)
    return {"name": full_name, **claims} if full_name else claims


def account_name(user: Any) -> str:
    """Return the name, the username or the e-mail address of `user`; "" if there is none."""
    read = _reader_of(user)
    candidates = (read("name"), _full_name(read), read("username"), read("email"))
    for value in candidates:
        if isinstance(value, str) and value:
            return value
    # Python's own text for an object has its address in memory.
    has_text = any("__str__" in vars(base) for base in type(user).__mro__[:-1])
    return str(user) if has_text else ""


def opened_by(scopes: Iterable[str], extra: Mapping[str, Iterable[str]]) -> set[str]:
    """Return the names of the claims that `scopes` release; `extra` adds claims to scopes."""
    return {
        claim for scope in scopes for claim in (*SCOPE_CLAIMS.get(scope, ()), *extra.get(scope, ()))
    }


def select(claims: Mapping[str, Any], is_released: Callable[[str], bool]) -> dict[str, Any]:
    """Return those of the host app's `claims` that are released, as JSON.

    Empty ones are omitted (OIDC Core 5.3.2), and so are those that only the server sets. One
    that cannot be told is omitted too, and logged: it must not end everybody's sign-in.
    """
    selected = {}
    for name, value in claims.items():
        if name in SERVER_CLAIMS or not is_released(name):
            continue
        try:
            converted = _as_claim(name, value)
        except ValueError as error:
            logger.warning("the claim %s is left out: %s", name, error)
            continue
        if converted not in (None, ""):
            selected[name] = converted
    return selected


def _as_claim(name: str, value: Any) -> Any:
    """Return the value of a claim as JSON, of the right type if it is a standard claim.

    Raises `ValueError`, without the value in its text.
    """
    types = STANDARD_CLAIMS.get(name)
    if types is None or value is None:
        return as_json(value)
    if int in types:
        value = _as_epoch_seconds(value)
    elif bool in types and type(value) is int and value in (0, 1):
        value = bool(value)  # SQLite has no booleans
    elif name == "address" and isinstance(value, str) and value:
        value = {"formatted": value}
    elif isinstance(value, datetime) and name == "birthdate":
        value = value.date()
    converted = as_json(value)
    if converted != "" and type(converted) not in types:
        raise ValueError("it is of another type than OIDC Core 5.1 says")
    return converted


def _as_epoch_seconds(value: Any) -> Any:
    """Return a time as a number; anything that is none as it is."""
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if isinstance(value, datetime):
        return int(at_utc(value).timestamp())
    number = as_json(value)
    return int(value) if isinstance(number, float) or isinstance(value, Decimal) else number


def _full_name(read: Callable[[str], Any]) -> str:
    names = (read("first_name"), read("last_name"))
    return " ".join(name for name in names if isinstance(name, str) and name)


def _reader_of(user: Any) -> Callable[[str], Any]:
    """Return a function that reads an attribute of `user`, or a key if it is a row or a dict."""
    mapping = as_mapping(user)
    return mapping.get if mapping is not None else lambda name: getattr(user, name, None)
