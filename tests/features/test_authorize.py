"""The authorize feature: RFC 6749 3.1, 4.1.1, 4.1.2; the consent page and the way to it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from flask_pkce_server import ConfigurationError, authorization_denied, authorization_granted
from flask_pkce_server.models.client import Client
from flask_pkce_server.models.consent import Consent
from flask_pkce_server.testing import (
    REDIRECT_URI,
    Clock,
    Flow,
    hidden_fields,
    parameters_of,
    register,
    server_of,
)

from ..host import make_app, sign_in


def is_consent_page(answer) -> bool:
    return answer.status_code == 200 and 'name="decision"' in answer.text


# The page.


def test_the_consent_page_names_the_app_the_account_the_scopes_and_the_destination(
    pkce_flow: Flow,
) -> None:
    page = pkce_flow.authorize(scope="profile notes:write offline_access").text
    for words in (
        "Notebook",
        "Ada Lovelace",
        "See your name and profile",
        "Write notes for you",
        "Keep this access when you are not using the app",
        "client.example",
    ):
        assert words in page
    assert "Read your notes" not in page
    assert page.index('value="deny"') < page.index('value="allow"')
    assert "autofocus" not in page


def test_the_page_has_the_manners_of_a_page(pkce_flow: Flow) -> None:
    headers = pkce_flow.authorize().headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action" not in policy
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_its_style_sheet_is_served_and_small(app: Flask) -> None:
    sheet = app.test_client().get("/oauth/static/pkce.css")
    assert sheet.status_code == 200
    assert sheet.mimetype == "text/css"
    assert len(sheet.data) < 12_000
    sheet.close()


def test_a_local_destination_comes_with_a_warning(app: Flask, client: FlaskClient) -> None:
    for uri, shown in (
        ("http://127.0.0.1:8765/cb", "127.0.0.1:8765"),
        ("com.example.app:/cb", "com.example.app:"),
    ):
        page = Flow(client, register(app, redirect_uris=(uri,))).authorize()
        assert shown in page.text
        assert "This is a program on this device." in page.text


# The decision.


def test_deny_goes_back_with_access_denied(pkce_flow: Flow) -> None:
    # RFC 6749 4.1.2.1
    told = []
    authorization_denied.connect(lambda app, **facts: told.append(facts), weak=False)
    answer = pkce_flow.decide(pkce_flow.authorize(), "deny")
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(REDIRECT_URI + "?error=access_denied&")
    assert parameters_of(answer)["state"] == pkce_flow.state
    assert told[-1] == {"client_id": pkce_flow.client.client_id, "subject": "1"}


def test_a_denied_scope_is_asked_for_again(pkce_flow: Flow) -> None:
    pkce_flow.decide(pkce_flow.authorize(), "deny")
    assert is_consent_page(pkce_flow.authorize())


def test_allow_goes_back_with_a_code(pkce_flow: Flow) -> None:
    told = []
    authorization_granted.connect(lambda app, **facts: told.append(facts), weak=False)
    answer = pkce_flow.decide(pkce_flow.authorize(), "allow")
    assert answer.status_code == 303
    assert answer.headers["Cache-Control"] == "no-store"
    assert set(parameters_of(answer)) == {"code", "state", "iss"}
    assert told[-1]["scopes"] == {"profile", "offline_access"}


@pytest.mark.parametrize("decision", ["", "maybe", "ALLOW"])
def test_any_other_decision_decides_nothing(pkce_flow: Flow, decision: str) -> None:
    answer = pkce_flow.decide(pkce_flow.authorize(), decision)
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert pkce_flow.decide(answer).status_code == 303


def test_what_was_allowed_is_not_asked_again(pkce_flow: Flow) -> None:
    pkce_flow.allow()
    answer = pkce_flow.authorize()
    assert answer.status_code == 302
    assert "code" in parameters_of(answer)


def test_what_is_new_is_marked_and_what_was_allowed_too(pkce_flow: Flow) -> None:
    assert "New<" not in pkce_flow.authorize(scope="profile").text
    pkce_flow.allow(scope="profile")
    page = pkce_flow.authorize(scope="profile notes:read")
    assert is_consent_page(page)
    known, new = re.findall(r"<li[^>]*>(.*?)</li>", page.text.split("able to")[1], re.DOTALL)[:2]
    assert "See your name and profile" in known
    assert "Allowed before" in known
    assert "Read your notes" in new
    assert "New" in new
    pkce_flow.decide(page)
    assert pkce_flow.authorize(scope="notes:read").status_code == 302


# What the page says of the app.


def test_the_page_says_who_makes_the_app_and_who_uses_it(app: Flask) -> None:
    told = {
        "developer": "Notebook GmbH",
        "client_uri": "https://notebook.example/about",
        "policy_uri": "https://legal.example/privacy",
        "tos_uri": "https://legal.example/terms",
    }
    known = register(app, client_metadata=told)
    page = Flow(sign_in(app), known).authorize().text
    assert "Made by <bdi>Notebook GmbH</bdi>" in page
    for name in ("client_uri", "policy_uri", "tos_uri"):
        host = told[name].split("/")[2]
        link = rf'<a href="{told[name]}" rel="noopener noreferrer nofollow"><bdi[^>]*>{host}</bdi>'
        assert re.search(link, page), name
    assert "Not checked by host" in page
    assert "Anybody can register" not in page
    assert re.search(r"Registered here on \w+ \d+, \d{4}", page)
    assert "Fewer than 10 people here use it" in page
    assert 'href="/oauth/apps"' in page
    verified = register(app, client_metadata={"verified": True})
    assert "Checked by host" in Flow(sign_in(app), verified).authorize().text


@pytest.mark.parametrize(("people", "told"), [(10, 10), (99, 10), (100, 100), (1100, 1000)])
def test_people_are_told_in_steps(app: Flask, people: int, told: int) -> None:
    known = register(app)
    with app.app_context():
        for number in range(people):
            key, subject = number.to_bytes(32, "big"), f"s{number}"
            row = {"subject": subject, "client_id": known.client_id, "scope": "a", "issued_at": 1}
            row["resource"] = ""
            app.db.session.add(Consent(digest=key, **row))
        app.db.session.commit()
    page = Flow(sign_in(app), known).authorize().text
    assert f"At least {told} people here use it" in page


def test_who_one_is_stands_first_and_staying_last(pkce_flow: Flow) -> None:
    page = pkce_flow.authorize(scope="offline_access notes:read profile openid").text
    sentences = ["Know that you", "See your name", "Read your notes", "Keep this access"]
    assert [page.index(one) for one in sentences] == sorted(page.index(one) for one in sentences)


# What the user chooses.


def granted(flow: Flow, page: TestResponse, **fields: object) -> str:
    answer = flow.decide(page, **fields)
    return flow.redeem(parameters_of(answer)["code"]).get_json()["scope"]


@pytest.fixture
def choosing() -> Flow:
    app = make_app(PKCE_CONSENT_OPTIONAL_SCOPES=["notes:write", "offline_access"])
    return Flow(sign_in(app), register(app), scope="openid notes:read notes:write")


def test_an_optional_scope_is_an_unticked_box(choosing: Flow) -> None:
    page = choosing.authorize()
    boxes = re.findall(r'<input type="checkbox"[^>]*>', page.text)
    assert boxes == ['<input type="checkbox" name="scope" value="notes:write">']
    assert granted(choosing, page) == "notes:read openid"


def test_what_is_ticked_is_granted_and_nothing_else(choosing: Flow) -> None:
    page = choosing.authorize()
    ticked = ["notes:write", "profile", "offline_access", "nonsense"]
    assert granted(choosing, page, scope=ticked) == "notes:read notes:write openid"
    # What was granted once is not asked for again, nor left out.
    assert choosing.authorize().status_code == 302
    again = choosing.authorize(prompt="consent")
    assert 'type="checkbox"' not in again.text
    assert granted(choosing, again) == "notes:read notes:write openid"


def test_what_was_left_out_is_offered_again_but_never_in_silence(choosing: Flow) -> None:
    granted(choosing, choosing.authorize())
    page = choosing.authorize()
    assert page.status_code == 200
    assert "New" in page.text
    # Silent renewal goes on with what there is.
    answer = choosing.authorize(prompt="none")
    tokens = choosing.redeem(parameters_of(answer)["code"]).get_json()
    assert tokens["scope"] == "notes:read openid"
    # But never with nothing, and not for what cannot be left out.
    error = parameters_of(choosing.authorize(prompt="none", scope="openid profile"))["error"]
    assert error == "consent_required"
    fresh = Flow(sign_in(choosing.browser.application, "bob"), choosing.client, scope="notes:write")
    assert parameters_of(fresh.authorize(prompt="none"))["error"] == "consent_required"


@pytest.mark.parametrize("scope", ["openid", "nonsense"])
def test_what_nobody_can_leave_out_is_refused_at_start(scope: str) -> None:
    with pytest.raises(ConfigurationError, match="nobody can leave out"):
        make_app(PKCE_CONSENT_OPTIONAL_SCOPES=[scope])


@pytest.fixture
def timed(pkce_clock: Clock) -> Flow:
    app = make_app(PKCE_CONSENT_DAYS=[90, 0])
    app.extensions["pkce"].clock = pkce_clock
    return Flow(sign_in(app), register(app), scope="profile offline_access")


def test_how_long_is_asked_where_the_host_offers_it(pkce_flow: Flow, timed: Flow) -> None:
    assert "For how long?" not in pkce_flow.authorize().text
    page = timed.authorize().text
    radios = re.findall(r'<input type="radio" name="days" value="(\d*)"( checked)?>', page)
    assert radios == [("0", ""), ("90", ""), ("", " checked")]


def test_for_90_days(timed: Flow, pkce_clock: Clock) -> None:
    answer = timed.decide(timed.authorize(), days="90")
    tokens = timed.redeem(parameters_of(answer)["code"]).get_json()
    for _ in range(89):
        pkce_clock.advance(86400)
        tokens = timed.refresh(tokens["refresh_token"]).get_json()
    assert timed.authorize().status_code == 302
    pkce_clock.advance(86400 - 600)
    # Nothing outlives the day.
    tokens = timed.refresh(tokens["refresh_token"]).get_json()
    assert tokens["expires_in"] == 600
    pkce_clock.advance(600)
    assert timed.refresh(tokens["refresh_token"]).get_json()["error"] == "invalid_grant"
    page = timed.authorize()
    assert page.status_code == 200
    assert "Allowed before" not in page.text


def test_what_is_answered_without_asking_ends_on_the_same_day(
    timed: Flow, pkce_clock: Clock
) -> None:
    timed.decide(timed.authorize(), days="90")
    pkce_clock.advance(90 * 86400 - 600)
    for changes in ({}, {"prompt": "none"}):
        silent = timed.authorize(**changes)
        assert silent.status_code == 302
        tokens = timed.redeem(parameters_of(silent)["code"]).get_json()
        assert tokens["expires_in"] == 600
    pkce_clock.advance(600)
    assert timed.refresh(tokens["refresh_token"]).get_json()["error"] == "invalid_grant"


def test_a_code_gives_nothing_when_that_day_is_over(timed: Flow, pkce_clock: Clock) -> None:
    timed.decide(timed.authorize(), days="90")
    pkce_clock.advance(90 * 86400 - 10)
    code = parameters_of(timed.authorize())["code"]
    pkce_clock.advance(10)
    answer = timed.redeem(code)
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_grant")


def test_of_scopes_that_end_on_several_days_the_first_counts(
    timed: Flow, pkce_clock: Clock
) -> None:
    timed.decide(timed.authorize(scope="profile"), days="90")
    timed.decide(timed.authorize(scope="notes:read"), days="")
    pkce_clock.advance(90 * 86400 - 600)
    for scope, seconds in (("profile notes:read", 600), ("notes:read", 3600)):
        code = parameters_of(timed.authorize(scope=scope))["code"]
        assert timed.redeem(code).get_json()["expires_in"] == seconds


def test_only_this_once(timed: Flow, pkce_clock: Clock) -> None:
    answer = timed.decide(timed.authorize(), days="0")
    pkce_clock.advance(30)
    tokens = timed.redeem(parameters_of(answer)["code"]).get_json()
    assert tokens["expires_in"] == 3600
    assert timed.authorize().status_code == 200
    pkce_clock.advance(1800)
    assert timed.refresh(tokens["refresh_token"]).get_json()["expires_in"] == 1830
    pkce_clock.advance(1900)
    assert "error" in timed.refresh(tokens["refresh_token"]).get_json()


def test_until_it_is_removed(timed: Flow, pkce_clock: Clock) -> None:
    timed.decide(timed.authorize(), days="")
    pkce_clock.advance(400 * 86400)
    assert timed.authorize().status_code == 302


@pytest.mark.parametrize("days", ["1", "-90", "9e9", "x", "9" * 5000])
def test_a_time_that_is_not_offered_decides_nothing(timed: Flow, days: str) -> None:
    page = timed.decide(timed.authorize(), days=days)
    assert page.status_code == 400
    assert "Please decide again." in page.text


def test_consent_is_the_users_and_the_clients_own(app: Flask, pkce_flow: Flow) -> None:
    pkce_flow.allow()
    assert is_consent_page(Flow(sign_in(app, "bob"), pkce_flow.client).authorize())
    assert is_consent_page(Flow(pkce_flow.browser, register(app)).authorize())


def test_without_a_scope_the_user_decides_who_learns_who_they_are(
    app: Flask, pkce_flow: Flow
) -> None:
    refused = parameters_of(pkce_flow.authorize(scope=None, prompt="none"))
    assert refused["error"] == "consent_required"
    page = pkce_flow.authorize(scope=None)
    assert "only to know that it is you" in page.text
    code = parameters_of(pkce_flow.decide(page))["code"]
    assert pkce_flow.redeem(code).get_json()["scope"] == ""
    # It is remembered, like a scope, and taken back like one.
    assert "code" in parameters_of(pkce_flow.authorize(scope=None, prompt="none"))
    assert is_consent_page(pkce_flow.authorize(scope="profile"))
    form = {**hidden_fields(pkce_flow.browser.get("/oauth/apps").text), "remove": "app"}
    pkce_flow.browser.post("/oauth/apps", data=form)
    assert is_consent_page(pkce_flow.authorize(scope=None))


def test_who_was_let_in_with_a_scope_is_let_in_without(pkce_flow: Flow) -> None:
    pkce_flow.allow(scope="profile")
    assert "code" in parameters_of(pkce_flow.authorize(scope=None, prompt="none"))


def test_a_self_registered_app_always_asks(app: Flask, client: FlaskClient) -> None:
    flow = Flow(client, register(app, self_registered=True))
    flow.allow()
    assert is_consent_page(flow.authorize())
    assert is_consent_page(flow.authorize(scope=None))


@pytest.mark.parametrize("uri", ["http://127.0.0.1/cb", "com.example.app:/cb"])
def test_an_app_of_this_computer_always_asks(app: Flask, client: FlaskClient, uri: str) -> None:
    # RFC 8252 8.6: any program can pretend to be it.
    flow = Flow(client, register(app, redirect_uris=(uri,)))
    flow.allow()
    assert is_consent_page(flow.authorize())
    page = flow.authorize(scope=None)
    assert is_consent_page(page)
    assert "asks for nothing of your account" in page.text


def test_a_confidential_app_on_loopback_is_remembered(app: Flask, client: FlaskClient) -> None:
    known = register(app, auth_method="client_secret_basic", redirect_uris=("http://localhost/c",))
    flow = Flow(client, known)
    flow.allow()
    assert flow.authorize().status_code == 302


@pytest.mark.parametrize("name", ["Our own", "Notebook"])
def test_no_view_of_the_host_lets_in_the_app_of_a_stranger(
    app: Flask, client: FlaskClient, name: str
) -> None:
    # Anybody may have registered it, under any name: a GET is nobody's decision.
    app.pkce.consent_view(lambda consent: consent.allow())
    flow = Flow(client, register(app, name=name, self_registered=True))
    with pytest.raises(ConfigurationError, match=r"is_warned_of: return None"):
        flow.authorize()
    own = Flow(client, register(app, name=name))
    assert "code" in parameters_of(own.authorize())


def test_the_hosts_own_app_never_asks(app: Flask, client: FlaskClient) -> None:
    flow = Flow(client, register(app, skip_consent=True, redirect_uris=("http://127.0.0.1/cb",)))
    assert flow.authorize().status_code == 302


# The way to the page.


def sign_in_on_the_way(flow: Flow, answer, username: str = "ada"):
    """Follow from the authorization endpoint through the host's login and back."""
    assert answer.status_code in (302, 303)
    short = answer.headers["Location"]
    login = flow.browser.get(short)
    assert login.status_code == 302
    back = flow.browser.post(login.headers["Location"], data={"username": username})
    assert back.status_code == 303
    return flow.browser.get(back.headers["Location"])


