"""The React sample, built as it is and clicked through: a front end that came from Auth0."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import BrowserContext, Page, expect

from example_app import create_app
from flask_pkce_server.testing import register

from ..live import served

pytestmark = [pytest.mark.browser, pytest.mark.node]

SAMPLE = Path(__file__).parents[2] / "example_app" / "react"
CLIENT_ID = "sample"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Flask]]:
    """The example app, and its address; in debug an issuer that is not set knows the port."""
    app = create_app(
        {
            "TESTING": True,
            "PKCE_ISSUER": None,
            "SECRET_KEY": "a-secret-key-of-the-tests-0123456789",
            "SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path_factory.mktemp('demo')}/notes.db",
        }
    )
    with served(app) as address:
        yield address, app
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()


@pytest.fixture(scope="module")
def sample(
    packages: Path, demo: tuple[str, Flask], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The sample, with another domain and client id and nothing else; gives its origin."""
    address, app = demo
    folder = tmp_path_factory.mktemp("react") / "sample"
    shutil.copytree(SAMPLE, folder, ignore=shutil.ignore_patterns("node_modules", "dist"))
    (folder / "node_modules").symlink_to(packages / "node_modules")
    settings = folder / "src" / "settings.js"
    text, found = re.subn(
        r'"http://127\.0\.0\.1:5000"(.*)"react"',
        rf'"{address}"\1"{CLIENT_ID}"',
        settings.read_text(),
        flags=re.DOTALL,
    )
    assert found == 1
    settings.write_text(text)
    # As npm does it, but for npm's own half of a second.
    build = json.loads((folder / "package.json").read_text())["scripts"]["build"]
    path = f"{folder / 'node_modules' / '.bin'}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["sh", "-c", build], cwd=folder, env={**os.environ, "PATH": path}, check=True)
    with served(runpy.run_path(str(folder / "serve.py"))["app"]) as origin:
        register(
            app,
            client_id=CLIENT_ID,
            name="The React sample",
            redirect_uris=(origin,),
            skip_consent=True,
            client_metadata={"post_logout_redirect_uris": [origin]},
        )
        yield origin


def sign_in(page: Page) -> None:
    """Sign in at the page of the example app."""
    page.fill("[name=username]", "demo")
    page.fill("[name=password]", "demo")
    page.click("main button")


def expect_profile(page: Page) -> None:
    expect(page.locator("dd")).to_have_text(["Dora Demo", "demo@example.com"])


def test_a_protected_page_comes_after_signing_in_and_stays_until_logging_out(
    page: Page, demo: tuple[str, Flask], sample: str
) -> None:
    page.goto(f"{sample}/profile?leaf=3")
    page.wait_for_url(f"{demo[0]}/login?*")
    sign_in(page)
    # To the very route; neither code nor state stays in the address bar.
    expect_profile(page)
    expect(page).to_have_url(f"{sample}/profile?leaf=3")

    page.click("text=API")
    page.click("text=Call the API")
    answer = page.locator("pre")
    expect(answer).to_contain_text("200")
    assert json.loads(answer.inner_text().partition("\n")[2]) == {
        "username": "demo",
        "name": "Dora Demo",
        "email": "demo@example.com",
    }

    # The tokens were in memory: they come anew, by a frame and not by the login page.
    page.goto(f"{sample}/profile")
    expect_profile(page)
    expect(page).to_have_url(f"{sample}/profile")

    page.click("text=Log out")
    expect(page.locator("text=Log in")).to_be_visible()
    expect(page).to_have_url(f"{sample}/")
    page.click("nav >> text=Profile")
    page.wait_for_url(f"{demo[0]}/login?*")


@pytest.mark.thorough
def test_signing_out_at_the_server_is_known_after_a_reload(
    context: BrowserContext, page: Page, demo: tuple[str, Flask], sample: str
) -> None:
    page.goto(sample)
    page.click("text=Log in")
    sign_in(page)
    expect(page.locator("h1")).to_have_text("Good day, Dora Demo")

    other = context.new_page()
    other.goto(demo[0])
    other.click("text=Sign out demo")
    expect(other.locator("header >> text=Sign in")).to_be_visible()

    # The SDK would wait for a minute; it is told login_required at once.
    with page.expect_response(f"{demo[0]}/authorize?*prompt=none*") as answered:
        page.reload()
    assert "login_required" in answered.value.text()
    expect(page.locator("text=Log in")).to_be_visible()
    assert page.url == f"{sample}/"


def test_the_settings_alone_name_the_server() -> None:
    texts = {file.name: file.read_text() for file in (SAMPLE / "src").iterdir()}
    settings = texts.pop("settings.js")
    assert re.findall(r"^export const (\w+) = ", settings, re.MULTILINE) == ["domain", "clientId"]
    for name, text in texts.items():
        assert not re.search(r"https?://|127\.0|oauth/|authorize\b", text), name


def test_the_sample_is_tested_with_the_packages_that_it_names() -> None:
    wanted = json.loads((SAMPLE / "package.json").read_text())
    tested = json.loads((SAMPLE.parents[1] / "tests" / "node" / "package.json").read_text())
    assert wanted["dependencies"].items() <= tested["dependencies"].items()
    assert wanted["overrides"] == tested["overrides"]
