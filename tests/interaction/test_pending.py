"""What the host's login page learns about the request that waits, and where it leads."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask, redirect, request
from flask_login import login_user
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import TestResponse

from flask_pkce_server import PendingRequest
from flask_pkce_server.testing import Clock, Flow, register

from ..host import make_app


def host(**config: Any) -> Flask:
    """Make a host whose login page says who asks, and which has a sign-up page without `next`."""
    app = make_app(**config)

    def login_page() -> Any:
        if request.method == "POST":
            login_user(app.db.session.get(app.User, 1))
            return redirect(app.pkce.after_login("/home"), 303)
        app.asking = app.pkce.pending_request()
        return "Sign in"

    app.view_functions["login_page"] = login_page
    app.add_url_rule("/sign-up", "sign_up", login_page, methods=["GET", "POST"])
    return app


@pytest.fixture
def app() -> Flask:
    return host()


@pytest.fixture
def flow(app: Flask) -> Flow:
    return Flow(app.test_client(), register(app), scope="openid")


def login_page_of(flow: Flow, **changes: str | None) -> str:
    """Begin a request, go to the login page, and return its URL."""
    aside = flow.authorize(**changes).headers["Location"]
    login: str = flow.browser.get(aside).headers["Location"]
    flow.browser.get(login)
    return login


def pending(flow: Flow) -> PendingRequest | None:
    """Return what the login page learned the last time it was shown."""
    return flow.browser.application.asking  # type: ignore[attr-defined]


def next_of(login: str) -> str:
    return parse_qs(urlsplit(login).query)["next"][0]


def goes_to(answer: TestResponse) -> str:
    return str(answer.headers["Location"])


def test_the_login_page_learns_who_asks_for_what(flow: Flow) -> None:
    # OIDC Core 3.1.2.1
    login_page_of(
        flow,
        login_hint="ada@example.com",
        acr_values="gold silver",
        ui_locales="de-AT de",
        display="popup",
        prompt="login consent",
    )
    assert pending(flow) == PendingRequest(
        client_id=flow.client.client_id,
        client_name="Notebook",
        is_vouched_for=True,
        login_hint="ada@example.com",
        acr_values=("gold", "silver"),
        ui_locales=("de-AT", "de"),
        display="popup",
        prompt=("login", "consent"),
    )


def test_an_essential_acr_is_the_first_that_is_wanted(flow: Flow) -> None:
    acr = {"essential": True, "values": ["gold", "silver"]}
    login_page_of(flow, claims=json.dumps({"id_token": {"acr": acr}}), acr_values="bronze gold")
    assert pending(flow).acr_values == ("gold", "silver", "bronze")


def test_nobody_vouches_for_a_client_that_registered_itself(app: Flask, flow: Flow) -> None:
    flow.client = register(app, self_registered=True)
    login_page_of(flow)
    assert not pending(flow).is_vouched_for


def test_nothing_waits_for_who_just_wants_to_sign_in(flow: Flow) -> None:
    flow.browser.get("/login")
    assert pending(flow) is None
    assert goes_to(flow.browser.post("/login")) == "/home"


def test_the_request_that_waits_goes_on_without_next(app: Flask, flow: Flow) -> None:
    # Sign-ups, password resets and confirmations by e-mail lose it.
    login = login_page_of(flow)
    flow.browser.get("/sign-up")
    assert pending(flow).client_name == "Notebook"
    url = goes_to(flow.browser.post("/sign-up"))
    assert url == next_of(login)
    assert "Notebook" in flow.browser.get(url).text


def test_each_tab_goes_on_with_its_own_request(app: Flask, flow: Flow) -> None:
    first = login_page_of(flow)
    flow.client = register(app, name="Calendar")
    second = login_page_of(flow)
    flow.browser.get(first)
    assert pending(flow).client_name == "Notebook"
    flow.browser.get(second)
    assert pending(flow).client_name == "Calendar"
    flow.browser.get("/sign-up")
    assert pending(flow).client_name == "Calendar"
    assert goes_to(flow.browser.post(first)) == next_of(first)


def test_a_page_of_the_host_is_left_for_where_it_says(flow: Flow) -> None:
    # A request that was abandoned does not turn up at a sign-in for something else.
    login_page_of(flow)
    flow.browser.get("/login?next=/settings")
    assert pending(flow) is None
    assert goes_to(flow.browser.post("/login?next=/settings?tab=1")) == "/settings?tab=1"
    assert goes_to(flow.browser.post("/sign-up", data={"next": "/caf%C3%A9"})) == "/caf%C3%A9"


@pytest.mark.parametrize(
    "bad",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/x\\..\\evil",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        " //evil.example",
        "javascript:alert(1)",
        "evil.example",
        "///evil.example",
        "",
    ],
)
def test_nobody_is_led_to_another_site(flow: Flow, bad: str) -> None:
    for answer in (
        flow.browser.post("/login", query_string={"next": bad}),
        flow.browser.post("/login", data={"next": bad}),
    ):
        assert goes_to(answer) == "/home"
    flow.browser.post("/logout")
    login_page_of(flow)
    answer = flow.browser.post("/login", query_string={"next": bad})
    assert goes_to(answer).startswith("/oauth/authorize?r=")


def test_what_is_answered_refused_or_expired_waits_no_more(
    app: Flask, flow: Flow, pkce_clock: Clock
) -> None:
    login_page_of(flow)
    page = flow.browser.get(goes_to(flow.browser.post("/login")))
    assert page.status_code == 200
    pkce_clock.advance(3600)
    assert goes_to(flow.browser.post("/login")) == "/home"

    flow.browser.post("/logout")
    flow.client = register(app, skip_consent=True)
    login_page_of(flow)
    assert "code=" in goes_to(flow.browser.get(goes_to(flow.browser.post("/login"))))
    assert goes_to(flow.browser.post("/login")) == "/home"
    assert flow.browser.get_cookie("pkce_waiting").value

    flow.browser.post("/logout")
    login_page_of(flow, claims=json.dumps({"id_token": {"sub": {"value": "2"}}}))
    refused = flow.browser.get(goes_to(flow.browser.post("/login")))
    assert "error=login_required" in goes_to(refused)
    assert goes_to(flow.browser.post("/login")) == "/home"


def test_a_request_that_made_room_is_not_gone_on_with(flow: Flow, pkce_clock: Clock) -> None:
    flow.authorize()
    pkce_clock.advance(1)
    newest = flow.authorize(state="x" * 900 + flow.state * 90).headers["Location"]
    flow.browser.get(newest)
    assert goes_to(flow.browser.post("/login")) == newest


def test_the_cookie_stays_small(app: Flask, flow: Flow, pkce_clock: Clock) -> None:
    for number in range(12):
        flow.client = register(app, name=f"An app that has a rather long name, {number}")
        flow.authorize(login_hint=f"{number}" * 90, acr_values="x" * 3000, ui_locales="de " * 60)
        assert len(flow.browser.get_cookie("pkce_waiting").value) <= 1000
        pkce_clock.advance(1)
    flow.browser.get("/login")
    assert pending(flow).client_name.endswith("11")
    assert pending(flow).acr_values == ()


def test_a_cookie_that_was_altered_or_is_anothers_means_nothing(flow: Flow) -> None:
    login_page_of(flow)
    value = flow.browser.get_cookie("pkce_waiting").value
    altered = value[:-5] + ("A" if value[-5] != "A" else "B") + value[-4:]
    for bad in ("x", altered, "W10.x"):
        flow.browser.set_cookie("pkce_waiting", bad)
        assert goes_to(flow.browser.post("/login")) == "/home"


def behind_a_mount(app: Flask) -> str:
    app.wsgi_app = DispatcherMiddleware(Flask("root").wsgi_app, {"/app": app.wsgi_app})
    return "/app"


def behind_a_proxy(app: Flask) -> str:
    # The proxy takes the prefix away.
    app.wsgi_app = ProxyFix(app.wsgi_app, x_prefix=1)
    return ""


@pytest.mark.parametrize("put", [behind_a_mount, behind_a_proxy])
def test_it_works_below_a_path(put: Callable[[Flask], str]) -> None:
    app = host(PKCE_ISSUER="https://example.com/app")
    prefix = put(app)
    flow = Flow(app.test_client(), register(app))
    headers = {} if prefix else {"X-Forwarded-Prefix": "/app"}

    def get(path: str, **more: Any) -> TestResponse:
        inside = path if prefix else path.removeprefix("/app")
        return flow.browser.open(inside, headers=headers, **more)

    aside = goes_to(get("/app/oauth/authorize", query_string=flow.request()))
    assert aside.startswith("/app/oauth/authorize?r=")
    for cookie in ("pkce_waiting", "pkce_r_" + aside[-16:]):
        path = "/app" if cookie == "pkce_waiting" else "/app/oauth/authorize"
        assert flow.browser.get_cookie(cookie, path=path) is not None
        if not prefix:
            value = flow.browser.get_cookie(cookie, path=path).value
            flow.browser.set_cookie(cookie, value)
    login = goes_to(get(aside))
    get(login)
    assert pending(flow).client_name == "Notebook"
    assert goes_to(get(login, method="POST")) == aside
    assert goes_to(get("/app/sign-up", method="POST")) == aside
    assert "Notebook" in get(aside).text
