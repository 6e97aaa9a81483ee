"""Declarations: what a feature declares to the server once, when the app starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from flask import Response

from ..models.client import Client

#: Whom a route is for: people, programs, or everybody.
EndpointKind = Literal["page", "endpoint", "document"]


@dataclass(frozen=True)
class Route:
    """A path that a feature answers.

    `name` is the key in `PKCE_ENDPOINTS`; the Flask endpoint is `pkce.<name>`. `path` is below
    the URL prefix, or at the root of the origin if `at_root` is set. `view` gets the server and
    the variables of the path, except those whose names begin with an underscore. `kind`
    determines how the route answers: a `page` is for people (HTML errors, no framing), an
    `endpoint` is for programs (JSON errors, never stored, no session), and a `document` is
    public and may be cached. A body of more than `max_body` bytes is refused unread.
    """

    name: str
    path: str
    view: Callable[..., Any]
    methods: tuple[str, ...]
    kind: EndpointKind
    at_root: bool = False
    #: Whether pages of any origin may read the responses of an endpoint, not only pages of the
    #: clients' origins. For endpoints that need no session and no registered client.
    for_any_origin: bool = False
    max_body: int = 65536


@dataclass(frozen=True)
class ResponseMode:
    """A way to return an authorization response (OAuth 2.0 Multiple Response Types 2.1).

    `send` gets the redirect URI and the response parameters, and returns the response for the
    browser. `fits` returns whether the mode works with a redirect URI of a client.
    """

    send: Callable[[str, Mapping[str, str]], Response]
    fits: Callable[[Client, str], bool] = lambda client, uri: True


@dataclass(frozen=True)
class Problem:
    """A finding of `flask pkce doctor`; `fix` is the line that the operator should write."""

    level: Literal["OK", "WARN", "FAIL"]
    about: str
    fix: str = ""
