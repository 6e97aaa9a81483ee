"""The authorization_code feature: RFC 6749 4.1, RFC 9700 2.1 and 4.5."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from flask_pkce_server import code_replayed, token_issued
from flask_pkce_server.models.authorization_code import AuthorizationCode
from flask_pkce_server.models.token import Token
from flask_pkce_server.testing import Clock, Flow, new_verifier, register

from ..host import sign_in


def api_status(flow: Flow, token: str) -> int:
    program = flow.browser.application.test_client(use_cookies=False)
    return program.get("/api/me", headers={"Authorization": f"Bearer {token}"}).status_code


def test_a_code_is_used_once_and_a_second_use_takes_back_what_it_gave(pkce_flow: Flow) -> None:
    # RFC 6749 4.1.2, RFC 9700 4.5
    told = []
    code_replayed.connect(lambda app, **facts: told.append(facts), weak=False)
    code = pkce_flow.allow()["code"]
    tokens = pkce_flow.redeem(code).get_json()
    assert api_status(pkce_flow, tokens["access_token"]) == 200
    again = pkce_flow.redeem(code)
    assert (again.status_code, again.get_json()["error"]) == (400, "invalid_grant")
    assert api_status(pkce_flow, tokens["access_token"]) == 401
    refused = pkce_flow.refresh(tokens["refresh_token"])
    assert refused.get_json()["error"] == "invalid_grant"
    assert told[-1]["client_id"] == pkce_flow.client.client_id


def test_a_second_use_is_told_from_an_unknown_code_after_it_has_expired(
    pkce_flow: Flow, pkce_clock: Clock
) -> None:
    code = pkce_flow.allow()["code"]
    tokens = pkce_flow.redeem(code).get_json()
    pkce_clock.advance(90)
    assert pkce_flow.redeem(code).get_json()["error"] == "invalid_grant"
    assert api_status(pkce_flow, tokens["access_token"]) == 401


def test_a_second_use_without_the_verifier_takes_nothing_back(pkce_flow: Flow) -> None:
    code = pkce_flow.allow()["code"]
    tokens = pkce_flow.redeem(code).get_json()
    assert pkce_flow.redeem(code, code_verifier=new_verifier()).status_code == 400
    assert api_status(pkce_flow, tokens["access_token"]) == 200


@pytest.mark.parametrize(("seconds", "status"), [(59, 200), (60, 400), (3600, 400)])
def test_a_code_lives_for_a_minute(
    pkce_flow: Flow, pkce_clock: Clock, seconds: int, status: int
) -> None:
    code = pkce_flow.allow()["code"]
    pkce_clock.advance(seconds)
    assert pkce_flow.redeem(code).status_code == status


def test_a_code_is_the_clients_that_asked_for_it(app: Flask, pkce_flow: Flow) -> None:
    # Nobody else can redeem it, and nobody else can burn it.
    other = Flow(pkce_flow.browser, register(app), verifier=pkce_flow.verifier)
    code = pkce_flow.allow()["code"]
    assert other.redeem(code).get_json()["error"] == "invalid_grant"
    assert pkce_flow.redeem(code).status_code == 200


def test_a_code_is_bound_to_its_redirect_uri(app: Flask, client: FlaskClient) -> None:
    # RFC 6749 4.1.3; OAuth 2.1 lets the parameter be left out of the token request.
    uris = ("https://client.example/a", "https://client.example/b")
    flow = Flow(client, register(app, redirect_uris=uris))
    code = flow.allow()["code"]
    assert flow.redeem(code, redirect_uri=uris[1]).get_json()["error"] == "invalid_grant"
    assert flow.redeem(code, redirect_uri=None).status_code == 200


@pytest.mark.parametrize("code", ["x", "fpk_ac_" + "a" * 49, "fpk_at_" + "a" * 49])
def test_what_is_no_code_is_an_invalid_grant(pkce_flow: Flow, code: str) -> None:
    assert pkce_flow.redeem(code).get_json()["error"] == "invalid_grant"


def test_a_missing_code_is_an_invalid_request(pkce_flow: Flow) -> None:
    answer = pkce_flow.post("token", {"grant_type": "authorization_code"})
    assert answer.get_json()["error"] == "invalid_request"


def test_a_user_who_is_gone_gets_no_tokens(app: Flask, pkce_flow: Flow) -> None:
    code = pkce_flow.allow()["code"]
    with app.app_context():
        app.db.session.execute(app.db.update(app.User).values(active=False))
        app.db.session.commit()
    assert pkce_flow.redeem(code).get_json()["error"] == "invalid_grant"


def test_a_client_that_may_not_use_codes_gets_none(app: Flask, client: FlaskClient) -> None:
    flow = Flow(client, register(app, grant_types=["refresh_token"]))
    answer = flow.authorize()
    assert "error=unauthorized_client" in answer.headers["Location"]
    refused = flow.redeem("fpk_ac_")
    assert refused.get_json()["error"] == "unauthorized_client"


def test_the_answer_says_what_was_granted(pkce_flow: Flow) -> None:
    told = []
    token_issued.connect(lambda app, **facts: told.append(facts), weak=False)
    answer = pkce_flow.redeem(pkce_flow.allow(scope="notes:read profile")["code"])
    body = answer.get_json()
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 3600
    assert body["scope"] == "notes:read profile"
    assert "refresh_token" not in body
    assert answer.headers["Cache-Control"] == "no-store"
    assert told[-1]["scopes"] == {"notes:read", "profile"}
    assert told[-1]["subject"] == "1"


def test_two_users_of_one_client_have_tokens_of_their_own(app: Flask, pkce_flow: Flow) -> None:
    bob = Flow(sign_in(app, "bob"), pkce_flow.client)
    ada_token, bob_token = pkce_flow.tokens()["access_token"], bob.tokens()["access_token"]
    program = app.test_client(use_cookies=False)
    for token, name in ((ada_token, "Ada Lovelace"), (bob_token, "Bob")):
        me = program.get("/api/me", headers={"Authorization": f"Bearer {token}"})
        assert me.get_json()["name"] == name


def test_a_consumed_code_stays_as_long_as_what_it_gave(
    app: Flask, pkce_flow: Flow, pkce_clock: Clock
) -> None:
    pkce_flow.tokens()
    pkce_flow.allow()

    def left() -> tuple[int, int]:
        app.test_cli_runner().invoke(args=["pkce", "prune"])
        with app.app_context(), app.extensions["pkce"].store.reading() as session:
            return (
                session.scalar(select(func.count()).select_from(AuthorizationCode)),
                session.scalar(select(func.count()).select_from(Token)),
            )

    assert left() == (2, 2)
    pkce_clock.advance(61)
    assert left() == (1, 2)
    pkce_clock.advance(3600)
    assert left() == (1, 1)
    pkce_clock.advance(30 * 86400)
    assert left() == (0, 0)
