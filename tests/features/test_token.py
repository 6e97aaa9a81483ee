"""The token feature: its endpoint, and how a client shows who it is (RFC 6749 2.3, 3.2)."""

from __future__ import annotations

import base64

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask_pkce_server.testing import Flow, RegisteredClient, register


def basic(client_id: str, secret: str | None) -> dict[str, str]:
    text = client_id if secret is None else f"{client_id}:{secret}"
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


@pytest.fixture
def confidential(app: Flask) -> RegisteredClient:
    return register(app, auth_method="client_secret_basic")


def ask(app: Flask, data: dict[str, str], **how):
    form = {"grant_type": "authorization_code", "code": "x", **data}
    return app.test_client().post("/oauth/token", data=form, **how)


def outcome(answer) -> tuple[int, str]:
    assert answer.get_json()["error_description"]
    return answer.status_code, answer.get_json()["error"]


AUTHENTICATED = (400, "invalid_grant")
REFUSED = (401, "invalid_client")
TWO_METHODS = (400, "invalid_request")


def test_the_registered_method_and_no_other(app: Flask) -> None:
    # RFC 7591 2: token_endpoint_auth_method
    for method in ("none", "client_secret_basic", "client_secret_post"):
        known = register(app, auth_method=method)
        secret = known.client_secret or "a" * 48
        tries = {
            "none": ask(app, {"client_id": known.client_id}),
            "client_secret_basic": ask(app, {}, headers=basic(known.client_id, secret)),
            "client_secret_post": ask(app, {"client_id": known.client_id, "client_secret": secret}),
        }
        for tried, answer in tries.items():
            assert outcome(answer) == (AUTHENTICATED if tried == method else REFUSED), tried


def test_two_methods_at_once_are_refused(app: Flask, confidential: RegisteredClient) -> None:
    # RFC 6749 2.3
    secret = confidential.client_secret or ""
    both = ask(
        app,
        {"client_id": confidential.client_id, "client_secret": secret},
        headers=basic(confidential.client_id, secret),
    )
    assert outcome(both) == TWO_METHODS


def test_a_client_id_in_the_body_beside_basic_must_be_the_same(
    app: Flask, confidential: RegisteredClient
) -> None:
    header = basic(confidential.client_id, confidential.client_secret)
    same = ask(app, {"client_id": confidential.client_id}, headers=header)
    other = ask(app, {"client_id": register(app).client_id}, headers=header)
    assert (outcome(same), outcome(other)) == (AUTHENTICATED, TWO_METHODS)


def test_basic_halves_are_form_encoded(app: Flask) -> None:
    # RFC 6749 2.3.1; some clients encode, some do not: ids and secrets read the same.
    secret = "with spaces + plus & per%cent: 0123456789"
    known = register(
        app, auth_method="client_secret_basic", client_id="my_client-1", client_secret=secret
    )
    assert known.client_secret == secret
    encoded = "with+spaces+%2B+plus+%26+per%25cent%3A+0123456789"
    assert outcome(ask(app, {}, headers=basic("my%5Fclient%2D1", encoded))) == AUTHENTICATED


@pytest.mark.parametrize("secret", ["", None])
def test_basic_without_a_secret_names_a_public_client(app: Flask, secret: str | None) -> None:
    known = register(app)
    assert outcome(ask(app, {}, headers=basic(known.client_id, secret))) == AUTHENTICATED


@pytest.mark.parametrize("secret", ["", None])
def test_basic_without_a_secret_opens_no_confidential_client(
    app: Flask, confidential: RegisteredClient, secret: str | None
) -> None:
    assert outcome(ask(app, {}, headers=basic(confidential.client_id, secret))) == REFUSED


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic /////w==",
        "Basic " + base64.b64encode(b":").decode(),
        "Basic " + base64.b64encode(b":secret").decode(),
        "Basic " + base64.b64encode(b"id\x00:secret").decode(),
        "Basic " + base64.b64encode("id:sécret".encode("latin-1")).decode(),
        "Basic " + base64.b64encode("id:sécret".encode()).decode(),
        "basic " + base64.b64encode(b"unknown:secret").decode(),
    ],
)
def test_broken_basic_credentials_are_an_invalid_client_with_a_challenge(
    app: Flask, header: str
) -> None:
    # RFC 6749 5.2, RFC 7617 2: with a realm.
    answer = ask(app, {}, headers={"Authorization": header})
    assert outcome(answer) == REFUSED
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="https://auth.example"'


