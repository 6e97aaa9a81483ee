"""What is done to the pages: injected, framed, forged, altered, replayed; all over HTTP."""

from __future__ import annotations

import base64
import io
import json
from html.parser import HTMLParser
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from flask_pkce_server.errors import InvalidRequestError
from flask_pkce_server.models import client_storage as clients
from flask_pkce_server.testing import (
    REDIRECT_URI,
    Clock,
    Flow,
    hidden_fields,
    new_verifier,
    parameters_of,
    register,
    server_of,
)
from flask_pkce_server.wire.code_challenge import challenge_of

from ..host import make_app, sign_in

pytestmark = pytest.mark.thorough

AUTHORIZE, APPS, LOGOUT = "/oauth/authorize", "/oauth/apps", "/oauth/logout"
OTHER_URI = "https://client.example/other"
BYE = "https://client.example/bye"

HOSTILE = {
    "script": '"><script>alert(1)</script>',
    "title": "</title><img src=x onerror=alert(1)>",
    "apostrophe": "' onfocus='alert(1)' autofocus='",
    "template": "{{7*7}}{client}{0}%(name)s${7*7}",
    "scheme": "javascript:alert(1)",
    "bidi": "\u202egnp\u2066a\u2067b\u2068c\u2069\u2069",
    "invisible": "\u200b\u200d\ufeff",
}
_VOID = {"br", "hr", "img", "input", "link", "meta"}


# As in production: a failure is an answer here, and has to be seen as one.
PRODUCTION: dict[str, Any] = {"TESTING": False, "PROPAGATE_EXCEPTIONS": False}


# One for all tests, which have clients of their own: to compile its templates takes longer
# than most of them.
@pytest.fixture(scope="module")
def app() -> Flask:
    return make_app(**PRODUCTION)


@pytest.fixture(scope="module")
def debug_app() -> Flask:
    return make_app(**PRODUCTION, DEBUG=True)


class Page(HTMLParser):
    """The elements of a page, its texts and what each of them stands in."""

    def __init__(self, answer: TestResponse) -> None:
        super().__init__()
        #: Each start tag with the names of its attributes.
        self.elements: list[tuple[str, ...]] = []
        self.values: list[tuple[str, str]] = []
        #: Each text with the tags and the classes around it.
        self.texts: list[tuple[str, set[str]]] = []
        self._around: list[tuple[str, set[str]]] = []
        self.feed(answer.text)
        self.close()
        assert not self._around

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, *sorted(name for name, _ in attrs)))
        self.values += [(name, value or "") for name, value in attrs]
        if tag not in _VOID:
            self._around.append((tag, {tag, *(dict(attrs).get("class") or "").split()}))

    def handle_endtag(self, tag: str) -> None:
        assert self._around, f"</{tag}> closes nothing"
        assert self._around.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((data, set().union(*(names for _, names in self._around))))

    def isolates(self, text: str) -> bool:
        """Say whether `text` is there, and nowhere that it could be taken for the page's own."""
        places = [names for data, names in self.texts if text in data]
        assert all(names & {"bdi", "title", "pkce-hidden"} for names in places), places
        acting = ("href", "src", "action", "formaction", "lang", "dir", "class", "id")
        assert not [one for one in self.values if one[0] in acting and text in one[1]]
        return any("bdi" in names for names in places)


def press(browser: FlaskClient, path: str, page: TestResponse, **fields: Any) -> TestResponse:
    """Send the form of `page`; a field that is None is left out."""
    form = {**hidden_fields(page.text), **fields}
    data = {name: value for name, value in form.items() if value is not None}
    return browser.post(path, data=data)


def pages_that_name(flow: Flow) -> dict[str, TestResponse]:
    """Return every page on which the user reads what the client calls itself."""
    press(flow.browser, APPS, flow.browser.get(APPS), remove="all")
    consent = flow.authorize(prompt="consent")
    pages = {"consent": consent, "undecided": flow.decide(consent, "maybe")}
    flow.tokens()
    flow.tokens()
    pages["apps"] = flow.browser.get(APPS)
    pages["refused"] = flow.browser.post(APPS, data={"remove": "all"})
    pages["logout"] = flow.browser.get(LOGOUT, query_string={"client_id": flow.client.client_id})
    pages["stay"] = press(flow.browser, LOGOUT, pages["logout"], decision="maybe")
    return pages


