"""Answers by message in a real browser: who gets one, and who does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Page

from flask_pkce_server.testing import RegisteredClient, register

from ..live import served_host
from .party import relying_party, sign_in

pytestmark = pytest.mark.browser

PAGE = """<!doctype html>
<title>A page</title>
<body></body>
<script>
const heard = [];
addEventListener("message", ({ data, origin }) => heard.push([data, origin]));
const framed = (url) => new Promise((resolve) => {
  const frame = document.createElement("iframe");
  // Chromium loads an error page in the place of what may not be framed.
  frame.addEventListener("load", () => setTimeout(() => resolve(heard), 200));
  frame.src = url;
  document.body.append(frame);
});
</script>
"""


@pytest.fixture
def live(tmp_path: Path) -> Iterator[tuple[str, Flask]]:
    """The host of the tests, which answers by message."""
    with served_host(tmp_path, PKCE_DIALECTS=["auth0", "okta"], issuer_path="/") as found:
        yield found


@pytest.fixture
def origins(tmp_path: Path, live: tuple[str, Flask]) -> Iterator[tuple[str, str]]:
    """The origin of the client, and another one."""
    with ExitStack() as both:
        mine, other = (both.enter_context(relying_party(tmp_path, PAGE, {})) for _ in range(2))
        yield mine, other


@pytest.fixture
def silent(
    live: tuple[str, Flask], origins: tuple[str, str], authorize_url: Callable[..., str]
) -> str:
    """The URL of an authorization request that nobody is asked about."""
    client: RegisteredClient = register(live[1], redirect_uris=(origins[0],), skip_consent=True)
    return authorize_url(client, response_mode="web_message", prompt="none")


def test_a_page_of_the_client_hears_the_answer(
    page: Page, live: tuple[str, Flask], origins: tuple[str, str], silent: str
) -> None:
    page.goto(origins[0])
    assert page.evaluate("(url) => framed(url)", silent) == [
        [
            {
                "type": "authorization_response",
                "response": {
                    "error": "login_required",
                    "error_description": "The user is not signed in, or not as the request "
                    "wants it.",
                    "state": "the state",
                    "iss": f"{live[0]}/",
                },
            },
            live[0],
        ]
    ]
    page.goto(f"{live[0]}/login")
    sign_in(page)
    page.goto(origins[0])
    [[said, origin]] = page.evaluate("(url) => framed(url)", silent)
    assert set(said["response"]) == {"code", "state", "iss"}
    assert origin == live[0]


def test_another_page_cannot_frame_it(
    page: Page, live: tuple[str, Flask], origins: tuple[str, str], silent: str
) -> None:
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(f"{live[0]}/login")
    sign_in(page)
    page.goto(origins[1])
    assert page.evaluate("(url) => framed(url)", silent) == []
    assert any("frame-ancestors" in text for text in refused)


def test_another_page_that_opens_it_hears_nothing(
    page: Page, live: tuple[str, Flask], origins: tuple[str, str], silent: str
) -> None:
    page.goto(f"{live[0]}/login")
    sign_in(page)
    for origin, heard in ((origins[1], 0), (origins[0], 1)):
        page.goto(origin)
        with page.expect_popup() as opened:
            page.evaluate("(url) => { open(url); }", silent)
        opened.value.wait_for_load_state()
        page.wait_for_timeout(200)
        assert page.evaluate("heard.length") == heard


def test_a_page_that_asks_is_not_framed_by_the_client_either(
    page: Page, live: tuple[str, Flask], origins: tuple[str, str], silent: str
) -> None:
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(f"{live[0]}/login")
    sign_in(page)
    page.goto(origins[0])
    assert page.evaluate("(url) => framed(url)", silent.replace("=none", "=consent")) == []
    assert any("frame-ancestors" in text or "X-Frame-Options" in text for text in refused)