def test_a_visitor_signs_in_first_and_the_login_page_gets_a_short_next(app: Flask) -> None:
    flow = Flow(app.test_client(), register(app))
    answer = flow.authorize()
    short = answer.headers["Location"]
    assert len(short) < 60
    login = flow.browser.get(short)
    assert urlsplit(login.headers["Location"]).path == "/login"
    assert len(login.headers["Location"]) < 100
    page = sign_in_on_the_way(flow, flow.authorize())
    assert is_consent_page(page)
    assert set(parameters_of(flow.decide(page))) == {"code", "state", "iss"}


def test_nothing_is_written_before_a_user_is_known(app: Flask) -> None:
    flow = Flow(app.test_client(), register(app))
    answer = flow.authorize()
    cookie = answer.headers["Set-Cookie"]
    for words in ("HttpOnly", "Secure", "SameSite=Lax", "Path=/oauth/authorize", "Max-Age=3600"):
        assert words in cookie
    assert not [
        name for name in answer.headers.getlist("Set-Cookie") if name.startswith("session=")
    ]


def test_a_posted_request_survives_login(app: Flask) -> None:
    flow = Flow(app.test_client(), register(app))
    answer = flow.browser.post("/oauth/authorize", data=flow.request())
    assert answer.status_code == 303
    page = sign_in_on_the_way(flow, answer)
    assert parameters_of(flow.decide(page))["state"] == flow.state


