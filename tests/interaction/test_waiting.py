"""Requests that wait for a sign-in: how many cookies they leave, and how large ones fit."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient

from flask_pkce_server.testing import Clock, Flow, hidden_fields, parameters_of, register

from ..host import SECRET_KEY, make_app, sign_in
from ..live import _free_port, decide_in, served_host

#: The longest value that a request may have for state.
LONG_STATE = secrets.token_urlsafe(1536)


@pytest.fixture
def flow(app: Flask) -> Flow:
    """The flow of a visitor who has not signed in."""
    return Flow(app.test_client(), register(app))


def cookies_of(browser: FlaskClient) -> dict[str, str]:
    """Return the cookies of waiting requests, in the order in which they were set."""
    return {c.key: c.value for c in browser._cookies.values() if c.key.startswith("pkce_r_")}


def sign_in_at(flow: Flow, aside: str) -> dict[str, str]:
    """Go on with the request put aside at the URL `aside`; return what the client gets."""
    login = flow.browser.get(aside).headers["Location"]
    back = flow.browser.post(login, data={"username": "ada"}).headers["Location"]
    page = flow.browser.get(back)
    return parameters_of(flow.decide(page) if page.status_code == 200 else page)


def test_only_the_newest_requests_wait(flow: Flow, pkce_clock: Clock) -> None:
    asides = []
    for _ in range(20):
        asides.append(flow.authorize().headers["Location"])
        pkce_clock.advance(1)
    kept = cookies_of(flow.browser)
    assert list(kept) == ["pkce_r_" + aside[-16:] for aside in asides[-5:]]
    assert flow.browser.get(asides[0]).status_code == 400
    assert "code" in sign_in_at(flow, asides[-1])
    assert {flow.browser.get(aside).status_code for aside in asides[-5:]} == {302}


def test_requests_with_a_long_state_make_room_for_each_other(flow: Flow, pkce_clock: Clock) -> None:
    for _ in range(6):
        aside = flow.authorize(state=LONG_STATE).headers["Location"]
        assert sum(map(len, cookies_of(flow.browser).values())) < 4000
        pkce_clock.advance(1)
    assert sign_in_at(flow, aside)["state"] == LONG_STATE


def test_a_request_that_is_too_long_for_one_cookie_waits_in_two(flow: Flow) -> None:
    large = {"state": LONG_STATE, "nonce": secrets.token_urlsafe(768), "login_hint": "x@" * 400}
    flow.scope = "openid profile"
    aside = flow.authorize(**large, claims="{}", extra=secrets.token_urlsafe(700)).headers
    kept = cookies_of(flow.browser)
    assert len(kept) == 2
    assert max(map(len, kept.values())) <= 3900
    assert sign_in_at(flow, aside["Location"])["state"] == LONG_STATE
    # The answer takes both away.
    page = flow.authorize(prompt="login", **large)
    assert "code" in sign_in_at(flow, page.headers["Location"])


def test_the_cookies_of_a_request_go_when_it_is_answered(flow: Flow) -> None:
    aside = flow.authorize(state=LONG_STATE, extra=secrets.token_urlsafe(1500))
    aside = aside.headers["Location"]
    assert len(cookies_of(flow.browser)) == 2
    login = flow.browser.get(aside).headers["Location"]
    page = flow.browser.get(flow.browser.post(login, data={"username": "ada"}).headers["Location"])
    flow.browser.post(aside, data={**hidden_fields(page.text), "decision": "allow"})
    assert not cookies_of(flow.browser)


def test_a_request_that_no_cookie_holds_is_refused_with_advice(flow: Flow) -> None:
    answer = parameters_of(flow.authorize(extra=secrets.token_urlsafe(5000)))
    assert answer["error"] == "invalid_request"
    assert "Push it" in answer["error_description"]


def test_requests_that_another_site_posts_make_room_too(flow: Flow, pkce_clock: Clock) -> None:
    # The browser shows no cookies with such a POST, but with the GET that follows.
    stranger = flow.browser.application.test_client(use_cookies=False)
    for _ in range(8):
        answer = stranger.post("/oauth/authorize", data=flow.request())
        name, _, rest = answer.headers.getlist("Set-Cookie")[0].partition("=")
        flow.browser.set_cookie(name, rest.partition(";")[0], path="/oauth/authorize")
        flow.browser.get(answer.headers["Location"])
        pkce_clock.advance(1)
    assert len(cookies_of(flow.browser)) == 5
    assert "code" in sign_in_at(flow, answer.headers["Location"])


def test_cookies_that_are_not_of_this_server_are_the_first_to_go(flow: Flow) -> None:
    first = flow.authorize().headers["Location"]
    for number in range(4):
        flow.browser.set_cookie(f"pkce_r_{number:016x}", "of another", path="/oauth/authorize")
    last = flow.authorize().headers["Location"]
    assert {"pkce_r_" + first[-16:], "pkce_r_" + last[-16:]} <= cookies_of(flow.browser).keys()
    assert len(cookies_of(flow.browser)) == 5


# What a person reads whose request is gone.


def test_a_browser_without_cookies_is_told_to_allow_them(flow: Flow) -> None:
    blocked = flow.browser.application.test_client(use_cookies=False)
    aside = blocked.get("/oauth/authorize", query_string=flow.request()).headers["Location"]
    page = blocked.get(aside)
    assert page.status_code == 400
    assert "Allow cookies for this site." in page.text


def test_another_browser_is_not_told_so(flow: Flow) -> None:
    aside = flow.authorize().headers["Location"]
    page = sign_in(flow.browser.application).get(aside)
    assert "was begun in another browser" in page.text
    assert "Go back to the app and start again." in page.text


@pytest.mark.parametrize(
    ("more", "way_back"),
    [
        ({}, "Go back to <bdi>Notebook</bdi> and start again."),
        (
            {"client_metadata": {"client_uri": "https://client.example/"}},
            'Go back to <a href="https://client.example/"><bdi>Notebook</bdi></a> and start again.',
        ),
        # A stranger chose that name, and that address.
        ({"self_registered": True}, "Go back to the app and start again."),
    ],
)
def test_who_comes_too_late_is_shown_the_way_back(
    app: Flask, flow: Flow, pkce_clock: Clock, more: dict[str, Any], way_back: str
) -> None:
    flow.client = register(app, **more)
    aside = flow.authorize().headers["Location"]
    pkce_clock.advance(3660)
    page = flow.browser.get(aside)
    assert page.status_code == 400
    assert way_back in page.text


# With real servers, which refuse headers that are too long.


def abandon_many_and_finish_one(address: str, request: dict[str, str]) -> None:
    """Begin twenty requests, some with a long state, and then sign in for another one."""
    url = f"{address}/oauth/authorize?"
    with requests.Session() as browser:
        for number in range(20):
            state = LONG_STATE if number % 3 else "s"
            answer = browser.get(url + urlencode({**request, "state": state}))
            assert answer.status_code == 200, answer.status_code
        back = decide_in(browser, url + urlencode({**request, "state": LONG_STATE}))
        assert f"state={LONG_STATE}" in back
        assert "code=" in back


@pytest.mark.programs
def test_many_abandoned_requests_do_no_harm_at_the_server_of_flask(tmp_path: Path) -> None:
    with served_host(tmp_path) as (address, app):
        abandon_many_and_finish_one(address, Flow(app.test_client(), register(app)).request())


@contextmanager
def gunicorn(tmp_path: Path) -> Iterator[tuple[str, Flask]]:
    """Serve the host of the tests with gunicorn, which refuses headers of 8190 bytes."""
    port = _free_port()
    config = {
        "PKCE_ISSUER": f"http://127.0.0.1:{port}",
        "SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path}/app.db",
        "SECRET_KEY": SECRET_KEY,
    }
    factory = f"__import__('tests.host').host.make_app(**{config!r})"
    ready = "import sys; print('app is ready', file=sys.stderr, flush=True)"
    (tmp_path / "wsgi.py").write_text(f"app = {factory}\n{ready}\n")
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "wsgi:app"]
    running = subprocess.Popen(
        [*command, "--pythonpath", f"{tmp_path},{Path(__file__).parents[2]}"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert running.stderr is not None
        while "app is ready" not in running.stderr.readline():
            assert running.poll() is None
        app = make_app(init=False, **config)
        app.pkce.init_app(app)
        yield config["PKCE_ISSUER"], app
        with app.app_context():
            app.db.engine.dispose()
    finally:
        running.terminate()
        running.communicate()


@pytest.mark.programs
def test_many_abandoned_requests_do_no_harm_at_gunicorn(tmp_path: Path) -> None:
    with gunicorn(tmp_path) as (address, app):
        abandon_many_and_finish_one(address, Flow(app.test_client(), register(app)).request())
