"""Sign in, decide, go back: as a person sees it."""

from __future__ import annotations

import contextlib
import html
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from playwright.sync_api import BrowserContext, ConsoleMessage, Error, Page, expect

from flask_pkce_server.testing import RegisteredClient, register

from .party import got, sign_in

pytestmark = pytest.mark.browser

HTTPS = "https://client.example/callback"


@pytest.fixture
def client(live: tuple[str, Flask], callback: str) -> RegisteredClient:
    return register(live[1], redirect_uris=(callback,))


def listen_for_complaints(page: Page) -> list[str]:
    """Return the list into which the browser's complaints about our policy will come."""
    complaints: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            complaints.append(message.text)

    page.on("console", listen)
    return complaints


def sent_to_client(page: Page, deed: Callable[[], object]) -> dict[str, str]:
    """Do `deed`; return what the browser carries to https://client.example by it.

    No computer has that name, and the browser does not arrive.
    """
    with (
        page.expect_event("request", lambda request: request.url.startswith(HTTPS)) as sent,
        contextlib.suppress(Error),
    ):
        deed()
    found = parse_qs(urlsplit(sent.value.url).query)
    return {name: values[0] for name, values in found.items()}


def test_sign_in_and_allow(page: Page, client: RegisteredClient, authorize_url: Callable) -> None:
    complaints = listen_for_complaints(page)
    page.goto(authorize_url(client))
    sign_in(page)
    assert page.title() == "Allow Notebook to use your account? \u2013 host"
    assert page.inner_text("h1") == "Notebook wants to use your host account"
    assert page.evaluate("document.activeElement.tagName") == "BODY"
    page.click("[value=allow]")
    answer = got(page)
    assert answer["code"].startswith("fpk_ac_")
    assert answer["state"] == "the state"
    assert complaints == []


def test_sign_in_and_deny(page: Page, client: RegisteredClient, authorize_url: Callable) -> None:
    page.goto(authorize_url(client))
    sign_in(page)
    page.click("[value=deny]")
    assert got(page)["error"] == "access_denied"


def test_allow_is_remembered(
    context: BrowserContext, page: Page, live: tuple[str, Flask], authorize_url: Callable
) -> None:
    client = register(live[1], redirect_uris=(HTTPS,))
    page.goto(authorize_url(client))
    sign_in(page)
    assert "code" in sent_to_client(page, lambda: page.click("[value=allow]"))
    # New tabs: the old one is busy with a client that is on no computer.
    again, more = context.new_page(), context.new_page()
    assert "code" in sent_to_client(again, lambda: again.goto(authorize_url(client)))
    more.goto(authorize_url(client, scope="profile notes:read"))
    assert "Read your notes" in more.inner_text("main")


def test_a_wrong_redirect_uri_is_told_and_leads_nowhere(
    page: Page, live: tuple[str, Flask], client: RegisteredClient, authorize_url: Callable
) -> None:
    page.goto(authorize_url(client, redirect_uri="https://evil.example/"))
    assert page.url.startswith(live[0])
    assert page.inner_text("h1") == "This did not work"
    assert "It is the app's fault, not yours." in page.inner_text("[role=alert]")
    assert "not one that this client registered" in page.inner_text("main")


def test_a_session_that_ends_on_the_consent_page_is_begun_again(
    context: BrowserContext, page: Page, client: RegisteredClient, authorize_url: Callable
) -> None:
    page.goto(authorize_url(client))
    sign_in(page)
    page.wait_for_selector("[value=allow]")
    context.clear_cookies()
    page.click("[value=allow]")
    sign_in(page)
    page.click("[value=allow]")
    assert got(page)["state"] == "the state"


def test_two_tabs_at_once(
    context: BrowserContext, page: Page, client: RegisteredClient, authorize_url: Callable
) -> None:
    other = context.new_page()
    page.goto(authorize_url(client, state="one"))
    other.goto(authorize_url(client, state="two"))
    sign_in(page)
    page.wait_for_selector("[value=allow]")
    sign_in(other)
    page.click("[value=allow]")
    other.click("[value=allow]")
    assert (got(page)["state"], got(other)["state"]) == ("one", "two")


def test_form_post_sends_itself(
    page: Page, client: RegisteredClient, authorize_url: Callable
) -> None:
    complaints = listen_for_complaints(page)
    page.goto(authorize_url(client, response_mode="form_post"))
    sign_in(page)
    page.click("[value=allow]")
    assert set(got(page)) == {"code", "state", "iss"}
    assert "code" not in page.url
    assert complaints == []


def test_without_javascript_all_works_by_its_buttons(
    chromium, client: RegisteredClient, authorize_url: Callable
) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(authorize_url(client, response_mode="form_post"))
    sign_in(page)
    page.click("[value=allow]")
    page.click("text=Continue")
    assert set(got(page)) == {"code", "state", "iss"}
    context.close()


def test_the_keyboard_alone_is_enough(
    page: Page, client: RegisteredClient, authorize_url: Callable
) -> None:
    page.goto(authorize_url(client))
    sign_in(page)
    page.wait_for_selector("[value=allow]")
    for button in ("switch", "deny", "allow"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.value") == button
    page.keyboard.press("Enter")
    assert "code" in got(page)


def test_an_app_on_this_device_is_reached_by_its_scheme(
    page: Page, live: tuple[str, Flask], authorize_url: Callable
) -> None:
    # A form-action in the policy would stop Chromium here.
    complaints = listen_for_complaints(page)
    client = register(live[1], redirect_uris=("com.example.app:/cb",))
    page.goto(authorize_url(client))
    sign_in(page)
    expect(page.locator("main")).to_contain_text("this device")
    with page.expect_response("**/oauth/authorize*") as decided:
        page.click("[value=allow]")
    assert decided.value.headers["location"].startswith("com.example.app:/cb?code=")
    assert complaints == []


def test_no_page_is_framed(
    context: BrowserContext, page: Page, live: tuple[str, Flask], authorize_url: Callable
) -> None:
    client = register(live[1], redirect_uris=(HTTPS,))
    page.goto(authorize_url(client))
    sign_in(page)
    page.wait_for_selector("[value=allow]")
    frame = f'<iframe src="{html.escape(authorize_url(client))}"></iframe>'
    # Another origin of the same site: the session cookie is sent.
    context.route(
        "http://127.0.0.1:8089/",
        lambda route: route.fulfill(content_type="text/html", body=frame),
    )
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("http://127.0.0.1:8089/")
    page.wait_for_timeout(1000)
    assert [url for url in asked if "/oauth/authorize?" in url]
    assert "Notebook" not in page.frames[-1].content()


@pytest.mark.thorough
def test_nothing_is_cut_off(page: Page, live: tuple[str, Flask], authorize_url: Callable) -> None:
    client = register(live[1], name="W" * 255, redirect_uris=("http://localhost/" + "a" * 900,))
    page.goto(authorize_url(client, scope="profile notes:read notes:write offline_access"))
    sign_in(page)
    page.wait_for_selector("[value=allow]")
    # With its style sheet.
    page.wait_for_load_state("load")
    for width in (320, 1280):
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for button in page.locator("button").all():
            assert button.bounding_box()["height"] >= 44
