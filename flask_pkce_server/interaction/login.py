"""Login: sends the user to sign in, and ends what depends on the session at sign-out."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import flask
from flask import Flask, Response

from ..errors import LoginRequiredError
from ..models import login_session
from ..models.failure import DATABASE_ERRORS
from ..models.withdrawal import end_access_of_session
from ..protocol.contract import Server
from ..protocol.request import Request
from ..protocol.server import FeatureServer
from ..protocol.state import request_state
from ..signals import tell, user_logged_out
from ..users import flask_login
from ..users.sign_in import Login, forget_login, login_before, note_login
from .waiting import keep, path_of

logger = logging.getLogger(__name__)


def ask_login(server: Server, request: Request, reference: str) -> Response:
    """Send the user to the host's login page, which leads back to the request put aside.

    Many login pages send a user away who is signed in. So unless the host has a page for
    signing in again, the user is first signed out of the host, but not of the apps: the
    session goes on with the same user. Raises `LoginRequiredError` if the user comes back and
    has still not signed in as the request requires.
    """
    user = server.users.current()
    if user is None and request.login_before is not None:
        return _login_page(server, request, reference)
    if request.login_before is None:
        # The request was posted by another site, so the session was not known until now.
        request.login_before = "" if user is None else server.users.login(user).mark
    if user is not None:
        if request.times_asked > 1:
            raise LoginRequiredError("The login page did not ask the user to sign in again.")
        if request.times_asked == 0 and _reauthenticates(server):
            request.times_asked = 1
        else:
            request.times_asked = 2
            _sign_out_of_host(server)
    return keep(server, request, reference, _login_page(server, request, reference))


def has_signed_in_since(request: Request, login: Login) -> bool:
    """Return whether `login` was made while `request` waited for the user to sign in.

    A session that was lost has another mark too, but no time: a remember cookie proves nothing.
    """
    return (
        request.put_aside_at is not None
        and request.login_before not in (None, login.mark)
        and login.auth_time is not None
        and login.auth_time >= request.put_aside_at
    )


def _reauthenticates(server: Server) -> bool:
    """Return whether the host asks users who are signed in to sign in again."""
    is_default = server.users.host.login_required_response is flask_login.login_required_response
    return is_default and flask_login.reauthenticates()


def _sign_out_of_host(server: Server) -> None:
    """Have the host app sign the user out, if it can, and keep the session with the clients."""
    if server.users.host.sign_out is flask_login.sign_out and not flask_login.is_set_up():
        return
    state = request_state()
    state.reauthenticates = True
    try:
        server.users.end_login()
    finally:
        state.reauthenticates = False


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
    end_session_of_another(server, user)
    subject = server.users.subject_of(user)
    note_login(subject, auth_time=server.now(), acr=acr, amr=tuple(amr))


def end_session_of_another(server: Server, user: Any) -> None:
    """End the session of this browser if it is that of another user than `user`."""
    before = login_before()
    if before is not None and before.subject != server.users.subject_of(user):
        signed_out(server)


def signed_out(server: Server) -> None:
    """End the session of this browser: revoke its tokens and notify its clients.

    Grants with `offline_access` stay. A database error is only logged, since the user is signed
    out of the host anyway. Nothing ends if the user is to sign in again (see `ask_login`).
    """
    if request_state().reauthenticates:
        return
    login = login_before()
    forget_login()
    if login is None:
        return

    sid, now = login.sid, server.now()
    lifetime = int(server.app.permanent_session_lifetime.total_seconds())
    try:
        # Two transactions: see `login_session.end`.
        ended = server.store.write(lambda session: login_session.end(session, sid, now, lifetime))
        client_ids = server.store.write(lambda session: end_access_of_session(session, sid, now))
    except DATABASE_ERRORS:
        logger.exception("the end of a session could not be stored")
        return
    if not ended:
        # Another request has ended it, and notifies the clients.
        return
    tell(
        user_logged_out,
        server.app,
        subject=login.subject,
        sid=login.sid,
        client_ids=client_ids,
    )


def listen_to_flask_login(server: FeatureServer) -> None:
    """Record who signs in, signs in again and signs out if the host uses Flask-Login."""
    try:
        from flask_login import user_logged_in, user_logged_out, user_login_confirmed
    except ImportError:
        return

    def on_login(app: Flask, user: Any) -> None:
        signed_in(server, user)

    def on_confirmation(app: Flask) -> None:
        user = server.users.current()
        if user is not None:
            signed_in(server, user)

    def on_logout(app: Flask, user: Any) -> None:
        signed_out(server)

    for signal, receiver in (
        (user_logged_in, on_login),
        (user_login_confirmed, on_confirmation),
        (user_logged_out, on_logout),
    ):
        signal.connect(receiver, server.app)
        server.keep(receiver)
