"""Signing: the cost of signing an ID token, relative to the bare primitive.

python benchmarks/signing.py

The primitive is the signature that RFC 7518 requires over a text of the same length: one call
into OpenSSL and, for ES256, decoding the two integers from DER. The rest of the cost is JSON and
base64url.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

from flask_pkce_server.protocol import key_material
from flask_pkce_server.wire.jws import ALGORITHMS

CLAIMS = {
    "iss": "https://auth.example",
    "sub": "1",
    "aud": "5pVNbGq3XyT8mRkLw2ZcAh",
    "exp": 1800003600,
    "iat": 1800000000,
    "auth_time": 1799999000,
    "nonce": "n-0S6_WzA2MjQ3JlZnJlc2g",
    "at_hash": "77QmUPtjPfzWtF2AnpK9RQ",
    "sid": "rZ5tqkXJc1S2vHjZ0w8bNg",
}


def ratio(algorithm: str) -> float:
    """Return the time to sign a token divided by that of the primitive, and print both."""
    private = key_material.new_private_key(algorithm)
    key = key_material.LoadedKey("a" * 43, algorithm, 1, 0, 0, {}, None, private)
    text = key.sign(CLAIMS, "JWT").rpartition(".")[0].encode()

    def primitive() -> bytes:
        if isinstance(private, ec.EllipticCurvePrivateKey):
            r, s = utils.decode_dss_signature(private.sign(text, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return private.sign(text, padding.PKCS1v15(), hashes.SHA256())

    bare, whole = microseconds(primitive, lambda: key.sign(CLAIMS, "JWT"))
    print(f"{algorithm}: primitive {bare:.1f} us, token {whole:.1f} us, ratio {whole / bare:.2f}")
    return whole / bare


def microseconds(*functions: Callable[[], object]) -> list[float]:
    """Return the best time of each function in microseconds.

    The functions alternate, so that other load on the machine affects all of them.
    """
    best = [float("inf")] * len(functions)
    for _ in range(40):
        for index, function in enumerate(functions):
            best[index] = min(best[index], timeit.timeit(function, number=100) * 1e4)
    return best


if __name__ == "__main__":
    for name in ALGORITHMS:
        ratio(name)
