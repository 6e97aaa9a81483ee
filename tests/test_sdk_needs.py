"""What the SDKs of front ends need of every server, whatever product they are of."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from authlib.oauth2.base import OAuth2Error
from flask import Flask
from werkzeug.test import TestResponse

from flask_pkce_server.protocol.error_response import described
from flask_pkce_server.testing import Clock, Flow, RegisteredClient, parameters_of, register

from .error_kinds import ERROR_KINDS
from .host import make_app, sign_in

ORIGIN = "https://client.example"
HEADERS = (
    "authorization,content-type,accept,auth0-client,x-okta-user-agent-extended,"
    "x-r5-correlation-id,accept-language,custom-locale,dpop,mcp-protocol-version"
)


@pytest.fixture(params=["opaque", "jwt"])
def flow(request: pytest.FixtureRequest) -> Flow:
    """A sign-in of a public client, which gets one kind of access token or the other."""
    app = make_app(PKCE_ACCESS_TOKEN_FORMAT=request.param)
    return Flow(
        sign_in(app), register(app, skip_consent=True), scope="openid profile offline_access"
    )


def test_every_refresh_gives_all_that_the_first_answer_gave(flow: Flow) -> None:
    answer = first = flow.tokens()
    for _ in range(3):
        answer = flow.refresh(answer["refresh_token"]).get_json()
        assert answer.keys() == first.keys()
        assert answer["scope"] == first["scope"]
        assert type(answer["expires_in"]) is int


@pytest.mark.parametrize("kind", ERROR_KINDS)
def test_every_error_has_a_description(kind: type[OAuth2Error]) -> None:
    # Okta's SDK ignores an authorization error that has none.
    assert described(kind())


def test_errors_of_every_kind_are_readable_across_origins(flow: Flow) -> None:
    program = flow.browser.application.test_client(use_cookies=False)
    client_id = flow.client.client_id
    answers = [
        program.post("/oauth/token", data=form, headers={"Origin": ORIGIN})
        for form in (
            {},
            {"client_id": client_id, "grant_type": "password"},
            {"client_id": client_id, "grant_type": "authorization_code", "code": "x"},
            {"client_id": "nobody", "grant_type": "refresh_token"},
            {"client_id": client_id, "client_secret": "x", "grant_type": "refresh_token"},
        )
    ]
    answers += [
        program.get("/oauth/token", headers={"Origin": ORIGIN}),
        program.post("/oauth/revoke", headers={"Origin": ORIGIN}),
        program.get("/oauth/userinfo", headers={"Origin": ORIGIN}),
        program.get("/api/me", headers={"Origin": ORIGIN, "Authorization": "Bearer x"}),
    ]
    for answer in answers:
        assert answer.status_code in (400, 401, 405), answer.text
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        # keycloak-js and ReachFive's SDK send cookies along, to our endpoints only.
        allowed = None if answer.request.path == "/api/me" else "true"
        assert answer.headers.get("Access-Control-Allow-Credentials") == allowed
        assert "Origin" in answer.headers["Vary"]
        exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"WWW-Authenticate", "DPoP-Nonce"} <= set(exposed)
        assert {"error", "error_description"} <= answer.get_json().keys()


@pytest.mark.parametrize(
    "path", ["/oauth/token", "/oauth/userinfo", "/oauth/revoke", "/api/me",
             "/.well-known/openid-configuration", "/oauth/jwks"],
)  # fmt: skip
def test_the_headers_of_the_sdks_pass_every_preflight(flow: Flow, path: str) -> None:
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": HEADERS,
    }
    answer = flow.browser.application.test_client().options(path, headers=asked)
    assert answer.status_code in (200, 204)
    assert answer.headers["Access-Control-Allow-Headers"] == HEADERS


@pytest.mark.parametrize("name", ["access_token", "refresh_token"])
def test_a_revocation_answers_an_empty_object(flow: Flow, name: str) -> None:
    # oidc-client-ts throws on any other content type, Okta's SDK parses what is there.
    token = flow.tokens()[name]
    for text in (token, token, "unknown", token[:-1]):
        answer = flow.revoke(text)
        assert (answer.status_code, answer.mimetype, answer.data.strip()) == (
            200,
            "application/json",
            b"{}",
        )


def test_userinfo_takes_the_access_token_of_the_login(flow: Flow) -> None:
    bearer = {"Authorization": f"bearer {flow.tokens()['access_token']}"}
    answer = flow.browser.application.test_client().get("/oauth/userinfo", headers=bearer)
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert (answer.get_json()["sub"], answer.get_json()["name"]) == ("1", "Ada Lovelace")


def basic(flow: Flow, text: str, **form: str) -> TestResponse:
    program = flow.browser.application.test_client(use_cookies=False)
    encoded = base64.b64encode(text.encode()).decode()
    return program.post("/oauth/revoke", data=form, headers={"Authorization": f"Basic {encoded}"})


@pytest.mark.parametrize("text", ["{}:", "{}"], ids=["an empty secret", "no colon"])
def test_basic_credentials_without_a_secret_name_a_public_client(flow: Flow, text: str) -> None:
    token = flow.tokens()["refresh_token"]
    assert basic(flow, text.format(flow.client.client_id), token=token).get_json() == {}
    assert flow.refresh(token).status_code == 400


@pytest.mark.parametrize("text", ["{}:", "{}"], ids=["an empty secret", "no colon"])
def test_and_open_nothing_of_a_confidential_one(app: Flask, text: str) -> None:
    flow = Flow(sign_in(app), register(app, auth_method="client_secret_basic"))
    answer = basic(flow, text.format(flow.client.client_id), token="x")
    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")


def encoded_all(text: str) -> str:
    return "".join(f"%{ord(character):02X}" for character in text)


@pytest.mark.parametrize("encode", [str, encoded_all], ids=["as it is", "percent-encoded"])
def test_ids_and_secrets_read_the_same_raw_and_encoded(app: Flask, encode: Any) -> None:
    # RFC 6749 2.3.1
    flow = Flow(sign_in(app), register(app, auth_method="client_secret_basic"))
    client: RegisteredClient = flow.client
    assert client.client_secret is not None
    assert (client.client_id + client.client_secret).isalnum()
    shown = f"{encode(client.client_id)}:{encode(client.client_secret)}"
    assert basic(flow, shown, token="x").get_json() == {}


def test_a_redirect_uri_needs_no_path(app: Flask) -> None:
    # The React quickstart says window.location.origin.
    for uri in ("http://127.0.0.1:5173", "https://shop.example"):
        client = register(app, redirect_uris=(uri,), skip_consent=True)
        answer = Flow(sign_in(app), client).authorize(auth0Client="e30=", audience="x", idp="y")
        assert answer.headers["Location"].startswith(f"{uri}?code=")


def test_an_expired_id_token_is_a_logout_hint(app: Flask, pkce_clock: Clock) -> None:
    client = register(
        app, client_metadata={"post_logout_redirect_uris": [ORIGIN]}, skip_consent=True
    )
    flow = Flow(sign_in(app), client, scope="openid")
    hint = flow.tokens()["id_token"]
    pkce_clock.advance(90 * 86400)
    query = {"id_token_hint": hint, "post_logout_redirect_uri": ORIGIN}
    assert flow.browser.get("/oauth/logout", query_string=query).headers["Location"] == ORIGIN
    assert parameters_of(flow.authorize(prompt="none"))["error"] == "login_required"
