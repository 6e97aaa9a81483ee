"""Scopes: which scopes exist, which API each belongs to, and which ones a request means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from ..errors import InvalidScopeError
from ..models.client import Client
from ..wire.resource_uri import canonical
from .resources import Resources

_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


class Scopes(Mapping[str, str]):
    """Every scope that clients may request, with the sentence that users read.

    `declared` has the scopes of the host and the features; `resources` can add more at any
    time. A request without scopes gets `default`. With `refuses_unknown`, an undeclared scope
    is an error; without it, the scope is ignored.
    """

    def __init__(
        self,
        declared: Mapping[str, str],
        resources: Resources,
        *,
        default: Iterable[str],
        refuses_unknown: bool,
    ) -> None:
        self._declared, self._resources = dict(declared), resources
        self._sentences = resources.sentences
        self._default = tuple(default)
        self.refuses_unknown = refuses_unknown

    def __getitem__(self, scope: str) -> str:
        declared = self._declared
        return declared[scope] if scope in declared else self._sentences[scope]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._declared, **self._sentences})

    def __len__(self) -> int:
        return len({**self._declared, **self._sentences})

    def at(self, uris: Iterable[str]) -> frozenset[str]:
        """Return the scopes of the APIs `uris`.

        An API without declared scopes has all scopes that no API elsewhere has.
        """
        own = self._resources.own
        elsewhere = {canonical(uri): scopes for uri, scopes in self._resources.elsewhere.items()}
        here, scopes = frozenset(self).difference(*elsewhere.values()), frozenset[str]()
        for uri in map(canonical, uris):
            declared = frozenset(own[uri].scopes) if uri in own else frozenset[str]()
            scopes |= elsewhere.get(uri, frozenset()) | declared or here
        return scopes

    def asked_by(
        self, client: Client, text: str | None, resources: Iterable[str] = ()
    ) -> frozenset[str]:
        """Return the scopes that `client` asks for with the scope string `text` (RFC 6749 3.3).

        A request without scopes means the defaults of the client, or else of the server, and
        the scopes that the APIs with the URIs `resources` want clients to request first. Raises
        `InvalidScopeError` for a malformed scope, and for one that is not declared or not
        allowed to the client if unknown scopes are refused.
        """
        declared = frozenset(self)
        allowed = declared if client.scope is None else declared & client.scope
        asked = frozenset((text or "").split(" ")) - {""}
        if not all(map(_TOKEN.fullmatch, asked)):
            raise InvalidScopeError("A scope has a character that scopes do not have.")
        if not asked - {"offline_access"}:
            # A client that requests only offline_access, as Claude does, means these too.
            registered: str | None = client.client_metadata.get("default_scope")
            default = self._default if registered is None else registered.split()
            own = self._resources.own
            apis = (own[uri] for uri in map(canonical, resources) if uri in own)
            asked |= allowed & {*default, *(scope for api in apis for scope in api.asked_first)}
        if not asked <= allowed and self.refuses_unknown:
            raise InvalidScopeError(
                "A scope that was asked for is not declared here, or not allowed to this client."
            )
        return asked & allowed
