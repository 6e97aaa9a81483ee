"""Dialect: how the SDK of one product differs from the RFCs."""

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
    """What the SDK of one product expects."""

    name: str
    #: Its paths for our routes, below `base` at the root of the origin: path -> route name.
    paths: Mapping[str, str]
    base: Callable[[Server], str] = lambda server: ""
    #: Routes that only this product has.
    routes: tuple[Route, ...] = ()
    #: The header that its SDK adds to requests, as WSGI spells it.
    mark: str | None = None
    response_modes: Mapping[str, ResponseMode] = field(default_factory=dict)
    #: Translates its parameters to those of the RFCs.
    translate: Callable[[Server, Request], None] = nothing
    #: The error_description that its SDK looks for, by error.
    sentences: Mapping[type[Exception], str] = field(default_factory=dict)
    #: Whether its SDK reads the claims of access tokens, and a JSON part of refresh tokens.
    readable_tokens: bool = False
    #: Whether its SDK reads user claims from the ID token only.
    claims_in_id_token: bool = False
    #: Whether its SDK expects an issuer that ends with a slash.
    issuer_has_slash: bool = False
    #: Reports configuration that keeps its SDK from working, for `flask pkce doctor`.
    problems: Callable[[Server], Iterable[Problem]] = lambda server: ()


def asked_for(*names: str) -> bool:
    """Say whether the current Flask request is for one of the routes `names`."""
    return flask.request.endpoint in {f"pkce.{name}" for name in names}
