"""Endpoint: how pages, endpoints and documents answer.

A page is for people: HTML errors, no framing, a strict Content Security Policy. An endpoint is
for programs: JSON errors, never stored, no session. A document is public and may be cached.
Every error in one of our views is answered in the way of its kind and never reaches the host's
error pages.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import flask
from flask import Response, current_app
from werkzeug.exceptions import HTTPException

from ..errors import MethodNotAllowed, OAuth2Error, TooManyRequests
from ..pages.policy import set_policy
from ..protocol.contract import Server, server_of
from ..protocol.declarations import Route
from ..protocol.state import request_state
from ..resource_server.paths import needs_token
from .refusals import json_error, named_error, page_error


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


def refused_before(raised: HTTPException) -> Any:
    """Answer in the way of the route if the host's own rate limits refuse a request to it."""
    route = server_of(current_app).routes.get(flask.request.endpoint)
    if route is None or raised.response is not None:
        return raised
    kind = _KINDS[route.kind]
    return kind.finish(kind.refuse(TooManyRequests()))


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
