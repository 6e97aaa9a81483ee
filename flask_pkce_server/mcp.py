"""Verifier: checks access tokens for an MCP server that runs in a separate process.

An MCP server that runs beside the Flask app, on the official SDK or FastMCP, is a separate
API: it knows the issuer and its own URL, but has access to neither the app nor the database.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .errors import ConfigurationError, InvalidTargetError
from .wire.base_url import fault_of
from .wire.fetch import FetchError
from .wire.handle import ACCESS, is_handle
from .wire.jwk import verifies
from .wire.jws import ALGORITHMS, header_of, read_jwt
from .wire.peers import ask
from .wire.published import CannotVerify, Published
from .wire.resource_uri import canonical

__all__ = ["CannotVerify", "TokenVerifier"]

if TYPE_CHECKING:
    from mcp.server.auth.provider import AccessToken
    from mcp.server.auth.settings import AuthSettings

#: Clock skew between two machines, in seconds.
_SKEW = 60
_TYPES = ("at+jwt", "application/at+jwt")


class TokenVerifier:
    """Checks the access tokens that clients send to an MCP server.

    Pass it wherever the official SDK or FastMCP expects a token verifier. `issuer` is the
    `PKCE_ISSUER` of the app and `resource` the URL of the MCP server, both spelled exactly.
    JWTs are verified locally, with the keys that the issuer publishes. Opaque tokens are
    introspected if `client_id` and `client_secret` are given; the client must have been
    created with `--resource-server` and this `--resource`. `required_scopes` are the scopes
    that every call needs; the MCP server enforces them. `clock` returns epoch seconds. Raises
    `ConfigurationError` for an invalid URL, or for a client_id without a secret.
    """

    def __init__(
        self,
        issuer: str,
        resource: str,
        *,
        required_scopes: Iterable[str] = (),
        client_id: str | None = None,
        client_secret: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        write = 'TokenVerifier("https://your.domain", "https://mcp.your.domain/mcp")'
        for name, url in {"issuer": issuer, "resource": resource}.items():
            problem = fault_of(url)
            if problem:
                raise ConfigurationError(f"The {name} {url!r} {problem}.", write=write)
        if bool(client_id) != bool(client_secret):
            raise ConfigurationError(
                "Introspection needs the client_id and the client_secret.",
                write='TokenVerifier(..., client_id="api", client_secret=os.environ["API_SECRET"])',
            )
        self.issuer, self.resource = issuer, resource
        needed = required_scopes
        self.required_scopes = needed.split() if isinstance(needed, str) else list(needed)
        self._basic = _basic(client_id, client_secret) if client_id and client_secret else None
        self._clock = clock
        self._published = Published(issuer, clock)

    @property
    def scopes_supported(self) -> list[str]:
        """The scopes that FastMCP tells its clients to ask for."""
        return self.required_scopes

    def auth_settings(self) -> AuthSettings:
        """Return the `auth` argument for the SDK's `MCPServer`, so as to configure it once."""
        from mcp.server.auth.settings import AuthSettings

        return AuthSettings.model_validate(
            {
                "issuer_url": self.issuer,
                "resource_server_url": self.resource,
                "required_scopes": self.required_scopes,
                "validate_token_resource": True,
            }
        )

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return the client, user and scopes of a token, or None if it is not valid here.

        Raises `CannotVerify` if the issuer has to be asked and does not answer.
        """
        header = header_of(token)
        if header:
            claims = await self._verify(token, header)
        elif self._basic and is_handle(token, ACCESS):
            claims = await self._introspect(token, self._basic)
        else:
            claims = None
        return self._access_token(token, claims) if claims and self._is_good(claims) else None

    async def _verify(self, text: str, header: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the claims of a JWT access token of the issuer, else None (RFC 9068 4).

        The key is looked up by `kid`; the rest of the header must match it (RFC 8725 3.1).
        """
        kid, kind, algorithm = (header.get(name) for name in ("kid", "typ", "alg"))
        if not isinstance(kid, str) or not isinstance(kind, str) or kind.lower() not in _TYPES:
            return None
        if algorithm not in ALGORITHMS or "crit" in header:
            return None
        jwk = (await self._published.find(kid)).keys.get(kid)
        if jwk is None:
            return None
        try:
            _, claims, signed, signature = read_jwt(text)
        except ValueError:
            return None
        return claims if verifies([jwk], algorithm, kid, signed, signature) else None

    async def _introspect(self, text: str, basic: str) -> dict[str, Any] | None:
        """Return the introspection response for a live access token, else None (RFC 7662)."""
        endpoint = (await self._published.find()).metadata.get("introspection_endpoint")
        try:
            response = await asyncio.to_thread(
                ask, str(endpoint), {"token": text}, {"Authorization": basic}
            )
        except FetchError:
            raise CannotVerify(self.issuer) from None
        # A refresh token has no token_type.
        is_live = response.get("active") is True and response.get("token_type") == "Bearer"
        return response if is_live else None

    def _is_good(self, claims: Mapping[str, Any]) -> bool:
        """Return whether a token with these claims is valid now, for this API."""
        now, expires_at, not_before = self._clock(), claims.get("exp"), claims.get("nbf", 0)
        audience = claims.get("aud")
        # MCP 2026-07-28: refuse a token for another audience, such as the app as a whole.
        return (
            claims.get("iss") == self.issuer
            and any(map(self._is_me, audience if isinstance(audience, list) else [audience]))
            and isinstance(claims.get("client_id"), str)
            and isinstance(expires_at, int)
            and expires_at > now
            and isinstance(not_before, int)
            and not_before <= now + _SKEW
            # A token bound to a key may be stolen if it comes without proof of it (RFC 7800).
            and "cnf" not in claims
        )

    def _is_me(self, name: Any) -> bool:
        try:
            return isinstance(name, str) and canonical(name) == canonical(self.resource)
        except InvalidTargetError:
            return False

    def _access_token(self, text: str, claims: dict[str, Any]) -> AccessToken:
        from mcp.server.auth.provider import AccessToken

        # RFC 9068 2.2: if there is no user, sub is the client.
        is_machine = claims.get("grant_type") == "client_credentials"
        return AccessToken(
            token=text,
            client_id=claims["client_id"],
            scopes=str(claims.get("scope", "")).split(),
            expires_at=claims["exp"],
            resource=self.resource,
            subject=None if is_machine else claims.get("sub"),
            claims=claims,
        )


def _basic(client_id: str, client_secret: str) -> str:
    """Return the value of a client's Authorization header (RFC 6749 2.3.1)."""
    credentials = f"{quote(client_id, safe='')}:{quote(client_secret, safe='')}"
    return "Basic " + base64.b64encode(credentials.encode()).decode()