def test_a_posted_request_of_a_signed_in_user_goes_on_by_get(pkce_flow: Flow) -> None:
    # Posted from another site, it came without the session cookie.
    answer = pkce_flow.browser.post("/oauth/authorize", data=pkce_flow.request())
    assert answer.status_code == 303
    page = pkce_flow.browser.get(answer.headers["Location"])
    assert is_consent_page(page)


def test_two_tabs_do_not_disturb_each_other(app: Flask) -> None:
    browser = app.test_client()
    one, two = Flow(browser, register(app)), Flow(browser, register(app))
    first, second = one.authorize(), two.authorize()
    page_of_two = sign_in_on_the_way(two, second)
    page_of_one = browser.get(first.headers["Location"])
    assert parameters_of(one.decide(page_of_one))["state"] == one.state
    assert parameters_of(two.decide(page_of_two))["state"] == two.state


def test_a_request_that_was_answered_is_forgotten(app: Flask) -> None:
    flow = Flow(app.test_client(), register(app, skip_consent=True))
    answer = flow.authorize()
    done = sign_in_on_the_way(flow, answer)
    assert "code" in parameters_of(done)
    again = flow.browser.get(answer.headers["Location"])
    assert again.status_code == 400
    assert "has expired" in again.text


def test_a_request_waits_for_an_hour(app: Flask, pkce_clock: Clock) -> None:
    flow = Flow(app.test_client(), register(app))
    answer = flow.authorize()
    pkce_clock.advance(3600)
    late = flow.browser.get(answer.headers["Location"])
    assert late.status_code == 400
    assert "has expired" in late.text
    assert "Location" not in late.headers


