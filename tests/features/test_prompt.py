"""prompt, max_age, id_token_hint: what a client asks of the sign-in."""

from __future__ import annotations

import pytest
from flask import Flask, redirect, request
from flask.testing import FlaskClient
from flask_login import current_user, login_user
from werkzeug.test import TestResponse

from flask_pkce_server import ConfigurationError
from flask_pkce_server.testing import Clock, Flow, hidden_fields, parameters_of, register

from ..host import make_app, sign_in
from ..openid import id_token, read


@pytest.fixture
def flow(pkce_flow: Flow) -> Flow:
    pkce_flow.scope = "openid profile"
    return pkce_flow


def sign_in_again(flow: Flow, username: str = "ada", **changes: str | None) -> dict[str, str]:
    """Follow the browser to the login page, sign in there, decide; what the client gets."""
    answer = flow.authorize(**changes)
    assert answer.status_code == 302, answer.text
    aside = answer.headers["Location"]
    login = flow.browser.get(aside).headers["Location"]
    assert login.startswith("/login"), login
    back = flow.browser.post(login, data={"username": username})
    page = flow.browser.get(back.headers["Location"])
    return parameters_of(flow.decide(page) if page.status_code == 200 else page)


# prompt=none


def test_none_answers_at_once_when_nothing_is_left_to_ask(flow: Flow) -> None:
    flow.allow()
    assert "code" in parameters_of(flow.authorize(prompt="none"))


def test_none_is_login_required_for_a_visitor(app: Flask) -> None:
    flow = Flow(app.test_client(), register(app), scope="openid")
    answer = parameters_of(flow.authorize(prompt="none"))
    assert (answer["error"], answer["state"]) == ("login_required", flow.state)
    assert answer["iss"] == "https://auth.example"


def test_none_is_consent_required_for_what_is_new(flow: Flow) -> None:
    flow.allow()
    answer = parameters_of(flow.authorize(prompt="none", scope="openid profile notes:read"))
    assert answer["error"] == "consent_required"


@pytest.mark.parametrize("mode", ["query", "fragment"])
def test_none_answers_in_the_response_mode_that_was_asked_for(app: Flask, mode: str) -> None:
    flow = Flow(app.test_client(), register(app), scope="openid")
    location = flow.authorize(prompt="none", response_mode=mode).headers["Location"]
    assert ("#" if mode == "fragment" else "?") + "error=login_required" in location


def test_none_that_was_posted_looks_again_with_the_session_cookie(flow: Flow) -> None:
    # Another site posts without it; OIDC Core 3.1.2.1 wants GET and POST alike.
    flow.allow()
    visitor = flow.browser.application.test_client()
    answer = visitor.post("/oauth/authorize", data=flow.request(prompt="none"))
    assert answer.status_code == 303
    assert "error" not in answer.headers["Location"]
    answer = flow.browser.post("/oauth/authorize", data=flow.request(prompt="none"))
    assert "code" in parameters_of(flow.browser.get(answer.headers["Location"]))


@pytest.mark.parametrize("prompt", ["none login", "login none", "bogus", "consent bogus", "create"])
def test_what_does_not_go_together_or_is_unknown_is_refused(flow: Flow, prompt: str) -> None:
    # Authlib #735
    answer = parameters_of(flow.authorize(prompt=prompt))
    assert answer["error"] == "invalid_request"


# prompt=login, max_age


@pytest.mark.parametrize("prompt", ["login", "select_account"])
def test_login_asks_again_and_auth_time_moves(app: Flask, pkce_clock: Clock, prompt: str) -> None:
    flow = Flow(sign_in(app), register(app), scope="openid")
    first = id_token(flow)
    pkce_clock.advance(60)
    code = sign_in_again(flow, prompt=prompt)["code"]
    second = read(app, flow.redeem(code).get_json()["id_token"])
    assert second["auth_time"] == first["auth_time"] + 60
    assert second["sid"] == first["sid"]


