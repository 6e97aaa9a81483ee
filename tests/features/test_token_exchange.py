"""RFC 8693: an API exchanges its user's token for a narrower one, and what ends that."""

from __future__ import annotations

import json
import logging
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from joserfc import jwt
from joserfc.jwk import ECKey
from sqlalchemy import event, select
from werkzeug.test import TestResponse

from flask_pkce_server import Feature, current_token, token_issued
from flask_pkce_server.errors import InvalidRequestError
from flask_pkce_server.features.token_exchange import ACCESS_TOKEN, JWT, MOST_ACTORS
from flask_pkce_server.models import client as clients
from flask_pkce_server.models.client import Client
from flask_pkce_server.models.consent import narrow, withdraw
from flask_pkce_server.models.token import Token, revoke_family
from flask_pkce_server.protocol.grant import TokenResponse
from flask_pkce_server.testing import Clock, Flow, RegisteredClient, register, server_of
from flask_pkce_server.wire.names import TOKEN_EXCHANGE

from ..at_once import at_once, live_tokens
from ..host import ISSUER, lending, make_app, sign_in
from ..openid import published, read
from ..services import ROUNDS, THOROUGH, own_database

NOTES, MAIL, POST = f"{ISSUER}/notes", f"{ISSUER}/mail", f"{ISSUER}/post"
SCOPE = "notes:read mail:send mail:read offline_access"
OPENID = f"openid {SCOPE}"
SCOPES = {
    "profile": "See your name",
    "notes:read": "Read your notes",
    "notes:write": "Write notes for you",
    "mail:read": "Read your mail",
    "mail:send": "Send mail for you",
}


def exchange_app(**config: Any) -> Flask:
    """Make the host app with APIs of its own, each of which is another resource."""
    app = make_app(
        **{
            "PKCE_FEATURES": {"token_exchange": True},
            "PKCE_SCOPES": SCOPES,
            "PKCE_CLIENT_CREDENTIALS_SCOPES": ["mail:read"],
            **config,
        }
    )
    app.pkce.resource(NOTES, scopes=["notes:read", "notes:write"])
    app.pkce.resource(MAIL, scopes=["mail:send", "mail:read"])
    app.pkce.resource(POST, scopes=["mail:send"])

    def caller() -> dict[str, Any]:
        return {
            "subject": current_token.subject,
            "user": current_token.user.name,
            "client_id": current_token.client_id,
            "actors": list(current_token.actors),
            "scopes": sorted(current_token.scopes),
        }

    for path, uri in {"/notes": NOTES, "/mail": MAIL, "/post": POST}.items():
        app.add_url_rule(path, path, app.pkce.require(resource=uri)(caller))
    return app


@pytest.fixture
def app() -> Iterator[Flask]:
    with lending.app(exchange_app) as app:
        yield app


FORMATS = ["opaque", "jwt"]


@pytest.fixture(params=FORMATS if THOROUGH else ["jwt"])
def both(request: pytest.FixtureRequest) -> Flask:
    """The app with JWTs for access tokens, and with opaque ones; quickly with JWTs alone."""
    return exchange_app(PKCE_ACCESS_TOKEN_FORMAT=request.param)


def an_api(app: Flask, serves: str = NOTES, to: tuple[str, ...] = (MAIL,), **more: Any) -> Flow:
    """Return an API that may exchange; it has no use for the browser."""
    metadata = {"token_exchange_from": [serves], "token_exchange_to": list(to)}
    what = {
        "name": "Notes API",
        "auth_method": "client_secret_basic",
        "redirect_uris": (),
        "grant_types": [TOKEN_EXCHANGE, "client_credentials"],
        "client_metadata": {**metadata, **more.pop("client_metadata", {})},
    }
    return Flow(app.test_client(), register(app, **{**what, **more}))


def user_of(app: Flask, **more: Any) -> Flow:
    """Return the app of a user, who lets it in for the notes."""
    return Flow(sign_in(app), register(app, **more), scope=SCOPE)


