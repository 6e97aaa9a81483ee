"""The grants and endpoints of Authlib's server, filled in as its documentation says."""

from __future__ import annotations

import os
import time
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector
from authlib.integrations.sqla_oauth2 import (
    create_bearer_token_validator,
    create_query_client_func,
    create_query_token_func,
    create_save_token_func,
)
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from authlib.oidc.core import UserInfo, UserInfoEndpoint
from authlib.oidc.core.grants import OpenIDCode
from joserfc.jwk import RSAKey

from .authlib_models import OAuth2AuthorizationCode, OAuth2Client, OAuth2Token, User, db

ISSUER = "http://127.0.0.1:5000"
KEY = RSAKey.import_key(os.environ["SIGNING_KEY"], {"kid": "1", "use": "sig", "alg": "RS256"})

server = AuthorizationServer(
    query_client=create_query_client_func(db.session, OAuth2Client),
    save_token=create_save_token_func(db.session, OAuth2Token),
)
require_oauth = ResourceProtector()


class AuthorizationCodeGrant(grants.AuthorizationCodeGrant):
    """Codes are rows, deleted when they are redeemed."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("none", "client_secret_basic", "client_secret_post")

    def save_authorization_code(self, code: str, request: Any) -> OAuth2AuthorizationCode:
        data = request.payload.data
        authorization_code = OAuth2AuthorizationCode(
            code=code,
            client_id=request.client.client_id,
            redirect_uri=request.payload.redirect_uri,
            scope=request.payload.scope,
            user_id=request.user.id,
            nonce=data.get("nonce"),
            code_challenge=data.get("code_challenge"),
            code_challenge_method=data.get("code_challenge_method"),
        )
        db.session.add(authorization_code)
        db.session.commit()
        return authorization_code

    def query_authorization_code(self, code: str, client: OAuth2Client) -> Any:
        found = OAuth2AuthorizationCode.query.filter_by(
            code=code, client_id=client.client_id
        ).first()
        return found if found is not None and not found.is_expired() else None

    def delete_authorization_code(self, authorization_code: OAuth2AuthorizationCode) -> None:
        db.session.delete(authorization_code)
        db.session.commit()

    def authenticate_user(self, authorization_code: OAuth2AuthorizationCode) -> Any:
        return db.session.get(User, authorization_code.user_id)


class RefreshTokenGrant(grants.RefreshTokenGrant):
    """A refresh token is replaced when it is used."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("none", "client_secret_basic", "client_secret_post")
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> Any:
        token = OAuth2Token.query.filter_by(refresh_token=refresh_token).first()
        return token if token is not None and token.is_refresh_token_active() else None

    def authenticate_user(self, credential: OAuth2Token) -> Any:
        return db.session.get(User, credential.user_id)

    def revoke_old_credential(self, credential: OAuth2Token) -> None:
        credential.access_token_revoked_at = credential.refresh_token_revoked_at = int(time.time())
        db.session.add(credential)
        db.session.commit()


class OpenID(OpenIDCode):
    """ID tokens."""

    def exists_nonce(self, nonce: str, request: Any) -> bool:
        found = OAuth2AuthorizationCode.query.filter_by(
            client_id=request.payload.client_id, nonce=nonce
        ).first()
        return found is not None

    def resolve_client_private_key(self, client: OAuth2Client) -> RSAKey:
        return KEY

    def get_client_algorithm(self, client: OAuth2Client) -> str:
        return "RS256"

    def get_client_claims(self, client: OAuth2Client) -> dict[str, Any]:
        now = int(time.time())
        return {"iss": ISSUER, "aud": [client.client_id], "iat": now, "exp": now + 3600}

    def generate_user_info(self, user: User, scope: str) -> UserInfo:
        return user_info(user, scope)


class Introspection(IntrospectionEndpoint):
    """Any client with a secret may ask about any token."""

    CLIENT_AUTH_METHODS = ("client_secret_basic",)

    def query_token(self, token_string: str, token_type_hint: str | None) -> Any:
        return create_query_token_func(db.session, OAuth2Token)(token_string, token_type_hint)

    def check_permission(self, token: Any, client: Any, request: Any) -> bool:
        return True

    def introspect_token(self, token: OAuth2Token) -> dict[str, Any]:
        return {
            "active": not token.is_expired() and not token.is_revoked(),
            "client_id": token.client_id,
            "token_type": token.token_type,
            "scope": token.get_scope(),
            "sub": str(token.user_id),
            "iss": ISSUER,
            "exp": token.issued_at + token.expires_in,
            "iat": token.issued_at,
        }


class ClaimsOfUser(UserInfoEndpoint):
    """Userinfo."""

    def generate_user_info(self, user: User, scope: str) -> UserInfo:
        return user_info(user, scope).filter(scope)


def user_info(user: User, scope: str) -> UserInfo:
    """Return the claims of a user."""
    return UserInfo(sub=str(user.id), name=user.name, preferred_username=user.username)


def register_grants() -> None:
    """Register the grants, the endpoints and the validator of access tokens."""
    server.register_grant(AuthorizationCodeGrant, [OpenID(), CodeChallenge(required=True)])
    server.register_grant(RefreshTokenGrant)
    server.register_endpoint(Introspection)
    require_oauth.register_token_validator(create_bearer_token_validator(db.session, OAuth2Token)())
    server.register_endpoint(ClaimsOfUser(resource_protector=require_oauth))
