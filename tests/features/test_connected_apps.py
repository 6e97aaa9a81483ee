"""Connected apps: what a user sees of what they let in, and how it ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_pkce_server import consent_narrowed, consent_withdrawn
from flask_pkce_server.features.connected_apps.browser import browser_of
from flask_pkce_server.testing import Clock, Flow, register

from ..host import lending, make_app, sign_in

SCOPE = "openid profile notes:read offline_access"


@pytest.fixture
def app() -> Iterator[Flask]:
    with lending.app(make_app, PKCE_CONNECTED_APPS_NOTE_USE=True) as app:
        yield app


@pytest.fixture
def flow(pkce_flow: Flow) -> Flow:
    pkce_flow.scope = SCOPE
    return pkce_flow


#: What the page reports is in such a paragraph.
NOTICE = '<p class="pkce-notice"'


def call(app: Flask, token: str, path: str = "/api/notes") -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return app.test_client(use_cookies=False).get(path, headers=headers).status_code


def remove(browser: FlaskClient, what: str, **fields: Any) -> TestResponse:
    """Press a button of the page."""
    page = browser.get("/oauth/apps").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    form = {"csrf_token": token[1] if token else "", "remove": what, **fields}
    return browser.post("/oauth/apps", data=form)


def families(browser: FlaskClient) -> list[str]:
    return re.findall(r'name="grant_id" value="([^"]+)"', browser.get("/oauth/apps").text)


def test_who_is_not_signed_in_signs_in_first(app: Flask) -> None:
    answer = app.test_client().get("/oauth/apps")
    assert answer.headers["Location"].startswith("/login?next=")


def test_who_let_nobody_in_reads_so(client: FlaskClient) -> None:
    page = client.get("/oauth/apps")
    assert "No app has access to your account." in page.text
    assert "<form" not in page.text


def test_an_app_with_its_host_its_dates_and_what_it_may_do(
    app: Flask, flow: Flow, pkce_clock: Clock
) -> None:
    pkce_clock.now = 1790000000  # 2026-09-21
    token = flow.tokens()["access_token"]
    page = flow.browser.get("/oauth/apps").text
    assert "Notebook" in page
    assert "client.example" in page
    assert page.count("Not used yet") == 2
    pkce_clock.advance(86400 - 1)
    token = flow.tokens()["access_token"]
    pkce_clock.advance(1800)
    assert call(app, token) == 200
    page = flow.browser.get("/oauth/apps").text
    assert re.search(r"Since <time[^>]*>September 21, 2026</time>", page)
    assert re.search(r'Last used <time datetime="2026-09-22">', page)
    # The notes were read, the profile was not.
    assert page.count("Not used yet") == 1
    call(app, token, "/oauth/userinfo")
    assert "Not used yet" not in flow.browser.get("/oauth/apps").text


def test_what_was_used_is_noted_only_if_the_host_wants_it() -> None:
    app = make_app()
    flow = Flow(sign_in(app), register(app), scope=SCOPE)
    token = flow.tokens()["access_token"]
    assert call(app, token) == 200
    page = flow.browser.get("/oauth/apps").text
    assert "Last used" in page
    assert "Not used yet" not in page
    feature = next(one for one in flow.server.hooks.features if one.name == "connected_apps")
    assert not feature._noted


def test_the_most_recent_stands_first(app: Flask, flow: Flow, pkce_clock: Clock) -> None:
    token = flow.tokens()["access_token"]
    pkce_clock.advance(60)
    other = Flow(flow.browser, register(app, name="Younger"), scope="profile")
    other.tokens()
    names = re.compile(r"<h2[^>]*><bdi>(Notebook|Younger)</bdi>")
    assert names.findall(flow.browser.get("/oauth/apps").text) == ["Younger", "Notebook"]
    pkce_clock.advance(60)
    call(app, token)
    assert names.findall(flow.browser.get("/oauth/apps").text) == ["Notebook", "Younger"]


def test_an_app_that_never_asks_is_seen_all_the_same(app: Flask, client: FlaskClient) -> None:
    Flow(client, register(app, name="Our own", skip_consent=True), scope="profile").tokens()
    assert "Our own" in client.get("/oauth/apps").text


def test_everybody_sees_their_own(app: Flask, flow: Flow) -> None:
    flow.tokens()
    assert "Notebook" not in sign_in(app, "bob").get("/oauth/apps").text


def test_what_is_removed_ends_at_once(app: Flask, flow: Flow) -> None:
    told: list[dict] = []

    def listen(app: Flask, **facts) -> None:
        told.append(facts)

    consent_withdrawn.connect(listen, app)
    tokens = flow.tokens()
    on_its_way = flow.allow()["code"]
    answer = remove(flow.browser, "app", client_id=flow.client.client_id)
    assert answer.status_code == 303
    page = flow.browser.get(answer.headers["Location"])
    assert "Access was removed." in page.text
    assert "Notebook" not in page.text
    assert call(app, tokens["access_token"]) == 401
    assert flow.refresh(tokens["refresh_token"]).get_json()["error"] == "invalid_grant"
    assert flow.redeem(on_its_way).get_json()["error"] == "invalid_grant"
    assert told == [{"client_id": flow.client.client_id, "subject": "1"}]
    # And is asked for anew, all of it.
    assert flow.authorize().status_code == 200
    assert "allowed it before" not in flow.authorize().text


def test_other_apps_and_other_users_keep_theirs(app: Flask, flow: Flow) -> None:
    mine = Flow(flow.browser, register(app), scope="notes:read").tokens()["access_token"]
    theirs = Flow(sign_in(app, "bob"), flow.client, scope="notes:read").tokens()["access_token"]
    flow.tokens()
    remove(flow.browser, "app", client_id=flow.client.client_id)
    assert call(app, mine) == call(app, theirs) == 200


def test_all_at_once(app: Flask, flow: Flow) -> None:
    other = Flow(flow.browser, register(app), scope="notes:read")
    tokens = [flow.tokens()["access_token"], other.tokens()["access_token"]]
    remove(flow.browser, "all")
    assert [call(app, token) for token in tokens] == [401, 401]
    assert "No app has access" in flow.browser.get("/oauth/apps").text


def test_one_sign_in_of_several(app: Flask, flow: Flow) -> None:
    flow.browser.environ_base["HTTP_USER_AGENT"] = (
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    )
    one, two = flow.tokens(), flow.tokens()
    flow.browser.environ_base["HTTP_USER_AGENT"] = "Mozilla/5.0 (Windows NT 10.0) Firefox/140.0"
    other = flow.tokens()
    page = flow.browser.get("/oauth/apps").text
    # The same browser twice is one row.
    assert (page.count("Firefox on Linux"), page.count("Firefox on Windows")) == (1, 1)
    (row,) = (form for form in re.findall("<form.*?</form>", page, re.S) if "on Linux" in form)
    remove(flow.browser, "session", grant_id=re.findall(r'name="grant_id" value="([^"]+)"', row))
    left = [call(app, tokens["access_token"]) for tokens in (one, two, other)]
    assert left == [401, 401, 200]
    # The other one is left, and what was allowed is remembered.
    assert len(families(flow.browser)) == 1
    assert flow.authorize().status_code == 302


def test_nobody_removes_what_is_anothers(app: Flask, flow: Flow) -> None:
    tokens = flow.tokens()
    flow.tokens()
    family, _ = families(flow.browser)
    bob = sign_in(app, "bob")
    Flow(bob, register(app), scope="profile").tokens()
    remove(bob, "session", grant_id=family)
    remove(bob, "app", client_id=flow.client.client_id)
    assert call(app, tokens["access_token"]) == 200


@pytest.mark.parametrize("token", ["", "forged"])
def test_without_its_csrf_token_a_button_does_nothing(app: Flask, flow: Flow, token: str) -> None:
    tokens = flow.tokens()
    form = {"csrf_token": token, "remove": "app", "client_id": flow.client.client_id}
    answer = flow.browser.post("/oauth/apps", data=form)
    assert answer.status_code == 400
    assert "Nothing was changed" in answer.text
    assert call(app, tokens["access_token"]) == 200


# Less, in place.


def test_an_app_is_let_do_less(app: Flask, flow: Flow) -> None:
    told: list[dict] = []

    def listen(app: Flask, **facts) -> None:
        told.append(facts)

    consent_narrowed.connect(listen, app)
    tokens, on_its_way = flow.tokens(), flow.allow()["code"]
    answer = remove(
        flow.browser, "scopes", client_id=flow.client.client_id, scope=["notes:read", "nonsense"]
    )
    page = flow.browser.get(answer.headers["Location"]).text
    assert "The app may do less now." in page
    assert "Read your notes" not in page
    assert "See your name and profile" in page
    assert told == [{"client_id": flow.client.client_id, "subject": "1", "scopes": {"notes:read"}}]
    # What it has goes on with less, at once.
    assert call(app, tokens["access_token"]) == 403
    assert call(app, tokens["access_token"], "/api/me") == 200
    left = "offline_access openid profile"
    assert flow.redeem(on_its_way).get_json()["scope"] == left
    again = flow.refresh(tokens["refresh_token"]).get_json()
    assert again["scope"] == left
    assert call(app, again["access_token"]) == 403
    # And the user is asked when it wants it again.
    assert "New" in flow.authorize().text


def test_who_is_not_asked_is_narrowed_all_the_same(app: Flask) -> None:
    browser = sign_in(app)
    flow = Flow(browser, register(app, skip_consent=True), scope="profile notes:read")
    token = flow.tokens()["access_token"]
    remove(browser, "scopes", client_id=flow.client.client_id, scope="notes:read")
    assert call(app, token) == 403


def test_without_staying_it_ends_with_the_access_token(flow: Flow) -> None:
    tokens = flow.tokens()
    remove(flow.browser, "scopes", client_id=flow.client.client_id, scope="offline_access")
    assert flow.refresh(tokens["refresh_token"]).get_json()["error"] == "invalid_grant"
    assert call(flow.browser.application, tokens["access_token"]) == 200


def test_who_signed_in_cannot_be_taken_back_alone(flow: Flow) -> None:
    token = flow.tokens()["access_token"]
    page = flow.browser.get("/oauth/apps").text
    assert 'name="scope" value="openid"' not in page
    remove(flow.browser, "scopes", client_id=flow.client.client_id, scope="openid")
    assert call(flow.browser.application, token, "/oauth/userinfo") == 200


def test_an_app_that_is_left_with_nothing_is_removed(app: Flask, client: FlaskClient) -> None:
    flow = Flow(client, register(app), scope="profile notes:read")
    token = flow.tokens()["access_token"]
    answer = remove(
        client, "scopes", client_id=flow.client.client_id, scope=["profile", "notes:read"]
    )
    assert answer.headers["Location"] == "/oauth/apps"
    assert "Access was removed." in client.get("/oauth/apps").text
    assert call(app, token, "/api/me") == 401


@pytest.mark.parametrize("scope", [[], ["nonsense"], ["profile"]])
def test_only_what_an_app_has_is_taken_back(app: Flask, client: FlaskClient, scope: list) -> None:
    flow = Flow(client, register(app), scope="openid notes:read")
    token = flow.tokens()["access_token"]
    remove(client, "scopes", client_id=flow.client.client_id, scope=scope)
    assert NOTICE not in client.get("/oauth/apps").text
    assert call(app, token) == 200
    remove(client, "scopes", client_id="another", scope="notes:read")
    assert NOTICE not in client.get("/oauth/apps").text


def test_an_app_that_is_let_in_for_a_time_says_until_when(pkce_clock: Clock) -> None:
    app = make_app(PKCE_CONSENT_DAYS=[90])
    app.extensions["pkce"].clock = pkce_clock
    pkce_clock.now = 1790000000  # 2026-09-21
    flow = Flow(sign_in(app), register(app), scope="profile")
    flow.decide(flow.authorize(), days="90")
    assert re.search(r'Until <time datetime="2026-12-20">', flow.browser.get("/oauth/apps").text)


def test_an_unknown_button_does_nothing(app: Flask, flow: Flow) -> None:
    tokens = flow.tokens()
    for button in ("everything", ""):
        remove(flow.browser, button, client_id=flow.client.client_id)
        assert NOTICE not in flow.browser.get("/oauth/apps").text
    assert call(app, tokens["access_token"]) == 200


def test_a_notice_is_shown_once_and_to_nobody_who_follows_a_link(app: Flask, flow: Flow) -> None:
    flow.tokens()
    for outcome in ("removed", "narrowed"):
        assert NOTICE not in flow.browser.get(f"/oauth/apps?done={outcome}").text
    remove(flow.browser, "all")
    shown = [NOTICE in flow.browser.get("/oauth/apps").text for _ in range(2)]
    assert shown == [True, False]


def test_nothing_is_removed_by_a_get(app: Flask, flow: Flow) -> None:
    tokens = flow.tokens()
    flow.browser.get(f"/oauth/apps?remove=app&client_id={flow.client.client_id}")
    assert call(app, tokens["access_token"]) == 200


def test_a_jwt_that_others_verify_is_said_to_linger() -> None:
    app = make_app(
        PKCE_JWT_ACCESS_TOKEN_RESOURCES={"https://api.example": ["notes:read"]},
        PKCE_ACCESS_TOKEN_LIFETIME=600,
    )
    browser = sign_in(app)
    Flow(browser, register(app), scope="profile").tokens()
    assert "may let it in for up to" not in browser.get("/oauth/apps").text
    Flow(browser, register(app), scope="notes:read").tokens()
    assert "for up to 10 minutes" in browser.get("/oauth/apps").text


def test_a_use_is_written_down_once_an_hour(app: Flask, flow: Flow, pkce_clock: Clock) -> None:
    token = flow.tokens()["access_token"]
    feature = next(one for one in flow.server.hooks.features if one.name == "connected_apps")
    for seconds, noted in ((0, 1), (1800, 1), (1799, 1)):
        pkce_clock.advance(seconds)
        call(app, token)
        assert len(feature._noted) == noted
    with app.app_context():
        before = dict(feature._noted)
        pkce_clock.advance(10)
        feature.note_use(app, client_id="x", subject="1", scopes=["notes:read"], grant_id="f")
    assert len(feature._noted) == len(before) + 1


def test_what_an_app_calls_itself_is_escaped(app: Flask, client: FlaskClient) -> None:
    Flow(client, register(app, name='<script>"&'), scope="profile").tokens()
    page = client.get("/oauth/apps").text
    assert "<script>" not in page
    assert "<bdi>&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("agent", "called"),
    [
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0",
         ("Edge", "Windows")),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1",
         ("Safari", "iOS")),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Chrome/140.0 Safari/537.36",
         ("Chrome", "macOS")),
        ("Mozilla/5.0 (Linux; Android 14) Chrome/140.0 Mobile Safari/537.36",
         ("Chrome", "Android")),
        ("curl/8.0", ("", "")),
        ("", ("", "")),
        ("<b>Firefox/1</b>", ("Firefox", "")),
    ],
)  # fmt: skip
def test_a_browser_is_called_by_its_family(agent: str, called: tuple[str, str]) -> None:
    assert browser_of(agent) == called
