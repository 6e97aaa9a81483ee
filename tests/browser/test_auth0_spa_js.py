"""@auth0/auth0-spa-js, as it comes from the registry, in a page on an origin of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Page, Request

from flask_pkce_server.testing import register

from ..live import served_host
from .party import call_api, relying_party, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.node]

API = "https://notes.example"
PAGE = """<!doctype html>
<title>Relying party</title>
<script src="/node_modules/@auth0/auth0-spa-js/dist/auth0-spa-js.production.js"></script>
<script>
const settings = SETTINGS;
const make = (more) => new auth0.Auth0Client({
  domain: settings.domain,
  clientId: "page",
  cacheLocation: "localstorage",
  ...more,
  authorizationParams: { redirect_uri: location.origin, ...more?.authorizationParams },
});
const refreshing = { useRefreshTokens: true };
const outcome = (promise) => promise.then(
  (value) => value ?? "done",
  (error) => ({ error: error.error ?? error.message, description: error.error_description }),
);
</script>
"""


@pytest.fixture
def live(tmp_path: Path) -> Iterator[tuple[str, Flask]]:
    """The host of the tests, which speaks to Auth0's SDK."""
    with served_host(
        tmp_path,
        issuer_path="/",
        PKCE_DIALECTS=["auth0"],
        PKCE_JWT_ACCESS_TOKEN_RESOURCES={API: ["notes:read"]},
    ) as found:
        yield found


@pytest.fixture
def party(packages: Path, live: tuple[str, Flask]) -> Iterator[str]:
    """The page, registered as a client; gives its origin, which is its redirect URI too."""
    address, app = live
    with relying_party(packages, PAGE, {"domain": address}) as origin:
        register(
            app,
            client_id="page",
            redirect_uris=(origin,),
            skip_consent=True,
            client_metadata={"post_logout_redirect_uris": [f"{origin}/bye"]},
        )
        yield origin


def begin(page: Page, origin: str, more: str = "{}") -> None:
    """Go to the page, sign in, and let the SDK exchange the code."""
    page.goto(origin)
    page.evaluate(f"void make({more}).loginWithRedirect({{ appState: {{ returnTo: '/deep' }} }})")
    sign_in(page)
    page.wait_for_url(f"{origin}?code=*")
    back = page.evaluate(f"outcome(make({more}).handleRedirectCallback())")
    assert back["appState"] == {"returnTo": "/deep"}, back


def test_redirect_profile_and_api(page: Page, live: tuple[str, Flask], party: str) -> None:
    begin(page, party)
    user = page.evaluate("make().getUser()")
    # The SDK knows the user by the ID token alone.
    assert (user["sub"], user["name"]) == ("1", "Ada Lovelace")
    claims = page.evaluate("make().getIdTokenClaims()")
    assert (claims["iss"], claims["aud"]) == (f"{live[0]}/", "page")
    token = page.evaluate("make().getTokenSilently()")
    assert call_api(page, f"{live[0]}/api/me", token)[1]["name"] == "Ada Lovelace"


def test_silent_renewal_in_a_frame(page: Page, live: tuple[str, Flask], party: str) -> None:
    begin(page, party)
    before = page.evaluate("make().getTokenSilently()")
    after = page.evaluate("outcome(make().getTokenSilently({ cacheMode: 'off' }))")
    assert isinstance(after, str), after
    assert after != before
    assert page.url.startswith(party)


@pytest.mark.thorough
def test_silent_renewal_without_a_session(page: Page, live: tuple[str, Flask], party: str) -> None:
    begin(page, party)
    assert page.request.post(f"{live[0]}/logout").ok
    told = page.evaluate("outcome(make().getTokenSilently({ cacheMode: 'off' }))")
    assert told["error"] == "login_required"
    assert page.evaluate("make().isAuthenticated()") is False


