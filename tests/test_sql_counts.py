"""SQL per request, on a warm process, the host's own query for its user apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from flask_pkce_server.testing import Flow, hidden_fields, register

from .counting import Counted
from .device import Device, press, television
from .host import make_app, sign_in


@pytest.fixture
def flow(app: Flask) -> Flow:
    warm = Flow(sign_in(app), register(app))
    warm.refresh(warm.tokens()["refresh_token"])
    return Flow(sign_in(app), register(app, auth_method="client_secret_basic"))


@pytest.fixture
def expect(app: Flask, flow: Flow) -> Callable:
    return Counted(app).expect


def test_the_consent_page_takes_2_statements(flow: Flow, expect: Callable) -> None:
    with expect(2, 0):
        assert flow.authorize().status_code == 200


def test_the_way_to_the_login_page_takes_1_statement_a_step(flow: Flow, expect: Callable) -> None:
    flow.browser = flow.browser.application.test_client()
    with expect(1, 0):
        answer = flow.authorize()
    with expect(1, 0):
        assert "/login" in flow.browser.get(answer.headers["Location"]).headers["Location"]


def test_allow_takes_5_statements_and_1_commit(flow: Flow, expect: Callable) -> None:
    page = flow.authorize()
    with expect(5, 1):
        assert flow.decide(page).status_code == 303


def test_a_remembered_consent_takes_3_statements(flow: Flow, expect: Callable) -> None:
    # Where the connection is not the host's, each of them is committed by itself.
    flow.allow()
    with expect(3, 1):
        assert flow.authorize().status_code == 302


def test_an_app_that_never_asks_takes_3_statements(
    app: Flask, flow: Flow, expect: Callable
) -> None:
    own = Flow(flow.browser, register(app, skip_consent=True))
    with expect(3, 1):
        assert own.authorize().status_code == 302


def test_deny_writes_nothing(flow: Flow, expect: Callable) -> None:
    page = flow.authorize()
    with expect(1, 0):
        assert flow.decide(page, "deny").status_code == 303


def test_a_code_takes_3_statements_and_1_commit(flow: Flow, expect: Callable) -> None:
    code = flow.allow()["code"]
    with expect(3, 1):
        assert flow.redeem(code).status_code == 200


def test_a_refresh_takes_3_statements_and_1_commit(flow: Flow, expect: Callable) -> None:
    spent = flow.tokens()["refresh_token"]
    with expect(3, 1):
        assert flow.refresh(spent).status_code == 200


def test_a_revocation_takes_2_statements_and_1_commit(flow: Flow, expect: Callable) -> None:
    token = flow.tokens()["access_token"]
    with expect(2, 1):
        assert flow.revoke(token).status_code == 200


def test_a_grant_of_any_size_is_revoked_in_as_many_statements(flow: Flow, expect: Callable) -> None:
    tokens = flow.tokens()
    for _ in range(12):
        tokens = flow.refresh(tokens["refresh_token"]).get_json()
    with expect(2, 1):
        assert flow.revoke(tokens["access_token"]).status_code == 200


def test_a_code_with_an_id_token_takes_3_statements_and_1_commit(
    flow: Flow, expect: Callable
) -> None:
    flow.tokens(scope="openid profile offline_access")
    code = flow.allow(scope="openid profile offline_access")["code"]
    with expect(3, 1):
        assert "id_token" in flow.redeem(code).get_json()


def test_a_refresh_with_an_id_token_takes_3_statements_and_1_commit(
    flow: Flow, expect: Callable
) -> None:
    spent = flow.tokens(scope="openid profile offline_access")["refresh_token"]
    with expect(3, 1):
        assert "id_token" in flow.refresh(spent).get_json()


def test_allowing_openid_takes_no_more(flow: Flow, expect: Callable) -> None:
    page = flow.authorize(scope="openid profile")
    with expect(5, 1):
        assert flow.decide(page).status_code == 303
    with expect(3, 1):
        assert flow.authorize(scope="openid profile", prompt="none").status_code == 302


def test_userinfo_takes_1_statement(app: Flask, flow: Flow, expect: Callable) -> None:
    token = flow.tokens(scope="openid profile")["access_token"]
    program = app.test_client(use_cookies=False)
    headers = {"Authorization": f"Bearer {token}"}
    with expect(1, 0):
        assert program.get("/oauth/userinfo", headers=headers).status_code == 200


def test_introspection_takes_1_statement(flow: Flow, expect: Callable) -> None:
    token = flow.tokens()["access_token"]
    with expect(1, 0):
        assert flow.post("introspect", {"token": token}).get_json()["active"] is True


@pytest.mark.parametrize(("checked", "statements"), [(True, 1), (False, 0)])
def test_a_jwt_takes_a_statement_only_to_see_that_it_was_not_revoked(
    tmp_path: Path, checked: bool, statements: int
) -> None:
    app = make_app(
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/jwt.db",
        PKCE_ACCESS_TOKEN_FORMAT="jwt",
        PKCE_JWT_ACCESS_TOKEN_CHECK_REVOCATION=checked,
    )
    flow = Flow(sign_in(app), register(app), scope="notes:read")
    headers = {"Authorization": f"Bearer {flow.tokens()['access_token']}"}
    program = app.test_client(use_cookies=False)
    with Counted(app).expect(statements, 0):
        assert program.get("/api/notes", headers=headers).status_code == 200
    with app.app_context():
        app.db.engine.dispose()


@pytest.mark.parametrize("origin", [None, "https://client.example", "https://evil.example"])
def test_a_guarded_call_takes_1_statement_and_no_commit(
    app: Flask, flow: Flow, expect: Callable, origin: str | None
) -> None:
    token = flow.tokens(scope="notes:read")["access_token"]
    program = app.test_client(use_cookies=False)
    headers = {"Authorization": f"Bearer {token}"} | ({"Origin": origin} if origin else {})
    with expect(1, 0):
        assert program.get("/api/notes", headers=headers).status_code == 200


def test_that_a_scope_was_used_takes_2_statements_and_1_commit_an_hour(tmp_path: Path) -> None:
    app = make_app(
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/use.db", PKCE_CONNECTED_APPS_NOTE_USE=True
    )
    flow = Flow(sign_in(app), register(app), scope="notes:read")
    headers = {"Authorization": f"Bearer {flow.tokens()['access_token']}"}
    program, expect = app.test_client(use_cookies=False), Counted(app).expect
    for statements, commits in ((3, 1), (1, 0)):
        with expect(statements, commits):
            assert program.get("/api/notes", headers=headers).status_code == 200
    with app.app_context():
        app.db.engine.dispose()


def test_the_page_of_connected_apps_takes_3_statements(flow: Flow, expect: Callable) -> None:
    flow.tokens()
    with expect(3, 0):
        assert flow.browser.get("/oauth/apps").status_code == 200


@pytest.mark.parametrize("scope", ["", "notes:read"])
def test_a_token_of_a_machine_takes_3_statements_and_1_commit(tmp_path: Path, scope: str) -> None:
    app = make_app(
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/machine.db",
        PKCE_CLIENT_CREDENTIALS_SCOPES=["notes:read"],
    )
    what = {"redirect_uris": (), "grant_types": ["client_credentials"]}
    machine = Flow(sign_in(app), register(app, auth_method="client_secret_basic", **what))
    with Counted(app).expect(3, 1):
        form = {"grant_type": "client_credentials", "scope": scope}
        assert machine.post("token", form).status_code == 200
    with app.app_context():
        app.db.engine.dispose()


@pytest.fixture
def device(app: Flask, flow: Flow) -> Device:
    device = Device(flow.browser, television(app))
    # So that the guesses of this window are counted already.
    device.start()
    assert device.enter("BCDF-GHJK").status_code == 400
    device.tokens()
    return device


def test_a_device_starts_with_3_statements_and_1_commit(device: Device, expect: Callable) -> None:
    # With Flask-Limiter one less: nothing is counted here.
    with expect(3, 1):
        assert device.start().status_code == 200


def test_a_device_that_waits_takes_3_statements_and_1_commit(
    device: Device, expect: Callable
) -> None:
    device.start()
    with expect(3, 1):
        assert device.error() == "authorization_pending"
    with expect(4, 1):
        assert device.error() == "slow_down"


def test_the_page_for_codes_takes_none(device: Device, expect: Callable) -> None:
    with expect(0, 0):
        assert device.browser.get("/oauth/device?user_code=BCDF-GHJK").status_code == 200


def test_a_right_code_takes_6_statements_and_1_commit(device: Device, expect: Callable) -> None:
    device.start()
    form = hidden_fields(device.browser.get("/oauth/device").text)
    with expect(6, 1):
        page = device.browser.post("/oauth/device", data={**form, "user_code": device.user_code})
    assert page.status_code == 200


def test_a_wrong_code_takes_2_statements_and_1_commit(device: Device, expect: Callable) -> None:
    form = hidden_fields(device.browser.get("/oauth/device").text)
    with expect(2, 1):
        page = device.browser.post("/oauth/device", data={**form, "user_code": "BCDF-GHJK"})
    assert page.status_code == 400


@pytest.mark.parametrize(("decision", "statements"), [("allow", 4), ("deny", 3)])
def test_to_decide_on_a_device_takes_4_statements_and_1_commit(
    device: Device, expect: Callable, decision: str, statements: int
) -> None:
    device.start()
    page = device.enter()
    with expect(statements, 1):
        assert press(device.browser, page, decision).status_code == 200


def test_a_device_code_takes_3_statements_and_1_commit(device: Device, expect: Callable) -> None:
    device.start()
    device.decide()
    with expect(3, 1):
        assert device.poll().status_code == 200


def test_what_is_no_token_takes_none(app: Flask, flow: Flow, expect: Callable) -> None:
    headers = {"Authorization": "Bearer fpk_at_mistyped"}
    with expect(0, 0):
        assert app.test_client().get("/api/notes", headers=headers).status_code == 401


def test_discovery_takes_none(app: Flask, flow: Flow, expect: Callable) -> None:
    with expect(0, 0):
        assert app.test_client().get("/.well-known/oauth-authorization-server").status_code == 200
