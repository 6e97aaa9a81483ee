"""JWK: the public keys that clients sign with (RFC 7517, RFC 7518 3).

A separate module, so that `cryptography` is imported only when a client signs something.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from .jws import _decode

#: Keys of one set that are tried.
MAX_KEYS = 20

# No HMAC: a public key must never be read as a secret.
_TYPES = {"PS256": "RSA", "RS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
_SECRET = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
_SHA256 = hashes.SHA256()


class UnfitKey(ValueError):
    """The value is not a JWK Set, or it contains a key that it must not contain."""


def check_set(jwks: Any) -> None:
    """Check that `jwks` is a set of public keys (RFC 7517 5); raises `UnfitKey`."""
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(keys, list) or not 1 <= len(keys) <= MAX_KEYS:
        raise UnfitKey(f"A JWK Set has a list `keys` of 1 to {MAX_KEYS} keys.")
    for key in keys:
        if not isinstance(key, dict):
            raise UnfitKey("A key of the set is not a JWK.")
        if key.get("kty") == "oct" or _SECRET & key.keys():
            raise UnfitKey("The set has a private key or a secret in it; send the public ones.")
    if not any(_load(key, alg) for key in keys for alg in _TYPES):
        raise UnfitKey(
            "No key of the set can be used: RSA of 2048 to 4096 bits, EC P-256 or Ed25519."
        )


def verifies(
    keys: Iterable[Any], algorithm: str, kid: str | None, signed: bytes, signature: bytes
) -> bool:
    """Return whether one of the JWKs `keys` verifies `signature` over the bytes `signed`.

    With a `kid`, only keys with that `kid` are tried. The key's `kty`, `alg`, `use` and
    `key_ops` have to allow `algorithm`.
    """
    for jwk in list(keys)[:MAX_KEYS]:
        if not isinstance(jwk, dict) or (kid is not None and jwk.get("kid") != kid):
            continue
        key = _load(jwk, algorithm)
        if key is not None and _fits(key, algorithm, signed, signature):
            return True
    return False


def _fits(key: Any, algorithm: str, signed: bytes, signature: bytes) -> bool:
    try:
        if algorithm == "EdDSA":
            key.verify(signature, signed)
        elif algorithm == "RS256":
            key.verify(signature, signed, padding.PKCS1v15(), _SHA256)
        elif algorithm == "PS256":
            # RFC 7518 3.5: a salt as long as the hash.
            key.verify(signature, signed, padding.PSS(padding.MGF1(_SHA256), 32), _SHA256)
        elif len(signature) == 64:
            r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
            key.verify(utils.encode_dss_signature(r, s), signed, ec.ECDSA(_SHA256))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _load(jwk: Mapping[str, Any], algorithm: str) -> Any:
    """Return the public key in `jwk`, or None if it is not usable with `algorithm`."""
    if jwk.get("kty") != _TYPES[algorithm] or jwk.get("alg", algorithm) != algorithm:
        return None
    if jwk.get("use", "sig") != "sig":
        return None
    try:
        if "verify" not in jwk.get("key_ops", ["verify"]):
            return None
        if algorithm in ("RS256", "PS256"):
            exponent, modulus = _number(jwk["e"]), _number(jwk["n"])
            # Larger keys take longer to verify, and anybody can make the server try one.
            if not 2048 <= modulus.bit_length() <= 4096 or exponent.bit_length() > 32:
                return None
            return rsa.RSAPublicNumbers(exponent, modulus).public_key()
        if algorithm == "EdDSA" and jwk["crv"] == "Ed25519":
            return ed25519.Ed25519PublicKey.from_public_bytes(_decode(jwk["x"]))
        if algorithm == "ES256" and jwk["crv"] == "P-256":
            point = ec.EllipticCurvePublicNumbers(
                _number(jwk["x"]), _number(jwk["y"]), ec.SECP256R1()
            )
            return point.public_key()
    except (KeyError, TypeError, ValueError):
        pass
    return None


def _number(text: Any) -> int:
    return int.from_bytes(_decode(text), "big")
