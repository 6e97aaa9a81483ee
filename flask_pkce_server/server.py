"""Server: Authlib's AuthorizationServer, asking the rooms in turn; one for each app."""

from __future__ import annotations

import hmac
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast, get_origin

import flask
from authlib.integrations.flask_oauth2 import AuthorizationServer
from flask import Flask, Response, current_app, g
from werkzeug.local import LocalProxy

from .client_authentication import authenticate
from .errors import (
    InvalidClientError,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Error,
    TooManyRequests,
    UnsupportedGrantTypeError,
    UnsupportedResponseTypeError,
)
from .fetch import Fetcher
from .language import Languages
from .models import client as clients
from .models.base import Store
from .models.client import Client
from .models.handle import base64url, digest, is_handle
from .models.redirect_uri import origin_of
from .models.resource import Resource, Resources, canonical
from .models.signing_key import KeyRing
from .models.token import Token, find_holder
from .pages import allow_here
from .request import Request
from .response_mode import RESPONSE_MODES
from .settings import Settings
from .users import Users

if TYPE_CHECKING:
    from .feature import ClientField, Feature, Route

_LONGEST_STATE = 2048
_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


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
        self._scopes: dict[str, str] = dict(settings.scopes)
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
        self.response_modes = dict(RESPONSE_MODES)
        #: What rooms read in a client's registration, by name.
        self.client_fields: dict[str, ClientField] = {}
        for feature in features:
            self._scopes = {**self._scopes, **feature.scopes, **settings.scopes}
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
    def scopes(self) -> dict[str, str]:
        """Every scope that may be asked for, with the sentence that the user reads."""
        return {**self._scopes, **self.resources.sentences, **self._scopes}

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

    def scopes_at(self, uris: Iterable[str]) -> frozenset[str]:
        """Return the scopes that the APIs `uris` have.

        Those that are declared for them; where none are, all that no API elsewhere has.
        """
        elsewhere = {
            canonical(uri): frozenset(its)
            for uri, its in self.settings.jwt_access_token_resources.items()
        }
        here, found = frozenset(self.scopes).difference(*elsewhere.values()), frozenset[str]()
        for uri in map(canonical, uris):
            own = self.own_resources.get(uri)
            found |= elsewhere.get(uri, frozenset()) | frozenset(own.scopes if own else ()) or here
        return found

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

    # The authorization endpoint.

    def check_authorization_request(self, request: Request) -> Any:
        """Return the grant of a valid authorization request; the one place that decides it.

        Raises an `OAuth2Error`. It may be sent to the client only if
        `request.valid_redirect_uri` is set by then; else it is for the person's eyes.
        """
        request.payload.check("client_id", "redirect_uri")
        for feature in self.features:
            feature.resolve_authorization_request(request)
        # What was put aside, pushed or signed is not in the URL of the page.
        g._pkce_ui_locales = request.payload.data.get("ui_locales")
        grant = self.get_consent_grant(request, end_user=request.user)
        for feature in self.features:
            feature.check_authorization_request(request)
        return grant

    def get_authorization_grant(self, request: Request) -> Any:
        """Find the grant, but the client and its redirect URI before anything else.

        Authlib looks at the response type first, and so must look up the client a second
        time to know where an error may go.
        """
        client_id = request.payload.client_id
        if not client_id:
            raise InvalidRequestError("client_id is missing.")
        client = self.find_client(client_id)
        if client is None:
            raise InvalidClientError(
                "No app is registered here under this client_id. If it once was: remove the "
                "connection in the app and add it again."
            )
        if len(request.payload.state or "") > _LONGEST_STATE:
            # To the person: what is too long cannot be sent back as it came.
            raise InvalidRequestError(f"state has at most {_LONGEST_STATE} characters.")
        request.client = client
        request.valid_redirect_uri = client.resolve_redirect_uri(request.payload.redirect_uri)
        # From here on an error goes to the client.
        payload = request.payload
        name = payload.data.get("response_mode", "query")
        mode = self.response_modes.get(name)
        fits = mode is not None and mode.fits(client, request.valid_redirect_uri)
        if fits:
            request.response_mode = name
        payload.check()
        if mode is None:
            raise InvalidRequestError("response_mode has a value that this server does not know.")
        if not fits:
            raise InvalidRequestError("This response_mode needs another kind of redirect URI.")
        if not payload.response_type:
            raise InvalidRequestError("response_type is missing; it is code.")
        if not any(
            grant.check_authorization_endpoint(request) for grant, _ in self._authorization_grants
        ):
            raise UnsupportedResponseTypeError()
        return super().get_authorization_grant(request)

    def resolve_scopes(
        self, client: Client, text: str | None, resources: Iterable[str] = ()
    ) -> frozenset[str]:
        """Return the scopes that a request for `text` means (RFC 6749 3.3).

        One that names none means those that the client or else the server has for that, and
        those that `resources`, the URIs it names, tell their clients to ask for first. Raises
        `InvalidScopeError` for those that are not declared or not the client's.
        """
        allowed = self.scopes.keys() if client.scope is None else self.scopes.keys() & client.scope
        asked = frozenset((text or "").split(" ")) - {""}
        if not all(_SCOPE_TOKEN.fullmatch(scope) for scope in asked):
            raise InvalidScopeError("A scope has a character that scopes do not have.")
        if not asked - {"offline_access"}:
            # Who says no more than that it wants to stay, as Claude does, means these too.
            usual: str | None = client.client_metadata.get("default_scope")
            default = self.settings.authorize_default_scopes if usual is None else usual.split()
            own = self.own_resources
            named = (own[uri] for uri in map(canonical, resources) if uri in own)
            asked |= allowed & {*default, *(scope for one in named for scope in one.asked_first)}
        if not asked <= allowed and self.settings.authorize_unknown_scopes == "refuse":
            raise InvalidScopeError(
                "A scope that was asked for is not declared here, or not allowed to this client."
            )
        return asked & allowed

    def create_authorization_response(
        self, request: Request, grant_user: Any = None, grant: Any = None
    ) -> Response:
        """Issue a code to `grant_user`, or say that access was denied if there is none.

        Authlib validates the request a second time here. It was validated in this very
        HTTP request, and the grant itself refuses to issue without what that found.
        """
        try:
            params = grant.create_authorization_response(request.valid_redirect_uri, grant_user)
        except OAuth2Error as error:
            return self.send_back_error(request, error)
        return self.send_back(request, params)

    def send_back_error(self, request: Request, error: OAuth2Error) -> Response:
        """Tell the client of `error` through the browser (RFC 6749 4.1.2.1)."""
        return self.send_back(
            request, {"error": error.error, "error_description": described(error)}
        )

    def send_back(self, request: Request, params: Mapping[str, str]) -> Response:
        """Send the browser back to the client; the only function that does.

        Adds `state` as it came (RFC 6749 4.1.2) and `iss` (RFC 9207 2), to the very bytes
        of the redirect URI.
        """
        if request.valid_redirect_uri is None:
            raise AssertionError("a redirect URI that was not validated")
        fields = dict(params)
        if request.payload.state:
            fields["state"] = request.payload.state
        fields["iss"] = self.issuer
        origin = origin_of(request.valid_redirect_uri)
        if origin is not None and "none" in request.payload.data.get("prompt", "").split():
            # Nobody is asked anything: what a client loads into a frame of its own.
            allow_here(frame_ancestors=origin)
        mode = self.response_modes[request.response_mode]
        return mode.send(self, request.valid_redirect_uri, fields)

    # The token endpoint, and all others that a client authenticates at.

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
