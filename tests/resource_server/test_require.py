"""Guarded views: RFC 6750, and the challenges that client SDKs read."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from flask_pkce_server import ConfigurationError, current_token, require
from flask_pkce_server.testing import Clock, Flow, register

from ..host import make_app, sign_in


def call(app: Flask, path: str, authorization: str | None, **how):
    headers = {} if authorization is None else {"Authorization": authorization}
    return app.test_client(use_cookies=False).get(path, headers=headers, **how)


def test_a_view_sees_the_token_it_was_reached_with(app: Flask, pkce_flow: Flow) -> None:
    token = pkce_flow.tokens()["access_token"]
    assert call(app, "/api/me", f"Bearer {token}").get_json() == {
        "name": "Ada Lovelace",
        "subject": "1",
        "client_id": pkce_flow.client.client_id,
        "scopes": ["offline_access", "profile"],
        "bindings": {"connected_apps": {"browser": "", "system": ""}},
    }


def test_async_views_are_guarded_too(app: Flask, pkce_flow: Flow) -> None:
    token = pkce_flow.tokens(scope="notes:read")["access_token"]
    assert call(app, "/api/notes/async", f"Bearer {token}").get_json() == ["1"]
    assert call(app, "/api/notes/async", None).status_code == 401


@pytest.mark.parametrize("authorization", [None, "", "Basic eDp5", "Bearer", "Bearer "])
def test_without_a_token_there_is_a_challenge_and_no_error_code(
    app: Flask, authorization: str | None
) -> None:
    # RFC 6750 3.1
    answer = call(app, "/api/notes", authorization)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer scope="notes:read"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.get_json()["error_description"]


@pytest.mark.parametrize(
    "token", ["x", "fpk_at_" + "a" * 49, "a b", "\u00e9", '"', "fpk_at_", "a" * 5000]
)
def test_a_token_that_is_not_good_is_an_invalid_token(app: Flask, token: str) -> None:
    answer = call(app, "/api/notes", f"Bearer {token}")
    assert answer.status_code == 401
    assert answer.get_json()["error"] == "invalid_token"
    assert answer.headers["WWW-Authenticate"].startswith(
        'Bearer error="invalid_token", scope="notes:read", error_description="'
    )


def test_a_token_without_the_scope_is_told_which_one(app: Flask, pkce_flow: Flow) -> None:
    token = pkce_flow.tokens()["access_token"]
    answer = call(app, "/api/notes", f"Bearer {token}")
    assert answer.status_code == 403
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer error="insufficient_scope", scope="notes:read", ')
    # Client SDKs look for these with a regular expression, the first match wins.
    assert re.search(r'scope="?([^",]+)', challenge)[1] == "notes:read"
    description = re.search(r'error_description="([^"]*)"', challenge)[1]
    assert "scope=" not in description
    assert "error=" not in description


def test_a_view_without_scopes_names_the_realm() -> None:
    # RFC 7235 2.1: a scheme alone is no challenge.
    app = make_app(init=False)

    @app.get("/any")
    @require()
    def any_token() -> str:
        return current_token.client_id

    app.pkce.init_app(app)
    answer = call(app, "/any", None)
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="https://auth.example"'


@pytest.mark.parametrize("scopes", [("profile", "notes:read"), ("profile notes:read",)])
def test_all_scopes_are_needed(scopes: tuple[str, ...]) -> None:
    app = make_app(init=False)

    @app.get("/both")
    @require(*scopes)
    def both() -> str:
        return "both"

    app.pkce.init_app(app)
    answer = call(app, "/both", None)
    assert answer.headers["WWW-Authenticate"] == 'Bearer scope="profile notes:read"'


def test_an_access_token_expires(app: Flask, pkce_flow: Flow, pkce_clock: Clock) -> None:
    token = pkce_flow.tokens()["access_token"]
    pkce_clock.advance(3599)
    assert call(app, "/api/me", f"Bearer {token}").status_code == 200
    pkce_clock.advance(1)
    assert call(app, "/api/me", f"Bearer {token}").status_code == 401


def test_refresh_tokens_and_codes_open_nothing(app: Flask, pkce_flow: Flow) -> None:
    code = pkce_flow.allow()["code"]
    tokens = pkce_flow.tokens()
    for handle in (code, tokens["refresh_token"]):
        assert call(app, "/api/me", f"Bearer {handle}").status_code == 401


def test_the_scheme_is_read_in_any_case(app: Flask, pkce_flow: Flow) -> None:
    token = pkce_flow.tokens()["access_token"]
    assert call(app, "/api/me", f"bearer {token}").status_code == 200


def test_a_token_in_the_query_or_the_body_is_not_read(app: Flask, pkce_flow: Flow) -> None:
    # RFC 9700 4.3.2
    token = pkce_flow.tokens()["access_token"]
    assert call(app, f"/api/me?access_token={token}", None).status_code == 401
    posted = app.test_client(use_cookies=False).post("/api/me", data={"access_token": token})
    assert posted.status_code == 401


def test_a_session_alone_opens_nothing(pkce_flow: Flow) -> None:
    assert pkce_flow.browser.get("/api/me").status_code == 401


def test_the_tokens_of_a_deleted_client_are_dead(app: Flask, pkce_flow: Flow) -> None:
    token = pkce_flow.tokens()["access_token"]
    app.test_cli_runner().invoke(args=["pkce", "client", "delete", pkce_flow.client.client_id])
    assert call(app, "/api/me", f"Bearer {token}").status_code == 401


def test_the_user_is_none_when_they_are_gone() -> None:
    app = make_app(init=False)

    @app.get("/who")
    @require("profile")
    def who() -> list[object]:
        return [current_token.subject, current_token.user]

    app.pkce.init_app(app)
    with app.app_context():
        app.db.create_all()
        app.db.session.add(app.User(username="ada", name="Ada Lovelace"))
        app.db.session.commit()
    token = Flow(sign_in(app), register(app)).tokens()["access_token"]
    with app.app_context():
        app.db.session.execute(app.db.delete(app.User))
        app.db.session.commit()
    assert call(app, "/who", f"Bearer {token}").get_json() == ["1", None]


def test_outside_a_guarded_view_there_is_no_current_token(app: Flask) -> None:
    with app.app_context(), pytest.raises(RuntimeError, match="guards"):
        _ = current_token.subject


def test_require_without_parentheses_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="before it decorates"):
        require(lambda: "view")
