"""Discovery: the document that tells clients what this server can do (RFC 8414).

The document is served under both well-known names. For an issuer with a path, it is served in
both places where clients look: `/.well-known/<name>/<path>` and `/<path>/.well-known/<name>`.
Every feature contributes its own members.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import flask
from flask import Response

from ..http.document import Document
from ..protocol.contract import Server
from ..protocol.declarations import Route
from ..protocol.feature import Feature

_NAMES = ("oauth-authorization-server", "openid-configuration")


class DiscoveryFeature(Feature):
    """RFC 8414 3: authorization server metadata."""

    name = "discovery"
    core = True

    def __init__(self) -> None:
        self._documents: dict[Any, Document] = {}

    def routes(self, server: Server) -> Iterable[Route]:
        issuer_path = server.issuer.path
        for name in _NAMES:
            path = f"/.well-known/{name}"
            yield _document(name, path, self.document)
            if issuer_path:
                yield _document(f"{name}_of_path", path + issuer_path, self.document)
            # Otherwise a catch-all route of the host app answers with an HTML page, which
            # clients cannot handle.
            yield _document(f"{name}_unknown", f"{path}/<path:other>", no_document)

    def metadata(self, server: Server) -> Mapping[str, Any]:
        return {"scopes_supported": list(server.scopes)}

    def document(self, server: Server) -> Response:
        """Return the metadata of this server as JSON; the features are asked once."""
        # In debug mode the issuer has the port of the request; resources may be declared late.
        key = (server.issuer, len(server.resources.own))
        if key not in self._documents:
            self._documents[key] = Document(server.app, server.metadata())
        return self._documents[key].response()


def _document(name: str, path: str, view: Callable[..., Any]) -> Route:
    return Route(name, path, view, ("GET",), "document", at_root=True)


def no_document(server: Server, other: str) -> tuple[Response, int]:
    """Return a 404: `other` is not the path of this server's issuer."""
    return flask.jsonify(error="not_found", error_description="No such issuer here."), 404
