"""Login: how a user is sent to sign in, and what it ends when they sign out."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import flask
from flask import Flask, Response
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ..errors import LoginRequiredError
from ..models import login_session
from ..models.token import revoke_family
from ..protocol.contract import Server
from ..protocol.request import Request
from ..protocol.server import FeatureServer
from ..signals import tell, user_logged_out
from ..users.sign_in import forget_login, note_login, noted_login
from .waiting import keep, path_of

logger = logging.getLogger(__name__)


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
    return keep(server, request, reference, _login_page(server, request, reference))


def _login_page(server: Server, request: Request, reference: str) -> Response:
    if request.must_sign_up and server.settings.prompt_sign_up_view is not None:
        page = flask.url_for(server.settings.prompt_sign_up_view, next=path_of(reference))
        return Response(status=302, headers={"Location": page})
    return server.users.ask_login(path_of(reference))


def signed_in(
    server: Server, user: Any, *, acr: str | None = None, amr: Iterable[str] = ()
) -> None:
    """Note that `user` has just proved who they are; whoever was here before is gone."""
    subject = server.users.subject_of(user)
    before = noted_login()
    if before is not None and before.subject != subject:
        signed_out(server)
    note_login(subject, auth_time=server.now(), acr=acr, amr=tuple(amr))


def signed_out(server: Server) -> None:
    """End the session of this browser: what hung on it is revoked, its clients are told.

    What was granted for good (`offline_access`) stays. A database that fails is logged:
    the user is signed out of the host all the same.
    """
    login = noted_login()
    forget_login()
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


def listen_to_flask_login(server: FeatureServer) -> None:
    """Note who signs in and out, where the host has Flask-Login."""
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
