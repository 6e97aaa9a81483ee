"""Userinfo: by header and by body, as JSON and as a JWT, to pages of the client."""

from __future__ import annotations

from datetime import date, datetime, timezone

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask_pkce_server.testing import Flow, register
from flask_pkce_server.users.claims import attributes_as_claims

from ..host import make_app, sign_in
from ..openid import header, read

ADA = {"sub": "1", "name": "Ada Lovelace", "preferred_username": "ada"}


@pytest.fixture
def flow(pkce_flow: Flow) -> Flow:
    pkce_flow.scope = "openid profile offline_access"
    return pkce_flow


@pytest.fixture
def program(app: Flask) -> FlaskClient:
    return app.test_client(use_cookies=False)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_by_get_and_by_post_in_the_header_or_in_the_body(flow: Flow, program: FlaskClient) -> None:
    # OIDC Core 5.3.1, RFC 6750 2.1 and 2.2
    token = flow.tokens()["access_token"]
    for answer in (
        program.get("/oauth/userinfo", headers=bearer(token)),
        program.post("/oauth/userinfo", headers=bearer(token)),
        program.post("/oauth/userinfo", data={"access_token": token}),
    ):
        assert answer.status_code == 200
        assert answer.mimetype == "application/json"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.get_json() == ADA


def test_the_subject_is_that_of_the_id_token(app: Flask, flow: Flow, program: FlaskClient) -> None:
    tokens = flow.tokens()
    answer = program.get("/oauth/userinfo", headers=bearer(tokens["access_token"]))
    assert answer.get_json()["sub"] == read(app, tokens["id_token"])["sub"]


def test_each_scope_opens_its_own_claims(app: Flask, program: FlaskClient) -> None:
    app.pkce.user_claims(
        lambda user: {
            "name": "Ada",
            "email": "ada@example.com",
            "email_verified": True,
            "address": {"country": "GB"},
            "phone_number": "+44 20",
            "secret_of_the_host": "x",
        }
    )
    flow = Flow(sign_in(app), register(app))
    opened = {
        "openid": {"sub"},
        "openid profile": {"sub", "name"},
        "openid email": {"sub", "email", "email_verified"},
        "openid address": {"sub", "address"},
        "openid phone": {"sub", "phone_number"},
    }
    for scope, names in opened.items():
        token = flow.tokens(scope=scope)["access_token"]
        answer = program.get("/oauth/userinfo", headers=bearer(token))
        assert set(answer.get_json()) == names


@pytest.mark.parametrize("more", [{}, {"profile": ["department"]}, {"email": ["groups"]}])
def test_claims_of_the_host_add_to_those_of_a_scope(more: dict[str, list[str]]) -> None:
    app = make_app(PKCE_OPENID_CLAIMS=more)
    told = {"name": "Ada", "email": "ada@example.com", "department": "Engines", "groups": ["a"]}
    app.pkce.user_claims(lambda user: told)
    flow = Flow(sign_in(app), register(app), scope="openid profile email")
    program = app.test_client(use_cookies=False)
    answer = program.get("/oauth/userinfo", headers=bearer(flow.tokens()["access_token"]))
    released = {"name", "email", *(name for names in more.values() for name in names)}
    assert answer.get_json().keys() == {"sub", *released}
    document = program.get("/.well-known/openid-configuration").get_json()
    assert released <= {*document["claims_supported"]}
    assert document["claims_supported"].count("name") == 1


def test_the_claims_parameter_opens_nothing_beyond_the_scopes(
    app: Flask, flow: Flow, program: FlaskClient
) -> None:
    # OIDC Core 3.1.2.4: what is released was authorized, by scopes.
    app.pkce.user_claims(lambda user: {"name": "Ada", "email": "ada@example.com", "risk_score": 7})
    asked = '{"userinfo": {"name": {"essential": true}, "email": null, "risk_score": null}}'
    token = flow.tokens(scope="openid", claims=asked)["access_token"]
    assert program.get("/oauth/userinfo", headers=bearer(token)).get_json() == {"sub": "1"}
    token = flow.tokens(scope="openid profile", claims=asked)["access_token"]
    answer = program.get("/oauth/userinfo", headers=bearer(token))
    assert answer.get_json() == {"sub": "1", "name": "Ada"}


