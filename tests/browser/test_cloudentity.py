"""What cloudentity-auth-js sends, sent by a page on an origin of its own.

Its SDK is not in the npm registry: these are its requests as they were noted.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Page

from flask_pkce_server.testing import challenge_of, new_verifier, register

from ..live import served_host
from .party import call_api, relying_party, sign_in

pytestmark = pytest.mark.browser

PAGE = """<!doctype html>
<title>Relying party</title>
<script>
const { server } = SETTINGS;
const verifier = "VERIFIER", nonce = "4".repeat(56), state = "5".repeat(56);
const authorize = (more) => `${server}/oauth2/authorize?` + new URLSearchParams({
  response_type: "code", client_id: "page", state, nonce, scope: "openid profile",
  redirect_uri: `${location.origin}/callback`,
  code_challenge: "CHALLENGE", code_challenge_method: "S256", ...more,
});
const send = async (path, options) => {
  const answer = await fetch(`${server}${path}`, options);
  return [answer.status, await answer.json()];
};
const form = (fields) => ({
  method: "POST",
  headers: { "Content-Type": "application/x-www-form-urlencoded;charset=UTF-8" },
  body: new URLSearchParams(fields).toString(),
});
const exchange = (href) => send("/oauth2/token", form({
  grant_type: "authorization_code", client_id: "page",
  redirect_uri: `${location.origin}/callback`, code_verifier: verifier,
  code: new URL(href).searchParams.get("code"),
}));
const bearer = (token) => ({ Accept: "application/json", Authorization: `Bearer ${token}` });
const base64 = (text) => text.replace(/-/g, "+").replace(/_/g, "/");
const claims = (token) => JSON.parse(atob(base64(token.split(".")[1])));
const silently = () => new Promise((resolve) => {
  const frame = document.createElement("iframe");
  frame.addEventListener("load", () => resolve(frame.contentWindow.location.href));
  frame.src = authorize({ prompt: "none", method_hint: "password" });
  document.body.append(frame);
});
</script>
<body></body>
"""


@pytest.fixture
def live(tmp_path: Path) -> Iterator[tuple[str, Flask]]:
    """The host of the tests, which speaks to Cloudentity's SDK."""
    with served_host(tmp_path, PKCE_DIALECTS=["cloudentity"]) as found:
        yield found


@pytest.fixture
def party(tmp_path: Path, live: tuple[str, Flask]) -> Iterator[str]:
    """The page, registered as a client; gives its origin."""
    address, app = live
    verifier = new_verifier()
    html = PAGE.replace("VERIFIER", verifier).replace("CHALLENGE", challenge_of(verifier))
    with relying_party(tmp_path, html, {"server": f"{address}/tenant/workspace"}) as origin:
        register(app, client_id="page", redirect_uris=(f"{origin}/callback",), skip_consent=True)
        yield origin


def begin(page: Page, origin: str) -> dict[str, Any]:
    """Go to the page, sign in, exchange the code."""
    page.goto(f"{origin}/start")
    page.evaluate("void location.assign(authorize())")
    sign_in(page)
    page.wait_for_url(f"{origin}/callback?code=*")
    status, tokens = page.evaluate("exchange(location.href)")
    assert status == 200, tokens
    return dict(tokens)


def test_redirect_profile_api_and_revocation(
    page: Page, live: tuple[str, Flask], party: str
) -> None:
    tokens = begin(page, party)
    assert page.evaluate("(token) => claims(token).nonce", tokens["id_token"]) == "4" * 56
    access = tokens["access_token"]
    assert page.evaluate("(token) => claims(token).exp - claims(token).iat", access) == 3600
    userinfo = "(token) => send('/userinfo', { headers: bearer(token) })"
    assert page.evaluate(userinfo, access)[1]["name"] == "Ada Lovelace"
    assert call_api(page, f"{live[0]}/api/me", access)[1]["name"] == "Ada Lovelace"
    revoke = (
        "(token) => send('/oauth2/revoke',"
        " { ...form({ token }), headers: { ...form({}).headers, ...bearer(token) } })"
    )
    assert page.evaluate(revoke, access) == [200, {}]
    assert page.evaluate(userinfo, access)[0] == 401


@pytest.mark.thorough
def test_silent_renewal_with_and_without_a_session(
    page: Page, live: tuple[str, Flask], party: str
) -> None:
    begin(page, party)
    status, tokens = page.evaluate("silently().then(exchange)")
    assert (status, "id_token" in tokens) == (200, True)
    assert page.request.post(f"{live[0]}/logout").ok
    assert "error=login_required" in page.evaluate("silently()")
