"""Relying parties that we did not write, on Node: login, ID token, userinfo, refresh, logout."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import requests

from flask_pkce_server.testing import register

from ..live import decide_in, served_host

pytestmark = pytest.mark.programs

PARTY = "http://127.0.0.1:8765"


@pytest.mark.node
@pytest.mark.parametrize("script", ["openid_client.mjs", "oauth4webapi_oidc.mjs"])
@pytest.mark.parametrize("method", ["none", "client_secret_basic", "client_secret_post"])
def test_relying_party(packages: Path, tmp_path: Path, script: str, method: str) -> None:
    with served_host(tmp_path) as (address, app), requests.Session() as browser:
        known = register(
            app,
            auth_method=method,
            redirect_uris=(f"{PARTY}/callback",),
            # An id that the client percent-encodes in Basic.
            client_id="relying_party-1",
            client_metadata={"post_logout_redirect_uris": [f"{PARTY}/bye"]},
        )
        secret = known.client_secret or ""
        places = [known.redirect_uri, f"{PARTY}/bye"]
        with subprocess.Popen(
            ["node", script, address, known.client_id, method, secret, *places],
            cwd=packages,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as party:
            url = party.stdout.readline().strip()
            output, _ = party.communicate(decide_in(browser, url) + "\n", timeout=60)
        assert party.returncode == 0
        said = json.loads(output)
        claims, fresh = said["claims"], said["freshClaims"]
        assert (claims["iss"], claims["aud"], claims["sub"]) == (address, known.client_id, "1")
        ada = {"sub": "1", "name": "Ada Lovelace", "preferred_username": "ada"}
        assert said["user"] == said["freshUser"] == ada
        assert said["rotated"]
        # OIDC Core 12.2.
        kept = ("iss", "aud", "sub", "auth_time", "sid")
        assert {name: fresh[name] for name in kept} == {name: claims[name] for name in kept}
        answer = browser.get(said["logout"], allow_redirects=False)
        assert answer.headers["Location"] == f"{PARTY}/bye?state=left"
        assert "<h1>Sign in</h1>" in browser.get(url).text
