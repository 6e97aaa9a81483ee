"""Contract: what features, pages and grants may use of the server.

They depend on these types alone and get the server as an argument or as `current_server`.
Anything that is not listed here is internal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, cast

from flask import Flask, Response, current_app
from werkzeug.local import LocalProxy

from ..i18n.language import Languages
from ..models.client import Client
from ..models.ephemeral import Ephemeral
from ..models.pruning import Prunable
from ..models.store import Store
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
    """The features of the app, called in order. `Feature` explains each hook."""

    @property
    def names(self) -> list[str]:
        """The names of the enabled features."""

    def resource_metadata(self, server: Server, resource: Resource) -> dict[str, Any]:
        """Return the metadata of a resource (RFC 9728 2)."""

    def translate_request(self, server: Server, request: Request) -> None:
        """Let features translate parameters of other products into those of the RFCs."""

    def complete_authorization_request(self, server: Server, request: Request) -> None:
        """Let features fill in what the request leaves open."""

    def check_authorization_request(self, server: Server, request: Request) -> None:
        """Let features refuse the request or bind the grant; raises `OAuth2Error`."""

    def check_token_request(self, server: Server, request: Request) -> None:
        """Let features refuse the request; raises `OAuth2Error`."""

    def complete_token_response(self, server: Server, response: TokenResponse) -> None:
        """Let features add to the response, inside the transaction."""

    def check_token_use(self, server: Server, token: Token, resource: Resource | None) -> None:
        """Let features refuse an access token sent to a view; raises `OAuth2Error`."""

    def describe_token(self, server: Server, token: Token) -> dict[str, Any]:
        """Return the claims that features add to a token."""

    def read_token(self, server: Server, text: str) -> Token | None:
        """Return the token that a self-contained `text` describes, or None if it is not one."""

    def complete_response(self, server: Server, response: Response, route: Route | None) -> None:
        """Let features add headers to the response of our `route`, or of a guarded view (None)."""

    def prune(self, server: Server) -> list[tuple[str, Prunable]]:
        """Return what `flask pkce prune` deletes, each with the name of its feature."""

    def problems(self, server: Server) -> list[Problem]:
        """Return the findings of all features for `flask pkce doctor`."""


class Registrar(Protocol):
    """The rules for client registration (RFC 7591 2)."""

    #: The grant types and client authentication methods of this server, including `none`.
    grant_types: list[str]
    auth_methods: list[str]

    def offer(self, party: Party, scopes: Iterable[str]) -> Offer:
        """Return what a client may register when `party` describes it.

        The offer includes all declared scopes that are in `scopes`, or all of them if `scopes`
        is empty.
        """

    def check(self, client: Client) -> None:
        """Refuse a client that must not be stored; raises `InvalidRequestError`."""

    def check_member(self, client: Client, name: str, value: Any) -> None:
        """Refuse an invalid member of a client's metadata; raises `InvalidRequestError`."""

    def replaced_by(self, names: Iterable[str]) -> set[str]:
        """Return the metadata members that those in `names` replace."""

    def names_of(self, party: Party) -> set[str]:
        """Return the names of the metadata members that `party` may set."""


class Server(Protocol):
    """The authorization server of one app."""

    app: Flask
    #: The URL that identifies this server.
    issuer: Issuer
    settings: Settings
    #: Runs units of work on the host's database.
    store: Store
    #: Counts attempts and remembers used JWTs, in the database or in Redis.
    ephemeral: Ephemeral
    #: The host's users.
    users: Users
    #: The signing keys; they also verify what this server signed.
    keys: KeyRing
    #: The scopes that clients may request, each with the sentence that users read.
    scopes: Scopes
    #: The APIs that tokens can be for.
    resources: Resources
    #: The languages of the pages.
    languages: Languages
    #: Fetches documents from URLs that clients name.
    fetcher: Fetcher
    hooks: Hooks
    registrar: Registrar
    #: The mounted routes by Flask endpoint, and their paths by route name.
    routes: dict[str | None, Route]
    paths: dict[str, str]
    #: The supported response modes, by `response_mode`.
    response_modes: Mapping[str, ResponseMode]
    #: Returns the time in epoch seconds; tests replace it.
    clock: Callable[[], float]
    #: The end of the issuer that debug mode uses if none is configured; features set it in
    #: `check_settings`.
    debug_issuer_tail: str

    @property
    def site_name(self) -> str:
        """The name of the host app on the pages."""

    def now(self) -> int:
        """Return the time in whole epoch seconds."""

    def key(self, purpose: str) -> bytes:
        """Return the 32-byte key with which to make things for `purpose`.

        It is derived from the app's secret. Check with `accepted_keys` what was made with it.
        """

    def accepted_keys(self, purpose: str) -> list[bytes]:
        """Return the keys with which things for `purpose` may have been made, the newest last.

        They are derived from the earlier secrets that the app still accepts and from the
        current one. The signers of itsdangerous take them in this order.
        """

    def metadata(self) -> dict[str, Any]:
        """Return the discovery document, which the features compose (RFC 8414 2)."""

    def url_of(self, name: str) -> str:
        """Return the URL of the route `name`."""

    def metadata_url_of(self, resource: Resource) -> str | None:
        """Return the URL of the metadata of `resource`, None if it has none (RFC 9728 3.1)."""

    def subject_for(self, client: Client, subject: str) -> str:
        """Return the `sub` that `client` gets for the user `subject` (OIDC Core 8)."""

    def sid_for(self, client: Client, sid: str) -> str:
        """Return the `sid` that `client` gets for the login session `sid`.

        Like subjects, those of pairwise clients differ: one `sid` for all would tell them which
        of their users is the same person.
        """

    def is_pairwise(self, client: Client) -> bool:
        """Return whether `client` gets pairwise subject identifiers (OIDC Core 8.1)."""

    def find_client(self, client_id: str) -> Client | None:
        """Return the client, None if there is none; raises `TemporarilyUnavailable`."""

    def find_token(self, text: str) -> Token | None:
        """Return the stored token for `text` in any state, None if there is none.

        Also None for an exchanged token whose client no longer exists.
        """

    def forget_subject(self, subject: str, deleted: bool = False) -> bool:
        """Revoke all that the user `subject` granted; return whether there was anything.

        A user who is `deleted` also gives up the apps that they registered.
        """

    def create_oauth2_request(self, request: Any) -> Request:
        """Return `request` if it is a `Request`, else make one from the current Flask request."""

    def authenticate_client(
        self, request: Request, methods: Iterable[str] = (), endpoint: str = "token"
    ) -> Client:
        """Return the client that the request authenticates; raises `InvalidClientError`."""

    def get_consent_grant(self, request: Request, end_user: Any) -> Any:
        """Validate an authorization request and return its grant; raises `OAuth2Error`."""

    def create_token_response(self) -> Response:
        """Answer the current Flask request as a token request."""

    def create_endpoint_response(self, name: str) -> Response:
        """Answer the current Flask request with the Authlib endpoint `name` of a feature."""

    def handle_error_response(self, request: Request | None, error: Any) -> Response:
        """Return `error` as JSON (RFC 6749 5.2)."""


def server_of(app: Flask) -> Server:
    """Return the authorization server of `app`."""
    return cast(Server, app.extensions["pkce"])


#: The server of the current app. If a server is at hand already, using that is faster.
current_server = cast(Server, LocalProxy(lambda: server_of(current_app)))
