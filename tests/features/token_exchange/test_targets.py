"""Token exchange: for which resources and scopes."""

from __future__ import annotations

import pytest
from flask import Flask

from flask_pkce_server.models.client import Client

from ...host import ISSUER
from ...openid import read
from .exchanging import (
    MAIL,
    NOTES,
    OPENID,
    POST,
    an_api,
    call,
    exchange,
    exchange_app,
    given,
    introspected,
    outcome,
    tokens_for,
    user_of,
    write,
)

pytestmark = pytest.mark.thorough


@pytest.mark.parametrize("name", ["resource", "audience"])
def test_a_target_is_named_in_either_way_and_spelling(app: Flask, name: str) -> None:
    # RFC 8693 2.1
    api, shown = an_api(app), tokens_for(user_of(app))["access_token"]
    for spelling in (MAIL, MAIL + "/", MAIL.replace("auth.", "AUTH."), f"{ISSUER}:443/mail"):
        token = given(api, shown, **{"resource": None, name: spelling})
        assert introspected(api, token)["aud"] == MAIL


def test_several_targets_may_be_named(app: Flask) -> None:
    api, shown = an_api(app, to=(MAIL, POST)), tokens_for(user_of(app))["access_token"]
    token = given(api, shown, resource=[MAIL, POST, MAIL], audience=NOTES)
    assert introspected(api, token)["aud"] == [MAIL, POST, NOTES]
    for path in ("/mail", "/post", "/notes"):
        assert call(app, token, path).status_code == 200


def test_without_a_target_it_is_for_what_the_shown_one_is_for(app: Flask) -> None:
    api = an_api(app)
    shown = tokens_for(user_of(app), scope="notes:read mail:send")["access_token"]
    answer = exchange(api, shown, resource=None).get_json()
    assert answer["scope"] == "notes:read"
    assert introspected(api, answer["access_token"])["aud"] == NOTES


STRANGE = [POST, ISSUER, "https://mail.example", MAIL + "/deeper", MAIL + "#part", "mail"]


STRANGE += ["https://[", "urn:x", "https://ada@auth.example/mail", "http://auth.example/mail"]


@pytest.mark.parametrize("name", ["resource", "audience"])
def test_another_target_is_refused_and_burns_nothing(app: Flask, name: str) -> None:
    # RFC 8693 2.2.2
    api = an_api(app)
    shown = tokens_for(user_of(app), scope="notes:read mail:send")["access_token"]
    for target in STRANGE:
        assert outcome(exchange(api, shown, **{name: target})) == (400, "invalid_target"), target
        beside = {"resource": [MAIL, target], "audience": None}
        assert outcome(exchange(api, shown, **beside)) == (400, "invalid_target"), target
    assert exchange(api, shown).status_code == 200


def test_an_api_elsewhere_gets_a_jwt_and_an_api_here_an_opaque_one() -> None:
    there = "https://mail.example"
    app = exchange_app(PKCE_JWT_ACCESS_TOKEN_RESOURCES={there: ["mail:send"]})
    shown = tokens_for(user_of(app))["access_token"]
    assert shown.startswith("fpk_at_")
    api = an_api(app, to=(there, ISSUER))
    token = given(api, shown, resource=there)
    claims = read(app, token)
    assert (claims["aud"], claims["scope"]) == (there, "mail:send")
    # And back: the API that got it serves another one.
    mail = an_api(app, there, (NOTES,))
    assert outcome(exchange(mail, token, resource=NOTES)) == (400, "invalid_scope")
    # For this app as a whole it is what all tokens without an audience are.
    whole = introspected(api, given(api, shown, resource=ISSUER))
    assert whole["scope"] == "mail:read notes:read"
    assert whole["aud"] == ISSUER


def test_a_target_that_the_server_knows_no_more_is_refused(app: Flask) -> None:
    api, shown = an_api(app), tokens_for(user_of(app))["access_token"]
    gone = "https://gone.example"
    write(
        app,
        lambda session: setattr(
            session.get_one(Client, api.client.client_id),
            "client_metadata",
            {"token_exchange_from": [NOTES], "token_exchange_to": [gone]},
        ),
    )
    assert outcome(exchange(api, shown, resource=gone)) == (400, "invalid_target")


def test_fewer_scopes_may_be_asked_for(app: Flask) -> None:
    api, shown = an_api(app), tokens_for(user_of(app))["access_token"]
    assert exchange(api, shown, scope="mail:send").get_json()["scope"] == "mail:send"


OTHERS = ["openid", "offline_access", "mail:send openid", "notes:read", "profile", "unheard-of"]


def test_no_other_scopes_are_given(app: Flask) -> None:
    api, shown = an_api(app), tokens_for(user_of(app), scope=OPENID)["access_token"]
    for scope in (*OTHERS, 'mail"send', "mail:send\\"):
        assert outcome(exchange(api, shown, scope=scope)) == (400, "invalid_scope"), scope


def test_what_is_dropped_elsewhere_is_dropped_here() -> None:
    app = exchange_app(PKCE_AUTHORIZE_UNKNOWN_SCOPES="drop")
    api, shown = an_api(app), tokens_for(user_of(app))["access_token"]
    asked = "mail:send openid unheard-of notes:read"
    assert exchange(api, shown, scope=asked).get_json()["scope"] == "mail:send"
    assert outcome(exchange(api, shown, scope="openid")) == (400, "invalid_scope")


def test_what_the_shown_one_has_not_is_not_given(app: Flask) -> None:
    api = an_api(app)
    shown = tokens_for(user_of(app), scope="notes:read mail:send")["access_token"]
    assert outcome(exchange(api, shown, scope="mail:read")) == (400, "invalid_scope")
    nothing = tokens_for(user_of(app), scope="notes:read openid")["access_token"]
    assert outcome(exchange(api, nothing)) == (400, "invalid_scope")


def test_a_client_gets_no_more_than_it_is_registered_for(app: Flask) -> None:
    shown = tokens_for(user_of(app))["access_token"]
    narrow_one = an_api(app, scope=["mail:send"])
    assert exchange(narrow_one, shown).get_json()["scope"] == "mail:send"
    assert outcome(exchange(narrow_one, shown, scope="mail:read")) == (400, "invalid_scope")
    assert outcome(exchange(an_api(app, scope=[]), shown)) == (400, "invalid_scope")
