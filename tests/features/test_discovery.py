"""The discovery feature: RFC 8414."""

from __future__ import annotations

from pathlib import Path

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata
from flask import Flask

from flask_pkce_server.testing import Flow, parameters_of

from ..host import make_app

NAMES = ["oauth-authorization-server", "openid-configuration"]
SIGNED = ["PS256", "ES256", "EdDSA", "RS256"]


@pytest.mark.parametrize("name", NAMES)
def test_both_well_known_names_give_the_same_document(app: Flask, name: str) -> None:
    answer = app.test_client().get(f"/.well-known/{name}")
    assert answer.status_code == 200
    assert answer.mimetype == "application/json"
    assert answer.get_json() == app.extensions["pkce"].metadata()


@pytest.mark.parametrize("reading", [AuthorizationServerMetadata, OpenIDProviderMetadata])
def test_the_document_is_valid_by_authlibs_reading_of_it(app: Flask, reading: type) -> None:
    # RFC 8414 2, OIDC Discovery 3
    reading(app.extensions["pkce"].metadata()).validate()


def test_what_is_said_is_what_there_is() -> None:
    document = make_app(PKCE_DIALECTS=[]).extensions["pkce"].metadata()
    assert document == {
        "issuer": "https://auth.example",
        "authorization_endpoint": "https://auth.example/oauth/authorize",
        "token_endpoint": "https://auth.example/oauth/token",
        "pushed_authorization_request_endpoint": "https://auth.example/oauth/par",
        "require_pushed_authorization_requests": False,
        "revocation_endpoint": "https://auth.example/oauth/revoke",
        "scopes_supported": [
            *["profile", "notes:read", "notes:write", "offline_access"],
            *["openid", "email", "address", "phone"],
        ],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "ui_locales_supported": ["en", "ar", "de", "es", "fr", "ja"],
        "grant_types_supported": [
            "authorization_code",
            "refresh_token",
            "client_credentials",
            "urn:ietf:params:oauth:grant-type:device_code",
        ],
        "device_authorization_endpoint": "https://auth.example/oauth/device_authorization",
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": [
            "none",
            "client_secret_basic",
            "client_secret_post",
            "private_key_jwt",
        ],
        "revocation_endpoint_auth_methods_supported": [
            "none",
            "client_secret_basic",
            "client_secret_post",
            "private_key_jwt",
        ],
        "token_endpoint_auth_signing_alg_values_supported": SIGNED,
        "revocation_endpoint_auth_signing_alg_values_supported": SIGNED,
        "introspection_endpoint_auth_signing_alg_values_supported": SIGNED,
        "authorization_response_iss_parameter_supported": True,
        "jwks_uri": "https://auth.example/oauth/jwks",
        "userinfo_endpoint": "https://auth.example/oauth/userinfo",
        "userinfo_signing_alg_values_supported": ["RS256", "ES256"],
        "introspection_endpoint": "https://auth.example/oauth/introspect",
        "introspection_endpoint_auth_methods_supported": [
            "client_secret_basic",
            "client_secret_post",
            "private_key_jwt",
        ],
        "introspection_signing_alg_values_supported": ["RS256", "ES256"],
        "end_session_endpoint": "https://auth.example/oauth/logout",
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        "claims_supported": [
            *["sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "sid"],
            *["acr", "amr", "address", "birthdate", "email", "email_verified", "family_name"],
            *["gender", "given_name", "locale", "middle_name", "name", "nickname"],
            *["phone_number", "phone_number_verified", "picture", "preferred_username"],
            *["profile", "updated_at", "website", "zoneinfo"],
        ],
        "claims_parameter_supported": True,
        "claim_types_supported": ["normal"],
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
    }


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["/.well-known/{}/t/1", "/t/1/.well-known/{}", "/.well-known/{}"])
def test_an_issuer_with_a_path_is_found_wherever_clients_look(name: str, form: str) -> None:
    # RFC 8414 3.1 and 5.
    app = make_app(PKCE_ISSUER="https://auth.example/t/1")
    answer = app.test_client().get(form.format(name))
    assert answer.get_json()["issuer"] == "https://auth.example/t/1"


@pytest.mark.parametrize("name", NAMES)
def test_another_issuer_is_a_json_404_that_any_page_can_read(app: Flask, name: str) -> None:
    answer = app.test_client().get(f"/.well-known/{name}/somebody/else")
    assert answer.status_code == 404
    assert answer.get_json()["error"] == "not_found"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_document_may_be_cached_and_asked_for_again_cheaply(app: Flask) -> None:
    browser = app.test_client()
    first = browser.get("/.well-known/oauth-authorization-server")
    assert first.headers["Cache-Control"] == "public, max-age=300"
    again = browser.get(
        "/.well-known/oauth-authorization-server", headers={"If-None-Match": first.headers["ETag"]}
    )
    assert again.status_code == 304
    assert again.data == b""


