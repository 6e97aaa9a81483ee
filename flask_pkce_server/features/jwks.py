"""JWKS: publishes the public keys that verify what this server signed (RFC 7517).

A new key is published before it signs, and a retired key for as long as anything that it
signed is valid. A verifier that caches the set for an hour therefore never lacks a key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flask import Response
from sqlalchemy.exc import DBAPIError

from ..http.document import Document
from ..models.pruning import Prunable
from ..models.signing_key import SigningKey
from ..protocol.contract import Server
from ..protocol.declarations import Problem, Route
from ..protocol.feature import Feature


class JwksFeature(Feature):
    """RFC 7517 5: the JWK Set of this server."""

    name = "jwks"
    models = (SigningKey,)

    def __init__(self) -> None:
        self._document: Document | None = None

    def routes(self, server: Server) -> Iterable[Route]:
        yield Route("jwks", "/jwks", self.document, ("GET",), "document")

    def document(self, server: Server) -> Response:
        """Respond with the JWK Set."""
        keys, known = server.keys.published(), self._document
        if known is None or known.members["keys"] is not keys:
            known = self._document = Document(server.app, {"keys": keys})
        return known.response()

    def metadata(self, server: Server) -> Mapping[str, Any]:
        return {"jwks_uri": server.url_of("jwks")}

    def prune(self, server: Server) -> Iterable[Prunable]:
        yield server.keys.needless()

    def problems(self, server: Server) -> Iterable[Problem]:
        try:
            keys = [key for key, _ in server.keys.listed()]
        except DBAPIError:
            return  # the doctor command itself reports a database that fails
        name = "SECRET_KEY" if server.settings.key_secret is None else "PKCE_KEY_SECRET"
        fix = f'app.config["{name}_FALLBACKS"] = [the secret that the app had before]'
        unreadable = sum(key.private is None for key in keys)
        outdated = sum(key.is_outdated for key in keys)
        if unreadable:
            yield Problem(
                "WARN",
                f"{unreadable} signing keys were encrypted with another secret than this app has; "
                "they verify still, and sign no more.",
                fix,
            )
        if outdated:
            yield Problem(
                "WARN",
                f"{outdated} signing keys are still encrypted with an earlier secret. Keep it "
                "until the app has encrypted them with the current one, which it does when it "
                "signs or is asked for the JWKS.",
                fix,
            )
        if not unreadable and not outdated:
            yield Problem("OK", "The signing keys can be read.")