def rename(app: Flask, client_id: str, name: str, **metadata: str) -> None:
    """Call a client so, as it may have been stored by a release that took any name."""

    def write(session: Session) -> None:
        client = session.get(clients.Client, client_id)
        assert client is not None
        client.client_name = name
        client.client_metadata = {**client.client_metadata, **metadata}

    with app.app_context():
        server_of(app).store.write(write)


def has(app: Flask, username: str, client_id: str) -> bool:
    """Say whether a user has let a client in, as a browser of their own shows it."""
    return f'value="{client_id}"' in sign_in(app, username).get(APPS).text


def assert_has_no_code(answer: TestResponse) -> None:
    assert answer.status_code < 500
    assert "fpk_ac_" not in answer.headers.get("Location", "") + answer.text


def assert_nothing_is_granted(flow: Flow, answer: TestResponse) -> None:
    assert_has_no_code(answer)
    for username in ("ada", "bob"):
        assert not has(flow.browser.application, username, flow.client.client_id)


def is_signed_in(browser: FlaskClient) -> bool:
    return browser.get(APPS).status_code == 200


def call(app: Flask, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return app.test_client(use_cookies=False).get("/api/me", headers=headers).status_code


# What is shown.


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE)
def test_what_a_client_calls_itself_is_text_of_its_own_on_every_page(
    app: Flask, payload: str
) -> None:
    usual, hostile = register(app), register(app)
    rename(app, usual.client_id, "Notebook", developer="Makers", sector="client.example")
    name, developer = f"A{payload}Z", f"M{payload}N"
    rename(app, hostile.client_id, name, developer=developer, sector=payload)
    expected = pages_that_name(Flow(sign_in(app), usual))
    for which, answer in pages_that_name(Flow(sign_in(app, "bob"), hostile)).items():
        assert answer.status_code == expected[which].status_code
        page = Page(answer)
        assert page.elements == Page(expected[which]).elements, which
        assert page.isolates(name), which
        page.isolates(developer)
        page.isolates(payload)


@pytest.mark.parametrize(
    "name",
    ["client_id", "redirect_uri", "state", "scope", "ui_locales", "id_token_hint", "login_hint"],
)
def test_what_a_request_says_is_never_more_than_text_on_an_error_page(
    app: Flask, debug_app: Flask, name: str
) -> None:
    # To be told to the person, not to the client.
    wrong = {"client_id": "nobody"} if name == "client_id" else {"redirect_uri": OTHER_URI}
    for one in (app, debug_app):
        flow = Flow(sign_in(one), register(one))
        usual = set(Page(flow.authorize(**wrong)).elements)
        for payload in HOSTILE.values():
            # A state that is too long is an error by itself.
            value = payload * 400 if name == "state" else payload
            answer = flow.authorize(**{**wrong, name: value})
            assert answer.status_code in (400, 401)
            assert "Location" not in answer.headers
            page = Page(answer)
            assert set(page.elements) <= usual
            # Only its developer is told what the request said.
            shown = page.isolates(payload)
            assert shown is (one is debug_app and name == "redirect_uri")


def test_what_a_logout_says_is_never_more_than_text(app: Flask, debug_app: Flask) -> None:
    for one in (app, debug_app):
        known = register(one, client_metadata={"post_logout_redirect_uris": [BYE]})
        asked = {"client_id": known.client_id, "post_logout_redirect_uri": BYE}
        browser = sign_in(one)
        refused = {**asked, "post_logout_redirect_uri": OTHER_URI}
        usual = set(Page(browser.get(LOGOUT, query_string=asked)).elements)
        usual.update(Page(browser.get(LOGOUT, query_string=refused)).elements)
        for name in ("client_id", "post_logout_redirect_uri", "state", "id_token_hint", "x"):
            for payload in HOSTILE.values():
                query = {**asked, "ui_locales": payload, name: payload}
                language = payload.encode("ascii", "ignore").decode()
                headers = {"Accept-Language": language, "User-Agent": language}
                answer = browser.get(LOGOUT, query_string=query, headers=headers)
                assert answer.status_code == (400 if name == "post_logout_redirect_uri" else 200)
                assert "Location" not in answer.headers
                page = Page(answer)
                assert set(page.elements) <= usual
                shown = page.isolates(payload)
                assert shown is (one is debug_app and name == "post_logout_redirect_uri")
        assert is_signed_in(browser)


