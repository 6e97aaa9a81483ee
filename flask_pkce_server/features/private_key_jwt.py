"""Private key JWT: a client shows who it is by what it signed (RFC 7523 2.2, 3).

No secret is shared: the server knows the public keys of the client, as they were registered
or as they are at its `jwks_uri`. Each assertion is short-lived, for this server alone, and
good once, at whatever endpoint it is shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import flask
from sqlalchemy.orm import Session

from ..errors import InvalidClientError, InvalidRequestError
from ..models import spent_jti
from ..models.client import Client
from ..models.spent_jti import SpentBefore, SpentJti, spend
from ..protocol.contract import Server
from ..protocol.feature import ClientAuthMethod, ClientField, Feature
from ..protocol.request import Request
from ..wire.fetch import FetchError, is_fetchable
from ..wire.names import JWT_BEARER_ASSERTION as ASSERTION_TYPE
from ..wire.remembered import Fetched, Remembered

#: What a client may sign with; the strongest first.
ALGORITHMS = ("PS256", "ES256", "EdDSA", "RS256")
#: Seconds that an assertion may be good for, and that clocks may differ.
_MAX_LIFETIME, _SKEW = 300, 30
#: Seconds that keys of a jwks_uri are used before they are asked for again; for how long
#: where its host does not answer; and the least between two questions.
_FRESH_SECONDS, _USABLE_SECONDS, _PAUSE_SECONDS = 3600, 86400, 60
#: What an assertion may call itself; of JWTs made for something else, none.
_TYPES = {"jwt", "client-authentication+jwt"}
#: The endpoints that clients authenticate at, as RFC 8414 2 calls them, and their routes.
_ENDPOINTS = {"token": "token", "revocation": "revoke", "introspection": "introspect"}


def check_jwks(server: Server, client: Client, value: Any) -> None:
    """Refuse what is no set of public keys."""
    from ..wire.jwk import UnfitKey, check_set

    if "jwks_uri" in client.client_metadata:
        # RFC 7591 2
        raise InvalidRequestError("A client has jwks or jwks_uri, not both.")
    try:
        check_set(value)
    except UnfitKey as error:
        raise InvalidRequestError(str(error)) from None


def check_jwks_uri(server: Server, client: Client, value: Any) -> None:
    """Refuse a URI that would never be asked for."""
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

    def prune(self, server: Server, session: Session, limit: int) -> int:
        return spent_jti.prune(session, server.now(), limit)

    def metadata(self, server: Server) -> Mapping[str, Any]:
        return {
            f"{name}_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS)
            for name, route in _ENDPOINTS.items()
            if route in server.paths
        }

    def proves(self, server: Server, client: Client, assertion: str) -> bool:
        """Say whether `client` made `assertion`, for this server and this once (RFC 7523 3)."""
        from ..wire.jwk import verifies
        from ..wire.jws import read_jwt

        header, claims, signed, signature = read_jwt(assertion)
        algorithm, kid = header.get("alg"), header.get("kid")
        wanted = client.client_metadata.get("token_endpoint_auth_signing_alg", algorithm)
        # The client is told by its registration what to sign with, not we by the assertion.
        if not isinstance(algorithm, str) or algorithm not in ALGORITHMS or algorithm != wanted:
            return False
        if not isinstance(kid, str | None) or "crit" in header:
            return False
        if str(header.get("typ", "JWT")).lower() not in _TYPES:
            return False
        now = server.now()
        until = _good_until(claims, client, _names_of(server, client), now)
        if until is None:
            return False

        def fits(keys: list[Any]) -> bool:
            return verifies(keys, algorithm, kid, signed, signature)

        uri = client.client_metadata.get("jwks_uri")
        if uri is None:
            if not fits(client.client_metadata.get("jwks", {}).get("keys", [])):
                return False
        elif not fits(self.keys_at(server, uri)) and not fits(
            self.keys_at(server, uri, again=True)
        ):
            return False
        try:
            # The last of all: what is refused is not spent.
            server.store.write(
                lambda session: spend(session, client.client_id, claims["jti"], until)
            )
        except SpentBefore:
            return False
        return True

    def keys_at(self, server: Server, uri: str, again: bool = False) -> list[Any]:
        """Return the keys at `uri`, which is asked at most once a minute.

        `again` is for a signature that none of the remembered keys has made. Raises
        `TemporarilyUnavailable` if the keys could not be asked for in time.
        """
        now = server.now()

        def fetch() -> Fetched[list[Any]] | None:
            try:
                keys = server.fetcher.get_json(uri).get("keys")
            except FetchError:
                return None
            return Fetched(keys, now + _FRESH_SECONDS) if isinstance(keys, list) else None

        return self._key_sets.find(uri, now, fetch, again=again) or []


def read_assertion(request: Request) -> tuple[str, str] | None:
    """Return the client_id that an assertion names and the assertion, None if there is none."""
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
    if not isinstance(client_id, str) or not client_id.isascii() or not client_id.isprintable():
        raise InvalidClientError("The client_assertion cannot be read.")
    return client_id, assertion


def _names_of(server: Server, client: Client) -> tuple[str, ...]:
    """Return what an assertion of `client` may call this server, at the endpoint it came to.

    The issuer, as one string and alone (draft-ietf-oauth-rfc7523bis): an assertion that is
    for the URL of an endpoint, or for others too, can be drawn out of a client by a server
    that names our endpoints as its own, and be shown here (CVE-2025-27370, CVE-2025-27371).
    """
    route = server.routes.get(flask.request.endpoint)
    if client.document is not None and route is not None and route.name == "token":
        # ChatGPT names the token endpoint, and nobody can tell it otherwise. A server that
        # draws such an assertion out of it can say to be it, as with `none`, at this one
        # endpoint; a code or a refresh token of a user it has not by that.
        return server.issuer, server.url_of("token")
    return (server.issuer,)


def _good_until(
    claims: Mapping[str, Any], client: Client, names: tuple[str, ...], now: int
) -> int | None:
    """Return when `claims` expire, skew included; None if they show nothing here and now."""
    if not claims.get("iss") == claims.get("sub") == client.client_id:
        return None
    if claims.get("aud") not in names:
        return None
    times = {name: claims[name] for name in ("exp", "iat", "nbf") if name in claims}
    # NaN and infinity, which Python's JSON knows, lie between no two numbers.
    if not all(type(at) in (int, float) and 0 <= at < 2**53 for at in times.values()):
        return None
    until: float = times.get("exp", -math.inf) + _SKEW
    if not now < until <= now + _MAX_LIFETIME + 2 * _SKEW:
        return None
    if max(times.get("iat", now), times.get("nbf", now)) > now + _SKEW:
        return None
    if times.get("iat", now) < now - _MAX_LIFETIME - 2 * _SKEW:
        return None
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 1 <= len(jti) <= 512 or not jti.isprintable():
        return None
    return math.ceil(until)
