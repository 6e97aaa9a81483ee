"""Sign-ins and consents after an import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from flask_pkce_server.models.consent import Consent
from flask_pkce_server.testing import Flow, RegisteredClient, parameters_of, server_of

from ...host import make_app, sign_in
from .exports import (
    URI,
    auth0,
    django,
    doorkeeper,
    keycloak,
    known,
    losses,
    okta,
    realm,
    subjects,
)


def verify(app: Flask) -> None:
    args = ["pkce", "client", "update", "shop", "--verified"]
    assert app.test_cli_runner().invoke(args=args).exit_code == 0


def test_a_public_client_of_keycloak_signs_in(client: FlaskClient, run: Callable) -> None:
    run("keycloak", keycloak())
    flow = Flow(client, known("none", None), scope="openid profile")
    page = flow.authorize()
    assert "The Shop" in page.text
    tokens = flow.redeem(flow.decide(page).location.partition("code=")[2].partition("&")[0])
    assert tokens.get_json()["access_token"].count(".") == 2
    assert "id_token" in tokens.get_json()


def test_consents_of_auth0_silence_the_consent_page(
    app: Flask, client: FlaskClient, report: Callable
) -> None:
    ada, bob = subjects(app).values()
    grants = [
        {"id": "1", "clientID": "shop", "user_id": ada, "audience": "a", "scope": ["profile"]},
        {"id": "2", "clientID": "shop", "user_id": ada, "audience": "b", "scope": ["notes:read"]},
        {"id": "3", "clientID": "shop", "user_id": "auth0|5f7c", "scope": ["profile"]},
        {"id": "4", "clientID": "shop", "user_id": bob, "scope": ["read:everything"]},
        {"id": "5", "clientID": "gone", "user_id": ada, "scope": ["profile"]},
    ]
    answer = report("auth0", {"clients": [auth0()], "grants": grants})
    (shop,) = answer["clients"]
    assert shop["carried"]["consents"] == 1
    assert losses(answer) == {"1 grant to gone": "That client is not in the file."}
    lost = losses(shop)
    assert lost["1 consent"] == "Nothing is left of what they allow."
    assert "scopes read:everything of consents" in lost
    assert {"what": "1 consent", "why": "Their users are not here."} in shop["not_carried"]
    flow = Flow(client, known("client_secret_post"), scope="profile notes:read")
    # It is a third party's: they count once the operator has checked it.
    assert flow.authorize().status_code == 200
    verify(app)
    assert flow.authorize().status_code == 302
    assert flow.authorize(scope="notes:write").status_code == 200
    assert Flow(sign_in(app, "bob"), flow.client).authorize().status_code == 200


def test_consents_of_okta_are_those_that_are_active(app: Flask, report: Callable) -> None:
    ada, bob = subjects(app).values()
    base = {"clientId": "shop", "status": "ACTIVE", "created": "2024-01-02T03:04:05.000Z"}
    link = {"user": {"href": f"https://okta.example/api/v1/users/{bob}"}}
    named = {"scope": {"title": "notes:read"}}
    grants = [
        {**base, "userId": ada, "scopeId": "profile"},
        {**base, "userId": ada, "scopeId": "scp1", "_embedded": {"scope": {"name": "notes:write"}}},
        {**base, "scopeId": "scp2", "_links": {**link, **named}},
        {**base, "userId": bob, "scopeId": "profile", "status": "REVOKED"},
        {**base, "userId": bob, "scopeId": "profile", "clientId": "gone"},
    ]
    answer = report("okta", {"apps": [okta()], "grants": grants})
    assert answer["clients"][0]["carried"]["consents"] == 2
    assert set(losses(answer)) == {"1 grant", "1 grant to gone"}
    with app.app_context(), server_of(app).store.reading() as session:
        rows = {(row.subject, row.scope, row.issued_at) for row in session.scalars(select(Consent))}
    since = 1704164645
    assert rows == {
        (ada, "profile", since),
        (ada, "notes:write", since),
        (bob, "notes:read", since),
    }


def test_consents_of_keycloak_come_with_the_users(
    app: Flask, client: FlaskClient, report: Callable
) -> None:
    ada, _ = subjects(app).values()
    consent = {"clientId": "shop", "grantedClientScopes": ["profile"], "createdDate": 10**12}
    users = (
        {"id": ada, "username": "ada", "clientConsents": [consent]},
        # Not the user here whose key this is.
        {
            "id": "9f3f1a52-5f3c-4a1e-9f65-0d7d9f0f5a11",
            "username": ada,
            "clientConsents": [consent],
        },
        {"id": "x", "clientConsents": [{**consent, "clientId": "account"}]},
        {"id": "y", "clientConsents": [{**consent, "clientId": "gone"}]},
    )
    account = keycloak(clientId="account")
    answer = report("keycloak", realm(keycloak(), account, users=users))
    assert answer["clients"][0]["carried"]["consents"] == 1
    assert losses(answer["clients"][0])["1 consent"] == "Their users are not here."
    assert "Without the client" in losses(answer["clients"][1])["1 grant"]
    assert losses(answer) == {"1 consent to gone": "That client is not in the file."}
    flow = Flow(client, known("none", None), scope="openid profile")
    assert flow.authorize().status_code == 302


def test_consents_of_doorkeeper_are_tokens_that_nobody_revoked(
    app: Flask, client: FlaskClient, report: Callable
) -> None:
    ada, bob = subjects(app).values()
    base = {"application_id": 7, "scopes": "profile", "revoked_at": None, "token": "never-read"}
    tokens = [
        {**base, "resource_owner_id": int(ada), "created_at": "2024-01-02 03:04:05 UTC"},
        {**base, "resource_owner_id": int(bob), "revoked_at": "2024-01-02T03:04:05.123456"},
        {**base, "resource_owner_id": None},
        {**base, "resource_owner_id": int(bob), "application_id": 8},
        {**base, "resource_owner_id": int(bob), "application_id": None},
    ]
    answer = report(
        "doorkeeper", {"oauth_applications": [doorkeeper()], "oauth_access_tokens": tokens}
    )
    assert answer["clients"][0]["carried"]["consents"] == 1
    assert set(losses(answer)) == {"1 access token", "1 access token of the application 8"}
    flow = Flow(client, known("client_secret_basic"), scope="profile")
    assert flow.authorize().status_code == 302


def test_consents_of_django_are_tokens_that_go_on(
    app: Flask, client: FlaskClient, report: Callable
) -> None:
    ada, bob = (int(subject) for subject in subjects(app).values())
    base = {"application": 3, "scope": "profile", "created": "2024-01-02T03:04:05.678Z"}
    old, new = {"expires": "2024-01-02T13:04:05+02:00"}, {"expires": "2999-01-02T13:04:05-02:00"}

    def row(model: str, pk: int, **fields: Any) -> dict:
        return {"model": f"oauth2_provider.{model}", "pk": pk, "fields": fields}

    rows = [
        row("accesstoken", 1, user=ada, **base, **old),
        row("accesstoken", 2, user=bob, **base, **old),
        row("accesstoken", 3, user=bob, **{**base, "application": 9}, **new),
        row("accesstoken", 4, user=None, **base, **new),
        row("accesstoken", 5, user=4711, **base, **new),
        row("refreshtoken", 1, user=ada, application=3, access_token=1, revoked=None),
        row("refreshtoken", 2, user=bob, access_token=2, revoked="2024-01-02T03:04:05Z"),
        row("grant", 1, user=bob, code="x"),
        row("idtoken", 1, user=bob),
        django(user=None),
    ]
    answer = report("django-oauth-toolkit", rows)
    (shop,) = answer["clients"]
    assert shop["carried"]["consents"] == 1
    assert losses(shop)["1 consent"] == "Their users are not here."
    assert "Expired" in losses(shop)["1 access token"]
    assert losses(answer) == {"1 access token of the application 9": "It is not in the file."}
    assert (
        Flow(client, known("client_secret_basic"), scope="profile").authorize().status_code == 302
    )
    other = Flow(sign_in(app, "bob"), known("client_secret_basic"), scope="profile")
    assert other.authorize().status_code == 200


@pytest.mark.parametrize("user_id", ["1_0", "\u0661", "9" * 40, "x" * 256, "", "01", "None"])
def test_an_id_that_is_nobodys_subject_is_nobodys_consent(
    app: Flask, report: Callable, user_id: str
) -> None:
    with app.app_context():
        app.db.session.add(app.User(id=10, username="ten", name="Ten"))
        app.db.session.commit()
    tokens = [{"application_id": 7, "scopes": "profile", "resource_owner_id": user_id}]
    rows = {"oauth_applications": [doorkeeper()], "oauth_access_tokens": tokens}
    (client,) = report("doorkeeper", rows)["clients"]
    assert client["carried"]["consents"] == 0
    assert losses(client)["1 consent"] == "Their users are not here."


def test_a_loader_of_the_hosts_own_may_choke_on_ids_of_another_product(report: Callable) -> None:
    app = make_app()

    @app.pkce.user_loader
    def load(subject: str) -> Any:
        return app.db.session.get(app.User, {"one": 1}[subject])

    grants = [{"clientID": "shop", "user_id": "auth0|5f7c", "scope": ["profile"]}]
    (client,) = report("auth0", {"clients": [auth0()], "grants": grants}, on=app)["clients"]
    assert losses(client)["1 consent"] == "Their users are not here."


def test_who_may_not_sign_in_has_no_consent(app: Flask, report: Callable) -> None:
    ada, _ = subjects(app).values()
    with app.app_context():
        app.db.session.get(app.User, int(ada)).active = False
        app.db.session.commit()
    grants = [{"clientID": "shop", "user_id": ada, "scope": ["profile"]}]
    (client,) = report("auth0", {"clients": [auth0()], "grants": grants})["clients"]
    assert client["carried"]["consents"] == 0


LOOPBACK = "http://localhost/cb"
PUBLIC = {"client_type": "public"}
NATIVE = {"app_type": "native", "token_endpoint_auth_method": "none", "is_first_party": True}


@pytest.mark.parametrize("uri", [LOOPBACK, "com.example.shop:/cb"])
@pytest.mark.parametrize(
    ("product", "content"),
    [
        ("auth0", lambda uri: [auth0(**NATIVE, callbacks=[URI, uri])]),
        ("keycloak", lambda uri: [keycloak(consentRequired=False, redirectUris=[URI, uri])]),
        ("okta", lambda uri: [trusted(uri)]),
        (
            "django-oauth-toolkit",
            lambda uri: [django(**PUBLIC, redirect_uris=f"{URI} {uri}", skip_authorization=True)],
        ),
    ],
)
def test_a_program_of_this_computer_asks_the_user_after_an_import(
    client: FlaskClient,
    report: Callable,
    product: str,
    content: Callable[[str], list],
    uri: str,
) -> None:
    # RFC 8252 8.6: other products let it in silently, and any program can pretend to be it.
    (shop,) = report(product, content(uri))["clients"]
    assert shop["carried"]["skip_consent"] is False
    assert "client update shop --skip-consent" in losses(shop)["skip_consent"]
    presented = "http://localhost:51234/cb" if uri == LOOPBACK else uri
    program = RegisteredClient("shop", None, presented, "none")
    flow = Flow(client, program, scope="profile")
    assert parameters_of(flow.authorize(prompt="none"))["error"] == "consent_required"
    assert flow.authorize().status_code == 200


@pytest.mark.parametrize(
    ("product", "content"),
    [
        ("auth0", auth0()),
        ("doorkeeper", doorkeeper(owner_id=4)),
        ("django-oauth-toolkit", django()),
    ],
)
def test_users_are_warned_of_the_clients_of_third_parties(
    app: Flask, client: FlaskClient, report: Callable, product: str, content: dict
) -> None:
    (shop,) = report(product, [content])["clients"]
    assert shop["carried"]["self_registered"] is True
    assert any("client update shop --verified" in warning for warning in shop["warnings"])
    flow = Flow(client, known("none", None), scope="profile")
    assert "Anybody can register an app here" in flow.authorize().text
    assert "code" in parameters_of(flow.decide(flow.authorize()))
    assert flow.authorize().status_code == 200
    verify(app)
    assert flow.authorize().status_code == 302


@pytest.mark.parametrize(
    ("product", "content"),
    [
        ("auth0", auth0(is_first_party=True)),
        ("doorkeeper", doorkeeper()),
        ("django-oauth-toolkit", django(skip_authorization=True)),
        ("keycloak", keycloak()),
        ("okta", okta()),
    ],
)
def test_users_are_not_warned_of_the_operators_own_clients(
    report: Callable, product: str, content: dict
) -> None:
    (shop,) = report(product, [content])["clients"]
    assert shop["carried"]["self_registered"] is False


def trusted(uri: str) -> dict:
    app = okta()
    app["credentials"]["oauthClient"]["token_endpoint_auth_method"] = "none"
    app["settings"]["oauthClient"].update(consent_method="TRUSTED", redirect_uris=[URI, uri])
    return app
