"""Make the pictures of the documentation from the example app, with Chromium.

    make screenshots

In the look of the package, but for the one that shows the example app's own.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright
from werkzeug.serving import make_server

from example_app import create_app
from flask_pkce_server.testing import register
from tests.browser.conftest import ARGUMENTS

IMAGES = Path(__file__).parent / "images"
CHROMIUM = "/usr/bin/chromium"
PACKAGE_LOOK = {"PKCE_LAYOUT_TEMPLATE": None, "PKCE_STYLESHEET": None}


@contextmanager
def served(**config: Any) -> Iterator[str]:
    """Serve the example app on a database of its own; give its address."""
    with tempfile.TemporaryDirectory() as folder:
        server = make_server("127.0.0.1", 0, lambda environ, start: app(environ, start))
        origin = f"http://127.0.0.1:{server.port}"
        app = create_app(
            {
                "SQLALCHEMY_DATABASE_URI": f"sqlite:///{folder}/notes.db",
                "SECRET_KEY": "for-the-screenshots-alone-0123456789",
                "PKCE_ISSUER": origin,
                **config,
            }
        )
        # An app of other people, that the operator has looked at.
        register(
            app,
            client_id="planner",
            name="Fern Planner",
            redirect_uris=("https://planner.example/callback",),
            client_metadata={
                "developer": "Fern & Sons",
                "client_uri": "https://planner.example/",
                "policy_uri": "https://planner.example/privacy",
                "verified": True,
            },
        )
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield origin
        finally:
            server.shutdown()
            thread.join()


def tab(browser: Browser, origin: str, *, width: int = 880, **options: Any) -> Page:
    """Return a tab in which the demo user is signed in."""
    height = options.pop("height", 620)
    context = browser.new_context(viewport={"width": width, "height": height}, **options)
    page = context.new_page()
    page.goto(f"{origin}/login")
    page.fill("[name=username]", "demo")
    page.fill("[name=password]", "demo")
    page.press("[name=password]", "Enter")
    page.wait_for_url(f"{origin}/")
    return page


def consent_of(page: Page, origin: str, scope: str) -> None:
    """Go to the consent page of the other people's app."""
    page.goto(
        f"{origin}/oauth/authorize?response_type=code&client_id=planner&state=s"
        f"&scope={scope.replace(' ', '+')}&code_challenge_method=S256"
        "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    )
    page.wait_for_selector("button[value=allow]")


def take(page: Page, name: str, *, whole: bool = False) -> None:
    """Take a picture of the sheet on the page, or of the whole page."""
    page.mouse.move(0, 0)
    path = IMAGES / f"{name}.png"
    page.screenshot(path=path, full_page=True) if whole else page.locator("main").screenshot(
        path=path
    )


def walk(browser: Browser, origin: str) -> None:
    """Take the pictures in the look of the package."""
    page = tab(browser, origin)
    page.route("https://planner.example/**", lambda route: route.fulfill(body="there"))
    consent_of(page, origin, "openid profile")
    page.click("button[value=allow]")
    page.wait_for_url("https://planner.example/**")
    consent_of(page, origin, "openid profile notes:read calendar:read offline_access")
    take(page, "consent")
    page.click("button[value=allow]")
    page.wait_for_url("https://planner.example/**")
    page.goto(f"{origin}/playground")
    page.click("#start")
    page.click("button[value=allow]")
    page.wait_for_selector("#revoke:visible")
    page.set_viewport_size({"width": 880, "height": 1100})
    page.screenshot(path=IMAGES / "playground.png")
    page.goto(f"{origin}/oauth/apps")
    take(page, "apps")
    page.goto(f"{origin}/oauth/developer")
    page.check("[value=server]")
    page.fill("[name=name]", "My web app")
    page.fill("[name=redirect_uris]", "https://app.example/callback\nhttp://app.example/callback")
    page.click("[value=create]")
    take(page, "portal")
    page.fill("[name=redirect_uris]", "https://app.example/callback")
    page.click("[value=create]")
    take(page, "portal-app")
    page.goto(f"{origin}/oauth/authorize?client_id=planner&redirect_uri=https://evil.example/")
    take(page, "error")
    phone = tab(
        browser, origin, width=390, height=844, color_scheme="dark", locale="ar", is_mobile=True
    )
    phone.goto(f"{origin}/oauth/apps")
    take(phone, "apps-phone", whole=True)
    phone.goto(page.url)
    consent_of(phone, origin, "openid profile notes:read notes:write calendar:read offline_access")
    take(phone, "consent-phone", whole=True)


def main() -> None:
    """Take all pictures."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        with served(**PACKAGE_LOOK) as origin:
            walk(browser, origin)
        with served() as origin:
            page = tab(browser, origin)
            consent_of(page, origin, "openid profile notes:read calendar:read")
            take(page, "look", whole=True)
        browser.close()


if __name__ == "__main__":
    main()
