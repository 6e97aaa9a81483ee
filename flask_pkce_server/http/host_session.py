"""Host session: what is answered if it loses its connection at the end of a request.

Flask-SQLAlchemy ends the session when the response is complete, and not sent yet. If rolling
back fails then, the WSGI server answers with a 500 of its own. The session also stays
registered for the context, by an identity that Python gives to a later context again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from flask import Flask

from ..models.failure import DATABASE_ERRORS
from ..protocol.error_response import unavailable


def forgive_lost_sessions(app: Flask, db: Any) -> None:
    """Send the complete response of `app` even if the session of `db` has lost its connection.

    The database has rolled back what the session did not commit.
    """
    app.teardown_appcontext_funcs[:] = [
        _forgiving(end, db) if getattr(end, "__self__", None) is db else end
        for end in app.teardown_appcontext_funcs
    ]


def _forgiving(end: Callable[..., Any], db: Any) -> Callable[..., Any]:
    @functools.wraps(end)
    def end_session(exc: BaseException | None) -> None:
        try:
            end(exc)
        except DATABASE_ERRORS as raised:
            if unavailable(raised) is None:
                raise
        finally:
            db.session.registry.clear()

    return end_session
