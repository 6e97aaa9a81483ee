"""A real browser: Debian's Chromium, headless, driven by Playwright."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from flask_pkce_server.testing import RegisteredClient, challenge_of, new_verifier

from ..live import served_host
from ..services import missing

ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Callback(BaseHTTPRequestHandler):
    """The client's redirect URI: says what it got."""

    def do_GET(self) -> None:
        self._answer(urlsplit(self.path).query)

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])).decode())

    def _answer(self, got: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(got.encode())

    def log_message(self, *arguments: object) -> None:
        pass


# Not for the whole session: Playwright keeps an event loop in the thread of the tests, and
# those of async views would find it there.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser, one for all tests of a file."""
    path = os.environ.get("PKCE_TEST_CHROMIUM") or shutil.which("chromium")
    if path is None:
        missing("no chromium here")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A person's browser, with nothing in it yet; nothing leaves this computer."""
    context = chromium.new_context(ignore_https_errors=True)
    context.set_default_timeout(10_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """A tab."""
    return context.new_page()


@pytest.fixture
def live(tmp_path: Path) -> Iterator[tuple[str, Flask]]:
    """The host of the tests on a loopback port: its address and the app."""
    with served_host(tmp_path) as found:
        yield found


@pytest.fixture
def authorize_url(live: tuple[str, Flask]) -> Callable[..., str]:
    """Give a function that makes an authorization URL for a client."""

    def make(client: RegisteredClient, **changes: str) -> str:
        request = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": client.redirect_uri,
            "scope": "profile",
            "state": "the state",
            "code_challenge": challenge_of(new_verifier()),
            "code_challenge_method": "S256",
            **changes,
        }
        return f"{live[0]}/oauth/authorize?{urlencode(request)}"

    return make


@pytest.fixture
def callback() -> Iterator[str]:
    """A client on another origin; gives its redirect URI."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Callback)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://localhost:{server.server_port}/callback"
    server.shutdown()
    thread.join()
    server.server_close()
