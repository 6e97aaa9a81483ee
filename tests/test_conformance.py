"""The modules of the OpenID Foundation's certification plans, each under its own name.

Basic OP, Config OP, RP-initiated logout and back-channel logout, from the outside: a
browser, a client with a secret, and what is published.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_pkce_server.testing import Clock, Flow, hidden_fields, parameters_of, register

from .host import lending, make_app, sign_in
from .openid import header, published, read

pytestmark = pytest.mark.thorough

BYE = "https://client.example/bye"
PERSON = {
    "name": "Ada Lovelace",
    "given_name": "Ada",
    "family_name": "Lovelace",
    "preferred_username": "ada",
    "email": "ada@example.com",
    "email_verified": True,
    "address": {"formatted": "12 St James's Square"},
    "phone_number": "+44 20 7946 0000",
    "phone_number_verified": False,
}
OF_SCOPE = {
    "profile": {"name", "given_name", "family_name", "preferred_username"},
    "email": {"email", "email_verified"},
    "address": {"address"},
    "phone": {"phone_number", "phone_number_verified"},
}


@pytest.fixture
def app() -> Iterator[Flask]:
    with lending.app(app_of_a_person) as app:
        yield app


def app_of_a_person() -> Flask:
    app = make_app()
    app.pkce.user_claims(lambda user: PERSON)
    return app


def with_secret(app: Flask, method: str = "client_secret_basic", **metadata: Any) -> Flow:
    metadata.setdefault("post_logout_redirect_uris", [BYE])
    known = register(app, auth_method=method, client_metadata=metadata)
    return Flow(sign_in(app), known, scope="openid")


@pytest.fixture
def flow(app: Flask) -> Flow:
    return with_secret(app)


def ask_userinfo(flow: Flow, token: str, how: Callable[..., TestResponse]) -> dict[str, Any]:
    answer = how("/oauth/userinfo", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    return answer.get_json()


def program_of(flow: Flow) -> FlaskClient:
    return flow.browser.application.test_client(use_cookies=False)


# Basic OP


@pytest.mark.parametrize("nonce", ["n-0S6_WzA2Mj", None])
def test_oidcc_server(app: Flask, flow: Flow, nonce: str | None) -> None:
    tokens = flow.tokens(nonce=nonce)
    assert tokens["token_type"] == "Bearer"
    claims = read(app, tokens["id_token"])
    assert claims.get("nonce") == nonce
    assert header(app, tokens["id_token"])["kid"] in [key.kid for key in published(app)]


def test_oidcc_response_type_missing(flow: Flow) -> None:
    answer = parameters_of(flow.authorize(response_type=None))
    assert (answer["error"], answer["state"]) == ("invalid_request", flow.state)


def test_oidcc_userinfo_get_and_post_header(app: Flask, flow: Flow) -> None:
    token = flow.tokens()["access_token"]
    program = program_of(flow)
    assert ask_userinfo(flow, token, program.get) == ask_userinfo(flow, token, program.post)


def test_oidcc_userinfo_post_body(flow: Flow) -> None:
    token = flow.tokens()["access_token"]
    answer = program_of(flow).post("/oauth/userinfo", data={"access_token": token})
    assert answer.get_json() == {"sub": "1"}


def test_oidcc_ensure_request_without_nonce_succeeds_for_code_flow(flow: Flow) -> None:
    assert "id_token" in flow.tokens(nonce=None)


@pytest.mark.parametrize("scope", [*OF_SCOPE, "profile email address phone"])
def test_oidcc_scope(flow: Flow, scope: str) -> None:
    tokens = flow.tokens(scope=f"openid {scope}")
    assert set(tokens["scope"].split()) == {"openid", *scope.split()}
    said = ask_userinfo(flow, tokens["access_token"], program_of(flow).get)
    assert set(said) == {"sub"}.union(*(OF_SCOPE[name] for name in scope.split()))


def test_oidcc_ensure_other_scope_order_succeeds(flow: Flow) -> None:
    assert "id_token" in flow.tokens(scope="email openid")


@pytest.mark.parametrize("display", ["page", "popup"])
def test_oidcc_display(flow: Flow, display: str) -> None:
    assert "code" in flow.allow(display=display)


def test_oidcc_prompt_login(app: Flask, flow: Flow, pkce_clock: Clock) -> None:
    first = read(app, flow.tokens()["id_token"])
    pkce_clock.advance(2)
    aside = flow.authorize(prompt="login").headers["Location"]
    login = flow.browser.get(aside).headers["Location"]
    assert flow.browser.get(login).status_code == 200
    back = flow.browser.post(login, data={"username": "ada"}).headers["Location"]
    code = parameters_of(flow.browser.get(back))["code"]
    second = read(app, flow.redeem(code).get_json()["id_token"])
    assert second["sub"] == first["sub"]
    assert second["auth_time"] > first.get("auth_time", 0)


def test_oidcc_prompt_none_not_logged_in(app: Flask, flow: Flow) -> None:
    flow.browser = app.test_client()
    assert parameters_of(flow.authorize(prompt="none"))["error"] == "login_required"


def test_oidcc_prompt_none_logged_in(app: Flask, flow: Flow) -> None:
    first = read(app, flow.tokens()["id_token"])
    second = read(app, flow.tokens(prompt="none")["id_token"])
    assert (second["sub"], second.get("auth_time")) == (first["sub"], first.get("auth_time"))


def test_oidcc_max_age_1(app: Flask, pkce_clock: Clock) -> None:
    flow = with_secret(app)
    flow.tokens()
    pkce_clock.advance(2)
    aside = flow.authorize(max_age="1").headers["Location"]
    login = flow.browser.get(aside).headers["Location"]
    back = flow.browser.post(login, data={"username": "ada"}).headers["Location"]
    code = parameters_of(flow.browser.get(back))["code"]
    claims = read(app, flow.redeem(code).get_json()["id_token"])
    assert claims["auth_time"] == int(pkce_clock.now)


def test_oidcc_max_age_10000(app: Flask, pkce_clock: Clock) -> None:
    flow = with_secret(app)
    first = read(app, flow.tokens(max_age="15000")["id_token"])
    pkce_clock.advance(5)
    second = read(app, flow.tokens(max_age="10000")["id_token"])
    assert second["auth_time"] == first["auth_time"]


def test_oidcc_ensure_request_with_unknown_parameter_succeeds(flow: Flow) -> None:
    assert "code" in flow.allow(extra="foobar")


def test_oidcc_id_token_hint(flow: Flow) -> None:
    hint = flow.tokens()["id_token"]
    assert "code" in parameters_of(flow.authorize(prompt="none", id_token_hint=hint))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("login_hint", "buffy@example.com"),
        ("ui_locales", "se"),
        ("claims_locales", "se"),
        ("acr_values", "1 2"),
    ],
)
def test_oidcc_hints_and_wishes_succeed(flow: Flow, name: str, value: str) -> None:
    assert "id_token" in flow.tokens(**{name: value})


@pytest.mark.parametrize("seconds", [0, 30])
def test_oidcc_codereuse(flow: Flow, pkce_clock: Clock, seconds: int) -> None:
    code = flow.allow()["code"]
    tokens = flow.redeem(code).get_json()
    pkce_clock.advance(seconds)
    answer = flow.redeem(code)
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_grant")
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert program_of(flow).get("/oauth/userinfo", headers=headers).status_code == 401


def test_oidcc_ensure_registered_redirect_uri(flow: Flow) -> None:
    answer = flow.authorize(redirect_uri="https://client.example/callback/unregistered")
    assert answer.status_code == 400
    assert "redirect_uri is not one that this client registered." in answer.text


def test_oidcc_ensure_post_request_succeeds(flow: Flow) -> None:
    flow.allow()
    answer = flow.browser.post("/oauth/authorize", data=flow.request())
    assert "code" in parameters_of(flow.browser.get(answer.headers["Location"]))


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_oidcc_server_client_secret(app: Flask, method: str) -> None:
    assert "id_token" in with_secret(app, method).tokens()


def test_oidcc_request_object_is_rejected_as_unsupported(flow: Flow) -> None:
    unsigned = "eyJhbGciOiJub25lIn0.e30."
    assert parameters_of(flow.authorize(request=unsigned))["error"] == "request_not_supported"


def test_oidcc_claims_essential(flow: Flow) -> None:
    # The suite takes an essential claim that is missing for a warning: here the user decides on
    # scopes, and a claim that none of them opens was authorized by nobody.
    asked = json.dumps({"userinfo": {"name": {"essential": True}}})
    for scope, name in {"openid": None, "openid profile": "Ada Lovelace"}.items():
        token = flow.tokens(scope=scope, claims=asked)["access_token"]
        assert ask_userinfo(flow, token, program_of(flow).get).get("name") == name


def test_oidcc_refresh_token(app: Flask, flow: Flow) -> None:
    tokens = flow.tokens(scope="openid offline_access")
    fresh = flow.refresh(tokens["refresh_token"]).get_json()
    before, after = read(app, tokens["id_token"]), read(app, fresh["id_token"])
    for same in ("iss", "sub", "aud"):
        assert before[same] == after[same]
    stranger = with_secret(app)
    answer = stranger.refresh(fresh["refresh_token"])
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_grant")


# Config OP


def test_oidcc_discovery_endpoint_verification(app: Flask) -> None:
    document = app.test_client().get("/.well-known/openid-configuration").get_json()
    assert document["issuer"] == "https://auth.example"
    required = {
        *["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"],
        *["response_types_supported", "subject_types_supported", "scopes_supported"],
        *["id_token_signing_alg_values_supported", "claims_supported"],
    }
    assert required <= document.keys()
    for name, value in document.items():
        if name.endswith(("_endpoint", "_uri")):
            assert value.startswith("https://auth.example/oauth/"), name
    assert "RS256" in document["id_token_signing_alg_values_supported"]
    assert "openid" in document["scopes_supported"]
    assert not re.search(r"null|HS256|\bplain\b|implicit|password", json.dumps(document))


# RP-initiated logout


def leave(flow: Flow, **parameters: str) -> TestResponse:
    return flow.browser.get("/oauth/logout", query_string=parameters)


def is_signed_in(flow: Flow) -> bool:
    return "error" not in parameters_of(flow.authorize(prompt="none"))


def test_oidcc_rp_initiated_logout(flow: Flow) -> None:
    hint = flow.tokens()["id_token"]
    assert is_signed_in(flow)
    answer = leave(flow, id_token_hint=hint, post_logout_redirect_uri=BYE, state="the-state")
    assert answer.headers["Location"] == f"{BYE}?state=the-state"
    assert not is_signed_in(flow)


@pytest.mark.parametrize("uri", [f"{BYE}/other", f"{BYE}?x=1", "https://evil.example/"])
def test_oidcc_rp_initiated_logout_bad_post_logout_redirect_uri(flow: Flow, uri: str) -> None:
    hint = flow.tokens()["id_token"]
    answer = leave(flow, id_token_hint=hint, post_logout_redirect_uri=uri, state="x")
    assert (answer.status_code, "Location" in answer.headers) == (400, False)


def asks(answer: TestResponse) -> bool:
    """Return whether the user is asked: no error page, and no way back to the client."""
    return "Sign out of host?" in answer.text and "Location" not in answer.headers


def test_oidcc_rp_initiated_logout_modified_id_token_hint(flow: Flow) -> None:
    head, body, signature = flow.tokens()["id_token"].split(".")
    hint = f"{head}.{body}.{signature[::-1]}"
    assert asks(leave(flow, id_token_hint=hint, post_logout_redirect_uri=BYE))


def test_oidcc_rp_initiated_logout_bad_id_token_hint(flow: Flow) -> None:
    assert asks(leave(flow, id_token_hint="not a jwt", post_logout_redirect_uri=BYE))


def test_oidcc_rp_initiated_logout_no_id_token_hint(flow: Flow) -> None:
    flow.tokens()
    assert asks(leave(flow, post_logout_redirect_uri=BYE, state="x"))


@pytest.mark.parametrize("parameters", [{}, {"state": "x"}])
def test_oidcc_rp_initiated_logout_no_params_and_only_state(
    flow: Flow, parameters: dict[str, str]
) -> None:
    flow.tokens()
    page = leave(flow, **parameters)
    form = {**hidden_fields(page.text), "decision": "allow"}
    done = flow.browser.post("/oauth/logout", data=form)
    assert "You are signed out" in done.text
    assert not is_signed_in(flow)


def test_oidcc_rp_initiated_logout_no_post_logout_redirect_uri(flow: Flow) -> None:
    answer = leave(flow, id_token_hint=flow.tokens()["id_token"], state="x")
    assert "You are signed out" in answer.text


def test_oidcc_rp_initiated_logout_no_state(flow: Flow) -> None:
    hint = flow.tokens()["id_token"]
    answer = leave(flow, id_token_hint=hint, post_logout_redirect_uri=BYE)
    assert answer.headers["Location"] == BYE


# Back-channel logout


def test_oidcc_backchannel_rp_initiated_logout(app: Flask) -> None:
    sent: list[tuple[str, dict[str, str]]] = []
    app.pkce.logout_delivery(lambda uri, fields: sent.append((uri, fields)))
    flow = with_secret(app, backchannel_logout_uri="https://client.example/bcl")
    tokens = flow.tokens()
    leave(flow, id_token_hint=tokens["id_token"])
    ((uri, fields),) = sent
    assert uri == "https://client.example/bcl"
    before, claims = read(app, tokens["id_token"]), read(app, fields["logout_token"])
    for same in ("iss", "sub", "aud", "sid"):
        assert claims[same] == before[same]
    assert "nonce" not in claims
    assert claims["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
    document = app.test_client().get("/.well-known/openid-configuration").get_json()
    assert document["backchannel_logout_supported"] is True
    assert document["backchannel_logout_session_supported"] is True
