"""Signing key: what ID tokens and other JWTs are signed with (RFC 7515, RFC 7517).

ES256 and RS256 side by side, made when first needed. A key is *next* until its
`active_from`, *active* until a younger one is, and then *retired*: still published, until
all that it signed has expired. The times alone say which, so that workers agree without
a word. The private half is encrypted with a key that the app's secret gives.
"""

from __future__ import annotations

import functools
import json
import secrets
from base64 import urlsafe_b64decode
from binascii import b2a_base64
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, RSAKey
from sqlalchemy import LargeBinary, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from .base import Base, Identifier, Store

ALGORITHMS = ("RS256", "ES256")

#: Seconds for which a worker trusts what it last read; a rotation gives more notice.
_FRESH = 60
_LONGEST_JWT = 16384
_ECDSA = ec.ECDSA(hashes.SHA256())
_compact = json.JSONEncoder(separators=(",", ":")).encode
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class SigningKey(Base):
    """A stored key; of two workers that make the same generation, one wins."""

    __tablename__ = "pkce_signing_key"

    algorithm: Mapped[str] = mapped_column(Identifier, primary_key=True)
    generation: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kid: Mapped[str] = mapped_column(Identifier)
    public_jwk: Mapped[dict[str, Any]]
    #: PKCS #8, encrypted with AES-GCM; the first 12 bytes are the nonce.
    private_key: Mapped[bytes] = mapped_column(LargeBinary)
    issued_at: Mapped[int]
    active_from: Mapped[int]

    def __repr__(self) -> str:
        return f"<SigningKey {self.algorithm} {self.kid}>"


@dataclass(frozen=True)
class LoadedKey:
    """A key in memory: importing one costs more than a hundred signatures."""

    kid: str
    algorithm: str
    generation: int
    issued_at: int
    active_from: int
    public_jwk: Mapping[str, Any]
    public: Key
    #: None if it was encrypted with another secret: then it can verify and not sign.
    private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None

    @functools.cached_property
    def headers(self) -> dict[str, bytes]:
        """The encoded JWS header for each `typ`, made once."""
        return {}

    def sign(self, claims: Mapping[str, Any], typ: str) -> str:
        """Return `claims` as a signed JWT of the type `typ` (RFC 7515 3.1, 5.1).

        Written out here: JSON, base64url and one call of the primitive.
        """
        header = self.headers.get(typ)
        if header is None:
            content = {"alg": self.algorithm, "typ": typ, "kid": self.kid}
            header = self.headers[typ] = _base64url(_compact(content).encode()) + b"."
        signed = header + _base64url(_compact(claims).encode())
        if isinstance(self.private, ec.EllipticCurvePrivateKey):
            # RFC 7518 3.4: the two numbers, 32 bytes each, and not their DER.
            r, s = utils.decode_dss_signature(self.private.sign(signed, _ECDSA))
            signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        elif self.private is not None:
            signature = self.private.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        else:
            raise AssertionError("a key that this process cannot read")
        return (signed + b"." + _base64url(signature)).decode()


