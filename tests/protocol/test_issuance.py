"""Issuance: no token has more than was granted, and is still allowed and declared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from flask_pkce_server.testing import Flow, register, server_of
from flask_pkce_server.wire.names import DEVICE_CODE

from ..device import Device
from ..features.token_exchange.exchanging import (
    an_api,
    exchange_app,
    given,
    tokens_for,
    user_of,
)
from ..features.token_exchange.exchanging import call as visit
from ..host import User, make_app, sign_in

SCOPE = "openid profile notes:read notes:write offline_access"


def update(app: Flask, flow: Flow, *options: str) -> None:
    args = ["pkce", "client", "update", flow.client.client_id, *options]
    result = app.test_cli_runner().invoke(args=args)
    assert result.exit_code == 0, result.output


def call(app: Flask, token: str, path: str = "/api/notes") -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return app.test_client(use_cookies=False).get(path, headers=headers).status_code


@pytest.fixture
def flow(app: Flask) -> Flow:
    types = ["authorization_code", "refresh_token", DEVICE_CODE]
    return Flow(sign_in(app), register(app, grant_types=types), scope=SCOPE)


def under_way(flow: Flow) -> dict[str, Callable[[], TestResponse]]:
    """Return all ways to tokens that are open now, each with the last step of it."""
    spent, code = flow.tokens()["refresh_token"], flow.allow()["code"]
    device = Device(flow.browser, flow.client, scope=SCOPE)
    device.start()
    device.decide()
    return {
        "refresh": lambda: flow.refresh(spent),
        "code": lambda: flow.redeem(code),
        "device": device.poll,
    }


def test_what_the_operator_takes_from_a_client_is_issued_no_more(app: Flask, flow: Flow) -> None:
    ways, held = under_way(flow), flow.tokens()["access_token"]
    update(app, flow, "--scope", "openid profile offline_access")
    for name, finish in ways.items():
        tokens = finish().get_json()
        assert tokens["scope"] == "offline_access openid profile", name
        assert call(app, tokens["access_token"]) == 403, name
    # What was issued before has it no more either.
    assert (call(app, held), call(app, held, "/api/me")) == (403, 200)


def test_a_client_that_loses_offline_access_is_refreshed_no_more(app: Flask, flow: Flow) -> None:
    ways = under_way(flow)
    update(app, flow, "--scope", "openid profile")
    assert ways["refresh"]().get_json()["error"] == "invalid_grant"
    assert "refresh_token" not in ways["code"]().get_json()


def test_where_nothing_is_left_nothing_is_issued(app: Flask, flow: Flow) -> None:
    flow.scope = "notes:read offline_access"
    flow.client = register(app)
    spent, code = flow.tokens()["refresh_token"], flow.allow()["code"]
    update(app, flow, "--scope", "profile")
    for answer in (flow.refresh(spent), flow.redeem(code)):
        assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_grant")


def test_a_scope_that_is_no_longer_declared_is_issued_no_more(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/app.db"
    app = make_app(SQLALCHEMY_DATABASE_URI=uri)
    flow = Flow(sign_in(app), register(app), scope=SCOPE)
    spent = flow.tokens()["refresh_token"]
    # The same tables, in a process that was started later.
    scopes = {"profile": "See your name and profile"}
    later = make_app(SQLALCHEMY_DATABASE_URI=uri, PKCE_SCOPES=scopes, init=False)
    later.pkce.init_app(later)
    flow.browser = later.test_client()
    assert flow.refresh(spent).get_json()["scope"] == "offline_access openid profile"
    for each in (app, later):
        with each.app_context():
            each.db.engine.dispose()


@pytest.mark.parametrize("left", ["https://b.example", None])
def test_an_api_that_is_no_longer_known_gets_no_tokens(left: str | None) -> None:
    apis = {"https://a.example": ["notes:read"], "https://b.example": ["notes:read"]}
    app = make_app(PKCE_JWT_ACCESS_TOKEN_RESOURCES=apis)
    flow = Flow(sign_in(app), register(app), scope="notes:read offline_access")
    named = [("resource", uri) for uri in ("https://a.example", left or "https://a.example")]
    query = [*flow.request().items(), *named]
    page = flow.browser.get("/oauth/authorize", query_string=query)
    code = flow.decide(page).headers["Location"].partition("code=")[2].partition("&")[0]
    spent = flow.redeem(code).get_json()["refresh_token"]
    server_of(app).resources.elsewhere.pop("https://a.example")
    # Whatever is declared: what is known is derived anew.
    app.pkce.resource("https://c.example")
    answer = flow.refresh(spent).get_json()
    if left is None:
        assert answer["error"] == "invalid_target"
        return
    with app.app_context():
        token = server_of(app).find_token(answer["access_token"])
    assert token is not None
    assert token.audience == [left]


@pytest.mark.parametrize("change", ["deactivated", "deleted"])
def test_nothing_is_issued_for_a_user_who_is_gone(app: Flask, flow: Flow, change: str) -> None:
    ways = under_way(flow)
    with app.app_context():
        user = app.db.session.get(User, 1)
        if change == "deleted":
            app.db.session.delete(user)
        else:
            user.active = False
        app.db.session.commit()
    # Whose row is deleted, their grants are revoked too: the device is told of a denial.
    denied = "access_denied" if change == "deleted" else "invalid_grant"
    errors = {"refresh": "invalid_grant", "code": "invalid_grant", "device": denied}
    assert {name: finish().get_json()["error"] for name, finish in ways.items()} == errors


def test_a_suspended_client_has_nothing_until_it_is_resumed(app: Flask, flow: Flow) -> None:
    ways, held = under_way(flow), flow.tokens()
    update(app, flow, "--suspended")
    assert call(app, held["access_token"]) == 401
    for name, finish in ways.items():
        answer = finish()
        assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client"), name
    page = flow.authorize()
    assert (page.status_code, "Location" in page.headers) == (400, False)
    assert "suspended" in page.text
    update(app, flow, "--no-suspended")
    # It is the operator's decision, and takes nothing of what the user decided.
    assert call(app, held["access_token"]) == 200
    assert flow.refresh(held["refresh_token"]).status_code == 200
    assert [finish().status_code for finish in ways.values()] == [200, 200, 200]


def test_the_chain_of_an_exchange_ends_with_any_client_in_it_that_is_suspended() -> None:
    app = exchange_app()
    user, api = user_of(app), an_api(app)
    token = given(api, tokens_for(user)["access_token"])
    for suspended in (user, api):
        update(app, suspended, "--suspended")
        assert visit(app, token).status_code == 401
        update(app, suspended, "--no-suspended")
    assert visit(app, token).status_code == 200
