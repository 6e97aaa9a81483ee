"""The forms of our pages: who can send them, and from where."""

from __future__ import annotations

import flask
import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_wtf.csrf import generate_csrf
from werkzeug.test import TestResponse

from flask_pkce_server.testing import Clock, Flow, hidden_fields, register

from ..host import make_app, sign_in

APPS = "/oauth/apps"
#: A page with a form, and what its button sends along.
PAGES = {
    "/oauth/apps": {"remove": "all"},
    "/oauth/logout": {"decision": "allow"},
    "/oauth/device": {"user_code": "WDJB-MJHT"},
    "/oauth/developer": {"name": "Mine"},
}


def remove(browser: FlaskClient, token: str | None = None, **headers: str) -> int:
    """Press the button that removes all apps; return the status of the answer."""
    form = {**hidden_fields(browser.get(APPS).text), "remove": "all"}
    if token is not None:
        form["csrf_token"] = token
    return browser.post(APPS, data=form, headers=headers).status_code


def connected(app: Flask, browser: FlaskClient) -> FlaskClient:
    """Let an app in, so that there is something to remove."""
    Flow(browser, register(app)).tokens()
    return browser


def token_of(browser: FlaskClient) -> str:
    return hidden_fields(connected(browser.application, browser).get(APPS).text)["csrf_token"]


def test_a_form_counts_in_the_login_session_in_which_it_was_shown(app: Flask) -> None:
    mine, elsewhere = sign_in(app), sign_in(app)
    token = token_of(mine)
    assert remove(connected(app, elsewhere), token) == 400
    assert remove(mine, token) == 303


def test_a_form_of_somebody_who_used_the_browser_before_changes_nothing(app: Flask) -> None:
    # A neighbouring site plants its own session cookie; then the user signs in.
    browser = sign_in(app, "bob")
    planted = token_of(browser)
    browser.post("/login", data={"username": "ada"})
    assert remove(connected(app, browser), planted) == 400


def test_a_token_of_the_hosts_forms_changes_nothing(app: Flask) -> None:
    with app.test_request_context("/"):
        planted = generate_csrf()
        session = dict(flask.session)
    browser = app.test_client()
    with browser.session_transaction() as mine:
        mine.update(session)
    browser.post("/login", data={"username": "ada"})
    assert remove(connected(app, browser), planted) == 400
    assert remove(browser) == 303


def test_a_form_expires(app: Flask, pkce_clock: Clock) -> None:
    browser = sign_in(app)
    token = token_of(browser)
    pkce_clock.advance(3600)
    assert remove(browser, token) == 400
    assert remove(browser) == 303


@pytest.mark.parametrize("token", ["", "x", "x.y", "é"])
def test_a_form_with_an_altered_token_changes_nothing(app: Flask, token: str) -> None:
    browser = sign_in(app)
    assert remove(connected(app, browser), token) == 400
    assert remove(browser, token_of(browser)[:-1]) == 400


@pytest.mark.parametrize(
    "config",
    [
        {"WTF_CSRF_FIELD_NAME": "_token"},
        {"WTF_CSRF_TIME_LIMIT": -1},
        {"WTF_CSRF_SECRET_KEY": "x"},
        {"WTF_CSRF_ENABLED": False},
    ],
)
def test_what_the_host_wants_of_its_own_forms_is_nothing_to_ours(config: dict[str, object]) -> None:
    app = make_app(**config)
    browser = connected(app, sign_in(app))
    assert remove(browser, "") == 400
    assert remove(browser) == 303


def send(path: str, **headers: str) -> TestResponse:
    """Send the form of the page at `path` to where it leads, with `headers`."""
    app = make_app(PKCE_FEATURES={"developer_portal": True})
    browser = sign_in(app)
    if path == APPS:
        connected(app, browser)
    form = {**hidden_fields(browser.get(path).text), **PAGES[path]}
    return browser.post(path, data=form, headers=headers)


@pytest.mark.parametrize("path", PAGES)
def test_a_form_from_a_neighbour_on_the_same_site_is_refused(path: str) -> None:
    ours = send(path, **{"Sec-Fetch-Site": "same-origin"})
    refused = send(path, **{"Sec-Fetch-Site": "same-site"})
    assert refused.status_code == 400
    assert (ours.status_code, ours.text) != (refused.status_code, refused.text)


def test_a_consent_form_from_a_neighbour_on_the_same_site_decides_nothing(pkce_flow: Flow) -> None:
    form = {**hidden_fields(pkce_flow.authorize().text), "decision": "allow"}
    for site, status in (("same-site", 400), ("same-origin", 303)):
        headers = {"Sec-Fetch-Site": site}
        answer = pkce_flow.browser.post("/oauth/authorize", data=form, headers=headers)
        assert answer.status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        # A browser behind a proxy that this app knows nothing of.
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://www.example"}, 303),
        ({"Sec-Fetch-Site": "none"}, 303),
        ({"Sec-Fetch-Site": "cross-site"}, 400),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "null"}, 400),
        # Browsers without Fetch Metadata.
        ({"Origin": "https://auth.example"}, 303),
        ({"Origin": "null"}, 303),
        ({"Origin": "https://evil.example"}, 400),
        ({"Origin": "https://evil.auth.example"}, 400),
        ({"Origin": "https://auth.example:8443"}, 400),
        ({"Origin": "http://auth.example"}, 400),
    ],
)
def test_where_a_form_may_come_from(app: Flask, headers: dict[str, str], status: int) -> None:
    assert remove(connected(app, sign_in(app)), **headers) == status


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        # Behind a proxy that does not say where it is, and one that does.
        ("http://10.0.0.1:8000", "https://auth.example"),
        ("http://www.example", "https://www.example"),
        ("https://www.example", "https://www.example"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
    ],
)
def test_a_form_may_come_from_where_its_page_is(app: Flask, address: str, origin: str) -> None:
    browser, path = app.test_client(), "/oauth/logout"
    browser.post("/login", data={"username": "ada"}, base_url=address)
    page = browser.get(path, base_url=address)
    form = {**hidden_fields(page.text), "decision": "deny"}
    for sent_from, status in (("https://evil.example", 400), (origin, 200)):
        answer = browser.post(path, data=form, base_url=address, headers={"Origin": sent_from})
        assert answer.status_code == status