def test_a_form_that_sends_itself_carries_text_and_no_element(app: Flask) -> None:
    # Of the characters of a URI these are the ones that could end an attribute.
    uri = "https://x.example/cb?a='onload=alert(1)'&b=(1)&lt;"
    flow = Flow(sign_in(app), register(app, redirect_uris=(uri,)))
    asked = {"response_mode": "form_post", "prompt": "consent"}
    usual = flow.decide(flow.authorize(**asked))
    for payload in HOSTILE.values():
        page = flow.authorize(**asked, state=payload)
        assert Page(page).isolates("x.example")
        allowed = flow.decide(page)
        assert Page(allowed).elements == Page(usual).elements
        refused = flow.authorize(**asked, state=payload, scope=f"{payload}\\")
        for answer in (allowed, refused):
            assert answer.status_code == 200
            found = Page(answer)
            assert ("action", uri) in found.values
            assert ("value", payload) in found.values
            scripts = [one for one in found.elements if one[0] == "script"]
            assert scripts == [("script", "defer", "src")]
            assert not [data for data, _ in found.texts if payload in data]
            assert set(found.elements) <= set(Page(usual).elements)


@pytest.mark.parametrize(
    "name",
    ["N" * 5000, "<b>" * 1700, "\u200b" * 1700, "\U0001f600" * 1250],
    ids=["letters", "tags", "invisible", "emoji"],
)
def test_a_client_with_a_name_of_5_kb_is_not_registered(app: Flask, name: str) -> None:
    with pytest.raises(InvalidRequestError, match="1 to 255 characters"):
        register(app, name=name, client_id="loud")
    answer = Flow(sign_in(app), register(app)).authorize(client_id="loud")
    assert answer.status_code in (400, 401)


def test_a_client_with_a_link_that_runs_is_not_registered(app: Flask) -> None:
    for field in ("client_uri", "policy_uri", "tos_uri"):
        register(app, client_metadata={field: "https://client.example/page"})
        for uri in (
            "javascript:alert(1)",
            "JavaScript://client.example/%0aalert(1)",
            "data:text/html,x",
            'https://client.example/"onclick="alert(1)',
            "https://bank.example@evil.example/",
            "https://client.example/\u202egnp",
            "//client.example/",
            "/page",
        ):
            with pytest.raises(InvalidRequestError):
                register(app, client_metadata={field: uri})


# Frames.


@pytest.mark.parametrize(
    ("method", "path", "form"),
    [
        ("GET", AUTHORIZE, None),
        ("GET", f"{AUTHORIZE}?r=0123456789abcdef", None),
        ("POST", AUTHORIZE, {"decision": "allow", "request": "x"}),
        ("POST", AUTHORIZE, {f"decision{number}": "" for number in range(1001)}),
        ("PUT", AUTHORIZE, None),
        ("POST", APPS, {"remove": "all"}),
        ("GET", f"{LOGOUT}?client_id=nobody", None),
        ("POST", LOGOUT, {"decision": "allow"}),
    ],
    ids=["nothing", "expired", "forged", "too_large", "method", "apps", "client", "logout"],
)
def test_no_refusal_can_be_framed(
    app: Flask, method: str, path: str, form: dict[str, str] | None
) -> None:
    # As multipart, of which too many parts are too large.
    how: dict[str, Any] = (
        {} if form is None else {"data": form, "content_type": "multipart/form-data"}
    )
    assert_unframeable(app.test_client().open(path, method=method, **how))