class KeyRing:
    """The keys of one app, as this process knows them.

    `secret` gives the 32 bytes that private halves are encrypted with, `clock` epoch
    seconds. `lead` is for how many seconds a new key is published before it signs,
    `keep` for how many an old one stays published afterwards.
    """

    def __init__(
        self,
        store: Store,
        *,
        secret: Callable[[], bytes],
        clock: Callable[[], int],
        lead: int,
        keep: int,
    ) -> None:
        self._store = store
        self._secret = secret
        self._clock = clock
        self._lead = lead
        self._keep = keep
        self._keys: dict[str, LoadedKey] = {}
        self._read_at: int | None = None

    def prepare(self, *, again: bool = False) -> None:
        """Read the keys if that was long ago or `again` is set; make those that are missing.

        Called before a unit of work that signs: signing itself asks no database.
        """
        now = self._clock()
        if again or self._read_at is None or not 0 <= now - self._read_at < _FRESH:
            self.read()
        missing = [name for name in ALGORITHMS if self._active(name, now) is None]
        if missing:
            self._make(missing, active_from=now)

    def sign(self, claims: Mapping[str, Any], algorithm: str, typ: str = "JWT") -> str:
        """Return `claims` as a JWT, signed with the active key; `prepare` comes first."""
        key = self._active(algorithm, self._clock())
        if key is None:
            raise AssertionError("KeyRing.prepare was not called")
        return key.sign(claims, typ)

    def verify(self, text: str, typ: Collection[str]) -> dict[str, Any] | None:
        """Return the claims of a JWT that one of these keys signed, else None.

        Only the signature and `typ` are looked at, not the times. The key is found by
        `kid`, and `alg` has to be the key's own: what else the header says counts for
        nothing (RFC 8725 3.1).
        """
        header = _header_of(text)
        kid, kind = header.get("kid"), header.get("typ")
        if not isinstance(kid, str) or not isinstance(kind, str) or kind.lower() not in typ:
            return None
        if kid not in self._keys:
            # Another worker may have rotated.
            self.read()
        key = self._keys.get(kid)
        if key is None or header.get("alg") != key.algorithm or "crit" in header:
            return None
        try:
            return dict(jwt.decode(text, key.public, algorithms=[key.algorithm]).claims)
        except (JoseError, ValueError, RecursionError):
            return None

    def published(self) -> list[dict[str, Any]]:
        """Return the JWKs of all keys that somebody may have to verify with (RFC 7517)."""
        self.prepare(again=True)
        now = self._clock()
        return [
            {**key.public_jwk, "kid": key.kid, "alg": key.algorithm, "use": "sig"}
            for key in self._keys.values()
            if not self._is_over(key, now)
        ]

    def listed(self) -> list[tuple[LoadedKey, str]]:
        """Return every stored key with its state: next, active or retired."""
        self.prepare(again=True)
        now = self._clock()
        return [(key, self._state(key, now)) for key in self._keys.values()]

    def unreadable(self) -> list[LoadedKey]:
        """Return the keys whose private half this process cannot read."""
        self.read()
        return [key for key in self._keys.values() if key.private is None]

    def rotate(self, *, compromised: bool = False) -> list[str]:
        """Publish a new key for each algorithm, to sign after the lead; return their kids.

        A rotation that is under way is not begun a second time: its keys are returned.
        If the keys are `compromised`, all of them are deleted, and the new ones sign at
        once; tokens that the old ones signed stop being good.
        """
        self.prepare(again=True)
        now = self._clock()
        if compromised:
            old = [key.kid for key in self._keys.values()]
            self._make(ALGORITHMS, active_from=now, replaced=old)
        else:
            waiting = {key.algorithm for key in self._keys.values() if key.active_from > now}
            self._make(set(ALGORITHMS) - waiting, active_from=now + self._lead)
        return [
            key.kid
            for key in self._keys.values()
            if key.active_from > now or (compromised and key.kid not in old)
        ]

    def prune(self, session: Session) -> int:
        """Delete the keys that nothing can be verified with any more; return how many."""
        now = self._clock()
        over = [key.kid for key in self._keys.values() if self._is_over(key, now)]
        if over:
            session.execute(delete(SigningKey).where(SigningKey.kid.in_(over)))
        return len(over)

    def read(self) -> None:
        """Read which keys there are; those that are known already are not imported again."""
        with self._store.reading() as session:
            rows = session.scalars(
                select(SigningKey).order_by(SigningKey.generation, SigningKey.algorithm)
            ).all()
        self._keys = {row.kid: self._keys.get(row.kid) or self._load(row) for row in rows}
        self._read_at = self._clock()

    def _make(
        self, algorithms: Iterable[str], *, active_from: int, replaced: Collection[str] = ()
    ) -> None:
        """Store a new generation for each of `algorithms`, unless another worker did."""
        made = {name: _new_private_key(name) for name in algorithms}
        known = {name: self._newest(name) for name in made}
        now, secret = self._clock(), self._secret()

        def work(session: Session) -> None:
            if replaced:
                session.execute(delete(SigningKey).where(SigningKey.kid.in_(replaced)))
            rows = session.scalars(select(SigningKey)).all()
            for name, private in made.items():
                newest = max((row.generation for row in rows if row.algorithm == name), default=0)
                if newest > known[name]:
                    continue
                session.add(
                    _row(private, name, known[name] + 1, secret, now=now, active_from=active_from)
                )

        self._store.write(work)
        self.read()

    def _newest(self, algorithm: str) -> int:
        return max(
            (key.generation for key in self._keys.values() if key.algorithm == algorithm),
            default=0,
        )

    def _active(self, algorithm: str, now: int) -> LoadedKey | None:
        """Return the youngest key that may sign and that this process can read."""
        fit = [
            key
            for key in self._keys.values()
            if key.algorithm == algorithm and key.active_from <= now and key.private is not None
        ]
        return max(fit, key=lambda key: (key.active_from, key.generation), default=None)

    def _retired_at(self, key: LoadedKey, now: int) -> int | None:
        """Return since when a younger key signs in the place of `key`, None if none does."""
        younger = [
            other.active_from
            for other in self._keys.values()
            if other.algorithm == key.algorithm
            and other.generation > key.generation
            and other.active_from <= now
        ]
        return min(younger, default=None)

    def _is_over(self, key: LoadedKey, now: int) -> bool:
        retired_at = self._retired_at(key, now)
        return retired_at is not None and retired_at + self._keep <= now

    def _state(self, key: LoadedKey, now: int) -> str:
        if key.active_from > now:
            return "next"
        return "active" if self._retired_at(key, now) is None else "retired"

    def _load(self, row: SigningKey) -> LoadedKey:
        private: Any = None
        try:
            der = AESGCM(self._secret()).decrypt(
                row.private_key[:12], row.private_key[12:], row.kid.encode()
            )
            private = serialization.load_der_private_key(der, None)
        except InvalidTag:
            pass  # Another secret. `prepare` makes a key of our own, doctor speaks of it.
        return LoadedKey(
            kid=row.kid,
            algorithm=row.algorithm,
            generation=row.generation,
            issued_at=row.issued_at,
            active_from=row.active_from,
            public_jwk=row.public_jwk,
            public=_kind(row.algorithm).import_key(row.public_jwk),
            private=private,
        )