@pytest.mark.thorough
def test_a_page_that_is_loaded_anew_stays_signed_in(page: Page, party: str) -> None:
    begin(page, party, "{ cacheLocation: 'memory' }")
    page.goto(party)
    page.evaluate("client = make({ cacheLocation: 'memory' })")
    assert page.evaluate("outcome(client.checkSession())") == "done"
    assert page.evaluate("client.getUser()")["name"] == "Ada Lovelace"


@pytest.mark.parametrize("form", ["true", "false"])
def test_refresh_tokens_rotate(page: Page, party: str, form: str) -> None:
    sent: list[str] = []

    def note(request: Request) -> None:
        if request.url.endswith("/oauth/token"):
            sent.append(f"{request.headers['content-type']} {request.post_data}")

    page.on("request", note)
    more = f"{{ ...refreshing, useFormData: {form} }}"
    begin(page, party, more)
    before = page.evaluate(f"make({more}).getTokenSilently()")
    for _ in range(2):
        after = page.evaluate(f"outcome(make({more}).getTokenSilently({{ cacheMode: 'off' }}))")
        assert isinstance(after, str), after
        assert after != before
        before = after
    kind = "application/x-www-form-urlencoded" if form == "true" else "application/json"
    assert len(sent) == 3
    assert all(one.startswith(kind) for one in sent)
    assert sum("refresh_token=" in one or '"refresh_token":' in one for one in sent) == 2


@pytest.mark.thorough
def test_a_dead_refresh_token_falls_back_to_the_frame(
    page: Page, live: tuple[str, Flask], party: str
) -> None:
    more = "{ ...refreshing, useRefreshTokensFallback: true }"
    begin(page, party, more)
    with live[1].app_context():
        live[1].db.session.execute(live[1].db.text("UPDATE pkce_token SET revoked_at = 1"))
        live[1].db.session.commit()
    after = page.evaluate(f"outcome(make({more}).getTokenSilently({{ cacheMode: 'off' }}))")
    assert isinstance(after, str), after
    assert call_api(page, f"{live[0]}/api/me", after)[0] == 200


def test_an_audience_is_a_resource(page: Page, live: tuple[str, Flask], party: str) -> None:
    wish = f"{{ authorizationParams: {{ audience: '{API}', scope: 'openid notes:read' }} }}"
    begin(page, party, wish)
    token = page.evaluate(f"make({wish}).getTokenSilently({wish})")
    claims = live[1].extensions["pkce"].keys.verify(token, {"at+jwt"})
    assert claims["aud"] == API
    page.goto(party)
    page.evaluate(
        "void make({ authorizationParams: { audience: 'https://other.example' } })"
        ".loginWithRedirect()"
    )
    page.wait_for_url(f"{party}?error=invalid_target*")


@pytest.mark.thorough
def test_a_popup_signs_in(page: Page, live: tuple[str, Flask], party: str) -> None:
    page.goto(party)
    with page.expect_popup() as opened:
        page.evaluate("void (signing = outcome(make().loginWithPopup()))")
    sign_in(opened.value)
    assert page.evaluate("signing") == "done"
    assert page.evaluate("make().getUser()")["name"] == "Ada Lovelace"


@pytest.mark.thorough
def test_revocation(page: Page, live: tuple[str, Flask], party: str) -> None:
    begin(page, party, "refreshing")
    token = page.evaluate("make(refreshing).getTokenSilently()")
    assert page.evaluate("outcome(make(refreshing).revokeRefreshToken())") == "done"
    assert call_api(page, f"{live[0]}/api/me", token)[0] == 401


def test_logout_ends_the_session(page: Page, live: tuple[str, Flask], party: str) -> None:
    begin(page, party)
    page.evaluate(f"void make().logout({{ logoutParams: {{ returnTo: '{party}/bye' }} }})")
    page.wait_for_url(f"{party}/bye")
    told: Any = page.evaluate("outcome(make().getTokenSilently({ cacheMode: 'off' }))")
    assert told["error"] == "login_required"