def test_a_consent_form_waits_for_an_hour(pkce_flow: Flow, pkce_clock: Clock) -> None:
    page = pkce_flow.authorize()
    pkce_clock.advance(3600)
    assert "has expired" in pkce_flow.decide(page).text


@pytest.mark.parametrize("reference", ["0" * 16, "x", "../..", "0" * 17])
def test_a_reference_of_another_browser_means_nothing(pkce_flow: Flow, reference: str) -> None:
    answer = pkce_flow.browser.get("/oauth/authorize", query_string={"r": reference})
    assert answer.status_code == 400
    assert "has expired" in answer.text


def test_a_session_that_ends_on_the_consent_page_is_begun_again(pkce_flow: Flow) -> None:
    page = pkce_flow.authorize()
    pkce_flow.browser.post("/logout")
    answer = pkce_flow.decide(page)
    page = sign_in_on_the_way(pkce_flow, answer)
    assert is_consent_page(page)
    assert parameters_of(pkce_flow.decide(page))["state"] == pkce_flow.state


def test_a_decision_of_somebody_else_is_asked_for_anew(app: Flask, pkce_flow: Flow) -> None:
    page = pkce_flow.authorize()
    pkce_flow.browser.post("/logout")
    pkce_flow.browser.post("/login", data={"username": "bob"})
    answer = pkce_flow.decide(page)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/oauth/authorize?r=")
    again = pkce_flow.browser.get(answer.headers["Location"])
    assert "Bob" in again.text


