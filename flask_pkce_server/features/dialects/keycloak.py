"""Keycloak: keycloak-js, below any realm, and the frames with which it watches the session."""

from __future__ import annotations

from urllib.parse import quote

import flask
from flask import Response
from markupsafe import Markup

from ...errors import InvalidRequestError
from ...models import client_origin, participation
from ...models.client import Client
from ...pages.page import here, page
from ...pages.policy import allow_here
from ...protocol.contract import Server
from ...protocol.declarations import Route
from ...protocol.request import Request
from .dialect import Dialect
from .leaving import web_origin
from .message import csp_digest

_REALM = "/realms/<_realm>/protocol/openid-connect"
_PROBE = "pkce_3p"

_SAY = """
window.parent.postMessage(document.body.dataset.message, document.body.dataset.origin);
"""
_WATCH = """
addEventListener("message", async ({ data, origin, source }) => {
  if (source !== window.parent || origin !== document.body.dataset.origin) return;
  const [client, session] = String(data).split(" ");
  const asked = new URLSearchParams({ client_id: client, origin, session_state: session ?? "" });
  let status = "error";
  try {
    const answer = await fetch(`${location.pathname}/init?${asked}`);
    if (answer.ok) ({ status } = await answer.json());
  } catch {}
  source.postMessage(status, origin);
});
"""


def third_party_cookies(server: Server) -> Response:
    """Tell the embedding page whether the browser sends our session cookie from a frame.

    Set a cookie of the same kind, and check for it in the next step.
    """
    app = flask.current_app
    if "step" not in flask.request.args:
        origin = quote(_frame_of_caller(server), safe="")
        answer = Response(status=302, headers={"Location": f"{here()}?step=2&origin={origin}"})
        answer.set_cookie(
            _PROBE,
            "1",
            max_age=60,
            path=here(),
            httponly=True,
            secure=bool(app.config["SESSION_COOKIE_SECURE"]),
            samesite=app.config["SESSION_COOKIE_SAMESITE"],
        )
        return answer
    support = "supported" if _PROBE in flask.request.cookies else "unsupported"
    return _frame(server, _SAY, support)


def login_status(server: Server) -> Response:
    """Return the frame that tells the embedding page when the session here has changed."""
    allow_here(connect_src="'self'")
    return _frame(server, _WATCH, "")


def session_status(server: Server) -> Response:
    """Return whether this browser's session is still the one that the client knows."""
    query = flask.request.args
    client = server.find_client(query.get("client_id", ""))
    if client is None or not client.speaks_from(query.get("origin", "")):
        raise InvalidRequestError("The origin is not one of this client.")
    user, known = server.users.current(), query.get("session_state", "")
    sid = "" if user is None else server.users.login(user).sid
    is_told = bool(known) or _may_ask_who_is_here(server, client, sid)
    is_same = known == (server.sid_for(client, sid) if sid else "")
    return flask.jsonify(status="changed" if is_told and not is_same else "unchanged")


def _may_ask_who_is_here(server: Server, client: Client, sid: str) -> bool:
    """Return whether a client that knows no session may learn that somebody is signed in.

    keycloak-js asks so before it tries to sign the user in silently (`check-sso`). A client that
    anybody may have registered has to take part in the session already.
    """
    if not client.is_of_stranger:
        return True
    with server.store.reading() as session:
        return participation.takes_part(session, sid, client.client_id)


def _frame(server: Server, script: str, message: str) -> Response:
    origin = _frame_of_caller(server)
    allow_here(script_src=csp_digest(script), style_src="'none'")
    return page(
        server,
        "message",
        message=message,
        origin=origin,
        script=Markup(script),  # noqa: S704 - a constant
    )


def _frame_of_caller(server: Server) -> str:
    """Allow the embedding page to frame this one; return the origin of the embedding page.

    Raises `InvalidRequestError` unless some client registered that origin.
    """
    incoming = flask.request
    origin = web_origin(incoming.args.get("origin") or incoming.headers.get("Referer", ""))
    with server.store.reading() as session:
        is_registered = origin is not None and client_origin.is_of_any(session, origin)
    if not is_registered or origin is None:
        raise InvalidRequestError("The page around this one is not on an origin of a client.")
    allow_here(frame_ancestors=origin)
    return origin


def translate(server: Server, request: Request) -> None:
    """Add `prompt=create` to a request for the sign-up path, if the host app has a sign-up page."""
    rule = flask.request.url_rule
    has_sign_up = server.settings.prompt_sign_up_view is not None
    if has_sign_up and rule is not None and rule.rule.endswith("/registrations"):
        request.replace(prompt="create")


DIALECT = Dialect(
    name="keycloak",
    paths={
        f"{_REALM}/auth": "authorize",
        f"{_REALM}/registrations": "authorize",
        f"{_REALM}/token": "token",
        f"{_REALM}/token/introspect": "introspect",
        f"{_REALM}/revoke": "revoke",
        f"{_REALM}/userinfo": "userinfo",
        f"{_REALM}/logout": "logout",
        f"{_REALM}/certs": "jwks",
    },
    routes=(
        Route(
            "keycloak_cookies",
            f"{_REALM}/3p-cookies/step1.html",
            third_party_cookies,
            ("GET",),
            "page",
            at_root=True,
        ),
        Route(
            "keycloak_status",
            f"{_REALM}/login-status-iframe.html",
            login_status,
            ("GET",),
            "page",
            at_root=True,
        ),
        Route(
            "keycloak_session",
            f"{_REALM}/login-status-iframe.html/init",
            session_status,
            ("GET",),
            "endpoint",
            at_root=True,
        ),
    ),
    translate=translate,
    readable_tokens=True,
)
