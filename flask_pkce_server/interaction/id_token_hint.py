"""ID token hint: an ID token that says which user, session and client a request is about.

OIDC Core 3.1.2.1 and RP-Initiated Logout 1.0 2. It may have expired long ago.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..protocol.contract import Server
from ..wire.jws import header_of


def read_hint(server: Server, text: str) -> Mapping[str, Any] | None:
    """Return the claims of the ID token `text`; None if it is not one of this server.

    An ID token says when it was issued and when it expires. Other JWTs that are signed for
    clients, such as signed userinfo, do not, and must not pass for one (RFC 8725 3.11).
    """
    claims = server.keys.verify(text, {"jwt"})
    if claims is None or claims.get("iss") != server.issuer:
        return None
    times, names = ("exp", "iat"), ("sub", "aud")
    is_complete = all(isinstance(claims.get(time), int) for time in times) and all(
        isinstance(claims.get(name), str) for name in names
    )
    return claims if is_complete else None


def may_be_stale(server: Server, text: str) -> bool:
    """Return whether `text` looks like an ID token whose key this server no longer has.

    It can no longer be verified, but the client did nothing wrong: keys are deleted when they
    are compromised, or long after they were replaced.
    """
    header = header_of(text)
    kid, kind = header.get("kid"), header.get("typ")
    known = {key.kid for key, _ in server.keys.listed()}
    return kind == "JWT" and isinstance(kid, str) and kid not in known
