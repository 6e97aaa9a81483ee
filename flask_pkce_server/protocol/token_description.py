"""Token description: what is said of a token and of its user, once for every way to say it.

JWT access tokens (RFC 9068 2.2) and introspection (RFC 7662 2.2) describe a token, userinfo
(OIDC Core 5.3) and ID tokens (OIDC Core 2) its user.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from ..models.client import Client
from ..models.token import EXCHANGED, NOBODY, Token
from ..users import claims
from .contract import Server

#: RFC 9068 2.2: where there is no user, `sub` is the client. Which of both it is says this
#: value of `grant_type`: somebody's subject may be the client_id of an app.
_MACHINE = "client_credentials"


def token_claims(server: Server, token: Token) -> dict[str, Any]:
    """Return the claims of an access token, but for whom it is about."""
    audience = token.audience or [str(server.issuer)]
    return {
        "iss": server.issuer,
        "aud": audience[0] if len(audience) == 1 else audience,
        # RFC 8693 4.3: the client that was given it, whoever's user it is.
        "client_id": token.holder,
        "iat": token.issued_at,
        "exp": token.expires_at,
        "scope": " ".join(sorted(token.scope)),
        **({"grant_type": _MACHINE} if token.is_machine else {}),
        **server.hooks.describe_token(server, token),
    }


def read_claims(members: Mapping[str, Any]) -> Token | None:
    """Return the token that the verified claims of a JWT describe, without the database."""
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


def user_claims(
    server: Server, client: Client, subject: str, user: Any, names: set[str]
) -> dict[str, Any]:
    """Return what `client` is told of a user: their subject, and the claims `names`."""
    told = claims.select(server.users.claims_of(user), names) if names else {}
    return {**told, "sub": server.subject_for(client, subject)}
