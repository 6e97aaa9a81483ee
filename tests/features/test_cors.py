"""The cors feature: pages of a client may read what their client may read."""

from __future__ import annotations

import functools

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_login import current_user

from flask_pkce_server.testing import Flow, register

from ..host import make_app, sign_in

ORIGIN = "https://client.example"
EXTRA = "https://pages.client.example:8443"
EVIL = "https://evil.example"


@pytest.fixture
def flow(app: Flask, client: FlaskClient) -> Flow:
    return Flow(client, register(app, origins=[EXTRA]))


def post(app: Flask, path: str, origin: str, **form: str):
    return app.test_client().post(path, data=form, headers={"Origin": origin})


def preflight(app: Flask, path: str, origin: str, method: str = "POST"):
    return app.test_client().options(
        path,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization, auth0-client, x-own",
        },
    )


@pytest.mark.parametrize("origin", [ORIGIN, EXTRA])
@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke"])
def test_a_page_of_the_client_reads_answers_and_errors(
    app: Flask, flow: Flow, origin: str, path: str
) -> None:
    answer = post(app, path, origin, client_id=flow.client.client_id, grant_type="x")
    assert answer.status_code == 400
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert "WWW-Authenticate" in answer.headers["Access-Control-Expose-Headers"]
    assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize("verified", [False, True])
def test_a_page_of_a_stranger_sends_no_cookies_along(app: Flask, verified: bool) -> None:
    metadata = {"verified": True} if verified else {}
    known = register(app, self_registered=True, client_metadata=metadata)
    for answer in (
        post(app, "/oauth/token", ORIGIN, client_id=known.client_id, grant_type="x"),
        preflight(app, "/oauth/token", ORIGIN),
    ):
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert answer.headers.get("Access-Control-Allow-Credentials") == (
            "true" if verified else None
        )


def test_a_stranger_that_names_the_origin_of_another_client_changes_nothing(app: Flask) -> None:
    known, stranger = register(app), register(app, self_registered=True)
    assert "Access-Control-Allow-Credentials" in preflight(app, "/oauth/token", ORIGIN).headers
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    for client_id, allowed in ((known.client_id, True), (stranger.client_id, False)):
        answer = post(app, "/oauth/token", ORIGIN, client_id=client_id, **form)
        assert ("Access-Control-Allow-Credentials" in answer.headers) is allowed


@pytest.mark.parametrize("origin", [EVIL, "null", ORIGIN + ".evil.example", ORIGIN + ":444"])
@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke"])
def test_no_other_page_reads_anything(app: Flask, flow: Flow, origin: str, path: str) -> None:
    for answer in (
        post(app, path, origin, client_id=flow.client.client_id),
        preflight(app, path, origin),
    ):
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "Origin" in answer.headers["Vary"]


def test_a_page_of_one_client_does_not_read_the_answers_of_another(app: Flask, flow: Flow) -> None:
    other = register(app, redirect_uris=("https://other.example/cb",))
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    answer = post(
        app, "/oauth/token", "https://other.example", client_id=flow.client.client_id, **form
    )
    assert "Access-Control-Allow-Origin" not in answer.headers
    answer = post(app, "/oauth/token", "https://other.example", client_id=other.client_id, **form)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://other.example"


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke"])
def test_a_preflight_is_answered_before_anything_is_asked(
    app: Flask, flow: Flow, path: str
) -> None:
    answer = preflight(app, path, ORIGIN)
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert answer.headers["Access-Control-Allow-Methods"] == "POST, OPTIONS"
    assert answer.headers["Access-Control-Allow-Headers"] == "authorization, auth0-client, x-own"
    assert int(answer.headers["Access-Control-Max-Age"]) > 0


def test_a_preflight_cannot_smuggle_a_header(app: Flask, flow: Flow) -> None:
    answer = app.test_client().options(
        "/oauth/token",
        headers={"Origin": ORIGIN, "Access-Control-Request-Headers": "x\u00e9"},
    )
    assert "Access-Control-Allow-Headers" not in answer.headers


def test_the_documents_are_for_everybody(app: Flask) -> None:
    for answer in (
        app.test_client().get("/.well-known/oauth-authorization-server", headers={"Origin": EVIL}),
        preflight(app, "/.well-known/openid-configuration", EVIL, "GET"),
    ):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers


def test_the_authorization_endpoint_is_for_nobody(app: Flask, flow: Flow) -> None:
    # It is visited, not fetched.
    page = flow.browser.get(
        "/oauth/authorize", query_string=flow.request(), headers={"Origin": ORIGIN}
    )
    for answer in (page, preflight(app, "/oauth/authorize", ORIGIN)):
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_the_api_answers_pages_of_the_tokens_client(app: Flask, flow: Flow) -> None:
    token = flow.tokens()["access_token"]
    cases = {
        ("/api/me", token, ORIGIN): (200, True),
        ("/api/me", token, EVIL): (200, False),
        ("/api/notes", token, ORIGIN): (403, True),
        ("/api/notes", token, EVIL): (403, False),
        ("/api/me", "x", ORIGIN): (401, True),
        ("/api/me", "x", EVIL): (401, False),
        ("/api/me", None, ORIGIN): (401, True),
        ("/api/me", None, EVIL): (401, False),
    }
    for (path, bearer, origin), (status, readable) in cases.items():
        headers = {"Origin": origin} | ({"Authorization": f"Bearer {bearer}"} if bearer else {})
        answer = app.test_client(use_cookies=False).get(path, headers=headers)
        assert answer.status_code == status
        found = answer.headers.get("Access-Control-Allow-Origin")
        assert found == (origin if readable else None), (path, bearer, origin)
        # A view of the host is for tokens: a session may do nothing there.
        assert "Access-Control-Allow-Credentials" not in answer.headers


def test_a_view_that_lets_sessions_in_is_not_opened_to_pages(app: Flask) -> None:
    def session_or_token(guarded):
        @functools.wraps(guarded)
        def either():
            return "by session" if current_user.is_authenticated else guarded()

        return either

    app.add_url_rule("/either", "either", session_or_token(app.view_functions["notes"]))
    register(app)
    browser = sign_in(app)
    for method in ("GET", "OPTIONS"):
        answer = browser.open("/either", method=method, headers={"Origin": ORIGIN})
        assert answer.status_code == 200
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


def test_a_page_of_another_client_does_not_read_the_api_with_a_token_it_found(
    app: Flask, flow: Flow
) -> None:
    register(app, redirect_uris=("https://other.example/cb",))
    answer = app.test_client(use_cookies=False).get(
        "/api/me",
        headers={
            "Origin": "https://other.example",
            "Authorization": f"Bearer {flow.tokens()['access_token']}",
        },
    )
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_the_preflight_of_a_guarded_view_names_its_methods(app: Flask, flow: Flow) -> None:
    answer = preflight(app, "/api/me", ORIGIN, "GET")
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert {"GET", "POST"} <= set(answer.headers["Access-Control-Allow-Methods"].split(", "))


def test_views_of_the_host_are_left_alone(app: Flask, flow: Flow) -> None:
    answer = app.test_client().get("/login", headers={"Origin": ORIGIN})
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert "Origin" not in answer.headers.get("Vary", "")


def test_what_the_host_has_said_is_not_said_again() -> None:
    app = make_app()

    @app.after_request
    def everywhere(response):
        response.headers["Access-Control-Allow-Origin"] = "*"
        return response

    answer = post(app, "/oauth/token", ORIGIN, client_id=register(app).client_id)
    assert answer.headers.getlist("Access-Control-Allow-Origin") == ["*"]


def test_origins_follow_the_client(app: Flask, flow: Flow) -> None:
    runner, known = app.test_cli_runner(), flow.client.client_id
    changed = runner.invoke(
        args=["pkce", "client", "update", known, "--redirect-uri", "https://moved.example/cb"]
    )
    assert changed.exit_code == 0, changed.output
    assert "Access-Control-Allow-Origin" not in preflight(app, "/oauth/token", ORIGIN).headers
    assert (
        "Access-Control-Allow-Origin"
        in preflight(app, "/oauth/token", "https://moved.example").headers
    )
    runner.invoke(args=["pkce", "client", "delete", known])
    assert (
        "Access-Control-Allow-Origin"
        not in preflight(app, "/oauth/token", "https://moved.example").headers
    )