def test_an_altered_form_is_refused(pkce_flow: Flow) -> None:
    page = pkce_flow.authorize()
    signed = hidden_fields(page.text)["request"]
    # Not its last character: of that, base64 does not read every bit.
    other = "A" if signed[-9] != "A" else "B"
    for altered in (signed[:-9] + other + signed[-8:], "", "x", signed[::-1]):
        answer = pkce_flow.decide(page, request=altered)
        assert answer.status_code == 400
        assert "Location" not in answer.headers


@pytest.mark.parametrize(
    ("now", "destination"),
    [
        ({"client_metadata": {"default_scope": "profile notes:write"}}, "client.example"),
        ({"redirect_uris": ["https://elsewhere.example/cb"]}, "elsewhere.example"),
        ({"client_name": "Another"}, "client.example"),
    ],
    ids=["scope", "destination", "name"],
)
def test_what_the_app_changes_while_its_user_decides_they_have_not_agreed_to(
    app: Flask, client: FlaskClient, now: dict[str, object], destination: str
) -> None:
    # It changes what it registered (RFC 7592), and the request leaves it to that.
    flow = Flow(client, register(app, client_metadata={"default_scope": "profile"}))
    page = flow.authorize(scope=None, redirect_uri=None)
    assert "Write notes for you" not in page.text

    def change(session: Session) -> None:
        stored = session.get_one(Client, flow.client.client_id)
        for name, value in now.items():
            setattr(stored, name, value)

    with app.app_context():
        server_of(app).store.write(change)
    again = flow.decide(page)
    assert again.status_code == 400
    assert destination in again.text
    assert ("Write notes for you" in again.text) == ("client_metadata" in now)
    assert ("Another" in again.text) == ("client_name" in now)
    answer = flow.decide(again)
    assert destination in answer.headers["Location"]
    assert "code" in parameters_of(answer)


