"""Logout asked for by a client: with and without a hint, there and back."""

from __future__ import annotations

import pytest
from flask import Flask
from jinja2 import DictLoader
from werkzeug.test import TestResponse

from flask_pkce_server import user_logged_out
from flask_pkce_server.errors import InvalidRequestError
from flask_pkce_server.testing import Clock, Flow, hidden_fields, parameters_of, register

from ..device import Device, television
from ..host import make_app, sign_in

BYE = "https://client.example/bye"


@pytest.fixture
def flow(app: Flask) -> Flow:
    return flow_of(app)


def flow_of(app: Flask) -> Flow:
    metadata = {"post_logout_redirect_uris": [BYE, "https://client.example/bye?x=1"]}
    known = register(app, client_metadata=metadata)
    return Flow(sign_in(app), known, scope="openid profile offline_access")


def leave(flow: Flow, **parameters: str) -> TestResponse:
    return flow.browser.get("/oauth/logout", query_string=parameters)


def answer_form(flow: Flow, page: TestResponse, decision: str) -> TestResponse:
    form = {**hidden_fields(page.text), "decision": decision}
    return flow.browser.post("/oauth/logout", data=form)


def is_signed_in(flow: Flow) -> bool:
    return "/oauth/authorize?r=" not in flow.authorize().headers.get("Location", "")


def test_with_a_hint_of_this_session_at_once(flow: Flow) -> None:
    # RP-Initiated Logout 1.0 2, 3
    hint = flow.tokens()["id_token"]
    answer = leave(flow, id_token_hint=hint, post_logout_redirect_uri=BYE, state="a b&c")
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"{BYE}?state=a%20b%26c"
    assert answer.headers["Cache-Control"] == "no-store"
    assert not is_signed_in(flow)


def test_without_state_the_uri_comes_back_as_it_is(flow: Flow) -> None:
    hint = flow.tokens()["id_token"]
    answer = leave(flow, id_token_hint=hint, post_logout_redirect_uri=f"{BYE}?x=1")
    assert answer.headers["Location"] == f"{BYE}?x=1"


def test_an_expired_hint_is_fine(flow: Flow, pkce_clock: Clock) -> None:
    hint = flow.tokens()["id_token"]
    pkce_clock.advance(86400)
    answer = leave(flow, id_token_hint=hint, post_logout_redirect_uri=BYE)
    assert answer.headers["Location"] == BYE
    assert not is_signed_in(flow)


def test_with_no_uri_there_is_a_page(flow: Flow) -> None:
    answer = leave(flow, id_token_hint=flow.tokens()["id_token"])
    assert answer.status_code == 200
    assert "You are signed out" in answer.text
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


def test_without_a_hint_the_user_is_asked(flow: Flow) -> None:
    page = leave(flow, client_id=flow.client.client_id, post_logout_redirect_uri=BYE, state="s")
    assert page.status_code == 200
    assert "Notebook" in page.text
    assert "Ada Lovelace" in page.text
    assert is_signed_in(flow)
    answer = answer_form(flow, page, "allow")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{BYE}?state=s")
    assert not is_signed_in(flow)


def test_with_nothing_at_all_the_user_is_asked(flow: Flow) -> None:
    page = leave(flow)
    assert "Sign out of host?" in page.text
    assert "You are signed out" in answer_form(flow, page, "allow").text
    assert not is_signed_in(flow)


def test_who_stays_is_sent_nowhere(flow: Flow) -> None:
    page = leave(flow, client_id=flow.client.client_id, post_logout_redirect_uri=BYE)
    answer = answer_form(flow, page, "deny")
    assert "You are still signed in" in answer.text
    assert is_signed_in(flow)


def test_a_hint_of_another_session_or_user_asks(app: Flask, flow: Flow) -> None:
    for browser in (sign_in(app), sign_in(app, "bob")):
        hint = Flow(browser, flow.client, scope="openid").tokens()["id_token"]
        page = leave(flow, id_token_hint=hint, post_logout_redirect_uri=BYE)
        assert page.status_code == 200
        assert is_signed_in(flow)


