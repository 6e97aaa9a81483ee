"""Server: Authlib's AuthorizationServer, asking the rooms in turn; one for each app."""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast, get_origin

import flask
from authlib.integrations.flask_oauth2 import AuthorizationServer
from flask import Flask, Response, current_app, g
from werkzeug.local import LocalProxy

from ..errors import (
    InvalidRequestError,
    OAuth2Error,
    TooManyRequests,
    UnsupportedGrantTypeError,
    UnsupportedResponseTypeError,
)
from ..i18n.language import Languages
from ..models import client as clients
from ..models.base import Store
from ..models.client import Client
from ..models.token import Token, find_holder
from ..settings import Settings
from ..users.users import Users
from ..wire.fetch import Fetcher
from ..wire.handle import base64url, digest, is_handle
from ..wire.resource_uri import canonical
from .client_authentication import authenticate
from .keys import KeyRing
from .request import Request
from .resources import Resource, Resources
from .scopes import Scopes

if TYPE_CHECKING:
    from .declarations import ResponseMode, Route
    from .feature import ClientField, Feature


class Server(AuthorizationServer):
    """The authorization server of one app; `app.extensions["pkce"]`."""

    def __init__(
        self,
        app: Flask,
        *,
        settings: Settings,
        features: tuple[Feature, ...],
        users: Users,
        store: Store,
        resources: Resources | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.app = app
        self.settings = settings
        self.features = features
        self.users = users
        self.store = store
        #: The APIs of this app, as the host declares them, at whatever time.
        self.resources = resources or Resources()
        #: What may be asked for, there and here.
        self.scopes = Scopes(self)
        self.keys = KeyRing(
            store,
            secret=lambda: self.key("signing keys"),
            clock=self.now,
            lead=settings.jwks_lead,
            # Whoever holds what a key signed must be able to verify it to the end.
            keep=max(
                settings.jwks_keep,
                settings.access_token_lifetime,
                settings.openid_id_token_lifetime,
            ),
        )
        #: In which languages the pages may be.
        self.languages = Languages(settings.languages, settings.texts)
        #: Seconds since the epoch; tests put their own in its place.
        self.clock = clock
        #: What listens to signals for this app.
        self.listeners: tuple[Callable[..., None], ...] = ()
        #: The routes that are mounted, and their paths, by name.
        self.routes: dict[str, Route] = {}
        self.paths: dict[str, str] = {}
        #: How a client may show who it is: method name -> reads (client_id, proof) or None.
        self.client_auth_methods: dict[str, Callable[[Request], tuple[str, str] | None]] = {}
        #: How a proof is judged that is no secret: method name -> says whether (client, proof)
        #: fits.
        self.client_proofs: dict[str, Callable[[Client, str], bool]] = {}
        #: What gets the documents that clients name; tests put their own in its place.
        self.fetcher = Fetcher()
        #: What the issuer of debug ends with.
        self.issuer_tail = ""
        #: How an authorization response may travel, by response_mode.
        self.response_modes: dict[str, ResponseMode] = {}
        #: What rooms read in a client's registration, by name.
        self.client_fields: dict[str, ClientField] = {}
        for feature in features:
            self.client_fields |= {field.name: field for field in feature.client_fields}
        for feature in features:
            feature.register(self)

    # What every room may ask.

    def now(self) -> int:
        """Return the time in whole seconds since the epoch."""
        return int(self.clock())

    @property
    def issuer(self) -> str:
        """The issuer, byte for byte as it is configured (RFC 8414 2)."""
        if self.settings.issuer is not None:
            return self.settings.issuer
        # Debug only. The port of the socket, and never the Host header.
        port = os.environ.get("FLASK_RUN_PORT", "5000")
        if flask.has_request_context():
            port = flask.request.environ["SERVER_PORT"]
        return "http://127.0.0.1" + ("" if port == "80" else f":{port}") + self.issuer_tail

    @property
    def own_resources(self) -> dict[str, Resource]:
        """The APIs of this app besides itself, by their canonical URIs (RFC 8707 2)."""
        return self.resources.known(self.issuer)

    @property
    def known_resources(self) -> dict[str, str]:
        """Every API that tokens may be for, as it is configured, by its canonical URI."""
        own = (one.uri for one in self.own_resources.values())
        elsewhere = self.settings.jwt_access_token_resources
        return {canonical(uri): uri for uri in (*own, *elsewhere, self.issuer)}

    def metadata_url_of(self, resource: Resource) -> str | None:
        """Return where the metadata of `resource` is (RFC 9728 3.1); None without that room."""
        if "protected_resource" not in self.routes:
            return None
        path = resource.uri.removeprefix(resource.origin)
        place = self.routes["protected_resource"].path
        return resource.origin + place + ("" if path == "/" else path)

    def url_of(self, name: str) -> str:
        """Return the URL of the route `name`: the issuer's, whatever proxy is in front."""
        return self.issuer.rstrip("/") + self.paths[name]

    def door_of(self, endpoint: str | None) -> str | None:
        """Return the door of a Flask endpoint, None if it is not one of ours."""
        route = self.route_of(endpoint)
        return None if route is None else route.door

    def route_of(self, endpoint: str | None) -> Route | None:
        """Return the route of a Flask endpoint, None if it is not one of ours."""
        before, _, name = (endpoint or "").partition("pkce.")
        return None if before else self.routes.get(name)

    @property
    def site_name(self) -> str:
        """What the pages call the host."""
        return self.settings.site_name or self.app.name

    def key(self, purpose: str) -> bytes:
        """Return the key of 32 bytes for one purpose."""
        secret = self.settings.key_secret or self.app.secret_key or ""
        material = secret if isinstance(secret, bytes) else secret.encode()
        return hmac.digest(material, f"flask-pkce-server {purpose}".encode(), "sha256")

    def subject_for(self, client: Client, subject: str) -> str:
        """Return the `sub` by which `client` knows the user `subject` (OIDC Core 8).

        Pairwise where the client or the server wants it so: clients of other hosts cannot
        compare notes.
        """
        kind = client.client_metadata.get("subject_type", self.settings.openid_subject_type)
        if kind == "public":
            return subject
        salt = self.settings.openid_pairwise_salt or ""
        text = f"{client.sector}\n{subject}"
        return base64url(hmac.digest(salt.encode(), text.encode(), "sha256"))

    def check_client(self, client: Client) -> None:
        """Refuse a client that must not be stored; raises `InvalidRequestError`."""
        clients.check(client)
        if client.redirect_uris:
            # Where subjects are pairwise, it has to be known what they are made for.
            self.subject_for(client, "subject")
        for name, value in client.client_metadata.items():
            self.check_line(client, name, value)

    def check_line(self, client: Client, name: str, value: Any) -> None:
        """Refuse a line of a registration; raises `InvalidRequestError`."""
        field = self.client_fields.get(name)
        if field is None:
            raise InvalidRequestError(f"No feature of this server reads {name}.")
        if not isinstance(value, get_origin(field.kind) or field.kind):
            raise InvalidRequestError(f"{name} is of another type.")
        if field.choices and value not in field.choices:
            raise InvalidRequestError(f"{name} is one of: {', '.join(field.choices)}.")
        if field.check is not None:
            field.check(self, client, value)

    def metadata(self) -> dict[str, Any]:
        """Return the discovery document as the rooms make it (RFC 8414 2)."""
        document: dict[str, Any] = {}
        for feature in self.features:
            for name, value in feature.metadata(self).items():
                if isinstance(value, list):
                    known = document.setdefault(name, [])
                    known.extend(one for one in value if one not in known)
                else:
                    document[name] = value
        return document

    # Requests.

    def create_oauth2_request(self, request: Any) -> Request:
        """Return `request` if it is made already, else the one that Flask holds."""
        if isinstance(request, Request):
            return request
        made = Request.of_flask(self.issuer)
        for feature in self.features:
            feature.translate_request(self, made)
        return made

    def find_client(self, client_id: str) -> Client | None:
        """Return the client, from the database or from a room that knows it otherwise."""
        client = None
        # Else it is nobody's, and PostgreSQL does not even look for a NUL.
        if client_id.isascii() and client_id.isprintable():
            with self.store.reading() as session:
                client = session.get(Client, client_id)
        if client is None or client.document is not None:
            # Described elsewhere: what is stored of it is a copy.
            found = (one.find_client(self, client_id, client) for one in self.features)
            client = next(filter(None, found), None)
        # Who speaks, or says to: the CORS room asks when the answer is ready.
        g._pkce_client = client
        return client

    def read_token(self, text: str) -> Token | None:
        """Return the token that `text` describes by itself, None if it is of no such kind."""
        for feature in self.features:
            token = feature.read_token(self, text)
            if token is not None:
                return token
        return None

    def find_token(self, text: str) -> Token | None:
        """Return the stored token that `text` stands for, whatever its state."""
        if is_handle(text):
            wanted = digest(text)
        else:
            described = self.read_token(text)
            if described is None:
                return None
            wanted = described.digest
        with self.store.reading() as session:
            token = session.get(Token, wanted)
            if token is not None and token.actors and find_holder(session, token) is None:
                return None
            return token

    def query_client(self, client_id: str) -> Client | None:
        """Answer Authlib's name for `find_client`."""
        return self.find_client(client_id)

    def get_authorization_grant(self, request: Request) -> Any:
        """Find the grant that `response_type` names."""
        if not request.payload.response_type:
            raise InvalidRequestError("response_type is missing; it is code.")
        if not any(
            grant.check_authorization_endpoint(request) for grant, _ in self._authorization_grants
        ):
            raise UnsupportedResponseTypeError()
        return super().get_authorization_grant(request)

    def get_token_grant(self, request: Request) -> Any:
        """Find the grant that `grant_type` names."""
        request.check_form()
        if not request.payload.grant_type:
            raise InvalidRequestError("grant_type is missing.")
        if not any(grant.check_token_endpoint(request) for grant, _ in self._token_grants):
            raise UnsupportedGrantTypeError()
        return super().get_token_grant(request)

    def authenticate_client(
        self, request: Request, methods: Iterable[str] = (), endpoint: str = "token"
    ) -> Client:
        """Return the client that proved who it is, by the method it is registered for.

        RFC 6749 2.3: one method, and only one. Whatever fails, the answer is the same.
        `methods` is Authlib's: here every endpoint takes every method.
        """
        if request.authenticated is None:
            # Once for each request: some proofs are good for no second look.
            request.authenticated = authenticate(self, request, endpoint)
        return request.authenticated

    def handle_error_response(self, request: Any, error: OAuth2Error) -> Response:
        """Return `error` as JSON (RFC 6749 5.2); a description is always there."""
        sentences = {} if request is None else request.sentences
        response = flask.jsonify(
            error=error.error,
            error_description=sentences.get(type(error), described(error)),
        )
        response.status_code = error.status_code
        response.headers["Cache-Control"] = "no-store"
        if isinstance(error, TooManyRequests):
            response.headers.update(error.headers)
        if error.error == "invalid_client":
            response.status_code = 401
            # Only to who tried it: a browser would open its own password box.
            if flask.request.headers.get("Authorization", "").lower().startswith("basic"):
                response.headers["WWW-Authenticate"] = f'Basic realm="{self.issuer}"'
        return response


def described(error: OAuth2Error) -> str:
    """Return the description of an error; there always is one, since some SDKs need it."""
    return error.description or "The request is not valid."


current_server = cast(Server, LocalProxy(lambda: current_app.extensions["pkce"]))
