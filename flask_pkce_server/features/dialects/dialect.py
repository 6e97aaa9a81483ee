"""Dialect: how the SDK of one product speaks, as far as that is not in the RFCs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import flask

from ...protocol.contract import Server
from ...protocol.declarations import Problem, ResponseMode, Route
from ...protocol.request import Request


def nothing(server: Server, request: Request) -> None:
    """Leave a request as it is."""


@dataclass(frozen=True)
class Dialect:
    """One product's paths and manners."""

    name: str
    #: Its paths of our routes, from `base` at the root of the origin: path -> route.
    paths: Mapping[str, str]
    base: Callable[[Server], str] = lambda server: ""
    #: What it has besides.
    routes: tuple[Route, ...] = ()
    #: The header that its SDK puts on requests, as WSGI spells it.
    mark: str | None = None
    response_modes: Mapping[str, ResponseMode] = field(default_factory=dict)
    #: Puts its words into those of the RFCs.
    translate: Callable[[Server, Request], None] = nothing
    #: What its SDK looks for in an error_description.
    sentences: Mapping[type[Exception], str] = field(default_factory=dict)
    #: Whether its SDK reads claims in access tokens, and a JSON part in refresh tokens.
    readable_tokens: bool = False
    #: Whether its SDK knows the user by the ID token alone.
    claims_in_id_token: bool = False
    #: Whether its SDK expects an issuer that ends with a slash.
    issuer_has_slash: bool = False
    #: What of the set-up keeps its SDK from working, for `flask pkce doctor`.
    problems: Callable[[Server], Iterable[Problem]] = lambda server: ()


def asked_for(*names: str) -> bool:
    """Say whether the request of Flask is for one of the routes `names`."""
    return flask.request.endpoint in {f"pkce.{name}" for name in names}