def tokens_for(flow: Flow, resource: str | None = NOTES, **more: str) -> dict[str, Any]:
    return flow.tokens(resource=resource, **more)


def exchange(flow: Flow, token: str, **more: Any) -> TestResponse:
    form = {
        "grant_type": TOKEN_EXCHANGE,
        "subject_token": token,
        "subject_token_type": ACCESS_TOKEN,
        "resource": MAIL,
        **more,
    }
    return flow.post("token", form)


def given(flow: Flow, token: str, **more: Any) -> str:
    answer = exchange(flow, token, **more)
    assert answer.status_code == 200, answer.text
    return answer.get_json()["access_token"]


def call(app: Flask, token: str, path: str = "/mail") -> TestResponse:
    headers = {"Authorization": f"Bearer {token}"}
    return app.test_client(use_cookies=False).get(path, headers=headers)


def outcome(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.get_json()["error"]


REFUSED = (400, "invalid_request")


def introspected(flow: Flow, token: str) -> dict[str, Any]:
    return flow.post("introspect", {"token": token}).get_json()


def stored(app: Flask) -> list[Token]:
    with app.app_context(), server_of(app).store.reading() as session:
        return list(session.scalars(select(Token)))


def write(app: Flask, work: Callable[..., Any]) -> Any:
    with app.app_context():
        return server_of(app).store.write(work)


# What it gives.


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
    assert facts.pop("family_id")
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


# For what: resources and scopes.


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


# Who, and of which tokens.


def test_a_token_that_is_meant_for_another_api_is_not_exchanged(both: Flask) -> None:
    # A token that was stolen elsewhere is of no use to whoever may exchange.
    user = user_of(both)
    thief = an_api(both, POST, (MAIL, NOTES))
    for resource in (NOTES, MAIL, None):
        shown = tokens_for(user, resource)["access_token"]
        assert outcome(exchange(thief, shown)) == REFUSED
    without = an_api(both, client_metadata={"token_exchange_from": []})
    assert outcome(exchange(without, tokens_for(user)["access_token"])) == REFUSED


def test_an_api_that_is_the_app_itself_takes_tokens_without_an_audience(both: Flask) -> None:
    shown = tokens_for(user_of(both), None)["access_token"]
    assert exchange(an_api(both, ISSUER), shown).status_code == 200


def test_a_client_makes_its_own_token_narrower(both: Flask) -> None:
    # To hand it to a service that needs less.
    user = user_of(
        both,
        auth_method="client_secret_basic",
        grant_types=["authorization_code", "refresh_token", TOKEN_EXCHANGE],
    )
    tokens = tokens_for(user)
    answer = exchange(user, tokens["access_token"], resource=None, scope="notes:read").get_json()
    assert answer["scope"] == "notes:read"
    # Of its refresh token none, which would be for ever.
    assert outcome(exchange(user, tokens["refresh_token"], resource=None)) == REFUSED
    assert call(both, answer["access_token"], "/notes").get_json()["actors"] == [
        user.client.client_id
    ]


def test_public_clients_are_refused(app: Flask) -> None:
    with pytest.raises(InvalidRequestError, match="exchanges no tokens"):
        an_api(app, auth_method="none", grant_types=[TOKEN_EXCHANGE])
    # However it came to be registered: once more where the token would be made.
    user, api = user_of(app), an_api(app)
    shown, client_id = tokens_for(user)["access_token"], api.client.client_id
    write(
        app,
        lambda session: setattr(
            session.get_one(Client, client_id), "token_endpoint_auth_method", "none"
        ),
    )
    api.client = RegisteredClient(client_id, None, "", "none")
    assert outcome(exchange(api, shown)) == (400, "unauthorized_client")


def test_a_client_has_to_be_registered_for_it_and_prove_who_it_is(app: Flask) -> None:
    user = user_of(app)
    shown = tokens_for(user)["access_token"]
    assert outcome(exchange(user, shown)) == (400, "unauthorized_client")
    usual = an_api(app, grant_types=["client_credentials"])
    assert outcome(exchange(usual, shown)) == (400, "unauthorized_client")
    api = an_api(app)
    api.client = RegisteredClient(api.client.client_id, "wrong" * 10, "", "client_secret_basic")
    assert outcome(exchange(api, shown)) == (401, "invalid_client")


def test_no_client_registers_itself_for_it() -> None:
    app = exchange_app(PKCE_FEATURES={"token_exchange": True, "registration": True})
    said = {
        "client_name": "Thief",
        "redirect_uris": ["https://thief.example/"],
        "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["authorization_code", TOKEN_EXCHANGE],
        "token_exchange_from": [NOTES],
        "token_exchange_to": [MAIL],
    }
    made = app.test_client().post("/oauth/register", json=said).get_json()
    assert made["grant_types"] == ["authorization_code"]
    assert not [name for name in made if name.startswith("token_exchange")]
    thief = RegisteredClient(made["client_id"], made["client_secret"], "", "client_secret_basic")
    shown = tokens_for(user_of(app))["access_token"]
    assert outcome(exchange(Flow(app.test_client(), thief), shown)) == (400, "unauthorized_client")
    # Nor later.
    change = {**said, "client_id": made["client_id"], "client_secret": made["client_secret"]}
    answer = app.test_client().put(
        made["registration_client_uri"].removeprefix(ISSUER),
        json=change,
        headers={"Authorization": f"Bearer {made['registration_access_token']}"},
    )
    assert answer.status_code == 200, answer.text
    assert answer.get_json()["grant_types"] == ["authorization_code"]


def test_what_is_no_live_access_token_of_a_user_is_refused(both: Flask) -> None:
    # RFC 8693 2.2.2: invalid_request, and the same whatever it is.
    user, api = user_of(both), an_api(both)
    tokens = tokens_for(user, scope=OPENID)
    machine = api.post("token", {"grant_type": "client_credentials", "resource": NOTES})
    foreign = jwt.encode(
        {"alg": "ES256", "typ": "at+jwt", "kid": "x"},
        {**_claims(both, user), "iss": "https://other.example"},
        ECKey.generate_key("P-256"),
    )
    revoked = tokens_for(user)["access_token"]
    user.revoke(revoked)
    shown = [
        *(tokens["refresh_token"], tokens["id_token"], user.allow(resource=NOTES)["code"]),
        machine.get_json()["access_token"],
        foreign,
        revoked,
        revoked[:-1],
        "x",
    ]
    told = set()
    for token in shown:
        answer = exchange(api, token)
        assert outcome(answer) == REFUSED
        told.add(answer.get_json()["error_description"])
    assert len(told) == 1
    assert exchange(api, tokens["access_token"]).status_code == 200


def _claims(app: Flask, user: Flow) -> dict[str, Any]:
    now = server_of(app).now()
    return {
        **{"iss": ISSUER, "sub": "1", "aud": NOTES, "client_id": user.client.client_id},
        **{"exp": now + 600, "iat": now, "jti": "x" * 43, "scope": "notes:read mail:send"},
    }


@pytest.mark.parametrize("issuer", ["https://other.example", ISSUER])
def test_a_jwt_that_another_signed_is_refused(issuer: str) -> None:
    app = exchange_app(PKCE_ACCESS_TOKEN_FORMAT="jwt")
    user, api = user_of(app), an_api(app)
    shown = tokens_for(user)["access_token"]
    kid = jwt.decode(shown, published(app), algorithms=["RS256"]).header["kid"]
    # All of it as it is, and under the name of our own key.
    forged = jwt.encode(
        {"alg": "ES256", "typ": "at+jwt", "kid": kid},
        {**read(app, shown), "iss": issuer},
        ECKey.generate_key("P-256"),
    )
    assert outcome(exchange(api, forged)) == REFUSED


def test_who_is_gone_is_not_acted_for(app: Flask) -> None:
    user, api = user_of(app), an_api(app)
    shown = tokens_for(user)["access_token"]
    with app.app_context():
        app.db.session.get(app.User, 1).active = False
        app.db.session.commit()
    assert outcome(exchange(api, shown)) == REFUSED


_TYPE = "urn:ietf:params:oauth:token-type:"


def test_wrong_types_and_half_of_a_pair_are_refused(app: Flask) -> None:
    # RFC 8693 2.1, 2.2.2
    api, shown = an_api(app), tokens_for(user_of(app))["access_token"]
    wrong: list[dict[str, Any]] = [
        *({name: None} for name in ("subject_token", "subject_token_type")),
        *({"subject_token_type": _TYPE + kind} for kind in ("refresh_token", "id_token", "saml2")),
        # The token is none.
        *({"subject_token_type": kind} for kind in ("access_token", JWT)),
        *({"requested_token_type": _TYPE + kind} for kind in ("refresh_token", "id_token")),
        # Its client is not given one.
        *({"requested_token_type": kind} for kind in ("x", JWT)),
        *({"actor_token": "x"}, {"actor_token_type": ACCESS_TOKEN}),
        {"actor_token": "x", "actor_token_type": ACCESS_TOKEN},
    ]
    for changes in wrong:
        assert outcome(exchange(api, shown, **changes)) == REFUSED, changes
    assert not [token for token in stored(app) if token.actors]


def test_a_jwt_may_be_called_one_and_asked_for() -> None:
    app = exchange_app(PKCE_ACCESS_TOKEN_FORMAT="jwt")
    api, shown = an_api(app), tokens_for(user_of(app))["access_token"]
    answer = exchange(api, shown, subject_token_type=JWT, requested_token_type=JWT).get_json()
    assert (answer["issued_token_type"], answer["token_type"]) == (JWT, "Bearer")
    assert read(app, answer["access_token"])["aud"] == MAIL
    opaque = an_api(app, client_metadata={"access_token_format": "opaque"})
    assert outcome(exchange(opaque, shown, requested_token_type=JWT)) == REFUSED
    assert exchange(opaque, shown).get_json()["issued_token_type"] == ACCESS_TOKEN


def test_an_actor_token_says_who_asks_and_nobody_else(both: Flask) -> None:
    user, api, other = user_of(both), an_api(both), an_api(both)
    shown = tokens_for(user)["access_token"]

    def own(flow: Flow) -> str:
        return flow.post("token", {"grant_type": "client_credentials"}).get_json()["access_token"]

    def with_actor(token: str) -> TestResponse:
        return exchange(api, shown, actor_token=token, actor_token_type=ACCESS_TOKEN)

    token = with_actor(own(api)).get_json()["access_token"]
    assert introspected(api, token)["act"] == {"sub": api.client.client_id}
    revoked = own(api)
    api.revoke(revoked)
    for wrong in (own(other), revoked, shown, token, "x"):
        assert outcome(with_actor(wrong)) == REFUSED


HOSTILE = ['co"de', "\u00e9", "\x00", "\x7f", "a\r\nb", "\\", "[" * 3000, "x" * 9000, "a.b.c"]
HOSTILE += ["e30.e30.e30", "eyJhbGciOiJub25lIn0.e30.", "fpk_at_" + "x" * 49, "\U0001f600"]


PARAMETERS = ["subject_token", "subject_token_type", "requested_token_type", "actor_token"]
PARAMETERS += ["actor_token_type", "resource", "audience", "scope"]


def test_no_parameter_brings_it_down() -> None:
    app = exchange_app(TESTING=False, PROPAGATE_EXCEPTIONS=False)
    api, shown = an_api(app), tokens_for(user_of(app))["access_token"]
    for name in PARAMETERS:
        pair = {"actor_token": "x", "actor_token_type": ACCESS_TOKEN} if "actor" in name else {}
        for value in (*HOSTILE, [shown, shown]):
            answer = exchange(api, shown, **{**pair, name: value})
            assert answer.status_code == 400, (name, value)
            assert answer.get_json()["error_description"].isascii()
    assert not [token for token in stored(app) if token.actors]


# Chains.


def test_a_chain_is_told_to_its_end(both: Flask) -> None:
    # RFC 8693 4.1: the last actor outermost.
    notes, mail = an_api(both), an_api(both, MAIL, (POST,))
    first = given(notes, tokens_for(user_of(both))["access_token"])
    second = given(mail, first, resource=POST)
    ids = [mail.client.client_id, notes.client.client_id]
    told = introspected(mail, second)
    assert told["act"] == {"sub": ids[0], "act": {"sub": ids[1]}}
    assert (told["client_id"], told["scope"]) == (ids[0], "mail:send")
    assert call(both, second, "/post").get_json()["actors"] == ids
    # It is the last one's alone.
    assert introspected(notes, second) == {"active": False}


def test_a_chain_has_an_end(app: Flask) -> None:
    api, token = an_api(app), tokens_for(user_of(app))["access_token"]
    for _ in range(MOST_ACTORS):
        token = given(api, token, resource=None, scope="notes:read")
    assert outcome(exchange(api, token, resource=None)) == REFUSED


# What ends it.


@pytest.fixture
def ended(both: Flask) -> Iterator[tuple[Flask, Flow, dict[str, Any], str]]:
    """Give what is live, of which nothing may be after the test."""
    notes, mail = an_api(both), an_api(both, MAIL, (POST,))
    user = user_of(both)
    tokens = tokens_for(user)
    first = given(notes, tokens["access_token"])
    second = given(mail, first, resource=POST)
    assert (call(both, first).status_code, call(both, second, "/post").status_code) == (200, 200)
    yield both, user, tokens, first
    assert (call(both, first).status_code, call(both, second, "/post").status_code) == (401, 401)
    assert introspected(notes, first) == introspected(mail, second) == {"active": False}
    assert outcome(exchange(mail, first, resource=POST)) == REFUSED


End = tuple[Flask, Flow, dict[str, Any], str]


def press(flow: Flow, **form: str) -> TestResponse:
    page = flow.browser.get("/oauth/apps").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
    return flow.browser.post("/oauth/apps", data={"csrf_token": token, **form})


def test_it_ends_when_the_app_is_removed(ended: End) -> None:
    app, user, _, _ = ended
    answer = press(user, remove="app", client_id=user.client.client_id)
    assert answer.headers["Location"].endswith("?done=removed")
    assert live_tokens(app) == 0


def test_it_ends_when_the_sign_in_is_ended_on_the_page(ended: End) -> None:
    app, user, _, _ = ended
    (family_id,) = {token.family_id for token in stored(app) if token.subject}
    press(user, remove="session", family_id=family_id)
    assert live_tokens(app) == 0


def test_it_ends_when_the_app_gives_its_token_back(ended: End) -> None:
    _, user, tokens, _ = ended
    assert user.revoke(tokens["refresh_token"]).status_code == 200


def test_it_ends_when_a_refresh_token_is_used_twice(ended: End) -> None:
    app, user, tokens, _ = ended
    clock = server_of(app).clock = Clock()
    user.refresh(tokens["refresh_token"])
    clock.advance(60)
    assert user.refresh(tokens["refresh_token"]).status_code == 400


def test_it_ends_when_the_client_that_the_user_let_in_is_deleted(ended: End) -> None:
    app, user, _, _ = ended
    app.test_cli_runner().invoke(args=["pkce", "client", "delete", user.client.client_id])


def test_it_ends_when_the_client_that_exchanged_is_deleted(both: Flask) -> None:
    notes, mail = an_api(both), an_api(both, MAIL, (POST,))
    tokens = tokens_for(user_of(both))
    first = given(notes, tokens["access_token"])
    second = given(mail, first, resource=POST)
    write(both, lambda session: clients.remove(session, notes.client.client_id))
    assert (call(both, first).status_code, call(both, second, "/post").status_code) == (401, 401)
    assert introspected(mail, second) == {"active": False}
    assert outcome(exchange(mail, first, resource=POST)) == REFUSED
    assert call(both, tokens["access_token"], "/notes").status_code == 200


def test_another_client_of_the_same_name_brings_nothing_back(app: Flask, pkce_clock: Clock) -> None:
    user, api = user_of(app), an_api(app, client_id="notes")
    shown = tokens_for(user)["access_token"]
    token = given(api, shown)
    write(app, lambda session: clients.remove(session, "notes"))
    pkce_clock.advance(1)
    again = an_api(app, client_id="notes")
    assert call(app, token).status_code == 401
    assert introspected(again, token) == {"active": False}
    assert call(app, given(again, shown)).status_code == 200


def test_it_ends_when_the_code_is_replayed(both: Flask) -> None:
    user, api = user_of(both), an_api(both)
    code = user.allow(resource=NOTES)["code"]
    token = given(api, user.redeem(code).get_json()["access_token"])
    assert user.redeem(code).status_code == 400
    assert call(both, token).status_code == 401


def test_it_ends_when_the_user_signs_out(both: Flask) -> None:
    user, api = user_of(both), an_api(both)
    user.scope = "openid notes:read mail:send"
    token = given(api, tokens_for(user)["access_token"])
    user.browser.post("/logout")
    user.browser.post("/oauth/logout")
    assert user.browser.get("/oauth/logout").status_code < 500
    assert call(both, token).status_code == 401


@pytest.mark.parametrize("both", FORMATS, indirect=True)
def test_who_exchanged_gives_back_its_own_and_no_more(both: Flask) -> None:
    # RFC 7009 2.1: the user and their app keep what they have.
    notes, mail = an_api(both), an_api(both, MAIL, (POST,))
    user = user_of(both)
    tokens = tokens_for(user)
    first, other = (given(notes, tokens["access_token"]) for _ in range(2))
    second = given(mail, first, resource=POST)
    for flow in (user, mail):
        assert flow.revoke(first).status_code == 400
    assert notes.revoke(tokens["access_token"]).status_code == 400
    assert call(both, second, "/post").status_code == 200
    assert notes.revoke(first).status_code == 200
    assert (call(both, first).status_code, call(both, second, "/post").status_code) == (401, 401)
    assert call(both, other).status_code == 200
    assert call(both, tokens["access_token"], "/notes").status_code == 200
    assert notes.revoke(first).status_code == 200
    assert user.refresh(tokens["refresh_token"]).status_code == 200


def test_what_the_user_takes_back_a_part_of_has_less(app: Flask) -> None:
    user, api = user_of(app), an_api(app)
    shown = tokens_for(user)["access_token"]
    token = given(api, shown)
    press(user, remove="scopes", client_id=user.client.client_id, scope="mail:send")
    assert call(app, token).get_json()["scopes"] == ["mail:read"]
    assert exchange(api, shown).get_json()["scope"] == "mail:read"


def test_the_user_sees_the_app_that_they_let_in_and_no_other(app: Flask) -> None:
    user, api = user_of(app, name="Notebook"), an_api(app)
    given(api, tokens_for(user)["access_token"])
    page = user.browser.get("/oauth/apps").text
    assert "Notebook" in page
    assert "Notes API" not in page


def test_the_user_reads_that_a_jwt_lingers_which_was_exchanged_for() -> None:
    there = "https://mail.example"
    app = exchange_app(PKCE_JWT_ACCESS_TOKEN_RESOURCES={there: ["mail:send"]})
    user, api = user_of(app), an_api(app, to=(there, MAIL))
    shown = tokens_for(user)["access_token"]
    assert "for up to" not in user.browser.get("/oauth/apps").text
    given(api, shown, resource=there)
    given(api, shown, resource=MAIL)
    assert "for up to" in user.browser.get("/oauth/apps").text


# Races.

SERVERS = [pytest.param(name, marks=pytest.mark.services) for name in ("postgresql", "mariadb")]
one_or_all = pytest.mark.parametrize(
    "raced", ["sqlite", *SERVERS] if THOROUGH else SERVERS[:1], indirect=True
)


@pytest.fixture(params=["sqlite", *SERVERS])
def raced(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Flow, Flow]]:
    """Give an app of a user and an API, on a real database."""
    with ExitStack() as stack:
        uri = f"sqlite:///{tmp_path}/app.db"
        if request.param != "sqlite":
            uri = stack.enter_context(own_database(request.param))
        app = exchange_app(
            SQLALCHEMY_DATABASE_URI=uri,
            SQLALCHEMY_ENGINE_OPTIONS={"pool_size": 16, "max_overflow": 4},
            TESTING=False,
        )
        yield user_of(app), an_api(app, to=(MAIL, NOTES))
        with app.app_context():
            app.db.engine.dispose()