def test_no_page_and_no_answer_to_a_form_can_be_framed(app: Flask) -> None:
    known = register(app, client_metadata={"post_logout_redirect_uris": [BYE]})
    flow = Flow(sign_in(app), known)
    browser, stranger = flow.browser, Flow(app.test_client(), known)
    for answer in (
        *pages_that_name(flow).values(),
        stranger.authorize(),
        stranger.browser.get(APPS),
    ):
        assert_unframeable(answer)
    for mode in ("query", "fragment", "form_post"):
        for decision in ("allow", "deny"):
            page = flow.authorize(prompt="consent", response_mode=mode)
            assert_unframeable(flow.decide(page, decision))
    assert_unframeable(press(browser, APPS, browser.get(APPS), remove="all"))
    leaving = browser.get(LOGOUT, query_string={"client_id": known.client_id})
    assert_unframeable(press(browser, LOGOUT, leaving, decision="deny"))
    assert_unframeable(press(browser, LOGOUT, leaving, decision="allow"))
    assert_unframeable(browser.get(LOGOUT))


def assert_unframeable(answer: TestResponse) -> None:
    assert answer.status_code < 500
    assert answer.headers.getlist("X-Frame-Options") == ["DENY"]
    (policy,) = answer.headers.getlist("Content-Security-Policy")
    ancestors = [one.split() for one in policy.split(";") if "frame-ancestors" in one]
    assert ancestors == [["frame-ancestors", "'none'"]]


# Forged forms.


def tokens_of_others(app: Flask) -> list[str | None]:
    """Return CSRF tokens that are not of the browser that is to send them."""
    ada, bob = (
        hidden_fields(sign_in(app, username).get(LOGOUT).text)["csrf_token"]
        for username in ("ada", "bob")
    )
    return [None, ada, bob, ada[::-1], f"{ada}x", "é.é.é"]


def test_a_consent_form_with_the_token_of_another_browser_decides_nothing(app: Flask) -> None:
    flow = Flow(sign_in(app), register(app))
    page = flow.authorize()
    for token in tokens_of_others(app):
        for decision in ("allow", "deny", "switch"):
            answer = press(flow.browser, AUTHORIZE, page, decision=decision, csrf_token=token)
            assert answer.status_code == 400
            assert "Location" not in answer.headers
            assert is_signed_in(flow.browser)
    assert_nothing_is_granted(flow, answer)
    # The page itself was good.
    assert "code" in parameters_of(flow.decide(page))


def test_a_button_of_the_apps_with_the_token_of_another_browser_removes_nothing(
    app: Flask,
) -> None:
    flow = Flow(sign_in(app), register(app))
    tokens = [flow.tokens()["access_token"], flow.tokens()["access_token"]]
    page = flow.browser.get(APPS)
    own = {"client_id": flow.client.client_id, "scope": "profile"}
    for token in tokens_of_others(app):
        for button in ("app", "session", "scopes", "all"):
            answer = press(flow.browser, APPS, page, **own, remove=button, csrf_token=token)
            assert answer.status_code == 400
            assert [call(app, one) for one in tokens] == [200, 200]
    press(flow.browser, APPS, page, **own, remove="app")
    assert [call(app, one) for one in tokens] == [401, 401]


def test_a_logout_form_with_the_token_of_another_browser_signs_nobody_out(app: Flask) -> None:
    known = register(app, client_metadata={"post_logout_redirect_uris": [BYE]})
    asked = {"client_id": known.client_id, "post_logout_redirect_uri": BYE}
    browser = sign_in(app)
    page = browser.get(LOGOUT, query_string=asked)
    for token in tokens_of_others(app):
        answer = press(browser, LOGOUT, page, decision="allow", csrf_token=token)
        assert answer.status_code == 400
        assert "Location" not in answer.headers
        assert is_signed_in(browser)
    assert press(browser, LOGOUT, page, decision="allow").headers["Location"] == BYE


# What is changed between the page and its form.


CHANGES = {
    "scope": "openid profile notes:write offline_access",
    "redirect_uri": OTHER_URI,
    "client_id": "{other}",
    "state": "evil",
    "code_challenge": challenge_of(new_verifier()),
    "response_mode": "fragment",
    "nonce": "evil",
}


