"""Resource indicators: a client says which API its tokens are for (RFC 8707).

What is named at the authorization endpoint binds the grant; a token request may name some
of it again, and its access token is then for those alone. The APIs are this app, by its
issuer, and those of `PKCE_JWT_ACCESS_TOKEN_RESOURCES`.
"""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from ..errors import InvalidTargetError
from ..feature import Feature
from ..grant import TokenResponse
from ..request import Request
from ..server import Server, current_server

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class ResourceIndicatorsFeature(Feature):
    """RFC 8707: the parameter `resource`."""

    name = "resource_indicators"

    def check_authorization_request(self, request: Request) -> None:
        named = read(current_server, request)
        if named:
            request.bindings["resource"] = named

    def check_token_request(self, request: Request) -> None:
        named = read(current_server, request)
        granted: list[str] = request.granted_bindings.get("resource", [])
        if granted and not set(named) <= set(granted):
            raise InvalidTargetError("A token request may name fewer resources, not others.")
        request.resources = tuple(named or granted)

    def complete_token_response(self, response: TokenResponse) -> None:
        # What the grant is for is the family's; what this token is for is its audience.
        response.access.bindings = {
            name: value for name, value in response.access.bindings.items() if name != "resource"
        }


def read(server: Server, request: Request) -> list[str]:
    """Return the resources that a request names, as they are configured.

    Raises `InvalidTargetError` for one that is unknown or is no absolute URI.
    """
    known = {
        canonical(uri): uri for uri in (server.issuer, *server.settings.jwt_access_token_resources)
    }
    named = [canonical(uri) for uri in request.payload.datalist.get("resource", [])]
    if not known.keys() >= set(named):
        raise InvalidTargetError()
    return [known[uri] for uri in dict.fromkeys(named)]


def canonical(uri: str) -> str:
    """Return a resource URI as all its spellings are compared (RFC 3986 6.2.2, 6.2.3)."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise InvalidTargetError() from None
    if "#" in uri:
        raise InvalidTargetError("A resource has no fragment (RFC 8707 2).")
    netloc = parts.netloc.lower().removesuffix(_DEFAULT_PORTS.get(parts.scheme, ":"))
    return urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), parts.query, ""))
