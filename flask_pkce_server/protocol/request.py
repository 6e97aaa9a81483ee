"""Request: a protocol request, and what is learned about it while it is handled."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import parse_qsl

import flask
from authlib.oauth2.rfc6749.requests import OAuth2Payload, OAuth2Request
from sqlalchemy.orm import Session

from ..errors import InvalidRequestError
from ..models.client import Client
from ..models.consent import Asked
from ..users.sign_in import Login
from ..users.users import Users

#: Parameters that may come more than once (RFC 8707 2, RFC 8693 2.1).
_REPEATABLE = {"resource", "audience"}
_MAX_VALUE = 8192
FORM = "application/x-www-form-urlencoded"
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class Payload(OAuth2Payload):
    """The parameters of one request.

    An empty parameter counts as absent (RFC 6749 3.1 and 3.2). `check` refuses repeated ones.
    """

    # Authlib's class has these as properties that raise; plain attributes take their place.
    data: dict[str, str] = {}  # noqa: RUF012
    datalist: dict[str, list[str]] = {}  # noqa: RUF012

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        #: The first value of each parameter, and all values of each.
        self.data: dict[str, str] = {}
        self.datalist: dict[str, list[str]] = {}
        for name, value in pairs:
            if value:
                self.data.setdefault(name, value)
                self.datalist.setdefault(name, []).append(value)

    @property
    def size(self) -> int:
        """The number of characters in all names and values."""
        return sum(len(text) for name, values in self.datalist.items() for text in (name, *values))

    def without(self, names: Container[str]) -> Payload:
        """Return the parameters that are not in `names`."""
        return Payload(
            (name, value)
            for name, values in self.datalist.items()
            if name not in names
            for value in values
        )

    def check(self, *names: str) -> None:
        """Refuse malformed values of the parameters `names`, or of all if none is named.

        Raises `InvalidRequestError`.
        """
        for name in names or self.datalist:
            values = self.datalist.get(name, [])
            if len(values) > 1 and name not in _REPEATABLE:
                raise InvalidRequestError("A parameter is given more than once.")
            for value in values:
                if len(value) > _MAX_VALUE:
                    raise InvalidRequestError("A parameter is too long.")
                if _CONTROL.search(value):
                    raise InvalidRequestError("A parameter has a control character in it.")


class Request(OAuth2Request):
    """One protocol request, to the authorization endpoint or an endpoint that clients call."""

    def __init__(
        self,
        *,
        method: str,
        issuer: str,
        pairs: Iterable[tuple[str, str]],
        headers: Mapping[str, str] | None = None,
        mimetype: str = "",
    ) -> None:
        # Authlib would refuse the plain HTTP between a TLS proxy and the app. Pass the issuer
        # instead, which is https or loopback.
        super().__init__(method, issuer)
        self.headers = {} if headers is None else headers
        self.payload = Payload(pairs)
        self.mimetype = mimetype
        #: The redirect URI; None until it is known to belong to the client.
        self.valid_redirect_uri: str | None = None
        self.response_mode = "query"
        #: The client, once it has authenticated.
        self.authenticated: Client | None = None
        #: The code_challenge of an authorization request, once it is checked (RFC 7636).
        self.code_challenge: str | None = None
        #: The code_challenge that the code_verifier of a token request matched (RFC 7636).
        self.proven_challenge: str | None = None
        self.scopes: frozenset[str] = frozenset()
        #: In a token request: all scopes and APIs that may be issued for the grant, even if the
        #: request asks for fewer. The APIs are None if this request makes the grant itself.
        self.granted_scopes: frozenset[str] = frozenset()
        self.granted_resources: tuple[str, ...] | None = None
        #: What the user must or must not be asked, by the parameters of the request.
        self.must_not_ask = False
        self.must_login = False
        self.must_sign_up = False
        self.must_consent = False
        #: When the request began to wait for the user to sign in (epoch seconds); None if never.
        self.put_aside_at: int | None = None
        #: The mark of the sign-in that the user had when sent to sign in; "" if there was none.
        self.login_before: str | None = None
        #: How many times a signed-in user was sent to sign in again.
        self.times_asked = 0
        #: What the user has just allowed and is to be remembered, or allowed before and is not
        #: asked again; None if the grant rests on no consent.
        self.consented: Asked | None = None
        self._login: Login | None = None
        #: All that the user granted to the client before, once it is read.
        self.consents: Any = None
        self.rests_on: Asked | None = None
        #: When the grant ends (epoch seconds); None for never.
        self.until: int | None = None
        #: Whether the browser returned with it, from the login page or with a decision.
        self.resumed = False
        #: Notes of features during this HTTP request; each uses its own name as the key.
        self.notes: dict[str, Any] = {}
        #: Functions that consume one-time items in the transaction that issues the code. Each
        #: returns False if its item was used already; then no code is issued.
        self.used_up: list[Callable[[Session], bool]] = []
        #: The parameters that the browser carries while the request waits, if they are not the
        #: parameters of the request itself.
        self.carried: Payload | None = None
        #: What the user was shown, if the request comes back with their decision.
        self.shown: list[Any] | None = None
        #: What the grant is tied to; each feature writes under its own name.
        self.bindings: dict[str, Any] = {}
        #: Whether the grant is for another device, and so is not part of the session of the
        #: browser in which the user decides (RFC 8628).
        self.on_device = False
        #: The URIs of the APIs that the grant or its tokens are for, if the client names any
        #: (RFC 8707 2).
        self.resources: tuple[str, ...] = ()
        #: The product whose SDK sent the request, if that is recognized, and what this SDK
        #: expects: an access token it can read, the claims of the scopes in the ID token, and
        #: its own error descriptions.
        self.dialect: str | None = None
        self.wants_jwt = False
        self.wants_claims = False
        self.sentences: Mapping[type[Exception], str] = {}
        #: The web origin of the page that started a logout, if the user need not confirm it.
        self.sent_from: str | None = None

    def login(self, users: Users) -> Login:
        """Return the sign-in of the user in this browser, which is looked up once."""
        if self._login is None:
            self._login = users.login(self.user)
        return self._login

    @property
    def form(self) -> dict[str, str]:
        return self.payload.data

    def replace(self, **values: str | Sequence[str] | None) -> None:
        """Replace the parameters with these names; None removes a parameter."""
        replaced = {
            name: [value] if isinstance(value, str) else value or ()
            for name, value in values.items()
        }
        datalist = {**self.payload.datalist, **replaced}
        self.payload = Payload(
            (name, value) for name, values in datalist.items() for value in values
        )

    def check_form(self) -> None:
        """Refuse a malformed form; raises `InvalidRequestError` (RFC 6749 3.2)."""
        self.payload.check()
        if self.mimetype != FORM:
            raise InvalidRequestError("Send the parameters as application/x-www-form-urlencoded.")

    @classmethod
    def of_flask(cls, issuer: str) -> Request:
        """Make a `Request` from the current Flask request.

        Parameters of a GET come from the query, all others from the body alone (RFC 6749 2.3.1,
        3.2). Raises `InvalidRequestError` if the query is not UTF-8.
        """
        # Not through the proxy, which looks for the request at every access.
        incoming = cast(Any, flask.request)._get_current_object()
        if incoming.method in ("GET", "HEAD"):
            try:
                # Decode strictly, since `state` must be returned byte for byte.
                query = incoming.query_string.decode("ascii")
                pairs = parse_qsl(query, keep_blank_values=True, errors="strict")
            except ValueError:
                raise InvalidRequestError("The query is not UTF-8, percent-encoded.") from None
        else:
            pairs = list(incoming.form.items(multi=True))
        return cls(
            method=incoming.method,
            issuer=issuer,
            headers=incoming.headers,
            pairs=pairs,
            mimetype=incoming.mimetype,
        )
