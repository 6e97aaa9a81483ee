"""Handle: the text of a code or token that a client holds; the database holds its digest.

A handle consists of a prefix that secret scanners recognize, 256 bits in base64url, and a
checksum, which reveals a mistyped or truncated handle without a database query.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import zlib
from typing import Any

CODE, ACCESS, REFRESH, DEVICE = "fpk_ac_", "fpk_at_", "fpk_rt_", "fpk_dc_"
#: RFC 7592 1.2: a registration access token.
REGISTRATION = "fpk_ra_"

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#: A byte as a letter; the bytes that would make some letters more likely are left out.
_LETTERS = bytes(ord(_ALPHABET[byte % 62]) for byte in range(256))
_UNEVEN = bytes(range(248, 256))
_IDENTIFIER_LENGTH = 22
_SHAPE = re.compile(r"(fpk_[a-z]{2}_[A-Za-z0-9_-]{43})([0-9A-Za-z]{6})")


def new_handle(prefix: str) -> str:
    """Generate a random handle."""
    return _handle(prefix, secrets.token_bytes(32))


def derive_handle(prefix: str, key: bytes, parent: str) -> str:
    """Derive a handle from `parent`, always the same one.

    This way, a repeated refresh gets the same answer, although no part of the answer is stored
    in clear text.
    """
    return _handle(prefix, hmac.digest(key, f"{prefix}{parent}".encode(), "sha256"))


def is_handle(text: str, prefix: str = "fpk_") -> bool:
    """Return whether the prefix, the length and the checksum of `text` are right."""
    match = _SHAPE.fullmatch(text)
    return bool(match and text.startswith(prefix) and match[2] == _checksum(match[1]))


def digest(text: str) -> bytes:
    """Return the SHA-256 digest of a handle or a secret: 32 bytes.

    It suffices for values with 256 random bits. A slow hash would only help an attacker to
    overload the server.
    """
    return hashlib.sha256(text.encode()).digest()


def is_client_id(value: Any) -> bool:
    """Return whether `value` can be a client_id: printable ASCII (RFC 6749 A.1)."""
    return isinstance(value, str) and value.isascii() and value.isprintable()


def new_secret() -> str:
    """Generate a client secret: 256 random bits, letters and digits only.

    Not all clients percent-encode the two halves of Basic credentials (RFC 6749 2.3.1);
    letters and digits stay the same either way.
    """
    return "fpkcs" + "".join([secrets.choice(_ALPHABET) for _ in range(43)])


def new_identifier() -> str:
    """Generate an identifier of 128 random bits, letters and digits only."""
    text = b""
    while len(text) < _IDENTIFIER_LENGTH:
        text += secrets.token_bytes(32).translate(_LETTERS, _UNEVEN)
    return text[:_IDENTIFIER_LENGTH].decode()


def base64url(data: bytes) -> str:
    """Encode `data` as base64url without padding (RFC 7636 appendix A)."""
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
