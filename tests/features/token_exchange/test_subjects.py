"""Token exchange: who may, and of which tokens; chains."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from joserfc import jwt
from joserfc.jwk import ECKey
from werkzeug.test import TestResponse

from flask_pkce_server.errors import InvalidRequestError
from flask_pkce_server.features.token_exchange import ACCESS_TOKEN, JWT, MOST_ACTORS
from flask_pkce_server.models.client import Client
from flask_pkce_server.testing import Flow, RegisteredClient, server_of
from flask_pkce_server.wire.names import TOKEN_EXCHANGE

from ...host import ISSUER
from ...openid import published, read
from .exchanging import (
    MAIL,
    NOTES,
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
    write,
)

pytestmark = pytest.mark.thorough


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
