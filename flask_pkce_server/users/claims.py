"""Claims: the claims about a user, and which scopes release them (OpenID Connect Core 5)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from ..errors import InvalidRequestError

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
_SERVER_CLAIMS = {
    "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "auth_time", "nonce", "acr", "amr", "azp",
    "at_hash", "c_hash", "s_hash", "sid", "events", "client_id", "scope", "cnf", "act",
}  # fmt: skip


def attributes_as_claims(user: Any) -> dict[str, Any]:
    """Return the standard claims that `user` has as attributes (or keys) of the right type."""
    claims = {}
    for claim, types in STANDARD_CLAIMS.items():
        value = _read(user, claim)
        if claim == "preferred_username" and value is None:
            value = _read(user, "username")
        if isinstance(value, datetime) and int in types:
            value = int(value.timestamp())
        elif isinstance(value, date) and str in types:
            value = value.isoformat()
        elif claim == "address" and isinstance(value, str) and value:
            value = {"formatted": value}
        if type(value) in types and value not in ("", {}):
            claims[claim] = value
    return claims


def _read(user: Any, name: str) -> Any:
    return user.get(name) if isinstance(user, Mapping) else getattr(user, name, None)


def opened_by(scopes: Iterable[str], extra: Mapping[str, Iterable[str]]) -> set[str]:
    """Return the names of the claims that `scopes` release; `extra` adds or replaces scopes.

    The `claims` parameter never releases any other claims: the user and the operator decided
    on scopes (OIDC Core 3.1.2.4).
    """
    claims = {**SCOPE_CLAIMS, **extra}
    return {claim for scope in scopes for claim in claims.get(scope, ())}


def select(claims: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return the `claims` in `names`, without None and without those only the server sets."""
    wanted = set(names) - _SERVER_CLAIMS
    return {name: value for name, value in claims.items() if name in wanted and value is not None}


def read_request(text: str) -> dict[str, dict[str, Any]]:
    """Parse the `claims` parameter (OIDC Core 5.5).

    Returns the request for each claim, by "userinfo" or "id_token" and by claim name. Raises
    `InvalidRequestError` if `text` is malformed.
    """
    problem = InvalidRequestError("claims is a JSON object with userinfo and id_token objects.")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise problem from None
    if not isinstance(content, dict):
        raise problem
    requests: dict[str, dict[str, Any]] = {}
    for place in ("userinfo", "id_token"):
        members = content.get(place)
        if members is not None and not isinstance(members, dict):
            raise problem
        for name, request in (members or {}).items():
            if request is not None and not isinstance(request, dict):
                raise problem
            requests.setdefault(place, {})[name] = request or {}
    return requests
