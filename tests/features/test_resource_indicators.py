"""RFC 8707: a client says which API its tokens are for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from flask_pkce_server.testing import Flow, parameters_of, register, server_of

from ..device import Device, television
from ..host import ISSUER, lending, make_app, sign_in
from ..openid import read

NOTES, MAIL = "https://notes.example", "https://mail.example/v1"


@pytest.fixture
def app() -> Iterator[Flask]:
    with lending.app(
        make_app, PKCE_JWT_ACCESS_TOKEN_RESOURCES={NOTES: ["notes:read"], MAIL: ["notes:write"]}
    ) as app:
        yield app


def audience(app: Flask, tokens: dict[str, Any]) -> Any:
    return read(app, tokens["access_token"])["aud"]


def bound(app: Flask, token: str) -> list[str]:
    with app.app_context():
        found = server_of(app).find_token(token)
    assert found is not None
    return found.audience


def test_the_access_token_is_for_what_was_named(app: Flask, pkce_flow: Flow) -> None:
    # RFC 8707 2.2; RFC 9068 3: one audience is a text.
    assert audience(app, pkce_flow.tokens(scope="notes:read", resource=NOTES)) == NOTES
    # With openid too: userinfo takes it all the same, and nothing else of this app does.
    tokens = pkce_flow.tokens(scope="openid profile notes:read", resource=NOTES)
    assert audience(app, tokens) == NOTES
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    for path, status in {"/oauth/userinfo": 200, "/api/notes": 401, "/api/me": 401}.items():
        assert app.test_client().get(path, headers=headers).status_code == status, path


def test_several_may_be_named(app: Flask, pkce_flow: Flow) -> None:
    query = [*pkce_flow.request(scope="notes:read").items(), ("resource", NOTES)]
    page = pkce_flow.browser.get("/oauth/authorize", query_string=[*query, ("resource", MAIL)])
    code = parameters_of(pkce_flow.decide(page))["code"]
    assert set(audience(app, pkce_flow.redeem(code).get_json())) == {NOTES, MAIL}


@pytest.mark.parametrize(
    "spelling", ["https://NOTES.example", "https://notes.example:443", "https://notes.example/"]
)
def test_spellings_of_one_resource_are_one(app: Flask, pkce_flow: Flow, spelling: str) -> None:
    assert audience(app, pkce_flow.tokens(scope="notes:read", resource=spelling)) == NOTES


@pytest.mark.parametrize(
    "resource",
    [
        "https://other.example",
        "https://notes.example/deeper",
        "https://notes.example#part",
        "https://ada@notes.example",
        "http://notes.example",
        "notes",
        "https://[",
        "https://notes.example:x",
    ],
)
def test_an_unknown_resource_is_an_invalid_target(pkce_flow: Flow, resource: str) -> None:
    assert pkce_flow.allow(resource=resource)["error"] == "invalid_target"


def test_a_token_request_may_narrow_and_nothing_else(app: Flask, pkce_flow: Flow) -> None:
    scope = "notes:read notes:write offline_access"
    query = [*pkce_flow.request(scope=scope).items(), ("resource", NOTES)]
    page = pkce_flow.browser.get("/oauth/authorize", query_string=[*query, ("resource", MAIL)])
    code = parameters_of(pkce_flow.decide(page))["code"]
    # RFC 8707 2.2: what is refused burns nothing.
    refused = pkce_flow.redeem(code, resource="https://other.example")
    assert (refused.status_code, refused.get_json()["error"]) == (400, "invalid_target")
    mine = pkce_flow.redeem(code, resource=app.extensions["pkce"].issuer)
    assert mine.get_json()["error"] == "invalid_target"
    tokens = pkce_flow.redeem(code, resource=MAIL).get_json()
    assert audience(app, tokens) == MAIL
    # The grant is still for both.
    again = pkce_flow.refresh(tokens["refresh_token"], resource=NOTES).get_json()
    assert audience(app, again) == NOTES
    assert set(audience(app, pkce_flow.refresh(again["refresh_token"]).get_json())) == {NOTES, MAIL}


def test_what_is_for_another_api_opens_nothing_here(app: Flask, pkce_flow: Flow) -> None:
    token = pkce_flow.tokens(scope="notes:read", resource=NOTES)["access_token"]
    answer = app.test_client().get("/api/notes", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401


def test_without_one_the_scopes_say_it(app: Flask, pkce_flow: Flow) -> None:
    assert audience(app, pkce_flow.tokens(scope="notes:read")) == NOTES


def test_what_none_means_is_the_hosts_to_say() -> None:
    app = make_app(
        PKCE_JWT_ACCESS_TOKEN_RESOURCES={NOTES: ["notes:read"], MAIL: ["notes:write"]},
        PKCE_RESOURCE_INDICATORS_DEFAULT=[NOTES, MAIL],
    )
    flow = Flow(sign_in(app), register(app), scope="notes:read")
    assert set(audience(app, flow.tokens())) == {NOTES, MAIL}
    # Also through the sign-in, where the request is put aside.
    browser = app.test_client()
    flow = Flow(browser, register(app), scope="notes:read")
    login = browser.get(flow.authorize().headers["Location"]).headers["Location"]
    back = browser.post(login, data={"username": "ada"}).headers["Location"]
    code = parameters_of(flow.decide(browser.get(back)))["code"]
    assert set(audience(app, flow.redeem(code).get_json())) == {NOTES, MAIL}
    assert audience(app, flow.tokens(resource=MAIL)) == MAIL


def test_what_none_means_is_known_before_the_user_is_asked() -> None:
    app = make_app(PKCE_RESOURCE_INDICATORS_DEFAULT=[f"{ISSUER}/mcp"])
    app.pkce.resource(f"{ISSUER}/mcp", scopes=["notes:read"])
    app.pkce.resource(f"{ISSUER}/mail", scopes=["notes:write"])
    flow = Flow(sign_in(app), register(app, self_registered=True))
    page = flow.authorize(scope=None)
    assert "Read your notes" in page.text
    # The form comes back with the resource in it, and means no more than what was shown.
    tokens = flow.redeem(parameters_of(flow.decide(page))["code"]).get_json()
    assert tokens["scope"] == "notes:read"
    # A device says it when it asks, and not the browser of its user later.
    for named, scope in {None: "notes:read", f"{ISSUER}/mail": "notes:write"}.items():
        device = Device(flow.browser, television(app), scope=None)
        token = device.tokens(resource=named)
        assert token["scope"] == scope
        assert bound(app, token["access_token"]) == [named or f"{ISSUER}/mcp"]


def test_doctor_knows_a_default_that_no_token_is_for() -> None:
    app = make_app(PKCE_RESOURCE_INDICATORS_DEFAULT=["https://gone.example"])
    said = app.test_cli_runner().invoke(args=["pkce", "doctor"])
    assert "PKCE_RESOURCE_INDICATORS_DEFAULT names https://gone.example" in said.output
    flow = Flow(sign_in(app), register(app))
    assert flow.allow()["error"] == "invalid_target"


def test_a_repeated_refresh_is_for_the_same_resources(app: Flask, pkce_flow: Flow) -> None:
    scope = "notes:read notes:write offline_access"
    query = [*pkce_flow.request(scope=scope).items(), ("resource", NOTES)]
    page = pkce_flow.browser.get("/oauth/authorize", query_string=[*query, ("resource", MAIL)])
    spent = pkce_flow.redeem(parameters_of(pkce_flow.decide(page))["code"]).get_json()
    first = pkce_flow.refresh(spent["refresh_token"], resource=NOTES).get_json()
    again = pkce_flow.refresh(spent["refresh_token"], resource=MAIL)
    assert (again.status_code, again.get_json()["error"]) == (400, "invalid_target")
    same = pkce_flow.refresh(spent["refresh_token"], resource=NOTES).get_json()
    assert same["refresh_token"] == first["refresh_token"]


def test_a_grant_that_names_none_is_for_this_server_and_stays_so(
    app: Flask, pkce_flow: Flow
) -> None:
    app.pkce.resource("https://payroll.example", scopes=["profile"])
    tokens = pkce_flow.tokens(scope="profile offline_access")
    for uri in ("https://payroll.example", NOTES):
        answer = pkce_flow.refresh(tokens["refresh_token"], resource=uri)
        assert answer.get_json()["error"] == "invalid_target"
    code = pkce_flow.allow(scope="profile")["code"]
    refused = pkce_flow.redeem(code, resource="https://payroll.example").get_json()
    assert refused["error"] == "invalid_target"
    assert pkce_flow.redeem(code, resource=ISSUER).status_code == 200


def test_what_is_allowed_for_one_api_is_asked_again_for_another(pkce_flow: Flow) -> None:
    asked = {"scope": "notes:read notes:write"}
    page = pkce_flow.authorize(**asked, resource=NOTES)
    assert f'<bdi dir="ltr">{NOTES}</bdi>' in page.text
    pkce_flow.decide(page)
    assert "code" in parameters_of(pkce_flow.authorize(**asked, resource=NOTES, prompt="none"))
    for uri in (MAIL, None):
        answer = pkce_flow.authorize(**asked, resource=uri, prompt="none")
        assert parameters_of(answer)["error"] == "consent_required", uri
    # This server itself is named on no page.
    assert ISSUER not in pkce_flow.authorize(**asked, resource=ISSUER).text
