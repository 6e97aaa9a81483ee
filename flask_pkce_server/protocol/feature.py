"""Feature: what one capability of the server declares, and what it is asked.

A feature is asked in the order of `features.FEATURES`, those of the host last. It has no need
to fill a hook that it does not want, and one that is not filled costs nothing. A feature that
only wants to know what happened listens to a signal instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from authlib.oauth2.rfc6749 import TokenEndpoint
from blinker import NamedSignal
from flask import Response
from sqlalchemy.orm import Session

from ..models.base import Base
from ..models.client import Client
from ..models.token import Token
from ..settings import Setting
from ..wire.client_metadata import Party
from .contract import Server
from .declarations import Problem, ResponseMode, Route
from .grant import Grant
from .request import Request
from .resources import Resource
from .token_response import TokenResponse

#: Who may say a member of a client's metadata that does no harm, whoever says it.
EVERYBODY: tuple[Party, ...] = ("operator", "client", "document")


@dataclass(frozen=True)
class ClientField:
    """A member of a client's metadata that a feature reads (RFC 7591 2).

    `kind` is the type of its value: a text, a list of texts, true and false, or a JSON object;
    `choices` are the texts that it may be; `instead_of` is the member that it takes the place
    of. `check` gets the server, the client and the value, and raises `InvalidRequestError`.
    The commands make an option of what the `operator` may say.
    """

    name: str
    meaning: str
    kind: type[str] | type[list[str]] | type[bool] | type[dict[str, Any]] = str
    choices: tuple[str, ...] = ()
    instead_of: str | None = None
    check: Callable[[Server, Client, Any], None] | None = None
    #: Who may say it: the operator; the client itself when it registers; the document that
    #: describes it; nobody of these if only the feature writes it.
    said_by: tuple[Party, ...] = ("operator",)
    #: The client authentication method that it is for; it means nothing beside others.
    auth_method: str | None = None


@dataclass(frozen=True)
class ClientAuthMethod:
    """A way for a client to prove who it is (RFC 6749 2.3, RFC 7591 2).

    `read` returns the client_id and the proof that a request shows, None if it shows none.
    `proves` says whether a proof is the client's; where it is left out, the proof is a secret.
    """

    name: str
    read: Callable[[Request], tuple[str, str] | None]
    proves: Callable[[Server, Client, str], bool] | None = None


#: A signal, and what receives it for the app.
Listener = tuple[NamedSignal, Callable[..., Any]]


class Feature:
    """One capability of the server.

    A subclass names itself and fills the hooks that it needs. Hosts add features of their own:
    `PKCEServer(db, features=[MyFeature()])`.
    """

    #: Its name in `PKCE_FEATURES`, and under which it keeps its `bindings` of a grant.
    name: ClassVar[str]
    #: Whether the server makes no sense without it.
    core: ClassVar[bool] = False
    #: Whether the host has to switch it on in `PKCE_FEATURES`.
    opt_in: ClassVar[bool] = False

    # What it declares.

    #: The settings that only a feature of the host reads; see `Setting`.
    settings: ClassVar[tuple[Setting, ...]] = ()
    #: Its tables, as classes that descend from `Base`.
    models: ClassVar[tuple[type[Base], ...]] = ()
    #: Scopes that come with it, each with the sentence that the user reads.
    scopes: ClassVar[Mapping[str, str]] = {}
    #: What it reads in a client's metadata.
    client_fields: ClassVar[tuple[ClientField, ...]] = ()
    #: The grants that it adds to the token endpoint, by their `GRANT_TYPE`.
    grants: ClassVar[tuple[type[Grant], ...]] = ()
    #: Authlib extensions of grants, by grant type: called with each grant before it is used.
    grant_extensions: ClassVar[Mapping[str, tuple[Callable[[Any], None], ...]]] = {}
    #: Authlib endpoints, which its routes answer by `server.create_endpoint_response`.
    endpoints: ClassVar[tuple[type[TokenEndpoint], ...]] = ()

    def routes(self, server: Server) -> Iterable[Route]:
        """Return the paths that it answers."""
        return ()

    def aliases(self, server: Server) -> Mapping[str, str]:
        """Return further paths of routes, from the root of the origin: path -> name of a route.

        Those of routes whose feature is switched off are not mounted.
        """
        return {}

    def client_auth_methods(self, server: Server) -> Iterable[ClientAuthMethod]:
        """Return the ways in which a client may prove who it is."""
        return ()

    def response_modes(self, server: Server) -> Mapping[str, ResponseMode]:
        """Return ways for an authorization response to travel, by their `response_mode`."""
        return {}

    def listeners(self, server: Server) -> Iterable[Listener]:
        """Return the signals that it listens to, each with the function that receives it."""
        return ()

    # What it is asked when the app starts.

    def check_settings(self, server: Server) -> None:
        """Refuse what is configured wrongly; raises `ConfigurationError`."""

    # What it is asked for the documents of the server.

    def metadata(self, server: Server) -> Mapping[str, Any]:
        """Return its members of the discovery document; lists are joined (RFC 8414 2)."""
        return {}

    def resource_metadata(self, server: Server, resource: Resource) -> Mapping[str, Any]:
        """Return its members of the metadata of an API; lists are joined (RFC 9728 2)."""
        return {}

    # What it is asked about clients and tokens.

    def find_client(self, server: Server, client_id: str, stored: Client | None) -> Client | None:
        """Return a client that is not in the database, or is `stored` there as a copy.

        Such a copy has a `document`; it is known for as long as a feature returns it.
        """
        return None

    def read_token(self, server: Server, text: str) -> Token | None:
        """Return the token that `text` describes by itself, without the database.

        What it says must be proven, but for its times and whether it was revoked.
        """
        return None

    def describe_token(self, server: Server, token: Token) -> Mapping[str, Any]:
        """Return claims to add to those of a token, in a JWT and in an introspection response."""
        return {}

    def check_token_use(self, server: Server, token: Token, resource: Resource | None) -> None:
        """Refuse an access token that opens a view, of `resource` or of the app as a whole.

        It is live, for this API, and has the scopes. Raises an `OAuth2Error`.
        """

    # What it is asked about requests.

    def translate_request(self, server: Server, request: Request) -> None:
        """Put into the words of the RFCs what a client says in those of another product.

        The client is not known yet, and nothing of the request is checked.
        """

    def complete_authorization_request(self, server: Server, request: Request) -> None:
        """Say what a request means that leaves it open; its client is known, no scope is."""

    def check_authorization_request(self, server: Server, request: Request) -> None:
        """Refuse an authorization request, or note in `request.bindings` what binds it.

        `request.user` is None as long as nobody has signed in. Raises an `OAuth2Error`.
        """

    def check_token_request(self, server: Server, request: Request) -> None:
        """Refuse a token request; the client is authenticated, nothing is consumed yet.

        Raises an `OAuth2Error`.
        """

    def complete_token_response(self, server: Server, response: TokenResponse) -> None:
        """Add to a token response before it is stored.

        Runs inside of the transaction, and again when that is retried: nothing here may reach
        beyond `response`.
        """

    def complete_response(self, server: Server, response: Response, route: Route | None) -> None:
        """Add headers to the answer of `route`, or of a view of the host that needs a token."""

    # What it is asked by the commands.

    def prune(self, server: Server, session: Session, limit: int) -> int:
        """Delete up to `limit` rows that nothing depends on any more; return how many.

        Asked again until it returns 0.
        """
        return 0

    def problems(self, server: Server) -> Iterable[Problem]:
        """Return what is well and what is not, for `flask pkce doctor`."""
        return ()