def test_signed_for_the_client_that_registered_it(app: Flask, program: FlaskClient) -> None:
    metadata = {"userinfo_signed_response_alg": "ES256"}
    flow = Flow(sign_in(app), register(app, client_metadata=metadata), scope="openid profile")
    answer = program.get("/oauth/userinfo", headers=bearer(flow.tokens()["access_token"]))
    assert answer.mimetype == "application/jwt"
    assert header(app, answer.text)["alg"] == "ES256"
    mine = {"iss": "https://auth.example", "aud": flow.client.client_id}
    assert read(app, answer.text) == {**ADA, **mine}


def test_without_a_token_there_is_a_challenge(program: FlaskClient) -> None:
    answer = program.get("/oauth/userinfo")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer scope="openid"'


def test_a_token_without_openid_is_not_enough(flow: Flow, program: FlaskClient) -> None:
    token = flow.tokens(scope="profile")["access_token"]
    answer = program.get("/oauth/userinfo", headers=bearer(token))
    assert (answer.status_code, answer.get_json()["error"]) == (403, "insufficient_scope")
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]


def test_what_is_no_access_token_opens_nothing(flow: Flow, program: FlaskClient) -> None:
    tokens = flow.tokens()
    flow.revoke(tokens["access_token"])
    for bad in (tokens["access_token"], tokens["refresh_token"], tokens["id_token"], "x", "é"):
        answer = program.post("/oauth/userinfo", data={"access_token": bad})
        assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_token")


def test_a_token_comes_by_one_way_only(flow: Flow, program: FlaskClient) -> None:
    token = flow.tokens()["access_token"]
    answer = program.post("/oauth/userinfo", data={"access_token": token}, headers=bearer(token))
    assert answer.status_code == 400
    assert answer.get_json()["error"] == "invalid_request"
    # Not from the query: it would be in logs (RFC 9700 4.3.2).
    assert program.get(f"/oauth/userinfo?access_token={token}").status_code == 401


def test_a_user_who_is_gone_is_an_invalid_token(
    app: Flask, flow: Flow, program: FlaskClient
) -> None:
    token = flow.tokens()["access_token"]
    with app.app_context():
        app.db.session.get(app.User, 1).active = False
        app.db.session.commit()
    answer = program.get("/oauth/userinfo", headers=bearer(token))
    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_token")


def test_pages_of_the_client_read_it_and_no_others(flow: Flow, program: FlaskClient) -> None:
    headers = bearer(flow.tokens()["access_token"])
    for origin, read_by in (("https://client.example", True), ("https://evil.example", False)):
        answer = program.get("/oauth/userinfo", headers={**headers, "Origin": origin})
        assert ("Access-Control-Allow-Origin" in answer.headers) == read_by
    preflight = program.options(
        "/oauth/userinfo",
        headers={
            "Origin": "https://client.example",
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization",
        },
    )
    assert preflight.headers["Access-Control-Allow-Headers"] == "authorization"


def test_attributes_count_if_they_have_the_name_and_the_type_of_a_claim() -> None:
    class Person:
        name = "Ada"
        username = "ada"
        email = ""
        email_verified = "yes"
        profile = object()
        birthdate = date(1815, 12, 10)
        updated_at = datetime(2026, 1, 1, tzinfo=timezone.utc)
        address = "12 St James's Square"
        phone_number = None

    assert attributes_as_claims(Person()) == {
        "name": "Ada",
        "preferred_username": "ada",
        "birthdate": "1815-12-10",
        "updated_at": 1767225600,
        "address": {"formatted": "12 St James's Square"},
    }
    assert attributes_as_claims({"name": "Ada"}) == {"name": "Ada"}
