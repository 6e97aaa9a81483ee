"""Introspection: who may ask, about what, and what is said."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from flask_pkce_server.testing import Clock, Flow, register

from ..host import sign_in
from ..openid import header, read

SCOPE = "openid profile notes:read offline_access"


@pytest.fixture
def flow(app: Flask) -> Flow:
    return Flow(sign_in(app), register(app, auth_method="client_secret_basic"), scope=SCOPE)


def api(app: Flask, scope: list[str] | None, **metadata: Any) -> Flow:
    """An API that was registered, seen as a client that asks."""
    return Flow(
        app.test_client(),
        register(
            app,
            name="Notes API",
            auth_method="client_secret_basic",
            grant_types=[],
            redirect_uris=("https://api.example/unused",),
            scope=scope,
            client_metadata={"resource_server": True, **metadata},
        ),
    )


def ask(flow: Flow, token: str, **changes: str) -> TestResponse:
    return flow.post("introspect", {"token": token, **changes})


def test_a_client_is_told_of_its_own_tokens(flow: Flow, pkce_clock: Clock) -> None:
    # RFC 7662 2.2
    tokens = flow.tokens()
    now = int(pkce_clock.now)
    said = {
        "active": True,
        "scope": "notes:read offline_access openid profile",
        "client_id": flow.client.client_id,
        "sub": "1",
        "iss": "https://auth.example",
        "iat": now,
        "aud": "https://auth.example",
        "auth_time": now,
    }
    answer = ask(flow, tokens["access_token"])
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.get_json() == {**said, "exp": now + 3600, "token_type": "Bearer"}
    assert ask(flow, tokens["refresh_token"]).get_json() == {**said, "exp": now + 2592000}


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "nonsense"])
def test_a_wrong_hint_hides_nothing(flow: Flow, hint: str) -> None:
    # RFC 7662 2.1, DK #1884
    tokens = flow.tokens()
    for name in ("access_token", "refresh_token"):
        assert ask(flow, tokens[name], token_type_hint=hint).get_json()["active"] is True


def test_what_is_not_live_is_not_active(flow: Flow, pkce_clock: Clock) -> None:
    spent = flow.tokens()["refresh_token"]
    tokens = flow.refresh(spent).get_json()
    pkce_clock.advance(3601)
    inactive = [spent, tokens["access_token"], "x", "fpk_at_x", flow.tokens()["id_token"]]
    fresh = flow.refresh(tokens["refresh_token"]).get_json()
    flow.revoke(fresh["access_token"])
    inactive += [fresh["access_token"], fresh["refresh_token"]]
    for token in inactive:
        assert ask(flow, token).get_json() == {"active": False}


def test_an_access_token_that_expired_says_nothing_of_its_refresh_token(
    flow: Flow, pkce_clock: Clock
) -> None:
    # DK #1860; Authlib 1.9.8 judges a refresh token by the access token's expiry.
    tokens = flow.tokens()
    pkce_clock.advance(3601)
    assert ask(flow, tokens["access_token"]).get_json()["active"] is False
    assert ask(flow, tokens["refresh_token"]).get_json()["active"] is True


def test_nobody_is_told_of_the_tokens_of_others(app: Flask, flow: Flow) -> None:
    # DOT #727
    tokens = flow.tokens()
    other = Flow(app.test_client(), register(app, auth_method="client_secret_post"))
    for name in ("access_token", "refresh_token"):
        assert ask(other, tokens[name]).get_json() == {"active": False}


def test_an_api_is_told_of_what_is_meant_for_it(app: Flask, flow: Flow) -> None:
    tokens = flow.tokens()
    said = ask(api(app, ["notes:read", "notes:write"]), tokens["access_token"]).get_json()
    assert said["active"] is True
    assert said["scope"] == "notes:read"
    assert said["sub"] == "1"
    assert ask(api(app, ["notes:write"]), tokens["access_token"]).get_json() == {"active": False}
    assert ask(api(app, None), tokens["refresh_token"]).get_json() == {"active": False}


def test_a_public_client_may_not_ask(app: Flask, flow: Flow) -> None:
    # Authlib 1.9.8 lets a client_id alone introspect where `none` is allowed.
    token = flow.tokens()["access_token"]
    answer = ask(Flow(app.test_client(), register(app)), token)
    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")
    program = app.test_client(use_cookies=False)
    answer = program.post(
        "/oauth/introspect", data={"token": token, "client_id": flow.client.client_id}
    )
    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")


def test_a_missing_token_is_an_invalid_request(flow: Flow) -> None:
    answer = flow.post("introspect", {})
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")


def test_a_signed_answer_for_who_asks_for_one(app: Flask, flow: Flow, pkce_clock: Clock) -> None:
    # RFC 9701 4, 5
    token = flow.tokens()["access_token"]
    for asker, algorithm in (
        (api(app, None), "RS256"),
        (api(app, None, introspection_signed_response_alg="ES256"), "ES256"),
    ):
        program = app.test_client(use_cookies=False)
        answer = program.post(
            "/oauth/introspect",
            data={"token": token},
            auth=(asker.client.client_id, asker.client.client_secret),
            headers={"Accept": "application/token-introspection+jwt"},
        )
        assert answer.mimetype == "application/token-introspection+jwt"
        top = header(app, answer.text)
        assert (top["typ"], top["alg"]) == ("token-introspection+jwt", algorithm)
        claims = read(app, answer.text)
        assert claims.pop("token_introspection")["active"] is True
        assert claims == {
            "iss": "https://auth.example",
            "aud": asker.client.client_id,
            "iat": int(pkce_clock.now),
        }
