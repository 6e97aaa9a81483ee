"""Private key JWT: clients authenticate with assertions that they sign (RFC 7523 2.2, 3).

No secret is shared: the server knows the public keys of the client, which are registered or
published at its `jwks_uri`. Each assertion is short-lived, meant for this server only, and
accepted once across all endpoints.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import flask

from ..errors import InvalidClientError, InvalidRequestError
from ..http.rate_limit import FETCHES, RateLimit
from ..models import spent_jti
from ..models.client import Client
from ..models.pruning import Prunable
from ..models.spent_jti import SpentBefore, SpentJti
from ..protocol.contract import Server
from ..protocol.feature import ClientAuthMethod, ClientField, Feature
from ..protocol.request import Request
from ..wire.fetch import FetchError, is_fetchable
from ..wire.handle import is_client_id
from ..wire.names import JWT_BEARER_ASSERTION as ASSERTION_TYPE
from ..wire.remembered import Fetched, Remembered

#: The limit on the assertions of clients that no user has allowed yet: each of them is a row.
#: A device that waits for its user sends one every five seconds.
NEW_ASSERTIONS = RateLimit("assertion", 300)

#: The algorithms that a client may sign with, the strongest first.
ALGORITHMS = ("PS256", "ES256", "EdDSA", "RS256")
#: How long an assertion may be valid, and the clock skew; in seconds.
_MAX_LIFETIME, _SKEW = 300, 30
#: How long the keys of a jwks_uri are used before they are fetched again, how long they are
#: used if that fails, and the least time between two fetches; in seconds.
_FRESH_SECONDS, _USABLE_SECONDS, _PAUSE_SECONDS = 3600, 86400, 60
#: The `typ` values of an assertion; JWTs made for another purpose have others.
_TYPES = {"jwt", "client-authentication+jwt"}
#: The endpoints where clients authenticate, as named in RFC 8414 2, and their routes.
_ENDPOINTS = {"token": "token", "revocation": "revoke", "introspection": "introspect"}


def check_jwks(server: Server, client: Client, value: Any) -> None:
    """Refuse a value that is not a set of public keys."""
    from ..wire.jwk import UnfitKey, check_set

    if "jwks_uri" in client.client_metadata:
        # RFC 7591 2
        raise InvalidRequestError("A client has jwks or jwks_uri, not both.")
    try:
        check_set(value)
    except UnfitKey as error:
        raise InvalidRequestError(str(error)) from None


def check_jwks_uri(server: Server, client: Client, value: Any) -> None:
    """Refuse a URI that this server would never fetch."""
    if not is_fetchable(value):
        raise InvalidRequestError("jwks_uri is an https URL with the name of a public host.")


class PrivateKeyJwtFeature(Feature):
    """RFC 7523: client authentication by signed JWTs."""

    name = "private_key_jwt"
    models = (SpentJti,)
    client_fields = (
        ClientField(
            "jwks",
            "A file with the public keys that it signs with, as a JWK Set.",
            kind=dict[str, Any],
            instead_of="jwks_uri",
            check=check_jwks,
            said_by=("operator", "document"),
            auth_method="private_key_jwt",
        ),
        ClientField(
            "jwks_uri",
            "Where those keys are published.",
            instead_of="jwks",
            check=check_jwks_uri,
            said_by=("operator", "document"),
            auth_method="private_key_jwt",
        ),
        ClientField(
            "token_endpoint_auth_signing_alg",
            "What it signs with; any that its keys are for where left out.",
            choices=ALGORITHMS,
            said_by=("operator", "document"),
            auth_method="private_key_jwt",
        ),
    )

    def __init__(self) -> None:
        self._key_sets: Remembered[list[Any]] = Remembered(
            stale=_USABLE_SECONDS - _FRESH_SECONDS, pause=_PAUSE_SECONDS
        )

    def client_auth_methods(self, server: Server) -> Iterable[ClientAuthMethod]:
        yield ClientAuthMethod(self.name, read_assertion, self.proves)

    def prune(self, server: Server) -> Iterable[Prunable]:
        yield spent_jti.expired(server.now())

    def metadata(self, server: Server) -> Mapping[str, Any]:
        return {
            f"{name}_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS)
            for name, route in _ENDPOINTS.items()
            if route in server.paths
        }

    def proves(self, server: Server, client: Client, assertion: str) -> bool:
        """Return whether `client` made `assertion` for this server, and mark it as used.

        See RFC 7523 3. An assertion that was used before is refused. Raises `TooManyRequests`
        if the sender has used too many of clients that no user has allowed.
        """
        from ..wire.jwk import verifies
        from ..wire.jws import read_jwt

        header, claims, signed, signature = read_jwt(assertion)
        algorithm, kid = header.get("alg"), header.get("kid")
        registered = client.client_metadata.get("token_endpoint_auth_signing_alg", algorithm)
        # If an algorithm is registered, the assertion cannot choose another one.
        if not isinstance(algorithm, str) or algorithm not in ALGORITHMS or algorithm != registered:
            return False
        if not isinstance(kid, str | None) or "crit" in header:
            return False
        if str(header.get("typ", "JWT")).lower() not in _TYPES:
            return False
        now = server.now()
        expires_at = _good_until(claims, client, _names_of(server, client), now)
        if expires_at is None:
            return False

        def fits(keys: list[Any]) -> bool:
            return verifies(keys, algorithm, kid, signed, signature)

        uri = client.client_metadata.get("jwks_uri")
        if uri is None:
            if not fits(client.client_metadata.get("jwks", {}).get("keys", [])):
                return False
        elif not fits(self.keys_at(server, client, uri)) and not fits(
            self.keys_at(server, client, uri, again=True)
        ):
            return False
        # Last of all, so that a refused assertion is not used up.
        limits = {} if client.is_stored else NEW_ASSERTIONS.ask(server)
        try:
            server.ephemeral.spend(client.client_id, claims["jti"], expires_at, limits, now)
        except SpentBefore:
            return False
        return True

    def keys_at(
        self, server: Server, client: Client, uri: str, *, again: bool = False
    ) -> list[Any]:
        """Return the keys of `client` at `uri`, fetching them at most once a minute.

        Set `again` to refetch keys if none of the remembered ones fits a signature. Raises
        `TemporarilyUnavailable` if they could not be fetched in time, or may not be any more.
        """
        now = server.now()

        def fetch() -> Fetched[list[Any]] | None:
            try:
                keys = server.fetcher.get_json(uri).get("keys")
            except FetchError:
                return None
            return Fetched(keys, now + _FRESH_SECONDS) if isinstance(keys, list) else None

        def admit() -> None:
            if client.is_of_stranger:
                FETCHES.take(server)

        return self._key_sets.find(uri, now, fetch, again=again, admit=admit) or []


def read_assertion(request: Request) -> tuple[str, str] | None:
    """Return the client_id in the assertion and the assertion, or None if there is none.

    Raises `InvalidClientError` if the assertion cannot be read.
    """
    from ..wire.jws import read_jwt

    form = request.form
    assertion, kind = form.get("client_assertion"), form.get("client_assertion_type")
    if assertion is None and kind is None:
        return None
    if assertion is None or kind != ASSERTION_TYPE:
        raise InvalidClientError("client_assertion and its client_assertion_type go together.")
    try:
        client_id = read_jwt(assertion)[1].get("sub")
    except ValueError:
        client_id = None
    if is_client_id(client_id):
        return str(client_id), assertion
    raise InvalidClientError("The client_assertion cannot be read.")


def _names_of(server: Server, client: Client) -> tuple[str, ...]:
    """Return the values of `aud` that are accepted from `client` at the current endpoint.

    Only the issuer, as a single string (draft-ietf-oauth-rfc7523bis). A server that publishes
    our endpoints as its own could obtain an assertion for an endpoint URL, or for several
    audiences, from a client and use it here (CVE-2025-27370, CVE-2025-27371).
    """
    route = server.routes.get(flask.request.endpoint)
    if client.document is not None and route is not None and route.name == "token":
        # ChatGPT names the token endpoint, and cannot be configured otherwise. A server that
        # obtains such an assertion can pose as the client at this endpoint only, as with `none`.
        # It still lacks a code or a refresh token of a user.
        return server.issuer, server.url_of("token")
    return (server.issuer,)


def _good_until(
    claims: Mapping[str, Any], client: Client, names: tuple[str, ...], now: int
) -> int | None:
    """Return when `claims` expire (epoch seconds, with skew), or None if they are not valid.

    `names` are the accepted values of `aud`; `now` is in epoch seconds.
    """
    is_clients = claims.get("iss") == claims.get("sub") == client.client_id
    if not is_clients or claims.get("aud") not in names:
        return None
    times = {name: claims[name] for name in ("exp", "iat", "nbf") if name in claims}
    # The range check also refuses NaN and infinity, which Python's JSON parser accepts.
    if not all(type(at) in (int, float) and 0 <= at < 2**53 for at in times.values()):
        return None
    expires_at: float = times.get("exp", -math.inf) + _SKEW
    if not now < expires_at <= now + _MAX_LIFETIME + 2 * _SKEW:
        return None
    if max(times.get("iat", now), times.get("nbf", now)) > now + _SKEW:
        return None
    if times.get("iat", now) < now - _MAX_LIFETIME - 2 * _SKEW:
        return None
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 1 <= len(jti) <= 512 or not jti.isprintable():
        return None
    return math.ceil(expires_at)
