"""Introspection: who may ask, about what, and what is said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from flask_pkce_server.errors import InvalidRequestError
from flask_pkce_server.testing import Clock, Flow, register

from ..host import make_app, sign_in
from ..openid import header, read

SCOPE = "openid profile notes:read offline_access"
ELSEWHERE = "https://api.example"


@pytest.fixture
def flow(app: Flask, pkce_clock: Clock) -> Flow:
    # The clock stands still before the user signs in.
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
        "username": "ada",
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


def test_an_api_is_told_only_of_tokens_for_what_it_serves() -> None:
    # RFC 7662 4: if a token is good only at certain APIs, the server judges that for who asks.
    app = make_app(PKCE_JWT_ACCESS_TOKEN_RESOURCES={ELSEWHERE: ["notes:write"]})
    for name in ("a", "b"):
        app.pkce.resource(f"https://auth.example/{name}", scopes=["notes:read"])
    flow = Flow(sign_in(app), register(app), scope="notes:read")
    a, b = "https://auth.example/a", "https://auth.example/b"
    tokens = {
        a: flow.tokens(resource=a)["access_token"],
        b: flow.tokens(resource=b)["access_token"],
        ELSEWHERE: flow.tokens(scope="notes:write")["access_token"],
        "this app": flow.tokens()["access_token"],
    }
    for served, active in (
        ([], {"this app"}),
        (["https://auth.example"], {"this app"}),
        ([a], {a}),
        # In any spelling (RFC 3986 6.2.2).
        (["https://AUTH.example:443/b/"], {b}),
        ([a, ELSEWHERE], {a, ELSEWHERE}),
    ):
        asker = api(app, None, **({"resources": served} if served else {}))
        answers = {name: ask(asker, token).get_json() for name, token in tokens.items()}
        assert {name for name, said in answers.items() if said["active"]} == active
        for name in active:
            issuer = "https://auth.example"
            assert answers[name]["aud"] == (issuer if name == "this app" else name)


def test_an_api_that_exchanges_tokens_has_said_what_it_serves() -> None:
    app = make_app(
        PKCE_FEATURES={"token_exchange": True},
        PKCE_JWT_ACCESS_TOKEN_RESOURCES={ELSEWHERE: ["notes:write"]},
    )
    flow = Flow(sign_in(app), register(app))
    asker = api(app, None, token_exchange_from=[ELSEWHERE])
    for scope, active in (("notes:write", True), ("notes:read", False)):
        token = flow.tokens(scope=scope)["access_token"]
        assert ask(asker, token).get_json()["active"] is active


@pytest.mark.parametrize(
    ("metadata", "problem"),
    [
        ({"resource_server": True, "resources": ["https://unknown.example"]}, "this server knows"),
        ({"resource_server": True, "resources": ["https://["]}, "this server knows"),
        ({"resource_server": True, "resources": [7]}, "this server knows"),
        ({"resources": ["https://auth.example"]}, "resource_server"),
    ],
)
def test_what_an_api_serves_has_to_be_known(
    app: Flask, metadata: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InvalidRequestError, match=problem):
        register(app, auth_method="client_secret_basic", client_metadata=metadata)


def test_the_command_says_what_an_api_serves(app: Flask) -> None:
    args = ["pkce", "client", "create", "--name", "API", "--type", "confidential", "--json"]
    args += ["--resource-server", "--resource", "https://auth.example"]
    made = json.loads(app.test_cli_runner().invoke(args=args).output)
    assert (made["resource_server"], made["resources"]) == (True, ["https://auth.example"])


@pytest.mark.parametrize("deleted", [False, True])
def test_a_token_of_a_user_who_is_gone_is_not_active(app: Flask, flow: Flow, deleted: bool) -> None:
    tokens, asker = flow.tokens(), api(app, None)
    with app.app_context():
        ada = app.db.session.get(app.User, 1)
        if deleted:
            app.db.session.delete(ada)
        else:
            ada.active = False
        app.db.session.commit()
    for who, token in (
        (asker, tokens["access_token"]),
        (flow, tokens["access_token"]),
        (flow, tokens["refresh_token"]),
    ):
        assert ask(who, token).get_json() == {"active": False}


def test_the_name_of_the_user_is_told_with_the_scope_that_opens_it(app: Flask, flow: Flow) -> None:
    # RFC 7662 2.2. Who sees no `profile` in the answer sees no name either.
    token = flow.tokens()["access_token"]
    assert ask(api(app, None), token).get_json()["username"] == "ada"
    assert "username" not in ask(api(app, ["notes:read"]), token).get_json()
    token = flow.tokens(scope="openid notes:read")["access_token"]
    assert "username" not in ask(flow, token).get_json()
    app.pkce.user_claims(lambda user: {"name": user.name})
    assert ask(flow, flow.tokens()["access_token"]).get_json()["username"] == "Ada Lovelace"
    app.pkce.user_claims(lambda user: {})
    assert "username" not in ask(flow, flow.tokens()["access_token"]).get_json()


def test_the_host_adds_claims_for_the_scopes_that_the_api_sees(app: Flask, flow: Flow) -> None:
    app.pkce.access_token_claims(
        lambda user, token: {"roles": [user.username], "seen": token.scopes, "email": "a@b.example"}
    )
    tokens = flow.tokens()
    said = ask(api(app, ["notes:read"]), tokens["access_token"]).get_json()
    assert (said["roles"], said["seen"]) == (["ada"], ["notes:read"])
    # No scope of this token opens it.
    assert "email" not in said
    assert "roles" not in ask(flow, tokens["refresh_token"]).get_json()


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