def of_user(user: Flow, work: Callable[..., Any], *more: Any) -> Callable[[], Any]:
    app = user.browser.application
    server = server_of(app)

    def run() -> Any:
        return write(
            app, lambda session: work(session, "1", user.client.client_id, *more, server.now())
        )

    return run


def test_nothing_lives_on_that_is_exchanged_while_the_app_is_removed(
    raced: tuple[Flow, Flow],
) -> None:
    user, api = raced
    app = user.browser.application
    for _ in range(ROUNDS):
        shown = tokens_for(user)["access_token"]
        first = given(api, shown)
        *answers, _ = at_once(
            *[lambda: exchange(api, shown)] * 6,  # noqa: B023 - done at once
            # Of what was exchanged again: its own row is the one that is held.
            *[lambda: exchange(api, first)] * 3,  # noqa: B023
            of_user(user, withdraw),
        )
        assert {answer.status_code for answer in answers} <= {200, 400}
        assert live_tokens(app) == 0


@one_or_all
def test_nothing_lives_on_that_is_exchanged_while_it_is_revoked(raced: tuple[Flow, Flow]) -> None:
    user, api = raced
    app = user.browser.application
    for _ in range(ROUNDS):
        shown = tokens_for(user)["access_token"]
        (family_id,) = {t.family_id for t in stored(app) if t.is_live(server_of(app).now())}

        def end() -> None:
            now = server_of(app).now()
            write(app, lambda session: revoke_family(session, family_id, now))  # noqa: B023

        *answers, _ = at_once(*[lambda: exchange(api, shown)] * 6, end)  # noqa: B023
        assert {answer.status_code for answer in answers} <= {200, 400}
        assert live_tokens(app) == 0


