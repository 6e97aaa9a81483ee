"""The tables of Authlib's server: its SQLAlchemy mixins on Flask-SQLAlchemy, with a user."""

from __future__ import annotations

import time

from authlib.integrations.sqla_oauth2 import (
    OAuth2AuthorizationCodeMixin,
    OAuth2ClientMixin,
    OAuth2TokenMixin,
)
from flask_sqlalchemy import SQLAlchemy

db = SQLAlchemy()


class User(db.Model):
    """A user."""

    id = db.Column(db.Integer, primary_key=True)
    username = db.Column(db.String(40), unique=True)
    password = db.Column(db.String(80))
    name = db.Column(db.String(80))
    email = db.Column(db.String(80))

    def get_user_id(self) -> int:
        """Return what tokens store of the user."""
        return self.id


class OAuth2Client(db.Model, OAuth2ClientMixin):
    """A client."""

    __tablename__ = "oauth2_client"

    id = db.Column(db.Integer, primary_key=True)


class OAuth2AuthorizationCode(db.Model, OAuth2AuthorizationCodeMixin):
    """A code."""

    __tablename__ = "oauth2_code"

    id = db.Column(db.Integer, primary_key=True)
    user_id = db.Column(db.Integer, db.ForeignKey("user.id", ondelete="CASCADE"))
    user = db.relationship("User")


class OAuth2Token(db.Model, OAuth2TokenMixin):
    """An access token and its refresh token."""

    __tablename__ = "oauth2_token"

    id = db.Column(db.Integer, primary_key=True)
    user_id = db.Column(db.Integer, db.ForeignKey("user.id", ondelete="CASCADE"))
    user = db.relationship("User")

    def get_client(self) -> OAuth2Client | None:
        """Return the client, which userinfo asks for."""
        return OAuth2Client.query.filter_by(client_id=self.client_id).first()

    def get_user(self) -> User:
        """Return the user."""
        return self.user

    def is_refresh_token_active(self) -> bool:
        """Say whether the refresh token may still be used: for thirty days, once."""
        if self.refresh_token_revoked_at:
            return False
        return self.issued_at + 30 * 86400 > time.time()
