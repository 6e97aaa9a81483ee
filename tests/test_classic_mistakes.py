"""The mistakes that developers make with this flow: each is told by its cause."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from flask_pkce_server.errors import InvalidRequestError
from flask_pkce_server.testing import Flow, parameters_of, register
from flask_pkce_server.wire.code_challenge import challenge_of

from .host import lending, make_app, sign_in

pytestmark = pytest.mark.thorough

#: As a widely read tutorial has it.
TOO_SHORT = "A8hf7K9pQ2mXcV4bN6zLwE1tY3uJkLm"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
HASH = hashlib.sha256(VERIFIER.encode()).digest()


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def hashed(data: bytes) -> str:
    return base64url(hashlib.sha256(data).digest())


@pytest.fixture
def app() -> Iterator[Flask]:
    with lending.app(make_app, DEBUG=True) as app:
        yield app


@pytest.fixture
def flow(app: Flask) -> Flow:
    uris = ("https://client.example/callback", "http://127.0.0.1/cb", "com.example.app:/cb")
    flow = Flow(sign_in(app), register(app, redirect_uris=uris, client_id="notebook-app"))
    flow.verifier = VERIFIER
    return flow


# At the authorization endpoint; the client reads it in error_description.


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"code_challenge": None}, "code_challenge is missing"),
        ({"code_challenge_method": None}, "code_challenge_method is missing"),
        ({"code_challenge_method": "plain"}, "must be S256"),
        ({"code_challenge_method": "s256"}, "must be S256"),
        ({"code_challenge_method": "SHA256"}, "must be S256"),
        ({"code_challenge": HASH.hex()}, "in hexadecimal"),
        ({"code_challenge": HASH.hex().upper()}, "in hexadecimal"),
        ({"code_challenge": base64.urlsafe_b64encode(HASH).decode()}, "has padding"),
        ({"code_challenge": base64.b64encode(b"\xff" * 32).decode().rstrip("=")}, "in base64;"),
        ({"code_challenge": base64url(HASH.hex().encode())}, "the hash in hexadecimal, encoded"),
        ({"code_challenge": VERIFIER + "x" * 20}, "looks like the verifier itself"),
        ({"code_challenge": f"{challenge_of(VERIFIER)} "}, "blank or a newline"),
        ({"code_challenge": base64url(hashlib.sha384(b"x").digest())}, "SHA-384"),
        ({"code_challenge": base64url(HASH[:20])}, "it has 27 characters"),
        ({"code_challenge": TOO_SHORT}, "it has 31 characters"),
        ({"response_type": None}, "response_type is missing"),
        ({"response_type": "token"}, "no such response_type; it is code"),
        ({"response_type": "id_token token"}, "no such response_type; it is code"),
        ({"response_mode": "jwt"}, "response_mode has"),
        ({"scope": "notes.read"}, "not declared here"),
        ({"scope": "profile,notes:read"}, "not declared here"),
        ({"prompt": "none login"}, "prompt=none stands alone"),
        ({"max_age": "1h"}, "max_age is a number of seconds"),
    ],
)
def test_in_an_authorization_request(
    flow: Flow, changes: dict[str, str | None], cause: str
) -> None:
    answer = parameters_of(flow.authorize(**changes))
    assert cause in answer["error_description"]
    assert VERIFIER not in answer["error_description"]


# On the error page, which explains in debug.


@pytest.mark.parametrize(
    ("uri", "cause"),
    [
        ("https://client.example/callback/", "Only the slash at the end differs."),
        ("https://client.example/Callback", "Only capital and small letters differ"),
        ("https://client.example/cb", "The path differs: /cb for /callback."),
        ("https://client.example:8443/callback", "The port differs: 8443 for none."),
        ("http://client.example/callback", "The scheme differs: http for https."),
        ("https://www.client.example/callback", "The host differs: www.client.example"),
        ("https://client.example/callback?next=/", "What has to come back belongs into state."),
        ("https://client.example/callback#done", "A redirect URI has no fragment"),
        (" https://client.example/callback", "There is a blank at an end"),
        ("https%3A%2F%2Fclient.example%2Fcallback", "percent-encoded twice"),
        ("https://user@client.example/callback", "a user or a password"),
        ("http://localhost/cb", "though both mean this computer"),
        ("https://client.example:port/callback", "is not a URI"),
    ],
)
def test_in_a_redirect_uri(flow: Flow, uri: str, cause: str) -> None:
    page = flow.authorize(redirect_uri=uri)
    assert page.status_code == 400
    assert cause in page.text
    assert "3 are registered in all." in page.text


@pytest.mark.parametrize(
    ("client_id", "cause"),
    [
        ("notebook-ap", "The closest that is registered is notebook-app"),
        (" notebook-app", "There is a blank at an end of the client_id."),
        ("some other thing", "Register it with: flask pkce client create"),
        (None, "client_id is missing."),
    ],
)
def test_in_a_client_id(flow: Flow, client_id: str | None, cause: str) -> None:
    page = flow.authorize(client_id=client_id)
    assert page.status_code == 400
    assert cause in page.text


def test_in_a_logout(flow: Flow) -> None:
    page = flow.browser.get(
        "/oauth/logout",
        query_string={
            "client_id": flow.client.client_id,
            "post_logout_redirect_uri": "https://client.example/bye",
        },
    )
    assert "This client has no redirect URI registered." in page.text


def test_outside_debug_nothing_registered_is_shown(flow: Flow) -> None:
    app = flow.browser.application
    app.debug = False
    for changes in (
        {"redirect_uri": "https://client.example/cb"},
        {"client_id": "notebook-ap"},
    ):
        page = flow.authorize(**changes)
        assert page.status_code == 400
        assert "debug" not in page.text
        assert "client.example" not in page.text
        assert "notebook-app" not in page.text


# At the token endpoint.


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"code_verifier": None}, "code_verifier is missing"),
        ({"code_verifier": TOO_SHORT}, "too short, it has 31 characters"),
        ({"code_verifier": "a" * 129}, "too long, it has 129 characters"),
        ({"code_verifier": f"{VERIFIER} "}, "blank or a newline"),
        ({"code_verifier": base64.b64encode(b"\xff" * 33).decode()}, "this one is in base64"),
        ({"code_verifier": "ä" * 43}, "other characters"),
        ({"code_verifier": challenge_of(VERIFIER)}, "is the code_challenge itself"),
        ({"code_verifier": "x" * 43}, "keep it under the state"),
        ({"grant_type": None}, "grant_type is missing"),
        ({"grant_type": "code"}, "no such grant_type"),
        ({"code": None}, "code is missing"),
        ({"redirect_uri": "https://client.example/other"}, "not the one that the code was sent to"),
        ({"client_id": None}, "does not say which client"),
        ({"client_secret": "x"}, "did not prove who it is"),
    ],
)
def test_in_a_token_request(flow: Flow, changes: dict[str, str | None], cause: str) -> None:
    changes.setdefault("client_id", flow.client.client_id)
    form = {
        "grant_type": "authorization_code",
        "code": flow.allow()["code"],
        "code_verifier": VERIFIER,
        **changes,
    }
    answer = flow.browser.application.test_client(use_cookies=False).post(
        "/oauth/token", data={name: value for name, value in form.items() if value is not None}
    )
    assert cause in answer.get_json()["error_description"]


@pytest.mark.parametrize(
    ("wrongly", "cause"),
    [
        (lambda text: hashed(f"{text}\n".encode()), "a newline at its end"),
        (lambda text: hashed(base64.urlsafe_b64decode(text)), "the bytes that the verifier"),
        (lambda text: hashed(f'"{text}"'.encode()), "in quotes"),
        (lambda text: hashed(text.lower().encode()), "in small letters"),
        (lambda text: hashed(text[:43].encode()), "cut to 43"),
        (lambda text: hashed(text.encode("utf-16-le")), "UTF-16"),
        (lambda text: hashed(hashlib.sha256(text.encode()).hexdigest().encode()), "hexadecimal"),
        (lambda text: hashed(hashlib.sha256(text.encode()).digest()), "twice"),
        (lambda text: base64url(hashlib.sha3_256(text.encode()).digest()), "SHA3-256"),
    ],
)
def test_in_how_the_challenge_was_made(
    flow: Flow, wrongly: Callable[[str], str], cause: str
) -> None:
    flow.verifier = VERIFIER + "A" * 21  # 64 characters, of 48 bytes
    code = flow.allow(code_challenge=wrongly(flow.verifier))["code"]
    answer = flow.redeem(code, redirect_uri=None).get_json()
    assert answer["error"] == "invalid_grant"
    assert cause in answer["error_description"]


# At registration.


@pytest.mark.parametrize(
    ("uri", "cause"),
    [
        ("client.example/cb", "it starts with its scheme"),
        ("http://client.example/cb", "http only on this computer"),
        ("https://client.example/cb#", "no fragment"),
        ("https://*.client.example/cb", "no wildcard"),
        ("javascript:alert(1)", "run in the browser"),
        ("https://client.example/c b", "percent-encode"),
    ],
)
def test_in_a_registration(app: Flask, uri: str, cause: str) -> None:
    with pytest.raises(InvalidRequestError, match=cause):
        register(app, redirect_uris=(uri,))
