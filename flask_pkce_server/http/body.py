"""Body: the body of a request to our routes is bounded before anything parses it.

Werkzeug limits the size of urlencoded forms and of JSON only if the host sets
`MAX_CONTENT_LENGTH`, and parsing a form takes forty times its size in memory.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, cast

import flask
from flask import current_app

from ..errors import InvalidRequestError, OAuth2Error
from ..protocol.contract import server_of
from ..protocol.declarations import Route
from ..protocol.state import request_state

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class BodyTooLarge(InvalidRequestError):
    """RFC 9110 15.5.14: the body is larger than anything this endpoint needs."""

    description = "The body of the request is too large."
    status_code = 413


def bound(endpoint: str | None, values: Any) -> None:
    """Empty the body of a request to one of our routes that no view may parse.

    This is a URL value preprocessor of our endpoints: it runs before all functions that could
    read the body, those of the host included. The endpoint then answers with `body_error`.
    """
    route = server_of(current_app).routes.get(endpoint)
    if route is None:
        return
    error = _error_of_body(route)
    if error is not None:
        _replace(flask.request.environ, b"")
        request_state().body_error = error


def _error_of_body(route: Route) -> OAuth2Error | None:
    # Not through the proxy, which looks for the request at every access.
    incoming = cast(Any, flask.request)._get_current_object()
    limit = min(route.max_body, incoming.max_content_length or route.max_body)
    if (incoming.content_length or 0) > limit:
        return BodyTooLarge()
    if incoming.mimetype == "multipart/form-data":
        # Its files would be spooled to disk, and none of our forms has any.
        return InvalidRequestError(
            "Send a form as application/x-www-form-urlencoded, not as multipart/form-data."
        )
    if incoming.content_length is None and "wsgi.input_terminated" in incoming.environ:
        return _read_chunked(incoming.environ, limit)
    return None


def _read_chunked(environ: WSGIEnvironment, limit: int) -> OAuth2Error | None:
    """Read a body of unknown length into memory, up to `limit` bytes."""
    body = bytearray()
    try:
        while len(body) <= limit and (more := environ["wsgi.input"].read(limit + 1 - len(body))):
            body += more
    except OSError:
        return InvalidRequestError("The request cannot be read.")
    if len(body) > limit:
        return BodyTooLarge()
    _replace(environ, bytes(body))
    return None


def _replace(environ: WSGIEnvironment, body: bytes) -> None:
    environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
