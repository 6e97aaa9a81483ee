"""@reachfive/identity-core, as it comes from the registry, over https on the loopback."""

from __future__ import annotations

import ssl
import subprocess
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

PAGE = """<!doctype html>
<title>Relying party</title>
<script src="/node_modules/@reachfive/identity-core/umd/identity-core.min.js"></script>
<script>
const client = reach5.createClient({ ...SETTINGS, clientId: "page", language: "fr" });
const signIn = (more) => client.loginFromSession({
  redirectUri: `${location.origin}/callback`, state: "kept", nonce: "n-1", ...more,
});
const outcome = (promise) => promise.then(
  (value) => value ?? "done",
  (error) => ({ error: error.error ?? String(error.message ?? error) }),
);
</script>
"""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server side of TLS that nobody trusts; the browser of the tests does not mind."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1", "-keyout", "key", "-out", "cert"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert", folder / "key")
    return context


@pytest.fixture
def live(tmp_path: Path, certificate: ssl.SSLContext) -> Iterator[tuple[str, Flask]]:
    """The host of the tests, which speaks to ReachFive's SDK."""
    with served_host(tmp_path, tls=certificate, PKCE_DIALECTS=["reachfive"]) as found:
        yield found


@pytest.fixture
def party(packages: Path, live: tuple[str, Flask], certificate: ssl.SSLContext) -> Iterator[str]:
    """The page, registered as a client that users are asked about; gives its origin."""
    address, app = live
    domain = {"domain": address.removeprefix("https://")}
    with relying_party(packages, PAGE, domain, tls=certificate) as origin:
        register(
            app,
            client_id="page",
            redirect_uris=(f"{origin}/callback",),
            client_metadata={"post_logout_redirect_uris": [f"{origin}/bye"]},
        )
        yield origin


def begin(page: Page, origin: str, more: str = "{}") -> dict[str, Any]:
    """Go to the page, sign in, agree, and let the SDK exchange the code."""
    page.goto(f"{origin}/start")
    page.evaluate(f"void signIn({more})")
    sign_in(page)
    page.click("[name=decision][value=allow]")
    page.wait_for_url(f"{origin}/callback?code=*state=kept*")
    found: dict[str, Any] = page.evaluate(
        """outcome(client.exchangeAuthorizationCodeWithPkce({
            code: new URLSearchParams(location.search).get("code"),
            redirectUri: `${location.origin}/callback`,
        }))"""
    )
    assert found["idTokenPayload"]["sub"] == "1", found
    return found


def test_redirect_profile_and_api(page: Page, live: tuple[str, Flask], party: str) -> None:
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request))
    tokens = begin(page, party)
    # The SDK sends JSON, and knows the user by the ID token.
    token_request = next(one for one in sent if one.url.endswith("/oauth/token"))
    assert token_request.headers["content-type"].startswith("application/json")
    assert tokens["idTokenPayload"]["name"] == "Ada Lovelace"
    token = tokens["accessToken"]
    user = page.evaluate("(token) => outcome(client.getUser({ accessToken: token }))", token)
    assert (user["sub"], user["name"]) == ("1", "Ada Lovelace")
    assert call_api(page, f"{live[0]}/api/me", token)[1]["name"] == "Ada Lovelace"


@pytest.mark.thorough
def test_refresh_tokens_rotate(page: Page, party: str) -> None:
    tokens = begin(page, party, "{ requireRefreshToken: true }")
    assert "refreshToken" in tokens
    again = page.evaluate(
        "(token) => outcome(client.refreshTokens({ refreshToken: token }))", tokens["refreshToken"]
    )
    assert again["idTokenPayload"]["sub"] == "1", again
    assert again["refreshToken"] != tokens["refreshToken"]
    assert again["accessToken"] != tokens["accessToken"]


@pytest.mark.thorough
def test_silent_renewal_with_and_without_a_session(
    page: Page, live: tuple[str, Flask], party: str
) -> None:
    begin(page, party)
    silent = "outcome(client.checkSession({ redirectUri: `${location.origin}/callback` }))"
    # The consent is remembered: nobody is asked again.
    renewed = page.evaluate(silent)
    assert renewed["idTokenPayload"]["sub"] == "1", renewed
    assert page.request.post(f"{live[0]}/logout").ok
    assert page.evaluate(silent)["error"] == "login_required"


def test_logout_revokes_and_ends_the_session(
    page: Page, live: tuple[str, Flask], party: str
) -> None:
    tokens = begin(page, party)
    page.evaluate(
        """(token) => void client.logout(
            { redirectTo: `${location.origin}/bye` }, { tokens: [token] }
        )""",
        tokens["accessToken"],
    )
    page.wait_for_url(f"{party}/bye")
    assert call_api(page, f"{live[0]}/api/me", tokens["accessToken"])[0] == 401
    told = page.evaluate(
        "outcome(client.checkSession({ redirectUri: `${location.origin}/callback` }))"
    )
    assert told["error"] == "login_required"
