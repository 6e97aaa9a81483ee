"""How people sign in, sign up and leave in the example host, which others copy."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from time import thread_time
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update
from werkzeug.security import generate_password_hash
from werkzeug.test import TestResponse

from example_app import create_app
from example_app.attempts import Attempt
from example_app.extensions import db
from example_app.models import Note, User
from flask_pkce_server.testing import Flow, hidden_fields, parameters_of, register

pytestmark = pytest.mark.thorough

WRONG, TOO_MANY = "Wrong username or password.", "Too many attempts."
NEW = {
    "username": "grace",
    "name": "Grace Hopper",
    "email": "grace@example.com",
    "password": "a compiler",
}


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Flask]]:
    made = []

    def make(**config: Any) -> Flask:
        app = create_app(
            {
                "TESTING": True,
                "SECRET_KEY": "a-secret-key-of-the-tests-0123456789",
                "SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path}/notes{len(made)}.db",
                **config,
            }
        )
        made.append(app)
        return app

    yield make
    for app in made:
        with app.app_context():
            db.engine.dispose()


@pytest.fixture
def app(make: Callable[..., Flask]) -> Flask:
    app = make()
    with app.app_context():
        # How slow hashing is has a test of its own.
        user = db.session.scalars(db.select(User)).one()
        user.password_hash = generate_password_hash("demo", "pbkdf2:sha256:1")
        db.session.commit()
    return app


def send(browser: FlaskClient, path: str, base_url: str = "", **fields: str) -> TestResponse:
    """Fill in and send the form at `path`."""
    where = {"base_url": base_url, "headers": {"Referer": base_url}} if base_url else {}
    token = hidden_fields(browser.get(path, **where).text)["csrf_token"]
    return browser.post(path, data={"csrf_token": token, **fields}, **where)


def sign_in(
    browser: FlaskClient, password: str = "demo", username: str = "demo", path: str = "/login"
) -> TestResponse:
    return send(browser, path, username=username, password=password)


def browser_at(app: Flask, address: str) -> FlaskClient:
    browser = app.test_client()
    browser.environ_base["REMOTE_ADDR"] = address
    return browser


# Signing in.


def test_the_login_page_has_two_inputs_and_one_button(app: Flask) -> None:
    page = app.test_client().get("/login").text
    assert re.findall(r'<label for="(\w+)"', page) == ["username", "password"]
    assert re.findall(r'<input id="(\w+)" name="\1"(?! type="hidden")', page) == [
        "username",
        "password",
    ]
    assert page.count('type="submit"') == 1


def test_a_wrong_password_signs_nobody_in(app: Flask) -> None:
    browser = app.test_client()
    answer = sign_in(browser, "wrong")
    assert answer.status_code == 401
    assert 'role="alert"' in answer.text
    assert "Your notes" not in browser.get("/").text


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("/playground", "/playground"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
def test_signing_in_leads_nowhere_else(app: Flask, wanted: str, found: str) -> None:
    for path, fields in (
        ("/login", {"username": "demo", "password": "demo"}),
        ("/sign-up", {**NEW, "username": f"grace{len(wanted)}"}),
    ):
        answer = send(app.test_client(), f"{path}?{urlencode({'next': wanted})}", **fields)
        assert answer.headers["Location"] == found


@pytest.mark.parametrize("username", ["nobody", "\0", "x" * 81])
def test_who_is_not_here_gets_the_answer_of_a_wrong_password(app: Flask, username: str) -> None:
    answer = sign_in(app.test_client(), username=username)
    assert answer.status_code == 401
    assert WRONG in answer.text


def test_an_unknown_name_takes_as_long_as_a_wrong_password(make: Callable[..., Flask]) -> None:
    browser = make().test_client()

    def seconds(username: str) -> float:
        start = thread_time()
        assert sign_in(browser, "wrong", username).status_code == 401
        return thread_time() - start

    seconds("demo")
    known, unknown = (median(seconds(name) for _ in range(3)) for name in ("demo", "nobody"))
    assert 0.6 < known / unknown < 1.7


@pytest.mark.parametrize("username", ["demo", "nobody"])
def test_guesses_at_one_account_are_limited(app: Flask, username: str) -> None:
    for number in range(10):
        browser = browser_at(app, f"192.0.2.{number}")
        assert sign_in(browser, "wrong", username).status_code == 401
    # From everywhere, and the right password is not looked at either.
    answer = sign_in(browser_at(app, "192.0.2.99"), "demo", username)
    assert answer.status_code == 429
    assert TOO_MANY in answer.text
    assert sign_in(app.test_client(), "wrong", "somebody else").status_code == 401
    with app.app_context():
        db.session.execute(update(Attempt).values(expires_at=Attempt.expires_at - 600))
        db.session.commit()
    assert sign_in(app.test_client(), "wrong", username).status_code == 401


def test_guesses_from_one_network_are_limited(app: Flask) -> None:
    for number in range(50):
        # A customer has all addresses of a /64.
        browser = browser_at(app, f"2001:db8:0:7::{number:x}")
        assert sign_in(browser, "password", f"user{number}").status_code == 401
    assert sign_in(browser_at(app, "2001:db8:0:7:8::")).status_code == 429
    assert sign_in(browser_at(app, "2001:db8:0:8::")).status_code == 303


def test_the_right_password_is_no_guess(app: Flask) -> None:
    for _ in range(12):
        assert sign_in(app.test_client()).status_code == 303


def test_counts_of_the_past_are_deleted(app: Flask) -> None:
    sign_in(app.test_client(), "wrong", "first")
    with app.app_context():
        db.session.execute(update(Attempt).values(expires_at=1))
        db.session.commit()
    sign_in(app.test_client(), "wrong", "second")
    with app.app_context():
        # One for the name, and one for the network.
        assert db.session.scalar(db.select(db.func.count()).select_from(Attempt)) == 2


# What a browser is told.


@pytest.mark.parametrize("path", ["/login", "/sign-up", "/", "/account"])
def test_no_other_site_frames_or_keeps_a_page(app: Flask, path: str) -> None:
    headers = app.test_client().get(path).headers
    policy = headers["Content-Security-Policy"]
    assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} <= {
        *policy.split("; ")
    }
    # Chromium would stop the redirect to the client.
    assert "form-action" not in policy
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"


def test_the_pages_of_the_server_keep_their_own_policy(app: Flask) -> None:
    headers = app.test_client().get("/oauth/authorize").headers
    assert "script-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_the_session_cookie_goes_nowhere_else(make: Callable[..., Flask], app: Flask) -> None:
    cookie = sign_in(app.test_client()).headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Lax"} <= {*cookie.split("; ")}
    assert "Secure" not in cookie
    cookie = make(PKCE_ISSUER="https://auth.example").test_client().get("/login")
    assert {"HttpOnly", "SameSite=Lax", "Secure"} <= {*cookie.headers["Set-Cookie"].split("; ")}


# Who is there.


def test_the_demo_user_is_on_this_computer_only(make: Callable[..., Flask], app: Flask) -> None:
    assert "password <strong>demo</strong>" in app.test_client().get("/login").text
    elsewhere = make(PKCE_ISSUER="https://auth.example")
    https = "https://auth.example"
    fields = {"username": "demo", "password": "demo"}
    assert send(elsewhere.test_client(), "/login", https, **fields).status_code == 401
    for path in ("/login", "/"):
        assert "<strong>demo</strong>" not in elsewhere.test_client().get(path).text


def test_a_user_is_created_by_a_command(app: Flask) -> None:
    runner = app.test_cli_runner()
    args = ["user", "create", "ada", "--password", "engine", "--email", "ada@example.com"]
    assert runner.invoke(args=args).output == "Created ada.\n"
    again = runner.invoke(args=args)
    assert again.exit_code == 1
    assert "already" in again.output


def test_the_command_asks_for_the_password_and_does_not_show_it(app: Flask) -> None:
    args = ["user", "create", "ada", "--email", "ada@example.com", "--email-verified"]
    done = app.test_cli_runner().invoke(args=args, input="engine\nengine\n")
    assert done.exit_code == 0, done.output
    assert "Password" in done.output
    assert "engine" not in done.output
    assert sign_in(app.test_client(), "engine", "ada").status_code == 303
    with app.app_context():
        assert db.session.scalars(db.select(User).filter_by(username="ada")).one().email_verified


# Accounts.


def test_who_signs_up_is_signed_in(app: Flask) -> None:
    browser = app.test_client()
    page = browser.get("/login?next=/playground").text
    assert 'href="/sign-up?next=/playground"' in page
    answer = send(browser, "/sign-up?next=/playground", **NEW)
    assert answer.headers["Location"] == "/playground"
    assert "Sign out grace" in browser.get("/").text
    with app.app_context():
        user = db.session.scalars(db.select(User).filter_by(username="grace")).one()
        assert user.email_verified is False
        assert user.check_password(NEW["password"])


@pytest.mark.parametrize(
    "fields",
    [
        {"username": ""},
        {"username": "Grace"},
        {"username": "gr\u0430ce"},
        {"username": "grace\n"},
        {"username": "x" * 41},
        {"name": "a\0b"},
        {"email": "nowhere"},
        {"password": "short"},
        {"username": "demo"},
    ],
)
def test_an_account_that_cannot_be_made(app: Flask, fields: dict[str, str]) -> None:
    answer = send(app.test_client(), "/sign-up", **{**NEW, **fields})
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    with app.app_context():
        assert db.session.scalar(db.select(db.func.count()).select_from(User)) == 1


def test_sign_ups_from_one_network_are_limited(app: Flask) -> None:
    taken = {**NEW, "username": "demo"}
    for _ in range(20):
        assert send(app.test_client(), "/sign-up", **taken).status_code == 400
    assert send(app.test_client(), "/sign-up", **taken).status_code == 429


def test_who_deletes_an_account_and_signs_up_anew_is_somebody_else(app: Flask) -> None:
    browser = app.test_client()
    send(browser, "/sign-up", **NEW)
    token = hidden_fields(browser.get("/").text)["csrf_token"]
    browser.post("/notes", data={"csrf_token": token, "text": "A moth in the relay"})
    flow = Flow(browser, register(app), scope="profile notes:read offline_access")
    tokens = flow.tokens()
    assert "code" in parameters_of(flow.authorize())

    assert send(browser, "/account", password="wrong").status_code == 401
    assert browser.get("/account").status_code == 200
    assert send(browser, "/account", password=NEW["password"]).status_code == 303
    assert browser.get("/account").status_code == 302
    with app.app_context():
        assert db.session.scalar(db.select(Note).filter_by(text="A moth in the relay")) is None
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert app.test_client().get("/api/me", headers=bearer).status_code == 401
    assert sign_in(app.test_client(), NEW["password"], "grace").status_code == 401

    send(browser, "/sign-up", **NEW)
    with app.app_context():
        # Neither the number of the row nor, with it, the subject is given again.
        assert db.session.scalars(db.select(User.id).filter_by(username="grace")).one() == 3
    assert "A moth" not in browser.get("/").text
    assert flow.authorize().status_code == 200
    assert app.test_client().get("/api/me", headers=bearer).status_code == 401
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert flow.post("token", refresh).get_json()["error"] == "invalid_grant"


def test_deleting_an_account_takes_a_form_of_this_app(app: Flask) -> None:
    browser = app.test_client()
    sign_in(browser)
    assert browser.post("/account", data={"password": "demo"}).status_code == 400
    assert browser.get("/account").status_code == 200
