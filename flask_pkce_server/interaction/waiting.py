"""Waiting: keeps an authorization request in the browser while the user signs in or decides.

The request is signed, so the browser cannot alter it, and nothing is stored before the user is
known. During sign-in it is in a cookie, and the host's login page gets a short `next`. In the
consent form it is a hidden field. Each request has its own cookie, so browser tabs do not
disturb each other. Servers refuse requests whose cookies are too long together, so a new
request replaces the oldest ones of this browser.
"""

from __future__ import annotations

import re
import secrets
from typing import Any

import flask
from flask import Response
from itsdangerous import BadData, URLSafeSerializer

from ..errors import CookiesMissing, InteractionExpired, InvalidRequestError
from ..pages.page import here
from ..protocol.contract import Server
from ..protocol.request import Request
from .pending import forget_notes, note, read_notes

_COOKIE = "pkce_r_"
_REFERENCE = re.compile(r"[0-9a-f]{16}")
#: A request that is too long for one cookie continues in a second one with this ending.
_CONTINUED = "_2"
_OURS = re.compile(rf"{_COOKIE}([0-9a-f]{{16}})(?:{_CONTINUED})?")
#: Browsers drop a cookie whose name and value together exceed 4096 bytes.
_LARGEST_COOKIE = 3900
#: Gunicorn refuses a Cookie header of more than 8190 bytes, and the host has cookies too. No
#: URL that Gunicorn accepts makes a longer request.
_LARGEST_REQUEST = 4600
#: How many requests wait in one browser, and the characters that they have together; the newest
#: request may have more.
_MAX_REQUESTS = 5
_MAX_CHARACTERS = 3900


def sign(server: Server, request: Request, subject: str | None = None) -> str:
    """Return `request` as signed text.

    With a `subject`, the text is for a decision of that user and includes what they are shown.
    """
    content = {
        "p": (request.carried or request.payload).datalist,
        "s": subject,
        "w": None if subject is None else shown_of(request),
        "t": server.now(),
        "a": request.put_aside_at,
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
    request.put_aside_at = content["a"]
    request.login_before, request.times_asked = content["l"], content["n"]
    request.shown, request.resumed = content.get("w"), True
    return request, content["s"]


def shown_of(request: Request) -> list[Any]:
    """Return what a user decides on: the client's name, the redirect URI, scopes and APIs.

    It depends on the client's registration, which the client may change meanwhile.
    """
    name = None if request.client is None else request.client.client_name
    scopes, uris = sorted(request.scopes), sorted(request.resources)
    return [name, request.valid_redirect_uri, scopes, uris]


def put_aside(server: Server, request: Request) -> Response:
    """Keep `request` in a cookie and redirect to the short URL that refers to it."""
    reference = secrets.token_hex(8)
    request.put_aside_at = server.now()
    response = Response(status=303 if flask.request.method == "POST" else 302)
    response.headers["Location"] = path_of(reference)
    return keep(server, request, reference, response)


def keep(server: Server, request: Request, reference: str, response: Response) -> Response:
    """Keep `request` in a cookie of `response`, named by `reference`.

    Raises `InvalidRequestError` if the request is too long for cookies.
    """
    text = sign(server, request)
    if len(text) > _LARGEST_REQUEST:
        raise InvalidRequestError(
            "The authorization request is too long to wait for a sign-in. Push it (RFC 9126), or "
            "shorten state."
        )
    name = _COOKIE + reference
    for cookie, value in (
        (name, text[:_LARGEST_COOKIE]),
        (name + _CONTINUED, text[_LARGEST_COOKIE:]),
    ):
        if value:
            response.set_cookie(
                cookie,
                value,
                max_age=server.settings.authorize_lifetime,
                path=path_of(),
                secure=server.issuer.startswith("https:"),
                httponly=True,
                samesite="Lax",
            )
        elif cookie in flask.request.cookies:
            response.delete_cookie(cookie, path=path_of())
    surplus = _surplus(server, reference, len(text))
    for other in surplus:
        _delete(response, other)
    note(server, request, path_of(reference), response, gone=map(path_of, surplus))
    return response


def _surplus(server: Server, newest: str, length: int) -> list[str]:
    """Return the references to the oldest requests, which make room for `newest` of `length`."""
    waiting = {
        ours[1]: _text_of(ours[1])
        for ours in map(_OURS.fullmatch, flask.request.cookies)
        if ours and ours[1] != newest
    }
    by_age = sorted(waiting, key=lambda reference: _signed_at(server, waiting[reference]))
    total = length + sum(map(len, waiting.values()))
    surplus = []
    while by_age and (len(by_age) >= _MAX_REQUESTS or total > _MAX_CHARACTERS):
        surplus.append(by_age.pop(0))
        total -= len(waiting[surplus[-1]])
    return surplus


def _signed_at(server: Server, text: str) -> int:
    """Return when `text` was signed (epoch seconds), 0 if it is not valid here."""
    try:
        return int(_signer(server).loads(text)["t"])
    except BadData:
        return 0


def _text_of(reference: str) -> str:
    """Return the signed request that the browser has under `reference`, "" if it has none."""
    name, cookies = _COOKIE + reference, flask.request.cookies
    return cookies.get(name, "") + cookies.get(name + _CONTINUED, "")


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
    if not flask.request.cookies:
        raise CookiesMissing()
    text = _text_of(reference)
    try:
        request = read_signed(server, text)[0]
    except InteractionExpired:
        # The page says to which app the user can go back.
        for known in read_notes(server):
            if known.url == path_of(reference) and known.request.is_vouched_for:
                server.find_client(known.request.client_id)
        raise
    # A request that another site posts is put aside before its browser shows the others.
    surplus = _surplus(server, reference, len(text))

    def make_room(response: Response) -> Response:
        for other in surplus:
            _delete(response, other)
        return forget_notes(map(path_of, surplus), response)

    if surplus:
        flask.after_this_request(make_room)
    return request


def forget(response: Response, reference: str) -> Response:
    """Delete the cookies of a request that has been answered."""
    _delete(response, reference)
    return forget_notes([path_of(reference)], response)


def _delete(response: Response, reference: str) -> None:
    name = _COOKIE + reference
    response.delete_cookie(name, path=path_of())
    if name + _CONTINUED in flask.request.cookies:
        response.delete_cookie(name + _CONTINUED, path=path_of())


def path_of(reference: str = "") -> str:
    """Return the path of the current request as the browser sees it, with `reference` if any."""
    return f"{here()}?r={reference}" if reference else here()


def _signer(server: Server) -> URLSafeSerializer:
    # Valid only at the endpoint that signed it: a confirmed logout must not pass as a consent.
    return URLSafeSerializer(
        server.accepted_keys("authorization request"), salt=flask.request.endpoint or "pkce"
    )
