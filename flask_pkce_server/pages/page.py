"""Page: renders the pages that people see."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import flask
from flask import Response, render_template

from ..errors import ConfigurationError
from ..i18n.language import iso_day
from ..protocol.contract import Server
from ..protocol.state import request_state
from ..settings import Settings

OWN_LAYOUT = "pkce/_layout.html"
_PATH = re.compile(r"/(?![/\\])[!-~]*")


def check_look(settings: Settings) -> None:
    """Refuse a stylesheet that the Content Security Policy of the pages would block.

    Raises `ConfigurationError`.
    """
    sheet = settings.stylesheet
    if sheet is not None and not _PATH.fullmatch(sheet):
        raise ConfigurationError(
            f"PKCE_STYLESHEET is {sheet!r}, and must be a path of this very origin.",
            write='app.config["PKCE_STYLESHEET"] = "/static/look.css"',
        )


def page(
    server: Server, name: str, status: int = 200, *, plain: bool = False, **values: Any
) -> Response:
    """Render `pkce/<name>.html` with `values` in the reader's language.

    If it is `plain`, the context processors of the host are not run: Flask-Login's loads the user.

    The template also gets `server`, `language`, and functions: `t` translates a text, `tn` a
    text with a number, `day` formats a date in the language and `iso_day` as ISO 8601.
    """
    language = server.languages.choose(request_state().ui_locales)
    context = {
        "layout": server.settings.layout_template or OWN_LAYOUT,
        **values,
        "server": server,
        "language": language,
        "t": language.text,
        "tn": language.count,
        "day": language.day,
        "iso_day": iso_day,
    }
    template = server.app.jinja_env.get_template(f"pkce/{name}.html")
    text = template.render(context) if plain else render_template(template, **context)
    response = Response(text, status=status, mimetype="text/html")
    response.headers["Content-Language"] = language.tag
    return response


def here() -> str:
    """Return the path of the current request as the browser sees it."""
    return flask.request.script_root + flask.request.path


def in_order(scopes: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Sort scopes for a page: `openid` first, `offline_access` last."""
    positions = {"openid": 0, "offline_access": 2}
    return sorted(scopes, key=lambda scope: positions.get(scope[0], 1))
