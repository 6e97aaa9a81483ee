"""Issuer: the URL that identifies this server, and its parts (RFC 8414 2)."""

from __future__ import annotations

import os
from functools import cached_property
from urllib.parse import urlsplit

import flask


class Issuer(str):
    """An issuer: the string exactly as configured, with properties for its parts."""

    @cached_property
    def path(self) -> str:
        """The path without a trailing slash; "" if there is none."""
        return urlsplit(self).path.rstrip("/")

    @cached_property
    def origin(self) -> str:
        """The scheme, host and port."""
        parts = urlsplit(self)
        return f"{parts.scheme}://{parts.netloc}"

    @cached_property
    def host(self) -> str:
        """The host, with the port if there is one."""
        return urlsplit(self).netloc

    def below(self, path: str) -> str:
        """Return `path` without the issuer's path, which some proxies pass on to the app."""
        return path.removeprefix(self.path)


def debug_issuer(tail: str) -> Issuer:
    """Return the issuer that debug mode uses if none is configured; it ends with `tail`.

    The port is that of the socket; the Host header is never used.
    """
    port = os.environ.get("FLASK_RUN_PORT", "5000")
    if flask.has_request_context():
        port = flask.request.environ["SERVER_PORT"]
    return Issuer("http://127.0.0.1" + ("" if port == "80" else f":{port}") + tail)