def _kind(algorithm: str) -> type[ECKey] | type[RSAKey]:
    return ECKey if algorithm == "ES256" else RSAKey


def _new_private_key(algorithm: str) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _row(
    private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    algorithm: str,
    generation: int,
    secret: bytes,
    *,
    now: int,
    active_from: int,
) -> SigningKey:
    public = _kind(algorithm).import_key(
        private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    kid = public.thumbprint()
    der = private.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    nonce = secrets.token_bytes(12)
    return SigningKey(
        algorithm=algorithm,
        generation=generation,
        kid=kid,
        public_jwk=public.as_dict(private=False),
        # The kid is authenticated too: a private half cannot be put under another's name.
        private_key=nonce + AESGCM(secret).encrypt(nonce, der, kid.encode()),
        issued_at=now,
        active_from=active_from,
    )


def _header_of(text: str) -> dict[str, Any]:
    """Return the header of what may be a JWT; empty if it cannot be read."""
    if len(text) > _LONGEST_JWT or text.count(".") != 2 or not text.isascii():
        return {}
    encoded = text.partition(".")[0]
    try:
        header = json.loads(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (ValueError, RecursionError):
        return {}
    return header if isinstance(header, dict) else {}


def _base64url(data: bytes) -> bytes:
    return b2a_base64(data, newline=False).rstrip(b"=").translate(_URL_SAFE)
