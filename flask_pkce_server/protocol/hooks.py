"""Hooks: calls the features of an app in order, and only those that implement the hook.

This is the only loop over features. Which features implement a hook is determined once, when
the app starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from flask import Response

from ..errors import ConfigurationError
from ..models.client import Client
from ..models.pruning import Prunable
from ..models.token import Token
from ..settings import Setting
from .contract import Server
from .declarations import Problem, ResponseMode, Route
from .feature import ClientAuthMethod, ClientField, Feature
from .grant_type import GrantType
from .request import Request
from .resources import Resource
from .token_response import TokenResponse

T = TypeVar("T")


class Hooks:
    """The features of an app, in the order in which they are called."""

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

    def _collect(self, kind: str, claims: Iterable[tuple[str, str, T]]) -> dict[str, T]:
        """Return what features claim, by name.

        `claims` has triples of feature, name and value. Raises `ConfigurationError` if two
        features claim the same name.
        """
        values: dict[str, T] = {}
        owners: dict[str, str] = {}
        for feature, name, value in claims:
            if name in owners:
                raise ConfigurationError(
                    f'Two features claim the {kind} "{name}": {owners[name]} and {feature}.',
                    write=f'app.config["PKCE_FEATURES"] = {{"{owners[name]}": False}}'
                    "  # or give yours another name",
                )
            values[name], owners[name] = value, feature
        return values

    # Declarations.

    @property
    def names(self) -> list[str]:
        """The names of the features."""
        return [feature.name for feature in self.features]

    def settings(self) -> dict[str, Setting]:
        """Return the settings that features of the host add, by their keys."""
        pairs = ((feature, setting) for feature in self.features for setting in feature.settings)
        return self._collect(
            "setting", ((owner.name, setting.key, setting) for owner, setting in pairs)
        )

    def scopes(self) -> dict[str, str]:
        """Return the scopes of all features, each with its sentence."""
        return self._collect(
            "scope",
            (
                (feature.name, scope, sentence)
                for feature in self.features
                for scope, sentence in feature.scopes.items()
            ),
        )

    def client_fields(self) -> dict[str, ClientField]:
        """Return the members of a client's metadata that features read, by name."""
        pairs = ((feature, field) for feature in self.features for field in feature.client_fields)
        return self._collect(
            "client field", ((owner.name, field.name, field) for owner, field in pairs)
        )

    def grants(self) -> dict[str, type[GrantType]]:
        """Return the grants of the token endpoint, by grant type."""
        pairs = ((feature, grant) for feature in self.features for grant in feature.grants)
        return self._collect(
            "grant type", ((owner.name, grant.GRANT_TYPE, grant) for owner, grant in pairs)
        )

    def extensions_of(self, grant_type: str) -> list[Callable[[Any], None]]:
        """Return the Authlib extensions of a grant."""
        return [
            extension
            for feature in self.features
            for extension in feature.grant_extensions.get(grant_type, ())
        ]

    def endpoints(self) -> list[Any]:
        """Return the Authlib endpoints of all features."""
        return [endpoint for feature in self.features for endpoint in feature.endpoints]

    def routes(self, server: Server) -> dict[str, Route]:
        """Return the routes of all features, by name."""
        return self._collect(
            "route",
            (
                (feature, route.name, route)
                for feature, ask in self._filling["routes"]
                for route in ask(server)
            ),
        )

    def wrap_view(
        self, server: Server, route: Route, view: Callable[..., Response]
    ) -> Callable[..., Response]:
        for _, wrap in self._filling["wrap_view"]:
            view = wrap(server, route, view)
        return view

    def aliases(self, server: Server) -> list[tuple[str, str]]:
        """Return the additional paths, each with the name of its route."""
        # Two features that want the same path for the same route do not conflict.
        owners = {
            pair: feature
            for feature, ask in self._filling["aliases"]
            for pair in ask(server).items()
        }
        claims = ((feature, path, name) for (path, name), feature in owners.items())
        return list(self._collect("path", claims).items())

    def client_auth_methods(self, server: Server) -> dict[str, ClientAuthMethod]:
        """Return the client authentication methods of all features, by name."""
        return self._collect(
            "client authentication method",
            (
                (feature, method.name, method)
                for feature, ask in self._filling["client_auth_methods"]
                for method in ask(server)
            ),
        )

    def response_modes(self, server: Server) -> dict[str, ResponseMode]:
        """Return the response modes of all features, by `response_mode`."""
        return self._collect(
            "response mode",
            (
                (feature, name, mode)
                for feature, ask in self._filling["response_modes"]
                for name, mode in ask(server).items()
            ),
        )

    def listeners(self, server: Server) -> list[Callable[..., Any]]:
        """Connect the listeners of all features and return them.

        Keep a reference to them: blinker holds receivers only weakly.
        """
        listeners = [pair for pairs in self._ask("listeners", server) for pair in pairs]
        for signal, receiver in listeners:
            signal.connect(receiver, server.app)
        return [receiver for _, receiver in listeners]

    # Questions.

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

    def prune(self, server: Server) -> list[tuple[str, Prunable]]:
        return [(name, rows) for name, prune in self._filling["prune"] for rows in prune(server)]

    def problems(self, server: Server) -> list[Problem]:
        return [problem for problems in self._ask("problems", server) for problem in problems]


def _joined(documents: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the members of all `documents` in one; lists are joined without duplicates."""
    document: dict[str, Any] = {}
    for members in documents:
        for name, value in members.items():
            if isinstance(value, list):
                items = document.setdefault(name, [])
                items.extend(item for item in value if item not in items)
            else:
                document[name] = value
    return document
