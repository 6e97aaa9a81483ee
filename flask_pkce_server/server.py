"""Server: Authlib's AuthorizationServer, asking the rooms in turn; one for each app.

`Request` is what came in, `Grant` what the grants of this package share, and
`TokenResponse` what a token request is about to be given.
"""

from __future__ import annotations

import hmac
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, quote, urlencode

import flask
from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749.requests import OAuth2Payload, OAuth2Request
from flask import Flask, Response, current_app, g, render_template
from werkzeug.local import LocalProxy

from .errors import (
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Error,
    UnauthorizedClientError,
    UnsupportedGrantTypeError,
    UnsupportedResponseTypeError,
)
from .models.base import Store
from .models.client import Client
from .models.handle import ACCESS, derive_handle, new_handle
from .models.redirect_uri import is_private_use
from .models.token import Family, Token
from .settings import Settings
from .users import Users

if TYPE_CHECKING:
    from .feature import Feature, Route

#: Parameters that may come more than once (RFC 8707 2, RFC 8693 2.1).
_REPEATABLE = {"resource", "audience"}
_LONGEST_VALUE = 8192
_LONGEST_STATE = 2048
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")

RESPONSE_MODES = ("query", "fragment", "form_post")


class Payload(OAuth2Payload):
    """The parameters of one request.

    RFC 6749 3.1 and 3.2: one that is empty counts as absent, and none comes twice.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            if value:
                self._values.setdefault(name, []).append(value)

    @property
    def data(self) -> dict[str, str]:
        return {name: values[0] for name, values in self._values.items()}

    @property
    def datalist(self) -> dict[str, list[str]]:
        return self._values

    def check(self, *names: str) -> None:
        """Refuse what is not well formed, of the parameters `names` or of all."""
        for name in names or self._values:
            values = self._values.get(name, [])
            if len(values) > 1 and name not in _REPEATABLE:
                raise InvalidRequestError("A parameter is given more than once.")
            for value in values:
                if len(value) > _LONGEST_VALUE:
                    raise InvalidRequestError("A parameter is too long.")
                if _CONTROL.search(value):
                    raise InvalidRequestError("A parameter has a control character in it.")


class Request(OAuth2Request):
    """One protocol request, and what is found out about it on the way."""

    def __init__(
        self,
        *,
        method: str,
        issuer: str,
        headers: Mapping[str, str],
        pairs: Iterable[tuple[str, str]],
        mimetype: str = "",
    ) -> None:
        # Authlib would refuse the plain http that a TLS proxy speaks to the app. What
        # counts is the issuer, which is https or loopback.
        super().__init__(method, issuer, headers=headers)
        self.payload = Payload(pairs)
        self.mimetype = mimetype
        #: The redirect URI once it is known to be the client's, never before.
        self.valid_redirect_uri: str | None = None
        self.response_mode = "query"
        #: RFC 7636: what the authorization request is bound to, once it is checked.
        self.code_challenge: str | None = None
        #: RFC 7636: the challenge of the verifier that a token request proved.
        self.proven_challenge: str | None = None
        self.scopes: frozenset[str] = frozenset()
        #: Those of them that the user has just agreed to, to be remembered.
        self.consented: frozenset[str] = frozenset()
        #: What the grant is tied to; a room writes under its own name.
        self.bindings: dict[str, Any] = {}

    @property
    def form(self) -> dict[str, str]:
        return self.payload.data


class TokenResponse:
    """What a token request is about to be given.

    `body` is the JSON of the answer, `tokens` the rows that are stored with it. `parent`
    is the refresh token that is exchanged; what is made from it is the same every time.
    """

    def __init__(
        self,
        grant: Grant,
        *,
        family: Family,
        user: Any,
        scopes: frozenset[str],
        access_scopes: frozenset[str],
        parent: str | None,
    ) -> None:
        self.server: Server = grant.server
        self.request: Request = grant.request
        self.family = family
        self.user = user
        self.scopes = scopes
        self.parent = parent
        self.now = self.server.now()
        self.tokens: list[Token] = []
        lifetime = self.server.settings.access_token_lifetime
        self.body: dict[str, Any] = {
            "access_token": self.add("access", ACCESS, lifetime, access_scopes),
            "token_type": "Bearer",
            "expires_in": lifetime,
            "scope": " ".join(sorted(access_scopes)),
        }

    def add(self, kind: str, prefix: str, lifetime: int, scopes: frozenset[str]) -> str:
        """Add a token of `lifetime` seconds to those to be stored; return its handle."""
        handle = (
            new_handle(prefix)
            if self.parent is None
            else derive_handle(prefix, self.server.key("refresh successor"), self.parent)
        )
        self.tokens.append(
            self.family.token(kind, handle, scope=scopes, issued_at=self.now, lifetime=lifetime)
        )
        return handle


class Grant:
    """What the grants of this package share; mixed in before Authlib's class."""

    server: Server
    request: Request
    GRANT_TYPE: str
    TOKEN_RESPONSE_HEADER: Any
    authenticate_token_endpoint_client: Callable[[], Client]

    def check_client(self) -> Client:
        """Authenticate the client and see that it may use this grant."""
        client = self.authenticate_token_endpoint_client()
        if not client.check_grant_type(self.GRANT_TYPE):
            raise UnauthorizedClientError("The client is not registered for this grant_type.")
        self.request.client = client
        return client

    def find_user(self, subject: str) -> Any:
        """Return the host's user; raises `InvalidGrantError` if they are gone."""
        user = self.server.users.load(subject)
        if user is None:
            raise InvalidGrantError("The user does not exist any more, or may not sign in.")
        return user

    def token_response(
        self,
        *,
        family: Family,
        user: Any,
        scopes: frozenset[str],
        access_scopes: frozenset[str] | None = None,
        parent: str | None = None,
    ) -> TokenResponse:
        """Make what the client is to be given, and let the rooms complete it."""
        response = TokenResponse(
            self,
            family=family,
            user=user,
            scopes=scopes,
            access_scopes=scopes if access_scopes is None else access_scopes,
            parent=parent,
        )
        for feature in self.server.features:
            feature.complete_token_response(response)
        return response

    def answer(self, body: dict[str, Any]) -> tuple[int, dict[str, Any], Any]:
        """Return a token response as Authlib passes it on."""
        return 200, body, self.TOKEN_RESPONSE_HEADER


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
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.app = app
        self.settings = settings
        self.features = features
        self.users = users
        self.store = store
        #: Seconds since the epoch; tests put their own in its place.
        self.clock = clock
        #: The routes that are mounted, and their paths, by name.
        self.routes: dict[str, Route] = {}
        self.paths: dict[str, str] = {}
        #: Every scope that may be asked for, with the sentence that the user reads.
        self.scopes: dict[str, str] = {}
        #: How a client may show who it is: method name -> reads (client_id, proof) or None.
        self.client_auth_methods: dict[str, Callable[[Request], tuple[str, str] | None]] = {}
        for feature in features:
            self.scopes.update(feature.scopes)
        self.scopes.update(settings.scopes)
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
        return "http://127.0.0.1" + ("" if port == "80" else f":{port}")

    def url_of(self, name: str) -> str:
        """Return the URL of the route `name`: the issuer's, whatever proxy is in front."""
        return self.issuer.rstrip("/") + self.paths[name]

    def door_of(self, endpoint: str | None) -> str | None:
        """Return the door of a Flask endpoint, None if it is not one of ours."""
        route = self.routes.get((endpoint or "").removeprefix("pkce."))
        return route.door if route is not None and (endpoint or "").startswith("pkce.") else None

    @property
    def site_name(self) -> str:
        """What the pages call the host."""
        return self.settings.site_name or self.app.name

    def key(self, purpose: str) -> bytes:
        """Return the key of 32 bytes for one purpose."""
        secret = self.settings.key_secret or self.app.secret_key or ""
        material = secret if isinstance(secret, bytes) else secret.encode()
        return hmac.digest(material, f"flask-pkce-server {purpose}".encode(), "sha256")

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
        """Make a `Request` of what Flask holds, or return the one that is given.

        The authorization endpoint reads the query of a GET; everything else is read from
        the body alone (RFC 6749 2.3.1, 3.2).
        """
        if isinstance(request, Request):
            return request
        incoming = flask.request
        if incoming.method in ("GET", "HEAD"):
            try:
                # As UTF-8 or not at all: `state` must come back byte for byte.
                pairs = parse_qsl(
                    incoming.query_string.decode("ascii"), keep_blank_values=True, errors="strict"
                )
            except ValueError:
                raise InvalidRequestError("The query is not UTF-8, percent-encoded.") from None
        else:
            pairs = list(incoming.form.items(multi=True))
        return self.make_request(
            pairs, method=incoming.method, headers=incoming.headers, mimetype=incoming.mimetype
        )

    def make_request(
        self,
        pairs: Iterable[tuple[str, str]],
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        mimetype: str = "",
    ) -> Request:
        """Make a `Request` of parameters that did not come with this HTTP request."""
        return Request(
            method=method,
            issuer=self.issuer,
            headers=headers or {},
            pairs=pairs,
            mimetype=mimetype,
        )

    def find_client(self, client_id: str) -> Client | None:
        """Return the client, from the database or from a room that knows it otherwise."""
        with self.store.reading() as session:
            client = session.get(Client, client_id)
        for feature in self.features:
            client = client or feature.find_client(self, client_id)
        # Who speaks, or says to: the CORS room asks when the answer is ready.
        g._pkce_client = client
        return client

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
        grant = self.get_consent_grant(request)
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
        request.client = client
        request.valid_redirect_uri = _find_redirect_uri(request, client)
        # From here on an error goes to the client.
        payload = request.payload
        mode = payload.data.get("response_mode", "query")
        if mode in RESPONSE_MODES:
            request.response_mode = mode
        payload.check()
        if mode not in RESPONSE_MODES:
            raise InvalidRequestError("response_mode is query, fragment or form_post.")
        if mode == "form_post" and is_private_use(request.valid_redirect_uri):
            raise InvalidRequestError("form_post needs a redirect URI of http or https.")
        if len(payload.state or "") > _LONGEST_STATE:
            raise InvalidRequestError(f"state has at most {_LONGEST_STATE} characters.")
        if not payload.response_type:
            raise InvalidRequestError("response_type is missing; it is code.")
        if not any(
            grant.check_authorization_endpoint(request) for grant, _ in self._authorization_grants
        ):
            raise UnsupportedResponseTypeError()
        return super().get_authorization_grant(request)

    def resolve_scopes(self, client: Client, text: str | None) -> frozenset[str]:
        """Return the scopes that a request for `text` means (RFC 6749 3.3).

        Raises `InvalidScopeError` for those that are not declared or not the client's.
        """
        allowed = self.scopes.keys() if client.scope is None else self.scopes.keys() & client.scope
        asked = frozenset((text or "").split(" ")) - {""}
        if not all(_SCOPE_TOKEN.fullmatch(scope) for scope in asked):
            raise InvalidScopeError("A scope has a character that scopes do not have.")
        if not asked:
            return frozenset(self.settings.authorize_default_scopes) & allowed
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
            request, {"error": error.error, "error_description": error.description}
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
        if request.response_mode == "form_post":
            g._pkce_script = True
            page = render_template(
                "pkce/form_post.html", action=request.valid_redirect_uri, fields=fields, server=self
            )
            return Response(page, mimetype="text/html")
        if request.response_mode == "fragment":
            joint = "#"
        else:
            joint = "&" if "?" in request.valid_redirect_uri else "?"
        # 303: the browser must come with a GET, whatever it was sent from (RFC 9700 4.12).
        response = Response(status=303 if flask.request.method == "POST" else 302)
        query = urlencode(fields, quote_via=quote, safe="")
        response.headers["Location"] = request.valid_redirect_uri + joint + query
        return response

    # The token endpoint, and all others that a client authenticates at.

    def get_token_grant(self, request: Request) -> Any:
        """Find the grant that `grant_type` names."""
        request.payload.check()
        if request.mimetype != "application/x-www-form-urlencoded":
            raise InvalidRequestError("Send the parameters as application/x-www-form-urlencoded.")
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
        request.payload.check()
        shown = {
            name: credentials
            for name, read in self.client_auth_methods.items()
            if (credentials := read(request)) is not None
        }
        if len(shown) > 1:
            raise InvalidRequestError("The client authenticates by more than one method.")
        named = request.payload.client_id
        method, (client_id, proof) = next(iter(shown.items()), ("none", (named or "", "")))
        if not client_id:
            raise InvalidClientError("The request does not say which client it is from.")
        if named and named != client_id:
            raise InvalidRequestError("client_id is not the client that authenticates.")
        client = self.find_client(client_id)
        # An unknown client is checked like any other, against a secret that nothing fits.
        known = client or Client(token_endpoint_auth_method=method)
        fits = known.check_endpoint_auth_method(method, endpoint) and (
            method == "none" or known.check_client_secret(proof)
        )
        if client is None or not fits:
            raise InvalidClientError("The client is unknown, or did not prove who it is.")
        request.auth_method = method
        return client

    def handle_error_response(self, request: Any, error: OAuth2Error) -> Response:
        """Return `error` as JSON (RFC 6749 5.2); a description is always there."""
        response = flask.jsonify(
            error=error.error, error_description=error.description or "The request is not valid."
        )
        response.status_code = error.status_code
        response.headers["Cache-Control"] = "no-store"
        if error.error == "invalid_client":
            response.status_code = 401
            # Only to who tried it: a browser would open its own password box.
            if flask.request.headers.get("Authorization", "").lower().startswith("basic"):
                response.headers["WWW-Authenticate"] = f'Basic realm="{self.issuer}"'
        return response


def _find_redirect_uri(request: Request, client: Client) -> str:
    """Return the URI to send the browser back to (RFC 6749 3.1.2.3, RFC 9700 4.1.3)."""
    presented = request.payload.redirect_uri
    if presented:
        found = client.find_redirect_uri(presented)
        if found is None:
            raise InvalidRequestError("redirect_uri is not one that this client registered.")
        return found
    default = client.get_default_redirect_uri()
    if default is None:
        raise InvalidRequestError(
            "redirect_uri is missing, and the client did not register exactly one."
        )
    return default


current_server = cast(Server, LocalProxy(lambda: current_app.extensions["pkce"]))
