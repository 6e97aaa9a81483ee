"""Redirect: sends the browser elsewhere, to a redirect URI exactly as registered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import flask
from flask import Response
from werkzeug.datastructures import Headers

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def see_other(path: str) -> Response:
    """Redirect the browser to `path` in this app with a GET request (RFC 9110 15.4.4)."""
    return Response(status=303, headers={"Location": path})


class VerbatimRedirect(Response):
    """A redirect to a validated URI, byte for byte, with `fields` appended to it.

    Werkzeug 3.1 would normalize the Location: `myapp:///cb` would become `myapp:/cb`.
    """

    def __init__(self, uri: str, fields: Mapping[str, str], *, fragment: bool = False) -> None:
        # 303 makes the browser follow with a GET after a POST (RFC 9700 4.12).
        super().__init__(status=303 if flask.request.method == "POST" else 302)
        separator = "#" if fragment else "&" if "?" in uri else "?"
        query = urlencode(fields, quote_via=quote, safe="")
        self.headers["Location"] = uri + separator + query if fields else uri

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        headers = super().get_wsgi_headers(environ)
        headers["Location"] = self.headers["Location"]
        return headers
