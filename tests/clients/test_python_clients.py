"""Clients that we did not write, in Python: login, consent, API, refresh, revocation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from flask import Flask
from requests_oauthlib import OAuth2Session

from flask_pkce_server.testing import new_verifier, register

from ..live import decide, served_host

pytestmark = pytest.mark.programs

SCOPE = "profile offline_access"
URI = "http://127.0.0.1:8765/callback"
METHODS = ["none", "client_secret_basic", "client_secret_post"]


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Flask]]:
    # requests-oauthlib takes no http at all, not even on the loopback.
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    with served_host(tmp_path) as found:
        yield found


@pytest.mark.parametrize("method", METHODS)
def test_authlib_oauth2_session(live: tuple[str, Flask], method: str) -> None:
    address, app = live
    known = register(app, auth_method=method, redirect_uris=(URI,))
    with AuthlibSession(
        known.client_id,
        known.client_secret,
        scope=SCOPE,
        redirect_uri=URI,
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        code_challenge_method="S256",
    ) as session:
        verifier = new_verifier()
        url, state = session.create_authorization_url(
            f"{address}/oauth/authorize", code_verifier=verifier
        )
        token = session.fetch_token(
            f"{address}/oauth/token",
            authorization_response=decide(url),
            code_verifier=verifier,
            state=state,
        )
        assert set(token["scope"].split()) == set(SCOPE.split())
        assert session.get(f"{address}/api/me").json()["name"] == "Ada Lovelace"
        fresh = session.refresh_token(f"{address}/oauth/token")
        assert fresh["refresh_token"] != token["refresh_token"]
        assert session.get(f"{address}/api/me").status_code == 200
        given_back = session.revoke_token(
            f"{address}/oauth/revoke", fresh["refresh_token"], "refresh_token"
        )
        assert given_back.status_code == 200
        assert session.get(f"{address}/api/me").status_code == 401


@pytest.mark.parametrize("method", ["none", "client_secret_basic"])
def test_requests_oauthlib(live: tuple[str, Flask], method: str) -> None:
    address, app = live
    known = register(app, auth_method=method, redirect_uris=(URI,))
    public = method == "none"
    with OAuth2Session(
        known.client_id, scope=SCOPE.split(), redirect_uri=URI, pkce="S256"
    ) as session:
        url, _ = session.authorization_url(f"{address}/oauth/authorize")
        token = session.fetch_token(
            f"{address}/oauth/token",
            authorization_response=decide(url),
            client_secret=known.client_secret,
            include_client_id=True if public else None,
        )
        assert session.get(f"{address}/api/me").json()["name"] == "Ada Lovelace"
        credentials = {} if public else {"auth": (known.client_id, known.client_secret)}
        fresh = session.refresh_token(
            f"{address}/oauth/token",
            client_id=known.client_id if public else None,
            **credentials,
        )
        assert fresh["refresh_token"] != token["refresh_token"]
        assert session.get(f"{address}/api/me").status_code == 200
        form = {"token": fresh["access_token"]} | ({"client_id": known.client_id} if public else {})
        assert session.post(f"{address}/oauth/revoke", data=form, **credentials).ok
        assert session.get(f"{address}/api/me").status_code == 401


def test_requests_oauthlib_naming_a_public_client_by_basic(live: tuple[str, Flask]) -> None:
    # Its default: Basic with the client_id and no secret, and no client_id in the body.
    address, app = live
    known = register(app, redirect_uris=(URI,))
    with OAuth2Session(
        known.client_id, scope=SCOPE.split(), redirect_uri=URI, pkce="S256"
    ) as session:
        url, _ = session.authorization_url(f"{address}/oauth/authorize")
        session.fetch_token(f"{address}/oauth/token", authorization_response=decide(url))
        assert session.get(f"{address}/api/me").status_code == 200
