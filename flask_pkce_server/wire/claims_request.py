"""Claims request: the parameter `claims` of an authorization request (OIDC Core 5.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import InvalidRequestError
from . import strict_json

#: The claims whose requested values are compared with ours, which are texts.
_TEXTS = ("sub", "acr")


def read(text: str) -> dict[str, dict[str, dict[str, Any]]]:
    """Parse the `claims` parameter (OIDC Core 5.5.1).

    Returns the request for each claim, by "userinfo" or "id_token" and by claim name. It has
    `essential`, `value` and `values`, as far as they are given, and of the right type. Raises
    `InvalidRequestError` if `text` is malformed.
    """
    try:
        content = strict_json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise InvalidRequestError("claims is a JSON object with userinfo and id_token objects.")
    requests: dict[str, dict[str, dict[str, Any]]] = {}
    for place in ("userinfo", "id_token"):
        members = content.get(place)
        if members is None:
            continue
        if not isinstance(members, dict):
            raise InvalidRequestError("In claims, userinfo and id_token are JSON objects.")
        requests[place] = {name: _read_one(name, request) for name, request in members.items()}
    return requests


def _read_one(name: str, request: Any) -> dict[str, Any]:
    """Return the request for one claim, without the members that nobody knows."""
    if request is None:
        return {}
    if not isinstance(request, dict):
        raise InvalidRequestError("In claims, what is asked of a claim is null or a JSON object.")
    known = {key: request[key] for key in ("essential", "value", "values") if key in request}
    if not isinstance(known.get("essential", False), bool):
        raise InvalidRequestError("In claims, essential is true or false.")
    values = known.get("values", [])
    if not isinstance(values, list):
        raise InvalidRequestError("In claims, values is a list.")
    if name in _TEXTS and not all(
        isinstance(value, str) for value in [*values, known.get("value", "")]
    ):
        raise InvalidRequestError("In claims, the values of sub and acr are texts.")
    return known


def essential_acr(claim_requests: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the values of which the `acr` has to be one; empty if any will do.

    `claim_requests` is what `read` returns for one place (OIDC Core 5.5.1.1).
    """
    acr = claim_requests.get("acr", {})
    values = acr.get("values") or [acr.get("value")]
    return [value for value in values if value is not None] if acr.get("essential") else []
