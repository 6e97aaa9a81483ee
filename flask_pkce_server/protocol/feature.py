"""Feature: every joint that a room may fill.

A joint asks; the rooms answer in the order of `features.FEATURES`. A room that only wants
to know what happened listens to a signal instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .declarations import Problem, Route

if TYPE_CHECKING:
    from ..models.base import Base
    from ..models.client import Client
    from ..models.token import Token
    from .grant import TokenResponse
    from .request import Request
    from .server import Server


@dataclass(frozen=True)
class ClientField:
    """A line of a client's registration that a room reads (RFC 7591 2).

    `kind` is the type of its value: a text, a list of texts, true and false, or a JSON object;
    `choices` are the texts that it may be; `instead_of` is the line that it takes the place of.
    `check` gets the server, the client and the value, and raises `InvalidRequestError`. The
    commands make an option of it, unless nobody says it but the room.
    """

    name: str
    meaning: str
    kind: type[str] | type[list[str]] | type[bool] | type[dict[str, Any]] = str
    choices: tuple[str, ...] = ()
    instead_of: str | None = None
    check: Callable[[Server, Client, Any], None] | None = None
    is_said: bool = True


class Feature:
    """One capability of the server: a room of the house.

    A subclass names itself and overrides the joints that it fills. Hosts may add rooms of
    their own: `PKCEServer(db, features=[MyFeature()])`.
    """

    #: Its name in `PKCE_FEATURES`.
    name: ClassVar[str]
    #: Whether the server makes no sense without it.
    core: ClassVar[bool] = False
    #: Whether the host has to ask for it in `PKCE_FEATURES`.
    opt_in: ClassVar[bool] = False
    #: The settings that only this room reads.
    settings: ClassVar[tuple[str, ...]] = ()
    #: The tables that only this room uses; their classes, so that they are imported.
    models: ClassVar[tuple[type[Base], ...]] = ()
    #: Scopes that come with the room, each with the sentence that the user reads.
    scopes: ClassVar[Mapping[str, str]] = {}
    #: What it reads in a client's registration.
    client_fields: ClassVar[tuple[ClientField, ...]] = ()
    #: Authlib extensions of the authorization code grant.
    code_grant_extensions: ClassVar[tuple[Callable[[Any], None], ...]] = ()

    def register(self, server: Server) -> None:
        """Register grants, endpoints and client authentication with `server`."""

    def routes(self, server: Server) -> Iterable[Route]:
        """Return the paths that this room answers."""
        return ()

    def aliases(self, server: Server) -> Mapping[str, str]:
        """Return further paths, from the root of the origin, of routes that rooms have.

        Each with the name of its route; one whose room is left out is not mounted.
        """
        return {}

    def metadata(self, server: Server) -> Mapping[str, Any]:
        """Return this room's lines of the discovery document; lists are joined."""
        return {}

    def find_client(self, server: Server, client_id: str, stored: Client | None) -> Client | None:
        """Return a client that is not in the database, or is `stored` there as a copy.

        Such a copy has a `document`; it is known for as long as a room says so.
        """
        return None

    def read_token(self, server: Server, text: str) -> Token | None:
        """Return the token that `text` describes by itself, without the database.

        What it says must be proven, but for its times and whether it was revoked.
        """
        return None

    def translate_request(self, server: Server, request: Request) -> None:
        """Put into the words of the RFCs what a client says in those of another product.

        The client is not known yet, and nothing of the request is checked.
        """

    def resolve_authorization_request(self, request: Request) -> None:
        """Put what was pushed or signed in the place of what the browser carried."""

    def complete_authorization_request(self, request: Request) -> None:
        """Say what a request means that leaves it open; its client is known, no scope is."""

    def check_authorization_request(self, request: Request) -> None:
        """Refuse an authorization request, or note in `request.bindings` what binds it."""

    def check_token_request(self, request: Request) -> None:
        """Refuse a token request; the client is authenticated, nothing is consumed yet."""

    def complete_token_response(self, response: TokenResponse) -> None:
        """Add to a token response before it is stored.

        Runs inside the transaction, and again when that is retried: nothing here may
        reach beyond `response`.
        """

    def problems(self, server: Server) -> Iterable[Problem]:
        """Say what is well and what is not, for `flask pkce doctor`."""
        return ()
