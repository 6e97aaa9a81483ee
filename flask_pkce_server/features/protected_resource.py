"""Protected resource: the document by which a client finds the server of an API (RFC 9728).

The host declares the APIs of its app, with `pkce.resource`, `pkce.mcp` or the `resource` of
`pkce.require`. Each has a document at `/.well-known/oauth-protected-resource/<its path>`;
the challenges of its views lead there. This room tells; `protect` guards, with it or without.
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
#: Where MCP clients that know no metadata look, from the root of the origin (MCP 2025-03-26).
_FALLBACKS = {"/authorize": "authorize", "/token": "token", "/register": "register"}


class ProtectedResourceFeature(Feature):
    """RFC 9728 3: protected resource metadata."""

    name = "protected_resource"

    def routes(self, server: Server) -> Iterable[Route]:
        # Whatever the path is: a catch-all of the host would answer with a page.
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
            # MCP 2025-03-26: the server at the root is the only API's, and nobody names it.
            request.replace(resource=guarded[0].uri)

    def resource_metadata(self, server: Server, resource: Resource) -> Mapping[str, Any]:
        # MCP 2026-07-28: offline_access is the server's, and no resource has it.
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
    """Say whether the browser came by the name at the root, and not by the endpoint's own."""
    rule = flask.request.url_rule
    if rule is None or rule.endpoint != "pkce.authorize":
        return False
    path = server.issuer.below(rule.rule)
    return path in _FALLBACKS and path != server.paths["authorize"]


def document(server: Server, path: str = "") -> Response | tuple[Response, int]:
    """Answer with the metadata of the resource that has this path in its URI."""
    resource = find(server, "/" + path)
    if resource is None:
        return flask.jsonify(error="not_found", error_description="No such resource here."), 404
    return flask.jsonify(server.hooks.resource_metadata(server, resource))


def find(server: Server, path: str) -> Resource | None:
    """Return the resource that the document for `path` is about.

    At the root that is the one without a path. Where there is none, it is the only one that
    there is: MCP clients look there last, and read in the document whose it is.
    """
    path = path.rstrip("/")
    known = list(server.resources.own.values())
    fitting = [one for one in known if one.path == path]
    if not path and not fitting and len(known) == 1:
        return known[0]
    if len(fitting) > 1:
        # An app of several hosts: the document is one of the host that was asked.
        fitting = [one for one in fitting if one.host == flask.request.host.lower()]
    return fitting[0] if fitting else None
