"""Relying parties that we did not write, in Python: login, ID token, userinfo, refresh, logout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from authlib.integrations.flask_client import OAuth
from cryptojwt import KeyJar
from flask import Flask, session, url_for
from idpyoidc.client.rp_handler import RPHandler

from flask_pkce_server.testing import RegisteredClient, register

from ..live import decide_in, served, served_host

pytestmark = pytest.mark.programs

PARTY = "http://127.0.0.1:8765"
SCOPE = "openid profile offline_access"


@pytest.fixture
def live(tmp_path: Path) -> Iterator[tuple[str, Flask]]:
    with served_host(tmp_path) as found:
        yield found


@pytest.fixture
def browser() -> Iterator[requests.Session]:
    with requests.Session() as browser:
        yield browser


def authlib_app(issuer: str, known: RegisteredClient) -> Flask:
    """A web app that signs its users in by Authlib's client for Flask."""
    app = Flask("relying_party")
    # Cookies know no ports: under the default name this session would replace the host's.
    app.config.update(SECRET_KEY="a-secret-key-of-the-relying-party", SESSION_COOKIE_NAME="rp")
    kept: dict[str, Any] = {}
    oauth = OAuth(app, update_token=lambda name, token, **old: kept.update(fresh=token, old=old))
    oauth.register(
        "host",
        client_id=known.client_id,
        client_secret=known.client_secret,
        server_metadata_url=f"{issuer}/.well-known/openid-configuration",
        client_kwargs={"scope": SCOPE, "code_challenge_method": "S256"},
    )

    @app.get("/login")
    def login() -> Any:
        return oauth.host.authorize_redirect(url_for("callback", _external=True))

    @app.get("/callback")
    def callback() -> Any:
        kept["token"] = token = oauth.host.authorize_access_token()
        session["user"] = token["userinfo"]["sub"]
        return {"id_token": token["userinfo"], "scope": token["scope"]}

    @app.get("/profile")
    def profile() -> Any:
        return dict(oauth.host.userinfo(token=kept["token"]))

    @app.get("/later")
    def later() -> Any:
        # Authlib refreshes by itself a token that it takes for expired.
        info = oauth.host.userinfo(token={**kept["token"], "expires_at": 1})
        old, fresh = kept["old"]["refresh_token"], kept["fresh"]
        claims = oauth.host.parse_id_token(fresh, nonce=None)
        assert old == kept["token"]["refresh_token"] != fresh["refresh_token"]
        assert fresh["access_token"] != kept["token"]["access_token"]
        return {"userinfo": info, "id_token": claims}

    @app.get("/logout")
    def logout() -> Any:
        session.pop("user")
        return oauth.host.logout_redirect(
            url_for("bye", _external=True), id_token_hint=kept["token"]["id_token"]
        )

    @app.get("/bye")
    def bye() -> Any:
        return oauth.host.validate_logout_response()

    return app


def test_authlib_flask_client(live: tuple[str, Flask], browser: requests.Session) -> None:
    address, app = live
    known = register(
        app,
        auth_method="client_secret_basic",
        redirect_uris=("http://127.0.0.1/callback",),
        client_metadata={"post_logout_redirect_uris": ["http://127.0.0.1/bye"]},
    )
    with served(authlib_app(address, known)) as party:
        answer = browser.get(decide_in(browser, f"{party}/login"))
        assert answer.ok, answer.text
        assert set(answer.json()["scope"].split()) == set(SCOPE.split())
        claims = answer.json()["id_token"]
        assert (claims["iss"], claims["aud"], claims["sub"]) == (address, known.client_id, "1")
        ada = {"sub": "1", "name": "Ada Lovelace", "preferred_username": "ada"}
        assert browser.get(f"{party}/profile").json() == ada
        later = browser.get(f"{party}/later").json()
        assert later["userinfo"] == ada
        assert later["id_token"]["sid"] == claims["sid"]
        left = browser.get(f"{party}/logout")
        assert left.json() == {"post_logout_redirect_uri": f"{party}/bye"}
        assert "<h1>Sign in</h1>" in browser.get(f"{party}/login").text


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_idpyoidc(live: tuple[str, Flask], browser: requests.Session, method: str) -> None:
    address, app = live
    known = register(
        app,
        auth_method=method,
        redirect_uris=(f"{PARTY}/callback",),
        client_metadata={"post_logout_redirect_uris": [f"{PARTY}/bye"]},
    )
    service = "idpyoidc.client.oidc"
    party = RPHandler(
        base_url=PARTY,
        # Without one it writes keys of its own into the working directory.
        keyjar=KeyJar(),
        services={
            "discovery": {"class": f"{service}.provider_info_discovery.ProviderInfoDiscovery"},
            "authorization": {"class": f"{service}.authorization.Authorization"},
            "accesstoken": {"class": f"{service}.access_token.AccessToken"},
            "refresh_token": {"class": f"{service}.refresh_access_token.RefreshAccessToken"},
            "userinfo": {"class": f"{service}.userinfo.UserInfo"},
            "end_session": {"class": f"{service}.end_session.EndSession"},
        },
        client_configs={
            address: {
                "client_type": "oidc",
                "issuer": address,
                "client_id": known.client_id,
                "client_secret": known.client_secret,
                "redirect_uris": [f"{PARTY}/callback"],
                "post_logout_redirect_uris": [f"{PARTY}/bye"],
                "response_types_supported": ["code"],
                "token_endpoint_auth_methods_supported": [method],
                "client_authn_methods": [method],
                "scopes_supported": SCOPE.split(),
                "add_ons": {
                    "pkce": {
                        "function": "idpyoidc.client.oauth2.add_on.pkce.add_support",
                        "kwargs": {
                            "code_challenge_length": 64,
                            "code_challenge_method": "S256",
                        },
                    }
                },
            }
        },
    )
    sent_to = decide_in(browser, party.begin(address))
    # Redeems the code, verifies the ID token by the JWKS, asks userinfo and compares its sub.
    done = party.finalize(address, dict(parse_qsl(urlsplit(sent_to).query)))
    assert "error" not in done
    claims = done["id_token"].to_dict()
    assert (claims["iss"], claims["sub"]) == (address, "1")
    assert known.client_id in claims["aud"]
    ada = {"sub": "1", "name": "Ada Lovelace", "preferred_username": "ada"}
    assert done["userinfo"].to_dict() == ada
    state = done["state"]
    fresh = party.refresh_access_token(state)
    assert fresh["access_token"] != done["token"]
    assert fresh["__verified_id_token"]["sid"] == claims["sid"]
    assert party.get_user_info(state).to_dict() == ada
    asked = party.logout(state, post_logout_redirect_uri=f"{PARTY}/bye")
    answer = browser.get(asked["url"], allow_redirects=False)
    assert answer.headers["Location"] == f"{PARTY}/bye?state={asked['request']['state']}"
    assert "<h1>Sign in</h1>" in browser.get(party.begin(address)).text
