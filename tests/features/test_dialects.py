"""The SDKs of other products, as they are served; tests/browser drives the SDKs themselves."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from flask_pkce_server.errors import ConfigurationError
from flask_pkce_server.features.dialects import DIALECTS
from flask_pkce_server.features.dialects.message import csp_digest
from flask_pkce_server.testing import Flow, hidden_fields, parameters_of, register

from ..host import lending, make_app, sign_in
from ..openid import read
from ..services import empty_database

pytestmark = pytest.mark.thorough

ISSUER = "https://auth.example/"
ORIGIN = "https://client.example"
MARKS = {
    "auth0": {"Auth0-Client": "e30="},
    "okta": {"X-Okta-User-Agent-Extended": "okta-auth-js/8.0.1"},
    "reachfive": {"X-R5-Correlation-Id": "1"},
}


@pytest.fixture
def app() -> Iterator[Flask]:
    """A host that speaks them all."""
    with lending.app(make_app, PKCE_DIALECTS=list(DIALECTS), PKCE_ISSUER=ISSUER) as app:
        yield app


@pytest.fixture
def flow(app: Flask) -> Flow:
    """A sign-in of a client that asks nobody, and has pages on its origin."""
    client = register(
        app,
        skip_consent=True,
        client_metadata={"post_logout_redirect_uris": [f"{ORIGIN}/bye", f"{ORIGIN}/other"]},
    )
    return Flow(sign_in(app), client, scope="openid profile offline_access")


def send(flow: Flow, path: str, form: dict[str, str], **headers: str) -> TestResponse:
    """Send a form to a path as a page of the client would."""
    program = flow.browser.application.test_client(use_cookies=False)
    fields = {"client_id": flow.client.client_id, **form}
    return program.post(path, data=fields, headers={"Origin": ORIGIN, **headers})


def exchange(flow: Flow, path: str, **headers: str) -> dict[str, Any]:
    """Redeem a code at a path."""
    form = {
        "grant_type": "authorization_code",
        "code": flow.allow()["code"],
        "redirect_uri": flow.client.redirect_uri,
        "code_verifier": flow.verifier,
    }
    answer = send(flow, path, form, **headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.get_json())


# What is on, and what is off.

PATHS = {
    "auth0": ["/authorize", "/v2/logout", "/userinfo", "/.well-known/jwks.json"],
    "okta": [
        *[f"/oauth2/v1/{name}" for name in ("authorize", "token", "userinfo", "revoke", "logout")],
        "/oauth2/v1/keys",
        "/api/v1/sessions/me",
    ],
    "keycloak": [
        f"/realms/any/protocol/openid-connect/{name}"
        for name in (
            *("auth", "token", "userinfo", "logout", "certs", "registrations"),
            *("3p-cookies/step1.html", "login-status-iframe.html"),
        )
    ],
    "reachfive": [f"/identity/v1/{name}" for name in ("config", "userinfo", "logout")],
    "cloudentity": [
        *[f"/t/s/oauth2/{name}" for name in ("authorize", "token", "revoke")],
        "/t/s/userinfo",
    ],
    "miniorange": [
        "/moas/idp/openidsso",
        "/moas/rest/oauth/token",
        "/moas/rest/oauth/getuserinfo",
        "/moas/idp/oidc/logout",
    ],
}


@pytest.mark.parametrize("name", DIALECTS)
def test_each_has_its_paths_and_none_is_reachable_while_it_is_off(name: str) -> None:
    alone = make_app(PKCE_DIALECTS=[name], PKCE_ISSUER=ISSUER).test_client()
    for other, paths in PATHS.items():
        for path in paths:
            # Cloudentity's tenants have any name: /oauth2/v1 is one of them.
            tenant = name == "cloudentity" and re.fullmatch(r"/\w+/\w+/userinfo", path)
            assert (alone.get(path).status_code == 404) == (other != name and not tenant), path


def test_nothing_of_them_is_there_by_default(pkce_register: Any) -> None:
    app = make_app(PKCE_ISSUER=ISSUER, PKCE_DIALECTS=[])
    browser, flow = app.test_client(), Flow(sign_in(app), register(app, skip_consent=True))
    assert {browser.get(path).status_code for paths in PATHS.values() for path in paths} == {404}
    for mode in ("web_message", "okta_post_message"):
        assert parameters_of(flow.authorize(response_mode=mode))["error"] == "invalid_request"
    for marks in MARKS.values():
        answer = browser.post("/oauth/token", json={"client_id": "x"}, headers=marks)
        assert "x-www-form-urlencoded" in answer.get_json()["error_description"]
    with pytest.raises(Exception, match="PKCE_DIALECTS does not have okta"):
        register(app, client_metadata={"dialect": "okta"})


def test_metadata_gains_the_response_modes_and_nothing_else() -> None:
    plain = make_app(PKCE_ISSUER=ISSUER, PKCE_DIALECTS=[]).extensions["pkce"].metadata()
    all_on = (
        make_app(PKCE_ISSUER=ISSUER, PKCE_DIALECTS=list(DIALECTS)).extensions["pkce"].metadata()
    )
    modes = all_on.pop("response_modes_supported")
    assert modes == [*plain.pop("response_modes_supported"), "web_message", "okta_post_message"]
    assert all_on == plain


def test_a_product_that_is_not_spoken_is_refused_at_start() -> None:
    with pytest.raises(ConfigurationError, match="some of: auth0, okta, keycloak"):
        make_app(PKCE_DIALECTS=["auth1"])


@pytest.mark.parametrize(
    ("dialect", "issuer", "wish"),
    [
        ("auth0", "https://auth.example", "https://auth.example/"),
        ("okta", "https://auth.example/t/1", "/oauth2/default"),
        ("reachfive", "https://auth.example/t/1", "no path"),
    ],
)
def test_doctor_says_which_issuer_an_sdk_wants(dialect: str, issuer: str, wish: str) -> None:
    app = make_app(PKCE_DIALECTS=[dialect], PKCE_ISSUER=issuer)
    app.config["TESTING"] = True
    said = app.test_cli_runner().invoke(args=["pkce", "doctor"]).output
    assert re.search(rf"FAIL .*\n?.*{re.escape(wish)}", said), said


def test_in_debug_the_issuer_ends_as_auth0_wants_it() -> None:
    app = make_app(PKCE_DIALECTS=["auth0"], PKCE_ISSUER=None)
    assert app.extensions["pkce"].issuer.endswith(":5000/")


def test_a_path_in_the_issuer_is_before_theirs() -> None:
    issuer = "https://auth.example/oauth2/default"
    browser = make_app(PKCE_DIALECTS=["okta"], PKCE_ISSUER=issuer).test_client()
    # With the path, and without it where a proxy took it away.
    for path in ("/oauth2/default/v1/keys", "/v1/keys"):
        assert browser.get(path).status_code == 200
    assert browser.get("/oauth2/v1/keys").status_code == 404


def test_a_host_route_is_not_taken_away() -> None:
    app = make_app(PKCE_DIALECTS=["cloudentity"], init=False)
    app.add_url_rule("/api/notes/userinfo", view_func=lambda: "mine", endpoint="mine")
    app.pkce.init_app(app)
    assert app.test_client().get("/api/notes/userinfo").text == "mine"


def test_a_room_that_is_left_out_has_no_paths_in_a_dialect() -> None:
    app = make_app(PKCE_DIALECTS=["auth0"], PKCE_FEATURES={"revocation": False, "logout": False})
    assert app.test_client().get("/v2/logout").status_code == 404


# The whole way at each one's paths.

WAYS = [
    ("/authorize", "/oauth/token", "/userinfo"),
    ("/oauth2/v1/authorize", "/oauth2/v1/token", "/oauth2/v1/userinfo"),
    *[tuple(f"/realms/r/protocol/openid-connect/{name}" for name in ("auth", "token", "userinfo"))],
    ("/oauth/authorize", "/oauth/token", "/identity/v1/userinfo"),
    ("/t/s/oauth2/authorize", "/t/s/oauth2/token", "/t/s/userinfo"),
    ("/moas/idp/openidsso", "/moas/rest/oauth/token", "/moas/rest/oauth/getuserinfo"),
]


@pytest.mark.parametrize("way", WAYS, ids=DIALECTS)
def test_a_stranger_signs_in_agrees_and_reads_userinfo(app: Flask, way: tuple[str, ...]) -> None:
    authorize, token, userinfo = way
    browser = app.test_client()
    flow = Flow(browser, register(app), scope="openid profile offline_access")
    aside = browser.get(authorize, query_string=flow.request()).headers["Location"]
    login = browser.get(aside).headers["Location"]
    page = browser.get(browser.post(login, data={"username": "ada"}).headers["Location"])
    form = {**hidden_fields(page.text), "decision": "allow"}
    action = re.search(r'<form[^>]* action="([^"]+)"', page.text)[1]
    assert action.startswith(authorize)
    code = parameters_of(browser.post(action, data=form))["code"]
    tokens = send(
        flow,
        token,
        {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": flow.client.redirect_uri,
            "code_verifier": flow.verifier,
        },
    ).get_json()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert app.test_client().get(userinfo, headers=bearer).get_json()["name"] == "Ada Lovelace"
    again = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    renewed = send(flow, token, again).get_json()
    assert {"id_token", "refresh_token", "scope"} <= renewed.keys()


# Answers by message.


@pytest.mark.parametrize("mode", ["web_message", "okta_post_message"])
def test_a_message_goes_to_the_exact_origin_and_says_nothing_else(flow: Flow, mode: str) -> None:
    answer = flow.authorize(response_mode=mode, prompt="none", state='"</script><b>&#39;')
    body = re.search(r'<body data-message="([^"]*)" data-origin="([^"]*)">', answer.text)
    said = json.loads(body[1].replace("&#34;", '"').replace("&lt;", "<").replace("&gt;", ">")
                      .replace("&#39;", "'").replace("&amp;", "&"))  # fmt: skip
    fields = said["response"] if mode == "web_message" else said
    assert fields.keys() == {"code", "state", "iss"}
    assert fields["state"] == '"</script><b>&#39;'
    assert body[2] == ORIGIN
    assert "*" not in answer.text
    # One script, that of the policy, and not a link, form or picture.
    script = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    assert len(script) == 1
    assert set(re.findall(r"<(\w+)", answer.text)) <= {
        "html",
        "head",
        "meta",
        "title",
        "body",
        "script",
    }
    policy = answer.headers["Content-Security-Policy"]
    assert f"script-src {csp_digest(script[0])};" in policy
    assert "default-src 'none'" in policy


@pytest.mark.parametrize("mode", ["web_message", "okta_post_message", "form_post", "fragment"])
@pytest.mark.parametrize("scope", ["openid profile", "openid unknown"])
def test_an_answer_without_asking_is_framed_by_the_client_alone(
    flow: Flow, mode: str, scope: str
) -> None:
    answer = flow.authorize(response_mode=mode, prompt="none", scope=scope)
    assert f"frame-ancestors {ORIGIN}" in answer.headers["Content-Security-Policy"]
    assert "X-Frame-Options" not in answer.headers


@pytest.mark.parametrize("mode", ["web_message", "okta_post_message", "form_post"])
def test_no_other_page_is_framed(app: Flask, flow: Flow, mode: str) -> None:
    pages = [
        flow.authorize(response_mode=mode),  # an answer, but one that could have asked
        flow.authorize(response_mode=mode, prompt="consent"),
        flow.authorize(response_mode=mode, prompt="none", client_id="nobody"),
        flow.authorize(response_mode=mode, prompt="none", redirect_uri="https://evil.example"),
        flow.browser.get("/v2/logout"),
    ]
    for page in pages:
        assert page.headers["X-Frame-Options"] == "DENY", page.text
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "uri", ["com.example.app:/cb", "http://127.0.0.1/cb"], ids=["a scheme", "any port"]
)
def test_a_message_needs_an_origin_that_is_registered_to_the_letter(app: Flask, uri: str) -> None:
    flow = Flow(sign_in(app), register(app, redirect_uris=(uri,), skip_consent=True))
    presented = uri.replace("127.0.0.1", "127.0.0.1:8123")
    answer = flow.authorize(response_mode="web_message", redirect_uri=presented)
    assert answer.headers["Location"].startswith(f"{presented}?error=invalid_request")


# Auth0.


@pytest.mark.parametrize("name", ["auth0", "reachfive"])
def test_json_is_read_where_the_sdk_says_who_it_is(flow: Flow, name: str) -> None:
    body = {
        "client_id": flow.client.client_id,
        "grant_type": "authorization_code",
        "code": flow.allow()["code"],
        "redirect_uri": flow.client.redirect_uri,
        "code_verifier": flow.verifier,
        "nothing": None,
    }
    program = flow.browser.application.test_client(use_cookies=False)
    assert program.post("/oauth/token", json=body).get_json()["error"] == "invalid_request"
    answer = program.post("/oauth/token", json=body, headers=MARKS[name])
    assert answer.status_code == 200, answer.text
    # The user is known by the ID token alone.
    assert read(flow.browser.application, answer.get_json()["id_token"])["name"] == "Ada Lovelace"
    gone = {"client_id": flow.client.client_id, "token": answer.get_json()["refresh_token"]}
    revoked = program.post("/oauth/revoke", json=gone, headers=MARKS[name])
    assert (revoked.status_code, revoked.get_json()) == (200, {})


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"x"', b'{"code": 1}', b'{"code": ["x"]}', b'{"a": {"b": "c"}}',
     b'{"code": "x", "code": "y"}', b"[" * 60_000, b'{"a":' * 12_000, b"\xff\xfe", b"{}"],
)  # fmt: skip
def test_json_that_is_no_form_is_a_named_error(app: Flask, body: bytes) -> None:
    for path in ("/oauth/token", "/oauth/revoke"):
        answer = app.test_client().post(
            path, data=body, headers=MARKS["auth0"], content_type="application/json"
        )
        assert answer.status_code in (400, 401), answer.text
        assert answer.get_json()["error"] in ("invalid_request", "invalid_client")


def test_userinfo_as_an_audience_is_every_login() -> None:
    app = make_app(PKCE_DIALECTS=["auth0"], PKCE_ISSUER=ISSUER)
    flow = Flow(sign_in(app), register(app, skip_consent=True), scope="openid")
    query = flow.request(audience=f"{ISSUER}userinfo")
    assert "code" in parameters_of(flow.browser.get("/authorize", query_string=query))
    # At our own path the word means nothing.
    assert "code" in flow.allow(audience="https://unknown.example")
    query = flow.request(audience="https://unknown.example")
    refused = parameters_of(flow.browser.get("/authorize", query_string=query))
    assert refused["error"] == "invalid_target"


# The sentences that the SDKs look for.


@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        (MARKS["auth0"], "Unknown or invalid refresh token."),
        (MARKS["okta"], "The refresh token is invalid or expired."),
        ({}, "The refresh token is unknown, expired, revoked, or not this client's."),
    ],
)
def test_a_dead_refresh_token_is_told_in_the_words_of_the_sdk(
    flow: Flow, headers: dict[str, str], sentence: str
) -> None:
    answer = send(
        flow, "/oauth/token", {"grant_type": "refresh_token", "refresh_token": "x"}, **headers
    )
    assert answer.status_code == 400
    assert answer.get_json() == {"error": "invalid_grant", "error_description": sentence}
    # And the page can read it.
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN


def test_auth0s_sdk_is_told_that_the_user_may_not_sign_in(app: Flask, flow: Flow) -> None:
    token = flow.tokens()["refresh_token"]
    with app.app_context():
        app.db.session.execute(app.db.update(app.User).values(active=False))
        app.db.session.commit()
    form = {"grant_type": "refresh_token", "refresh_token": token}
    told = send(flow, "/oauth/token", form, **MARKS["auth0"]).get_json()["error_description"]
    assert "user is blocked" in told
    assert "blocked" not in send(flow, "/oauth/token", form).get_json()["error_description"]


# Keycloak.

REALM = "/realms/notes/protocol/openid-connect"


def test_keycloak_reads_claims_in_every_token(app: Flask, flow: Flow) -> None:
    tokens = exchange(flow, f"{REALM}/token")
    access = read(app, tokens["access_token"])
    assert {"exp", "iat", "sub", "sid"} <= access.keys()
    middle = tokens["refresh_token"].split(".")[1]
    assert json.loads(base64.urlsafe_b64decode(middle + "==")) == {}
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    again = send(flow, f"{REALM}/token", form).get_json()
    assert again["refresh_token"].endswith(".e30.x")
    assert again["refresh_token"] != tokens["refresh_token"]
    # Whatever shape it comes back in.
    bare = again["refresh_token"].removesuffix(".e30.x")
    assert flow.refresh(bare).status_code == 200
    # It is the same token all the time: used again, it ends the family.
    assert flow.revoke(again["refresh_token"]).get_json() == {}


def test_a_client_that_is_registered_for_it_is_read_at_our_own_paths(app: Flask) -> None:
    client = register(app, skip_consent=True, client_metadata={"dialect": "keycloak"})
    flow = Flow(sign_in(app), client, scope="openid offline_access")
    tokens = flow.tokens()
    assert tokens["access_token"].count(".") == tokens["refresh_token"].count(".") == 2


def test_a_sign_up_is_asked_for_where_there_is_one(flow: Flow) -> None:
    path = f"{REALM}/registrations"
    assert "code" in parameters_of(flow.browser.get(path, query_string=flow.request()))
    app = make_app(PKCE_DIALECTS=["keycloak"], PKCE_PROMPT_SIGN_UP_VIEW="login_page")
    browser = app.test_client()
    query = Flow(browser, register(app)).request()
    aside = browser.get(path, query_string=query).headers["Location"]
    assert aside.startswith(path)
    assert browser.get(aside).headers["Location"].startswith("/login?next=")


def frame(app: Flask, path: str, referrer: str) -> TestResponse:
    return sign_in(app).get(f"{REALM}/{path}", headers={"Referer": referrer}, follow_redirects=True)


@pytest.mark.parametrize("path", ["3p-cookies/step1.html", "login-status-iframe.html"])
def test_the_frames_are_for_pages_of_clients(app: Flask, flow: Flow, path: str) -> None:
    mine = frame(app, path, f"{ORIGIN}/deep")
    assert f"frame-ancestors {ORIGIN}" in mine.headers["Content-Security-Policy"]
    assert f'data-origin="{ORIGIN}"' in mine.text
    assert "*" not in mine.text
    for referrer in ("https://evil.example/", "", "null", "https://[", "javascript:x"):
        refused = frame(app, path, referrer)
        assert refused.status_code == 400
        assert refused.headers["X-Frame-Options"] == "DENY"


def test_without_cookies_of_our_kind_the_frame_says_so(app: Flask, flow: Flow) -> None:
    path, headers = f"{REALM}/3p-cookies/step1.html", {"Referer": f"{ORIGIN}/"}
    bare = app.test_client(use_cookies=False).get(path, headers=headers, follow_redirects=True)
    assert 'data-message="unsupported"' in bare.text
    kept = app.test_client().get(path, headers=headers, follow_redirects=True)
    assert 'data-message="supported"' in kept.text


def test_the_status_of_the_session(app: Flask, flow: Flow) -> None:
    sid = read(app, exchange(flow, f"{REALM}/token")["access_token"])["sid"]

    def status(browser: Any, **changes: str) -> TestResponse:
        query = {"client_id": flow.client.client_id, "origin": ORIGIN, "session_state": sid}
        return browser.get(
            f"{REALM}/login-status-iframe.html/init", query_string={**query, **changes}
        )

    assert status(flow.browser).get_json() == {"status": "unchanged"}
    assert status(flow.browser, session_state="").get_json() == {"status": "changed"}
    assert status(app.test_client()).get_json() == {"status": "changed"}
    assert status(app.test_client(), session_state="").get_json() == {"status": "unchanged"}
    for wrong in ({"client_id": "nobody"}, {"origin": "https://evil.example"}, {"client_id": ""}):
        assert status(flow.browser, **wrong).status_code == 400


def test_the_session_of_a_pairwise_client_is_the_one_of_its_id_token() -> None:
    app = make_app(PKCE_DIALECTS=["keycloak"], PKCE_OPENID_PAIRWISE_SALT="salt", PKCE_ISSUER=ISSUER)
    client = register(app, client_metadata={"subject_type": "pairwise"})
    flow = Flow(sign_in(app), client, scope="openid")
    sid = read(app, flow.tokens()["id_token"])["sid"]
    query = {"client_id": client.client_id, "origin": "https://client.example"}
    answer = flow.browser.get(
        f"{REALM}/login-status-iframe.html/init", query_string={**query, "session_state": sid}
    )
    assert answer.get_json() == {"status": "unchanged"}


@pytest.mark.parametrize(("is_stranger", "told"), [(True, "unchanged"), (False, "changed")])
def test_only_a_client_of_the_operator_learns_that_somebody_is_signed_in(
    app: Flask, is_stranger: bool, told: str
) -> None:
    flow = Flow(sign_in(app), register(app, self_registered=is_stranger), scope="openid")

    def status(browser: Any, session_state: str) -> str:
        known = {"client_id": flow.client.client_id, "origin": ORIGIN}
        answer = browser.get(
            f"{REALM}/login-status-iframe.html/init",
            query_string={**known, "session_state": session_state},
        )
        return answer.get_json()["status"]

    assert status(flow.browser, "") == told
    for browser in (flow.browser, app.test_client()):
        assert status(browser, "made-up") == "changed"
    # From then on the client takes part in the session.
    flow.tokens()
    assert status(flow.browser, "") == "changed"
    assert status(app.test_client(), "") == "unchanged"


# Okta.


def test_a_session_is_ended_by_a_page_of_a_client_only(app: Flask, flow: Flow) -> None:
    path = "/api/v1/sessions/me"
    # To a page that the session did not sign in to there is none.
    assert flow.browser.delete(path, headers={"Origin": ORIGIN}).status_code == 404
    flow.tokens()
    for headers in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        assert flow.browser.delete(path, headers=headers).status_code == 400
    assert flow.authorize(prompt="none").status_code == 302
    ended = flow.browser.delete(path, headers={"Origin": ORIGIN})
    assert (ended.status_code, ended.data) == (204, b"")
    assert ended.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert parameters_of(flow.authorize(prompt="none"))["error"] == "login_required"
    gone = flow.browser.delete(path, headers={"Origin": ORIGIN})
    assert (gone.status_code, gone.get_json()["errorCode"]) == (404, "E0000007")
    preflight = app.test_client().options(
        path, headers={"Origin": ORIGIN, "Access-Control-Request-Method": "DELETE"}
    )
    assert "DELETE" in preflight.headers["Access-Control-Allow-Methods"]


def test_a_public_client_may_be_named_without_a_colon(flow: Flow) -> None:
    basic = base64.b64encode(flow.client.client_id.encode()).decode()
    token = flow.tokens()["access_token"]
    program = flow.browser.application.test_client(use_cookies=False)
    answer = program.post(
        "/oauth2/v1/revoke", data={"token": token}, headers={"Authorization": f"Basic {basic}"}
    )
    assert (answer.status_code, answer.mimetype, answer.get_json()) == (200, "application/json", {})


# ReachFive and Cloudentity.


def test_the_settings_of_a_client(app: Flask, flow: Flow) -> None:
    query = {"client_id": flow.client.client_id, "lang": "fr"}
    answer = app.test_client().get(
        "/identity/v1/config", query_string=query, headers={"Origin": ORIGIN}
    )
    said = answer.get_json()
    assert said["sso"] is said["is_public"] is said["pkce_enforced"] is True
    assert set(said["scope"].split()) == {"openid", "profile", "email", "phone"}
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    for wrong in ("?client_id=nobody", ""):
        assert app.test_client().get(f"/identity/v1/config{wrong}").status_code == 401


def test_who_holds_a_token_may_give_it_back(app: Flask, flow: Flow) -> None:
    token = exchange(flow, "/t/s/oauth2/token")["access_token"]
    program = app.test_client(use_cookies=False)

    def revoke(path: str, shown: str, named: str) -> TestResponse:
        return program.post(
            path, data={"token": named}, headers={"Authorization": f"Bearer {shown}"}
        )

    for shown, named in (("", token), ("x", token), (token, "x")):
        assert revoke("/t/s/oauth2/revoke", shown, named).status_code == 401
    # At our own path the client says who it is.
    assert revoke("/oauth/revoke", token, token).status_code == 401
    assert revoke("/t/s/oauth2/revoke", token, token).get_json() == {}
    bearer = {"Authorization": f"Bearer {token}"}
    assert app.test_client().get("/t/s/userinfo", headers=bearer).status_code == 401


def test_a_confidential_client_still_says_its_secret(app: Flask) -> None:
    client = register(app, auth_method="client_secret_basic", skip_consent=True)
    token = Flow(sign_in(app), client).tokens()["access_token"]
    answer = app.test_client().post(
        "/t/s/oauth2/revoke", data={"token": token}, headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 401


# Logout without an ID token.

LOGOUTS = {
    "/v2/logout": "returnTo",
    "/identity/v1/logout": "redirect_to",
    "/moas/idp/oidc/logout": "post_logout_redirect_uri",
}


@pytest.mark.parametrize(("path", "name"), LOGOUTS.items())
def test_a_page_of_the_client_signs_its_user_out_at_once(flow: Flow, path: str, name: str) -> None:
    flow.tokens()
    answer = flow.browser.get(
        path, query_string={name: f"{ORIGIN}/other"}, headers={"Referer": f"{ORIGIN}/"}
    )
    assert (answer.status_code, answer.headers["Location"]) == (302, f"{ORIGIN}/other")
    assert parameters_of(flow.authorize(prompt="none"))["error"] == "login_required"


@pytest.mark.parametrize(("path", "name"), LOGOUTS.items())
@pytest.mark.parametrize("referrer", ["", "https://evil.example/", "https://[", "null"])
def test_for_anybody_else_the_user_is_asked(
    flow: Flow, path: str, name: str, referrer: str
) -> None:
    flow.tokens()
    asked = flow.browser.get(
        path, query_string={name: f"{ORIGIN}/bye"}, headers={"Referer": referrer}
    )
    assert asked.status_code == 200
    form = {**hidden_fields(asked.text), "decision": "allow"}
    assert "code" in flow.allow(prompt="none")
    done = flow.browser.post(path, data=form)
    assert done.headers["Location"] == f"{ORIGIN}/bye"
    assert parameters_of(flow.authorize(prompt="none"))["error"] == "login_required"


def test_a_client_that_the_session_knows_nothing_of_asks_too(flow: Flow) -> None:
    query = {"client_id": flow.client.client_id, "returnTo": f"{ORIGIN}/bye"}
    asked = flow.browser.get("/v2/logout", query_string=query, headers={"Referer": f"{ORIGIN}/"})
    assert asked.status_code == 200
    assert "code" in flow.allow(prompt="none")


@pytest.mark.parametrize(("path", "name"), LOGOUTS.items())
@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example/",
        f"{ORIGIN}/bye2",
        f"{ORIGIN}/bye?x",
        f"{ORIGIN}.evil.example/bye",
        "javascript:alert(1)",
        "//evil.example",
        "https://[",
    ],
)
def test_a_browser_is_sent_to_registered_places_only(
    flow: Flow, path: str, name: str, uri: str
) -> None:
    for client_id in (None, flow.client.client_id):
        query = {name: uri} if client_id is None else {name: uri, "client_id": client_id}
        answer = flow.browser.get(path, query_string=query, headers={"Referer": f"{ORIGIN}/"})
        # The user may leave anyway, if no client is known that should have said a better place.
        assert answer.status_code == (200 if client_id is None else 400)
        assert "Location" not in answer.headers
    # And nobody was signed out.
    assert "code" in flow.allow(prompt="none")


def test_without_a_place_it_is_the_first_that_the_client_registered(flow: Flow) -> None:
    flow.tokens()
    query = {"client_id": flow.client.client_id}
    answer = flow.browser.get(
        "/v2/logout", query_string=query, headers={"Referer": f"{ORIGIN}/deep"}
    )
    assert answer.headers["Location"] == f"{ORIGIN}/bye"


def test_a_place_on_another_origin_is_found_by_the_session(app: Flask) -> None:
    client = register(
        app,
        skip_consent=True,
        client_metadata={"post_logout_redirect_uris": ["https://www.example/bye"]},
    )
    flow = Flow(sign_in(app), client, scope="openid")
    flow.tokens()
    answer = flow.browser.get(
        "/identity/v1/logout",
        query_string={"redirect_to": "https://www.example/bye"},
        headers={"Referer": f"{ORIGIN}/"},
    )
    assert answer.headers["Location"] == "https://www.example/bye"


@pytest.mark.thorough
def test_what_postgresql_refuses_to_look_for_is_not_known() -> None:
    with empty_database("postgresql") as uri:
        app = make_app(PKCE_DIALECTS=list(DIALECTS), SQLALCHEMY_DATABASE_URI=uri)
        browser = app.test_client()
        asked = [
            browser.get("/identity/v1/config?client_id=a%00b"),
            browser.get("/v2/logout?client_id=a%00b"),
            browser.get("/v2/logout?returnTo=https://a%00.example/"),
            browser.post("/oauth/token", data={"grant_type": "refresh_token"}, auth=("a\0b", "c")),
        ]
        assert [answer.status_code for answer in asked] == [401, 400, 400, 401]
        with app.app_context():
            app.db.engine.dispose()
