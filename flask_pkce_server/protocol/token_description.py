"""Token description: the claims about a token and its user, the same in every format.

JWT access tokens (RFC 9068 2.2) and introspection (RFC 7662 2.2) describe a token; userinfo
(OIDC Core 5.3) and ID tokens (OIDC Core 2) describe its user.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any

from ..models.client import Client
from ..models.token import EXCHANGED, NOBODY, Token
from ..users import claims
from .contract import Server

#: RFC 9068 2.2: without a user, `sub` is the client_id. This value of the claim `grant_type`
#: marks such tokens, since a user's subject may equal a client_id.
_MACHINE = "client_credentials"


def token_claims(server: Server, token: Token) -> dict[str, Any]:
    """Return the claims of an access token, except `sub`."""
    audience = token.audience or [str(server.issuer)]
    return {
        "iss": server.issuer,
        "aud": audience[0] if len(audience) == 1 else audience,
        # RFC 8693 4.3: the client that holds the token, even after an exchange.
        "client_id": token.holder,
        "iat": token.issued_at,
        "exp": token.expires_at,
        "scope": " ".join(sorted(token.scope)),
        **({"grant_type": _MACHINE} if token.is_machine else {}),
        **server.hooks.describe_token(server, token),
    }


def read_claims(members: Mapping[str, Any]) -> Token | None:
    """Return the token that the verified claims of a JWT describe, without using the database.

    Return None if `jti` is malformed.
    """
    audience = members["aud"] if isinstance(members["aud"], list) else [members["aud"]]
    try:
        digest = base64.urlsafe_b64decode(members["jti"] + "=")
    except (binascii.Error, ValueError):
        return None
    actors, act = [], members.get("act")
    while act:
        actors.append(act["sub"])
        act = act.get("act")
    return Token(
        digest=digest,
        kind="access",
        family_id="",
        client_id=members["client_id"],
        subject=NOBODY if members.get("grant_type") == _MACHINE else members["sub"],
        scope=frozenset(members["scope"].split()),
        bindings={"audience": audience, **({EXCHANGED: {"actors": actors}} if actors else {})},
        issued_at=members["iat"],
        expires_at=members["exp"],
    )


def released_by(server: Server, scopes: Iterable[str]) -> set[str]:
    """Return the names of the claims about a user that `scopes` release, and nothing else does.

    The user and the operator decide on scopes (OIDC Core 3.1.2.4).
    """
    return claims.opened_by(scopes, server.settings.openid_claims)


def user_claims(
    server: Server,
    client: Client,
    subject: str,
    user: Any,
    scopes: Iterable[str],
    asked: Iterable[str] | None = None,
) -> dict[str, Any]:
    """Return what `client` learns about a user: `sub`, and the claims that `scopes` release.

    `scopes` are those that the grant has now, whatever it had before. If `asked` is given, only
    the claims named there are returned: it never adds any (OIDC Core 5.5).
    """
    names = released_by(server, scopes)
    if asked is not None:
        names &= set(asked)
    told = claims.told(server.users.claims_of(user), names.__contains__) if names else {}
    return {**told, "sub": server.subject_for(client, subject)}
