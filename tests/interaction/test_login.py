"""Signing in again, at the login pages that there are, and what it does to other apps."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask, redirect, request, session
from flask.testing import FlaskClient
from flask_login import confirm_login, current_user, login_user, logout_user
from flask_sqlalchemy import SQLAlchemy
from werkzeug.test import TestResponse

from flask_pkce_server import PKCEServer, user_logged_out
from flask_pkce_server.testing import (
    Clock,
    Flow,
    hidden_fields,
    parameters_of,
    register,
)

from ..host import SECRET_KEY, make_app
from ..openid import id_token, read

pytestmark = pytest.mark.thorough

FORM = "<h1>Sign in</h1>"


def host_with(kind: str) -> Flask:
    """Make a host with one of the login pages that are common."""
    app = make_app()

    def login_page() -> Any:
        if request.method == "GET":
            if current_user.is_authenticated and kind == "sends users to its home page":
                return redirect("/")
            if current_user.is_authenticated and kind == "sends users straight back":
                return redirect(request.args["next"])
            return FORM
        if kind == "clears the session first":
            session.clear()
        user = app.db.session.scalar(
            app.db.select(app.User).filter_by(username=request.form["username"])
        )
        login_user(user, remember=kind == "remembers users")
        if "acr" in request.form:
            app.pkce.signed_in(user, acr=request.form["acr"])
        return redirect(request.args.get("next", "/"), 303)

    @app.route("/again", methods=["GET", "POST"])
    def again() -> Any:
        if request.method == "GET":
            return FORM
        confirm_login()
        return redirect(request.args["next"], 303)

    @app.get("/")
    def home() -> str:
        return "home"

    @app.post("/clear")
    def clear() -> str:
        session.clear()
        logout_user()
        return ""

    app.view_functions["login_page"] = login_page
    if kind == "has a page of its own for it":
        app.login_manager.refresh_view = "again"
    return app


KINDS = (
    "shows its form to everybody",
    "sends users to its home page",
    "sends users straight back",
    "clears the session first",
    "remembers users",
    "has a page of its own for it",
)


@pytest.fixture
def app(request: pytest.FixtureRequest) -> Flask:
    return host_with(getattr(request, "param", "sends users to its home page"))


@pytest.fixture
def told(app: Flask) -> list[dict[str, Any]]:
    """What clients learn of sessions that end."""
    facts: list[dict[str, Any]] = []

    def listen(app: Flask, **fact: Any) -> None:
        facts.append(fact)

    user_logged_out.connect(listen, app)
    app.listener = listen  # type: ignore[attr-defined] # the signal keeps weak references
    return facts


@pytest.fixture
def browser(app: Flask) -> FlaskClient:
    browser = app.test_client()
    browser.post("/login", data={"username": "ada"})
    return browser


@pytest.fixture
def first(app: Flask, browser: FlaskClient) -> dict[str, Any]:
    """The tokens of another app, which Ada has signed in to before."""
    return Flow(browser, register(app, name="First"), scope="openid profile").tokens()


@pytest.fixture
def flow(app: Flask, browser: FlaskClient, first: dict[str, Any]) -> Flow:
    return Flow(browser, register(app, name="Second"), scope="openid")


def is_good(app: Flask, tokens: dict[str, Any]) -> bool:
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    answer = app.test_client(use_cookies=False).get("/api/me", headers=headers)
    return answer.status_code == 200


def follow(flow: Flow, answer: TestResponse) -> TestResponse:
    """Go where the browser is sent, at this host, and not for ever."""
    for _ in range(8):
        if not answer.headers.get("Location", "").startswith("/"):
            return answer
        answer = flow.browser.get(answer.headers["Location"])
    raise AssertionError("a loop")


def enter(flow: Flow, form: TestResponse, username: str = "ada", **more: str) -> dict[str, str]:
    """Sign in at the form that the browser shows, decide, and return what the client gets."""
    assert form.text == FORM
    url = form.request.full_path
    page = follow(flow, flow.browser.post(url, data={"username": username, **more}))
    return parameters_of(flow.decide(page) if page.status_code == 200 else page)


@pytest.mark.parametrize("app", KINDS, indirect=True)
@pytest.mark.parametrize("wish", [{"prompt": "login"}, {"max_age": "30"}])
def test_a_user_signs_in_again_and_stays_signed_in_to_other_apps(
    app: Flask,
    flow: Flow,
    first: dict[str, Any],
    told: list[dict[str, Any]],
    pkce_clock: Clock,
    wish: dict[str, str],
) -> None:
    # OIDC Core 3.1.2.1
    pkce_clock.advance(60)
    code = enter(flow, follow(flow, flow.authorize(**wish)))["code"]
    claims = read(app, flow.redeem(code).get_json()["id_token"])
    assert claims["auth_time"] == int(pkce_clock.now)
    assert claims["sid"] == read(app, first["id_token"])["sid"]
    assert is_good(app, first)
    assert told == []


@pytest.mark.parametrize("app", KINDS[:-1], indirect=True)
def test_another_user_who_signs_in_instead_ends_the_session(
    app: Flask, flow: Flow, first: dict[str, Any], told: list[dict[str, Any]]
) -> None:
    code = enter(flow, follow(flow, flow.authorize(prompt="login")), "bob")["code"]
    claims = read(app, flow.redeem(code).get_json()["id_token"])
    sid = read(app, first["id_token"])["sid"]
    assert (claims["sub"], claims["sid"] != sid) == ("2", True)
    assert [(fact["subject"], fact["sid"]) for fact in told] == [("1", sid)]
    assert not is_good(app, first)


def test_who_gives_up_at_the_form_is_signed_out_of_the_host_alone(
    app: Flask, flow: Flow, first: dict[str, Any], told: list[dict[str, Any]]
) -> None:
    assert follow(flow, flow.authorize(prompt="login")).text == FORM
    assert parameters_of(flow.authorize(prompt="none"))["error"] == "login_required"
    assert is_good(app, first)
    # The session waits for its user, however they come back.
    flow.browser.post("/login", data={"username": "ada"})
    assert id_token(flow)["sid"] == read(app, first["id_token"])["sid"]
    assert told == []


def test_a_request_that_was_posted_asks_once_too(flow: Flow) -> None:
    # Another site posts without the session cookie.
    stranger = flow.browser.application.test_client(use_cookies=False)
    posted = stranger.post("/oauth/authorize", data=flow.request(prompt="login"))
    name, _, rest = posted.headers.getlist("Set-Cookie")[0].partition("=")
    flow.browser.set_cookie(name, rest.partition(";")[0], path="/oauth/authorize")
    assert "code" in enter(flow, follow(flow, posted))


@pytest.mark.parametrize("app", ["remembers users"], indirect=True)
def test_a_remembered_user_whose_session_is_lost_has_not_signed_in(
    flow: Flow, pkce_clock: Clock
) -> None:
    # OIDC Core 2: auth_time is REQUIRED if max_age was requested.
    pkce_clock.advance(7200)
    aside = flow.authorize(max_age="60")
    flow.browser.delete_cookie("session")
    assert "code" in enter(flow, follow(flow, aside))


# An essential acr.


def wanted(acr: str) -> str:
    return json.dumps({"id_token": {"acr": {"essential": True, "value": acr}}})


def test_an_essential_acr_that_the_session_lacks_is_reached_by_signing_in(
    app: Flask, flow: Flow, first: dict[str, Any]
) -> None:
    # OIDC Core 5.5.1.1
    code = enter(flow, follow(flow, flow.authorize(claims=wanted("mfa"))), acr="mfa")["code"]
    claims = read(app, flow.redeem(code).get_json()["id_token"])
    assert claims["acr"] == "mfa"
    assert is_good(app, first)
    assert "code" in parameters_of(flow.authorize(claims=wanted("mfa"), prompt="none"))


@pytest.mark.parametrize("prompt", [None, "login"])
def test_an_essential_acr_is_refused_only_after_the_user_signed_in(
    flow: Flow, prompt: str | None
) -> None:
    form = follow(flow, flow.authorize(claims=wanted("mfa"), prompt=prompt))
    assert enter(flow, form, acr="pwd")["error"] == "unmet_authentication_requirements"


def test_an_essential_acr_is_refused_at_once_if_the_user_must_not_be_asked(flow: Flow) -> None:
    answer = parameters_of(flow.authorize(claims=wanted("mfa"), prompt="none"))
    assert answer["error"] == "unmet_authentication_requirements"


def test_a_subject_that_is_asked_for_may_sign_in(app: Flask, flow: Flow) -> None:
    # OIDC Core 5.5.1
    claims = json.dumps({"id_token": {"sub": {"value": "2"}}})
    answer = parameters_of(flow.authorize(claims=claims, prompt="none"))
    assert answer["error"] == "login_required"
    code = enter(flow, follow(flow, flow.authorize(claims=claims)), "bob")["code"]
    assert read(app, flow.redeem(code).get_json()["id_token"])["sub"] == "2"
    flow.browser.post("/login", data={"username": "ada"})
    answer = enter(flow, follow(flow, flow.authorize(claims=claims)), "ada")
    assert answer["error"] == "login_required"


# Sessions that the host clears.


@pytest.mark.parametrize("app", ["clears the session first"], indirect=True)
def test_a_sign_in_over_another_ends_it_though_the_session_was_cleared(
    app: Flask, browser: FlaskClient, first: dict[str, Any], told: list[dict[str, Any]]
) -> None:
    browser.post("/login", data={"username": "bob"})
    assert [fact["subject"] for fact in told] == ["1"]
    assert not is_good(app, first)


@pytest.mark.parametrize("app", ["clears the session first"], indirect=True)
def test_the_same_user_keeps_the_session_that_was_cleared(
    app: Flask, flow: Flow, first: dict[str, Any], told: list[dict[str, Any]]
) -> None:
    flow.browser.post("/login", data={"username": "ada"})
    assert id_token(flow)["sid"] == read(app, first["id_token"])["sid"]
    flow.browser.post("/logout")
    assert len(told) == 1
    assert not is_good(app, first)


def test_a_logout_ends_the_session_though_it_was_cleared_before(
    app: Flask, browser: FlaskClient, first: dict[str, Any], told: list[dict[str, Any]]
) -> None:
    browser.post("/clear")
    assert len(told) == 1
    assert not is_good(app, first)
    assert browser.get_cookie("pkce_session") is None


def test_a_session_cookie_of_somebody_else_means_nothing(
    app: Flask, browser: FlaskClient, first: dict[str, Any], told: list[dict[str, Any]]
) -> None:
    forged = app.test_client()
    forged.set_cookie("pkce_session", browser.get_cookie("pkce_session").value[:-2] + "xx")
    forged.post("/login", data={"username": "bob"})
    assert told == []


# Hosts without Flask-Login.


def own_host(*, reports: bool, signs_out: bool) -> Flask:
    """Make a host that has only a key in the session."""
    app, db = Flask("own"), SQLAlchemy()
    app.config.update(
        TESTING=True,
        SECRET_KEY=SECRET_KEY,
        SQLALCHEMY_DATABASE_URI="sqlite://",
        PKCE_ISSUER="https://own.example",
    )
    db.init_app(app)
    pkce = app.pkce = PKCEServer(db)  # type: ignore[attr-defined]
    pkce.init_app(app)
    pkce.current_user(lambda: session.get("who"))
    pkce.user_loader(lambda subject: subject)
    pkce.user_subject(lambda user: user)
    pkce.user_name(lambda user: user)
    pkce.login_required_response(lambda next_url: redirect(f"/login?next={next_url}"))
    if signs_out:

        @pkce.sign_out
        def log_out() -> None:
            pkce.signed_out()
            session.clear()

    @app.route("/login", methods=["GET", "POST"])
    def login() -> Any:
        if request.method == "GET":
            return FORM
        session["who"] = request.form["username"]
        if reports:
            pkce.signed_in(session["who"])
        return redirect(request.args.get("next", "/"), 303)

    @app.get("/api/me")
    @pkce.require("profile")
    def me() -> str:
        return ""

    with app.app_context():
        db.create_all()
    return app


@pytest.mark.parametrize("signs_out", [True, False])
def test_users_of_the_hosts_own_sign_in_again(signs_out: bool) -> None:
    app = own_host(reports=True, signs_out=signs_out)
    browser = app.test_client()
    browser.post("/login", data={"username": "ada"})
    first = Flow(browser, register(app), scope="openid profile").tokens()
    flow = Flow(browser, register(app), scope="openid")
    assert "code" in enter(flow, follow(flow, flow.authorize(prompt="login")))
    assert is_good(app, first)


def test_a_host_that_reports_no_sign_ins_is_asked_once_and_not_believed() -> None:
    app = own_host(reports=False, signs_out=True)
    browser = app.test_client()
    browser.post("/login", data={"username": "ada"})
    flow = Flow(browser, register(app), scope="openid")
    answer = enter(flow, follow(flow, flow.authorize(prompt="login")))
    assert answer["error"] == "login_required"


def test_another_user_ends_the_session_at_a_host_that_reports_no_sign_ins() -> None:
    app = own_host(reports=False, signs_out=False)
    browser = app.test_client()
    browser.post("/login", data={"username": "ada"})
    first = Flow(browser, register(app), scope="openid profile").tokens()
    browser.post("/login", data={"username": "bob"})
    assert hidden_fields(Flow(browser, register(app)).authorize().text)
    assert not is_good(app, first)
