"""Login: sends the user to sign in, and ends what depends on the session at sign-out."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import flask
from flask import Flask, Response
from sqlalchemy.orm import Session

from ..errors import LoginRequiredError
from ..models import login_session
from ..models.failure import DATABASE_ERRORS
from ..models.token import revoke_family
from ..protocol.contract import Server
from ..protocol.request import Request
from ..protocol.server import FeatureServer
from ..signals import tell, user_logged_out
from ..users.sign_in import forget_login, note_login, noted_login
from .waiting import keep, path_of

logger = logging.getLogger(__name__)


def ask_login(server: Server, request: Request, reference: str) -> Response:
    """Send the user to the host's login page, which leads back to the request put aside.

    A user who is signed in already may have to sign in again. If the login page sends them
    straight back, end their session and try once more. Raises `LoginRequiredError` if the page
    sends them straight back even then.
    """
    if server.users.current() is None:
        return _login_page(server, request, reference)
    if request.times_asked > 1:
        raise LoginRequiredError("The login page did not ask the user to sign in again.")
    if request.times_asked == 1:
        server.users.end_login()
    request.times_asked += 1
    return keep(server, request, reference, _login_page(server, request, reference))


def _login_page(server: Server, request: Request, reference: str) -> Response:
    if request.must_sign_up and server.settings.prompt_sign_up_view is not None:
        page = flask.url_for(server.settings.prompt_sign_up_view, next=path_of(reference))
        return Response(status=302, headers={"Location": page})
    return server.users.ask_login(path_of(reference))


def signed_in(
    server: Server, user: Any, *, acr: str | None = None, amr: Iterable[str] = ()
) -> None:
    """Record that `user` has just signed in; end the session of any other user before them.

    `acr` and `amr` tell how they signed in (OIDC Core 2, RFC 8176).
    """
    subject = server.users.subject_of(user)
    before = noted_login()
    if before is not None and before.subject != subject:
        signed_out(server)
    note_login(subject, auth_time=server.now(), acr=acr, amr=tuple(amr))


def signed_out(server: Server) -> None:
    """End the session of this browser: revoke its tokens and notify its clients.

    Grants with `offline_access` stay. A database error is only logged, since the user is signed
    out of the host anyway.
    """
    login = noted_login()
    forget_login()
    if login is None:
        return

    def end(session: Session) -> list[str]:
        participants = login_session.end(session, login.sid)
        for participant in participants:
            if not participant.offline:
                revoke_family(session, participant.family_id, server.now())
        return sorted({participant.client_id for participant in participants})

    try:
        client_ids = server.store.write(end)
    except DATABASE_ERRORS:
        logger.exception("the end of a session could not be stored")
        return
    tell(
        user_logged_out,
        server.app,
        subject=login.subject,
        sid=login.sid,
        client_ids=client_ids,
    )


def listen_to_flask_login(server: FeatureServer) -> None:
    """Record who signs in and out if the host uses Flask-Login."""
    try:
        from flask_login import user_logged_in, user_logged_out
    except ImportError:
        return

    def on_login(app: Flask, user: Any) -> None:
        signed_in(server, user)

    def on_logout(app: Flask, user: Any) -> None:
        signed_out(server)

    for signal, receiver in ((user_logged_in, on_login), (user_logged_out, on_logout)):
        signal.connect(receiver, server.app)
        server.keep(receiver)
