"""The example host and its single-page client, clicked through."""

from __future__ import annotations

import functools
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode

import pytest
from flask import Flask
from playwright.sync_api import Page, Route, expect

from example_app import create_app
from flask_pkce_server.testing import register

from ..live import served

pytestmark = pytest.mark.browser

SPA = Path(__file__).parents[2] / "example_app" / "clients" / "spa"


@pytest.fixture
def live(tmp_path: Path) -> Iterator[tuple[str, Flask]]:
    app = create_app(
        {
            "TESTING": True,
            "PKCE_ISSUER": None,
            "SECRET_KEY": "a-secret-key-of-the-tests-0123456789",
            "SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path}/notes.db",
        }
    )
    with served(app) as address:
        yield address, app
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def served_folder(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def spa_for(issuer: str, tmp_path: Path) -> Path:
    """Return the folder of the single-page app, with another issuer and nothing else."""
    folder = tmp_path / "spa"
    shutil.copytree(SPA, folder)
    code = (SPA / "app.js").read_text()
    assert code.count('const ISSUER = "http://127.0.0.1:5000/";') == 1
    (folder / "app.js").write_text(code.replace("http://127.0.0.1:5000/", issuer))
    return folder


def sign_in_and_allow(page: Page) -> None:
    page.fill("[name=username]", "demo")
    page.fill("[name=password]", "demo")
    page.click("main button")
    page.click("[name=decision][value=allow]")


def test_the_playground_from_the_home_page_to_the_replay(
    page: Page, live: tuple[str, Flask]
) -> None:
    # Its client was registered before the port was known: on the loopback that may vary.
    page.goto(live[0])
    page.click("text=Try the code flow")
    page.click("#start")
    sign_in_and_allow(page)
    steps = page.locator("#steps h2")
    expect(steps.last).to_have_text("The API answers")
    assert steps.all_inner_texts() == [
        "A secret for this one sign-in",
        "Its fingerprint",
        "Go to the server",
        "A code comes back",
        "Exchange code and verifier",
        "The tokens",
        "Who signed in",
        "The API answers",
    ]
    claims = json.loads(page.locator("#steps pre").nth(6).inner_text())["claims"]
    assert claims["sub"] == "1"
    assert not page.locator("#steps li.failed").count()
    assert "Dora Demo" in page.locator("#steps pre").last.inner_text()
    page.click("#refresh")
    expect(steps).to_have_count(10)
    assert "Dora Demo" in page.locator("#steps pre").last.inner_text()
    page.click("#replay")
    expect(steps).to_have_count(12)
    assert "invalid_grant" in page.locator("#steps pre").nth(10).inner_text()
    assert "invalid_token" in page.locator("#steps pre").last.inner_text()


def test_the_playground_gives_its_tokens_back(page: Page, live: tuple[str, Flask]) -> None:
    page.goto(f"{live[0]}/playground")
    page.click("#start")
    sign_in_and_allow(page)
    page.click("#revoke")
    expect(page.locator("#steps h2")).to_have_count(10)
    assert "invalid_token" in page.locator("#steps pre").last.inner_text()
    page.click("#over")
    expect(page.locator("#start")).to_be_visible()


def test_the_playground_signs_out_of_the_host(page: Page, live: tuple[str, Flask]) -> None:
    page.goto(f"{live[0]}/playground")
    page.click("#start")
    sign_in_and_allow(page)
    page.click("#leave")
    expect(page.locator("#start")).to_be_visible()
    page.goto(live[0])
    expect(page.locator("body")).not_to_contain_text("Your notes")


def test_the_single_page_app_on_its_own_origin(
    page: Page, live: tuple[str, Flask], tmp_path: Path
) -> None:
    address, app = live
    with served_folder(spa_for(f"{address}/", tmp_path)) as origin:
        register(app, client_id="spa", redirect_uris=(f"{origin}/",))
        page.goto(origin)
        page.click("#sign-in")
        sign_in_and_allow(page)
        out = page.locator("#out")
        expect(out).to_contain_text("Dora Demo")
        page.click("#refresh")
        expect(out).to_have_text("Refreshed.")
        page.click("#call")
        expect(out).to_contain_text("Dora Demo")
        page.click("#sign-out")
        expect(out).to_have_text("Signed out.")


@pytest.mark.parametrize("issuer", ["https://not-mine.example", None])
def test_the_single_page_app_goes_to_no_server_but_its_own(
    page: Page, tmp_path: Path, issuer: str | None
) -> None:
    script = "javascript:void(document.title='script ran')//"
    metadata = tmp_path / "evil" / ".well-known" / "oauth-authorization-server"
    metadata.parent.mkdir(parents=True)
    with served_folder(tmp_path / "evil") as evil:
        endpoints = ("authorization_endpoint", "token_endpoint", "revocation_endpoint")
        document = {"issuer": issuer or f"{evil}/", **dict.fromkeys(endpoints, script)}
        metadata.write_text(json.dumps(document))
        # As if its own server had been taken over, or a link could name another one.
        with served_folder(spa_for(f"{evil}/", tmp_path)) as origin:
            page.route(f"{evil}/**", with_cors)
            page.goto(f"{origin}/")
            page.click("#sign-in")
            expect(page.locator("#out")).to_contain_text("another issuer" if issuer else "https")
            assert page.title() == "A single-page client"
    with served_folder(SPA) as origin:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{origin}/?{urlencode({'issuer': 'http://127.0.0.1:9/'})}")
        page.click("#sign-in")
        expect(page.locator("#out")).not_to_be_empty()
        assert [url for url in asked if url.startswith("http://127.0.0.1:9/")] == []


def with_cors(route: Route) -> None:
    answer = route.fetch()
    headers = {**answer.headers, "Access-Control-Allow-Origin": "*"}
    route.fulfill(response=answer, headers=headers)


@pytest.mark.parametrize("iss", ["", "&iss=https://not-mine.example"])
def test_the_single_page_app_takes_no_answer_of_another_server(page: Page, iss: str) -> None:
    # RFC 9207 2.4.
    with served_folder(SPA) as origin:
        page.goto(origin)
        page.evaluate('sessionStorage.setItem(\'asked\', \'{"state": "s", "verifier": "v"}\')')
        page.goto(f"{origin}/?code=x&state=s{iss}")
        expect(page.locator("#out")).to_contain_text("does not belong to this page's request")


def test_a_page_of_another_origin_reads_no_answer(page: Page, live: tuple[str, Flask]) -> None:
    # The browser itself keeps it from the page: CORS truly at work.
    address, app = live
    with served_folder(SPA) as origin, served_folder(SPA) as other:
        register(app, client_id="spa", redirect_uris=(f"{origin}/",))
        ask = f"""async () => {{
            const answer = await fetch("{address}/oauth/token", {{
                method: "POST",
                body: new URLSearchParams({{ grant_type: "refresh_token", client_id: "spa" }}),
            }});
            return (await answer.json()).error;
        }}"""
        page.goto(origin)
        assert page.evaluate(ask) == "invalid_request"
        page.goto(other)
        with pytest.raises(Exception, match="Failed to fetch"):
            page.evaluate(ask)
