"""The portal in a browser: by the keyboard alone, without scripts, and what it gives away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask, Response
from playwright.sync_api import Browser, Page, expect

from ..live import served, served_host
from .party import got, sign_in

pytestmark = pytest.mark.browser


@pytest.fixture
def live(tmp_path: Path) -> Iterator[tuple[str, Flask]]:
    with served_host(tmp_path, PKCE_FEATURES={"developer_portal": True}) as found:
        yield found


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until what `selector` means has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate(f"document.activeElement.matches({selector!r})"):
            return
    raise AssertionError(f"{selector} cannot be reached")


def test_from_a_new_app_to_its_removal_by_the_keyboard_and_without_scripts(
    chromium: Browser, live: tuple[str, Flask], callback: str
) -> None:
    context = chromium.new_context(java_script_enabled=False)
    context.set_default_timeout(10_000)
    page = context.new_page()
    page.goto(f"{live[0]}/oauth/developer")
    sign_in(page)
    page.wait_for_selector("[value=create]")
    tab_to(page, "[value=browser]")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    tab_to(page, "#name")
    page.keyboard.type("My app")
    tab_to(page, "#redirect_uris")
    page.keyboard.type(callback)
    tab_to(page, "[value='notes:read']")
    page.keyboard.press("Space")
    tab_to(page, "[value=create]")
    page.keyboard.press("Enter")
    page.wait_for_selector("#client_secret")
    # To try it: it signs in at once.
    tab_to(page, "a.pkce-button")
    page.keyboard.press("Enter")
    page.wait_for_selector("[value=allow]")
    assert "Read your notes" in page.inner_text("main")
    tab_to(page, "[value=allow]")
    page.keyboard.press("Enter")
    assert "code" in got(page)
    # To let it do less, and nothing at all.
    page.goto(f"{live[0]}/oauth/apps")
    tab_to(page, "summary")
    page.keyboard.press("Enter")
    tab_to(page, "[value='notes:read']")
    page.keyboard.press("Space")
    tab_to(page, "[value=scopes]")
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=status]")
    assert "Read your notes" not in page.inner_text("main")
    tab_to(page, "[value=app]")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=No app has access")
    context.close()


@pytest.mark.node
@pytest.mark.thorough
def test_the_snippet_for_a_single_page_app_signs_in(
    page: Page, packages: Path, live: tuple[str, Flask]
) -> None:
    address, _ = live
    package = packages / "node_modules" / "oidc-client-ts" / "dist" / "browser"
    site = Flask("single_page_app", static_folder=package, static_url_path="/package")
    code: list[str] = []
    start = """<!doctype html><title>starting</title>
        <script src="/package/oidc-client-ts.min.js"></script>
        <script type="importmap">{"imports": {"oidc-client-ts": "/module.js"}}</script>
        <script type="module">
          import { signIn } from "/snippet.js";
          const user = await signIn();
          if (user) document.title = `signed in as ${user.profile.sub}`;
        </script>"""

    @site.get("/")
    def home() -> str:
        return start

    @site.get("/<any(module, snippet):name>.js")
    def script(name: str) -> Response:
        text = code[0] if name == "snippet" else "export const { UserManager } = globalThis.oidc;"
        return Response(text, mimetype="text/javascript")

    with served(site) as origin:
        page.goto(f"{address}/oauth/developer")
        sign_in(page)
        page.wait_for_selector("[value=create]")
        page.fill("#name", "My page")
        page.fill("#redirect_uris", f"{origin}/")
        page.click("[value=create]")
        page.click("summary >> text=oidc-client-ts.js")
        code.append(page.inner_text("[aria-label='oidc-client-ts.js']"))
        page.goto(origin)
        page.click("[value=allow]")
        expect(page).to_have_title("signed in as 1")
        # And once more, from what it keeps.
        page.goto(origin)
        expect(page).to_have_title("signed in as 1")
