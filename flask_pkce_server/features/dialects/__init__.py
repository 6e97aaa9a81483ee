"""Dialects: support for the SDKs of other products, at the paths and in the forms they expect.

`PKCE_DIALECTS` names the products. `DIALECTS` lists all dialects: each is data, with functions
where data is not enough. A dialect changes only the requests that use it: those that arrive at
its paths, carry the header of its SDK, or come from a client that is registered for it. A
dialect that is not named changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import flask

from ...errors import ConfigurationError, InvalidRequestError
from ...models.client import Client
from ...protocol.contract import Server
from ...protocol.declarations import Problem, ResponseMode, Route
from ...protocol.feature import ClientField, Feature
from ...protocol.request import Request
from ...protocol.token_response import TokenResponse
from . import auth0, cloudentity, keycloak, miniorange, okta, reachfive, readable
from .dialect import Dialect

DIALECTS = {
    dialect.name: dialect
    for dialect in (
        auth0.DIALECT,
        okta.DIALECT,
        keycloak.DIALECT,
        reachfive.DIALECT,
        cloudentity.DIALECT,
        miniorange.DIALECT,
    )
}


def check_dialect(server: Server, client: Client, value: Any) -> None:
    """Refuse a dialect that `PKCE_DIALECTS` does not name; raises `InvalidRequestError`."""
    if value not in server.settings.dialects:
        raise InvalidRequestError(f"PKCE_DIALECTS does not have {value}.")


class DialectsFeature(Feature):
    """The paths, parameters and answers that the SDKs of other products expect."""

    name = "dialects"
    client_fields = (
        ClientField(
            "dialect",
            "The product whose SDK it is written with, where its requests do not show that.",
            choices=tuple(DIALECTS),
            check=check_dialect,
        ),
    )

    def __init__(self) -> None:
        self.spoken: tuple[Dialect, ...] = ()
        self.by_path: dict[str, Dialect] = {}

    def check_settings(self, server: Server) -> None:
        wanted = server.settings.dialects
        if not DIALECTS.keys() >= set(wanted):
            raise ConfigurationError(
                f"PKCE_DIALECTS is {wanted!r}, and names a product that is not spoken here.",
                write=f"some of: {', '.join(DIALECTS)}",
            )
        self.spoken = tuple(DIALECTS[name] for name in wanted)
        if any(dialect.issuer_has_slash for dialect in self.spoken):
            server.debug_issuer_tail = "/"

    def response_modes(self, server: Server) -> Mapping[str, ResponseMode]:
        return {
            name: mode for dialect in self.spoken for name, mode in dialect.response_modes.items()
        }

    def routes(self, server: Server) -> Iterable[Route]:
        for dialect in self.spoken:
            yield from dialect.routes

    def aliases(self, server: Server) -> Mapping[str, str]:
        paths: dict[str, str] = {}
        for dialect in self.spoken:
            added = {dialect.base(server) + path: name for path, name in dialect.paths.items()}
            # The server's own paths do not identify a dialect; the header of its SDK does.
            self.by_path |= {path: dialect for path in added if path not in server.paths.values()}
            paths |= added
        return paths

    def translate_request(self, server: Server, request: Request) -> None:
        if not self.spoken:
            return
        dialect = self._spoken_in(server, request)
        if dialect is not None:
            request.dialect = dialect.name
            request.sentences = dialect.sentences
            dialect.translate(server, request)
        if any(spoken.readable_tokens for spoken in self.spoken):
            # A client may send such a token back in a request that shows no dialect.
            for name in ("refresh_token", "token"):
                text = request.payload.data.get(name)
                if text is not None and text != readable.unread(text):
                    request.replace(**{name: readable.unread(text)})

    def check_token_request(self, server: Server, request: Request) -> None:
        dialect = self._of_client(request) if self.spoken else None
        if dialect is not None:
            request.wants_jwt = dialect.readable_tokens
            request.wants_claims = dialect.claims_in_id_token

    def complete_token_response(self, server: Server, response: TokenResponse) -> None:
        if not self.spoken:
            return
        dialect, body = self._of_client(response.request), response.body
        if dialect is not None and dialect.readable_tokens and "refresh_token" in body:
            body["refresh_token"] = readable.made_of(body["refresh_token"])

    def problems(self, server: Server) -> Iterable[Problem]:
        for dialect in self.spoken:
            yield from dialect.problems(server)

    def _spoken_in(self, server: Server, request: Request) -> Dialect | None:
        """Return the dialect that the header or the path of a request shows."""
        for dialect in self.spoken:
            if dialect.mark is not None and dialect.mark in request.headers:
                return dialect
        rule = flask.request.url_rule
        return None if rule is None else self.by_path.get(server.issuer.below(rule.rule))

    def _of_client(self, request: Request) -> Dialect | None:
        """Return the dialect of a request, else of its authenticated client."""
        name = request.dialect or request.client.client_metadata.get("dialect")
        return next((dialect for dialect in self.spoken if dialect.name == name), None)
