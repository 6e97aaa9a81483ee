"""The revocation feature: RFC 7009."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask_pkce_server import token_revoked
from flask_pkce_server.testing import Flow, register


def api_status(flow: Flow, token: str) -> int:
    program = flow.browser.application.test_client(use_cookies=False)
    return program.get("/api/me", headers={"Authorization": f"Bearer {token}"}).status_code


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
@pytest.mark.parametrize("hint", [None, "access_token", "refresh_token", "unheard_of", "\u202e"])
def test_giving_back_either_token_ends_both_whatever_the_hint(
    pkce_flow: Flow, which: str, hint: str | None
) -> None:
    # RFC 7009 2.1: a wrong hint extends the search.
    tokens = pkce_flow.tokens()
    answer = pkce_flow.revoke(tokens[which], token_type_hint=hint)
    assert (answer.status_code, answer.get_json()) == (200, {})
    assert answer.mimetype == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert api_status(pkce_flow, tokens["access_token"]) == 401
    assert pkce_flow.refresh(tokens["refresh_token"]).get_json()["error"] == "invalid_grant"


def test_predecessors_and_successors_go_with_it(pkce_flow: Flow) -> None:
    first = pkce_flow.tokens()
    second = pkce_flow.refresh(first["refresh_token"]).get_json()
    pkce_flow.revoke(first["access_token"])
    assert api_status(pkce_flow, second["access_token"]) == 401
    assert pkce_flow.refresh(second["refresh_token"]).status_code == 400


def test_other_sign_ins_of_the_same_user_go_on(pkce_flow: Flow) -> None:
    phone, laptop = pkce_flow.tokens(), pkce_flow.tokens()
    pkce_flow.revoke(phone["refresh_token"])
    assert api_status(pkce_flow, laptop["access_token"]) == 200


@pytest.mark.parametrize("token", ["x", "fpk_at_" + "a" * 49, "fpk_ac_" + "a" * 49])
def test_an_unknown_token_is_no_error(pkce_flow: Flow, token: str) -> None:
    # RFC 7009 2.2
    assert pkce_flow.revoke(token).status_code == 200


def test_twice_is_no_error_and_told_once(pkce_flow: Flow) -> None:
    told = []
    token_revoked.connect(lambda app, **facts: told.append(facts), weak=False)
    tokens = pkce_flow.tokens()
    for _ in range(2):
        assert pkce_flow.revoke(tokens["refresh_token"]).status_code == 200
    assert len(told) == 1
    assert set(told[0]) == {"client_id", "subject", "grant_id"}


def test_it_takes_forms_only(app: Flask, pkce_flow: Flow) -> None:
    answer = app.test_client().post("/oauth/revoke", json={"token": "x"})
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")


def test_a_missing_token_is_an_invalid_request(pkce_flow: Flow) -> None:
    answer = pkce_flow.post("revoke", {})
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")


def test_a_client_cannot_give_back_what_another_was_given(app: Flask, pkce_flow: Flow) -> None:
    other = Flow(pkce_flow.browser, register(app))
    tokens = pkce_flow.tokens()
    answer = other.revoke(tokens["access_token"])
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_grant")
    assert answer.get_json()["error_description"]
    assert api_status(pkce_flow, tokens["access_token"]) == 200


def test_a_confidential_client_has_to_prove_itself(app: Flask, client: FlaskClient) -> None:
    flow = Flow(client, register(app, auth_method="client_secret_post"))
    tokens = flow.tokens()
    bare = app.test_client().post(
        "/oauth/revoke",
        data={"token": tokens["access_token"], "client_id": flow.client.client_id},
    )
    assert (bare.status_code, bare.get_json()["error"]) == (401, "invalid_client")
    assert flow.revoke(tokens["access_token"]).status_code == 200
    assert api_status(flow, tokens["access_token"]) == 401
