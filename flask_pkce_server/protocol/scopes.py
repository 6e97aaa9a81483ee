"""Scopes: what may be asked for, at which API, and what a request means by it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from ..errors import InvalidScopeError
from ..models.client import Client
from ..wire.resource_uri import canonical

if TYPE_CHECKING:
    from .server import Server

_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


class Scopes(Mapping[str, str]):
    """Every scope that may be asked for, with the sentence that the user reads."""

    def __init__(self, server: Server) -> None:
        self._server = server
        # Those of the host and of the rooms. Further ones come with APIs, at whatever time.
        self._own = dict(server.settings.scopes)
        for feature in server.features:
            self._own = {**self._own, **feature.scopes, **server.settings.scopes}

    def __getitem__(self, scope: str) -> str:
        return self._own[scope] if scope in self._own else self._server.resources.sentences[scope]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._own, **self._server.resources.sentences})

    def __len__(self) -> int:
        return len({**self._own, **self._server.resources.sentences})

    def at(self, uris: Iterable[str]) -> frozenset[str]:
        """Return the scopes that the APIs `uris` have.

        Those that are declared for them; where none are, all that no API elsewhere has.
        """
        own_resources = self._server.own_resources
        elsewhere = {
            canonical(uri): frozenset(its)
            for uri, its in self._server.settings.jwt_access_token_resources.items()
        }
        here, found = frozenset(self).difference(*elsewhere.values()), frozenset[str]()
        for uri in map(canonical, uris):
            own = own_resources.get(uri)
            found |= elsewhere.get(uri, frozenset()) | frozenset(own.scopes if own else ()) or here
        return found

    def asked_by(
        self, client: Client, text: str | None, resources: Iterable[str] = ()
    ) -> frozenset[str]:
        """Return the scopes that a request of `client` for `text` means (RFC 6749 3.3).

        One that names none means those that the client or else the server has for that, and
        those that `resources`, the URIs it names, tell their clients to ask for first. Raises
        `InvalidScopeError` for those that are not declared or not the client's.
        """
        settings, every = self._server.settings, frozenset(self)
        allowed = every if client.scope is None else every & client.scope
        asked = frozenset((text or "").split(" ")) - {""}
        if not all(_TOKEN.fullmatch(scope) for scope in asked):
            raise InvalidScopeError("A scope has a character that scopes do not have.")
        if not asked - {"offline_access"}:
            # Who says no more than that it wants to stay, as Claude does, means these too.
            usual: str | None = client.client_metadata.get("default_scope")
            default = settings.authorize_default_scopes if usual is None else usual.split()
            own = self._server.own_resources
            named = (own[uri] for uri in map(canonical, resources) if uri in own)
            asked |= allowed & {*default, *(scope for one in named for scope in one.asked_first)}
        if not asked <= allowed and settings.authorize_unknown_scopes == "refuse":
            raise InvalidScopeError(
                "A scope that was asked for is not declared here, or not allowed to this client."
            )
        return asked & allowed
