"""Server: Authlib's AuthorizationServer, which calls the features of one app."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Iterable
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from flask import Flask, Response

from ..errors import (
    InvalidRequestError,
    OAuth2Error,
    UnsupportedGrantTypeError,
    UnsupportedResponseTypeError,
)
from ..i18n.language import Languages
from ..models.client import STORED_CLIENT, Client
from ..models.ephemeral import ephemeral_of
from ..models.exchanged_token import find_holder
from ..models.pairwise import value_for
from ..models.store import Store
from ..models.token import STORED_TOKEN, Token
from ..settings import Settings
from ..settings.secret import secrets_of
from ..users.users import Users
from ..wire.fetch import Fetcher
from ..wire.handle import digest, is_client_id, is_handle
from .client_authentication import authenticate
from .declarations import Route
from .error_response import error_response
from .forget import forget_subject
from .hooks import Hooks
from .issuer import Issuer, debug_issuer
from .keys import KeyRing
from .presented import read_presented
from .registrar import Registrar
from .request import Request
from .resources import DeclaredResources, Resource, Resources
from .scopes import Scopes
from .state import request_state


class FeatureServer(AuthorizationServer):
    """The authorization server of one app; `app.extensions["pkce"]`.

    `contract.Server` is the part that features may use.
    """

    issuer: Issuer

    def __init__(
        self,
        app: Flask,
        *,
        settings: Settings,
        hooks: Hooks,
        users: Users,
        store: Store,
        resources: DeclaredResources,
        clock: Callable[[], float] = time.time,
        fetcher: Fetcher | None = None,
    ) -> None:
        super().__init__()
        self.app, self.settings, self.users, self.store = app, settings, users, store
        self.hooks, self.clock, self.fetcher = hooks, clock, fetcher or Fetcher()
        self.debug_issuer_tail = ""
        if settings.issuer is not None:
            self.issuer = Issuer(settings.issuer)
        self.ephemeral = ephemeral_of(settings, store, lambda: self.issuer)
        self.languages = Languages(settings.languages, settings.texts)
        self.resources = Resources(
            resources, lambda: self.issuer, settings.jwt_access_token_resources
        )
        self.scopes = Scopes(
            {**settings.scopes, **hooks.scopes(), **settings.scopes},
            self.resources,
            default=settings.authorize_default_scopes,
            refuses_unknown=settings.authorize_unknown_scopes == "refuse",
        )
        self.keys = KeyRing(
            store,
            secrets=lambda: self.accepted_keys("signing keys"),
            clock=self.now,
            lead=settings.jwks_lead,
            # A signed token must stay verifiable until it expires.
            keep=max(
                settings.jwks_keep,
                settings.access_token_lifetime,
                settings.openid_id_token_lifetime,
            ),
        )
        self.routes, self.paths = dict[str | None, Route](), dict[str, str]()
        self._add_features()

    def _add_features(self) -> None:
        """Register what the features declare, and let them check the settings."""
        hooks = self.hooks
        self._auth_methods = hooks.client_auth_methods(self)
        grants = hooks.grants()
        self.registrar = Registrar(
            self,
            grant_types=grants,
            auth_methods=self._auth_methods,
            fields=hooks.client_fields(),
        )
        for grant_type, grant in grants.items():
            self.register_grant(grant, hooks.extensions_of(grant_type))
        for endpoint in hooks.endpoints():
            self.register_endpoint(endpoint)
        hooks.check_settings(self)
        self.response_modes = hooks.response_modes(self)
        self._listeners = hooks.listeners(self)

    def keep(self, listener: Callable[..., Any]) -> None:
        """Keep `listener` alive as long as the app: blinker holds receivers only weakly."""
        self._listeners.append(listener)

    # What features may use.

    def now(self) -> int:
        return int(self.clock())

    def __getattr__(self, name: str) -> Any:
        if name == "issuer":
            # None is configured. Not cached, since its port is that of the current request.
            return debug_issuer(self.debug_issuer_tail)
        raise AttributeError(name)

    @property
    def site_name(self) -> str:
        return self.settings.site_name or self.app.name

    def key(self, purpose: str) -> bytes:
        return self.accepted_keys(purpose)[-1]

    def accepted_keys(self, purpose: str) -> list[bytes]:
        text = f"flask-pkce-server {purpose}".encode()
        secrets = secrets_of(self.app, self.settings)
        return [hmac.digest(secret, text, "sha256") for secret in secrets]

    def metadata(self) -> dict[str, Any]:
        return self.hooks.metadata(self)

    def url_of(self, name: str) -> str:
        return self.issuer.rstrip("/") + self.paths[name]

    def metadata_url_of(self, resource: Resource) -> str | None:
        route = self.routes.get("pkce.protected_resource")
        if route is None:
            return None
        path = resource.uri.removeprefix(resource.origin)
        return resource.origin + route.path + ("" if path == "/" else path)

    def is_pairwise(self, client: Client) -> bool:
        kind = client.client_metadata.get("subject_type", self.settings.openid_subject_type)
        return bool(kind == "pairwise")

    def subject_for(self, client: Client, subject: str) -> str:
        salt = self.settings.openid_pairwise_salt
        return value_for(client, subject, salt) if self.is_pairwise(client) else subject

    def sid_for(self, client: Client, sid: str) -> str:
        salt = self.settings.openid_pairwise_salt
        return value_for(client, sid, salt, " sid") if self.is_pairwise(client) else sid

    # Clients and tokens.

    def find_client(self, client_id: str) -> Client | None:
        client, state = None, request_state()
        if client_id in state.read_clients:
            client = state.read_clients.pop(client_id)
        elif is_client_id(client_id):  # no other text is one, and PostgreSQL rejects a NUL
            client = self.store.find(STORED_CLIENT, client_id=client_id)
        if client is None or client.document is not None:
            # A described client: the stored row is only a copy of its document.
            client = self.hooks.find_client(self, client_id, client)
        state.client = client
        return client

    query_client = find_client  # the name is Authlib's

    def find_token(self, text: str) -> Token | None:
        token = request_state().read_tokens.pop(text, None)
        if token is None and is_handle(text):
            token = self.store.find(STORED_TOKEN, digest=digest(text))
        elif token is None:
            described = self.hooks.read_token(self, text)
            token = described and self.store.find(STORED_TOKEN, digest=described.digest)
        if token is not None and token.actors:
            with self.store.reading() as session:
                return token if find_holder(session, token) is not None else None
        return token

    def forget_subject(self, subject: str, deleted: bool = False) -> bool:
        return forget_subject(self, subject, deleted)

    def authenticate_client(
        self, request: Request, methods: Iterable[str] = (), endpoint: str = "token"
    ) -> Client:
        # Authlib passes `methods`; here every endpoint accepts every method.
        if request.authenticated is None:
            # Once per request: some proofs can be used only once.
            request.authenticated = authenticate(self, request, self._auth_methods, endpoint)
        return request.authenticated

    # Requests.

    def create_endpoint_response(self, name: str, request: Any = None) -> Any:
        current = self.create_oauth2_request(request)
        read_presented(self, current, self._auth_methods, may_lag=name == "introspection")
        return super().create_endpoint_response(name, current)

    def create_oauth2_request(self, request: Any) -> Request:
        if isinstance(request, Request):
            return request
        current = Request.of_flask(self.issuer)
        self.hooks.translate_request(self, current)
        return current

    def get_authorization_grant(self, request: Request) -> Any:
        """Return the grant for the `response_type`; raises `OAuth2Error` if there is none."""
        if not request.payload.response_type:
            raise InvalidRequestError("response_type is missing; it is code.")
        for grant, extensions in self._authorization_grants:
            if grant.check_authorization_endpoint(request):
                return self._create(grant, extensions, request)
        raise UnsupportedResponseTypeError()

    def get_token_grant(self, request: Request) -> Any:
        """Return the grant for the `grant_type`; raises `OAuth2Error` if there is none."""
        request.check_form()
        if not request.payload.grant_type:
            raise InvalidRequestError("grant_type is missing.")
        for grant, extensions in self._token_grants:
            if grant.check_token_endpoint(request):
                return self._create(grant, extensions, request)
        raise UnsupportedGrantTypeError()

    def _create(self, grant_class: Any, extensions: Any, request: Request) -> Any:
        grant = grant_class(request, self)
        for extend in extensions or ():
            extend(grant)
        return grant

    def handle_error_response(self, request: Request | None, error: OAuth2Error) -> Response:
        request_state().error = error
        return error_response(self.issuer, {} if request is None else request.sentences, error)
