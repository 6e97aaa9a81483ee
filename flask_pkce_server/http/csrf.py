"""CSRF: which views are exempt from the host's CSRFProtect."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import flask

from ..protocol.contract import Server
from ..resource_server.paths import knows_no_session

logger = logging.getLogger(__name__)


def exempt_from_csrf_protect(endpoint: str | None, values: Any) -> None:
    """Exempt views that need no protection, whenever the host sets up CSRFProtect.

    Our forms check their own token. Endpoints and guarded views use no session that another
    site could abuse.
    """
    protect = flask.current_app.extensions.get("csrf")
    view = flask.current_app.view_functions.get(endpoint or "")
    if protect is None or view is None:
        return
    server: Server = flask.current_app.extensions["pkce"]
    if not _needs_no_csrf_token(server, endpoint or ""):
        return
    # Flask-WTF identifies a view by its module and name, so an exemption of one view exempts
    # all views of that name.
    views = flask.current_app.view_functions.items()
    namesakes = [name for name, other in views if _place_of(other) == _place_of(view)]
    if all(_needs_no_csrf_token(server, name) for name in namesakes):
        protect.exempt(view)
    elif flask.request.method not in ("GET", "HEAD", "OPTIONS"):
        logger.error(
            "CSRFProtect cannot let %s pass: it cannot tell it from other views of this name, "
            "which have a session. Give the function a name of its own (%s).",
            endpoint,
            ", ".join(namesakes),
        )


def _needs_no_csrf_token(server: Server, endpoint: str) -> bool:
    return endpoint in server.routes or knows_no_session(server, endpoint)


def _place_of(view: Callable[..., Any]) -> tuple[str | None, str | None]:
    return getattr(view, "__module__", None), getattr(view, "__name__", None)