def test_a_hint_that_proves_nothing_asks_and_leads_nowhere(app: Flask, flow: Flow) -> None:
    # RP-Initiated Logout 1.0 2, 6
    hint = flow.tokens()["id_token"]
    other = register(app, client_metadata={"post_logout_redirect_uris": [BYE]})
    foreign = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2F1dGguZXhhbXBsZSJ9."
    for parameters in (
        {"id_token_hint": hint[:-3] + ("AAA" if hint[-3:] != "AAA" else "BBB")},
        {"id_token_hint": foreign},
        {"id_token_hint": "x"},
        {"id_token_hint": flow.tokens()["access_token"]},
        {"id_token_hint": hint, "client_id": other.client_id},
        {"client_id": "nobody"},
        {},
    ):
        flow.browser.post("/login", data={"username": "ada"})
        page = leave(flow, post_logout_redirect_uri=BYE, **parameters)
        assert page.status_code == 200, parameters
        assert is_signed_in(flow)
        answer = answer_form(flow, page, "allow")
        assert "You are signed out" in answer.text
        assert not is_signed_in(flow)


@pytest.mark.parametrize("days", [0, 45])
def test_a_hint_whose_key_is_gone_asks_and_leads_back(
    app: Flask, flow: Flow, pkce_clock: Clock, days: int
) -> None:
    query = {
        "id_token_hint": flow.tokens()["id_token"],
        "client_id": flow.client.client_id,
        "post_logout_redirect_uri": BYE,
    }
    run = app.test_cli_runner().invoke
    run(args=["pkce", "key", "rotate", *([] if days else ["--compromised"])])
    pkce_clock.advance(86400 * days)
    run(args=["pkce", "prune"])
    page = leave(flow, **query)
    assert "Sign out of host?" in page.text
    assert answer_form(flow, page, "allow").headers["Location"] == BYE
    assert not is_signed_in(flow)


def test_signed_userinfo_is_no_hint(app: Flask) -> None:
    # RFC 8725 3.11
    metadata = {"userinfo_signed_response_alg": "RS256", "post_logout_redirect_uris": [BYE]}
    flow = Flow(sign_in(app), register(app, client_metadata=metadata), scope="openid")
    headers = {"Authorization": f"Bearer {flow.tokens()['access_token']}"}
    userinfo = app.test_client().get("/oauth/userinfo", headers=headers)
    assert userinfo.mimetype == "application/jwt"
    page = leave(flow, id_token_hint=userinfo.text, post_logout_redirect_uri=BYE)
    assert "Sign out of host?" in page.text
    assert is_signed_in(flow)


def test_the_id_token_of_a_device_asks(app: Flask, flow: Flow) -> None:
    # A device is no part of the session: its ID token has no sid.
    device = Device(flow.browser, television(app))
    page = leave(flow, id_token_hint=device.tokens()["id_token"])
    assert "Sign out of host?" in page.text
    assert is_signed_in(flow)


@pytest.mark.parametrize(
    "uri",
    [
        "https://client.example/other",
        f"{BYE}?",
        f"{BYE}?y=1",
        f"{BYE}?x=1&y=2",
        f"{BYE}/",
        f"{BYE}#x",
        "https://evil.example/bye",
        "javascript:alert(1)",
        'https://client.example/"><b>',
    ],
)
def test_a_uri_that_was_not_registered_is_an_error_and_no_redirect(flow: Flow, uri: str) -> None:
    answer = leave(
        flow, id_token_hint=flow.tokens()["id_token"], post_logout_redirect_uri=uri, state="s"
    )
    assert answer.status_code == 400
    assert "post_logout_redirect_uri is not one that this client registered." in answer.text
    assert "Location" not in answer.headers
    assert "<b>" not in answer.text
    assert is_signed_in(flow)


def test_state_alone_leads_nowhere(flow: Flow) -> None:
    page = leave(flow, state="s")
    answer = answer_form(flow, page, "allow")
    assert answer.status_code == 200
    assert "Location" not in answer.headers


