"""Clients that sign who they are (RFC 7523): their keys, and what they sign."""

from __future__ import annotations

import json
import secrets
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from flask import Flask

from flask_pkce_server.features.private_key_jwt import ALGORITHMS
from flask_pkce_server.testing import RegisteredClient, register, server_of
from flask_pkce_server.wire.handle import base64url

from .host import ISSUER

METHOD = "private_key_jwt"


class Signer:
    """A client's key; it signs by hand, so that it can do wrong as well."""

    def __init__(self, algorithm: str, kid: str = "1") -> None:
        self.algorithm, self.kid = algorithm, kid
        if algorithm == "ES256":
            self.key: Any = ec.generate_private_key(ec.SECP256R1())
            numbers = self.key.public_key().public_numbers()
            x, y = (base64url(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
            self.jwk = {"kty": "EC", "crv": "P-256", "x": x, "y": y}
        elif algorithm == "EdDSA":
            self.key = ed25519.Ed25519PrivateKey.generate()
            raw = self.key.public_key().public_bytes_raw()
            self.jwk = {"kty": "OKP", "crv": "Ed25519", "x": base64url(raw)}
        else:
            self.key = rsa.generate_private_key(65537, 2048)
            numbers = self.key.public_key().public_numbers()
            modulus = base64url(numbers.n.to_bytes(256, "big"))
            self.jwk = {"kty": "RSA", "n": modulus, "e": "AQAB"}
        self.jwk["kid"] = kid

    @property
    def jwks(self) -> dict[str, Any]:
        return {"keys": [self.jwk]}

    def sign(self, claims: Any, **header: Any) -> str:
        content = {"alg": self.algorithm, "kid": self.kid, "typ": "JWT", **header}
        content = {name: value for name, value in content.items() if value is not None}
        text = f"{encoded(content)}.{encoded(claims)}"
        return f"{text}.{base64url(self.signature(text.encode()))}"

    def signature(self, text: bytes) -> bytes:
        sha = hashes.SHA256()
        if self.algorithm == "ES256":
            r, s = utils.decode_dss_signature(self.key.sign(text, ec.ECDSA(sha)))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        if self.algorithm == "EdDSA":
            return self.key.sign(text)
        pss = padding.PSS(padding.MGF1(sha), 32)
        return self.key.sign(text, pss if self.algorithm == "PS256" else padding.PKCS1v15(), sha)


def encoded(content: Any) -> str:
    return base64url(content if isinstance(content, bytes) else json.dumps(content).encode())


def unsigned(header: Any, content: Any) -> str:
    return f"{encoded(header)}.{encoded(content)}."


SIGNERS = {algorithm: Signer(algorithm) for algorithm in ALGORITHMS}
SIGNER, OTHER = SIGNERS["ES256"], Signer("ES256", "2")


def registered(app: Flask, signer: Signer = SIGNER, **metadata: Any) -> RegisteredClient:
    metadata = metadata or {"jwks": signer.jwks}
    return register(app, auth_method=METHOD, client_metadata=metadata)


def claims(app: Flask, client_id: str, **changes: Any) -> dict[str, Any]:
    now = server_of(app).now()
    content = {
        "iss": client_id,
        "sub": client_id,
        "aud": ISSUER,
        "jti": secrets.token_hex(8),
        "iat": now,
        "exp": now + 60,
        **changes,
    }
    return {name: value for name, value in content.items() if value is not None}
