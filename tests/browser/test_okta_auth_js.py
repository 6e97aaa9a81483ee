"""@okta/okta-auth-js, as it comes from the registry, in a page on an origin of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Page, Request

from flask_pkce_server.testing import register

from ..live import served_host
from ..services import THOROUGH
from .party import call_api, relying_party, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.node]

PAGE = """<!doctype html>
<title>Relying party</title>
<script src="/node_modules/@okta/okta-auth-js/dist/okta-auth-js.min.js"></script>
<script>
const settings = SETTINGS;
const client = new OktaAuth({
  ...settings,
  clientId: "page",
  redirectUri: `${location.origin}/callback`,
  scopes: ["openid", "profile", "offline_access"],
  tokenManager: { autoRenew: false, syncStorage: false },
  services: { autoRenew: false, syncStorage: false, renewOnTabActivation: false },
});
const outcome = (promise) => promise.then(
  (value) => value ?? "done",
  (error) => ({ error: error.errorCode ?? error.name, description: error.errorSummary }),
);
</script>
"""


def native(address: str) -> dict[str, str]:
    """Everything below the issuer, as with Okta itself."""
    return {"issuer": f"{address}/oauth2/default"}


def custom(address: str) -> dict[str, str]:
    """Each URL said, as the SDK lets an app do."""
    return {
        "issuer": address,
        "authorizeUrl": f"{address}/oauth/authorize",
        "tokenUrl": f"{address}/oauth/token",
        "userinfoUrl": f"{address}/oauth/userinfo",
        "revokeUrl": f"{address}/oauth/revoke",
        "logoutUrl": f"{address}/oauth/logout",
    }


# In a quick run every test goes by one of the two ways, and the first by both.
@pytest.fixture(params=[native, custom] if THOROUGH else [native])
def live(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[str, Flask, Any]]:
    """The host of the tests, which speaks to Okta's SDK, and the settings of the SDK."""
    path = "/oauth2/default" if request.param is native else ""
    with served_host(tmp_path, issuer_path=path, PKCE_DIALECTS=["okta"]) as (address, app):
        yield address, app, request.param(address)


@pytest.fixture
def party(packages: Path, live: tuple[str, Flask, Any]) -> Iterator[str]:
    """The page, registered as a client; gives its origin."""
    _, app, settings = live
    with relying_party(packages, PAGE, settings) as origin:
        register(
            app,
            client_id="page",
            redirect_uris=(f"{origin}/callback",),
            skip_consent=True,
            client_metadata={"post_logout_redirect_uris": [origin]},
        )
        yield origin


def begin(page: Page, origin: str) -> None:
    """Go to the page, sign in, and let the SDK exchange the code."""
    page.goto(f"{origin}/start")
    page.evaluate("void client.signInWithRedirect({ originalUri: '/deep' })")
    sign_in(page)
    page.wait_for_url(f"{origin}/callback?code=*")
    said = page.evaluate(
        "outcome(client.token.parseFromUrl().then(({ tokens }) => "
        "(client.tokenManager.setTokens(tokens), Object.keys(tokens))))"
    )
    assert set(said) == {"idToken", "accessToken", "refreshToken"}, said


@pytest.mark.parametrize("live", [native, custom], indirect=True)
def test_redirect_profile_and_api(page: Page, live: tuple[str, Flask, Any], party: str) -> None:
    address, _, settings = live
    begin(page, party)
    # The SDK has verified the signature against our JWKS by then.
    claims = page.evaluate("client.tokenManager.getTokensSync().idToken.claims")
    assert (claims["iss"], claims["aud"]) == (settings["issuer"], "page")
    user = page.evaluate("outcome(client.token.getUserInfo())")
    assert (user["sub"], user["name"]) == ("1", "Ada Lovelace")
    token = page.evaluate("client.getAccessToken()")
    assert call_api(page, f"{address}/api/me", token)[1]["name"] == "Ada Lovelace"


@pytest.mark.thorough
def test_refresh_tokens_rotate(page: Page, live: tuple[str, Flask, Any], party: str) -> None:
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request))
    begin(page, party)
    before = page.evaluate("client.tokenManager.getTokensSync()")
    for _ in range(2):
        page.evaluate("client.token.renewTokens().then((t) => client.tokenManager.setTokens(t))")
    after = page.evaluate("client.tokenManager.getTokensSync()")
    assert set(after) == {"idToken", "accessToken", "refreshToken"}
    for kind, name in (("accessToken", "accessToken"), ("refreshToken", "refreshToken")):
        assert after[kind][name] != before[kind][name]
    assert sum("grant_type=refresh_token" in (one.post_data or "") for one in sent) == 2


@pytest.mark.thorough
def test_a_dead_refresh_token_is_forgotten(
    page: Page, live: tuple[str, Flask, Any], party: str
) -> None:
    app = live[1]
    begin(page, party)
    with app.app_context():
        app.db.session.execute(app.db.text("UPDATE pkce_token SET revoked_at = 1"))
        app.db.session.commit()
    # The SDK knows a dead refresh token by our sentence, and goes on without one.
    page.evaluate("outcome(client.token.renewTokens())")
    assert "refreshToken" not in page.evaluate("client.tokenManager.getTokensSync()")


def test_silent_renewal_with_and_without_a_session(
    page: Page, live: tuple[str, Flask, Any], party: str
) -> None:
    begin(page, party)
    silent = "outcome(client.token.getWithoutPrompt({ timeout: 5000 }))"
    renewed = page.evaluate(silent)
    assert renewed["tokens"]["idToken"]["claims"]["sub"] == "1", renewed
    assert page.request.post(f"{live[0]}/logout").ok
    assert page.evaluate(silent)["error"] == "login_required"


def test_signing_out_revokes_and_ends_the_session(
    page: Page, live: tuple[str, Flask, Any], party: str
) -> None:
    begin(page, party)
    token = page.evaluate("client.getAccessToken()")
    page.evaluate("void client.signOut()")
    page.wait_for_url(f"{party}/")
    assert call_api(page, f"{live[0]}/api/me", token)[0] == 401
    told = page.evaluate("outcome(client.token.getWithoutPrompt({ timeout: 5000 }))")
    assert told["error"] == "login_required"


@pytest.mark.thorough
def test_a_page_without_an_id_token_ends_the_session_too(
    page: Page, live: tuple[str, Flask, Any], party: str
) -> None:
    begin(page, party)
    assert page.evaluate("outcome(client.closeSession())") is True
    told = page.evaluate("outcome(client.token.getWithoutPrompt({ timeout: 5000 }))")
    assert told["error"] == "login_required"
    # There is none any more.
    assert page.evaluate("outcome(client.closeSession())") is False