@pytest.mark.parametrize("token", ["", "forged"])
def test_without_its_csrf_token_the_form_decides_nothing(pkce_flow: Flow, token: str) -> None:
    answer = pkce_flow.decide(pkce_flow.authorize(), csrf_token=token)
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text


# Errors.


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"client_id": None}, "client_id is missing"),
        ({"client_id": "unknown"}, "No app is registered here"),
        ({"redirect_uri": "https://evil.example/"}, "not one that this client registered"),
        ({"state": "x" * 2049}, "state has at most 2048 characters"),
        ({"redirect_uri": REDIRECT_URI + "/"}, "not one that this client registered"),
        ({"redirect_uri": REDIRECT_URI + "?x=1"}, "not one that this client registered"),
    ],
)
def test_what_cannot_be_told_to_the_client_is_told_to_the_person(
    pkce_flow: Flow, changes: dict[str, str | None], words: str
) -> None:
    # RFC 6749 4.1.2.1; prompt and response_type change nothing about it.
    for more in ({}, {"prompt": "none"}, {"response_type": "token"}, {"scope": "x"}):
        answer = pkce_flow.authorize(**changes, **more)
        assert answer.status_code in (400, 401)
        assert "Location" not in answer.headers
        assert words in answer.text
        assert "reference" in answer.text


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": 'co"de'}, "unsupported_response_type"),
        ({"response_mode": "cookie"}, "invalid_request"),
        ({"scope": "unheard-of"}, "invalid_scope"),
        ({"scope": 'pro"file'}, "invalid_scope"),
        ({"scope": "profile\\"}, "invalid_scope"),
        ({"scope": "profilé"}, "invalid_scope"),
        ({"scope": "profile\u00a0notes:read"}, "invalid_scope"),
        ({"nonce": "a\x00b"}, "invalid_request"),
    ],
)
def test_errors_go_to_the_client_with_state_and_iss(
    pkce_flow: Flow, changes: dict[str, str | None], error: str
) -> None:
    for browser in (pkce_flow.browser, pkce_flow.browser.application.test_client()):
        pkce_flow.browser = browser
        answer = pkce_flow.authorize(**changes)
        assert answer.headers["Location"].startswith(REDIRECT_URI + "?")
        parameters = parameters_of(answer)
        assert parameters["error"] == error
        assert parameters["error_description"].isascii()
        assert parameters["iss"] == "https://auth.example"
        assert parameters["state"] == changes.get("state", pkce_flow.state)


