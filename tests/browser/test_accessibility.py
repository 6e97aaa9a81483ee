"""Every page, looked over by axe-core: WCAG 2.2 AA, in light and dark, wide and narrow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page

from flask_pkce_server.testing import register

from .test_consent import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.node]

LOOK = """async () => {
    const found = await axe.run(document, {
        runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    });
    return found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html)}`);
}"""
LOOKS = [(1280, "light"), (1280, "dark"), (320, "light"), (320, "dark")]


@pytest.fixture(params=LOOKS, ids=lambda look: f"{look[0]}-{look[1]}")
def page(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[Page]:
    width, scheme = request.param
    context = chromium.new_context(
        viewport={"width": width, "height": 700}, color_scheme=scheme, reduced_motion="reduce"
    )
    context.set_default_timeout(10_000)
    yield context.new_page()
    context.close()


def test_no_page_breaks_a_rule(
    page: Page, packages: Path, live: tuple[str, Flask], authorize_url: Callable
) -> None:
    axe = (packages / "node_modules" / "axe-core" / "axe.min.js").read_text()
    seen = []

    def look(title: str) -> None:
        page.wait_for_load_state("load")
        assert title in page.title()
        # By the browser's own door: the policy of the pages lets no script in.
        page.evaluate(axe)
        assert page.evaluate(LOOK) == [], title
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
        seen.append(title)

    address, app = live
    local = register(app, name="A command-line client", redirect_uris=("http://localhost/cb",))
    web = register(app, name="A web app")
    page.goto(authorize_url(local, scope="openid profile notes:read offline_access"))
    sign_in(page)
    look("Allow A command-line client")
    page.goto(authorize_url(web, scope="profile"))
    page.route("https://client.example/**", lambda route: route.fulfill(body="there"))
    page.click("[value=allow]")
    page.wait_for_url("https://client.example/**")
    page.goto(authorize_url(web, scope="openid profile notes:write"))
    look("Allow A web app")
    page.goto(f"{address}/oauth/apps")
    look("Connected apps")
    page.click("[value=app]")
    look("Connected apps")
    page.goto(authorize_url(web, redirect_uri="https://evil.example/"))
    look("This did not work")
    page.goto(f"{address}/oauth/logout")
    look("Sign out?")
    page.click("[value=deny]")
    look("Still signed in")
    page.goto(f"{address}/oauth/logout")
    page.click("[value=allow]")
    look("Signed out")
    assert len(seen) == 8
