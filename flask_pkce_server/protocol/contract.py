"""Contract: what a feature may ask of the server.

Features, pages and grants know the server by this type alone, and get it as an argument or as
`current_server`. What is not here is not theirs to use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, cast

from flask import Flask, Response, current_app
from werkzeug.local import LocalProxy

from ..i18n.language import Languages
from ..models.base import Store
from ..models.client import Client
from ..models.token import Token
from ..settings import Settings
from ..users.users import Users
from ..wire.client_metadata import Offer, Party
from ..wire.fetch import Fetcher
from .declarations import Problem, ResponseMode, Route
from .issuer import Issuer
from .keys import KeyRing
from .request import Request
from .resources import Resource, Resources
from .scopes import Scopes
from .token_response import TokenResponse


class Hooks(Protocol):
    """The features of the app, asked in turn. See `Feature` for what each question means."""

    @property
    def names(self) -> list[str]:
        """The names of the features that are switched on."""

    def resource_metadata(self, server: Server, resource: Resource) -> dict[str, Any]:
        """Return the metadata of a resource (RFC 9728 2)."""

    def translate_request(self, server: Server, request: Request) -> None:
        """Let features put the request into the words of the RFCs."""

    def complete_authorization_request(self, server: Server, request: Request) -> None:
        """Let features say what the request leaves open."""

    def check_authorization_request(self, server: Server, request: Request) -> None:
        """Let features refuse the request or bind the grant; raises an `OAuth2Error`."""

    def check_token_request(self, server: Server, request: Request) -> None:
        """Let features refuse the request; raises an `OAuth2Error`."""

    def complete_token_response(self, server: Server, response: TokenResponse) -> None:
        """Let features add to the response, inside of the transaction."""

    def check_token_use(self, server: Server, token: Token, resource: Resource | None) -> None:
        """Let features refuse an access token that came to a view; raises an `OAuth2Error`."""

    def describe_token(self, server: Server, token: Token) -> dict[str, Any]:
        """Return the claims that features add to those of a token."""

    def read_token(self, server: Server, text: str) -> Token | None:
        """Return the token that `text` describes by itself, None if it is of no such kind."""

    def complete_response(self, server: Server, response: Response, route: Route | None) -> None:
        """Let features add headers to an answer of ours, or of a guarded view."""

    def prune(self, server: Server, limit: int) -> dict[str, int]:
        """Delete what features keep and nothing depends on, each feature in its own unit of work.

        Up to `limit` rows of each; returns how many, by feature.
        """

    def problems(self, server: Server) -> list[Problem]:
        """Return what features have to say to `flask pkce doctor`."""


class Registrar(Protocol):
    """What may be registered of a client (RFC 7591 2)."""

    #: The grant types and the client authentication methods of this server, `none` included.
    grant_types: list[str]
    auth_methods: list[str]

    def offer(self, party: Party, scopes: Iterable[str]) -> Offer:
        """Return what a client may register itself, who it is described by being `party`.

        Of `scopes` it may have all, and whatever is declared if they are empty.
        """

    def check(self, client: Client) -> None:
        """Refuse a client that must not be stored; raises `InvalidRequestError`."""

    def check_member(self, client: Client, name: str, value: Any) -> None:
        """Refuse a member of the metadata of a client; raises `InvalidRequestError`."""

    def replaced_by(self, names: Iterable[str]) -> set[str]:
        """Return the members that cannot stand beside those of `names`."""

    def names_of(self, party: Party) -> set[str]:
        """Return the members that `party` may say."""


class Server(Protocol):
    """The authorization server of one app."""

    app: Flask
    #: The URL that names this server.
    issuer: Issuer
    settings: Settings
    #: Units of work on the host's database.
    store: Store
    #: The host's users.
    users: Users
    #: What this server signs with, and verifies.
    keys: KeyRing
    #: The scopes that may be asked for, each with its sentence.
    scopes: Scopes
    #: The APIs that tokens may be for.
    resources: Resources
    #: The languages of the pages.
    languages: Languages
    #: What gets the documents that clients name.
    fetcher: Fetcher
    hooks: Hooks
    registrar: Registrar
    #: The routes that are mounted, by their Flask endpoints; and their paths, by their names.
    routes: dict[str | None, Route]
    paths: dict[str, str]
    #: How an authorization response may travel, by `response_mode`.
    response_modes: Mapping[str, ResponseMode]
    #: Seconds since the epoch; tests put their own in its place.
    clock: Callable[[], float]
    #: What the issuer ends with where debug makes it up; for features to set at start.
    debug_issuer_tail: str

    @property
    def site_name(self) -> str:
        """What the pages call the host."""

    def now(self) -> int:
        """Return the time in whole seconds since the epoch."""

    def key(self, purpose: str) -> bytes:
        """Return the key of 32 bytes for one purpose, made from the secret of the app."""

    def metadata(self) -> dict[str, Any]:
        """Return the discovery document, as the features make it (RFC 8414 2)."""

    def url_of(self, name: str) -> str:
        """Return the URL of the route `name`."""

    def metadata_url_of(self, resource: Resource) -> str | None:
        """Return where the metadata of `resource` is (RFC 9728 3.1); None if nowhere."""

    def subject_for(self, client: Client, subject: str) -> str:
        """Return the `sub` by which `client` knows the user `subject` (OIDC Core 8)."""

    def is_pairwise(self, client: Client) -> bool:
        """Say whether `client` knows users by subjects of its own (OIDC Core 8.1)."""

    def find_client(self, client_id: str) -> Client | None:
        """Return a client, None if there is none; raises `TemporarilyUnavailable`."""

    def find_token(self, text: str) -> Token | None:
        """Return the stored token that `text` stands for, whatever its state."""

    def create_oauth2_request(self, request: Any) -> Request:
        """Return `request` if it is one already, else that which Flask holds."""

    def authenticate_client(
        self, request: Request, methods: Iterable[str] = (), endpoint: str = "token"
    ) -> Client:
        """Return the client that proved who it is; raises `InvalidClientError`."""

    def get_consent_grant(self, request: Request, end_user: Any) -> Any:
        """Return the grant that checked an authorization request; raises an `OAuth2Error`."""

    def create_token_response(self) -> Response:
        """Answer the token request that Flask holds."""

    def create_endpoint_response(self, name: str) -> Response:
        """Answer the request that Flask holds by the endpoint `name` of a feature."""

    def handle_error_response(self, request: Request | None, error: Any) -> Response:
        """Return `error` as JSON (RFC 6749 5.2)."""


def server_of(app: Flask) -> Server:
    """Return the authorization server of `app`."""
    return cast(Server, app.extensions["pkce"])


#: The one of the app that Flask runs; where a server is at hand already, that is quicker.
current_server = cast(Server, LocalProxy(lambda: server_of(current_app)))
