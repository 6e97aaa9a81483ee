"""Error response: an OAuth error as JSON (RFC 6749 5.2)."""

from __future__ import annotations

from collections.abc import Mapping

import flask
from flask import Response

from ..errors import OAuth2Error, TemporarilyUnavailable


def error_response(
    issuer: str, sentences: Mapping[type[OAuth2Error], str], error: OAuth2Error
) -> Response:
    """Return `error` as JSON.

    `sentences` replace the descriptions of some errors, for clients that look for other ones.
    """
    response = flask.jsonify(
        error=error.error,
        error_description=sentences.get(type(error), described(error)),
    )
    response.status_code = error.status_code
    response.headers["Cache-Control"] = "no-store"
    if isinstance(error, TemporarilyUnavailable):
        response.headers.update(error.headers)
    if error.error == "invalid_client":
        response.status_code = 401
        # Only for a client that used Basic: otherwise a browser would show its login dialog.
        if flask.request.headers.get("Authorization", "").lower().startswith("basic"):
            response.headers["WWW-Authenticate"] = f'Basic realm="{issuer}"'
    return response


def described(error: OAuth2Error) -> str:
    """Return the description of an error, a general one if it has none: some SDKs need one."""
    return error.description or "The request is not valid."
