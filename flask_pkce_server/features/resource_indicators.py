"""Resource indicators: a client names the APIs that its tokens are for (RFC 8707).

The resources named at the authorization endpoint bind the grant. A token request may name
some of them again; its access token is then for those only. The APIs are this app, named by
its issuer, those that it declares with `pkce.resource` and `pkce.mcp`, and those of
`PKCE_JWT_ACCESS_TOKEN_RESOURCES`.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import InvalidTargetError
from ..protocol.contract import Server
from ..protocol.declarations import Problem
from ..protocol.feature import Feature
from ..protocol.request import Request
from ..wire.resource_uri import canonical


class ResourceIndicatorsFeature(Feature):
    """RFC 8707: the parameter `resource`."""

    name = "resource_indicators"

    def complete_authorization_request(self, server: Server, request: Request) -> None:
        if "resource" not in request.payload.data:
            request.replace(resource=server.settings.resource_indicators_default)

    def check_authorization_request(self, server: Server, request: Request) -> None:
        request.resources = tuple(read(server, request))

    def problems(self, server: Server) -> Iterable[Problem]:
        for uri in server.settings.resource_indicators_default:
            if uri not in server.resources.known.values():
                yield Problem(
                    "FAIL",
                    f"PKCE_RESOURCE_INDICATORS_DEFAULT names {uri}, which no token is for: who "
                    "names no resource gets in nowhere.",
                    f'pkce.resource("{uri}", scopes=[...])  # or leave it out of the setting',
                )

    def check_token_request(self, server: Server, request: Request) -> None:
        named = read(server, request)
        granted = request.granted_resources
        if granted is not None and not set(named) <= {*(granted or _default(server, request))}:
            raise InvalidTargetError("A token request may name fewer resources, not others.")
        request.resources = tuple(named) or granted or ()


def _default(server: Server, request: Request) -> Iterable[str]:
    """Yield the APIs of a grant that names none: this server, and others by their scopes."""
    yield server.issuer
    for uri, scopes in server.resources.elsewhere.items():
        if scopes & request.granted_scopes:
            yield uri


def read(server: Server, request: Request) -> list[str]:
    """Return the resources that a request names, spelled as configured.

    Raises `InvalidTargetError` for a resource that is unknown or not an absolute URI.
    """
    if "resource" not in request.payload.datalist:
        return []
    uris = server.resources.known
    named = [canonical(uri) for uri in request.payload.datalist["resource"]]
    if not uris.keys() >= set(named):
        raise InvalidTargetError()
    return [uris[uri] for uri in dict.fromkeys(named)]
