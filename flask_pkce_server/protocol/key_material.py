"""Key material: the cryptography of signing keys (RFC 7515, RFC 7517, RFC 7518).

A separate module, imported only when the first key is needed: its libraries take as long to
import as the rest of this package.
"""

from __future__ import annotations

import functools
import json
import secrets
from binascii import b2a_base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, RSAKey

if TYPE_CHECKING:
    from ..models.signing_key import SigningKey

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_ECDSA = ec.ECDSA(hashes.SHA256())
_compact = json.JSONEncoder(separators=(",", ":")).encode
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


@dataclass(frozen=True)
class LoadedKey:
    """A key in memory, cached because importing a key costs more than a hundred signatures."""

    kid: str
    algorithm: str
    generation: int
    issued_at: int
    active_from: int
    public_jwk: Mapping[str, Any]
    public: Key
    #: None if it was encrypted with another secret: the key can then verify but not sign.
    private: PrivateKey | None
    #: The private key as it is stored.
    encrypted: bytes = field(repr=False)
    #: Whether it was encrypted with an earlier secret.
    is_outdated: bool

    @functools.cached_property
    def headers(self) -> dict[str, bytes]:
        """A cache of the encoded JWS header for each `typ`."""
        return {}

    def sign(self, claims: Mapping[str, Any], typ: str) -> str:
        """Return `claims` as a signed JWT of the type `typ` (RFC 7515 3.1, 5.1).

        Implemented directly, with JSON, base64url and one call of the primitive.
        """
        header = self.headers.get(typ)
        if header is None:
            content = {"alg": self.algorithm, "typ": typ, "kid": self.kid}
            header = self.headers[typ] = _base64url(_compact(content).encode()) + b"."
        signed = header + _base64url(_compact(claims).encode())
        if isinstance(self.private, ec.EllipticCurvePrivateKey):
            # RFC 7518 3.4: the two numbers as 32 bytes each, not as DER.
            r, s = utils.decode_dss_signature(self.private.sign(signed, _ECDSA))
            signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        elif self.private is not None:
            signature = self.private.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        else:
            raise AssertionError("a key that this process cannot read")
        return (signed + b"." + _base64url(signature)).decode()

    def verify(self, text: str) -> dict[str, Any] | None:
        """Return the claims of `text` if it is a JWT signed with this key, else None."""
        try:
            return dict(jwt.decode(text, self.public, algorithms=[self.algorithm]).claims)
        except (JoseError, ValueError, RecursionError):
            return None


def new_private_key(algorithm: str) -> PrivateKey:
    """Generate a key for `algorithm`: P-256 for ES256, 2048-bit RSA for RS256."""
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def stored(private: PrivateKey, algorithm: str, secret: bytes) -> dict[str, Any]:
    """Return the columns of a key: `kid`, `public_jwk` and the encrypted `private_key`.

    `secret` are the 32 bytes that it is encrypted with.
    """
    public = _kind(algorithm).import_key(
        private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    kid = public.thumbprint()
    return {
        "kid": kid,
        "public_jwk": public.as_dict(private=False),
        "private_key": encrypt(private, kid, secret),
    }


def encrypt(private: PrivateKey, kid: str, secret: bytes) -> bytes:
    """Return `private` encrypted with the 32 bytes of `secret`, to be stored under `kid`."""
    der = private.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    nonce = secrets.token_bytes(12)
    # The kid is authenticated too, so a private key cannot be stored under another kid.
    return nonce + AESGCM(secret).encrypt(nonce, der, kid.encode())


def load(row: SigningKey, accepted: Sequence[bytes]) -> LoadedKey:
    """Return the key of `row`, without its private key if no secret decrypts it.

    `accepted` are the secrets, the current one last.
    """
    private: Any = None
    is_outdated = False
    nonce, ciphertext = row.private_key[:12], row.private_key[12:]
    for secret in reversed(accepted):
        try:
            der = AESGCM(secret).decrypt(nonce, ciphertext, row.kid.encode())
        except InvalidTag:
            # If all fail, KeyRing.prepare makes a new key, and `flask pkce doctor` reports it.
            continue
        # We encrypted this key ourselves. Validating its primes again would take 20 ms.
        private = serialization.load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
        is_outdated = secret != accepted[-1]
        break
    return LoadedKey(
        kid=row.kid,
        algorithm=row.algorithm,
        generation=row.generation,
        issued_at=row.issued_at,
        active_from=row.active_from,
        public_jwk=row.public_jwk,
        public=_kind(row.algorithm).import_key(row.public_jwk),
        private=private,
        encrypted=row.private_key,
        is_outdated=is_outdated,
    )


def _kind(algorithm: str) -> type[ECKey] | type[RSAKey]:
    return ECKey if algorithm == "ES256" else RSAKey


def _base64url(data: bytes) -> bytes:
    return b2a_base64(data, newline=False).rstrip(b"=").translate(_URL_SAFE)
