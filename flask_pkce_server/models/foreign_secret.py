"""Foreign secret: a client secret hashed by another product, until the client first uses it.

Django hashes with PBKDF2, and Doorkeeper can hash with bcrypt. These hashes are slow on
purpose, as passwords need them to be, and so are wrong secrets: they are counted. When the
client first presents its secret, this package's own digest replaces the hash.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

from sqlalchemy import delete, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from ..wire.network import networks_of
from .base import Base, Identifier, changed_rows
from .client import Client

#: Bytes of the longest secret; a longer one is refused before anything is computed.
MAX_SECRET = 1000
#: Wrong secrets within `guess.WINDOW` seconds from one sender, and for one client. One sender
#: alone must not keep the client out.
WRONG_OF_SENDER = 10
WRONG_OF_CLIENT = 50
# One wrong secret may cost about a second of one core, no more.
_MOST_ITERATIONS = 2_000_000
_MOST_ROUNDS = 14

_PBKDF2 = re.compile(r"pbkdf2_sha256\$([1-9][0-9]{0,7})\$([^$]{1,128})\$([A-Za-z0-9+/]{43}=)")
# The last character of the salt holds only two bits.
_BCRYPT = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
# bcrypt ignores further bytes; its newer releases raise an error instead.
_BCRYPT_READS = 72


class ForeignSecret(Base):
    """The hash of one client's secret, as the other product exported it."""

    __tablename__ = "pkce_foreign_secret"

    client_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    secret_hash: Mapped[str] = mapped_column(Identifier)


def why_unreadable(secret_hash: str) -> str | None:
    """Return why no secret can be checked against `secret_hash`; None if one can."""
    pbkdf2, bcrypt = _PBKDF2.fullmatch(secret_hash), _BCRYPT.fullmatch(secret_hash)
    if pbkdf2 and int(pbkdf2[1]) > _MOST_ITERATIONS:
        return f"It is hashed {pbkdf2[1]} times; {_MOST_ITERATIONS} is the most here."
    if bcrypt and not 4 <= int(bcrypt[1]) <= _MOST_ROUNDS:
        return f"It is hashed by bcrypt at cost {bcrypt[1]}; 4 to {_MOST_ROUNDS} is read here."
    if bcrypt and not _has_bcrypt():
        return "It is hashed by bcrypt. To read that: pip install 'Flask-PKCE-Server[import]'"
    if pbkdf2 or bcrypt:
        return None
    return "It is hashed by something else than pbkdf2_sha256 or bcrypt."


def fits(secret_hash: str, proof: str) -> bool:
    """Return whether `proof` is the hashed secret; as slow as the original hashing."""
    secret = proof.encode()
    if not secret or len(secret) > MAX_SECRET or why_unreadable(secret_hash) is not None:
        return False
    pbkdf2 = _PBKDF2.fullmatch(secret_hash)
    if pbkdf2:
        iterations, salt, expected = pbkdf2.groups()
        computed = hashlib.pbkdf2_hmac("sha256", secret, salt.encode(), int(iterations))
        return hmac.compare_digest(base64.b64encode(computed), expected.encode())
    if b"\0" in secret:
        return False
    import bcrypt

    return bcrypt.checkpw(secret[:_BCRYPT_READS], secret_hash.encode())


def limits_of(client_id: str, address: str) -> dict[str, int]:
    """Return how many wrong secrets may come, by name, for `guess.take`."""
    return {
        f"foreign secret of {client_id}": WRONG_OF_CLIENT,
        **{
            f"foreign secret from {name}": WRONG_OF_SENDER * times
            for name, times in networks_of(address).items()
        },
    }


def add(session: Session, client_id: str, secret_hash: str) -> None:
    """Store `secret_hash` for a client without a secret digest."""
    session.add(ForeignSecret(client_id=client_id, secret_hash=secret_hash))


def find(session: Session, client_id: str) -> str | None:
    """Return the stored hash of a client, or None."""
    row = session.get(ForeignSecret, client_id)
    return None if row is None else row.secret_hash


def upgrade(session: Session, client_id: str, secret_digest: bytes, now: int) -> bool:
    """Replace the hash with `secret_digest`; return whether the client's row changed.

    It does not if another request was faster, or if the client has a new secret.
    """
    statement = (
        update(Client)
        .where(Client.client_id == client_id, Client.secret_digest.is_(None))
        .values(secret_digest=secret_digest, secret_issued_at=now)
    )
    upgraded = changed_rows(session, statement) == 1
    forget(session, client_id)
    return upgraded


def forget(session: Session, client_id: str) -> None:
    """Delete the stored hash of a client."""
    session.execute(
        delete(ForeignSecret).where(ForeignSecret.client_id == client_id),
        execution_options={"synchronize_session": False},
    )


def _has_bcrypt() -> bool:
    try:
        import bcrypt  # noqa: F401 - only to see whether it is installed
    except ImportError:
        return False
    return True
