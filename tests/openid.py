"""What the tests of OpenID Connect share: read what was signed, as a client would."""

from __future__ import annotations

from typing import Any

from flask import Flask
from joserfc import jwt
from joserfc.jwk import KeySet

from flask_pkce_server.testing import Flow


def published(app: Flask) -> KeySet:
    """The JWKS as anybody reads it."""
    path = app.extensions["pkce"].paths["jwks"]
    return KeySet.import_key_set(app.test_client().get(path).get_json())


def read(app: Flask, text: str) -> dict[str, Any]:
    """The claims of a JWT, verified with the published keys."""
    return dict(jwt.decode(text, published(app), algorithms=["RS256", "ES256"]).claims)


def header(app: Flask, text: str) -> dict[str, Any]:
    """Its header."""
    return dict(jwt.decode(text, published(app), algorithms=["RS256", "ES256"]).header)


def id_token(flow: Flow, **changes: str | None) -> dict[str, Any]:
    """Go the whole way and return the claims of the ID token."""
    return read(flow.browser.application, flow.tokens(**changes)["id_token"])
