"""Declarations: what a feature tells the server once, when the app starts."""

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

    `name` is the key of `PKCE_ENDPOINTS` and the Flask endpoint `pkce.<name>`; `path` lies below
    the URL prefix, or at the root of the origin if `at_root` is set. A variable in it whose
    name begins with an underscore is not passed to the view, which gets the server and the
    others. `kind` says whom the route is
    for, and so how it answers: a `page` is for people (HTML errors, no framing), an `endpoint`
    for programs (JSON errors, never stored, no session), a `document` is public and may be
    cached.
    """

    name: str
    path: str
    view: Callable[..., Any]
    methods: tuple[str, ...]
    kind: EndpointKind
    at_root: bool = False
    #: Whether pages of every origin may read the answer of an endpoint, and not only those of
    #: clients: it uses no session, and whoever asks is no client yet.
    for_any_origin: bool = False


@dataclass(frozen=True)
class ResponseMode:
    """A way for an authorization response to travel (OAuth 2.0 Multiple Response Types 2.1).

    `send` gets the redirect URI and the parameters of the response, and returns what the
    browser is sent. `fits` says whether a redirect URI of a client can be answered so.
    """

    send: Callable[[str, Mapping[str, str]], Response]
    fits: Callable[[Client, str], bool] = lambda client, uri: True


@dataclass(frozen=True)
class Problem:
    """A finding of `flask pkce doctor`: `level` is OK, WARN or FAIL, `fix` the line to write."""

    level: Literal["OK", "WARN", "FAIL"]
    about: str
    fix: str = ""
