"""Diagnosis: which of the classic mistakes a developer has made.

A challenge or a verifier is judged by its shape, and in plain words that say nothing that
was sent or stored: those go to the client as the description of the error. What compares
a request with a registration names both, and is shown in debug only.
"""

from __future__ import annotations

import base64
import difflib
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import unquote, urlsplit

_HEX_OF_32_BYTES = re.compile(r"[0-9a-fA-F]{64}")
_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")
_NOT_IN_VERIFIER = re.compile(r"[^A-Za-z0-9\-._~]")


def of_challenge(challenge: str) -> str:
    """Say what is wrong with a code_challenge that is not one (RFC 7636 4.2)."""
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
    """Say what is wrong with a code_verifier that is not one (RFC 7636 4.1)."""
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


#: What clients have sent for BASE64URL(SHA256(verifier)); all of 43 characters.
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
        hashlib.sha256(text.encode()).hexdigest().encode()
    ),
    "the hash was taken twice": lambda text: _challenge(hashlib.sha256(text.encode()).digest()),
    "the challenge is a SHA3-256": lambda text: _encoded(hashlib.sha3_256(text.encode()).digest()),
}


def of_mismatch(verifier: str, challenge: str) -> str:
    """Say why a well-formed `verifier` may not fit the `challenge` of its code."""
    if verifier == challenge:
        return (
            "code_verifier is the code_challenge itself, as the method plain has it. Send as the "
            "challenge what S256 makes of the verifier."
        )
    for cause, wrongly in _WRONG_CHALLENGES.items():
        if wrongly(verifier) == challenge:
            return f"code_verifier does not fit the code_challenge of this code: {cause}."
    return (
        "code_verifier does not fit the code_challenge of this code. If it is another sign-in's: "
        "keep it under the state, so that two tabs do not share it."
    )


def of_redirect_uri(presented: str, registered: Iterable[str]) -> list[str]:
    """Say how `presented` differs from the closest registered URI; for debug only."""
    known = list(registered)
    if not known:
        return ["This client has no redirect URI registered."]
    closest = max(known, key=lambda uri: difflib.SequenceMatcher(None, uri, presented).ratio())
    said = [f"The request says {presented}", f"The closest that is registered is {closest}"]
    if len(known) > 1:
        said.append(f"{len(known)} are registered in all.")
    return [*said, *_differences(closest, presented)]


def _differences(registered: str, presented: str) -> list[str]:
    try:
        ours, theirs = urlsplit(registered), urlsplit(presented)
        ports = ours.port, theirs.port
    except ValueError:
        return ["The one in the request is not a URI."]
    said = []
    if presented.strip() != presented:
        said.append("There is a blank at an end of the one in the request.")
    if "%3A%2F%2F" in presented.upper():
        said.append("The one in the request is percent-encoded twice.")
    if ours.scheme != theirs.scheme:
        said.append(f"The scheme differs: {theirs.scheme or 'none'} for {ours.scheme}.")
    if ours.hostname != theirs.hostname:
        loopback = {ours.hostname, theirs.hostname} <= {"localhost", "127.0.0.1", "::1"}
        why = " They are different names, though both mean this computer." if loopback else ""
        said.append(f"The host differs: {theirs.hostname or 'none'} for {ours.hostname}.{why}")
    if ports[0] != ports[1]:
        said.append(f"The port differs: {ports[1] or 'none'} for {ports[0] or 'none'}.")
    if theirs.username is not None:
        said.append("The one in the request has a user or a password in it.")
    if ours.path != theirs.path:
        if ours.path.rstrip("/") == theirs.path.rstrip("/"):
            said.append("Only the slash at the end differs.")
        elif ours.path.lower() == theirs.path.lower():
            said.append("Only capital and small letters differ in the path.")
        else:
            said.append(f"The path differs: {theirs.path or 'none'} for {ours.path or 'none'}.")
    if ours.query != theirs.query:
        said.append(
            f"The query differs: {theirs.query or 'none'} for {ours.query or 'none'}. What has to "
            "come back belongs into state."
        )
    if "#" in presented:
        said.append("A redirect URI has no fragment: leave out the # and what follows.")
    return said


def of_client_id(presented: str, registered: Iterable[str]) -> list[str]:
    """Say which registered client_id may be meant; for debug only."""
    if presented.strip() != presented:
        return ["There is a blank at an end of the client_id."]
    near = difflib.get_close_matches(presented, list(registered), n=1, cutoff=0.6)
    if near:
        return [f"The closest that is registered is {near[0]}"]
    return ["Register it with: flask pkce client create"]


def _challenge(data: bytes) -> str:
    return _encoded(hashlib.sha256(data).digest())


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unbase64url(text: str) -> bytes | None:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