@pytest.mark.parametrize(
    "changes",
    [*({name: value} for name, value in CHANGES.items()), CHANGES],
    ids=[*CHANGES, "all"],
)
def test_what_was_shown_is_what_is_granted(app: Flask, changes: dict[str, str]) -> None:
    known = register(
        app,
        redirect_uris=(REDIRECT_URI, OTHER_URI),
        client_metadata={"id_token_signed_response_alg": "ES256"},
    )
    other = register(app, redirect_uris=(OTHER_URI,))
    changes = {name: value.format(other=other.client_id) for name, value in changes.items()}
    for place in ("data", "query_string"):
        flow = Flow(sign_in(app), known, scope="openid profile")
        page = flow.authorize(nonce="shown", prompt="consent")
        form = {**hidden_fields(page.text), "decision": "allow"}
        sent = {"data": form, place: changes | form if place == "data" else changes}
        answer = flow.browser.post(AUTHORIZE, **sent)
        assert answer.headers["Location"].startswith(f"{REDIRECT_URI}?code=")
        carried = parameters_of(answer)
        assert carried["state"] == flow.state
        tokens = flow.redeem(carried["code"]).get_json()
        assert tokens["scope"].split() == ["openid", "profile"]
        payload = tokens["id_token"].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
        assert (claims["aud"], claims["nonce"]) == (known.client_id, "shown")
        assert not has(app, "ada", other.client_id)


def test_no_character_of_the_signed_request_can_be_another(app: Flask) -> None:
    flow = Flow(sign_in(app), register(app))
    page = flow.authorize()
    signed = hidden_fields(page.text)["request"]
    # Not its last character: of that, base64 does not read every bit.
    for place in {*range(0, len(signed) - 1, 9), signed.rindex("."), len(signed) - 2}:
        flipped = chr(ord(signed[place]) ^ 1)
        answer = flow.decide(page, request=signed[:place] + flipped + signed[place + 1 :])
        assert answer.status_code == 400, place
        assert "Location" not in answer.headers
    assert_nothing_is_granted(flow, answer)


