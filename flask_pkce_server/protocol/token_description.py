"""Token description: the claims about a token and its user, the same in every format.

JWT access tokens (RFC 9068 2.2) and introspection (RFC 7662 2.2) describe a token; userinfo
(OIDC Core 5.3) and ID tokens (OIDC Core 2) describe its user.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from ..models.client import Client
from ..models.grant import NOBODY, Grant
from ..models.token import Token
from ..users import claims
from ..users.host import DescribedToken
from .contract import Server

logger = logging.getLogger(__name__)

#: RFC 9068 2.2: without a user, `sub` is the client_id. This value of the claim `grant_type`
#: marks such tokens, since a user's subject may equal a client_id.
_MACHINE = "client_credentials"
#: What only the server says of a token, in a JWT (RFC 9068 2.2) or in introspection (RFC 7662 2.2).
_RESERVED = {*claims.SERVER_CLAIMS, "active", "token_type", "username", "grant_type"}


def token_claims(
    server: Server, token: Token, user: Any | None, scopes: frozenset[str]
) -> dict[str, Any]:
    """Return the claims of a token of `user` (None for a machine), except `sub`.

    `scopes` are those that the reader may see.
    """
    audience = token.audience or [str(server.issuer)]
    return {
        **_claims_of_host(server, token, user, scopes, audience),
        "iss": server.issuer,
        "aud": audience[0] if len(audience) == 1 else audience,
        # RFC 8693 4.3: the client that holds the token, even after an exchange.
        "client_id": token.holder,
        "iat": token.issued_at,
        "exp": token.expires_at,
        "scope": " ".join(sorted(scopes)),
        **({"grant_type": _MACHINE} if token.is_machine else {}),
        **server.hooks.describe_token(server, token),
    }


def _claims_of_host(
    server: Server, token: Token, user: Any | None, scopes: frozenset[str], audience: list[str]
) -> dict[str, Any]:
    """Return the claims that the host app adds to an access token (RFC 9068 2.2.3).

    A claim that some scope releases needs such a scope here too.
    """
    if token.kind != "access":
        return {}
    described = DescribedToken(token.holder, scopes, tuple(audience), token.actors)
    added = server.users.access_token_claims_of(user, described)
    for name in sorted(_RESERVED.intersection(added)):
        logger.warning("the claim %s of an access token is left out: the server sets it", name)
    every_scope = {*claims.SCOPE_CLAIMS, *server.settings.openid_claims}
    withheld = _RESERVED | (released_by(server, every_scope) - released_by(server, scopes))
    return claims.select(added, lambda name: name not in withheld)


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
    scope = frozenset(members["scope"].split())
    return Token(
        digest=digest,
        kind="access",
        grant=Grant(
            grant_id="",
            client_id=members["client_id"],
            subject=NOBODY if members.get("grant_type") == _MACHINE else members["sub"],
            scope=scope,
            resources=[],
            bindings={},
        ),
        issued_scope=scope,
        audience=audience,
        exchange={"actors": actors} if actors else None,
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
    released = claims.select(server.users.claims_of(user), names.__contains__) if names else {}
    return {**released, "sub": server.subject_for(client, subject)}
