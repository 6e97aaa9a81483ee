"""Interaction: what only the user can answer: who they are, if they agree, if they leave.

The authorization request waits meanwhile in the browser, signed, so that nothing is
written before a user is known and nothing in it can be altered. On the way to the
host's login page it lies in a cookie of its own, and the login page gets a short
`next`; in the consent form it is a hidden field. Tabs do not disturb each other.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import flask
from flask import Response, render_template
from flask_wtf import FlaskForm
from itsdangerous import BadData, URLSafeSerializer
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from wtforms import HiddenField

from .errors import InteractionExpired, InvalidRequestError, LoginRequiredError
from .models import login_session
from .models import redirect_uri as uris
from .models.client import Client
from .models.token import revoke_family
from .request import Request
from .server import Server
from .signals import tell, user_logged_out

logger = logging.getLogger(__name__)

_COOKIE = "pkce_r_"
_REFERENCE = re.compile(r"[0-9a-f]{16}")
#: Browsers drop a cookie whose name and value have more than 4096 bytes.
_LARGEST_COOKIE = 3900


class PageForm(FlaskForm):
    """A form of a page of ours, with a CSRF token whatever the host set WTF_CSRF_ENABLED to."""

    class Meta(FlaskForm.Meta):
        csrf = True


class DecisionForm(PageForm):
    """The form of a page that asks; its buttons are `decision` = allow or deny."""

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
    form: DecisionForm


def sign(server: Server, request: Request, subject: str | None = None) -> str:
    """Return `request` as text that only this server can have made.

    With a `subject` it is good for that user's decision only.
    """
    content = {
        "p": request.payload.datalist,
        "s": subject,
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
    return request, content["s"]


def put_aside(server: Server, request: Request) -> Response:
    """Keep `request` in a cookie and go on at the short URL that means it."""
    reference = secrets.token_hex(8)
    response = Response(status=303 if flask.request.method == "POST" else 302)
    response.headers["Location"] = _here(reference)
    return _keep(server, request, reference, response)


def _keep(server: Server, request: Request, reference: str, response: Response) -> Response:
    text = sign(server, request)
    if len(text) > _LARGEST_COOKIE:
        raise InvalidRequestError("The authorization request is too long; shorten state.")
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


def ask_login(server: Server, request: Request, reference: str) -> Response:
    """Send the user to the host's login page, to come back to what was put aside.

    Somebody who is signed in may have to prove it once more. A login page that sends them
    straight back is tried again without its session; one that does so even then cannot be
    used for this. Raises `LoginRequiredError`.
    """
    if server.users.current() is None:
        return _login_page(server, request, reference)
    if request.times_asked > 1:
        raise LoginRequiredError("The login page did not ask the user to sign in again.")
    if request.times_asked == 1:
        server.users.end_login()
    request.times_asked += 1
    return _keep(server, request, reference, _login_page(server, request, reference))


def _login_page(server: Server, request: Request, reference: str) -> Response:
    if request.must_sign_up and server.settings.prompt_sign_up_view is not None:
        page = flask.url_for(server.settings.prompt_sign_up_view, next=_here(reference))
        return Response(status=302, headers={"Location": page})
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
    form = _form(server, request, user)
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


def ask_logout(
    server: Server,
    request: Request,
    user: Any,
    *,
    client: Client | None,
    again: bool = False,
) -> Response:
    """Ask whether to sign out of the host; `client` wants it, or nobody says who does."""
    page = render_template(
        "pkce/logout.html",
        form=_form(server, request, user),
        account=server.users.name_of(user),
        client=client,
        action=_here(),
        again=again,
        server=server,
    )
    return Response(page, status=400 if again else 200, mimetype="text/html")


def signed_in(
    server: Server, user: Any, *, acr: str | None = None, amr: Iterable[str] = ()
) -> None:
    """Note that `user` has just proved who they are; whoever was here before is gone."""
    subject = server.users.subject_of(user)
    before = server.users.noted_login()
    if before is not None and before.subject != subject:
        signed_out(server)
    server.users.note_login(subject, auth_time=server.now(), acr=acr, amr=tuple(amr))


def signed_out(server: Server) -> None:
    """End the session of this browser: what hung on it is revoked, its clients are told.

    What was granted for good (`offline_access`) stays. A database that fails is logged:
    the user is signed out of the host all the same.
    """
    login = server.users.noted_login()
    server.users.forget_login()
    if login is None:
        return

    def end(session: Session) -> list[str]:
        taking_part = login_session.end(session, login.sid)
        for one in taking_part:
            if not one.offline:
                revoke_family(session, one.family_id, server.now())
        return sorted({one.client_id for one in taking_part})

    try:
        client_ids = server.store.write(end)
    except DBAPIError:
        logger.exception("the end of a session could not be stored")
        return
    tell(
        user_logged_out,
        server.app,
        subject=login.subject,
        sid=login.sid,
        client_ids=client_ids,
    )


def _form(server: Server, request: Request, user: Any) -> DecisionForm:
    form = DecisionForm(formdata=None)
    form.request.data = sign(server, request, server.users.subject_of(user))
    return form


def _sentences(server: Server, scopes: Iterable[str]) -> list[tuple[str, str]]:
    return [(scope, sentence) for scope, sentence in server.scopes.items() if scope in scopes]


def _here(reference: str = "") -> str:
    """Return the path of this request as the browser knows it, for `reference` if given."""
    path = flask.request.script_root + flask.request.path
    return f"{path}?r={reference}" if reference else path


def _signer(server: Server) -> URLSafeSerializer:
    # Good at the endpoint that made it: who agrees to a logout has agreed to nothing else.
    return URLSafeSerializer(
        server.key("authorization request"), salt=flask.request.endpoint or "pkce"
    )
