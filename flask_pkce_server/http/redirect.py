"""Redirect: send the browser elsewhere, to the very bytes that were registered."""

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
    """Send the browser to a page of this app, which it asks for with a GET (RFC 9110 15.4.4)."""
    return Response(status=303, headers={"Location": path})


class VerbatimRedirect(Response):
    """A redirect to a URI that has been validated, with fields added to it by hand.

    Werkzeug 3.1 writes a Location anew: `myapp:///cb` would become `myapp:/cb`.
    """

    def __init__(self, uri: str, fields: Mapping[str, str], *, fragment: bool = False) -> None:
        # 303: the browser must come with a GET, whatever it was sent from (RFC 9700 4.12).
        super().__init__(status=303 if flask.request.method == "POST" else 302)
        joint = "#" if fragment else "&" if "?" in uri else "?"
        query = urlencode(fields, quote_via=quote, safe="")
        self.headers["Location"] = uri + joint + query if fields else uri

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        headers = super().get_wsgi_headers(environ)
        headers["Location"] = self.headers["Location"]
        return headers
