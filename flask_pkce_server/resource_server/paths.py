"""Paths: guards whole paths of the app with access tokens (RFC 9728).

The host declares them with `pkce.mcp`; it does not matter which views of the app answer there.
What is mounted in front of the app, such as another WSGI app, is not reached.
"""

from __future__ import annotations

import flask
from flask import Response, current_app

from ..protocol.contract import Server
from ..protocol.state import request_state
from .guards import is_guard
from .require import admit


def watch(server: Server) -> None:
    """Install `guard_paths` in the app once a path is declared."""
    before = server.app.before_request_funcs.setdefault(None, [])
    if server.resources.has_guarded and guard_paths not in before:
        server.app.before_request(guard_paths)


def guard_paths() -> Response | None:
    """Refuse a request to a guarded path unless it has a valid access token.

    Runs before any view of the host. A preflight is answered here without a token and does not
    reach a view.
    """
    server: Server = current_app.extensions["pkce"]
    if not is_below_guarded_path(server):
        return None
    if flask.request.method == "OPTIONS":
        return current_app.make_default_options_response()
    for resource in server.resources.guarding(flask.request.path):
        refused = admit(server, resource.required, resource, resource.asked_first)
        if refused is not None:
            return refused
    state = request_state()
    state.below = state.admitted
    return None


def is_below_guarded_path(server: Server) -> bool:
    """Return whether the current request is for a guarded path and not for our own endpoints."""
    if not server.resources.has_guarded:
        return False
    endpoint = flask.request.endpoint
    is_ours = endpoint in server.routes or endpoint == "pkce.static"
    return not is_ours and server.resources.is_guarded(flask.request.path)


def needs_token(server: Server, endpoint: str | None) -> bool:
    """Return whether the current request, routed to `endpoint`, needs an access token."""
    return is_guard(server.app.view_functions.get(endpoint or "")) or is_below_guarded_path(server)