def test_who_did_not_try_basic_gets_no_challenge(app: Flask) -> None:
    # A browser would open its own password box over the page.
    answer = ask(app, {"client_id": "unknown"})
    assert outcome(answer) == REFUSED
    assert "WWW-Authenticate" not in answer.headers


def test_a_bearer_header_does_not_hide_a_public_client(app: Flask) -> None:
    headers = {"Authorization": "Bearer fpk_at_x"}
    assert outcome(ask(app, {"client_id": register(app).client_id}, headers=headers)) == (
        AUTHENTICATED
    )


def test_unknown_and_wrong_are_told_in_the_same_words(
    app: Flask, confidential: RegisteredClient
) -> None:
    wrong = ask(app, {}, headers=basic(confidential.client_id, "wrong"))
    unknown = ask(app, {}, headers=basic("unknown", "wrong"))
    assert wrong.data == unknown.data
    assert dict(wrong.headers) == dict(unknown.headers)


def test_nothing_is_read_from_the_query(app: Flask, pkce_flow: Flow) -> None:
    # RFC 6749 2.3.1 and 3.2
    code = pkce_flow.allow()["code"]
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": pkce_flow.client.client_id,
        "code_verifier": pkce_flow.verifier,
    }
    for name in form:
        body = {key: value for key, value in form.items() if key != name}
        answer = app.test_client().post("/oauth/token", data=body, query_string={name: form[name]})
        assert answer.status_code in (400, 401), name
    assert app.test_client().post("/oauth/token", data=form).status_code == 200


def test_a_parameter_twice_is_refused(app: Flask, pkce_flow: Flow) -> None:
    # RFC 6749 3.2
    answer = app.test_client().post(
        "/oauth/token",
        data={"grant_type": ["authorization_code"] * 2, "client_id": pkce_flow.client.client_id},
    )
    assert outcome(answer) == (400, "invalid_request")


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "head"])
def test_it_takes_posts_only(app: Flask, method: str) -> None:
    answer = getattr(app.test_client(), method)("/oauth/token")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST, OPTIONS"
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "how",
    [
        {"json": {"grant_type": "authorization_code"}},
        {"data": "grant_type=authorization_code", "content_type": "text/plain"},
        {"data": {"grant_type": "authorization_code"}, "content_type": "multipart/form-data"},
        {"data": b"", "content_type": ""},
    ],
)
def test_it_takes_forms_only(app: Flask, how: dict) -> None:
    answer = app.test_client().post("/oauth/token", **how)
    assert outcome(answer) == (400, "invalid_request")
    assert "application/x-www-form-urlencoded" in answer.get_json()["error_description"]


def test_the_charset_of_a_form_may_be_named(app: Flask, pkce_flow: Flow) -> None:
    answer = app.test_client().post(
        "/oauth/token",
        data=f"grant_type=refresh_token&refresh_token=x&client_id={pkce_flow.client.client_id}",
        content_type="application/x-www-form-urlencoded;charset=UTF-8",
    )
    assert outcome(answer) == (400, "invalid_grant")


@pytest.mark.parametrize("grant_type", ["password", "implicit", "device_code", 'x"é'])
def test_there_is_no_other_grant(app: Flask, pkce_flow: Flow, grant_type: str) -> None:
    answer = pkce_flow.post("token", {"grant_type": grant_type})
    assert outcome(answer) == (400, "unsupported_grant_type")
    assert grant_type not in answer.text


def test_a_missing_grant_type_is_an_invalid_request(pkce_flow: Flow) -> None:
    assert outcome(pkce_flow.post("token", {})) == (400, "invalid_request")


def test_a_body_that_is_too_large_is_refused(app: Flask) -> None:
    answer = ask(app, {"client_id": "a" * 9000})
    assert outcome(answer) == (400, "invalid_request")
    app.config["MAX_CONTENT_LENGTH"] = 1000
    assert outcome(ask(app, {"client_id": "a" * 9000})) == (413, "invalid_request")


def test_the_token_endpoint_leaves_the_session_alone(client: FlaskClient) -> None:
    answer = client.post("/oauth/token", data={"grant_type": "authorization_code"})
    assert "Set-Cookie" not in answer.headers
