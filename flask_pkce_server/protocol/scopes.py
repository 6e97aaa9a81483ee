"""Scopes: what may be asked for, at which API, and what a request means by it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from ..errors import InvalidScopeError
from ..models.client import Client
from ..wire.resource_uri import canonical
from .resources import Resources

_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


class Scopes(Mapping[str, str]):
    """Every scope that may be asked for, with the sentence that the user reads.

    `declared` are those of the host and of the features; further ones come with `resources`,
    at whatever time. A request that names none means those of `default`. `refuses_unknown`
    says whether a scope that is not declared is an error, or is left out.
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
        """Return the scopes that the APIs `uris` have.

        Those that are declared for them; where none are, all that no API elsewhere has.
        """
        own = self._resources.own
        elsewhere = {canonical(uri): named for uri, named in self._resources.elsewhere.items()}
        here, found = frozenset(self).difference(*elsewhere.values()), frozenset[str]()
        for uri in map(canonical, uris):
            named = frozenset(own[uri].scopes) if uri in own else frozenset[str]()
            found |= elsewhere.get(uri, frozenset()) | named or here
        return found

    def asked_by(
        self, client: Client, text: str | None, resources: Iterable[str] = ()
    ) -> frozenset[str]:
        """Return the scopes that a request of `client` for `text` means (RFC 6749 3.3).

        One that names none means those that the client or else the server has for that, and
        those that `resources`, the URIs it names, tell their clients to ask for first. Raises
        `InvalidScopeError` for those that are not declared or not the client's.
        """
        every = frozenset(self)
        allowed = every if client.scope is None else every & client.scope
        asked = frozenset((text or "").split(" ")) - {""}
        if not all(map(_TOKEN.fullmatch, asked)):
            raise InvalidScopeError("A scope has a character that scopes do not have.")
        if not asked - {"offline_access"}:
            # Who says no more than that it wants to stay, as Claude does, means these too.
            usual: str | None = client.client_metadata.get("default_scope")
            default = self._default if usual is None else usual.split()
            own = self._resources.own
            named = (own[uri] for uri in map(canonical, resources) if uri in own)
            asked |= allowed & {*default, *(scope for one in named for scope in one.asked_first)}
        if not asked <= allowed and self.refuses_unknown:
            raise InvalidScopeError(
                "A scope that was asked for is not declared here, or not allowed to this client."
            )
        return asked & allowed
