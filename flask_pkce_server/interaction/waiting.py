"""Waiting: keeps an authorization request in the browser while the user signs in or decides.

The request is signed, so the browser cannot alter it, and nothing is stored before the user is
known. During sign-in it is in a cookie, and the host's login page gets a short `next`. In the
consent form it is a hidden field. Each request has its own cookie, so browser tabs do not
disturb each other.
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
#: Browsers drop a cookie whose name and value together exceed 4096 bytes.
_LARGEST_COOKIE = 3900


def sign(server: Server, request: Request, subject: str | None = None) -> str:
    """Return `request` as signed text.

    With a `subject`, the text is for a decision of that user and includes what they are shown.
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
    """Return the request in `text`, which `sign` made, and the subject it is for.

    Raises `InteractionExpired` if the text was altered or is too old.
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
    """Return what a user decides on: the client's name, the redirect URI and the scopes.

    It depends on the client's registration, which the client may change meanwhile.
    """
    name = None if request.client is None else request.client.client_name
    return [name, request.valid_redirect_uri, sorted(request.scopes)]


def put_aside(server: Server, request: Request) -> Response:
    """Keep `request` in a cookie and redirect to the short URL that refers to it."""
    reference = secrets.token_hex(8)
    response = Response(status=303 if flask.request.method == "POST" else 302)
    response.headers["Location"] = path_of(reference)
    return keep(server, request, reference, response)


def keep(server: Server, request: Request, reference: str, response: Response) -> Response:
    """Keep `request` in a cookie of `response`, named by `reference`.

    Raises `InvalidRequestError` if the request is too long for a cookie.
    """
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
    """Return the reference in the URL of the current request, "" if there is none.

    Raises `InteractionExpired` for any other text, since it becomes part of a cookie name.
    """
    reference = flask.request.args.get("r", "")
    if reference and not _REFERENCE.fullmatch(reference):
        raise InteractionExpired()
    return reference


def take_up(server: Server, reference: str) -> Request:
    """Return the request put aside as `reference`; raises `InteractionExpired` if it is gone."""
    return read_signed(server, flask.request.cookies.get(_COOKIE + reference, ""))[0]


def forget(response: Response, reference: str) -> Response:
    """Delete the cookie of a request that has been answered."""
    response.delete_cookie(_COOKIE + reference, path=path_of())
    return response


def path_of(reference: str = "") -> str:
    """Return the path of the current request as the browser sees it, with `reference` if any."""
    return f"{here()}?r={reference}" if reference else here()


def _signer(server: Server) -> URLSafeSerializer:
    # Valid only at the endpoint that signed it: a confirmed logout must not pass as a consent.
    return URLSafeSerializer(
        server.accepted_keys("authorization request"), salt=flask.request.endpoint or "pkce"
    )
