"""Make the screenshots of the README from the example app, with Chromium.

PYTHONPATH=. python docs/make_screenshots.py
"""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from werkzeug.serving import make_server

from example_app import create_app
from tests.browser.conftest import ARGUMENTS

IMAGES = Path(__file__).parent / "images"
CHROMIUM = "/usr/bin/chromium"


def main() -> None:
    """Start the example app on a database of its own and walk through its playground."""
    with tempfile.TemporaryDirectory() as folder:
        server = make_server("127.0.0.1", 0, lambda environ, start: app(environ, start))
        origin = f"http://127.0.0.1:{server.port}"
        app = create_app(
            {
                "SQLALCHEMY_DATABASE_URI": f"sqlite:///{folder}/notes.db",
                "SECRET_KEY": "for-the-screenshots-alone-0123456789",
                "PKCE_ISSUER": origin,
            }
        )
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
                page = browser.new_page(viewport={"width": 880, "height": 620})
                walk(page, origin)
                browser.close()
        finally:
            server.shutdown()
            thread.join()


def walk(page: Page, origin: str) -> None:
    """Go through the flow of the playground and take a picture on the way."""
    page.goto(f"{origin}/playground")
    page.click("#start")
    page.wait_for_url("**/login**")
    page.fill("[name=username]", "demo")
    page.fill("[name=password]", "demo")
    page.press("[name=password]", "Enter")
    page.wait_for_selector("button[value=allow]")
    page.locator("main").screenshot(path=IMAGES / "consent.png")
    page.click("button[value=allow]")
    page.wait_for_selector("#revoke:visible")
    page.set_viewport_size({"width": 880, "height": 1100})
    page.screenshot(path=IMAGES / "playground.png")
    page.goto(f"{origin}/oauth/apps")
    page.locator("main").screenshot(path=IMAGES / "apps.png")


if __name__ == "__main__":
    main()
