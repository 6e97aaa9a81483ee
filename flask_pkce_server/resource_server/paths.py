"""Paths: only a good token reaches what lies below some paths of the app (RFC 9728).

The host marks them by `pkce.mcp`, whatever answers there.
"""

from __future__ import annotations

import flask
from flask import Response, current_app

from ..protocol.contract import Server
from ..protocol.state import request_state
from .require import GUARDED, admit


def watch(server: Server) -> None:
    """Guard the views of the app as soon as a path is marked."""
    before = server.app.before_request_funcs.setdefault(None, [])
    if server.resources.has_guarded and guard_paths not in before:
        server.app.before_request(guard_paths)


def guard_paths() -> Response | None:
    """Refuse a request below a path that `pkce.mcp` marks, unless a good token comes with it.

    Runs before the host's views, whatever they are. A preflight is answered before anything
    is asked, and by no view.
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
    """Say whether this request is for what `pkce.mcp` marks, and not for our own endpoints."""
    ours = (flask.request.endpoint or "").startswith("pkce.")
    return not ours and server.resources.is_guarded(flask.request.path)


def needs_token(server: Server, endpoint: str | None) -> bool:
    """Say whether this request, which Flask routed to `endpoint`, needs an access token."""
    view = current_app.view_functions.get(endpoint or "")
    return hasattr(view, GUARDED) or is_below_guarded_path(server)


def knows_no_session(server: Server, endpoint: str) -> bool:
    """Say whether an endpoint of the host is reached by a token and in no other way."""
    if hasattr(current_app.view_functions[endpoint], GUARDED):
        return True
    try:
        rules = list(current_app.url_map.iter_rules(endpoint))
    except KeyError:
        return True  # no address leads there
    return all(server.resources.is_guarded(rule.rule) for rule in rules)
