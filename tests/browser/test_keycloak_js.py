"""keycloak-js, as it comes from the registry, in a page on an origin of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Page

from flask_pkce_server.testing import register

from ..live import served_host
from ..services import THOROUGH
from .party import call_api, relying_party, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.node]

PAGE = """<!doctype html>
<title>Relying party</title>
<script type="importmap">
{ "imports": { "keycloak-js": "/node_modules/keycloak-js/lib/keycloak.js" } }
</script>
<script type="module">
const settings = SETTINGS;
if (location.pathname === "/silent") {
  parent.postMessage(location.href, location.origin);
} else {
  const { default: Keycloak } = await import("keycloak-js");
  window.keycloak = new Keycloak(settings.config);
  keycloak.onAuthLogout = () => { window.loggedOut = true; };
  window.ready = keycloak.init({
    onLoad: "check-sso",
    silentCheckSsoRedirectUri: `${location.origin}/silent`,
    checkLoginIframeInterval: 1,
    ...settings.init,
  });
  window.outcome = (promise) => promise.then(
    (value) => value ?? "done",
    (error) => ({ error: error.error ?? String(error.message ?? error) }),
  );
}
</script>
"""


def realm(address: str) -> dict[str, Any]:
    """By the paths of Keycloak, with its frames that watch the session."""
    return {"config": {"url": address, "realm": "notes", "clientId": "page"}, "init": {}}


def discovery(address: str) -> dict[str, Any]:
    """By our metadata, as the SDK takes any OpenID provider."""
    return {
        "config": {"oidcProvider": address, "clientId": "page"},
        "init": {"checkLoginIframe": False},
    }


@pytest.fixture
def live(tmp_path: Path) -> Iterator[tuple[str, Flask]]:
    """The host of the tests, which speaks to Keycloak's SDK."""
    with served_host(tmp_path, PKCE_DIALECTS=["keycloak"]) as found:
        yield found


# In a quick run every test goes by one of the two ways, and the first by both.
@pytest.fixture(params=[realm, discovery] if THOROUGH else [realm])
def party(packages: Path, live: tuple[str, Flask], request: pytest.FixtureRequest) -> Iterator[str]:
    """The page, registered as a client; gives its origin."""
    address, app = live
    metadata = {"dialect": "keycloak"} if request.param is discovery else {}
    with relying_party(packages, PAGE, request.param(address)) as origin:
        register(
            app,
            client_id="page",
            redirect_uris=(f"{origin}/app", f"{origin}/silent"),
            skip_consent=True,
            client_metadata={**metadata, "post_logout_redirect_uris": [f"{origin}/app"]},
        )
        yield origin


in_a_realm = pytest.mark.parametrize("party", [realm], indirect=True)


def is_signed_in(page: Page) -> Any:
    """Say what the SDK found when the page was loaded."""
    page.wait_for_function("Boolean(window.outcome)")
    return page.evaluate("outcome(ready)")


def begin(page: Page, origin: str) -> None:
    """Go to the page, sign in, and let the SDK exchange the code."""
    page.goto(f"{origin}/app")
    assert is_signed_in(page) is False
    page.evaluate("void keycloak.login({ scope: 'profile offline_access' })")
    sign_in(page)
    page.wait_for_url(f"{origin}/app*")
    page.wait_for_function("window.keycloak?.authenticated")


@pytest.mark.parametrize("party", [realm, discovery], indirect=True)
def test_redirect_profile_and_api(page: Page, live: tuple[str, Flask], party: str) -> None:
    begin(page, party)
    # Nothing of the answer is left in the address.
    assert page.url == f"{party}/app"
    claims = page.evaluate("keycloak.idTokenParsed")
    assert (claims["aud"], claims["sub"]) == ("page", "1")
    assert page.evaluate("keycloak.sessionId")
    user = page.evaluate("outcome(keycloak.loadUserInfo())")
    assert user["name"] == "Ada Lovelace"
    token = page.evaluate("keycloak.token")
    assert call_api(page, f"{live[0]}/api/me", token)[1]["name"] == "Ada Lovelace"


@pytest.mark.thorough
def test_refresh_tokens_rotate(page: Page, party: str) -> None:
    begin(page, party)
    before = page.evaluate("[keycloak.token, keycloak.refreshToken, keycloak.idToken]")
    for _ in range(2):
        assert page.evaluate("outcome(keycloak.updateToken(-1))") is True
    after = page.evaluate("[keycloak.token, keycloak.refreshToken, keycloak.idToken]")
    assert all(new and new != old for new, old in zip(after, before, strict=True))


@pytest.mark.thorough
def test_a_dead_refresh_token_is_forgotten(page: Page, live: tuple[str, Flask], party: str) -> None:
    begin(page, party)
    with live[1].app_context():
        live[1].db.session.execute(live[1].db.text("UPDATE pkce_token SET revoked_at = 1"))
        live[1].db.session.commit()
    assert "error" in page.evaluate("outcome(keycloak.updateToken(-1))")
    assert not page.evaluate("keycloak.refreshToken")


def test_silent_sign_in_with_and_without_a_session(
    page: Page, live: tuple[str, Flask], party: str
) -> None:
    begin(page, party)
    page.goto(f"{party}/app?again")
    assert is_signed_in(page) is True
    assert page.request.post(f"{live[0]}/logout").ok
    page.goto(f"{party}/app")
    assert is_signed_in(page) is False


def test_logout_ends_the_session(page: Page, live: tuple[str, Flask], party: str) -> None:
    begin(page, party)
    page.evaluate(f"void keycloak.logout({{ redirectUri: '{party}/app' }})")
    page.wait_for_url(f"{party}/app")
    assert is_signed_in(page) is False


@in_a_realm
@pytest.mark.thorough
def test_the_frame_tells_when_the_session_ends_elsewhere(
    page: Page, live: tuple[str, Flask], party: str
) -> None:
    begin(page, party)
    page.wait_for_timeout(1500)
    assert page.evaluate("[keycloak.authenticated, window.loggedOut]") == [True, None]
    assert page.request.post(f"{live[0]}/logout").ok
    page.wait_for_function("window.loggedOut")
    assert page.evaluate("keycloak.authenticated") is False
