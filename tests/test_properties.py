"""Whatever is sent: no status of 500, no redirect astray, nothing echoed unescaped."""

from __future__ import annotations

import json
import re
from urllib.parse import urlencode

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from flask_pkce_server.testing import Flow, RegisteredClient, hidden_fields, register

from .host import make_app, sign_in

pytestmark = pytest.mark.thorough

REGISTERED = ("https://client.example/callback", "http://127.0.0.1/cb", "com.example.app:/cb")
BYE = "https://client.example/callback?bye"
MARK = "<x1\"'>"
#: RFC 6749 5.2: the characters of an error_description.
DESCRIPTION = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]*")

QUICK = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

nasty = st.sampled_from(
    [
        "", MARK, "\x00", "\r\nX-Evil: 1", "\u202e", "\u200b", "é", "\U0001f511", "[" * 3000,
        "{}", "null", "-1", "a" * 5000, "a" * 100_000, "%00", "%FF%FE", "\\", '"', "//evil.example",
        "javascript:alert(1)", "https://evil.example/", "https://client.example@evil.example/",
        "http://127.0.0.1:80@evil.example/cb", "http://127.0.0.1:99999/cb", "http://[::1/cb",
        "fpk_ac_" + "a" * 49, "fpk_rt_" + "a" * 49, "plain", "none", "code token", "query",
        "fragment", "form_post", "S256", "openid", "login", "none login", "select_account",
        "a.b.c", "..", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCJ9.e30.x",
        '{"userinfo": {"name": {"essential": true}}, "id_token": null}', '{"id_token": 1}',
        *REGISTERED,
    ]
)  # fmt: skip
values = nasty | st.text(st.characters(codec="utf-8"), max_size=60)
names = st.sampled_from(
    [
        "response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge",
        "code_challenge_method", "response_mode", "prompt", "max_age", "nonce", "resource",
        "request", "request_uri", "r", "decision", "csrf_token", "grant_type", "code",
        "code_verifier", "client_secret", "client_assertion", "refresh_token", "token",
        "token_type_hint", "scope[a]", "max_age[]", "", "claims", "id_token_hint", "login_hint",
        "acr_values", "ui_locales", "display", "post_logout_redirect_uri", "logout_hint",
        "access_token",
    ]
)  # fmt: skip
changes = st.lists(st.tuples(names | values, values | st.none()), max_size=6)
headers = st.lists(
    st.tuples(
        st.sampled_from(
            ["Authorization", "Origin", "Content-Type", "Cookie", "Host", "X-Forwarded-Host"]
        ),
        st.sampled_from(
            [
                "Basic", "Basic !", "Basic /////w==", "Basic OjpmOg==", "Bearer", "Bearer x",
                "Bearer \xe9", "null", "https://evil.example", "https://client.example",
                "application/json", "multipart/form-data; boundary=x", "text/plain", "session=x",
                "pkce_r_0000000000000000=x", "evil.example", "x" * 4000, '"<x1"',
            ]
        )
        | st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40),
    ),
    max_size=3,
)  # fmt: skip
methods = st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"])


@pytest.fixture(scope="module")
def app() -> Flask:
    # As in production: what fails is an answer, not an exception that the test would see.
    return make_app(TESTING=False, PROPAGATE_EXCEPTIONS=False)


@pytest.fixture(scope="module")
def known(app: Flask) -> RegisteredClient:
    return register(
        app, redirect_uris=REGISTERED, client_metadata={"post_logout_redirect_uris": [BYE]}
    )


@pytest.fixture(scope="module")
def flow(app: Flask, known: RegisteredClient) -> Flow:
    return Flow(sign_in(app), known)


def changed(request: dict[str, str], changes: list[tuple[str, str | None]]) -> str:
    """Return `request` as a query, with parameters replaced, doubled, added or left out."""
    pairs = list(request.items())
    for place, (name, value) in enumerate(changes):
        if value is None:
            pairs = [pair for pair in pairs if pair[0] != name]
        elif place % 2:
            pairs.append((name, value))
        else:
            pairs = [(key, value if key == name else old) for key, old in pairs]
    return urlencode(pairs)


