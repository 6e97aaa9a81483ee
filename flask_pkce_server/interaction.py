"""Interaction: what only the user can answer: who are you, do you agree.

The authorization request waits meanwhile in the browser, signed, so that nothing is
written before a user is known and nothing in it can be altered. On the way to the
host's login page it lies in a cookie of its own, and the login page gets a short
`next`; in the consent form it is a hidden field. Tabs do not disturb each other.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import flask
from flask import Response, render_template
from flask_wtf import FlaskForm
from itsdangerous import BadData, URLSafeSerializer
from wtforms import HiddenField

from .errors import InteractionExpired, InvalidRequestError
from .models import redirect_uri as uris
from .models.client import Client
from .request import Request
from .server import Server

_COOKIE = "pkce_r_"
_REFERENCE = re.compile(r"[0-9a-f]{16}")
#: Browsers drop a cookie whose name and value have more than 4096 bytes.
_LARGEST_COOKIE = 3900


class ConsentForm(FlaskForm):
    """The form of the consent page; its buttons are `decision` = allow or deny."""

    class Meta(FlaskForm.Meta):
        # Whatever the host set WTF_CSRF_ENABLED to.
        csrf = True

    request = HiddenField()
    decision = HiddenField()


@dataclass(frozen=True)
class ConsentView:
    """What the consent template gets, as `consent`."""

    #: The client that asks.
    client: Client
    #: What the page calls the signed-in account.
    account: str
    #: (scope, sentence) of each scope that is to be granted now.
    new_scopes: list[tuple[str, str]]
    #: (scope, sentence) of each scope that was granted before.
    known_scopes: list[tuple[str, str]]
    #: Where the browser goes after the decision: a host, or the scheme of an app.
    destination: str
    #: Whether that is a program on this computer rather than a web site.
    destination_is_local: bool
    #: Where the form is sent.
    action: str
    #: Whether the form came back undecided, or too late to count.
    again: bool
    #: The Flask-WTF form; render `form.csrf_token` and `form.request`.
    form: ConsentForm


def sign(server: Server, request: Request, subject: str | None = None) -> str:
    """Return `request` as text that only this server can have made.

    With a `subject` it is good for that user's decision only.
    """
    return _signer(server).dumps({"p": request.payload.datalist, "s": subject, "t": server.now()})


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
    return Request(method="GET", issuer=server.issuer, pairs=pairs), content["s"]


def put_aside(server: Server, request: Request) -> Response:
    """Keep `request` in a cookie and go on at the short URL that means it."""
    text = sign(server, request)
    if len(text) > _LARGEST_COOKIE:
        raise InvalidRequestError("The authorization request is too long; shorten state.")
    reference = secrets.token_hex(8)
    response = Response(status=303 if flask.request.method == "POST" else 302)
    response.headers["Location"] = _here(reference)
    response.set_cookie(
        _COOKIE + reference,
        text,
        max_age=server.settings.authorize_lifetime,
        path=_here(),
        secure=server.issuer.startswith("https:"),
        httponly=True,
        samesite="Lax",
    )
    return response


def take_up(server: Server, reference: str) -> Request:
    """Return the request that was put aside; raises `InteractionExpired` if it is gone."""
    if not _REFERENCE.fullmatch(reference):
        raise InteractionExpired()
    return read_signed(server, flask.request.cookies.get(_COOKIE + reference, ""))[0]


def forget(response: Response, reference: str) -> Response:
    """Take away the cookie of a request that was answered."""
    response.delete_cookie(_COOKIE + reference, path=_here())
    return response


def ask_login(server: Server, reference: str) -> Response:
    """Send the user to the host's login page, to come back to what was put aside."""
    return server.users.ask_login(_here(reference))


def ask_consent(
    server: Server,
    request: Request,
    user: Any,
    *,
    known: frozenset[str],
    reference: str = "",
    again: bool = False,
) -> Response:
    """Show the consent page; `known` are the scopes that were granted before.

    `again` says that the form came back in a state that decides nothing.
    """
    client: Client = request.client
    destination = request.valid_redirect_uri or ""
    form = ConsentForm(formdata=None)
    form.request.data = sign(server, request, server.users.subject_of(user))
    consent = ConsentView(
        client=client,
        account=server.users.name_of(user),
        new_scopes=_sentences(server, request.scopes - known),
        known_scopes=_sentences(server, request.scopes & known),
        destination=uris.shown_host(destination),
        destination_is_local=uris.is_loopback(destination) or uris.is_private_use(destination),
        action=_here(reference),
        again=again,
        form=form,
    )
    page = render_template("pkce/consent.html", consent=consent, server=server)
    return Response(page, status=400 if again else 200, mimetype="text/html")


def _sentences(server: Server, scopes: Iterable[str]) -> list[tuple[str, str]]:
    return [(scope, sentence) for scope, sentence in server.scopes.items() if scope in scopes]


def _here(reference: str = "") -> str:
    """Return the path of this request as the browser knows it, for `reference` if given."""
    path = flask.request.script_root + flask.request.path
    return f"{path}?r={reference}" if reference else path


def _signer(server: Server) -> URLSafeSerializer:
    return URLSafeSerializer(server.key("authorization request"), salt="pkce")
