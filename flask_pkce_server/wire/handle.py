"""Handle: what a client holds; the database holds only its digest.

A handle is a prefix that secret scanners know, 256 bits in base64url, and a checksum,
so that a mistyped or cut one is told from an unknown one without asking the database.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import zlib

CODE, ACCESS, REFRESH, DEVICE = "fpk_ac_", "fpk_at_", "fpk_rt_", "fpk_dc_"
#: RFC 7592 1.2: a registration access token.
REGISTRATION = "fpk_ra_"

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SHAPE = re.compile(r"(fpk_[a-z]{2}_[A-Za-z0-9_-]{43})([0-9A-Za-z]{6})")


def new_handle(prefix: str) -> str:
    """Make a random handle."""
    return _handle(prefix, secrets.token_bytes(32))


def derive_handle(prefix: str, key: bytes, parent: str) -> str:
    """Make the handle that follows from `parent`: the same one every time.

    A refresh that is repeated can so be given the same answer, though nothing of that
    answer was kept in clear.
    """
    return _handle(prefix, hmac.digest(key, f"{prefix}{parent}".encode(), "sha256"))


def is_handle(text: str, prefix: str = "fpk_") -> bool:
    """Say whether `text` is whole: its prefix, its length and its checksum are right."""
    match = _SHAPE.fullmatch(text)
    return bool(match and text.startswith(prefix) and match[2] == _checksum(match[1]))


def digest(text: str) -> bytes:
    """SHA-256 of a handle or a secret: 32 bytes.

    Enough for values of 256 random bits; a slow hash would only help an attacker who
    wants to keep the server busy.
    """
    return hashlib.sha256(text.encode()).digest()


def new_secret() -> str:
    """Make a client secret: 256 random bits, letters and digits only.

    Clients differ in whether they percent-encode the halves of Basic credentials; of
    letters and digits both readings are the same (RFC 6749 2.3.1).
    """
    return "fpkcs" + "".join([secrets.choice(_ALPHABET) for _ in range(43)])


def new_identifier() -> str:
    """Make an identifier of 128 random bits, letters and digits only."""
    return "".join([secrets.choice(_ALPHABET) for _ in range(22)])


def base64url(data: bytes) -> str:
    """Encode as RFC 7636 appendix A does: no padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _handle(prefix: str, data: bytes) -> str:
    body = prefix + base64url(data)
    return body + _checksum(body)


def _checksum(body: str) -> str:
    number, text = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, place = divmod(number, 62)
        text = _ALPHABET[place] + text
    return text