def test_unknown_parameters_are_ignored(pkce_flow: Flow) -> None:
    page = pkce_flow.authorize(audience="x", auth0Client="eyJ", display="page", foo="bar")
    assert is_consent_page(page)


@pytest.mark.parametrize("name", ["client_id", "redirect_uri", "scope", "state", "nonce"])
def test_a_parameter_twice_is_refused(pkce_flow: Flow, name: str) -> None:
    # RFC 6749 3.1
    request = {**pkce_flow.request(), "nonce": "n"}
    query = {**request, name: [request[name], request[name]]}
    answer = pkce_flow.browser.get("/oauth/authorize", query_string=query)
    if name in ("client_id", "redirect_uri"):
        assert answer.status_code == 400
    else:
        assert parameters_of(answer)["error"] == "invalid_request"


@pytest.mark.parametrize(
    "state", ["a=b", "a b+c%d&e", "öäü-日本", '"<script>', "x" * 2048, "{}[]|^`", "%FF", "+"]
)
@pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
def test_state_comes_back_as_it_went(pkce_flow: Flow, state: str, mode: str) -> None:
    answer = pkce_flow.decide(pkce_flow.authorize(state=state, response_mode=mode))
    if mode == "form_post":
        assert hidden_fields(answer.text)["state"] == state
    else:
        assert parameters_of(answer)["state"] == state


def test_a_query_that_is_not_utf_8_is_refused(pkce_flow: Flow) -> None:
    answer = pkce_flow.browser.get("/oauth/authorize?client_id=%FF%FE&state=%FF")
    assert answer.status_code == 400


# Response modes.


def test_fragment(pkce_flow: Flow) -> None:
    answer = pkce_flow.decide(pkce_flow.authorize(response_mode="fragment"))
    assert answer.headers["Location"].startswith(REDIRECT_URI + "#code=fpk_ac_")
    error = pkce_flow.authorize(response_mode="fragment", scope="unheard-of")
    assert error.headers["Location"].startswith(REDIRECT_URI + "#error=invalid_scope")


def test_form_post(pkce_flow: Flow) -> None:
    answer = pkce_flow.decide(pkce_flow.authorize(response_mode="form_post", state='"><b>'))
    assert answer.status_code == 200
    assert f'action="{REDIRECT_URI}"' in answer.text
    fields = hidden_fields(answer.text)
    assert set(fields) == {"code", "state", "iss"}
    assert '"><b>' not in answer.text
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert pkce_flow.redeem(fields["code"]).status_code == 200
    script = pkce_flow.browser.get("/oauth/static/form_post.js")
    assert script.status_code == 200
    script.close()


def test_form_post_carries_state_as_it_came(pkce_flow: Flow) -> None:
    answer = pkce_flow.decide(pkce_flow.authorize(response_mode="form_post", state="a b%é&amp;"))
    assert hidden_fields(answer.text)["state"] == "a b%é&amp;"


def test_form_post_to_an_app_of_this_computer_is_refused(app: Flask, client: FlaskClient) -> None:
    flow = Flow(client, register(app, redirect_uris=("com.example.app:/cb",)))
    # In the query: what cannot be posted there cannot bring the error either.
    assert parameters_of(flow.authorize(response_mode="form_post"))["error"] == "invalid_request"


def test_somebody_else_signs_in_and_goes_on(app: Flask, pkce_flow: Flow) -> None:
    page = pkce_flow.authorize()
    assert "Not you?" in page.text
    aside = pkce_flow.decide(page, "switch").headers["Location"]
    login = pkce_flow.browser.get(aside).headers["Location"]
    assert login.startswith("/login?next=")
    back = pkce_flow.browser.post(login, data={"username": "bob"}).headers["Location"]
    page = pkce_flow.browser.get(back)
    assert "Signed in as <strong><bdi>Bob</bdi></strong>" in page.text
    code = parameters_of(pkce_flow.decide(page))["code"]
    token = pkce_flow.redeem(code).get_json()["access_token"]
    me = app.test_client().get("/api/me", headers={"Authorization": f"Bearer {token}"})
    assert me.get_json()["name"] == "Bob"


