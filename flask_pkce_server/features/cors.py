"""CORS: pages of a client may read what their client may read (Fetch standard 3.2).

The public documents are for everybody, and so is registering. Endpoints and guarded views
answer the origins that the client registered, with the exact origin, errors included: an
error that a page cannot read looks like a broken network. Never the authorization endpoint,
which is visited and not fetched.
"""

from __future__ import annotations

import re

import flask
from flask import Response, current_app, g
from sqlalchemy.exc import DBAPIError

from ..models import client_origin
from ..models.client import Client
from ..protocol.feature import Feature
from ..protocol.server import Server, current_server
from ..resource_server.paths import is_below_guarded_path
from ..resource_server.require import GUARDED

_HEADER_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,1000}")
_SECONDS_TO_REMEMBER = "600"


class CorsFeature(Feature):
    """Fetch standard: cross-origin resource sharing for the clients' origins."""

    name = "cors"

    def register(self, server: Server) -> None:
        server.app.after_request(share)


def share(response: Response) -> Response:
    """Add the headers that let a page of the client read `response`."""
    route = current_server.route_of(flask.request.endpoint)
    door = None if route is None else route.door
    if door == "page" or (door is None and not _is_guarded()):
        return response
    # A host-wide CORS that has answered already is left to its word.
    if "Access-Control-Allow-Origin" in response.headers:
        return response
    if door == "document" or (route is not None and route.for_any_origin):
        _allow(response, "*")
        return response
    response.vary.add("Origin")
    origin = flask.request.headers.get("Origin")
    if origin and _speaks_here(origin):
        _allow(response, origin)
        response.headers["Access-Control-Allow-Credentials"] = "true"
    elif origin and is_below_guarded_path() and _is_before_a_token(response):
        # A page that is no client yet learns from the challenge where to register.
        _allow(response, "*")
    return response


def _is_before_a_token(response: Response) -> bool:
    return flask.request.method == "OPTIONS" or response.status_code == 401


def _is_guarded() -> bool:
    view = current_app.view_functions.get(flask.request.endpoint or "")
    return hasattr(view, GUARDED) or is_below_guarded_path()


def _speaks_here(origin: str) -> bool:
    """Say whether `origin` is the client's, or some client's where none is named yet."""
    client: Client | None = g.get("_pkce_client")
    if client is not None:
        return client.speaks_from(origin)
    try:
        with current_server.store.reading() as session:
            return client_origin.is_of_any(session, origin)
    except DBAPIError:
        # The answer is ready, and is an error that tells of it already.
        return False


def _allow(response: Response, origin: str) -> None:
    headers, asked = response.headers, flask.request.headers
    headers["Access-Control-Allow-Origin"] = origin
    headers["Access-Control-Expose-Headers"] = "WWW-Authenticate, DPoP-Nonce, Retry-After"
    if flask.request.method != "OPTIONS":
        return
    headers["Access-Control-Allow-Methods"] = headers.get("Allow", "")
    headers["Access-Control-Max-Age"] = _SECONDS_TO_REMEMBER
    wanted = asked.get("Access-Control-Request-Headers", "")
    if _HEADER_NAMES.fullmatch(wanted):
        headers["Access-Control-Allow-Headers"] = wanted
