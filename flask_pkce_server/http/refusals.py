"""Refusals: an error as JSON for a program, or as a page for a person."""

from __future__ import annotations

import logging
import secrets

import flask
from flask import Response, current_app
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException

from ..errors import (
    ConfigurationError,
    CookiesMissing,
    InteractionExpired,
    InvalidRequestError,
    OAuth2Error,
    ServerError,
    TemporarilyUnavailable,
)
from ..models.client import Client
from ..pages.page import OWN_LAYOUT, page
from ..protocol.contract import current_server
from ..protocol.error_response import unavailable
from ..protocol.state import request_state
from ..wire.redirect_uri import matches
from . import explanation

logger = logging.getLogger(__name__)


def named_error(raised: Exception) -> OAuth2Error:
    """Return an OAuth error for `raised` that reveals no internals.

    Unexpected errors are logged, and raised again in debug mode and in tests.
    """
    if isinstance(raised, OAuth2Error):
        return raised
    if isinstance(raised, HTTPException):
        error: OAuth2Error = InvalidRequestError("The request cannot be read.")
        error.status_code = raised.code or 400
        return error
    error_of_database = unavailable(raised)
    if error_of_database is not None:
        return error_of_database
    if isinstance(raised, ConfigurationError):
        logger.error("%s", raised)
    elif isinstance(raised, DBAPIError):
        # The first line only: the following lines may contain values of the statement.
        logger.error("the database refused: %s", str(raised.orig).partition("\n")[0])
    else:
        logger.exception("an unexpected error at %s", flask.request.endpoint)
    if current_app.debug or current_app.testing:
        raise raised
    return ServerError()


def json_error(error: OAuth2Error) -> Response:
    """Return `error` as JSON."""
    return current_server.handle_error_response(None, error)


def page_error(error: OAuth2Error) -> Response:
    """Return the error page for `error`."""
    request_state().error = error
    reference = secrets.token_hex(4)
    logger.info("error page %s: %s: %s", reference, error.error, error.description)
    values = {
        "error": error,
        "fault": _fault(error),
        "way_back": _way_back(error),
        "reference": reference,
        "explanation": _explain() if current_app.debug else [],
    }
    try:
        response = page(current_server, "error", error.status_code or 400, **values)
    except Exception as raised:
        # A broken layout of the host must not break the error page too, nor a database that
        # fails: Flask-Login asks it for the user whenever a template is rendered.
        if unavailable(raised) is None:
            logger.exception("the error page could not be shown in the layout of the host")
        values["layout"] = OWN_LAYOUT
        response = page(current_server, "_error", error.status_code or 400, plain=True, **values)
    if isinstance(error, TemporarilyUnavailable):
        response.headers.update(error.headers)
    return response


def _fault(error: OAuth2Error) -> str:
    """Return whose fault the error is: `ours`, `browser`, `nobody` (too late) or `app`."""
    if isinstance(error, ServerError | TemporarilyUnavailable):
        return "ours"
    if isinstance(error, CookiesMissing):
        return "browser"
    return "nobody" if isinstance(error, InteractionExpired) else "app"


def _way_back(error: OAuth2Error) -> Client | None:
    """Return the client whose request has expired, if it is known and the operator knows it."""
    client = request_state().client if isinstance(error, InteractionExpired) else None
    return None if client is None or client.is_of_stranger else client


def _explain() -> list[str]:
    """Explain how the request differs from the registration; for debug mode only."""
    parameters = flask.request.values
    client = request_state().client
    if client is None:
        with current_server.store.reading() as session:
            client_ids = session.scalars(select(Client.client_id)).all()
        return explanation.of_client_id(parameters.get("client_id", ""), client_ids)
    for name, registered in (
        ("redirect_uri", client.redirect_uris),
        (
            "post_logout_redirect_uri",
            client.client_metadata.get("post_logout_redirect_uris", []),
        ),
    ):
        presented = parameters.get(name)
        if presented and not any(matches(uri, presented) for uri in registered):
            return explanation.of_redirect_uri(presented, registered)
    return []
