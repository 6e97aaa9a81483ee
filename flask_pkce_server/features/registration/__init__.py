"""Registration: clients register themselves and update their metadata (RFC 7591, RFC 7592).

Nobody has checked these clients, so the consent page warns of them and asks every time. All
that register the same metadata share one public client, so that an app which registers at
each start remains one client; nobody owns it, and nobody may change it. A confidential
client, and any that showed an initial access token, is not shared and gets a registration
access token.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from typing import Any

import flask
from flask import Response

from ...errors import ConfigurationError, InvalidTokenError, TooManyRequests
from ...http.rate_limit import RateLimit
from ...models import client_storage as clients
from ...models import registration
from ...models.client import Client
from ...models.guess import Guess
from ...models.pruning import Prunable
from ...models.registration import Registration
from ...protocol.contract import Server
from ...protocol.declarations import Problem, Route
from ...protocol.feature import EVERYBODY, ClientField, Feature
from ...resource_server.www_authenticate import challenge
from ...signals import client_registered, tell
from ...wire import client_metadata
from ...wire.client_metadata import APPLICATION_TYPES, ClientMetadata
from ...wire.handle import REGISTRATION, digest, new_handle
from ...wire.network import block_of
from .body import answer, bearer, check, offer, read_body
from .management import registered

NEW_CLIENTS = RateLimit("registration", 20)


class TooManyRegistrations(TooManyRequests):
    """Too many self-registered clients are waiting for their first user."""

    description = "Too many clients were registered. Try again later."


class RegistrationFeature(Feature):
    """RFC 7591 and RFC 7592: dynamic client registration and its management."""

    name = "registration"
    opt_in = True
    models = (Registration, Guess)
    client_fields = (
        ClientField(
            "application_type",
            "Whether it is on its user's device or on a server, as it said itself.",
            choices=APPLICATION_TYPES,
            said_by=EVERYBODY,
        ),
    )

    def check_settings(self, server: Server) -> None:
        if any(len(token) < 32 for token in server.settings.registration_initial_access_tokens):
            raise ConfigurationError(
                "PKCE_REGISTRATION_INITIAL_ACCESS_TOKENS has one that can be guessed: they have "
                "at least 32 characters.",
                write="what this prints: python -c 'import secrets; print(secrets.token_hex())'",
            )

    def routes(self, server: Server) -> Iterable[Route]:
        # A browser app registers before it is a client, so its origin is not known yet.
        yield Route("register", "/register", register, ("POST",), "endpoint", for_any_origin=True)
        yield Route(
            "registered",
            "/register/<client_id>",
            registered,
            ("GET", "PUT", "DELETE"),
            "endpoint",
            for_any_origin=True,
        )

    def metadata(self, server: Server) -> Mapping[str, Any]:
        return {"registration_endpoint": server.url_of("register")}

    def prune(self, server: Server) -> Iterable[Prunable]:
        yield registration.unused(server.now() - server.settings.registration_unused_lifetime)

    def problems(self, server: Server) -> Iterable[Problem]:
        asks = server.users.host.may_register_client is not None
        if not asks and not server.settings.registration_initial_access_tokens:
            yield Problem(
                "WARN",
                "Any program may register itself as a client.",
                "@pkce.may_register_client  # def may_register(metadata): return ...",
            )


def register(server: Server) -> Response:
    """Register a client (RFC 7591 3.1)."""
    try:
        invited, now = _is_invited(server), server.now()
        metadata = client_metadata.read(read_body(), offer(server))
        client, secret = _new_client(server, metadata, now)
        is_shared = client.is_public and not invited
        client, token = _store(server, client, metadata.digest() if is_shared else None, now)
    except InvalidTokenError as error:
        return challenge(error, ())
    shown_once = {} if secret is None else {"client_secret": secret}
    return flask.make_response({**answer(server, client, token), **shown_once}, 201)


def _is_invited(server: Server) -> bool:
    """Return whether an initial access token is required and was sent (RFC 7591 3).

    Raises `InvalidTokenError` if a valid one is required and is missing.
    """
    initial_tokens = server.settings.registration_initial_access_tokens
    if not initial_tokens:
        return False
    sent = digest(bearer() or "")
    matches = [hmac.compare_digest(digest(token), sent) for token in initial_tokens]
    if not any(matches):
        raise InvalidTokenError("An initial access token is needed here; ask the operator.")
    return True


def _new_client(server: Server, metadata: ClientMetadata, now: int) -> tuple[Client, str | None]:
    client, secret = clients.new_client(
        client_name=metadata.client_name,
        redirect_uris=metadata.redirect_uris,
        auth_method=metadata.auth_method,
        grant_types=metadata.grant_types,
        scope=metadata.scope,
        self_registered=True,
        client_metadata=metadata.members,
        now=now,
    )
    check(server, client)
    return client, secret


def _store(
    server: Server, client: Client, metadata_digest: bytes | None, now: int
) -> tuple[Client, str | None]:
    """Store a client, or find the one shared under `metadata_digest`.

    Returns the client and its registration access token, which a shared client does not have.
    Raises `TooManyRegistrations` or another `TooManyRequests`.
    """
    token = new_handle(REGISTRATION) if metadata_digest is None else None
    if metadata_digest is not None:
        with server.store.reading() as session:
            shared = registration.shared(session, metadata_digest)
        if shared is not None and (
            registration.is_fresh(shared[1], now)
            or server.store.write(lambda session: registration.touch(session, metadata_digest, now))
        ):
            return shared[0], None
    # With a key, since there are so few networks that a digest alone would tell which one it is.
    network = block_of(flask.request.remote_addr or "").encode()
    network_digest = hmac.digest(server.key("registration networks"), network, "sha256")
    row = Registration(
        client_id=client.client_id,
        metadata_digest=metadata_digest,
        token_digest=None if token is None else digest(token),
        network_digest=network_digest,
        seen_at=now,
    )
    limits = NEW_CLIENTS.ask(server)
    server.ephemeral.check(limits, now)
    with server.store.reading() as session:
        place = registration.find_place(
            session, server.settings.registration_max_waiting, network_digest, now
        )
    stored = registration.store(server.ephemeral, client, row, counted=limits, place=place)
    if stored is None:
        raise TooManyRegistrations(registration.HOUR)
    if stored is client:
        tell(client_registered, server.app, client_id=client.client_id)
    return stored, token
