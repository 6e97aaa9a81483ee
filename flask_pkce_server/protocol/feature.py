"""Feature: what one capability of the server declares, and the hooks it implements.

Features are called in the order of `features.FEATURES`, the host's features last. Implement
only the hooks you need: a hook that you leave out is never called and costs nothing. To learn
about events only, connect to a signal instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from authlib.oauth2.rfc6749 import TokenEndpoint
from blinker import NamedSignal
from flask import Response

from ..models.base import Base
from ..models.client import Client
from ..models.pruning import Prunable
from ..models.token import Token
from ..settings import Setting
from ..wire.client_metadata import Party
from .contract import Server
from .declarations import Problem, ResponseMode, Route
from .grant_type import GrantType
from .request import Request
from .resources import Resource
from .token_response import TokenResponse

#: For `ClientField.said_by`: anybody may set this member, since it can do no harm.
EVERYBODY: tuple[Party, ...] = ("operator", "client", "document")


@dataclass(frozen=True)
class ClientField:
    """A member of a client's metadata that a feature reads (RFC 7591 2).

    `kind` is the type of the value: a string, a list of strings, a boolean or a JSON object.
    `choices` are the allowed strings. `instead_of` names the member that this one replaces.
    `check` gets the server, the client and the value, and raises `InvalidRequestError`.
    The commands have an option for each member that the `operator` may set.
    """

    name: str
    meaning: str
    kind: type[str] | type[list[str]] | type[bool] | type[dict[str, Any]] = str
    choices: tuple[str, ...] = ()
    instead_of: str | None = None
    check: Callable[[Server, Client, Any], None] | None = None
    #: Who may set it: the operator, the client when it registers itself, or the document that
    #: describes the client. Empty if only the feature sets it.
    said_by: tuple[Party, ...] = ("operator",)
    #: The only client authentication method with which it has a meaning; None for all.
    auth_method: str | None = None


@dataclass(frozen=True)
class ClientAuthMethod:
    """A client authentication method (RFC 6749 2.3, RFC 7591 2).

    `read` returns the client_id and the proof from a request, or None if the request does not
    use this method. `proves` returns whether the proof is valid for the client. Without it, the
    proof is compared with the client_secret.
    """

    name: str
    read: Callable[[Request], tuple[str, str] | None]
    proves: Callable[[Server, Client, str], bool] | None = None


#: A signal and the function that receives it for the app.
Listener = tuple[NamedSignal, Callable[..., Any]]


class Feature:
    """One capability of the server.

    A subclass sets `name` and implements the hooks it needs. Host apps add their own features
    with `PKCEServer(db, features=[MyFeature()])`.
    """

    #: The name of the feature in `PKCE_FEATURES`, and its key in the `bindings` of a grant.
    name: ClassVar[str]
    #: Whether it is required: `PKCE_FEATURES` cannot switch it off.
    core: ClassVar[bool] = False
    #: Whether it stays off until the host switches it on in `PKCE_FEATURES`.
    opt_in: ClassVar[bool] = False

    # Declarations.

    #: The settings that a feature of the host adds; see `Setting`.
    settings: ClassVar[tuple[Setting, ...]] = ()
    #: Its tables: subclasses of `Base`.
    models: ClassVar[tuple[type[Base], ...]] = ()
    #: The scopes it adds, each with the sentence that users read.
    scopes: ClassVar[Mapping[str, str]] = {}
    #: The members of a client's metadata that it reads.
    client_fields: ClassVar[tuple[ClientField, ...]] = ()
    #: The grants that it adds to the token endpoint; each has a `GRANT_TYPE`.
    grants: ClassVar[tuple[type[GrantType], ...]] = ()
    #: Authlib grant extensions by grant type; each is called with the grant before every use.
    grant_extensions: ClassVar[Mapping[str, tuple[Callable[[Any], None], ...]]] = {}
    #: Authlib endpoints, for views that call `server.create_endpoint_response`.
    endpoints: ClassVar[tuple[type[TokenEndpoint], ...]] = ()

    def routes(self, server: Server) -> Iterable[Route]:
        """Return the routes of this feature."""
        return ()

    def wrap_view(
        self, server: Server, route: Route, view: Callable[..., Response]
    ) -> Callable[..., Response]:
        """Return the function that answers `route`: `view`, or one that calls `view`.

        `view` handles its own errors: it returns a response whatever happens.
        """
        return view

    def aliases(self, server: Server) -> Mapping[str, str]:
        """Return more paths for routes, from the root of the origin: path -> route name.

        An alias is not mounted if the feature of its route is switched off.
        """
        return {}

    def client_auth_methods(self, server: Server) -> Iterable[ClientAuthMethod]:
        """Return the client authentication methods of this feature."""
        return ()

    def response_modes(self, server: Server) -> Mapping[str, ResponseMode]:
        """Return the response modes of this feature, by `response_mode`."""
        return {}

    def listeners(self, server: Server) -> Iterable[Listener]:
        """Return pairs of a signal and the function that receives it, for this app only."""
        return ()

    # Called when the app starts.

    def check_settings(self, server: Server) -> None:
        """Refuse wrong settings; raises `ConfigurationError`."""

    # Called for the documents of the server.

    def metadata(self, server: Server) -> Mapping[str, Any]:
        """Return members of the discovery document (RFC 8414 2).

        Lists are joined with those of other features.
        """
        return {}

    def resource_metadata(self, server: Server, resource: Resource) -> Mapping[str, Any]:
        """Return members of the metadata of an API (RFC 9728 2).

        Lists are joined with those of other features.
        """
        return {}

    # Called about clients and tokens.

    def find_client(self, server: Server, client_id: str, stored: Client | None) -> Client | None:
        """Return a client that is not in the database, or is only `stored` there as a copy.

        A copy has a `document` and counts only if a feature returns it. The first feature that
        returns a client wins.
        """
        return None

    def read_token(self, server: Server, text: str) -> Token | None:
        """Return the token that a self-contained `text` describes, without using the database.

        Verify its signature first. Its lifetime and revocation are checked afterwards.
        """
        return None

    def describe_token(self, server: Server, token: Token) -> Mapping[str, Any]:
        """Return claims to add to a JWT access token and to an introspection response."""
        return {}

    def check_token_use(self, server: Server, token: Token, resource: Resource | None) -> None:
        """Refuse an access token sent to a view of `resource`, or of the app as a whole (None).

        The token is live, is meant for this API and has the scopes. Raises `OAuth2Error`.
        """

    # Called about requests.

    def translate_request(self, server: Server, request: Request) -> None:
        """Translate parameters of another product into those of the RFCs.

        The client is not known yet, and nothing in the request is checked.
        """

    def complete_authorization_request(self, server: Server, request: Request) -> None:
        """Fill in what the request leaves open; its client is known, its scopes are not yet."""

    def check_authorization_request(self, server: Server, request: Request) -> None:
        """Refuse an authorization request, or bind its grant through `request.bindings`.

        `request.user` is None until somebody has signed in. Raises `OAuth2Error`.
        """

    def check_token_request(self, server: Server, request: Request) -> None:
        """Refuse a token request; raises `OAuth2Error`.

        The client is authenticated; nothing has been consumed yet.
        """

    def complete_token_response(self, server: Server, response: TokenResponse) -> None:
        """Add to a token response before it is stored.

        Runs inside the transaction, and again if the transaction is retried, so change nothing
        but `response`.
        """

    def complete_response(self, server: Server, response: Response, route: Route | None) -> None:
        """Add headers to the response of `route`, or of a guarded view of the host (None)."""

    # Called by the commands.

    def prune(self, server: Server) -> Iterable[Prunable]:
        """Return the rows that nothing depends on any more; they are deleted in small batches."""
        return ()

    def problems(self, server: Server) -> Iterable[Problem]:
        """Return findings for `flask pkce doctor`, good and bad."""
        return ()
