"""Unavailable: what the app answers while its database is away.

The extension answers for its own endpoints and for the guards of the API.
"""

from __future__ import annotations

from flask import Flask, current_app, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import OperationalError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeout


def handle_lost_database(app: Flask) -> None:
    """Answer 503 where a view of `app` can't reach the database."""
    for kind in (OperationalError, PendingRollbackError, PoolTimeout):
        app.register_error_handler(kind, _answer)


def _answer(error: Exception) -> ResponseReturnValue:
    current_app.logger.exception("the database does not answer")
    headers = {"Retry-After": "1"}
    if request.path.startswith(("/api/", "/mcp")):
        return {"error": "temporarily_unavailable"}, 503, headers
    # Not in the layout, which shows who is signed in and asks the database for that.
    return "<h1>Try again in a moment</h1><p>The database doesn't answer.</p>", 503, headers