@one_or_all
def test_what_is_exchanged_while_a_scope_is_taken_back_has_it_not(
    raced: tuple[Flow, Flow],
) -> None:
    user, api = raced
    app = user.browser.application
    for _ in range(ROUNDS):
        shown = tokens_for(user)["access_token"]
        *answers, _ = at_once(
            *[lambda: exchange(api, shown)] * 6,  # noqa: B023
            of_user(user, narrow, ["mail:send"]),
        )
        # None is lost: who came too early or too late has less.
        assert [answer.status_code for answer in answers] == [200] * 6
        assert not [token for token in stored(app) if "mail:send" in token.scope]


@one_or_all
def test_what_is_made_from_a_token_while_it_is_given_back_ends(raced: tuple[Flow, Flow]) -> None:
    user, api = raced
    app = user.browser.application
    for _ in range(ROUNDS):
        shown = tokens_for(user)["access_token"]
        first = given(api, shown)
        *answers, gone = at_once(
            *[lambda: exchange(api, first)] * 5,  # noqa: B023
            lambda: api.revoke(first),  # noqa: B023
        )
        assert gone.status_code == 200
        assert {answer.status_code for answer in answers} <= {200, 400}
        now = server_of(app).now()
        assert not [token for token in stored(app) if token.actors and token.is_live(now)]


