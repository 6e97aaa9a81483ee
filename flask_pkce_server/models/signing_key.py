"""Signing key: what ID tokens and other JWTs are signed with (RFC 7515, RFC 7517).

ES256 and RS256 side by side, made when first needed. A key is *next* until its
`active_from`, *active* until a younger one is, and then *retired*: still published, until
all that it signed has expired. The times alone say which, so that workers agree without
a word. The private half is encrypted with a key that the app's secret gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Identifier

if TYPE_CHECKING:
    pass


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
