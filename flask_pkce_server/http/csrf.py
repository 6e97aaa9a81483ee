"""CSRF: which requests the host's CSRFProtect leaves alone."""

from __future__ import annotations

import functools
import logging
from typing import Any
from weakref import WeakSet

import flask
from flask_wtf import CSRFProtect

from ..protocol.contract import Server
from ..resource_server.guards import covered_guards
from ..resource_server.paths import needs_token

logger = logging.getLogger(__name__)

#: The objects whose `protect` is extended already; several apps may share one.
_extended: WeakSet[CSRFProtect] = WeakSet()


def spare_requests_without_session(server: Server) -> None:
    """Keep the host's CSRFProtect from checking requests that no session authorizes.

    These are requests to our own endpoints, whose forms check a token of their own, and requests
    that need an access token. Each request is judged by itself: an exemption by Flask-WTF goes by
    the name of a view, and would hold for other views of this name and for other apps.
    """
    protect: Any = server.app.extensions.get("csrf")
    if not isinstance(protect, CSRFProtect):
        return
    for endpoint in covered_guards(server.app):
        logger.warning(
            'CSRFProtect checks the view "%s": pkce.require stands below another decorator there.',
            endpoint,
        )
    if protect in _extended:
        return
    check = protect.protect

    @functools.wraps(check)
    def protect_sessions(*args: Any, **kwargs: Any) -> None:
        if not _needs_no_csrf_token():
            check(*args, **kwargs)

    protect.protect = protect_sessions
    _extended.add(protect)


def _needs_no_csrf_token() -> bool:
    server: Server | None = flask.current_app.extensions.get("pkce")
    endpoint = flask.request.endpoint
    return server is not None and (endpoint in server.routes or needs_token(server, endpoint))