def test_nobody_is_switched_without_the_forms_csrf_token(pkce_flow: Flow) -> None:
    answer = pkce_flow.decide(pkce_flow.authorize(), "switch", csrf_token="forged")
    assert answer.status_code == 400
    assert pkce_flow.authorize().status_code == 200


# The redirect URI.


@pytest.mark.parametrize(
    "uri",
    [
        "https://client.example",
        "https://client.example/",
        "https://client.example/cb?a=1",
        "https://client.example/cb?flag",
        "https://client.example/a%20b;p=1",
        "myapp:///cb",
        "MyApp://cb",
        "com.example.app:/oauth2redirect",
        "http://127.0.0.1:5173",
    ],
)
def test_the_browser_goes_to_the_very_bytes_of_the_uri(
    app: Flask, client: FlaskClient, uri: str
) -> None:
    flow = Flow(client, register(app, redirect_uris=(uri,)))
    answer = flow.decide(flow.authorize())
    separator = "&" if "?" in uri else "?"
    assert answer.headers["Location"].startswith(uri + separator + "code=fpk_ac_")


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_on_loopback_the_port_may_vary(app: Flask, client: FlaskClient, host: str) -> None:
    # RFC 8252 7.3
    flow = Flow(client, register(app, redirect_uris=(f"http://{host}/cb",)))
    uri = f"http://{host}:51004/cb"
    answer = flow.decide(flow.authorize(redirect_uri=uri))
    assert answer.headers["Location"].startswith(uri + "?code=")
    code = parameters_of(answer)["code"]
    assert flow.redeem(code, redirect_uri=uri).status_code == 200


def test_the_uri_may_be_left_out_when_exactly_one_is_registered(pkce_flow: Flow) -> None:
    # RFC 6749 3.1.2.3
    code = pkce_flow.allow(redirect_uri=None)["code"]
    assert pkce_flow.redeem(code, redirect_uri=None).status_code == 200


def test_and_not_when_there_are_several(app: Flask, client: FlaskClient) -> None:
    several = ("https://client.example/a", "https://client.example/b")
    answer = Flow(client, register(app, redirect_uris=several)).authorize(redirect_uri=None)
    assert answer.status_code == 400
    assert "redirect_uri is missing" in answer.text
    for uri in several:
        assert uri not in answer.text


# Scopes.


@pytest.mark.parametrize("scope", [None, "", " ", "   "])
def test_who_names_no_scope_is_taken_to_ask_for_the_default(scope: str | None) -> None:
    app = make_app(PKCE_AUTHORIZE_DEFAULT_SCOPES=["notes:read", "profile"])
    only_notes = register(app, scope=["notes:read"])
    browser = sign_in(app)
    assert Flow(browser, register(app)).tokens(scope=scope)["scope"] == "notes:read profile"
    assert Flow(browser, only_notes).tokens(scope=scope)["scope"] == "notes:read"


def test_blanks_around_scopes_do_no_harm(pkce_flow: Flow) -> None:
    tokens = pkce_flow.tokens(scope=" profile  notes:read profile ")
    assert tokens["scope"] == "notes:read profile"


@pytest.mark.parametrize("blank", ["\u00a0", "\u2003", "\u2028"])
def test_a_space_and_nothing_else_parts_scopes(pkce_flow: Flow, blank: str) -> None:
    # RFC 6749 3.3
    answer = pkce_flow.authorize(scope=f"profile{blank}notes:read")
    assert parameters_of(answer)["error"] == "invalid_scope"


def test_a_client_gets_no_scope_beyond_its_own(app: Flask, client: FlaskClient) -> None:
    flow = Flow(client, register(app, scope=["profile"]), scope="profile")
    assert parameters_of(flow.authorize(scope="notes:read"))["error"] == "invalid_scope"
    assert flow.tokens()["scope"] == "profile"


def test_scopes_that_nobody_knows_may_be_left_out() -> None:
    app = make_app(PKCE_AUTHORIZE_UNKNOWN_SCOPES="drop")
    flow = Flow(sign_in(app), register(app))
    assert flow.tokens(scope="profile tokens:forge unheard-of")["scope"] == "profile"