def test_a_signed_request_that_is_cut_or_put_together_grants_nothing(app: Flask) -> None:
    flow = Flow(sign_in(app), register(app))
    page = flow.authorize()
    signed = hidden_fields(page.text)["request"]
    wide = hidden_fields(flow.authorize(scope="profile notes:write").text)["request"]
    payload, _, signature = signed.rpartition(".")
    for text in (
        f"{wide.rpartition('.')[0]}.{signature}",
        f"{payload}.",
        f".{signature}",
        f"{payload}.{signature[:10]}",
        signed[: len(signed) // 2],
        signed[1:],
        f"{signed}.{signature}",
        f"{wide}{signed}",
        ".",
        "..",
        "é.é",
        "." * 10_000,
    ):
        answer = flow.decide(page, request=text)
        assert answer.status_code == 400, text
        assert "Location" not in answer.headers
    assert_nothing_is_granted(flow, answer)


def test_the_request_of_a_consent_form_signs_nobody_out(app: Flask) -> None:
    metadata = {"post_logout_redirect_uris": [BYE]}
    flow = Flow(sign_in(app), register(app, client_metadata=metadata))
    page = flow.authorize(post_logout_redirect_uri=BYE)
    answer = press(flow.browser, LOGOUT, page, decision="allow")
    assert answer.status_code == 400
    assert "Location" not in answer.headers
    assert is_signed_in(flow.browser)


def test_a_request_that_was_put_aside_is_no_consent_form(app: Flask) -> None:
    flow = Flow(sign_in(app), register(app))
    stranger = Flow(app.test_client(), flow.client)
    aside = stranger.authorize().headers["Set-Cookie"].split(";")[0].split("=", 1)[1]
    answer = flow.decide(flow.authorize(), request=aside)
    assert_nothing_is_granted(flow, answer)
    # It is a request like any other, and is asked about.
    asked = flow.browser.get(answer.headers["Location"])
    assert 'name="decision"' in asked.text


def test_a_form_that_another_server_signed_grants_nothing(app: Flask) -> None:
    flow = Flow(sign_in(app), register(app))
    other = make_app(SECRET_KEY="another-secret-key-of-the-tests-0123456789")
    theirs = Flow(sign_in(other), register(other, client_id=flow.client.client_id)).authorize()
    answer = flow.decide(flow.authorize(), request=hidden_fields(theirs.text)["request"])
    assert answer.status_code == 400
    assert_nothing_is_granted(flow, answer)


def test_the_form_for_another_client_serves_that_client_only(app: Flask) -> None:
    flow = Flow(sign_in(app), register(app), scope="profile notes:write")
    other = Flow(flow.browser, register(app, redirect_uris=(OTHER_URI,)), scope="profile")
    signed = hidden_fields(other.authorize().text)["request"]
    answer = flow.decide(flow.authorize(), request=signed)
    assert answer.headers["Location"].startswith(f"{OTHER_URI}?code=")
    carried = parameters_of(answer)
    assert carried["state"] == other.state
    assert flow.redeem(carried["code"]).status_code == 400
    assert other.redeem(carried["code"]).get_json()["scope"] == "profile"
    assert not has(app, "ada", flow.client.client_id)


# Forms that come again.


def test_a_consent_form_is_no_good_to_another_user(app: Flask) -> None:
    flow = Flow(sign_in(app), register(app))
    signed = hidden_fields(flow.authorize().text)["request"]
    bob = Flow(sign_in(app, "bob"), flow.client)
    for decision in ("allow", "deny", "switch", "maybe"):
        # The token is Bob's own, and good.
        answer = bob.decide(bob.authorize(), decision, request=signed)
        assert answer.status_code == 303
        # Neither the client nor his session hears of it: he is asked himself.
        assert answer.headers["Location"].startswith(f"{AUTHORIZE}?r=")
        assert 'name="decision"' in bob.browser.get(answer.headers["Location"]).text
    assert_nothing_is_granted(flow, answer)


def test_a_consent_form_is_no_good_after_the_logout_of_its_user(app: Flask) -> None:
    flow = Flow(sign_in(app), register(app))
    page = flow.authorize()
    press(flow.browser, LOGOUT, flow.browser.get(LOGOUT), decision="allow")
    for browser in (flow.browser, app.test_client()):
        for decision in ("allow", "deny"):
            answer = press(browser, AUTHORIZE, page, decision=decision)
            assert answer.headers["Location"].startswith(f"{AUTHORIZE}?r=")
            login = browser.get(answer.headers["Location"])
            assert login.headers["Location"].startswith("/login?next=")
    assert_nothing_is_granted(flow, answer)


def test_a_consent_form_is_no_good_after_somebody_else_went_on_from_it(app: Flask) -> None:
    flow = Flow(sign_in(app), register(app))
    page = flow.authorize()
    login = flow.browser.get(flow.decide(page, "switch").headers["Location"])
    flow.browser.post(login.headers["Location"], data={"username": "bob"})
    for decision in ("allow", "deny", "switch"):
        answer = flow.decide(page, decision)
        assert answer.headers["Location"].startswith(f"{AUTHORIZE}?r=")
        assert is_signed_in(flow.browser)
    assert_nothing_is_granted(flow, answer)


def test_a_consent_form_that_is_sent_twice_gives_each_time_a_code_of_its_own(app: Flask) -> None:
    flow = Flow(sign_in(app), register(app))
    page = flow.authorize()
    answers = [flow.decide(page, decision) for decision in ("allow", "allow", "deny")]
    assert [answer.status_code for answer in answers] == [303, 303, 303]
    carried = [parameters_of(answer) for answer in answers]
    assert carried[0]["code"] != carried[1]["code"]
    assert carried[2]["error"] == "access_denied"
    tokens = [flow.redeem(one["code"]).get_json()["access_token"] for one in carried[:2]]
    assert [call(app, token) for token in tokens] == [200, 200]
    # Each is good once, and one that comes again takes back its own token only.
    assert flow.redeem(carried[0]["code"]).get_json()["error"] == "invalid_grant"
    assert [call(app, token) for token in tokens] == [401, 200]


def test_no_button_of_a_form_works_when_its_time_is_over() -> None:
    app, clock = make_app(**PRODUCTION), Clock()
    server_of(app).clock = clock
    flow = Flow(sign_in(app), register(app))
    page, leaving = flow.authorize(), flow.browser.get(LOGOUT)
    clock.advance(3599)
    again = flow.decide(page, "maybe")
    clock.advance(1)
    for decision in ("allow", "deny", "switch", "maybe"):
        answer = flow.decide(page, decision)
        assert answer.status_code == 400
        assert "Location" not in answer.headers
    assert_nothing_is_granted(flow, answer)
    assert press(flow.browser, LOGOUT, leaving, decision="allow").status_code == 400
    assert is_signed_in(flow.browser)
    # The page that was shown in time has a time of its own.
    assert "code" in parameters_of(flow.decide(again))


def test_a_form_for_a_client_that_is_gone_or_may_do_less_grants_nothing(app: Flask) -> None:
    flow = Flow(sign_in(app), register(app), scope="profile notes:write")
    page, client_id = flow.authorize(), flow.client.client_id

    def remove() -> None:
        with app.app_context():
            server_of(app).store.write(lambda session: clients.remove(session, client_id))

    remove()
    gone = flow.decide(page)
    assert gone.status_code in (400, 401)
    assert "Location" not in gone.headers
    register(app, client_id=client_id, scope=["profile"])
    narrowed = flow.decide(page)
    assert parameters_of(narrowed)["error"] == "invalid_scope"
    assert_nothing_is_granted(flow, narrowed)
    remove()
    register(app, client_id=client_id, redirect_uris=(OTHER_URI,))
    moved = flow.decide(page)
    assert moved.status_code == 400
    assert "Location" not in moved.headers
    assert_nothing_is_granted(flow, moved)


# Other methods, other bodies.


def test_a_file_in_the_place_of_a_field_decides_nothing(app: Flask) -> None:
    flow = Flow(sign_in(app), register(app))
    for path, page in ((AUTHORIZE, flow.authorize()), (LOGOUT, flow.browser.get(LOGOUT))):
        form = {**hidden_fields(page.text), "decision": "allow"}
        assert set(form) == {"request", "csrf_token", "decision"}
        for field, value in form.items():
            for content in (value.encode(), b"", b"\xff"):
                data = {**form, field: (io.BytesIO(content), "field.txt")}
                answer = flow.browser.post(path, data=data, content_type="multipart/form-data")
                assert "Location" not in answer.headers
                assert_has_no_code(answer)
        assert is_signed_in(flow.browser)
    assert_nothing_is_granted(flow, answer)


def test_a_form_that_comes_as_anything_else_decides_nothing(app: Flask) -> None:
    flow = Flow(sign_in(app), register(app))
    for path, page in ((AUTHORIZE, flow.authorize()), (LOGOUT, flow.browser.get(LOGOUT))):
        form = {**hidden_fields(page.text), "decision": "allow"}
        query = "&".join(f"{name}={value}" for name, value in form.items())
        for answer in (
            flow.browser.post(path, json=form),
            flow.browser.post(path, json=[form]),
            flow.browser.post(path, data=query, content_type="text/plain"),
            flow.browser.post(path, data=query),
            flow.browser.post(path, query_string=form),
            flow.browser.get(path, query_string=form),
            flow.browser.put(path, data=form),
        ):
            assert "Location" not in answer.headers
            assert_has_no_code(answer)
        assert is_signed_in(flow.browser)
    assert_nothing_is_granted(flow, answer)


def test_a_logout_that_nobody_decided_signs_nobody_out(app: Flask) -> None:
    browser = sign_in(app)
    page = browser.get(LOGOUT)
    for decision in ("", "maybe", "ALLOW", " allow", "switch", "allow\x00", ["deny", "allow"]):
        answer = press(browser, LOGOUT, page, decision=decision)
        assert answer.status_code < 500
        assert is_signed_in(browser)


def test_a_removal_that_is_no_form_with_a_token_removes_nothing(app: Flask) -> None:
    flow = Flow(sign_in(app), register(app))
    token = flow.tokens()["access_token"]
    form: dict[str, Any] = {**hidden_fields(flow.browser.get(APPS).text), "remove": "all"}
    token_file = {"csrf_token": (io.BytesIO(form["csrf_token"].encode()), "token.txt")}
    for answer in (
        flow.browser.post(APPS, json={**form, "csrf_token": ""}),
        flow.browser.post(APPS, data={**form, **token_file}, content_type="multipart/form-data"),
        flow.browser.post(APPS, data=json.dumps(form), content_type="text/plain"),
        flow.browser.post(APPS, query_string=form),
        flow.browser.get(APPS, query_string=form),
        flow.browser.delete(APPS, query_string=form),
    ):
        assert answer.status_code in (200, 400, 405)
        assert call(app, token) == 200


# What is no form.


@pytest.mark.parametrize("field", ["request", "csrf_token", "decision"])
@pytest.mark.parametrize("path", [AUTHORIZE, LOGOUT])
def test_a_file_in_the_place_of_a_field(app: Flask, path: str, field: str) -> None:
    for browser in (app.test_client(), sign_in(app)):
        form = {"decision": "allow", "request": "x", "csrf_token": "x"}
        form[field] = (io.BytesIO(b"."), "file")
        answer = browser.post(path, data=form, content_type="multipart/form-data")
        assert answer.status_code < 500
        assert "code=" not in answer.headers.get("Location", "")


def test_json_and_files_press_no_button_of_connected_apps(app: Flask) -> None:
    flow = Flow(sign_in(app), register(app), scope="profile")
    token = flow.tokens()["access_token"]
    good = hidden_fields(flow.browser.get(APPS).text)
    for body in ([1], {"csrf_token": 1}, {**good, "remove": "app"}, {**good, "remove": {"a": 1}}):
        assert flow.browser.post(APPS, json=body).status_code == 400
    for field in ("client_id", "grant_id", "remove"):
        form = {**good, "remove": "app", field: (io.BytesIO(b"."), "file")}
        answer = flow.browser.post(APPS, data=form, content_type="multipart/form-data")
        assert answer.status_code in (303, 400)
    for value in ("\0", "a b", "\n", "\u202e", "x" * 300):
        for button in ("app", "session", "scopes"):
            form = {**good, "remove": button, "client_id": value, "grant_id": value}
            assert flow.browser.post(APPS, data=form).status_code == 400
    me = app.test_client().get("/api/me", headers={"Authorization": f"Bearer {token}"})
    assert me.status_code == 200


@pytest.mark.parametrize("reference", ["x\r\ny", "x; Path=/", "../", "0" * 15, "0" * 17])
def test_a_reference_that_was_not_made_here_decides_nothing(app: Flask, reference: str) -> None:
    flow = Flow(sign_in(app), register(app), scope="profile")
    page = flow.authorize()
    form = {**hidden_fields(page.text), "decision": "allow"}
    answer = flow.browser.post(AUTHORIZE, query_string={"r": reference}, data=form)
    assert answer.status_code == 400
    assert "Set-Cookie" not in answer.headers
    assert flow.authorize().status_code == 200


@pytest.mark.parametrize("said", [["allow", "deny"], ["deny", "allow"], ["allow", "allow"]])
def test_a_decision_given_twice_is_none(app: Flask, said: list[str]) -> None:
    flow = Flow(sign_in(app), register(app), scope="profile")
    page = flow.authorize()
    answer = press(flow.browser, AUTHORIZE, page, decision=said)
    assert answer.status_code == 400
    assert "Please decide again." in answer.text
    answer = press(flow.browser, LOGOUT, flow.browser.get(LOGOUT), decision=said)
    assert answer.status_code == 400
    assert flow.authorize().status_code == 200


@pytest.mark.parametrize(
    "value",
    [
        "https://evil.example\\.bank.example/",
        "https://evil.example/<b>",
        "https://[x",
        "https://x:y/",
        "http://app.example/",
        "javascript:alert(1)",
        "https://bank.example@evil.example/",
        1,
        ["https://app.example/"],
    ],
)
def test_a_link_whose_host_could_mislead_is_not_registered(app: Flask, value: object) -> None:
    client, _ = clients.new_client(
        client_name="App",
        redirect_uris=[REDIRECT_URI],
        auth_method="none",
        grant_types=["authorization_code"],
        client_metadata={"client_uri": value},
        now=1,
    )
    with pytest.raises(InvalidRequestError):
        server_of(app).registrar.check(client)
