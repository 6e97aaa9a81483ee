"""The refresh_token feature: RFC 6749 6, RFC 9700 4.14."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from flask_pkce_server import token_refreshed, token_reuse_detected
from flask_pkce_server.models.token import Token
from flask_pkce_server.testing import Clock, Flow, register

from ..host import make_app, sign_in


def api_status(flow: Flow, token: str, path: str = "/api/me") -> int:
    program = flow.browser.application.test_client(use_cookies=False)
    return program.get(path, headers={"Authorization": f"Bearer {token}"}).status_code


def test_each_use_gives_a_successor_and_ends_the_predecessor(
    pkce_flow: Flow, pkce_clock: Clock
) -> None:
    told = []
    token_refreshed.connect(lambda app, **facts: told.append(facts), weak=False)
    first = pkce_flow.tokens()
    second = pkce_flow.refresh(first["refresh_token"]).get_json()
    assert second["refresh_token"] != first["refresh_token"]
    assert second["access_token"] != first["access_token"]
    assert api_status(pkce_flow, second["access_token"]) == 200
    pkce_clock.advance(60)
    third = pkce_flow.refresh(second["refresh_token"])
    assert third.status_code == 200
    assert len({one["grant_id"] for one in told[-2:]}) == 1


def test_reuse_ends_the_whole_family(pkce_flow: Flow, pkce_clock: Clock) -> None:
    # RFC 9700 4.14.2
    told = []
    token_reuse_detected.connect(lambda app, **facts: told.append(facts), weak=False)
    first = pkce_flow.tokens()
    second = pkce_flow.refresh(first["refresh_token"]).get_json()
    pkce_clock.advance(10)
    again = pkce_flow.refresh(first["refresh_token"])
    assert (again.status_code, again.get_json()["error"]) == (400, "invalid_grant")
    for tokens in (first, second):
        assert api_status(pkce_flow, tokens["access_token"]) == 401
        assert pkce_flow.refresh(tokens["refresh_token"]).status_code == 400
    assert len(told) == 1


def test_a_retry_within_the_grace_gets_the_same_answer_again(
    pkce_flow: Flow, pkce_clock: Clock
) -> None:
    first = pkce_flow.tokens()
    second = pkce_flow.refresh(first["refresh_token"]).get_json()
    pkce_clock.advance(9)
    again = pkce_flow.refresh(first["refresh_token"]).get_json()
    assert again == {**second, "expires_in": second["expires_in"] - 9}
    assert api_status(pkce_flow, again["access_token"]) == 200


def test_the_grace_shields_only_the_immediate_predecessor(pkce_flow: Flow) -> None:
    first = pkce_flow.tokens()
    second = pkce_flow.refresh(first["refresh_token"]).get_json()
    third = pkce_flow.refresh(second["refresh_token"]).get_json()
    assert pkce_flow.refresh(first["refresh_token"]).status_code == 400
    assert api_status(pkce_flow, third["access_token"]) == 401


def test_a_revoked_token_is_dead_within_the_grace_too(pkce_flow: Flow) -> None:
    first = pkce_flow.tokens()
    second = pkce_flow.refresh(first["refresh_token"]).get_json()
    assert pkce_flow.revoke(second["refresh_token"]).status_code == 200
    assert pkce_flow.refresh(first["refresh_token"]).get_json()["error"] == "invalid_grant"
    assert pkce_flow.refresh(second["refresh_token"]).get_json()["error"] == "invalid_grant"


def test_without_a_grace_every_repetition_is_reuse() -> None:
    app = make_app(PKCE_REFRESH_TOKEN_GRACE=0)
    flow = Flow(sign_in(app), register(app))
    first = flow.tokens()
    second = flow.refresh(first["refresh_token"]).get_json()
    assert flow.refresh(first["refresh_token"]).status_code == 400
    assert flow.refresh(second["refresh_token"]).status_code == 400


def test_without_a_grace_a_clock_that_lags_behind_is_no_grace_either() -> None:
    # Of two that came at once, the later one by the clock may have been first at the row.
    app = make_app(PKCE_REFRESH_TOKEN_GRACE=0)
    flow = Flow(sign_in(app), register(app))
    clock = app.extensions["pkce"].clock = Clock()
    first = flow.tokens()
    clock.advance(1)
    flow.refresh(first["refresh_token"])
    clock.advance(-1)
    assert flow.refresh(first["refresh_token"]).status_code == 400


def test_a_retry_that_asks_for_other_scopes_is_no_retry(pkce_flow: Flow) -> None:
    first = pkce_flow.tokens(scope="profile notes:read offline_access")
    second = pkce_flow.refresh(first["refresh_token"], scope="profile").get_json()
    other = pkce_flow.refresh(first["refresh_token"], scope="notes:read")
    assert other.get_json()["error"] == "invalid_scope"
    assert api_status(pkce_flow, second["access_token"]) == 200


def test_narrowing_is_for_the_access_token_only(pkce_flow: Flow, pkce_clock: Clock) -> None:
    # RFC 6749 6: the refresh token keeps the scope of the grant.
    first = pkce_flow.tokens(scope="profile notes:read offline_access")
    narrow = pkce_flow.refresh(first["refresh_token"], scope="notes:read").get_json()
    assert narrow["scope"] == "notes:read"
    assert api_status(pkce_flow, narrow["access_token"]) == 403
    assert api_status(pkce_flow, narrow["access_token"], "/api/notes") == 200
    whole = pkce_flow.refresh(narrow["refresh_token"]).get_json()
    assert whole["scope"] == "notes:read offline_access profile"


def test_a_refresh_cannot_widen_and_burns_nothing_by_trying(pkce_flow: Flow) -> None:
    first = pkce_flow.tokens()
    wide = pkce_flow.refresh(first["refresh_token"], scope="profile notes:write")
    assert wide.get_json()["error"] == "invalid_scope"
    assert pkce_flow.refresh(first["refresh_token"]).status_code == 200


def test_a_refresh_token_is_bound_to_its_client(app: Flask, pkce_flow: Flow) -> None:
    other = Flow(pkce_flow.browser, register(app))
    first = pkce_flow.tokens()
    assert other.refresh(first["refresh_token"]).get_json()["error"] == "invalid_grant"
    assert pkce_flow.refresh(first["refresh_token"]).status_code == 200


@pytest.mark.parametrize(
    ("token", "error"),
    [
        (None, "invalid_request"),
        ("x", "invalid_grant"),
        ("fpk_rt_" + "a" * 49, "invalid_grant"),
    ],
)
def test_what_is_no_refresh_token_is_refused(
    pkce_flow: Flow, token: str | None, error: str
) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": token}
    assert pkce_flow.post("token", form).get_json()["error"] == error


def test_neither_codes_nor_access_tokens_refresh(pkce_flow: Flow) -> None:
    tokens = pkce_flow.tokens()
    for handle in (tokens["access_token"], pkce_flow.allow()["code"]):
        assert pkce_flow.refresh(handle).get_json()["error"] == "invalid_grant"


def test_a_refresh_token_expires_when_it_lies_unused(pkce_flow: Flow, pkce_clock: Clock) -> None:
    first = pkce_flow.tokens()
    pkce_clock.advance(30 * 86400 - 1)
    second = pkce_flow.refresh(first["refresh_token"])
    assert second.status_code == 200
    pkce_clock.advance(30 * 86400)
    assert pkce_flow.refresh(second.get_json()["refresh_token"]).status_code == 400


def test_a_user_who_may_not_sign_in_any_more_is_not_refreshed(app: Flask, pkce_flow: Flow) -> None:
    first = pkce_flow.tokens()
    with app.app_context():
        app.db.session.execute(app.db.update(app.User).values(active=False))
        app.db.session.commit()
    assert pkce_flow.refresh(first["refresh_token"]).get_json()["error"] == "invalid_grant"


def test_refresh_tokens_go_to_those_who_were_granted_offline_access(
    app: Flask, client: FlaskClient
) -> None:
    assert "refresh_token" not in Flow(client, register(app), scope="profile").tokens()
    without = register(app, grant_types=["authorization_code"])
    assert "refresh_token" not in Flow(client, without).tokens()


def test_or_to_all_if_the_host_says_so() -> None:
    app = make_app(PKCE_REFRESH_TOKEN_WHEN="always")
    flow = Flow(sign_in(app), register(app), scope="profile")
    tokens = flow.tokens()
    assert flow.refresh(tokens["refresh_token"]).get_json()["scope"] == "profile"


def test_a_confidential_client_proves_itself_at_every_refresh(
    app: Flask, client: FlaskClient
) -> None:
    flow = Flow(client, register(app, auth_method="client_secret_basic"))
    first = flow.tokens()
    form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    bare = app.test_client().post("/oauth/token", data={**form, "client_id": flow.client.client_id})
    assert (bare.status_code, bare.get_json()["error"]) == (401, "invalid_client")
    assert flow.refresh(first["refresh_token"]).status_code == 200


def test_the_family_and_its_bindings_go_on(app: Flask, pkce_flow: Flow) -> None:
    first = pkce_flow.tokens()
    pkce_flow.refresh(first["refresh_token"])
    with app.app_context(), app.extensions["pkce"].store.reading() as session:
        rows = session.scalars(select(Token)).all()
    assert len(rows) == 4
    assert len({row.grant_id for row in rows}) == 1


def test_a_client_without_the_grant_cannot_refresh(app: Flask, client: FlaskClient) -> None:
    flow = Flow(client, register(app, grant_types=["authorization_code"]))
    assert flow.refresh("fpk_rt_x").get_json()["error"] == "unauthorized_client"
