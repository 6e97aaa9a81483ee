"""JWS: the parts of a signed JWT, parsed but not yet verified (RFC 7515)."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from typing import Any

ALGORITHMS = ("RS256", "ES256")
_MAX_JWT = 16384


def header_of(text: str) -> dict[str, Any]:
    """Return the header of the possible JWT `text`; empty if it is unreadable."""
    if len(text) > _MAX_JWT or text.count(".") != 2 or not text.isascii():
        return {}
    encoded = text.partition(".")[0]
    try:
        header = json.loads(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (ValueError, RecursionError):
        return {}
    return header if isinstance(header, dict) else {}


_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")


def read_jwt(text: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    """Return the header, the claims, the signing input and the signature of a JWT, unverified.

    Raises `ValueError` if `text` is not a JWT.
    """
    signed, _, signature = text.rpartition(".")
    parts = [_decode(part) for part in (*signed.split("."), signature)]
    if len(parts) != 3:
        raise ValueError("a JWT has three parts")
    try:
        header, claims = json.loads(parts[0]), json.loads(parts[1])
    except RecursionError:
        raise ValueError("too deep") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise ValueError("header and claims are JSON objects")
    return header, claims, signed.encode(), parts[2]


def _decode(text: Any) -> bytes:
    """Decode the base64url `text` (RFC 7515 2); raises `ValueError`."""
    if not isinstance(text, str) or not _BASE64URL.fullmatch(text):
        raise ValueError("not base64url")
    # For an impossible length this raises binascii.Error, which is a ValueError.
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