def test_the_document_is_only_read(app: Flask) -> None:
    answer = app.test_client().post("/.well-known/oauth-authorization-server")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, OPTIONS"
    assert answer.get_json()["error"] == "invalid_request"


# Whatever is a list of values in the metadata, with the tests that exercise each of them.
EXERCISED = {
    "scopes_supported": "tests/test_conformance.py::test_oidcc_scope",
    "response_types_supported": "tests/test_behaviours.py::test_CE1_the_response_type_is_code",
    "response_modes_supported": "tests/features/test_authorize.py::test_form_post",
    "ui_locales_supported": "tests/i18n/test_language.py::test_the_request_says_it_first",
    "grant_types_supported": "tests/features/test_token.py::test_there_is_no_other_grant",
    "code_challenge_methods_supported": (
        "tests/features/test_pkce.py::test_no_code_without_an_s256_challenge"
    ),
    "token_endpoint_auth_methods_supported": (
        "tests/features/test_token.py::test_the_registered_method_and_no_other"
    ),
    "revocation_endpoint_auth_methods_supported": (
        "tests/features/test_revocation.py::test_a_confidential_client_has_to_prove_itself"
    ),
    "introspection_endpoint_auth_methods_supported": (
        "tests/features/test_introspection.py::test_a_public_client_may_not_ask"
    ),
    **dict.fromkeys(
        (
            "token_endpoint_auth_signing_alg_values_supported",
            "revocation_endpoint_auth_signing_alg_values_supported",
            "introspection_endpoint_auth_signing_alg_values_supported",
        ),
        "tests/features/test_private_key_jwt.py::test_a_client_signs_its_way_to_tokens_and_back",
    ),
    "introspection_signing_alg_values_supported": (
        "tests/features/test_introspection.py::test_a_signed_answer_for_who_asks_for_one"
    ),
    "userinfo_signing_alg_values_supported": (
        "tests/features/test_userinfo.py::test_signed_for_the_client_that_registered_it"
    ),
    "subject_types_supported": (
        "tests/features/test_openid.py::test_the_server_may_want_it_so_for_all"
    ),
    "id_token_signing_alg_values_supported": (
        "tests/features/test_openid.py::test_es256_for_the_client_that_chose_it"
    ),
    "claims_supported": "tests/features/test_openid.py::test_an_id_token_says_who_signed_in",
    "claim_types_supported": "tests/test_conformance.py::test_oidcc_claims_essential",
    "prompt_values_supported": (
        "tests/features/test_prompt.py::test_login_asks_again_and_auth_time_moves"
    ),
}


def test_every_value_that_is_said_has_a_test_that_uses_it(app: Flask) -> None:
    document = app.extensions["pkce"].metadata()
    assert {name for name, value in document.items() if isinstance(value, list)} == set(EXERCISED)
    root = Path(__file__).parent.parent.parent
    for test in EXERCISED.values():
        file, _, name = test.partition("::")
        assert f"def {name}(" in (root / file).read_text(), test


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("response_type", "token", "unsupported_response_type"),
        ("response_type", "id_token", "unsupported_response_type"),
        ("response_type", "code id_token", "unsupported_response_type"),
        ("response_mode", "cookie", "invalid_request"),
        ("response_mode", "jwt", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("scope", "openid admin", "invalid_scope"),
        ("prompt", "create", "invalid_request"),
        ("request", "x", "request_not_supported"),
        ("request_uri", "urn:x", "request_uri_not_supported"),
    ],
)
def test_what_is_not_said_does_not_work(pkce_flow: Flow, name: str, value: str, error: str) -> None:
    said = str(pkce_flow.server.metadata())
    assert f"'{value}'" not in said
    assert parameters_of(pkce_flow.authorize(**{name: value}))["error"] == error


@pytest.mark.parametrize(
    "grant_type",
    [
        "password",
        "implicit",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "urn:ietf:params:oauth:grant-type:token-exchange",
    ],
)
def test_a_grant_that_is_not_said_does_not_work(pkce_flow: Flow, grant_type: str) -> None:
    assert grant_type not in pkce_flow.server.metadata()["grant_types_supported"]
    answer = pkce_flow.post("token", {"grant_type": grant_type})
    assert answer.get_json()["error"] == "unsupported_grant_type"


#: Pages for people, and an image, that have no line in the metadata.
UNSAID = {"apps", "device", "device_qr"}


def test_every_endpoint_that_is_mounted_is_said() -> None:
    # Those of other products are found by their SDKs alone.
    server = make_app(PKCE_DIALECTS=[]).extensions["pkce"]
    said = {value for value in server.metadata().values() if isinstance(value, str)}
    mounted = {
        server.url_of(route.name)
        for route in server.routes.values()
        # What is linked to is not discovered.
        if not route.path.startswith("/.well-known/") and route.name not in UNSAID
    }
    assert mounted <= said
