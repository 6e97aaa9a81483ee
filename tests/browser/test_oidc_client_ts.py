"""oidc-client-ts, as it comes from the registry, in a page on an origin of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Frame, Page, Request, expect

from flask_pkce_server.testing import register

from ..live import served
from .party import call_api

pytestmark = [pytest.mark.browser, pytest.mark.node]

PAGE = """<!doctype html>
<title>Relying party</title>
<pre id="out"></pre>
<script src="/package/oidc-client-ts.min.js"></script>
<script>
const show = (what) => { document.querySelector("#out").textContent = JSON.stringify(what); };
const manager = new oidc.UserManager({
  ...SETTINGS,
  redirect_uri: `${location.origin}/callback`,
  silent_redirect_uri: `${location.origin}/silent`,
  post_logout_redirect_uri: `${location.origin}/bye`,
  loadUserInfo: true,
  automaticSilentRenew: false,
  silentRequestTimeoutInSeconds: 5,
});
const places = {
  "/callback": () => manager.signinRedirectCallback().then((user) => user.profile),
  "/silent": () => manager.signinSilentCallback(),
  "/bye": () => manager.signoutRedirectCallback(),
  "/": async () => "ready",
};
places[location.pathname]().then(show, (error) => show(`${error}`));
</script>
"""
RENEW = """async () => {
    const before = await manager.getUser();
    const after = await manager.signinSilent();
    return {
        sub: after.profile.sub,
        name: after.profile.name,
        other: after.access_token !== before.access_token && after.id_token !== before.id_token,
        rotated: after.refresh_token !== before.refresh_token,
        refreshable: Boolean(after.refresh_token),
    };
}"""
REFUSED = """() => manager.signinSilent().then(
    () => "renewed",
    (error) => error.error ?? `${error}`,
)"""


@pytest.fixture
def party(packages: Path, live: tuple[str, Flask]) -> Iterator[Callable[..., str]]:
    """Give a function that registers the page as a client and returns the page's origin."""
    address, app = live
    settings: dict[str, Any] = {"authority": address, "client_id": "page"}
    package = packages / "node_modules" / "oidc-client-ts" / "dist" / "browser"
    site = Flask("relying_party", static_folder=package, static_url_path="/package")

    @site.get("/")
    @site.get("/<any(callback, silent, bye):place>")
    def page(place: str = "") -> str:
        return PAGE.replace("SETTINGS", json.dumps(settings))

    with served(site) as origin:

        def make(scope: str = "openid profile", skip_consent: bool = True) -> str:
            settings["scope"] = scope
            register(
                app,
                client_id="page",
                redirect_uris=(f"{origin}/callback", f"{origin}/silent"),
                skip_consent=skip_consent,
                client_metadata={"post_logout_redirect_uris": [f"{origin}/bye"]},
            )
            return origin

        yield make


def begin(page: Page, origin: str) -> None:
    page.goto(origin)
    # The page is left before the promise is settled.
    page.evaluate("void manager.signinRedirect()")
    page.fill("[name=username]", "ada")
    page.click("button")


def signed_in(page: Page, origin: str) -> dict[str, Any]:
    page.wait_for_url(f"{origin}/callback?*")
    out = page.locator("#out")
    expect(out).to_contain_text('"sub"')
    return json.loads(out.inner_text())


def test_redirect_and_userinfo(
    page: Page, live: tuple[str, Flask], party: Callable[..., str]
) -> None:
    origin = party(skip_consent=False)
    begin(page, origin)
    page.click("[name=decision][value=allow]")
    profile = signed_in(page, origin)
    assert (profile["iss"], profile["aud"], profile["sub"]) == (live[0], "page", "1")
    # Only userinfo says these.
    assert (profile["name"], profile["preferred_username"]) == ("Ada Lovelace", "ada")


@pytest.mark.thorough
def test_a_refusal_comes_back_as_access_denied(page: Page, party: Callable[..., str]) -> None:
    origin = party(skip_consent=False)
    begin(page, origin)
    page.click("[name=decision][value=deny]")
    page.wait_for_url(f"{origin}/callback?*error=access_denied*")
    expect(page.locator("#out")).to_contain_text("ErrorResponse")


def test_silent_renewal_in_a_frame(
    page: Page, live: tuple[str, Flask], party: Callable[..., str]
) -> None:
    origin = party()
    begin(page, origin)
    signed_in(page, origin)
    visited: list[str] = []

    def note(frame: Frame) -> None:
        if frame.parent_frame:
            visited.append(frame.url)

    page.on("framenavigated", note)
    assert page.evaluate(RENEW) == {
        "sub": "1",
        "name": "Ada Lovelace",
        "other": True,
        "rotated": False,
        "refreshable": False,
    }
    assert any(url.startswith(f"{origin}/silent?code=") for url in visited)
    assert page.url.startswith(f"{origin}/callback")


@pytest.mark.thorough
def test_silent_renewal_of_a_user_who_left(
    page: Page, live: tuple[str, Flask], party: Callable[..., str]
) -> None:
    origin = party()
    begin(page, origin)
    signed_in(page, origin)
    assert page.request.post(f"{live[0]}/logout").ok
    assert page.evaluate(REFUSED) == "login_required"


@pytest.mark.thorough
def test_silent_renewal_as_somebody_else(
    page: Page, live: tuple[str, Flask], party: Callable[..., str]
) -> None:
    origin = party()
    begin(page, origin)
    signed_in(page, origin)
    page.request.post(f"{live[0]}/login", form={"username": "bob"}, max_redirects=0)
    assert page.evaluate(REFUSED) == "login_required"


@pytest.mark.thorough
def test_renewal_by_refresh_token(page: Page, party: Callable[..., str]) -> None:
    origin = party("openid profile offline_access")
    begin(page, origin)
    signed_in(page, origin)
    sent: list[str] = []

    def note(request: Request) -> None:
        sent.append(f"{request.url} {request.post_data}")

    page.on("request", note)
    assert page.evaluate(RENEW) == {
        "sub": "1",
        "name": "Ada Lovelace",
        "other": True,
        "rotated": True,
        "refreshable": True,
    }
    assert any("grant_type=refresh_token" in what for what in sent)
    assert not any("/oauth/authorize" in what for what in sent)


def test_the_api_and_revocation(
    page: Page, live: tuple[str, Flask], party: Callable[..., str]
) -> None:
    origin = party("openid profile offline_access")
    begin(page, origin)
    signed_in(page, origin)
    token = page.evaluate("manager.getUser().then((user) => user.access_token)")
    assert call_api(page, f"{live[0]}/api/me", token)[1]["name"] == "Ada Lovelace"
    # The SDK throws on any answer that is not JSON.
    assert page.evaluate("manager.revokeTokens().then(() => 'revoked', String)") == "revoked"
    assert call_api(page, f"{live[0]}/api/me", token)[0] == 401


def test_signing_out(page: Page, live: tuple[str, Flask], party: Callable[..., str]) -> None:
    origin = party()
    begin(page, origin)
    signed_in(page, origin)
    page.evaluate("void manager.signoutRedirect({ state: 'kept' })")
    page.wait_for_url(f"{origin}/bye?state=*")
    expect(page.locator("#out")).to_contain_text('"userState":"kept"')
    assert page.evaluate("manager.getUser()") is None
    assert page.evaluate(REFUSED) == "login_required"
