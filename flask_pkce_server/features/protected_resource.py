"""Protected resource: tells clients which server issues tokens for an API (RFC 9728).

The host declares the APIs of its app with `pkce.resource`, `pkce.mcp` or the `resource` of
`pkce.require`. Each API has a document at `/.well-known/oauth-protected-resource/<its path>`,
and the challenges of its views point there. This feature only publishes the documents; the
package `resource_server` guards the views, even if this feature is switched off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import flask
from flask import Response

from ..protocol.contract import Server
from ..protocol.declarations import Problem, Route
from ..protocol.feature import Feature
from ..protocol.request import Request
from ..protocol.resources import Resource

_PLACE = "/.well-known/oauth-protected-resource"
#: Paths at the root of the origin for MCP clients that read no metadata (MCP 2025-03-26).
_FALLBACKS = {"/authorize": "authorize", "/token": "token", "/register": "register"}


class ProtectedResourceFeature(Feature):
    """RFC 9728 3: protected resource metadata."""

    name = "protected_resource"

    def routes(self, server: Server) -> Iterable[Route]:
        # For every path: otherwise, a catch-all route of the host would answer with a page.
        for name, path in {"": "", "_of_path": "/<path:path>"}.items():
            yield Route(
                f"protected_resource{name}",
                _PLACE + path,
                document,
                ("GET",),
                "document",
                at_root=True,
            )

    def aliases(self, server: Server) -> Mapping[str, str]:
        return _FALLBACKS if server.resources.has_guarded else {}

    def complete_authorization_request(self, server: Server, request: Request) -> None:
        payload, guarded = request.payload, server.resources.guarded
        if (
            len(guarded) == 1
            and request.client.self_registered
            and "resource" not in payload.data
            and _is_fallback(server)
        ):
            # MCP 2025-03-26: clients name no resource at the root; they mean the only guarded one.
            request.replace(resource=guarded[0].uri)

    def resource_metadata(self, server: Server, resource: Resource) -> Mapping[str, Any]:
        # MCP 2026-07-28: offline_access is a scope of the server, not of a resource.
        scopes = [
            scope
            for scope in resource.scopes
            if scope != "offline_access" and scope in server.scopes
        ]
        return {
            "resource": resource.uri,
            "authorization_servers": [server.issuer],
            **({"scopes_supported": scopes} if scopes else {}),
            "bearer_methods_supported": ["header"],
        }

    def problems(self, server: Server) -> Iterable[Problem]:
        resources = server.resources.own.values()
        if resources and "resource_indicators" not in server.hooks.names:
            yield Problem(
                "FAIL",
                "No token opens the resources of this app: clients cannot ask for one.",
                'app.config["PKCE_FEATURES"].pop("resource_indicators")',
            )
        for resource in resources:
            for scope in resource.scopes:
                if scope not in server.scopes:
                    yield Problem(
                        "FAIL",
                        f"The resource {resource.uri} has the scope {scope}, which nobody may "
                        "ask for.",
                        f'app.config["PKCE_SCOPES"]["{scope}"] = "What it lets an app do"',
                    )


def _is_fallback(server: Server) -> bool:
    """Return whether the browser used the path at the root, not the endpoint's own path."""
    rule = flask.request.url_rule
    if rule is None or rule.endpoint != "pkce.authorize":
        return False
    path = server.issuer.below(rule.rule)
    return path in _FALLBACKS and path != server.paths["authorize"]


def document(server: Server, path: str = "") -> Response | tuple[Response, int]:
    """Respond with the metadata of the resource whose URI has this path."""
    resource = find(server, "/" + path)
    if resource is None:
        return flask.jsonify(error="not_found", error_description="No such resource here."), 404
    return flask.jsonify(server.hooks.resource_metadata(server, resource))


def find(server: Server, path: str) -> Resource | None:
    """Return the resource that the document for `path` describes, or None.

    At the root, that is the resource without a path. If there is none, it is the only declared
    resource: MCP clients look at the root last, and the document says which resource it is for.
    """
    path = path.rstrip("/")
    resources = list(server.resources.own.values())
    matches = [resource for resource in resources if resource.path == path]
    if not path and not matches and len(resources) == 1:
        return resources[0]
    if len(matches) > 1:
        # The app serves several hosts: choose the resource of the requested host.
        host = flask.request.host.lower()
        matches = [resource for resource in matches if resource.host == host]
    return matches[0] if matches else None
