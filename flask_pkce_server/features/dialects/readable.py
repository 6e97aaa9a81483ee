"""Readable: refresh tokens in a shape that SDKs which parse them can read."""

from __future__ import annotations

#: The parts of a JWT that the SDKs look for: they parse the middle one, an empty object.
_READABLE_PART = ".e30.x"


def made_of(refresh_token: str) -> str:
    """Return a refresh token in a shape that an SDK can read."""
    return refresh_token + _READABLE_PART


def unread(text: str) -> str:
    """Return a token as it is stored, whatever shape it comes in."""
    return text.removesuffix(_READABLE_PART)
