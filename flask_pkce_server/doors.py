"""Doors: the manners of pages, endpoints and documents.

A page is for people: HTML errors, no framing, a strict content security policy. An
endpoint is for programs: JSON errors, never stored, no session. A document is public
and may be cached. Whatever goes wrong behind a door leaves by it as an error of its
own kind; nothing escapes as the host's error page.
"""

from __future__ import annotations

import functools
import logging
import secrets
from collections.abc import Callable
from typing import Any

import flask
from flask import Response, current_app
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException

from . import diagnosis
from .errors import (
    ConfigurationError,
    InteractionExpired,
    InvalidRequestError,
    MethodNotAllowed,
    OAuth2Error,
    ServerError,
    TemporarilyUnavailable,
    TooManyRequests,
)
from .feature import Route
from .models.base import asks_for_retry
from .models.client import Client
from .models.redirect_uri import matches
from .pages import OWN_LAYOUT, allowed_here, page
from .server import current_server

logger = logging.getLogger(__name__)

# No form-action: Chromium applies it to the redirect that follows the consent form, and
# that one leads to the client.
_POLICY = {
    "default-src": "'none'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "script-src": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


def behind_door(route: Route) -> Callable[..., Response]:
    """Wrap the view of `route` in the manners of its door."""
    refuse, finish = _manners(route)

    @functools.wraps(route.view)
    def door(**values: Any) -> Response:
        try:
            allowed = {*route.methods, *(["HEAD"] if "GET" in route.methods else [])}
            if flask.request.method == "OPTIONS":
                # A preflight is answered before anything is asked; the CORS room adds to it.
                response = Response(status=204)
            elif flask.request.method not in allowed:
                raise MethodNotAllowed()
            else:
                told = {name: value for name, value in values.items() if name[0] != "_"}
                response = current_app.make_response(route.view(**told))
        except Exception as raised:  # noqa: BLE001 - the door: nothing may pass it unnamed
            response = refuse(_named(raised))
        if flask.request.method == "OPTIONS" or response.status_code == 405:
            response.headers["Allow"] = ", ".join([*route.methods, "OPTIONS"])
        return finish(response)

    return door


def refused_before(raised: HTTPException) -> Any:
    """Give what the host's own rate limits refuse, before any door, the manners of the door."""
    route = current_server.route_of(flask.request.endpoint)
    if route is None or raised.response is not None:
        return raised
    refuse, finish = _manners(route)
    return finish(refuse(TooManyRequests()))


def _manners(
    route: Route,
) -> tuple[Callable[[OAuth2Error], Response], Callable[[Response], Response]]:
    """Return what makes an answer of an error, and what finishes any answer."""
    return {
        "page": (_page_error, _finish_page),
        "endpoint": (_json_error, _finish_endpoint),
        "document": (_json_error, _finish_document),
    }[route.door]


def _named(raised: Exception) -> OAuth2Error:
    """Return the OAuth error that tells of `raised` no more than it may."""
    if isinstance(raised, OAuth2Error):
        return raised
    if isinstance(raised, HTTPException):
        error: OAuth2Error = InvalidRequestError("The request cannot be read.")
        error.status_code = raised.code or 400
        return error
    if isinstance(raised, DBAPIError) and asks_for_retry(raised):
        logger.warning("the database stayed busy: %s", type(raised.orig).__name__)
        return TemporarilyUnavailable()
    if isinstance(raised, ConfigurationError):
        logger.error("%s", raised)
    elif isinstance(raised, DBAPIError):
        # The first line only: what follows may hold the values of the statement.
        logger.error("the database refused: %s", str(raised.orig).partition("\n")[0])
    else:
        logger.exception("an unexpected error behind %s", flask.request.endpoint)
    if current_app.debug or current_app.testing:
        raise raised
    return ServerError()


def _json_error(error: OAuth2Error) -> Response:
    return current_server.handle_error_response(None, error)


def _page_error(error: OAuth2Error) -> Response:
    reference = secrets.token_hex(4)
    logger.info("error page %s: %s: %s", reference, error.error, error.description)
    told = {
        "error": error,
        "fault": _fault(error),
        "reference": reference,
        "explanation": _explanation() if current_app.debug else [],
    }
    try:
        response = page(current_server, "error", error.status_code or 400, **told)
    except Exception:
        # A layout of the host that fails must not take this page away too.
        logger.exception("the error page could not be shown in the layout of the host")
        told["layout"] = OWN_LAYOUT
        response = page(current_server, "_error", error.status_code or 400, **told)
    if isinstance(error, TooManyRequests):
        response.headers.update(error.headers)
    return response


def _fault(error: OAuth2Error) -> str:
    """Say whose fault it is: `ours`, `nobody` (it took too long), or `app`."""
    if isinstance(error, ServerError | TemporarilyUnavailable):
        return "ours"
    return "nobody" if isinstance(error, InteractionExpired) else "app"


def _explanation() -> list[str]:
    """Say what in the request differs from what is registered; in debug, for its developer."""
    asked = flask.request.values
    client: Client | None = flask.g.get("_pkce_client")
    if client is None:
        with current_server.store.reading() as session:
            known = session.scalars(select(Client.client_id)).all()
        return diagnosis.of_client_id(asked.get("client_id", ""), known)
    for name, registered in (
        ("redirect_uri", client.redirect_uris),
        (
            "post_logout_redirect_uri",
            client.client_metadata.get("post_logout_redirect_uris", []),
        ),
    ):
        presented = asked.get(name)
        if presented and not any(matches(uri, presented) for uri in registered):
            return diagnosis.of_redirect_uri(presented, registered)
    return []


def _finish_page(response: Response) -> Response:
    policy = {**_POLICY, **allowed_here()}
    response.headers["Content-Security-Policy"] = "; ".join(map(" ".join, policy.items()))
    if policy["frame-ancestors"] == "'none'":
        # What one origin may frame cannot be said in this header.
        response.headers["X-Frame-Options"] = "DENY"
    # Not no-referrer: Flask-WTF would refuse every form over https.
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return _finish_endpoint(response)


def _finish_endpoint(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["Pragma"] = "no-cache"
    return response


def _finish_document(response: Response) -> Response:
    if response.status_code != 200:
        return _finish_endpoint(response)
    response.headers["Cache-Control"] = "public, max-age=300"
    response.add_etag()
    response.make_conditional(flask.request)
    return response
