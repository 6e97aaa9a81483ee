"""Code challenge: what ties a request to who sent it, by a secret of theirs (RFC 7636)."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping

from ..diagnosis import of_challenge, of_verifier
from ..errors import InvalidRequestError
from .authorization_code import challenge_of
from .handle import base64url

#: RFC 7636 4.1; fullmatch, since `$` would let a newline pass.
_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")
#: RFC 7636 4.2: base64url of 32 bytes, no padding.
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")

METHODS = ("S256",)


def read(data: Mapping[str, str]) -> str:
    """Return the code_challenge of a request; raises `InvalidRequestError` if it has none."""
    challenge, method = data.get("code_challenge"), data.get("code_challenge_method")
    if not challenge:
        raise InvalidRequestError("code_challenge is missing; PKCE is required (RFC 7636).")
    if not method:
        raise InvalidRequestError("code_challenge_method is missing; it must be S256.")
    if method not in METHODS:
        raise InvalidRequestError("code_challenge_method must be S256.")
    if not is_challenge(challenge):
        raise InvalidRequestError(of_challenge(challenge))
    return challenge


def of(verifier: str | None) -> str:
    """Return the challenge that `verifier` proves; raises `InvalidRequestError`."""
    if not verifier:
        raise InvalidRequestError("code_verifier is missing; PKCE is required (RFC 7636).")
    if not _VERIFIER.fullmatch(verifier):
        raise InvalidRequestError(of_verifier(verifier))
    return challenge_of(verifier)


def is_challenge(text: str) -> bool:
    """Say whether `text` can be an S256 challenge: the one spelling of 32 bytes."""
    if not _CHALLENGE.fullmatch(text):
        return False
    # 43 characters hold two bits more than 32 bytes: another spelling never matches.
    return base64url(base64.urlsafe_b64decode(text + "=")) == text
