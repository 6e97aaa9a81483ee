"""Pages: what every page that a person sees is made with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import flask
from flask import Response, render_template

from .language import iso_day

if TYPE_CHECKING:
    from .server import Server


def page(server: Server, name: str, status: int = 200, **values: Any) -> Response:
    """Return the page `pkce/<name>.html` with `values`, in the language of who asks.

    The template also gets `server`, `language` and its functions: `t` for a text, `tn` for
    one that counts, `day` for a date.
    """
    language = server.languages.choose()
    text = render_template(
        f"pkce/{name}.html",
        **values,
        server=server,
        language=language,
        t=language.text,
        tn=language.count,
        day=language.day,
        iso_day=iso_day,
    )
    response = Response(text, status=status, mimetype="text/html")
    response.headers["Content-Language"] = language.tag
    return response


def here() -> str:
    """Return the path of this request as the browser knows it."""
    return flask.request.script_root + flask.request.path
