"""Error response: how a program is told of an error (RFC 6749 5.2)."""

from __future__ import annotations

from collections.abc import Mapping

import flask
from flask import Response

from ..errors import OAuth2Error, TooManyRequests


def error_response(
    issuer: str, sentences: Mapping[type[OAuth2Error], str], error: OAuth2Error
) -> Response:
    """Return `error` as JSON; `sentences` are descriptions that its client expects."""
    response = flask.jsonify(
        error=error.error,
        error_description=sentences.get(type(error), described(error)),
    )
    response.status_code = error.status_code
    response.headers["Cache-Control"] = "no-store"
    if isinstance(error, TooManyRequests):
        response.headers.update(error.headers)
    if error.error == "invalid_client":
        response.status_code = 401
        # Only for a client that used it: a browser would open its own password box.
        if flask.request.headers.get("Authorization", "").lower().startswith("basic"):
            response.headers["WWW-Authenticate"] = f'Basic realm="{issuer}"'
    return response


def described(error: OAuth2Error) -> str:
    """Return the description of an error; there always is one, since some SDKs need it."""
    return error.description or "The request is not valid."
