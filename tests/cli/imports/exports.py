"""What other products export, and what is asked about an import of it."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from flask import Flask
from sqlalchemy import func, select

from flask_pkce_server.models.client import Client
from flask_pkce_server.testing import RegisteredClient, server_of

URI = "https://shop.example/callback"


SECRET = "a-secret-that-nobody-guesses-0123456789"


DAY = 86400


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


def subjects(app: Flask) -> dict[str, str]:
    with app.app_context():
        return {
            user.username: str(user.id) for user in app.db.session.scalars(app.db.select(app.User))
        }
