"""Pending: what the host's login page can know of the request that waits for a sign-in.

A small signed cookie for the whole host has a note of each waiting request: where the browser
goes on, and who asks for what. The requests themselves stay in cookies of the endpoint.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import flask
from flask import Response
from itsdangerous import BadData, URLSafeSerializer

from ..errors import InvalidRequestError
from ..protocol.contract import Server, current_server
from ..protocol.request import Request
from ..wire import claims_request
from ..wire.claims_request import essential_acr

_COOKIE = "pkce_waiting"
#: How many notes the cookie has, and its characters; the newest note may have more.
_MAX_NOTES = 5
_MAX_CHARACTERS = 1000
#: A longer value of a parameter is left out.
_MAX_VALUE = 200
#: More values of an essential acr are left out.
_MAX_ACRS = 5
_DISPLAYS = ("page", "popup", "touch", "wap")
#: Seconds for which a note outlives its request, to tell the user which app to go back to.
_REMEMBERED = 86400
#: A path of this site: a browser reads a backslash as a slash, and drops control characters.
_PATH = re.compile(r"/(?!/)[^\\\x00-\x20\x7f-\x9f]*")


@dataclass(frozen=True)
class PendingRequest:
    """The authorization request that waits for the user to sign in.

    All of it, except for `client_id` and `is_vouched_for`, was chosen by the client or by
    whoever made the link: show it as text, and don't rely on it.
    """

    client_id: str
    client_name: str
    #: Whether the operator of this server registered or checked the client.
    is_vouched_for: bool
    #: The name or address that the user may sign in with (OIDC Core 3.1.2.1).
    login_hint: str | None = None
    #: How the client wants the user to sign in, the most wanted first; an essential `acr` of
    #: the `claims` parameter is among them.
    acr_values: tuple[str, ...] = ()
    #: The languages of the user, the preferred one first.
    ui_locales: tuple[str, ...] = ()
    #: `page`, `popup`, `touch` or `wap`; None if the client says none of these.
    display: str | None = None
    prompt: tuple[str, ...] = ()


@dataclass(frozen=True)
class Note:
    """A note in the cookie: a request, where it goes on, and since when it waits."""

    url: str
    #: Epoch seconds.
    kept_at: int
    request: PendingRequest


def note(
    server: Server, request: Request, url: str, response: Response, *, gone: Iterable[str]
) -> None:
    """Note in `response` that `request` waits, and goes on at the path `url`.

    The notes of the requests that went on at the paths `gone` are removed.
    """
    removed = {url, *gone}
    others = [note for note in read_notes(server) if note.url not in removed]
    _write(server, [Note(url, server.now(), _pending(request)), *others], response)


def forget_notes(urls: Iterable[str], response: Response) -> Response:
    """Remove from `response` the notes of the requests that go on at the paths `urls`."""
    removed, notes = set(urls), read_notes(current_server)
    left = [note for note in notes if note.url not in removed]
    lines = response.headers.getlist("Set-Cookie")
    if len(left) < len(notes) and not any(line.startswith(f"{_COOKIE}=") for line in lines):
        _write(current_server, left, response)
    return response


def read_notes(server: Server) -> list[Note]:
    """Return the notes in the browser, the newest first, also of requests that have expired."""
    # Another app on this host may have a cookie of the same name.
    for text in flask.request.cookies.getlist(_COOKIE):
        try:
            return [_note_of(*item) for item in _signer(server).loads(text)]
        except (BadData, TypeError, ValueError):
            continue  # also if another release of this package wrote it
    return []


def pending_request(server: Server) -> PendingRequest | None:
    """Return the request for which the user of this browser is to sign in, None if there is none.

    If the URL says where to go on, in `next`, it is the request there; otherwise, the newest.
    """
    found = _waiting_note(server)
    return None if found is None else found.request


def after_login(server: Server, default: str) -> str:
    """Return where the browser goes after a sign-in: a path of this site, or `default`.

    A path in the parameter `next` comes first, then the request that waits.
    """
    found = _waiting_note(server)
    return read_next() or (default if found is None else found.url)


def read_next() -> str | None:
    """Return the parameter `next` of the current request if it is a path of this site."""
    incoming = flask.request
    text = incoming.args.get("next") or incoming.form.get("next") or ""
    return text if _PATH.fullmatch(text) else None


def _waiting_note(server: Server) -> Note | None:
    oldest = server.now() - server.settings.authorize_lifetime
    url = read_next()
    notes = [note for note in read_notes(server) if note.kept_at > oldest]
    return next((note for note in notes if url in (None, note.url)), None)


def _pending(request: Request) -> PendingRequest:
    """Describe `request`, whose client is known."""
    client, data = request.client, request.payload.data

    def words(name: str) -> tuple[str, ...]:
        return tuple((_short(data.get(name)) or "").split())

    return PendingRequest(
        client_id=client.client_id,
        client_name=client.client_name,
        is_vouched_for=not client.is_of_stranger,
        login_hint=_short(data.get("login_hint")),
        acr_values=tuple(dict.fromkeys([*_essential_acr(data), *words("acr_values")])),
        ui_locales=words("ui_locales"),
        display=data.get("display") if data.get("display") in _DISPLAYS else None,
        prompt=words("prompt"),
    )


def _short(value: str | None) -> str | None:
    return value if _is_short_text(value) else None


def _essential_acr(data: Mapping[str, str]) -> Iterable[str]:
    """Yield the values of an essential `acr` in the `claims` parameter (OIDC Core 5.5.1.1)."""
    try:
        requested = claims_request.read(data.get("claims", "{}"))
    except InvalidRequestError:
        return  # refused elsewhere, if this server has the claims parameter
    for claim_requests in requested.values():
        yield from filter(_is_short_text, essential_acr(claim_requests)[:_MAX_ACRS])


def _is_short_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_VALUE


def _note_of(url: str, kept_at: int, request: Mapping[str, Any]) -> Note:
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in request.items()
    }
    return Note(url, kept_at, PendingRequest(**values))


def _write(server: Server, notes: list[Note], response: Response) -> None:
    notes = notes[:_MAX_NOTES]
    text = _signed(server, notes)
    while len(notes) > 1 and len(text) > _MAX_CHARACTERS:
        notes = notes[:-1]
        text = _signed(server, notes)
    path = flask.request.script_root or "/"
    if not notes:
        response.delete_cookie(_COOKIE, path=path)
        return
    response.set_cookie(
        _COOKIE,
        text,
        max_age=server.settings.authorize_lifetime + _REMEMBERED,
        path=path,
        secure=server.issuer.startswith("https:"),
        httponly=True,
        samesite="Lax",
    )


def _signed(server: Server, notes: list[Note]) -> str:
    content = [
        (note.url, note.kept_at, {n: v for n, v in asdict(note.request).items() if v or v is False})
        for note in notes
    ]
    return str(_signer(server).dumps(content))


def _signer(server: Server) -> URLSafeSerializer:
    return URLSafeSerializer(server.accepted_keys("notes of waiting requests"))
