"""Sign-in: who signed in, when and how, recorded in the session of the browser.

Many login pages clear the session before they sign a user in. So a signed cookie of our own
repeats whose session it is: the same user goes on with the same `sid`, and another user ends
it. That cookie proves no sign-in.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass

import flask
from flask import Response, current_app, session
from itsdangerous import BadData, URLSafeSerializer

_KEY = "_pkce_login"
_COOKIE = "pkce_session"
#: In the WSGI environment: the session that the cookie names is over.
_IS_OVER = "flask_pkce_server.session_over"


@dataclass(frozen=True)
class Login:
    """One sign-in of a user in one browser, stored in the Flask session."""

    subject: str
    #: The session ID for clients (OpenID Connect Back-Channel Logout 1.0 2.1).
    sid: str
    #: When the user last authenticated (epoch seconds); None if unknown.
    auth_time: int | None
    #: A random value that changes whenever the user authenticates.
    mark: str
    #: How the user authenticated, if the host app reports it (OIDC Core 2, RFC 8176).
    acr: str | None = None
    amr: tuple[str, ...] = ()


def noted_login() -> Login | None:
    """Return the sign-in recorded in the session of this browser, or None."""
    stored = session.get(_KEY)
    try:
        return Login(**{**stored, "amr": tuple(stored["amr"])}) if stored else None
    except (TypeError, KeyError):
        return None  # written by another release of this package


def login_before() -> Login | None:
    """Return the last sign-in in this browser that has not ended yet, or None.

    The host app may have forgotten it: then only `subject` and `sid` are known.
    """
    login = noted_login()
    if login is not None:
        return login
    if _IS_OVER in flask.request.environ:
        return None
    try:
        subject, sid = _signer().loads(flask.request.cookies.get(_COOKIE, ""))
    except (BadData, TypeError, ValueError):
        return None
    return Login(subject, sid, auth_time=None, mark="")


def note_login(
    subject: str,
    *,
    auth_time: int | None,
    acr: str | None = None,
    amr: tuple[str, ...] = (),
) -> Login:
    """Record that `subject` signed in at `auth_time` (epoch seconds); return the sign-in.

    If the same user authenticates again, the session keeps its `sid`.
    """
    before = login_before()
    is_same_user = before is not None and before.subject == subject
    login = Login(
        subject=subject,
        sid=before.sid if before is not None and is_same_user else secrets.token_urlsafe(16),
        auth_time=auth_time,
        mark=secrets.token_urlsafe(6),
        acr=acr,
        amr=amr,
    )
    session[_KEY] = asdict(login)
    flask.after_this_request(_repeat_in_cookie)
    return login


def forget_login() -> None:
    """Remove the sign-in from this browser."""
    session.pop(_KEY, None)
    flask.request.environ[_IS_OVER] = True
    flask.after_this_request(_repeat_in_cookie)


def _repeat_in_cookie(response: Response) -> Response:
    """Let the cookie say what the session says at the end of the request."""
    is_set = any(line.startswith(f"{_COOKIE}=") for line in response.headers.getlist("Set-Cookie"))
    login, app = noted_login(), current_app
    text = "" if login is None else str(_signer().dumps([login.subject, login.sid]))
    if is_set or text == flask.request.cookies.get(_COOKIE, ""):
        return response
    path = app.session_interface.get_cookie_path(app)
    domain = app.session_interface.get_cookie_domain(app)
    if not text:
        response.delete_cookie(_COOKIE, path=path, domain=domain)
        return response
    response.set_cookie(
        _COOKIE,
        text,
        path=path,
        domain=domain,
        secure=app.extensions["pkce"].issuer.startswith("https:"),
        httponly=True,
        samesite="Lax",
    )
    return response


def _signer() -> URLSafeSerializer:
    fallbacks = current_app.config.get("SECRET_KEY_FALLBACKS") or []
    # The last one signs, and all of them verify.
    return URLSafeSerializer([*fallbacks, current_app.secret_key], salt="pkce session")
