"""APIs that exchange the tokens of their callers, and what is asked about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from flask_pkce_server import current_token
from flask_pkce_server.features.token_exchange import ACCESS_TOKEN
from flask_pkce_server.models.token import Token
from flask_pkce_server.testing import Flow, register, server_of
from flask_pkce_server.wire.names import TOKEN_EXCHANGE

from ...host import ISSUER, make_app, sign_in

NOTES, MAIL, POST = f"{ISSUER}/notes", f"{ISSUER}/mail", f"{ISSUER}/post"


SCOPE = "notes:read mail:send mail:read offline_access"


OPENID = f"openid {SCOPE}"


SCOPES = {
    "profile": "See your name",
    "notes:read": "Read your notes",
    "notes:write": "Write notes for you",
    "mail:read": "Read your mail",
    "mail:send": "Send mail for you",
}


def exchange_app(**config: Any) -> Flask:
    """Make the host app with APIs of its own, each of which is another resource."""
    app = make_app(
        **{
            "PKCE_FEATURES": {"token_exchange": True},
            "PKCE_SCOPES": SCOPES,
            "PKCE_CLIENT_CREDENTIALS_SCOPES": ["mail:read"],
            **config,
        }
    )
    app.pkce.resource(NOTES, scopes=["notes:read", "notes:write"])
    app.pkce.resource(MAIL, scopes=["mail:send", "mail:read"])
    app.pkce.resource(POST, scopes=["mail:send"])

    def caller() -> dict[str, Any]:
        return {
            "subject": current_token.subject,
            "user": current_token.user.name,
            "client_id": current_token.client_id,
            "actors": list(current_token.actors),
            "scopes": sorted(current_token.scopes),
        }

    for path, uri in {"/notes": NOTES, "/mail": MAIL, "/post": POST}.items():
        app.add_url_rule(path, path, app.pkce.require(resource=uri)(caller))
    return app


FORMATS = ["opaque", "jwt"]


def an_api(app: Flask, serves: str = NOTES, to: tuple[str, ...] = (MAIL,), **more: Any) -> Flow:
    """Return an API that may exchange; it has no use for the browser."""
    metadata = {"token_exchange_from": [serves], "token_exchange_to": list(to)}
    what = {
        "name": "Notes API",
        "auth_method": "client_secret_basic",
        "redirect_uris": (),
        "grant_types": [TOKEN_EXCHANGE, "client_credentials"],
        "client_metadata": {**metadata, **more.pop("client_metadata", {})},
    }
    return Flow(app.test_client(), register(app, **{**what, **more}))


def user_of(app: Flask, **more: Any) -> Flow:
    """Return the app of a user, who lets it in for the notes."""
    return Flow(sign_in(app), register(app, **more), scope=SCOPE)


def tokens_for(flow: Flow, resource: str | None = NOTES, **more: str) -> dict[str, Any]:
    return flow.tokens(resource=resource, **more)


def exchange(flow: Flow, token: str, **more: Any) -> TestResponse:
    form = {
        "grant_type": TOKEN_EXCHANGE,
        "subject_token": token,
        "subject_token_type": ACCESS_TOKEN,
        "resource": MAIL,
        **more,
    }
    return flow.post("token", form)


def given(flow: Flow, token: str, **more: Any) -> str:
    answer = exchange(flow, token, **more)
    assert answer.status_code == 200, answer.text
    return answer.get_json()["access_token"]


def call(app: Flask, token: str, path: str = "/mail") -> TestResponse:
    headers = {"Authorization": f"Bearer {token}"}
    return app.test_client(use_cookies=False).get(path, headers=headers)


def outcome(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.get_json()["error"]


REFUSED = (400, "invalid_request")


def introspected(flow: Flow, token: str) -> dict[str, Any]:
    return flow.post("introspect", {"token": token}).get_json()


def stored(app: Flask) -> list[Token]:
    with app.app_context(), server_of(app).store.reading() as session:
        return list(session.scalars(select(Token)))


def write(app: Flask, work: Callable[..., Any]) -> Any:
    with app.app_context():
        return server_of(app).store.write(work)
