"""Issuer: the URL that names this server, and the URLs that begin with it (RFC 8414 2)."""

from __future__ import annotations

import os
from functools import cached_property
from urllib.parse import urlsplit

import flask


class Issuer(str):
    """An issuer, byte for byte as it is configured; a text that knows its parts."""

    @cached_property
    def path(self) -> str:
        """Its path without a slash at the end; "" if it has none."""
        return urlsplit(self).path.rstrip("/")

    @cached_property
    def origin(self) -> str:
        """Its scheme, host and port."""
        parts = urlsplit(self)
        return f"{parts.scheme}://{parts.netloc}"

    @cached_property
    def host(self) -> str:
        """Its host, and its port where it names one."""
        return urlsplit(self).netloc

    def below(self, path: str) -> str:
        """Return `path` as the app has it, where a proxy passes the issuer's path on."""
        return path.removeprefix(self.path)


def debug_issuer(tail: str) -> Issuer:
    """Return the issuer of an app in debug that has none configured; it ends with `tail`.

    Its port is that of the socket: the Host header is never looked at.
    """
    port = os.environ.get("FLASK_RUN_PORT", "5000")
    if flask.has_request_context():
        port = flask.request.environ["SERVER_PORT"]
    return Issuer("http://127.0.0.1" + ("" if port == "80" else f":{port}") + tail)
