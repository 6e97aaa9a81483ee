"""Code challenge: ties an authorization code to the client that asked for it (RFC 7636)."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from hashlib import sha3_256, sha256
from urllib.parse import unquote

from ..errors import InvalidRequestError
from .handle import base64url

#: RFC 7636 4.1; used with fullmatch, since `$` would allow a trailing newline.
_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")
#: RFC 7636 4.2: base64url of 32 bytes, without padding.
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_HEX_OF_32_BYTES = re.compile(r"[0-9a-fA-F]{64}")

METHODS = ("S256",)


def read(data: Mapping[str, str]) -> str:
    """Return the code_challenge in `data`; raises `InvalidRequestError` if missing or invalid."""
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


def checked_challenge_of(verifier: str | None) -> str:
    """Return the S256 challenge of `verifier`; raises `InvalidRequestError` if it is invalid."""
    if not verifier:
        raise InvalidRequestError("code_verifier is missing; PKCE is required (RFC 7636).")
    if not _VERIFIER.fullmatch(verifier):
        raise InvalidRequestError(of_verifier(verifier))
    return challenge_of(verifier)


def is_challenge(text: str) -> bool:
    """Return whether `text` is a valid S256 challenge: base64url of exactly 32 bytes."""
    if not _CHALLENGE.fullmatch(text):
        return False
    # 43 characters hold two bits more than 32 bytes: no challenge is spelled otherwise.
    return base64url(base64.urlsafe_b64decode(text + "=")) == text


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of `verifier` (RFC 7636 4.2)."""
    return _challenge(verifier.encode("ascii"))


def _challenge(verifier: bytes) -> str:
    return base64url(sha256(verifier).digest())


def of_challenge(challenge: str) -> str:
    """Describe what is wrong with an invalid code_challenge (RFC 7636 4.2)."""
    if _HEX_OF_32_BYTES.fullmatch(challenge):
        cause = "it is in hexadecimal; encode the 32 bytes of the hash, not their hex digits"
    elif challenge.endswith("="):
        cause = "it has padding; leave out the = at its end"
    elif re.search(r"[+/]", challenge):
        cause = "it is in base64; base64url has - and _ in the place of + and /"
    elif challenge.strip() != challenge:
        cause = "it has a blank or a newline at its end"
    elif len(challenge) == 64 and re.fullmatch(r"[A-Za-z0-9_-]+", challenge):
        cause = "it has the length of a SHA-384, or of hex that was encoded again"
    elif len(challenge) in (85, 86, 87, 88):
        cause = "it is the hash in hexadecimal, encoded; encode the 32 bytes of the hash"
    elif len(challenge) == 43:
        cause = "it is no base64url of 32 bytes"
    elif _VERIFIER.fullmatch(challenge):
        cause = "it looks like the verifier itself; send its SHA-256"
    elif len(challenge) < 43:
        cause = f"it has {len(challenge)} characters"
    else:
        cause = "it has characters that base64url does not have"
    return (
        f"code_challenge must be the SHA-256 of the verifier in base64url, 43 characters: {cause}."
    )


def of_verifier(verifier: str) -> str:
    """Describe what is wrong with an invalid code_verifier (RFC 7636 4.1)."""
    length = len(verifier)
    if length < 43:
        cause = f"this one is too short, it has {length} characters"
    elif length > 128:
        cause = f"this one is too long, it has {length} characters"
    elif verifier.strip() != verifier:
        cause = "this one has a blank or a newline at its end"
    elif re.search(r"[+/=]", verifier):
        cause = "this one is in base64; use base64url without padding"
    else:
        cause = "this one has other characters"
    return f"code_verifier must have 43 to 128 characters of A-Z a-z 0-9 - . _ ~: {cause}."


#: Wrong computations of BASE64URL(SHA256(verifier)) by clients, all with 43 characters.
_WRONG_CHALLENGES: Mapping[str, Callable[[str], str]] = {
    "the challenge was made of a verifier with a newline at its end": lambda text: _challenge(
        f"{text}\n".encode()
    ),
    "the challenge was made of the bytes that the verifier encodes": lambda text: _challenge(
        _unbase64url(text) or b""
    ),
    "the challenge was made of the verifier in quotes": lambda text: _challenge(
        f'"{text}"'.encode()
    ),
    "the challenge was made of the percent-decoded verifier": lambda text: _challenge(
        unquote(text).encode()
    ),
    "the challenge was made of the verifier in small letters": lambda text: _challenge(
        text.lower().encode()
    ),
    "the challenge was made of a verifier that was cut to 43 characters": lambda text: _challenge(
        text[:43].encode()
    ),
    "the challenge was made with UTF-16 text": lambda text: _challenge(text.encode("utf-16-le")),
    "the challenge is a SHA-256 of the hash in hexadecimal": lambda text: _challenge(
        sha256(text.encode()).hexdigest().encode()
    ),
    "the hash was taken twice": lambda text: _challenge(sha256(text.encode()).digest()),
    "the challenge is a SHA3-256": lambda text: base64url(sha3_256(text.encode()).digest()),
}


def of_mismatch(verifier: str, challenge: str) -> str:
    """Describe why a well-formed `verifier` probably does not match `challenge`."""
    if verifier == challenge:
        return (
            "code_verifier is the code_challenge itself, as the method plain has it. Send as the "
            "challenge what S256 makes of the verifier."
        )
    for cause, wrong_challenge_of in _WRONG_CHALLENGES.items():
        if wrong_challenge_of(verifier) == challenge:
            return f"code_verifier does not fit the code_challenge of this code: {cause}."
    return (
        "code_verifier does not fit the code_challenge of this code. If it is another sign-in's: "
        "keep it under the state, so that two tabs do not share it."
    )


def _unbase64url(text: str) -> bytes | None:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
