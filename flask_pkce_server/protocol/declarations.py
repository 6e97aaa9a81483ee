"""Declarations: what a feature tells the server once, when it starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from flask import Response

from ..models.client import Client

if TYPE_CHECKING:
    from .server import Server
if TYPE_CHECKING:
    from ..models.client import Client
    from .server import Server


@dataclass(frozen=True)
class Route:
    """A path that a room answers.

    `name` is the key of `PKCE_ENDPOINTS` and the endpoint `pkce.<name>`; `path` lies below
    the URL prefix, or at the root of the origin if `at_root` is set. A variable in it whose
    name begins with an underscore is not told to the view. `door` says whom the route is
    for, and so its manners: a `page` for people, an `endpoint` for programs, a public
    `document` for everybody.
    """

    name: str
    path: str
    view: Callable[..., Any]
    methods: tuple[str, ...]
    door: Literal["page", "endpoint", "document"]
    at_root: bool = False
    #: Whether pages of every origin may read what an endpoint answers, and not only those
    #: of clients: it knows no session, and whoever asks is no client yet.
    for_any_origin: bool = False


@dataclass(frozen=True)
class Problem:
    """What `flask pkce doctor` says of one thing: `level` is OK, WARN or FAIL."""

    level: Literal["OK", "WARN", "FAIL"]
    about: str
    fix: str = ""


@dataclass(frozen=True)
class ResponseMode:
    """One way for the answer; `send` gets the server, the redirect URI and the fields."""

    send: Callable[[Server, str, Mapping[str, str]], Response]
    #: Whether the redirect URI of a client will do for it.
    fits: Callable[[Client, str], bool] = lambda client, uri: True
