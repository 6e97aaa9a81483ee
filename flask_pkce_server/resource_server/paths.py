"""Guarded paths: only a good token reaches what lies below (RFC 9728).

The host marks them by `pkce.mcp`, whatever answers there.
"""

from __future__ import annotations

import flask
from flask import Response, current_app, g

from ..protocol.server import current_server
from .require import GUARDED, admit


def guard_paths() -> Response | None:
    """Refuse a request below a path that `pkce.mcp` marks, unless a good token comes with it.

    Runs before the host's views, whatever they are. A preflight is answered before anything
    is asked, and by no view.
    """
    # Another request may have been answered in the same context, in a test.
    g._pkce_below, g._pkce_needed = None, ()
    if not is_below_guarded_path():
        return None
    if flask.request.method == "OPTIONS":
        return current_app.make_default_options_response()
    for resource in current_server.resources.guarding(flask.request.path, current_server.issuer):
        refused = admit(resource.required, resource, resource.asked_first)
        if refused is not None:
            return refused
    g._pkce_below = g._pkce_admitted
    return None


def is_below_guarded_path() -> bool:
    """Say whether this request is for what `pkce.mcp` marks, and not for our own endpoints."""
    ours = (flask.request.endpoint or "").startswith("pkce.")
    return not ours and _is_guarded(flask.request.path)


def knows_no_session(endpoint: str) -> bool:
    """Say whether an endpoint of the host is reached by a token and in no other way."""
    if hasattr(current_app.view_functions[endpoint], GUARDED):
        return True
    try:
        rules = list(current_app.url_map.iter_rules(endpoint))
    except KeyError:
        return True  # no address leads there
    return all(_is_guarded(rule.rule) for rule in rules)


def _is_guarded(path: str) -> bool:
    return current_server.resources.is_guarded(path, current_server.issuer)
