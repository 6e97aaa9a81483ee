"""Interaction: what a request waits for: that somebody signs in, or makes up their mind.

The authorization request waits meanwhile in the browser, signed, so that nothing is
written before a user is known and nothing in it can be altered. On the way to the
host's login page it lies in a cookie of its own, and the login page gets a short
`next`; in the consent form it is a hidden field. Tabs do not disturb each other.
"""

from __future__ import annotations

import logging
import re
import secrets
from typing import Any

import flask
from flask import Response
from itsdangerous import BadData, URLSafeSerializer

from ..errors import InteractionExpired, InvalidRequestError
from ..pages.page import here
from ..protocol.contract import Server
from ..protocol.request import Request

logger = logging.getLogger(__name__)

_COOKIE = "pkce_r_"
_REFERENCE = re.compile(r"[0-9a-f]{16}")
#: Browsers drop a cookie whose name and value have more than 4096 bytes.
_LARGEST_COOKIE = 3900


def sign(server: Server, request: Request, subject: str | None = None) -> str:
    """Return `request` as text that only this server can have made.

    With a `subject` it is good for that user's decision only, on what they are shown.
    """
    content = {
        "p": (request.carried or request.payload).datalist,
        "s": subject,
        "w": None if subject is None else shown_of(request),
        "t": server.now(),
        "l": request.login_before,
        "n": request.times_asked,
    }
    return _signer(server).dumps(content)


def read_signed(server: Server, text: str) -> tuple[Request, str | None]:
    """Return the request of a text made by `sign`, and the subject it is for.

    Raises `InteractionExpired` if it was altered or has waited too long.
    """
    try:
        content = _signer(server).loads(text)
    except BadData:
        raise InteractionExpired() from None
    if server.now() >= content["t"] + server.settings.authorize_lifetime:
        raise InteractionExpired()
    pairs = ((name, value) for name, values in content["p"].items() for value in values)
    request = Request(method="GET", issuer=server.issuer, pairs=pairs)
    request.login_before, request.times_asked = content["l"], content["n"]
    request.shown, request.resumed = content.get("w"), True
    return request, content["s"]


def shown_of(request: Request) -> list[Any]:
    """Return what a user decides on: who asks, where the browser goes, and the scopes.

    It may hang on the client's registration, which the client may change meanwhile.
    """
    name = None if request.client is None else request.client.client_name
    return [name, request.valid_redirect_uri, sorted(request.scopes)]


def put_aside(server: Server, request: Request) -> Response:
    """Keep `request` in a cookie and go on at the short URL that means it."""
    reference = secrets.token_hex(8)
    response = Response(status=303 if flask.request.method == "POST" else 302)
    response.headers["Location"] = path_of(reference)
    return keep(server, request, reference, response)


def keep(server: Server, request: Request, reference: str, response: Response) -> Response:
    """Keep `request` in a cookie of `response`, under `reference`."""
    text = sign(server, request)
    if len(text) > _LARGEST_COOKIE:
        raise InvalidRequestError("The authorization request is too long; shorten state.")
    response.set_cookie(
        _COOKIE + reference,
        text,
        max_age=server.settings.authorize_lifetime,
        path=path_of(),
        secure=server.issuer.startswith("https:"),
        httponly=True,
        samesite="Lax",
    )
    return response


def read_reference() -> str:
    """Return what this request says that it means, "" if it says nothing.

    Raises `InteractionExpired` for what is not from here: it becomes the name of a cookie.
    """
    reference = flask.request.args.get("r", "")
    if reference and not _REFERENCE.fullmatch(reference):
        raise InteractionExpired()
    return reference


def take_up(server: Server, reference: str) -> Request:
    """Return the request that was put aside; raises `InteractionExpired` if it is gone."""
    return read_signed(server, flask.request.cookies.get(_COOKIE + reference, ""))[0]


def forget(response: Response, reference: str) -> Response:
    """Take away the cookie of a request that was answered."""
    response.delete_cookie(_COOKIE + reference, path=path_of())
    return response


def path_of(reference: str = "") -> str:
    """Return the path of this request as the browser knows it, for `reference` if given."""
    return f"{here()}?r={reference}" if reference else here()


def _signer(server: Server) -> URLSafeSerializer:
    # Good at the endpoint that made it: who agrees to a logout has agreed to nothing else.
    return URLSafeSerializer(
        server.key("authorization request"), salt=flask.request.endpoint or "pkce"
    )
