"""Request: what came in, and what is found out about it on the way."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import flask
from authlib.oauth2.rfc6749.requests import OAuth2Payload, OAuth2Request
from sqlalchemy.orm import Session

from ..errors import InvalidRequestError
from ..models.client import Client

#: Parameters that may come more than once (RFC 8707 2, RFC 8693 2.1).
_REPEATABLE = {"resource", "audience"}
_MAX_VALUE = 8192
FORM = "application/x-www-form-urlencoded"
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class Payload(OAuth2Payload):
    """The parameters of one request.

    RFC 6749 3.1 and 3.2: one that is empty counts as absent, and none comes twice.
    """

    # Properties of Authlib's class, which has no values.
    data: dict[str, str] = {}  # noqa: RUF012
    datalist: dict[str, list[str]] = {}  # noqa: RUF012

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        #: The first value of each, and all of them.
        self.data: dict[str, str] = {}
        self.datalist: dict[str, list[str]] = {}
        for name, value in pairs:
            if value:
                self.data.setdefault(name, value)
                self.datalist.setdefault(name, []).append(value)

    def check(self, *names: str) -> None:
        """Refuse what is not well formed, of the parameters `names` or of all."""
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
    """One protocol request: of the authorization endpoint or of one that clients call."""

    def __init__(
        self,
        *,
        method: str,
        issuer: str,
        pairs: Iterable[tuple[str, str]],
        headers: Mapping[str, str] | None = None,
        mimetype: str = "",
    ) -> None:
        # Authlib would refuse the plain http that a TLS proxy speaks to the app. What
        # counts is the issuer, which is https or loopback.
        super().__init__(method, issuer, headers=headers or {})
        self.payload = Payload(pairs)
        self.mimetype = mimetype
        #: The redirect URI once it is known to be the client's, never before.
        self.valid_redirect_uri: str | None = None
        self.response_mode = "query"
        #: The client that proved who it is, once it did.
        self.authenticated: Client | None = None
        #: RFC 7636: what the authorization request is bound to, once it is checked.
        self.code_challenge: str | None = None
        #: RFC 7636: the challenge of the verifier that a token request proved.
        self.proven_challenge: str | None = None
        self.scopes: frozenset[str] = frozenset()
        #: Of a token request: all scopes of the grant, even where it asks for fewer now, and
        #: what the grant is tied to.
        self.granted_scopes: frozenset[str] = frozenset()
        self.granted_bindings: Mapping[str, Any] = {}
        #: What the client asks of the sign-in, and what to do about it now.
        self.must_not_ask = False
        self.must_login = False
        self.must_sign_up = False
        self.must_consent = False
        #: The mark of the sign-in that was not enough, where the user was sent to sign in.
        self.login_before: str | None = None
        #: How often somebody who was signed in was sent to sign in again.
        self.times_asked = 0
        #: Those of them that the user has just agreed to, to be remembered.
        self.consented: frozenset[str] = frozenset()
        #: Whether the browser brought it back, from the login page or with a decision.
        self.resumed = False
        #: What features note for themselves while it is answered, each under its own name.
        self.notes: dict[str, Any] = {}
        #: What is used up together with an authorization request, in the transaction that issues
        #: the code: each says whether it still was there.
        self.used_up: list[Callable[[Session], bool]] = []
        #: The parameters by which it is found again when the browser comes back, where those
        #: are not its own.
        self.carried: Payload | None = None
        #: What they were shown of it, where it comes with their decision.
        self.shown: list[Any] | None = None
        #: What the grant is tied to; a room writes under its own name.
        self.bindings: dict[str, Any] = {}
        #: Whether what is granted is for another device than the browser it is granted in, and
        #: so no part of that browser's session (RFC 8628).
        self.on_device = False
        #: What the tokens are for, where the client says it (RFC 8707 2).
        self.resources: tuple[str, ...] = ()
        #: The product whose SDK sent it, if that shows, and what that expects where it differs:
        #: an access token that it can read, the claims of the scopes in its ID token, sentences
        #: that it looks for.
        self.dialect: str | None = None
        self.wants_jwt = False
        self.wants_claims = False
        self.sentences: Mapping[type[Exception], str] = {}
        #: The web origin of the page that sent the browser to sign out, where its word is
        #: taken for the user's.
        self.sent_from: str | None = None

    @property
    def form(self) -> dict[str, str]:
        return self.payload.data

    def replace(self, **values: str | Sequence[str] | None) -> None:
        """Put parameters in the place of those of the same names; None takes one away."""
        kept = {
            name: [value] if isinstance(value, str) else value or ()
            for name, value in values.items()
        }
        every = {**self.payload.datalist, **kept}
        self.payload = Payload((name, value) for name, them in every.items() for value in them)

    def check_form(self) -> None:
        """Refuse what is not a well-formed form (RFC 6749 3.2)."""
        self.payload.check()
        if self.mimetype != FORM:
            raise InvalidRequestError("Send the parameters as application/x-www-form-urlencoded.")

    @classmethod
    def of_flask(cls, issuer: str) -> Request:
        """Make a `Request` of the one that Flask holds.

        A GET is read from its query, everything else from its body alone (RFC 6749 2.3.1,
        3.2). Raises `InvalidRequestError` for a query that is not UTF-8.
        """
        incoming = flask.request
        if incoming.method in ("GET", "HEAD"):
            try:
                # As UTF-8 or not at all: `state` must come back byte for byte.
                query = incoming.query_string.decode("ascii")
                pairs = parse_qsl(query, keep_blank_values=True, errors="strict")
            except ValueError:
                raise InvalidRequestError("The query is not UTF-8, percent-encoded.") from None
        else:
            pairs = list(incoming.form.items(multi=True))
        return cls(
            method=incoming.method,
            issuer=issuer,
            headers=dict(incoming.headers),
            pairs=pairs,
            mimetype=incoming.mimetype,
        )
