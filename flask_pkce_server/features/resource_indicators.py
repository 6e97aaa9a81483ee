"""Resource indicators: a client says which API its tokens are for (RFC 8707).

What is named at the authorization endpoint binds the grant; a token request may name some
of it again, and its access token is then for those alone. The APIs are this app, by its
issuer, those that it declares with `pkce.resource` and `pkce.mcp`, and those of
`PKCE_JWT_ACCESS_TOKEN_RESOURCES`.
"""

from __future__ import annotations

from ..errors import InvalidTargetError
from ..feature import Feature
from ..grant import TokenResponse
from ..models.resource import canonical
from ..request import Request
from ..server import Server, current_server


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
        token, issuer = response.access, response.server.issuer
        bindings = {name: value for name, value in token.bindings.items() if name != "resource"}
        # Userinfo takes it too, where the scopes open that.
        audience = [*([issuer] if "openid" in token.scope else []), *response.request.resources]
        if set(audience) - {issuer}:
            bindings["audience"] = list(dict.fromkeys(audience))
        token.bindings = bindings


def read(server: Server, request: Request) -> list[str]:
    """Return the resources that a request names, as they are configured.

    Raises `InvalidTargetError` for one that is unknown or is no absolute URI.
    """
    own = (one.uri for one in server.own_resources.values())
    known = {
        canonical(uri): uri
        for uri in (*own, *server.settings.jwt_access_token_resources, server.issuer)
    }
    named = [canonical(uri) for uri in request.payload.datalist.get("resource", [])]
    if not known.keys() >= set(named):
        raise InvalidTargetError()
    return [known[uri] for uri in dict.fromkeys(named)]
