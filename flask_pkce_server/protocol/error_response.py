"""Error response: an OAuth error as JSON (RFC 6749 5.2)."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import flask
from flask import Response

from ..errors import OAuth2Error, TemporarilyUnavailable
from ..models.failure import Failure, failure_of

logger = logging.getLogger(__name__)


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


def unavailable(raised: Exception) -> TemporarilyUnavailable | None:
    """Return the error that tells of a failure of the database that may pass, and log it.

    Return None if `raised` is anything else.
    """
    failure = failure_of(raised)
    if failure is None:
        return None
    cause = getattr(raised, "orig", None) or raised
    # The messages of the others may contain values of the statement.
    is_safe = failure not in (Failure.BUSY, Failure.TAKEN)
    reason = str(cause).partition("\n")[0] if is_safe else type(cause).__name__
    logger.warning("the database is not available (%s): %s", failure.value, reason)
    return TemporarilyUnavailable()


def described(error: OAuth2Error) -> str:
    """Return the description of an error, a general one if it has none: some SDKs need one."""
    return error.description or "The request is not valid."
