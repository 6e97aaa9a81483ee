"""A separate API that verifies the notes app's tokens with nothing but its JWKS.

It runs in another process, has no database and no secret, and reads only the metadata and the
keys of the authorization server. With the demo running:

    flask --app example_app/resource_server.py run --port 5002

Its access tokens have the scope `calendar:read`. They are JWTs whose audience is this API.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any
from urllib.request import urlopen

from flask import Flask, Response, jsonify, request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

ISSUER = os.environ.get("ISSUER", "http://127.0.0.1:5000/")
AUDIENCE = os.environ.get("AUDIENCE", "http://127.0.0.1:5002")
#: Seconds for which the keys are cached. A new key is published well before it signs.
KEEP = 3600

app = Flask(__name__)
#: RFC 9068 4: check the issuer, the audience, the times and the subject.
registry = jwt.JWTClaimsRegistry(
    iss={"essential": True, "value": ISSUER},
    aud={"essential": True, "value": AUDIENCE},
    exp={"essential": True},
    sub={"essential": True},
)
_keys: tuple[float, KeySet] | None = None


def keys() -> KeySet:
    """Return the issuer's keys, and read them again if they are older than `KEEP`."""
    global _keys
    if _keys is None or _keys[0] + KEEP < time.time():
        # RFC 8414 3.1: without the slash that an issuer may end with.
        metadata = _read(ISSUER.rstrip("/") + "/.well-known/oauth-authorization-server")
        _keys = time.time(), KeySet.import_key_set(_read(metadata["jwks_uri"]))
    return _keys[1]


def _read(url: str) -> Any:
    with urlopen(url, timeout=10) as answer:  # noqa: S310 - a URL of the configured issuer
        return json.load(answer)


def claims_of(text: str) -> dict[str, Any] | None:
    """Return the claims of an access token, or None if it is not valid for this API."""
    try:
        token = jwt.decode(text, keys(), algorithms=["RS256", "ES256"])
        registry.validate(token.claims)
    except (JoseError, ValueError):
        return None
    # ID tokens are signed with the same keys: refuse them (RFC 9068 4).
    return dict(token.claims) if token.header.get("typ") == "at+jwt" else None


def is_of_user(claims: dict[str, Any]) -> bool:
    """Say whether `sub` is a user.

    In the token of a client that acts for itself it is the client_id, which may look like the
    number of a user (RFC 9068 5).
    """
    return claims.get("grant_type") != "client_credentials"


@app.get("/calendar")
def calendar() -> tuple[Response, int] | Response:
    """Return the calendar of the token's user."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    claims = claims_of(text) if scheme.lower() == "bearer" else None
    if claims is None:
        answer = jsonify(error="invalid_token")
        answer.headers["WWW-Authenticate"] = 'Bearer scope="calendar:read"'
        return answer, 401
    if not is_of_user(claims) or "calendar:read" not in claims.get("scope", "").split():
        return jsonify(error="insufficient_scope"), 403
    return jsonify(subject=claims["sub"], through=claims["client_id"], events=["Fern: water it"])
