"""Claims: what is said about a user, and to whom (OpenID Connect Core 5)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from ..errors import InvalidRequestError

_TEXT: tuple[type, ...] = (str,)
#: OIDC Core 5.1: the standard claims, with the types that their values have.
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

#: OIDC Core 5.4: what each scope opens. `profile` opens all that no other scope does.
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

#: What only the server says: a host's claim of the same name is left out.
_OURS = {
    "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "auth_time", "nonce", "acr", "amr", "azp",
    "at_hash", "c_hash", "s_hash", "sid", "events", "client_id", "scope", "cnf", "act",
}  # fmt: skip


def attributes_as_claims(user: Any) -> dict[str, Any]:
    """Read the attributes of `user` that have the name and the type of a standard claim."""
    found = {}
    for claim, kinds in STANDARD_CLAIMS.items():
        value = _read(user, claim)
        if claim == "preferred_username" and value is None:
            value = _read(user, "username")
        if isinstance(value, datetime) and int in kinds:
            value = int(value.timestamp())
        elif isinstance(value, date) and str in kinds:
            value = value.isoformat()
        elif claim == "address" and isinstance(value, str) and value:
            value = {"formatted": value}
        if type(value) in kinds and value not in ("", {}):
            found[claim] = value
    return found


def _read(user: Any, name: str) -> Any:
    return user.get(name) if isinstance(user, Mapping) else getattr(user, name, None)


def opened_by(scopes: Iterable[str], extra: Mapping[str, Iterable[str]]) -> set[str]:
    """Return the names of the claims that `scopes` open; `extra` are the host's own.

    Nothing beyond them is ever released, whatever the `claims` parameter names: the user and
    the operator decided on scopes (OIDC Core 3.1.2.4).
    """
    known = {**SCOPE_CLAIMS, **extra}
    return {claim for scope in scopes for claim in known.get(scope, ())}


def select(claims: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return those of `claims` that `names` has, without what only the server says."""
    wanted = set(names) - _OURS
    return {name: value for name, value in claims.items() if name in wanted and value is not None}


def read_request(text: str) -> dict[str, dict[str, Any]]:
    """Read the `claims` parameter (OIDC Core 5.5): place -> claim name -> what is asked of it.

    Raises `InvalidRequestError` for what is not of that form.
    """
    problem = InvalidRequestError("claims is a JSON object with userinfo and id_token objects.")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise problem from None
    if not isinstance(content, dict):
        raise problem
    asked: dict[str, dict[str, Any]] = {}
    for place in ("userinfo", "id_token"):
        members = content.get(place)
        if members is not None and not isinstance(members, dict):
            raise problem
        for name, wish in (members or {}).items():
            if wish is not None and not isinstance(wish, dict):
                raise problem
            asked.setdefault(place, {})[name] = wish or {}
    return asked
