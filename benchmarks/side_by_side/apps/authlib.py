"""The server that Authlib's documentation describes, with PKCE required."""

from __future__ import annotations

import os
import time
from typing import Any

from authlib.integrations.flask_oauth2 import current_token
from authlib.oauth2 import OAuth2Error
from flask import Flask, redirect, request, session
from joserfc.jwk import KeySet

from .authlib_grants import ISSUER, KEY, register_grants, require_oauth, server
from .authlib_models import User, db
from .discovery import metadata


def create_app() -> Flask:
    """Return the app."""
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=os.environ["SECRET_KEY"],
        SQLALCHEMY_DATABASE_URI=os.environ["DATABASE"],
        OAUTH2_REFRESH_TOKEN_GENERATOR=True,
        OAUTH2_SCOPES_SUPPORTED=["openid", "profile", "offline_access"],
    )
    db.init_app(app)
    server.init_app(app)
    register_grants()
    app.add_url_rule("/login", view_func=login, methods=["GET", "POST"])
    app.add_url_rule("/authorize", view_func=authorize)
    app.add_url_rule("/token", view_func=issue_token, methods=["POST"])
    app.add_url_rule("/introspect", view_func=introspect_token, methods=["POST"])
    app.add_url_rule("/userinfo", view_func=userinfo)
    app.add_url_rule("/api/me", view_func=me)
    app.add_url_rule("/.well-known/openid-configuration", view_func=openid_configuration)
    app.add_url_rule("/jwks", view_func=jwks)
    return app


def login() -> Any:
    """Sign the user in."""
    if request.method == "GET":
        return '<form method="post"><input name="username"><input name="password"></form>'
    user = User.query.filter_by(username=request.form["username"]).first()
    if user is None or user.password != request.form["password"]:
        return "Wrong username or password.", 401
    session["id"] = user.id
    session["at"] = int(time.time())
    return redirect("/")


def authorize() -> Any:
    """Issue a code; the user is not asked."""
    user = db.session.get(User, session["id"]) if "id" in session else None
    if user is None:
        return redirect("/login")
    try:
        grant = server.get_consent_grant(end_user=user)
    except OAuth2Error as error:
        return server.handle_error_response(request, error)
    return server.create_authorization_response(grant_user=user, grant=grant)


def issue_token() -> Any:
    """Answer a client that has a code or a refresh token."""
    return server.create_token_response()


def introspect_token() -> Any:
    """Tell a resource server about a token."""
    return server.create_endpoint_response("introspection")


def userinfo() -> Any:
    """Return the claims of the token's user."""
    return server.create_endpoint_response("userinfo")


@require_oauth("profile")  # type: ignore[untyped-decorator] # Authlib has no types
def me() -> dict[str, Any]:
    """Return the profile of the token's user."""
    user = current_token.user
    return {"username": user.username, "name": user.name, "email": user.email}


def openid_configuration() -> dict[str, Any]:
    """Return the metadata."""
    return metadata(ISSUER)


def jwks() -> Any:
    """Return the public key."""
    return KeySet([KEY]).as_dict(private=False)
