"""CSRF: which views the host's CSRFProtect is told to let pass."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import flask

from ..protocol.contract import Server
from ..resource_server.paths import knows_no_session

logger = logging.getLogger(__name__)


def exempt_from_csrf_protect(endpoint: str | None, values: Any) -> None:
    """Let the host's CSRFProtect pass what needs it not, whenever it was set up.

    Our forms check their own token; endpoints and guarded views know no session that
    another site could ride on.
    """
    protect = flask.current_app.extensions.get("csrf")
    view = flask.current_app.view_functions.get(endpoint or "")
    if protect is None or view is None:
        return
    server: Server = flask.current_app.extensions["pkce"]
    if not _needs_no_csrf_token(server, endpoint or ""):
        return
    # Flask-WTF knows a view by its module and name: what lets one pass lets all of them pass.
    known = flask.current_app.view_functions.items()
    called = [name for name, other in known if _place_of(other) == _place_of(view)]
    if all(_needs_no_csrf_token(server, name) for name in called):
        protect.exempt(view)
    elif flask.request.method not in ("GET", "HEAD", "OPTIONS"):
        logger.error(
            "CSRFProtect cannot let %s pass: it cannot tell it from other views of this name, "
            "which have a session. Give the function a name of its own (%s).",
            endpoint,
            ", ".join(called),
        )


def _needs_no_csrf_token(server: Server, endpoint: str) -> bool:
    return endpoint in server.routes or knows_no_session(server, endpoint)


def _place_of(view: Callable[..., Any]) -> tuple[str | None, str | None]:
    return getattr(view, "__module__", None), getattr(view, "__name__", None)
