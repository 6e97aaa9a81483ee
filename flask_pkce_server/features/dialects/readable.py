"""Readable: refresh tokens in a form that SDKs can parse."""

from __future__ import annotations

#: The JWT parts that the SDKs look for; they parse the middle part, an empty JSON object.
_READABLE_PART = ".e30.x"


def made_of(refresh_token: str) -> str:
    """Return `refresh_token` in a form that an SDK can parse."""
    return refresh_token + _READABLE_PART


def unread(text: str) -> str:
    """Return `text` as the token is stored, without the part that `made_of` adds."""
    return text.removesuffix(_READABLE_PART)