def test_login_does_not_ask_a_visitor_twice(app: Flask) -> None:
    flow = Flow(app.test_client(), register(app), scope="openid")
    assert "code" in sign_in_again(flow, prompt="login")


def test_login_that_was_not_followed_asks_again(flow: Flow) -> None:
    aside = flow.authorize(prompt="login").headers["Location"]
    assert "/login" in flow.browser.get(aside).headers["Location"]
    assert "/login" in flow.browser.get(aside).headers["Location"]


def bouncing_app(*, ends_sessions: bool = True) -> Flask:
    """A host whose login page sends away whoever is signed in, as many do."""
    app = make_app()

    def login_page():
        if request.method == "GET" and current_user.is_authenticated:
            return redirect(request.args["next"])
        if request.method == "POST":
            login_user(app.db.session.get(app.User, 1))
        return "the login page"

    app.view_functions["login_page"] = login_page
    if not ends_sessions:
        app.pkce.sign_out(lambda: None)
    return app


def follow(flow: Flow, answer: TestResponse) -> TestResponse:
    """Go where the browser is sent, at this host, and not for ever."""
    for _ in range(8):
        if not answer.headers.get("Location", "").startswith("/"):
            return answer
        answer = flow.browser.get(answer.headers["Location"])
    raise AssertionError("a loop")


def test_a_login_page_that_sends_the_user_back_is_shown_without_the_session() -> None:
    app = bouncing_app()
    flow = Flow(sign_in(app), register(app), scope="openid")
    answer = follow(flow, flow.authorize(prompt="login"))
    assert answer.text == "the login page"
    flow.browser.post("/login")
    assert flow.browser.get(answer.request.args["next"]).status_code == 200


def test_a_host_that_cannot_ask_again_is_an_error_and_no_loop() -> None:
    app = bouncing_app(ends_sessions=False)
    flow = Flow(sign_in(app), register(app), scope="openid")
    answer = follow(flow, flow.authorize(prompt="login"))
    assert parameters_of(answer)["error"] == "login_required"


def test_max_age_asks_only_who_signed_in_too_long_ago(app: Flask, pkce_clock: Clock) -> None:
    # Authlib #741
    flow = Flow(sign_in(app), register(app), scope="openid")
    pkce_clock.advance(30)
    assert "auth_time" in id_token(flow, max_age="10000")
    assert "code" in parameters_of(flow.authorize(max_age="10000", prompt="none"))
    assert parameters_of(flow.authorize(max_age="1", prompt="none"))["error"] == "login_required"
    code = sign_in_again(flow, max_age="1")["code"]
    claims = read(app, flow.redeem(code).get_json()["id_token"])
    assert claims["auth_time"] == int(pkce_clock.now)


def test_max_age_is_kept_while_the_user_thinks(app: Flask, pkce_clock: Clock) -> None:
    flow = Flow(sign_in(app), register(app), scope="openid")
    page = flow.authorize(max_age="60")
    pkce_clock.advance(61)
    answer = flow.decide(page)
    assert answer.headers["Location"].startswith("/oauth/authorize?r=")


def test_max_age_does_not_trust_a_remember_cookie(app: Flask) -> None:
    browser = app.test_client()
    with browser.session_transaction() as session:
        session["_user_id"] = "1"
    flow = Flow(browser, register(app), scope="openid")
    assert parameters_of(flow.authorize(max_age="9999", prompt="none"))["error"] == "login_required"


@pytest.mark.parametrize("value", ["-1", "abc", "1.5", "9" * 30, "٣", "0x10"])
def test_max_age_that_is_no_number_is_refused(flow: Flow, value: str) -> None:
    assert parameters_of(flow.authorize(max_age=value))["error"] == "invalid_request"


# prompt=consent, prompt=create


def test_consent_asks_for_what_was_allowed_before(flow: Flow) -> None:
    flow.allow()
    assert flow.authorize().status_code == 302
    page = flow.authorize(prompt="consent")
    assert page.status_code == 200
    assert "Allowed before" in page.text
    assert "code" in parameters_of(flow.decide(page))


