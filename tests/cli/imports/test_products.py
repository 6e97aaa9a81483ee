"""What is carried from each product and what is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from flask_pkce_server.testing import server_of

from ...host import make_app
from .exports import (
    SECRET,
    URI,
    auth0,
    django,
    doorkeeper,
    keycloak,
    losses,
    okta,
    realm,
    stored,
)


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
        assert "--auth-method" in clients[name]["warnings"][0]
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
