"""JSON body: some SDKs send JSON to the token endpoint, where RFC 6749 requires a form."""

from __future__ import annotations

import json
from typing import Any

import flask

from ...errors import InvalidRequestError
from ...protocol.request import FORM, Payload, Request
from .dialect import asked_for


class _Pairs(list[Any]):
    """The members of a JSON object, in which a name may occur twice."""


def read_json(request: Request) -> None:
    """Read the parameters of a token or revocation request whose body is JSON.

    Null counts as absent. Raises `InvalidRequestError` for anything but an object of strings.
    """
    if request.mimetype != "application/json" or not asked_for("token", "revoke"):
        return
    try:
        content = json.loads(flask.request.get_data(), object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, _Pairs):
        raise InvalidRequestError("The body is not a JSON object.")
    pairs = [(name, value) for name, value in content if value is not None]
    if not all(isinstance(value, str) for _, value in pairs):
        raise InvalidRequestError("A member of the JSON body is not a text.")
    request.payload, request.mimetype = Payload(pairs), FORM
