"""CORS: pages of a client may read what the client may read (Fetch standard 3.2).

Any origin may read the public documents and register a client. Endpoints and guarded views
allow the origins that the client registered, by naming the exact origin. This includes error
responses: an error that a page cannot read looks like a network failure. The authorization
endpoint allows no origin, because browsers visit it and scripts do not fetch it.

Pages may send cookies along to our endpoints, since some SDKs always do, unless anybody may have
registered their client. They may never do so to guarded views, which need a token.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import flask
from flask import Response
from sqlalchemy.orm import Session

from ..models import client_origin
from ..models.failure import DATABASE_ERRORS
from ..protocol.contract import Server
from ..protocol.declarations import Route
from ..protocol.feature import Feature
from ..protocol.state import request_state
from ..resource_server.paths import is_below_guarded_path

_HEADER_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,1000}")
_SECONDS_TO_REMEMBER = "600"


class CorsFeature(Feature):
    """Fetch standard: cross-origin resource sharing for the clients' origins."""

    name = "cors"

    def complete_response(self, server: Server, response: Response, route: Route | None) -> None:
        share(server, response, route)


def share(server: Server, response: Response, route: Route | None) -> None:
    """Add the headers that let a page of the client read `response`."""
    # If the host app has already set CORS headers, they take precedence.
    if (route and route.kind == "page") or "Access-Control-Allow-Origin" in response.headers:
        return
    if route is not None and (route.kind == "document" or route.for_any_origin):
        _allow(response, "*")
        return
    response.vary.add("Origin")
    origin = flask.request.headers.get("Origin")
    if origin and _speaks_here(server, origin):
        _allow(response, origin)
        if route is not None and _is_vouched_for(server, origin):
            response.headers["Access-Control-Allow-Credentials"] = "true"
    elif origin and is_below_guarded_path(server) and _is_before_a_token(response):
        # A page that is not a client yet learns from WWW-Authenticate where to register.
        _allow(response, "*")


def _is_before_a_token(response: Response) -> bool:
    return flask.request.method == "OPTIONS" or response.status_code == 401


def _speaks_here(server: Server, origin: str) -> bool:
    """Say whether `origin` belongs to the client, or to any client if none is known yet."""
    client = request_state().client
    if client is not None:
        return client.speaks_from(origin)
    return _look_up(server, client_origin.is_of_any, origin)


def _is_vouched_for(server: Server, origin: str) -> bool:
    """Say whether the operator registered or verified the client, or any client of `origin`."""
    client = request_state().client
    if client is not None:
        return not client.is_of_stranger
    return _look_up(server, client_origin.is_vouched_for, origin)


def _look_up(server: Server, question: Callable[[Session, str], bool], origin: str) -> bool:
    try:
        with server.store.reading() as session:
            return question(session, origin)
    except DATABASE_ERRORS:
        # The response is already complete, and already reports the database error.
        return False


def _allow(response: Response, origin: str) -> None:
    headers, incoming = response.headers, flask.request.headers
    headers["Access-Control-Allow-Origin"] = origin
    headers["Access-Control-Expose-Headers"] = "WWW-Authenticate, DPoP-Nonce, Retry-After"
    if flask.request.method != "OPTIONS":
        return
    headers["Access-Control-Allow-Methods"] = headers.get("Allow", "")
    headers["Access-Control-Max-Age"] = _SECONDS_TO_REMEMBER
    requested = incoming.get("Access-Control-Request-Headers", "")
    if _HEADER_NAMES.fullmatch(requested):
        headers["Access-Control-Allow-Headers"] = requested
