"""Signing key: a key that signs ID tokens and other JWTs (RFC 7515, RFC 7517).

ES256 and RS256 keys exist side by side, each made when first needed. A key is *next* until
its `active_from`, then *active* until a younger key is, and then *retired*: still published,
until everything that it signed has expired. The state follows from generation and time alone
(`protocol/key_order.py`), so that workers agree on it without communicating. The private key
is encrypted with a key derived from the app's secret.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Identifier


class SigningKey(Base):
    """A stored key; if two workers make the same generation, only one key is stored."""

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