# What it costs, how it is registered, and where it is not.


def test_an_exchange_takes_4_statements_and_1_commit(tmp_path: Path) -> None:
    app = exchange_app(SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/app.db")
    user, api = user_of(app), an_api(app)
    shown = tokens_for(user)["access_token"]
    done: list[str] = []
    with app.app_context():
        engine = app.db.engine

    def executed(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if "FROM user" not in statement:
            done.append(statement)

    event.listen(engine, "before_cursor_execute", executed)
    event.listen(engine, "commit", lambda connection: done.append("COMMIT"))
    token = given(api, shown)
    # The client, the token; in one transaction it is held first and the new one stored.
    assert [line.split()[0] for line in done] == ["SELECT", "SELECT", "UPDATE", "INSERT", "COMMIT"]
    done.clear()
    assert call(app, token).status_code == 200
    # One more than other tokens: whether all are there that had a hand in it.
    assert [line.split()[0] for line in done] == ["SELECT", "SELECT"]
    with app.app_context():
        engine.dispose()


def test_it_is_registered_by_the_command(app: Flask) -> None:
    args = shlex.split("pkce client create --name Notes --type confidential --json")
    args += ["--grant-type", TOKEN_EXCHANGE, "--token-exchange-from", NOTES]
    args += ["--token-exchange-to", MAIL, "--token-exchange-to", POST]
    done = app.test_cli_runner().invoke(args=args)
    assert done.exit_code == 0, done.output
    made = json.loads(done.output)
    assert made["grant_types"] == [TOKEN_EXCHANGE]
    assert made["token_exchange_to"] == [MAIL, POST]
    api = RegisteredClient(made["client_id"], made["client_secret"], "", "client_secret_basic")
    shown = tokens_for(user_of(app))["access_token"]
    assert exchange(Flow(app.test_client(), api), shown).status_code == 200


@pytest.mark.parametrize("line", ["token_exchange_from", "token_exchange_to"])
def test_an_api_that_is_not_known_is_not_registered(app: Flask, line: str) -> None:
    for uri in ("https://unknown.example", "mail", "https://[", MAIL + "#x", 5):
        with pytest.raises(InvalidRequestError, match="APIs that this server knows"):
            an_api(app, client_metadata={line: [uri]})


def test_a_public_client_of_another_product_comes_without_it(app: Flask, tmp_path: Path) -> None:
    row = {
        "clientId": "shop",
        "publicClient": True,
        "redirectUris": ["https://shop.example/cb"],
        "attributes": {"standard.token.exchange.enabled": "true"},
    }
    file = tmp_path / "clients.json"
    file.write_text(json.dumps([row, {**row, "clientId": "api", "publicClient": False}]))
    args = ["pkce", "import", "--from", "keycloak", str(file), "--json"]
    done = app.test_cli_runner().invoke(args=args)
    public, confidential = json.loads(done.stdout)["clients"]
    assert TOKEN_EXCHANGE not in public["carried"]["grant_types"]
    assert TOKEN_EXCHANGE in confidential["carried"]["grant_types"]


def test_it_is_off_until_it_is_asked_for() -> None:
    app = make_app()
    assert TOKEN_EXCHANGE not in server_of(app).metadata()["grant_types_supported"]
    what = {"auth_method": "client_secret_basic", "redirect_uris": ()}
    api = Flow(app.test_client(), register(app, **what, grant_types=[TOKEN_EXCHANGE]))
    assert outcome(exchange(api, "x")) == (400, "unsupported_grant_type")
    with pytest.raises(InvalidRequestError, match="No feature"):
        an_api(app)


def test_metadata_says_that_it_is_there(app: Flask) -> None:
    assert TOKEN_EXCHANGE in server_of(app).metadata()["grant_types_supported"]


def test_it_needs_no_other_room() -> None:
    features = ("resource_indicators", "jwt_access_token", "protected_resource", "introspection")
    app = exchange_app(
        PKCE_FEATURES={"token_exchange": True, **dict.fromkeys(features, False)},
    )
    shown = tokens_for(user_of(app), None)["access_token"]
    token = given(an_api(app, ISSUER), shown)
    assert call(app, token).get_json()["scopes"] == ["mail:read", "mail:send"]
    assert call(app, token, "/notes").status_code == 401
