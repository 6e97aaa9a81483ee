"""Endpoint: how pages, endpoints and documents answer.

A page is for people: HTML errors, no framing, a strict Content Security Policy. An endpoint is
for programs: JSON errors, never stored, no session. A document is public and may be cached.
Every error in one of our views is answered in the way of its kind and never reaches the host's
error pages.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import flask
from flask import Response, current_app
from sqlalchemy.exc import IntegrityError
from werkzeug.exceptions import HTTPException

from ..errors import MethodNotAllowed, OAuth2Error, TemporarilyUnavailable, TooManyRequests
from ..pages.policy import set_policy
from ..protocol.contract import Server, server_of
from ..protocol.declarations import Route
from ..protocol.error_response import unavailable
from ..protocol.state import request_state
from ..resource_server.paths import needs_token
from .rate_limit import is_of_storage
from .refusals import json_error, named_error, page_error

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Kind:
    """How one kind of route answers an error, and how it finishes every response."""

    refuse: Callable[[OAuth2Error], Response]
    finish: Callable[[Response], Response]


def answer(route: Route) -> Callable[..., Response]:
    """Return the Flask view of `route`, which wraps its view in the behavior of its kind."""
    kind, allowed = _KINDS[route.kind], {*route.methods}
    if "GET" in allowed and route.kind != "page":
        # A page may act on a GET: it issues a code or ends a session. HEAD must not (RFC 9110
        # 9.2.1), and programs do not need it there.
        allowed.add("HEAD")

    @functools.wraps(route.view)
    def view(**values: Any) -> Response:
        app, method = current_app, flask.request.method
        try:
            body_error = request_state().body_error
            if body_error is not None:
                raise body_error
            if method == "OPTIONS":
                # A preflight never reaches the view; the CORS feature adds its headers later.
                response = Response(status=204)
            elif method not in allowed:
                raise MethodNotAllowed()
            else:
                arguments = {name: value for name, value in values.items() if name[0] != "_"}
                response = app.make_response(route.view(app.extensions["pkce"], **arguments))
        except Exception as raised:  # noqa: BLE001 - every error becomes an OAuth error
            response = kind.refuse(named_error(raised))
        if method == "OPTIONS" or response.status_code == 405:
            response.headers["Allow"] = ", ".join([*route.methods, "OPTIONS"])
        return kind.finish(response)

    return view


def refused_around(raised: Exception) -> Any:
    """Answer in the way of the route what a function of the host's raised around our view.

    These are its own rate limits, and failures that may pass: of the database, or of the
    storage of those limits. Anything else is answered as in the host's views.
    """
    server = server_of(current_app)
    route, error = server.routes.get(flask.request.endpoint), _known_error(server, raised)
    if route is None or error is None:
        return _answer_of_host(raised)
    kind = _KINDS[route.kind]
    return kind.finish(kind.refuse(error))


def _known_error(server: Server, raised: Exception) -> OAuth2Error | None:
    if isinstance(raised, HTTPException) and raised.code == 429:
        return TooManyRequests() if raised.response is None else None
    # After our view, Flask wraps it.
    cause = getattr(raised, "original_exception", None) or raised
    if is_of_storage(server, cause):
        logger.warning("Flask-Limiter cannot count (%s); no request passes", type(cause).__name__)
        return TemporarilyUnavailable()
    # In a transaction of the host's, this is a mistake, and not another one that came first.
    return None if isinstance(cause, IntegrityError) else unavailable(cause)


def _answer_of_host(raised: Exception) -> Any:
    """Do what Flask does where a blueprint handles no errors.

    It has asked the handlers of a status code before this one.
    """
    handlers = current_app.error_handler_spec[None][None]
    for kind in type(raised).__mro__:
        if issubclass(kind, Exception) and kind in handlers:
            return current_app.ensure_sync(handlers[kind])(raised)
    if isinstance(raised, HTTPException):
        return raised
    raise raised


def complete(response: Response) -> Response:
    """Let features complete the responses of our routes and of guarded views, and no others."""
    server: Server = current_app.extensions["pkce"]
    endpoint = flask.request.endpoint
    route = server.routes.get(endpoint)
    if route is None and not needs_token(server, endpoint):
        return response
    try:
        server.hooks.complete_response(server, response, route)
    except Exception as raised:  # noqa: BLE001 - this runs outside the views' own handling
        kind = _KINDS["endpoint" if route is None else route.kind]
        response = kind.finish(kind.refuse(named_error(raised)))
    return response


def _finish_page(response: Response) -> Response:
    set_policy(response)
    return _finish_endpoint(response)


def _finish_endpoint(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["Pragma"] = "no-cache"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _finish_document(response: Response) -> Response:
    if response.status_code != 200:
        return _finish_endpoint(response)
    response.headers["Cache-Control"] = "public, max-age=300"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.add_etag()
    if flask.request.if_none_match:
        response.make_conditional(flask.request)
    return response


_KINDS = {
    "page": _Kind(page_error, _finish_page),
    "endpoint": _Kind(json_error, _finish_endpoint),
    "document": _Kind(json_error, _finish_document),
}
