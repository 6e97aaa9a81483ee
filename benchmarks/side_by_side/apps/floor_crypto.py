"""What the floor computes: handles, digests, the S256 challenge and RS256 signatures."""

from __future__ import annotations

import json
import os
import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key


def base64url(data: bytes) -> str:
    """Encode bytes as RFC 7515 does."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def new_handle() -> str:
    """Return a random code or token of 256 bits."""
    return secrets.token_urlsafe(32)


def digest(handle: str) -> bytes:
    """Return what is stored of a handle."""
    return sha256(handle.encode()).digest()


def challenge_of(verifier: str) -> str:
    """Return the S256 code challenge of a verifier (RFC 7636 4.2)."""
    return base64url(digest(verifier))


_KEY = load_pem_private_key(os.environ["SIGNING_KEY"].encode(), None)
assert isinstance(_KEY, rsa.RSAPrivateKey)
_NUMBERS = _KEY.public_key().public_numbers()
_HEADER = base64url(b'{"alg":"RS256","kid":"1","typ":"JWT"}')
JWKS = json.dumps(
    {
        "keys": [
            {
                "kty": "RSA",
                "use": "sig",
                "alg": "RS256",
                "kid": "1",
                "n": base64url(_NUMBERS.n.to_bytes(256, "big")),
                "e": base64url(_NUMBERS.e.to_bytes(3, "big")),
            }
        ]
    }
).encode()


def id_token(
    issuer: str, subject: str, client_id: str, now: int, auth_time: int, nonce: str | None
) -> str:
    """Return a signed ID token (OpenID Connect Core 2)."""
    claims = {
        "iss": issuer,
        "sub": subject,
        "aud": client_id,
        "iat": now,
        "exp": now + 3600,
        "auth_time": auth_time,
    }
    if nonce is not None:
        claims["nonce"] = nonce
    text = f"{_HEADER}.{base64url(json.dumps(claims, separators=(',', ':')).encode())}"
    return f"{text}.{base64url(_KEY.sign(text.encode(), padding.PKCS1v15(), SHA256()))}"
