"""Foreign secret: one that another product hashed, until its client shows it here.

Django hashes with PBKDF2, Doorkeeper may with bcrypt. Such a hash is slow on purpose, as
secrets of people have to be; once the client has shown the secret, the digest of our own
takes its place.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

from sqlalchemy import delete, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from .base import Base, Identifier, changed_rows
from .client import Client

#: No secret is longer; whoever sends more is refused before anything is computed.
MAX_SECRET = 1000
# What one wrong secret may cost: a few seconds of one core.
_MOST_ITERATIONS = 10_000_000
_MOST_ROUNDS = 15

_PBKDF2 = re.compile(r"pbkdf2_sha256\$([1-9][0-9]{0,7})\$([^$]{1,128})\$([A-Za-z0-9+/]{43}=)")
# The last letter of the salt has two bits in it.
_BCRYPT = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
# bcrypt reads no further; its newer releases raise where there is more.
_BCRYPT_READS = 72


class ForeignSecret(Base):
    """The hash of one client's secret, as it was exported."""

    __tablename__ = "pkce_foreign_secret"

    client_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    secret_hash: Mapped[str] = mapped_column(Identifier)


def why_unreadable(secret_hash: str) -> str | None:
    """Say why no secret can be checked against `secret_hash`; None if it can."""
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
    """Say whether `proof` is the secret that was hashed; it takes as long as that did."""
    shown = proof.encode()
    if not shown or len(shown) > MAX_SECRET or why_unreadable(secret_hash) is not None:
        return False
    pbkdf2 = _PBKDF2.fullmatch(secret_hash)
    if pbkdf2:
        iterations, salt, known = pbkdf2.groups()
        made = hashlib.pbkdf2_hmac("sha256", shown, salt.encode(), int(iterations))
        return hmac.compare_digest(base64.b64encode(made), known.encode())
    if b"\0" in shown:
        return False
    import bcrypt

    return bcrypt.checkpw(shown[:_BCRYPT_READS], secret_hash.encode())


def add(session: Session, client_id: str, secret_hash: str) -> None:
    """Keep `secret_hash` for a client that has no secret of ours."""
    session.add(ForeignSecret(client_id=client_id, secret_hash=secret_hash))


def find(session: Session, client_id: str) -> str | None:
    """Return the hash that is kept for a client."""
    row = session.get(ForeignSecret, client_id)
    return None if row is None else row.secret_hash


def upgrade(session: Session, client_id: str, secret_digest: bytes, now: int) -> bool:
    """Put our digest in the place of the hash; say whether it was still to be done.

    It is not where another request was first, or the client was given another secret.
    """
    statement = (
        update(Client)
        .where(Client.client_id == client_id, Client.secret_digest.is_(None))
        .values(secret_digest=secret_digest, secret_issued_at=now)
    )
    won = changed_rows(session, statement) == 1
    forget(session, client_id)
    return won


def forget(session: Session, client_id: str) -> None:
    """Delete the hash that is kept for a client."""
    session.execute(
        delete(ForeignSecret).where(ForeignSecret.client_id == client_id),
        execution_options={"synchronize_session": False},
    )


def _has_bcrypt() -> bool:
    try:
        import bcrypt  # noqa: F401 - is it there
    except ImportError:
        return False
    return True
