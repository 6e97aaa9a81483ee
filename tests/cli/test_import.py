"""Clients and consents that come from other products, in the files that these export."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, func, select
from sqlalchemy.exc import OperationalError

from flask_pkce_server import client_registered
from flask_pkce_server.models.client import Client
from flask_pkce_server.models.consent import Consent
from flask_pkce_server.models.foreign_secret import ForeignSecret
from flask_pkce_server.testing import Flow, RegisteredClient, register, server_of
from flask_pkce_server.wire.handle import digest

from ..host import lending, make_app, sign_in

URI = "https://shop.example/callback"
SECRET = "a-secret-that-nobody-guesses-0123456789"
DAY = 86400


@pytest.fixture
def app() -> Iterator[Flask]:
    with lending.app(make_app, PKCE_REFRESH_TOKEN_WHEN="always") as app:
        yield app


@pytest.fixture
def run(app: Flask, tmp_path: Path) -> Callable[..., str]:
    """Give a function that imports `content` and returns what the command printed."""

    def invoke(product: str, content: Any, *args: str, code: int = 0, on: Flask = app) -> str:
        file = tmp_path / "export.json"
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        file.write_bytes(raw)
        command = ["pkce", "import", "--from", product, str(file), *args]
        result = on.test_cli_runner().invoke(args=command)
        assert result.exit_code == code, result.output
        return result.output

    return invoke


@pytest.fixture
def report(run: Callable[..., str]) -> Callable[..., dict]:
    """Give a function that imports `content` and returns the report."""
    return lambda product, content, *args, **more: json.loads(
        run(product, content, "--json", *args, **more)
    )


def stored(app: Flask, client_id: str) -> Client | None:
    with app.app_context(), server_of(app).store.reading() as session:
        return session.get(Client, client_id)


def count(app: Flask, table: Any) -> int:
    with app.app_context(), server_of(app).store.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def losses(client: dict) -> dict[str, str]:
    return {loss["what"]: loss["why"] for loss in client["not_carried"]}


def known(method: str, secret: str | None = SECRET, client_id: str = "shop") -> RegisteredClient:
    return RegisteredClient(client_id, secret, URI, method)


def django_hash(secret: str, iterations: int = 1000) -> str:
    made = hashlib.pbkdf2_hmac("sha256", secret.encode(), b"salt", iterations)
    return f"pbkdf2_sha256${iterations}$salt${base64.b64encode(made).decode()}"


# What the products export.


def auth0(**changes: Any) -> dict[str, Any]:
    return {
        "tenant": "shop",
        "global": False,
        "is_token_endpoint_ip_header_trusted": False,
        "name": "The Shop",
        "is_first_party": False,
        "oidc_conformant": True,
        "sso_disabled": False,
        "cross_origin_auth": False,
        "refresh_token": {"rotation_type": "rotating", "leeway": 0},
        "allowed_clients": [],
        "allowed_logout_urls": ["https://shop.example/bye"],
        "callbacks": [URI, "https://*.shop.example/callback", "http://shop.example/callback"],
        "native_social_login": {"apple": {"enabled": False}},
        "allowed_origins": ["https://shop.example/", "https://*.shop.example"],
        "web_origins": ["https://pages.example"],
        "client_id": "shop",
        "client_secret": SECRET,
        "jwt_configuration": {"alg": "RS256", "lifetime_in_seconds": 36000},
        "token_endpoint_auth_method": "client_secret_post",
        "app_type": "regular_web",
        "grant_types": ["authorization_code", "implicit", "refresh_token", "password"],
        "client_metadata": {"team": "blue"},
        "custom_login_page_on": True,
        "initiate_login_uri": "https://shop.example/login",
        **changes,
    }


def okta(**changes: Any) -> dict[str, Any]:
    return {
        "id": "0oa1",
        "name": "oidc_client",
        "label": "The Shop",
        "status": "ACTIVE",
        "created": "2024-01-02T03:04:05.000Z",
        "accessibility": {"selfService": False},
        "visibility": {"hide": {"web": True}},
        "features": [],
        "signOnMode": "OPENID_CONNECT",
        "credentials": {
            "userNameTemplate": {"template": "${source.login}"},
            "oauthClient": {
                "autoKeyRotation": True,
                "client_id": "shop",
                "client_secret": SECRET,
                "token_endpoint_auth_method": "client_secret_basic",
                "pkce_required": False,
            },
        },
        "settings": {
            "app": {},
            "oauthClient": {
                "client_uri": "https://shop.example",
                "logo_uri": "https://shop.example/logo.png",
                "tos_uri": "http://shop.example/terms",
                "policy_uri": "https://shop.example/privacy",
                "redirect_uris": [URI, "https://*.shop.example/callback"],
                "post_logout_redirect_uris": ["https://shop.example/bye"],
                "wildcard_redirect": "SUBDOMAIN",
                "response_types": ["code", "id_token"],
                "grant_types": ["authorization_code", "refresh_token", "interaction_code"],
                "application_type": "web",
                "consent_method": "REQUIRED",
                "issuer_mode": "DYNAMIC",
                "idp_initiated_login": {"mode": "DISABLED", "default_scope": []},
                "dpop_bound_access_tokens": True,
            },
        },
        "_links": {"self": {"href": "https://okta.example"}},
        **changes,
    }


def keycloak(**changes: Any) -> dict[str, Any]:
    return {
        "id": "4d2f7f1c",
        "clientId": "shop",
        "name": "The Shop",
        "rootUrl": "https://shop.example",
        "baseUrl": "/home",
        "adminUrl": "",
        "enabled": True,
        "surrogateAuthRequired": False,
        "clientAuthenticatorType": "client-secret",
        "redirectUris": ["/callback", "/*", "https://other.example/cb"],
        "webOrigins": ["+", "https://pages.example"],
        "bearerOnly": False,
        "consentRequired": True,
        "standardFlowEnabled": True,
        "implicitFlowEnabled": True,
        "directAccessGrantsEnabled": False,
        "serviceAccountsEnabled": False,
        "publicClient": True,
        "protocol": "openid-connect",
        "attributes": {
            "post.logout.redirect.uris": "+##/bye##https://elsewhere.example/bye",
            "backchannel.logout.session.required": "true",
            "oauth2.device.authorization.grant.enabled": "false",
            "policyUri": "https://shop.example/privacy",
            "access.token.lifespan": "300",
        },
        "fullScopeAllowed": True,
        "nodeReRegistrationTimeout": -1,
        "defaultClientScopes": ["web-origins", "profile"],
        "optionalClientScopes": ["offline_access", "notes:read"],
        "protocolMappers": [{"name": "audience"}],
        **changes,
    }


def realm(*clients: dict, users: tuple[dict, ...] = ()) -> dict[str, Any]:
    return {"realm": "shop", "users": list(users), "clients": [*clients], "roles": {}}


def doorkeeper(**changes: Any) -> dict[str, Any]:
    return {
        "id": 7,
        "name": "The Shop",
        "uid": "shop",
        "secret": SECRET,
        "redirect_uri": f"{URI}\nurn:ietf:wg:oauth:2.0:oob",
        "scopes": "profile notes:read admin",
        "confidential": True,
        "created_at": "2024-01-02T03:04:05.000Z",
        "updated_at": "2024-01-02T03:04:05.000Z",
        **changes,
    }


def django(pk: int = 3, **changes: Any) -> dict[str, Any]:
    fields = {
        "client_id": "shop",
        "user": 1,
        "redirect_uris": f"{URI} https://shop.example/other",
        "post_logout_redirect_uris": "https://shop.example/bye",
        "client_type": "confidential",
        "authorization_grant_type": "authorization-code",
        "client_secret": django_hash(SECRET),
        "hash_client_secret": True,
        "name": "The Shop",
        "skip_authorization": False,
        "created": "2024-01-02T03:04:05.678Z",
        "updated": "2024-01-02T03:04:05.678Z",
        "algorithm": "HS256",
        "allowed_origins": "https://pages.example",
        **changes,
    }
    return {"model": "oauth2_provider.application", "pk": pk, "fields": fields}


# What is carried and what is not, product by product.


def test_a_client_of_auth0_is_carried(app: Flask, report: Callable) -> None:
    (client,) = report("auth0", [auth0()])["clients"]
    assert client["outcome"] == "imported"
    carried = client["carried"]
    assert carried["client_name"] == "The Shop"
    assert carried["redirect_uris"] == [URI]
    assert carried["origins"] == ["https://shop.example", "https://pages.example"]
    assert carried["grant_types"] == ["authorization_code", "refresh_token"]
    assert carried["token_endpoint_auth_method"] == "client_secret_post"
    assert carried["post_logout_redirect_uris"] == ["https://shop.example/bye"]
    assert carried["id_token_signed_response_alg"] == "RS256"
    assert carried["scope"] == "all that is declared"
    assert carried["skip_consent"] is False
    assert carried["secret"] == "carried"
    lost = losses(client)
    assert "wildcard" in lost["redirect URI https://*.shop.example/callback"]
    assert "https" in lost["redirect URI http://shop.example/callback"]
    assert "wildcard" in lost["origin https://*.shop.example"]
    assert "OAuth 2.1" in lost["grant type implicit"]
    assert "OAuth 2.1" in lost["grant type password"]
    assert "client_metadata, initiate_login_uri, refresh_token" in lost
    assert "lifetime_in_seconds" in lost
    assert len(lost) == 7
    client = stored(app, "shop")
    assert client.check_client_secret(SECRET)
    assert client.issued_at == client.secret_issued_at


def test_auth0_says_by_the_kind_of_a_client_what_it_leaves_out(report: Callable) -> None:
    plain = {"client_id": "spa", "name": "SPA", "app_type": "spa", "callbacks": [URI]}
    web = {**plain, "client_id": "web", "app_type": "regular_web", "is_first_party": True}
    key = {"private_key_jwt": {"credentials": [{"id": "cred_1"}]}}
    by_key = {**plain, "client_id": "key", "client_authentication_methods": key}
    everything = {"client_id": "all", "name": "All Applications", "global": True}
    answer = report("auth0", {"clients": [plain, web, by_key, everything]})
    spa, web, by_key, everything = answer["clients"]
    assert spa["carried"]["token_endpoint_auth_method"] == "none"
    assert spa["carried"]["grant_types"] == ["authorization_code", "refresh_token"]
    assert web["carried"]["token_endpoint_auth_method"] == "client_secret_post"
    assert web["carried"]["skip_consent"] is True
    assert "rotate-secret web" in losses(web)["the secret"]
    assert by_key["outcome"] == everything["outcome"] == "left out"
    assert "private_key_jwt" in by_key["why"]
    assert "tenant" in everything["why"]


def test_an_app_of_okta_is_carried(report: Callable) -> None:
    (client,) = report("okta", [okta()])["clients"]
    carried = client["carried"]
    assert carried["redirect_uris"] == [URI]
    assert carried["post_logout_redirect_uris"] == ["https://shop.example/bye"]
    assert carried["client_uri"] == "https://shop.example"
    assert carried["policy_uri"] == "https://shop.example/privacy"
    assert carried["token_endpoint_auth_method"] == "client_secret_basic"
    assert carried["skip_consent"] is False
    lost = losses(client)
    assert "https" in lost["tos_uri http://shop.example/terms"]
    assert "wildcard" in lost["redirect URI https://*.shop.example/callback"]
    assert "This server" in lost["grant type interaction_code"]
    assert "dpop_bound_access_tokens, logo_uri" in lost
    assert len(lost) == 4


def test_apps_of_okta_that_are_no_clients_are_left_out(report: Callable) -> None:
    apps = [
        {"id": "0oa2", "label": "Payroll", "status": "ACTIVE", "signOnMode": "SAML_2_0"},
        okta(label="Old shop", status="INACTIVE"),
        okta(label="Okta Dashboard", name="okta_enduser"),
    ]
    answer = report("okta", {"apps": apps})
    assert [(one["client_id"], one["outcome"]) for one in answer["clients"]] == [
        ("Payroll", "left out"),
        ("Old shop", "left out"),
        ("Okta Dashboard", "left out"),
    ]
    assert "SAML_2_0" in answer["clients"][0]["why"]


def test_a_trusted_app_of_okta_skips_the_consent_page(report: Callable) -> None:
    app = okta()
    app["settings"]["oauthClient"]["consent_method"] = "TRUSTED"
    assert report("okta", [app])["clients"][0]["carried"]["skip_consent"] is True


def test_a_client_of_keycloak_is_carried(report: Callable) -> None:
    built_in = keycloak(clientId="account-console")
    answer = report("keycloak", realm(built_in, keycloak()))
    client, console = answer["clients"]
    assert console["outcome"] == "left out"
    carried = client["carried"]
    assert carried["token_endpoint_auth_method"] == "none"
    assert carried["redirect_uris"] == [URI, "https://other.example/cb"]
    assert carried["origins"] == ["https://pages.example", "https://shop.example"]
    assert carried["post_logout_redirect_uris"] == [
        "https://shop.example/bye",
        "https://elsewhere.example/bye",
        URI,
        "https://other.example/cb",
    ]
    assert carried["client_uri"] == "https://shop.example/home"
    assert carried["policy_uri"] == "https://shop.example/privacy"
    assert carried["scope"] == "notes:read offline_access openid profile"
    assert carried["skip_consent"] is False
    assert carried["access_token_format"] == "jwt"
    assert carried["grant_types"] == ["authorization_code", "refresh_token"]
    lost = losses(client)
    assert "wildcard" in lost["redirect URI https://shop.example/*"]
    assert "wildcard" in lost["post_logout_redirect_uris https://shop.example/*"]
    assert lost["scopes web-origins"] == "Not declared in PKCE_SCOPES."
    assert "OAuth 2.1" in lost["grant type implicit"]
    assert "protocolMappers" in lost
    assert "access.token.lifespan" in lost
    assert len(lost) == 6


def test_keycloak_hides_and_bends_things(report: Callable) -> None:
    attributes = {"post.logout.redirect.uris": "-", "use.refresh.tokens": "false"}
    answer = report(
        "keycloak",
        [
            keycloak(publicClient=False, secret="**********", clientId="masked"),
            keycloak(publicClient=False, secret="${vault.shop}", clientId="vault"),
            keycloak(clientId="relative", rootUrl="${authBaseUrl}", redirectUris=["/cb", URI]),
            keycloak(clientId="any", webOrigins=["*"], name="${client_shop}"),
            keycloak(clientId="plain", attributes=attributes, consentRequired=False),
            keycloak(clientId="wild", redirectUris=["*"]),
            keycloak(clientId="key", publicClient=False, clientAuthenticatorType="client-jwt"),
            keycloak(clientId="saml", protocol="saml"),
            keycloak(clientId="off", enabled=False),
        ],
    )
    clients = {one["client_id"]: one for one in answer["clients"]}
    for name in ("masked", "vault"):
        assert "hides it" in losses(clients[name])["the secret"]
        assert clients[name]["carried"]["secret"] == ""
        assert "--auth-method" in clients[name]["mind"][0]
    assert "relative" in losses(clients["relative"])["/cb"]
    assert "client_uri" not in clients["relative"]["carried"]
    assert "named" in losses(clients["any"])["the origin *"]
    assert clients["any"]["client_name"] == "any"
    assert clients["plain"]["carried"]["grant_types"] == ["authorization_code"]
    assert "post_logout_redirect_uris" not in clients["plain"]["carried"]
    assert clients["plain"]["carried"]["skip_consent"] is True
    assert "each exactly" in losses(clients["wild"])["grant type authorization_code"]
    left_out = {name for name, one in clients.items() if one["outcome"] == "left out"}
    assert left_out == {"wild", "key", "saml", "off"}


def test_a_client_of_keycloak_that_says_little_is_taken_for_what_it_is_there(
    report: Callable,
) -> None:
    device = {"oauth2.device.authorization.grant.enabled": "true"}
    little = {"clientId": "little", "redirectUris": [URI], "secret": SECRET}
    odd = ["https://shop.example:x", "https://shop.example:99999", "https://shop.example/path"]
    few = keycloak(
        clientId="few",
        standardFlowEnabled=False,
        directAccessGrantsEnabled=True,
        attributes=device,
        webOrigins=["https://PAGES.example", "https://pages.example:443", *odd],
    )
    few["redirectUris"] = ["https://cut*"]
    few["webOrigins"] += ["+"]
    little, few = report("keycloak", {"clients": [little, few]})["clients"]
    assert little["carried"]["scope"] == "all that is declared"
    assert little["carried"]["token_endpoint_auth_method"] == "client_secret_basic"
    assert little["carried"]["grant_types"] == ["authorization_code", "refresh_token"]
    lost = losses(few)
    assert "grant type password" in lost
    assert {f"origin {origin}" for origin in odd} <= lost.keys()
    if few["outcome"] == "imported":
        assert few["carried"]["origins"] == ["https://pages.example"]


def test_an_api_of_keycloak_may_introspect(run: Callable, report: Callable) -> None:
    api = keycloak(bearerOnly=True, publicClient=False, secret=SECRET, redirectUris=[])
    (client,) = report("keycloak", api)["clients"]
    assert client["carried"]["resource_server"] is True
    assert client["carried"]["grant_types"] == []
    (client,) = report("keycloak", {**api, "clientId": "open", "publicClient": True})["clients"]
    assert "without a secret" in client["why"]
    other = make_app(PKCE_FEATURES={"introspection": False})
    (client,) = report("keycloak", api, on=other)["clients"]
    assert client["outcome"] == "left out"


def test_an_application_of_doorkeeper_is_carried(app: Flask, report: Callable) -> None:
    (client,) = report("doorkeeper", [doorkeeper(owner_id=4, owner_type="User")])["clients"]
    carried = client["carried"]
    assert carried["redirect_uris"] == [URI]
    assert carried["scope"] == "notes:read profile"
    assert carried["token_endpoint_auth_method"] == "client_secret_basic"
    lost = losses(client)
    assert "copies codes" in lost["redirect URI urn:ietf:wg:oauth:2.0:oob"]
    assert "scopes admin" in lost
    assert "owner_id, owner_type" in lost
    assert stored(app, "shop").check_client_secret(SECRET)


def test_who_sends_the_secret_in_the_body_says_so(report: Callable) -> None:
    answer = report("doorkeeper", [doorkeeper()], "--auth-method", "client_secret_post")
    assert answer["clients"][0]["carried"]["token_endpoint_auth_method"] == "client_secret_post"


def test_a_public_client_has_no_secret_any_more(app: Flask, report: Callable) -> None:
    row = doorkeeper(confidential=0, scopes=None)
    (client,) = report("doorkeeper", {"oauth_applications": [row]})["clients"]
    assert client["carried"]["token_endpoint_auth_method"] == "none"
    assert client["carried"]["scope"] == "all that is declared"
    assert "must not send" in losses(client)["the secret"]
    assert stored(app, "shop").secret_digest is None


def test_an_application_of_django_is_carried(report: Callable) -> None:
    rows = [django(), {"model": "auth.user", "pk": 1, "fields": {"username": "ada"}}]
    answer = report("django-oauth-toolkit", rows)
    assert losses(answer) == {"1 row of auth.user": "Not read."}
    (client,) = answer["clients"]
    carried = client["carried"]
    assert carried["redirect_uris"] == [URI, "https://shop.example/other"]
    assert carried["post_logout_redirect_uris"] == ["https://shop.example/bye"]
    assert carried["origins"] == ["https://pages.example"]
    assert "until it is first used" in carried["secret"]
    lost = losses(client)
    assert "RS256" in lost["id_token_signed_response_alg HS256"]
    assert "user" in lost
    assert len(lost) == 2


@pytest.mark.parametrize(
    ("grant_type", "kept"),
    [
        ("openid-hybrid", ["authorization_code", "refresh_token"]),
        ("implicit", None),
        ("password", None),
        ("urn:example:unheard-of", None),
    ],
)
def test_grants_of_django_that_nobody_has_are_dropped(
    report: Callable, grant_type: str, kept: list[str] | None
) -> None:
    (client,) = report("django-oauth-toolkit", [django(authorization_grant_type=grant_type)])[
        "clients"
    ]
    assert client["carried"].get("grant_types") == kept
    if kept is None:
        assert (client["outcome"], client["why"]) == (
            "left out",
            "No way to get a token is left of it.",
        )
        assert f"grant type {grant_type}" in losses(client)


def test_machines_keep_their_grant(app: Flask, report: Callable) -> None:
    row = django(authorization_grant_type="client-credentials", redirect_uris="")
    (client,) = report("django-oauth-toolkit", [row])["clients"]
    with app.app_context():
        known = "client_credentials" in server_of(app).metadata()["grant_types_supported"]
    assert client["outcome"] == ("imported" if known else "left out")
    service = auth0(client_id="spa", app_type="spa", token_endpoint_auth_method="none")
    service["grant_types"] = ["authorization_code", "client_credentials"]
    (client,) = report("auth0", [service])["clients"]
    assert client["carried"]["grant_types"] == ["authorization_code"]


def test_refresh_tokens_alone_are_no_way_in(report: Callable) -> None:
    (client,) = report("auth0", [auth0(callbacks=[])])["clients"]
    assert client["outcome"] == "left out"
    assert losses(client)["grant type authorization_code"] == "It has no redirect URI."
    assert "grant type refresh_token" in losses(client)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"client_id": "a b"}, "client_id"),
        ({"client_id": "\u00e9"}, "client_id"),
        ({"client_id": "x" * 256}, "client_name"),
    ],
)
def test_an_id_that_is_unfit_leaves_the_client_out(
    report: Callable, changes: dict, words: str
) -> None:
    (client,) = report("auth0", [auth0(name=None, **changes)])["clients"]
    assert client["outcome"] == "left out"
    assert words in client["why"]


def test_a_name_that_nobody_can_read_gives_way_to_the_id(app: Flask, report: Callable) -> None:
    (client,) = report("auth0", [auth0(name="Sh\u202eop")])["clients"]
    assert client["carried"]["client_name"] == "shop"
    assert stored(app, "shop").client_name == "shop"


def test_clients_of_several_hosts_are_left_out_where_subjects_are_pairwise(
    report: Callable,
) -> None:
    app = make_app(PKCE_OPENID_SUBJECT_TYPE="pairwise", PKCE_OPENID_PAIRWISE_SALT="s" * 32)
    two = auth0(callbacks=[URI, "https://other.example/cb"])
    (client,) = report("auth0", [two], on=app)["clients"]
    assert "sector" in client["why"]


def test_a_client_is_told_to_speak_as_its_sdk_does(report: Callable) -> None:
    app = make_app(PKCE_DIALECTS=["auth0", "keycloak"])
    for product, content, dialect in (
        ("auth0", auth0(client_id="one"), "auth0"),
        ("keycloak", keycloak(clientId="two"), "keycloak"),
        ("doorkeeper", doorkeeper(uid="three"), None),
    ):
        (client,) = report(product, [content], on=app)["clients"]
        assert client["carried"].get("dialect") == dialect


# Secrets.


def test_a_secret_that_django_hashed_works_and_becomes_ours(
    app: Flask, client: FlaskClient, run: Callable
) -> None:
    run("django-oauth-toolkit", [django()])
    assert stored(app, "shop").secret_digest is None
    wrong = Flow(client, known("client_secret_basic", "another-secret-0123456789abcdef"))
    answer = wrong.redeem(wrong.allow()["code"])
    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")
    assert stored(app, "shop").secret_digest is None
    assert wrong.refresh("x" * 2000).status_code == 401
    flow = Flow(client, known("client_secret_basic"))
    tokens = flow.tokens()
    assert stored(app, "shop").secret_digest == digest(SECRET)
    assert count(app, ForeignSecret) == 0
    assert flow.refresh(tokens["refresh_token"]).status_code == 200
    assert wrong.refresh("x").status_code == 401


@pytest.mark.parametrize("form", ["2a", "2b", "2y"])
def test_a_secret_that_doorkeeper_hashed_with_bcrypt_works(
    app: Flask, client: FlaskClient, run: Callable, form: str
) -> None:
    hashed = bcrypt.hashpw(SECRET.encode(), bcrypt.gensalt(4)).decode().replace("2b", form, 1)
    run("doorkeeper", [doorkeeper(secret=hashed)], "--auth-method", "client_secret_post")
    flow = Flow(client, known("client_secret_post"), scope="profile")
    assert flow.tokens()["token_type"] == "Bearer"
    assert stored(app, "shop").secret_digest == digest(SECRET)
    assert count(app, ForeignSecret) == 0


@pytest.mark.parametrize("strategy", [None, "Sha256Hash"])
def test_a_secret_that_doorkeeper_hashed_with_sha256_is_as_we_keep_it(
    app: Flask, client: FlaskClient, report: Callable, strategy: str | None
) -> None:
    content = {"oauth_applications": [doorkeeper(secret=digest(SECRET).hex())]}
    if strategy:
        content["secret_strategy"] = f"Doorkeeper::SecretStoring::{strategy}"
    (imported,) = report("doorkeeper", content)["clients"]
    assert any("looks like one" in mind for mind in imported["mind"]) is (strategy is None)
    assert count(app, ForeignSecret) == 0
    flow = Flow(client, known("client_secret_basic"), scope="profile")
    assert flow.tokens()["token_type"] == "Bearer"


def test_a_secret_that_only_looks_like_a_hash_is_one_where_the_file_says_so(
    app: Flask, client: FlaskClient, run: Callable
) -> None:
    secret = digest("made by an old Doorkeeper").hex()
    strategy = "Doorkeeper::SecretStoring::Plain"
    rows = [doorkeeper(secret=secret)]
    run("doorkeeper", {"secret_strategy": strategy, "oauth_applications": rows})
    flow = Flow(client, known("client_secret_basic", secret), scope="profile")
    assert flow.tokens()["token_type"] == "Bearer"


def test_a_secret_in_clear_that_looks_like_djangos_is_one_where_the_row_says_so(
    app: Flask, run: Callable
) -> None:
    hashed = django_hash(SECRET)
    run("django-oauth-toolkit", [django(hash_client_secret=False)])
    assert stored(app, "shop").check_client_secret(hashed)


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ("", "has none"),
        ("*" * 36, "hides"),
        ("too-short", "9 characters"),
        ("x" * 1001, "longer"),
        ("argon2$argon2id$v=19$m=102400,t=2,p=8$c2FsdA$aGFzaA", "something else"),
        ("bcrypt_sha256$$2b$12$" + "." * 53, "something else"),
        ("pbkdf2_sha256$10000001$salt$" + "A" * 43 + "=", "10000001 times"),
    ],
)
def test_a_secret_that_cannot_be_carried_is_said_and_can_be_made_anew(
    app: Flask, client: FlaskClient, report: Callable, secret: str, words: str
) -> None:
    (imported,) = report("django-oauth-toolkit", [django(client_secret=secret)])["clients"]
    assert imported["carried"]["secret"] == ""
    why = losses(imported)["the secret"]
    assert words in why
    assert "flask pkce client rotate-secret shop" in why
    assert not secret or secret not in json.dumps(imported)
    assert stored(app, "shop").secret_digest is None
    flow = Flow(client, known("client_secret_basic", secret))
    assert flow.refresh("x").status_code in (400, 401)
    assert flow.refresh("x").get_json()["error"] == "invalid_client"
    command = ["pkce", "client", "rotate-secret", "shop", "--json"]
    made = json.loads(app.test_cli_runner().invoke(args=command).output)
    flow = Flow(client, known("client_secret_basic", made["client_secret"]))
    assert flow.refresh("x").get_json()["error"] == "invalid_grant"


def test_a_secret_that_is_short_is_carried_with_a_word(app: Flask, report: Callable) -> None:
    secret = "sixteen+chars%20"
    content = [doorkeeper(secret=secret)]
    (client,) = report("doorkeeper", content)["clients"]
    assert stored(app, "shop").check_client_secret(secret)
    short, encoded, method = client["mind"]
    assert "16 characters" in short
    assert "percent-encode" in encoded
    assert "--auth-method" in method
    assert secret not in json.dumps(client)


def test_without_bcrypt_the_report_says_what_to_install(
    app: Flask, report: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bcrypt", None)
    hashed = "$2a$12$" + "." * 53
    (client,) = report("doorkeeper", [doorkeeper(secret=hashed)])["clients"]
    assert "pip install 'Flask-PKCE-Server[import]'" in losses(client)["the secret"]
    assert count(app, ForeignSecret) == 0


def test_a_new_secret_ends_one_that_was_never_used(
    app: Flask, client: FlaskClient, run: Callable
) -> None:
    run("django-oauth-toolkit", [django()])
    runner = app.test_cli_runner()
    command = ["pkce", "client", "rotate-secret", "shop", "--json"]
    kept = runner.invoke(args=[*command, "--keep"])
    assert kept.exit_code == 1
    assert "Leave out --keep" in kept.output
    assert runner.invoke(args=["pkce", "client", "show", "shop"]).exit_code == 0
    made = json.loads(runner.invoke(args=command).output)
    assert count(app, ForeignSecret) == 0
    assert Flow(client, known("client_secret_basic")).refresh("x").status_code == 401
    new = Flow(client, known("client_secret_basic", made["client_secret"]))
    assert new.refresh("x").status_code == 400


def test_a_deleted_client_takes_its_hash_with_it(app: Flask, run: Callable) -> None:
    run("django-oauth-toolkit", [django()])
    app.test_cli_runner().invoke(args=["pkce", "client", "delete", "shop"])
    assert count(app, ForeignSecret) == 0


def test_no_secret_is_printed(run: Callable) -> None:
    output = run("auth0", [auth0()]) + run("okta", [okta()], "--json")
    assert SECRET not in output


# Sign-ins and consents.


def test_a_public_client_of_keycloak_signs_in(client: FlaskClient, run: Callable) -> None:
    run("keycloak", keycloak())
    flow = Flow(client, known("none", None), scope="openid profile")
    page = flow.authorize()
    assert "The Shop" in page.text
    tokens = flow.redeem(flow.decide(page).location.partition("code=")[2].partition("&")[0])
    assert tokens.get_json()["access_token"].count(".") == 2
    assert "id_token" in tokens.get_json()


def subjects(app: Flask) -> dict[str, str]:
    with app.app_context():
        return {
            user.username: str(user.id) for user in app.db.session.scalars(app.db.select(app.User))
        }


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
        django(),
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


# The command.


def test_a_dry_run_says_the_same_and_stores_nothing(
    app: Flask, run: Callable, report: Callable
) -> None:
    told: list[str] = []

    def hear(app: Flask, client_id: str) -> None:
        told.append(client_id)

    client_registered.connect(hear, app)
    ada, _ = subjects(app).values()
    grants = [{"clientID": "shop", "user_id": ada, "scope": ["profile"]}]
    content = {"clients": [auth0()], "grants": grants}
    dry = report("auth0", content, "--dry-run")
    assert "nothing is stored" in run("auth0", content, "--dry-run")
    assert dry["dry_run"] is True
    assert [count(app, table) for table in (Client, Consent, ForeignSecret)] == [0, 0, 0]
    assert told == []
    assert {**report("auth0", content), "dry_run": True} == dry
    assert [count(app, table) for table in (Client, Consent)] == [1, 1]
    assert told == ["shop"]


def test_a_client_that_is_here_is_left_alone(app: Flask, report: Callable) -> None:
    register(app, client_id="shop", name="Mine")
    before = stored(app, "shop").as_json()
    grants = [{"clientID": "shop", "user_id": "1", "scope": ["profile"]}]
    twice = [auth0(), auth0(client_id="new"), auth0(client_id="new", name="Another")]
    answer = report("auth0", {"clients": twice, "grants": grants})
    shop, new, again = answer["clients"]
    assert (shop["outcome"], shop["carried"]) == ("left alone", {})
    assert "Without the client" in losses(shop)["1 grant"]
    assert stored(app, "shop").as_json() == before
    assert new["outcome"] == "imported"
    assert (again["outcome"], again["carried"]) == ("left out", {})
    assert stored(app, "new").client_name == "The Shop"
    assert count(app, Consent) == 0


def test_the_report_for_a_person_names_everything(run: Callable) -> None:
    hostile = auth0(callbacks=[URI, "https://x.example/\x1b[2J\n", "x" * 500])
    output = run("auth0", [hostile, auth0(client_id="a b")])
    lines = output.splitlines()
    assert lines[0] == "shop: imported"
    assert "  redirect_uris               https://shop.example/callback" in lines
    assert "  secret                      carried" in lines
    assert "  Not carried: grant type implicit. OAuth 2.1 does not have it." in lines
    assert any(line.startswith("a b: left out. ") for line in lines)
    assert any("code_challenge with S256" in line for line in lines)
    assert lines[-1] == "1 imported, 0 left alone, 1 left out; 0 consents."
    assert "\x1b" not in output
    assert r"\x1b[2J\n" in output
    assert max(map(len, lines)) < 320


def test_nothing_to_import_is_said(run: Callable) -> None:
    assert run("auth0", []) == "0 imported, 0 left alone, 0 left out; 0 consents.\n"


def test_a_file_from_windows_is_read(app: Flask, run: Callable) -> None:
    run("auth0", json.dumps([auth0()]).encode("utf-16"))
    run("okta", b"\xef\xbb\xbf" + json.dumps([okta(label="Two")]).encode())
    assert count(app, Client) == 1


def test_a_busy_database_gets_it_all_once(app: Flask, run: Callable) -> None:
    ada, _ = subjects(app).values()
    grants = [{"clientID": "shop", "user_id": ada, "scope": ["profile"]}]
    tries = []

    def be_busy(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.startswith("INSERT INTO pkce_consent"):
            tries.append(statement)
            if len(tries) == 1:
                raise OperationalError(statement, {}, Exception("database is locked"))

    with app.app_context():
        event.listen(app.db.engine, "before_cursor_execute", be_busy)
    run("auth0", {"clients": [auth0()], "grants": grants})
    assert len(tries) == 2
    assert [count(app, table) for table in (Client, Consent)] == [1, 1]


def test_without_tables_it_says_so(run: Callable) -> None:
    app = make_app(init=False)
    app.pkce.init_app(app)
    assert "flask pkce doctor" in run("auth0", [auth0()], on=app, code=1)


def deep(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def without(content: dict, *path: str) -> dict:
    copy = json.loads(json.dumps(content))
    place = copy
    for name in path[:-1]:
        place = place[name]
    del place[path[-1]]
    return copy


def oauth_client(**changes: Any) -> dict:
    app = okta()
    app["settings"]["oauthClient"] |= changes
    return app


TOKEN = {"application_id": 7, "resource_owner_id": 1, "scopes": "profile"}


@pytest.mark.parametrize(
    ("product", "content", "words"),
    [
        ("auth0", b"", "not JSON"),
        ("auth0", b"{", "not JSON"),
        ("auth0", b"\xff\xfe\xfd", "not JSON"),
        ("auth0", b"[NaN]", "not JSON"),
        ("auth0", b"[" + b"9" * 5000 + b"]", "not JSON"),
        ("auth0", deep(100_000), "not JSON"),
        ("auth0", b"null", "neither a list of clients nor an object"),
        ("auth0", b'"text"', "neither a list of clients nor an object"),
        ("auth0", {}, "clients is missing"),
        ("auth0", {"clients": {}}, "clients is not a list"),
        ("auth0", {"clients": [auth0()], "grants": [1]}, "grants[0] is not an object"),
        ("auth0", {"clients": [], "grants": [{"user_id": "1"}]}, "grants[0].clientID is missing"),
        ("auth0", [None], "clients[0] is not an object"),
        ("auth0", [auth0(), okta()], "clients[1].client_id is missing"),
        ("auth0", [auth0(client_id=7)], "clients[0].client_id is not a text"),
        ("auth0", [auth0(client_id="")], "clients[0].client_id is missing"),
        ("auth0", [auth0(name=["The Shop"])], "clients[0].name is not a text"),
        ("auth0", [auth0(callbacks=URI)], "clients[0].callbacks is not a list"),
        ("auth0", [auth0(callbacks=[URI, 7])], "clients[0].callbacks[1] is not a text"),
        ("auth0", [auth0(is_first_party="yes")], "is_first_party is not true or false"),
        ("auth0", [auth0(is_first_party=2)], "is_first_party is not true or false"),
        ("auth0", [auth0(jwt_configuration="RS256")], "jwt_configuration is not an object"),
        ("auth0", [auth0(client_secret={})], "clients[0].client_secret is not a text"),
        ("auth0", [auth0(name="\ud800")], "name has a character in it that no text has"),
        ("auth0", [auth0(name="\0")], "name has a character in it that no text has"),
        ("okta", [without(okta(), "signOnMode")], "apps[0].signOnMode is missing"),
        (
            "okta",
            [without(okta(), "credentials")],
            "apps[0].credentials.oauthClient.client_id is missing",
        ),
        ("okta", [okta(settings=[])], "apps[0].settings is not an object"),
        ("okta", [oauth_client(redirect_uris={})], "oauthClient.redirect_uris is not a list"),
        ("okta", {"apps": [okta()], "grants": [{"clientId": "shop"}]}, "grants[0].userId"),
        (
            "okta",
            {
                "apps": [],
                "grants": [{"clientId": "a", "userId": "1", "scopeId": "b", "created": 7}],
            },
            "grants[0].created is not a text",
        ),
        ("keycloak", {"realm": "shop"}, "clients is missing"),
        ("keycloak", {"clientId": 7}, "clients[0].clientId is not a text"),
        ("keycloak", keycloak(attributes=[]), "clients[0].attributes is not an object"),
        ("keycloak", keycloak(attributes={"tosUri": 1}), "attributes.tosUri is not a text"),
        ("keycloak", keycloak(publicClient="false"), "publicClient is not true or false"),
        (
            "keycloak",
            realm(users=({"id": "1", "clientConsents": [{"clientId": "a", "createdDate": "b"}]},)),
            "users[0].clientConsents[0].createdDate is not a number",
        ),
        (
            "keycloak",
            realm(users=({"username": "ada", "clientConsents": [{"clientId": "a"}]},)),
            "users[0].id is missing",
        ),
        ("doorkeeper", [without(doorkeeper(), "uid")], "oauth_applications[0].uid is missing"),
        ("doorkeeper", [doorkeeper(scopes=["a"])], "scopes is not a text"),
        (
            "doorkeeper",
            {"oauth_applications": [], "secret_strategy": "ROT13"},
            "secret_strategy is none of",
        ),
        (
            "doorkeeper",
            {"oauth_applications": [], "oauth_access_tokens": [{**TOKEN, "created_at": "today"}]},
            "oauth_access_tokens[0].created_at is not a date and time",
        ),
        (
            "doorkeeper",
            {
                "oauth_applications": [],
                "oauth_access_tokens": [{**TOKEN, "created_at": "2024-13-02 03:04:05"}],
            },
            "oauth_access_tokens[0].created_at is not a date and time",
        ),
        (
            "doorkeeper",
            {
                "oauth_applications": [],
                "oauth_access_tokens": [
                    {**TOKEN, "resource_owner_type": "User"},
                    {**TOKEN, "resource_owner_type": "Admin"},
                ],
            },
            "several types",
        ),
        ("django-oauth-toolkit", {"rows": []}, "not a list of objects with model, pk and fields"),
        ("django-oauth-toolkit", [{"fields": {}}], "rows[0].model is missing"),
        ("django-oauth-toolkit", [without(django(), "pk")], "rows[0].pk is missing"),
        (
            "django-oauth-toolkit",
            [{"model": "a.b", "fields": 1}],
            "rows[0].fields is not an object",
        ),
        ("django-oauth-toolkit", [django(client_type="both")], "client_type is neither public nor"),
        ("django-oauth-toolkit", [django(client_id=None)], "rows[0].fields.client_id is missing"),
        (
            "django-oauth-toolkit",
            [
                {
                    "model": "oauth2_provider.accesstoken",
                    "pk": 1,
                    "fields": {"user": ["ada"], "application": 3},
                }
            ],
            "rows[0].fields.user is not a text",
        ),
    ],
)
def test_a_file_that_is_no_export_is_refused_with_one_line(
    app: Flask, run: Callable, product: str, content: Any, words: str
) -> None:
    output = run(product, content, code=1)
    assert words in output
    assert output.startswith("Error: ")
    assert len(output.splitlines()) == 1
    assert SECRET not in output
    assert [count(app, table) for table in (Client, Consent, ForeignSecret)] == [0, 0, 0]


def test_a_file_that_is_not_there_is_said_to_be(app: Flask, tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.json", tmp_path):
        command = ["pkce", "import", "--from", "auth0", str(path)]
        result = app.test_cli_runner().invoke(args=command)
        assert result.exit_code == 2
        assert "Error: " in result.output


@pytest.fixture(autouse=True)
def _nobody_listens_on() -> Iterator[None]:
    before = dict(client_registered.receivers)
    yield
    client_registered.receivers.clear()
    client_registered.receivers.update(before)
