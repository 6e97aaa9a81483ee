"""Discovery: the document that tells clients what this server can do (RFC 8414).

Served under both well-known names, and for an issuer with a path in both places that
clients look: `/.well-known/<name>/<path>` and `/<path>/.well-known/<name>`. The lines
are the rooms' own; nothing is written here a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import flask
from flask import Response

from ..protocol.contract import Server
from ..protocol.declarations import Route
from ..protocol.feature import Feature

_NAMES = ("oauth-authorization-server", "openid-configuration")


class DiscoveryFeature(Feature):
    """RFC 8414 3: authorization server metadata."""

    name = "discovery"
    core = True

    def routes(self, server: Server) -> Iterable[Route]:
        inserted = server.issuer.path
        for name in _NAMES:
            place = f"/.well-known/{name}"
            yield _document(name, place, document)
            if inserted:
                yield _document(f"{name}_of_path", place + inserted, document)
            # A catch-all of the host would answer with a page, and clients choke on that.
            yield _document(f"{name}_unknown", f"{place}/<path:other>", no_document)

    def metadata(self, server: Server) -> Mapping[str, Any]:
        return {"scopes_supported": list(server.scopes)}


def _document(name: str, path: str, view: Callable[..., Any]) -> Route:
    return Route(name, path, view, ("GET",), "document", at_root=True)


def document(server: Server) -> Response:
    """Answer with the metadata of this server."""
    return flask.jsonify(server.metadata())


def no_document(server: Server, other: str) -> tuple[Response, int]:
    """Answer that `other` is no issuer here."""
    return flask.jsonify(error="not_found", error_description="No such issuer here."), 404
