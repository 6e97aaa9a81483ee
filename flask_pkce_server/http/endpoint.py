"""Doors: the manners of pages, endpoints and documents.

A page is for people: HTML errors, no framing, a strict content security policy. An
endpoint is for programs: JSON errors, never stored, no session. A document is public
and may be cached. Whatever goes wrong behind a door leaves by it as an error of its
own kind; nothing escapes as the host's error page.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

import flask
from flask import Response, current_app
from werkzeug.exceptions import HTTPException

from ..errors import (
    MethodNotAllowed,
    OAuth2Error,
    TooManyRequests,
)
from ..pages.policy import allowed_here
from ..protocol.declarations import Route
from ..protocol.server import current_server
from .refusals import _json_error, _named, _page_error

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
