"""Every page, looked over by axe-core: WCAG 2.2 AA, light, dark, Arabic, narrow and enlarged."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page

from flask_pkce_server.testing import register

from ..device import Device, television
from ..live import served_host
from ..services import THOROUGH
from .party import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.node]

LOOK = """async () => {
    const found = await axe.run(document, {
        resultTypes: ["violations"],
        runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    });
    return found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html)}`);
}"""
# WCAG 2.5.5 wants 44 px of what one presses, links in a sentence apart.
SMALL = """() => [...document.querySelectorAll("button, summary, input:not([type=hidden])")]
    .map((one) => one.closest("label") ?? one)
    .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 44)
    .map((one) => one.outerHTML)"""
# How each page is looked at: the window, and the colours that the person wants.
LOOKS = {
    "en": {
        "light": ((1280, 700), "light"),
        "dark": ((1280, 700), "dark"),
        "narrow": ((320, 700), "light"),
        # What a window of 1280 x 1024 px holds at 400 %.
        "enlarged": ((320, 256), "dark"),
    },
    "ar": {"light": ((1280, 700), "light"), "narrow-dark": ((320, 700), "dark")},
}
if not THOROUGH:
    # The one that has the most to lose, and the pages that most people see.
    LOOKS = {"ar": {"narrow-dark": LOOKS["ar"]["narrow-dark"]}}


@pytest.fixture
def live(tmp_path: Path) -> Iterator[tuple[str, Flask]]:
    with served_host(
        tmp_path,
        PKCE_FEATURES={"developer_portal": True},
        PKCE_CONSENT_OPTIONAL_SCOPES=["notes:write"],
        PKCE_CONSENT_DAYS=[0, 90],
        PKCE_CONNECTED_APPS_NOTE_USE=True,
        PKCE_ACCESS_TOKEN_FORMAT="jwt",
    ) as found:
        yield found


@pytest.fixture(params=LOOKS)
def page(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(locale=request.param, reduced_motion="reduce")
    context.set_default_timeout(10_000)
    yield context.new_page()
    context.close()


def test_no_page_breaks_a_rule(
    page: Page, packages: Path, live: tuple[str, Flask], authorize_url: Callable, callback: str
) -> None:
    # As the browser's own tools do it: the policy of the pages lets no script in.
    page.add_init_script(path=packages / "node_modules" / "axe-core" / "axe.min.js")
    titles = []

    def look(name: str) -> None:
        page.wait_for_load_state("load")
        titles.append(page.title())
        if not THOROUGH and name not in ("consent", "apps", "error", "device", "logout"):
            return
        language = page.evaluate("navigator.language")
        for how, ((width, height), scheme) in LOOKS[language].items():
            page.set_viewport_size({"width": width, "height": height})
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate(LOOK) == [], (name, how)
            assert page.evaluate(SMALL) == [], (name, how)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, how)
        assert page.evaluate("document.documentElement.lang") == language
        assert page.evaluate("document.documentElement.dir") == {"en": "ltr", "ar": "rtl"}[language]

    address, app = live
    told = {"developer": "Ada", "client_uri": "https://a.example/", "tos_uri": "https://a.example/"}
    local = register(
        app,
        name="A command-line client",
        redirect_uris=("http://localhost/cb",),
        self_registered=True,
        client_metadata=told,
    )
    web = register(
        app,
        name="A web app",
        auth_method="client_secret_basic",
        redirect_uris=(callback,),
        client_metadata={**told, "verified": True},
    )
    page.goto(authorize_url(local, scope="openid profile notes:read offline_access"))
    sign_in(page)
    look("consent")
    page.goto(authorize_url(web, scope="profile notes:read"))
    page.click("[value=allow]")
    page.wait_for_url("**/callback*")
    page.goto(authorize_url(web, scope="openid profile notes:write"))
    look("step-up")
    page.goto(f"{address}/oauth/apps")
    page.click("summary")
    look("apps")
    page.check("[value='notes:read']")
    page.click("[value=scopes]")
    look("apps, narrowed")
    page.click("[value=app]")
    look("apps, none")
    page.goto(authorize_url(web, redirect_uri="https://evil.example/"))
    look("error")
    page.goto(authorize_url(web, response_mode="form_post"))
    # So that the form stays to be seen.
    page.route("**/form_post.js", lambda route: route.abort())
    page.click("[value=allow]")
    look("form_post")
    page.goto(f"{address}/oauth/developer")
    look("portal")
    page.check("[value=server]")
    page.fill("[name=name]", "Mine")
    page.fill("[name=redirect_uris]", "http://a.example/\nhttps://a.example/")
    page.click("[value=create]")
    look("portal, wrong")
    page.fill("[name=redirect_uris]", "http://localhost/")
    page.click("[value=create]")
    for summary in page.query_selector_all("summary"):
        summary.click()
    look("portal, new app")
    page.click("[value=add_secret]")
    look("portal, second secret")
    page.click("[value=delete]")
    look("portal, not deleted")
    page.goto(f"{address}/oauth/developer")
    look("portal, list")
    device = Device(app.test_client(), television(app, self_registered=True))
    device.start()
    page.goto(f"{address}/oauth/device")
    look("device")
    page.fill("[name=user_code]", "BCDF-GHJK")
    page.click("[type=submit]")
    look("device, unknown")
    page.goto(f"{address}/oauth/device?user_code={device.user_code}")
    look("device, named")
    page.click("[type=submit]")
    look("device, consent")
    page.click("[value=allow]")
    look("device, allowed")
    page.goto(f"{address}/oauth/logout")
    look("logout")
    page.click("[value=deny]")
    look("stayed")
    page.goto(f"{address}/oauth/logout")
    page.click("[value=allow]")
    look("left")
    # WCAG 2.4.2: each says what it is, and whose it is.
    assert all(re.search(r". \u2013 host$", title) for title in titles)
    assert len(titles) == 21
