"""Hooks: the features of an app, asked in turn; each question only to those that answer it.

The only loop over features. Which of them fill a hook is found out once, when the app starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

from flask import Response

from ..errors import ConfigurationError
from ..models.client import Client
from ..models.token import Token
from .contract import Server
from .declarations import Problem, ResponseMode, Route
from .feature import ClientAuthMethod, ClientField, Feature
from .grant import Grant
from .request import Request
from .resources import Resource
from .token_response import TokenResponse

T = TypeVar("T")


class Hooks:
    """The features of an app, in the order in which they are asked."""

    def __init__(self, features: Iterable[Feature]) -> None:
        self.features = tuple(features)
        self._filling: dict[str, tuple[tuple[str, Callable[..., Any]], ...]] = {
            hook: tuple(
                (feature.name, getattr(feature, hook))
                for feature in self.features
                if getattr(type(feature), hook) is not default
            )
            for hook, default in vars(Feature).items()
            if callable(default) and not hook.startswith("_")
        }

    def _ask(self, hook: str, *arguments: Any) -> Iterator[Any]:
        for _, function in self._filling[hook]:
            yield function(*arguments)

    def _collect(self, what: str, pairs: Iterable[tuple[str, str, T]]) -> dict[str, T]:
        """Return what features claim by name; two that claim one name are refused."""
        found: dict[str, T] = {}
        owners: dict[str, str] = {}
        for feature, name, value in pairs:
            if name in owners:
                raise ConfigurationError(
                    f'Two features claim the {what} "{name}": {owners[name]} and {feature}.',
                    write=f'app.config["PKCE_FEATURES"] = {{"{owners[name]}": False}}'
                    "  # or give yours another name",
                )
            found[name], owners[name] = value, feature
        return found

    # What features declare.

    @property
    def names(self) -> list[str]:
        """The names of the features."""
        return [feature.name for feature in self.features]

    def scopes(self) -> dict[str, str]:
        """Return the scopes that come with features, each with its sentence."""
        return self._collect(
            "scope",
            ((one.name, name, text) for one in self.features for name, text in one.scopes.items()),
        )

    def client_fields(self) -> dict[str, ClientField]:
        """Return what features read in a client's metadata, by name."""
        return self._collect(
            "client field",
            ((one.name, field.name, field) for one in self.features for field in one.client_fields),
        )

    def grants(self) -> dict[str, type[Grant]]:
        """Return the grants of the token endpoint, by grant type."""
        return self._collect(
            "grant type",
            ((one.name, grant.GRANT_TYPE, grant) for one in self.features for grant in one.grants),
        )

    def extensions_of(self, grant_type: str) -> list[Callable[[Any], None]]:
        """Return what extends a grant."""
        several = (one.grant_extensions.get(grant_type, ()) for one in self.features)
        return [extension for extensions in several for extension in extensions]

    def endpoints(self) -> list[Any]:
        """Return the Authlib endpoints of all features."""
        return [endpoint for one in self.features for endpoint in one.endpoints]

    def routes(self, server: Server) -> dict[str, Route]:
        """Return the paths that features answer, by name."""
        return self._collect(
            "route",
            (
                (feature, route.name, route)
                for feature, ask in self._filling["routes"]
                for route in ask(server)
            ),
        )

    def aliases(self, server: Server) -> list[tuple[str, str]]:
        """Return further paths, each with the name of its route."""
        # Two that want a path for the same route do not disagree.
        claims = {
            pair: feature
            for feature, ask in self._filling["aliases"]
            for pair in ask(server).items()
        }
        pairs = ((feature, path, name) for (path, name), feature in claims.items())
        return list(self._collect("path", pairs).items())

    def client_auth_methods(self, server: Server) -> dict[str, ClientAuthMethod]:
        """Return the ways in which a client may prove who it is, by name."""
        return self._collect(
            "client authentication method",
            (
                (feature, method.name, method)
                for feature, ask in self._filling["client_auth_methods"]
                for method in ask(server)
            ),
        )

    def response_modes(self, server: Server) -> dict[str, ResponseMode]:
        """Return the ways for an authorization response to travel, by `response_mode`."""
        return self._collect(
            "response mode",
            (
                (feature, name, mode)
                for feature, ask in self._filling["response_modes"]
                for name, mode in ask(server).items()
            ),
        )

    def listeners(self, server: Server) -> list[Callable[..., Any]]:
        """Connect what features listen with; return it, since blinker holds it weakly only."""
        found = [pair for pairs in self._ask("listeners", server) for pair in pairs]
        for signal, receiver in found:
            signal.connect(receiver, server.app)
        return [receiver for _, receiver in found]

    # What features are asked.

    def check_settings(self, server: Server) -> None:
        for _ in self._ask("check_settings", server):
            pass

    def metadata(self, server: Server) -> dict[str, Any]:
        return _joined(self._ask("metadata", server))

    def resource_metadata(self, server: Server, resource: Resource) -> dict[str, Any]:
        return _joined(self._ask("resource_metadata", server, resource))

    def find_client(self, server: Server, client_id: str, stored: Client | None) -> Client | None:
        return next(filter(None, self._ask("find_client", server, client_id, stored)), None)

    def read_token(self, server: Server, text: str) -> Token | None:
        return next(filter(None, self._ask("read_token", server, text)), None)

    def describe_token(self, server: Server, token: Token) -> dict[str, Any]:
        return _joined(self._ask("describe_token", server, token))

    def check_token_use(self, server: Server, token: Token, resource: Resource | None) -> None:
        for _, check in self._filling["check_token_use"]:
            check(server, token, resource)

    def translate_request(self, server: Server, request: Request) -> None:
        for _, translate in self._filling["translate_request"]:
            translate(server, request)

    def complete_authorization_request(self, server: Server, request: Request) -> None:
        for _, complete in self._filling["complete_authorization_request"]:
            complete(server, request)

    def check_authorization_request(self, server: Server, request: Request) -> None:
        for _, check in self._filling["check_authorization_request"]:
            check(server, request)

    def check_token_request(self, server: Server, request: Request) -> None:
        for _, check in self._filling["check_token_request"]:
            check(server, request)

    def complete_token_response(self, server: Server, response: TokenResponse) -> None:
        for _, complete in self._filling["complete_token_response"]:
            complete(server, response)

    def complete_response(self, server: Server, response: Response, route: Route | None) -> None:
        for _, complete in self._filling["complete_response"]:
            complete(server, response, route)

    def prune(self, server: Server, limit: int) -> dict[str, int]:
        return {
            name: server.store.write(partial(prune, server, limit=limit))
            for name, prune in self._filling["prune"]
        }

    def problems(self, server: Server) -> list[Problem]:
        return [found for several in self._ask("problems", server) for found in several]


def _joined(several: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the members of all, lists joined."""
    document: dict[str, Any] = {}
    for members in several:
        for name, value in members.items():
            if isinstance(value, list):
                known = document.setdefault(name, [])
                known.extend(one for one in value if one not in known)
            else:
                document[name] = value
    return document