def test_a_form_without_its_csrf_token_signs_nobody_out(flow: Flow) -> None:
    # Authlib's documented sample signs out by any POST.
    page = leave(flow)
    form = {**hidden_fields(page.text), "decision": "allow"}
    form.pop("csrf_token")
    assert flow.browser.post("/oauth/logout", data=form).status_code == 400
    assert is_signed_in(flow)


def test_the_form_of_one_user_does_not_sign_out_another(app: Flask, flow: Flow) -> None:
    page = leave(flow)
    flow.browser.post("/login", data={"username": "bob"})
    assert answer_form(flow, page, "allow").status_code == 400
    assert is_signed_in(flow)


def test_who_agreed_to_a_logout_has_agreed_to_nothing_else(flow: Flow) -> None:
    # The form of this page carries whatever the request said.
    page = leave(flow, **flow.request(scope="notes:write"))
    answer = flow.browser.post(
        "/oauth/authorize", data={**hidden_fields(page.text), "decision": "allow"}
    )
    assert answer.status_code == 400
    assert "Location" not in answer.headers


def test_a_request_that_another_site_posts_comes_back_with_the_session(flow: Flow) -> None:
    hint = flow.tokens()["id_token"]
    form = {"id_token_hint": hint, "post_logout_redirect_uri": BYE, "state": "s"}
    # Cross-site, the browser sends no session cookie with a POST.
    stranger = flow.browser.application.test_client()
    answer = stranger.post("/oauth/logout", data=form)
    assert answer.status_code == 303
    answer = flow.browser.get(answer.headers["Location"])
    assert answer.headers["Location"] == f"{BYE}?state=s"
    assert not is_signed_in(flow)


def test_posted_with_the_session_at_once(flow: Flow) -> None:
    form = {"id_token_hint": flow.tokens()["id_token"], "post_logout_redirect_uri": BYE}
    answer = flow.browser.post("/oauth/logout", data=form)
    assert (answer.status_code, answer.headers["Location"]) == (303, BYE)


def test_who_is_signed_out_already_is_sent_back(flow: Flow) -> None:
    # DOT #1287: the second client that asks for the same gets the same.
    hint = flow.tokens()["id_token"]
    for _ in range(2):
        answer = leave(flow, id_token_hint=hint, post_logout_redirect_uri=BYE)
        assert answer.headers["Location"] == BYE


@pytest.mark.parametrize(
    ("uri", "is_stranger", "goes_there"),
    [(BYE, True, False), (BYE, False, True), ("http://localhost/bye", True, True)],
)
def test_a_link_leads_to_no_address_of_a_stranger(
    app: Flask, uri: str, is_stranger: bool, goes_there: bool
) -> None:
    # RP-Initiated Logout 1.0 3: without a hint, not where it is not known to be legitimate.
    metadata = {"post_logout_redirect_uris": [uri]}
    known = register(app, self_registered=is_stranger, client_metadata=metadata)
    answer = leave(
        Flow(app.test_client(), known), client_id=known.client_id, post_logout_redirect_uri=uri
    )
    assert answer.headers.get("Location") == (uri if goes_there else None)
    assert ("You are signed out" in answer.text) is not goes_there


def test_a_form_of_the_logout_page_leads_to_no_address_of_a_stranger_either(app: Flask) -> None:
    metadata = {"post_logout_redirect_uris": [BYE]}
    known = register(app, self_registered=True, client_metadata=metadata)
    page = leave(
        Flow(sign_in(app, "bob"), known), client_id=known.client_id, post_logout_redirect_uri=BYE
    )
    # Somebody else's form, posted by another site in the browser of a visitor.
    answer = answer_form(Flow(app.test_client(), known), page, "allow")
    assert "Location" not in answer.headers
    assert "You are signed out" in answer.text