def test_create_leads_to_the_sign_up_page_that_the_host_names() -> None:
    app = make_app(PKCE_PROMPT_SIGN_UP_VIEW="sign_up")

    @app.route("/sign-up", methods=["GET", "POST"])
    def sign_up():
        user = app.User(username="eve", name="Eve")
        app.db.session.add(user)
        app.db.session.commit()
        login_user(user)
        return redirect(request.args["next"])

    flow = Flow(app.test_client(), register(app), scope="openid")
    page = follow(flow, flow.authorize(prompt="create"))
    assert "Eve" in page.text
    assert hidden_fields(page.text)
    assert "create" in app.extensions["pkce"].metadata()["prompt_values_supported"]


def test_the_sign_up_page_is_named_by_its_endpoint() -> None:
    with pytest.raises(ConfigurationError, match="names an endpoint"):
        make_app(PKCE_PROMPT_SIGN_UP_VIEW="/sign-up")


# id_token_hint


def test_a_hint_of_the_user_who_is_here_asks_nothing(flow: Flow, pkce_clock: Clock) -> None:
    hint = flow.tokens()["id_token"]
    pkce_clock.advance(4000)  # expired; that does not matter
    assert "code" in parameters_of(flow.authorize(prompt="none", id_token_hint=hint))


def test_a_hint_of_somebody_else_is_login_required_or_asks_who(app: Flask, flow: Flow) -> None:
    other = Flow(sign_in(app, "bob"), flow.client, scope="openid")
    hint = other.tokens()["id_token"]
    flow.allow()
    answer = parameters_of(flow.authorize(prompt="none", id_token_hint=hint))
    assert answer["error"] == "login_required"
    code = sign_in_again(flow, "bob", id_token_hint=hint)["code"]
    assert read(app, flow.redeem(code).get_json()["id_token"])["sub"] == "2"


def test_a_hint_of_somebody_who_did_not_sign_in_ends_with_an_error(app: Flask, flow: Flow) -> None:
    hint = Flow(sign_in(app, "bob"), flow.client, scope="openid").tokens()["id_token"]
    answer = sign_in_again(flow, "ada", id_token_hint=hint)
    assert answer["error"] == "login_required"


def altered(token: str) -> str:
    head, body, signature = token.split(".")
    return f"{head}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"


@pytest.mark.parametrize(
    "bad", ["x", "a.b.c", "..", "é.é.é", "[" * 3000, "eyJhbGciOiJub25lIn0.e30."]
)
def test_a_hint_that_is_no_id_token_is_an_invalid_request(flow: Flow, bad: str) -> None:
    assert parameters_of(flow.authorize(id_token_hint=bad))["error"] == "invalid_request"


def test_a_hint_that_was_altered_or_is_another_clients_is_an_invalid_request(
    app: Flask, flow: Flow, client: FlaskClient
) -> None:
    hint = flow.tokens()["id_token"]
    other = Flow(client, register(app), scope="openid").tokens()["id_token"]
    for bad in (altered(hint), other):
        answer = parameters_of(flow.authorize(id_token_hint=bad, prompt="none"))
        assert answer["error"] == "invalid_request"


def test_a_hint_whose_key_is_gone_is_login_required_or_counts_as_none(
    app: Flask, flow: Flow
) -> None:
    hint = flow.tokens()["id_token"]
    app.test_cli_runner().invoke(args=["pkce", "key", "rotate", "--compromised"])
    answer = parameters_of(flow.authorize(prompt="none", id_token_hint=hint))
    assert answer["error"] == "login_required"
    assert "code" in flow.allow(id_token_hint=hint)


# What is taken and changes nothing.


def test_the_other_parameters_of_openid_connect_are_accepted(flow: Flow) -> None:
    answer = flow.allow(
        login_hint="ada@example.com",
        ui_locales="fr-CA fr en",
        claims_locales="de",
        display="popup",
        acr_values="urn:mace:incommon:iap:silver 1",
        extra="foobar",
    )
    assert "code" in answer
