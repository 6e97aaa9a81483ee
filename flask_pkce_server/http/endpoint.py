"""Endpoint: how pages, endpoints and documents answer.

A page is for people: HTML errors, no framing, a strict content security policy. An endpoint is
for programs: JSON errors, never stored, no session. A document is public and may be cached.
Whatever goes wrong in a view of ours is answered as an error of its kind; nothing gets out as
the host's error page.
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
from ..resource_server.paths import needs_token
from .refusals import json_error, named_error, page_error


@dataclass(frozen=True)
class _Kind:
    """What makes an answer of an error, and what finishes any answer."""

    refuse: Callable[[OAuth2Error], Response]
    finish: Callable[[Response], Response]


def answer(route: Route) -> Callable[..., Response]:
    """Return the Flask view of `route`: its own view, in the way of its kind."""
    kind, methods = _KINDS[route.kind], {*route.methods}
    allowed = methods | {"HEAD"} if "GET" in methods else methods

    @functools.wraps(route.view)
    def view(**values: Any) -> Response:
        app, method = current_app, flask.request.method
        try:
            if method == "OPTIONS":
                # A preflight is answered before anything is asked; CORS adds to it.
                response = Response(status=204)
            elif method not in allowed:
                raise MethodNotAllowed()
            else:
                passed = {name: value for name, value in values.items() if name[0] != "_"}
                response = app.make_response(route.view(app.extensions["pkce"], **passed))
        except Exception as raised:  # noqa: BLE001 - nothing may get out of here unnamed
            response = kind.refuse(named_error(raised))
        if method == "OPTIONS" or response.status_code == 405:
            response.headers["Allow"] = ", ".join([*route.methods, "OPTIONS"])
        return kind.finish(response)

    return view


def refused_before(raised: HTTPException) -> Any:
    """Answer as our routes do, where the host's own rate limits refuse what came to one."""
    route = server_of(current_app).routes.get(flask.request.endpoint)
    if route is None or raised.response is not None:
        return raised
    kind = _KINDS[route.kind]
    return kind.finish(kind.refuse(TooManyRequests()))


def complete(response: Response) -> Response:
    """Let features add to answers of ours, and of views that need a token; to no others."""
    server: Server = current_app.extensions["pkce"]
    route = server.routes.get(flask.request.endpoint)
    if route is None and not needs_token(server, flask.request.endpoint):
        return response
    try:
        server.hooks.complete_response(server, response, route)
    except Exception as raised:  # noqa: BLE001 - it runs after the views, which have caught theirs
        kind = _KINDS["endpoint" if route is None else route.kind]
        response = kind.finish(kind.refuse(named_error(raised)))
    return response


def _finish_page(response: Response) -> Response:
    set_policy(response)
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


_KINDS = {
    "page": _Kind(page_error, _finish_page),
    "endpoint": _Kind(json_error, _finish_endpoint),
    "document": _Kind(json_error, _finish_document),
}
