"""The discovery room: RFC 8414."""

from __future__ import annotations

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from flask import Flask

from ..host import make_app

NAMES = ["oauth-authorization-server", "openid-configuration"]


@pytest.mark.parametrize("name", NAMES)
def test_both_well_known_names_give_the_same_document(app: Flask, name: str) -> None:
    answer = app.test_client().get(f"/.well-known/{name}")
    assert answer.status_code == 200
    assert answer.mimetype == "application/json"
    assert answer.get_json() == app.extensions["pkce"].metadata()


def test_the_document_is_valid_by_authlibs_reading_of_rfc_8414(app: Flask) -> None:
    AuthorizationServerMetadata(app.extensions["pkce"].metadata()).validate()


def test_what_is_said_is_what_there_is(app: Flask) -> None:
    document = app.extensions["pkce"].metadata()
    assert document == {
        "issuer": "https://auth.example",
        "authorization_endpoint": "https://auth.example/oauth/authorize",
        "token_endpoint": "https://auth.example/oauth/token",
        "revocation_endpoint": "https://auth.example/oauth/revoke",
        "scopes_supported": [
            *["profile", "notes:read", "notes:write", "offline_access"],
            *["openid", "email", "address", "phone"],
        ],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": [
            "none",
            "client_secret_basic",
            "client_secret_post",
        ],
        "revocation_endpoint_auth_methods_supported": [
            "none",
            "client_secret_basic",
            "client_secret_post",
        ],
        "authorization_response_iss_parameter_supported": True,
        "jwks_uri": "https://auth.example/oauth/jwks",
        "userinfo_endpoint": "https://auth.example/oauth/userinfo",
        "userinfo_signing_alg_values_supported": ["RS256", "ES256"],
        "introspection_endpoint": "https://auth.example/oauth/introspect",
        "introspection_endpoint_auth_methods_supported": [
            "client_secret_basic",
            "client_secret_post",
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
