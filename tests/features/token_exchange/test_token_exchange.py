"""Token exchange (RFC 8693): what it gives."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask import Flask

from flask_pkce_server import Feature, token_issued
from flask_pkce_server.features.token_exchange import ACCESS_TOKEN
from flask_pkce_server.protocol.token_response import TokenResponse
from flask_pkce_server.testing import Clock, server_of
from flask_pkce_server.wire.names import TOKEN_EXCHANGE

from ...openid import read
from .exchanging import (
    FORMATS,
    MAIL,
    OPENID,
    POST,
    REFUSED,
    an_api,
    call,
    exchange,
    exchange_app,
    given,
    introspected,
    outcome,
    stored,
    tokens_for,
    user_of,
)


@pytest.mark.parametrize("both", FORMATS, indirect=True)
def test_an_api_gets_a_narrower_token_for_the_user(both: Flask) -> None:
    app, user, api = both, user_of(both), an_api(both)
    shown = tokens_for(user, scope=OPENID)["access_token"]
    answer = exchange(api, shown)
    # RFC 8693 2.2.1
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.get_json()
    token = body.pop("access_token")
    assert 0 < body.pop("expires_in") <= 3600
    assert body == {
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "scope": "mail:read mail:send",
    }
    assert call(app, token).get_json() == {
        "subject": "1",
        "user": "Ada Lovelace",
        "client_id": api.client.client_id,
        "actors": [api.client.client_id],
        "scopes": ["mail:read", "mail:send"],
    }
    # Each opens its own API, and the one that was shown is as it was.
    assert call(app, token, "/notes").status_code == 401
    assert call(app, shown, "/mail").status_code == 401
    assert call(app, shown, "/notes").get_json()["actors"] == []
    assert call(app, token, "/oauth/userinfo").status_code in (401, 403)


def test_a_jwt_says_who_acts(app: Flask) -> None:
    # RFC 8693 4.1, 4.3; RFC 9068 2.2
    app = exchange_app(PKCE_ACCESS_TOKEN_FORMAT="jwt")
    user, api = user_of(app), an_api(app)
    shown = tokens_for(user)["access_token"]
    before, claims = read(app, shown), read(app, given(api, shown))
    assert claims["act"] == {"sub": api.client.client_id}
    assert claims["client_id"] == api.client.client_id
    assert (claims["sub"], claims["aud"]) == ("1", MAIL)
    assert claims["scope"] == "mail:read mail:send"
    assert claims["exp"] == before["exp"]
    assert claims["jti"] != before["jti"]
    assert "act" not in before
    assert "sid" not in claims


def test_a_jwt_that_is_not_looked_up_says_it_all_the_same() -> None:
    app = exchange_app(PKCE_ACCESS_TOKEN_FORMAT="jwt", PKCE_JWT_ACCESS_TOKEN_CHECK_REVOCATION=False)
    api = an_api(app)
    told = call(app, given(api, tokens_for(user_of(app))["access_token"])).get_json()
    assert (told["client_id"], told["actors"]) == (api.client.client_id, [api.client.client_id])


def test_introspection_says_who_acts(both: Flask) -> None:
    # RFC 8693 4.1: of its own token; RFC 7662 2.2: and to the API that is called.
    user, api = user_of(both), an_api(both)
    mail = an_api(both, MAIL, (), client_metadata={"resource_server": True}, scope=["mail:send"])
    token = given(api, tokens_for(user)["access_token"])
    for flow in (api, mail):
        told = introspected(flow, token)
        assert told["active"] is True
        assert told["client_id"] == api.client.client_id
        assert told["act"] == {"sub": api.client.client_id}
        assert (told["sub"], told["aud"]) == ("1", MAIL)
    assert introspected(an_api(both, POST), token) == {"active": False}


def test_it_is_good_for_no_longer_than_what_was_shown(both: Flask) -> None:
    clock = server_of(both).clock = Clock()
    user, api = user_of(both), an_api(both)
    shown = tokens_for(user)["access_token"]
    clock.advance(3000)
    answer = exchange(api, shown).get_json()
    assert answer["expires_in"] == 600
    clock.advance(599)
    assert call(both, answer["access_token"]).status_code == 200
    clock.advance(1)
    assert call(both, answer["access_token"]).status_code == 401
    assert outcome(exchange(api, shown)) == REFUSED


@pytest.mark.parametrize("issue", ["offline_access", "always"])
def test_no_refresh_token_and_no_id_token(issue: str) -> None:
    app = exchange_app(PKCE_REFRESH_TOKEN_WHEN=issue)
    api = an_api(app, grant_types=[TOKEN_EXCHANGE, "refresh_token"])
    shown = tokens_for(user_of(app), scope=OPENID)
    assert {"refresh_token", "id_token"} <= shown.keys()
    body = exchange(api, shown["access_token"]).get_json()
    assert not body.keys() & {"refresh_token", "id_token"}
    assert sorted(token.kind for token in stored(app)) == ["access", "access", "refresh"]


class Generous(Feature):
    """A feature of a host that gives everybody an ID token."""

    name = "generous"

    def complete_token_response(self, server: Any, response: TokenResponse) -> None:
        if response.access.actors:
            response.body["id_token"] = "of whom?"


def test_no_feature_gives_more() -> None:
    # The check is in the grant too.
    app = exchange_app(features=(Generous(),))
    shown = tokens_for(user_of(app))["access_token"]
    with pytest.raises(AssertionError, match="more than an access token"):
        exchange(an_api(app), shown)
    assert not [token for token in stored(app) if token.actors]


def test_what_a_feature_of_the_host_bound_to_the_grant_is_kept() -> None:
    class Tenant(Feature):
        name = "tenant"

        def check_authorization_request(self, server: Any, request: Any) -> None:
            request.bindings["tenant"] = "north"

    app = exchange_app(features=(Tenant(),))
    token = given(an_api(app), tokens_for(user_of(app))["access_token"])
    assert [row.bindings["tenant"] for row in stored(app) if row.actors] == ["north"]
    assert call(app, token).status_code == 200


def test_the_host_is_told(app: Flask) -> None:
    user, api = user_of(app), an_api(app)
    shown, told = tokens_for(user)["access_token"], []
    token_issued.connect(lambda app, **facts: told.append(facts), app, weak=False)
    given(api, shown, scope="mail:send")
    (facts,) = told
    assert facts.pop("grant_id")
    assert facts == {
        "client_id": api.client.client_id,
        "subject": "1",
        "scopes": frozenset({"mail:send"}),
    }


def test_nothing_secret_is_logged_or_kept(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    user, api = user_of(app), an_api(app)
    shown = tokens_for(user)["access_token"]
    token = given(api, shown)
    exchange(api, shown, scope="unheard-of")
    rows = repr([(row, row.bindings) for row in stored(app)])
    for secret in (shown, token, api.client.client_secret):
        assert secret
        assert secret not in caplog.text
        assert secret not in rows