def test_who_was_to_sign_in_again_and_left_is_signed_out_by_an_app(app: Flask, flow: Flow) -> None:
    tokens = flow.tokens(scope="openid profile")
    other = Flow(flow.browser, register(app), scope="openid")
    flow.browser.get(other.authorize(prompt="login").headers["Location"])
    assert not is_signed_in(flow)
    program = app.test_client(use_cookies=False)
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert program.get("/api/me", headers=headers).status_code == 200
    leave(flow, id_token_hint=tokens["id_token"])
    assert program.get("/api/me", headers=headers).status_code == 401


def test_what_was_not_granted_for_good_ends_with_the_session(app: Flask, flow: Flow) -> None:
    # Back-Channel Logout 1.0 2.7: offline_access outlives a logout, the rest does not.
    online = flow.tokens(scope="openid profile")
    offline = flow.tokens()
    leave(flow, id_token_hint=offline["id_token"])
    program = app.test_client(use_cookies=False)

    def status(tokens: dict) -> int:
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        return program.get("/api/me", headers=headers).status_code

    assert status(online) == 401
    assert status(offline) == 200
    assert flow.refresh(offline["refresh_token"]).status_code == 200


def test_the_logout_of_the_host_itself_ends_the_session_too(app: Flask, flow: Flow) -> None:
    told: list[dict] = []

    def listen(app: Flask, **facts) -> None:
        told.append(facts)

    user_logged_out.connect(listen, app)
    token = flow.tokens(scope="openid profile")["access_token"]
    flow.browser.post("/logout")
    assert [(one["subject"], one["client_ids"]) for one in told] == [("1", [flow.client.client_id])]
    answer = app.test_client().get("/api/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    flow.browser.post("/logout")
    assert len(told) == 1


def test_who_signs_in_as_another_ends_the_session_of_the_first(app: Flask, flow: Flow) -> None:
    told: list[dict] = []

    def listen(app: Flask, **facts) -> None:
        told.append(facts)

    user_logged_out.connect(listen, app)
    flow.tokens()
    flow.browser.post("/login", data={"username": "bob"})
    assert [one["subject"] for one in told] == ["1"]


@pytest.mark.parametrize("uri", ["javascript:alert(1)", "http://client.example/", "/bye", "x#y"])
def test_what_may_not_be_registered(app: Flask, uri: str) -> None:
    with pytest.raises(InvalidRequestError):
        register(app, client_metadata={"post_logout_redirect_uris": [uri]})


def test_the_hosts_own_pages_take_the_place_of_ours() -> None:
    # An app that has shown no page yet: templates are kept.
    app = make_app()
    flow = flow_of(app)
    app.jinja_loader = DictLoader({"pkce/logged_out.html": "Goodbye from the host"})
    assert leave(flow, id_token_hint=flow.tokens()["id_token"]).text == "Goodbye from the host"


@pytest.mark.parametrize("scope", ["openid profile", "profile"])
def test_what_is_under_way_ends_with_the_session_too(app: Flask, scope: str) -> None:
    app.config["PKCE_REFRESH_TOKEN_WHEN"] = "always"
    flow = Flow(sign_in(app), register(app), scope=scope)
    tokens, code = flow.tokens(), flow.allow()["code"]
    flow.browser.post("/logout")
    assert flow.redeem(code).get_json()["error"] == "invalid_grant"
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert app.test_client().get("/api/me", headers=headers).status_code == 401


def test_a_code_with_offline_access_outlives_the_session(app: Flask) -> None:
    # OIDC Core 11
    flow = Flow(sign_in(app), register(app), scope="openid offline_access")
    code = flow.allow()["code"]
    flow.browser.post("/logout")
    assert flow.redeem(code).status_code == 200


def test_a_cookie_of_a_session_that_is_over_signs_in_no_app(app: Flask) -> None:
    flow = Flow(sign_in(app), register(app, skip_consent=True), scope="openid")
    flow.tokens()
    cookie = flow.browser.get_cookie("session")
    flow.browser.post("/logout")
    # It was on its way, or a response on its way has brought it back.
    flow.browser.set_cookie("session", cookie.value)
    assert parameters_of(flow.authorize(prompt="none"))["error"] == "login_required"