def look_at(answer: TestResponse) -> None:
    """See that `answer` is one that this server may give."""
    assert answer.status_code < 500, answer.text
    location = answer.headers.get("Location")
    if location is not None:
        ours = location.startswith(("/oauth/authorize?r=", "/login?next=", "/oauth/logout?"))
        loopback = re.match(r"http://127\.0\.0\.1(:\d+)?/cb[?#]", location)
        assert (
            ours
            or loopback
            or re.match(r"(https://client\.example/callback|com\.example\.app:/cb)[?#]", location)
        ), location
    if answer.mimetype == "text/html":
        assert MARK not in answer.text
        assert "<x1" not in answer.text
    if answer.mimetype == "application/json" and answer.status_code >= 400 and answer.data:
        body = json.loads(answer.data)
        assert body["error"]
        assert DESCRIPTION.fullmatch(body["error_description"])
        assert answer.headers["Cache-Control"] == "no-store"
    for name, value in answer.headers:
        assert name != "X-Evil"
        assert "\n" not in value


@QUICK
@given(changes=changes, headers=headers, posted=st.booleans(), anonymous=st.booleans())
def test_the_authorization_endpoint(flow: Flow, changes, headers, posted, anonymous) -> None:
    browser = flow.browser.application.test_client() if anonymous else flow.browser
    query = changed(flow.request(), changes)
    if posted:
        answer = browser.post(
            "/oauth/authorize",
            data=query,
            headers=[("Content-Type", "application/x-www-form-urlencoded"), *headers],
        )
    else:
        answer = browser.get("/oauth/authorize", query_string=query, headers=headers)
    look_at(answer)


@QUICK
@given(changes=changes, headers=headers)
def test_the_consent_form(flow: Flow, changes, headers) -> None:
    form = {**hidden_fields(flow.authorize(scope="notes:write").text), "decision": "allow"}
    answer = flow.browser.post(
        "/oauth/authorize",
        data=changed(form, changes),
        headers=[("Content-Type", "application/x-www-form-urlencoded"), *headers],
    )
    look_at(answer)


@QUICK
@given(
    changes=changes,
    headers=headers,
    path=st.sampled_from(["/oauth/token", "/oauth/revoke", "/oauth/introspect"]),
    grant_type=st.sampled_from(["authorization_code", "refresh_token", MARK]),
)
def test_the_endpoints_of_clients(flow: Flow, changes, headers, path, grant_type) -> None:
    form = {
        "grant_type": grant_type,
        "client_id": flow.client.client_id,
        "code": "fpk_ac_" + "a" * 49,
        "code_verifier": flow.verifier,
        "refresh_token": "fpk_rt_" + "a" * 49,
        "token": "fpk_at_" + "a" * 49,
    }
    answer = flow.browser.application.test_client().post(
        path,
        data=changed(form, changes),
        headers=[("Content-Type", "application/x-www-form-urlencoded"), *headers],
    )
    assert answer.mimetype == "application/json"
    look_at(answer)


@QUICK
@given(changes=changes, headers=headers, posted=st.booleans(), anonymous=st.booleans())
def test_the_logout_endpoint(
    app: Flask, flow: Flow, known: RegisteredClient, changes, headers, posted, anonymous
) -> None:
    browser = app.test_client() if anonymous else flow.browser
    request = {"client_id": known.client_id, "post_logout_redirect_uri": BYE, "state": "s"}
    query = changed(request, changes)
    if posted:
        answer = browser.post(
            "/oauth/logout",
            data=query,
            headers=[("Content-Type", "application/x-www-form-urlencoded"), *headers],
        )
    else:
        answer = browser.get("/oauth/logout", query_string=query, headers=headers)
    look_at(answer)


@QUICK
@given(
    method=methods,
    path=st.sampled_from(
        [
            "/oauth/authorize", "/oauth/token", "/oauth/revoke", "/oauth/static/pkce.css",
            "/oauth/static/../extension.py", "/.well-known/oauth-authorization-server",
            "/.well-known/openid-configuration/x", "/api/me", "/api/notes", "/oauth/jwks",
            "/oauth/userinfo", "/oauth/introspect", "/oauth/logout",
        ]
    ),
    query=st.lists(st.tuples(names, values), max_size=3),
    body=st.binary(max_size=200) | nasty.map(str.encode),
    headers=headers,
)  # fmt: skip
def test_every_path_with_every_method(app: Flask, method, path, query, body, headers) -> None:
    answer = app.test_client().open(
        path, method=method, query_string=urlencode(query), data=body, headers=headers
    )
    look_at(answer)
    answer.close()


@QUICK
@given(token=values, scheme=st.sampled_from(["Bearer", "bearer", "Basic", "DPoP", ""]))
def test_guarded_views(app: Flask, token: str, scheme: str) -> None:
    value = f"{scheme} {token}".encode("utf-8", "replace").decode("latin-1")
    answer = app.test_client().get(
        "/api/me", headers={"Authorization": re.sub(r"[\r\n]", "", value)}
    )
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    look_at(answer)
