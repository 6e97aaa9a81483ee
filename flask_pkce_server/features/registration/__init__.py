"""Registration: clients register themselves, and change what they said (RFC 7591, RFC 7592).

Nobody has checked them: the consent page warns of them and asks each time. A public client
is shared by all who say the same of themselves, so that an app which registers at each
start is one client; nobody owns it, and nobody may change it. A confidential one, and any
that showed an initial access token, is its own and gets a registration access token.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import flask
from flask import Response
from sqlalchemy.orm import Session

from ...errors import ConfigurationError, InvalidTokenError, TooManyRegistrations
from ...http.rate_limit import RateLimit
from ...models import client_storage as clients
from ...models import guess, registration
from ...models.client import Client
from ...models.guess import Guess
from ...models.registration import Registration
from ...protocol.contract import Server
from ...protocol.declarations import Problem, Route
from ...protocol.feature import EVERYBODY, ClientField, Feature
from ...resource_server.www_authenticate import challenge
from ...signals import client_registered, tell
from ...wire import client_metadata
from ...wire.client_metadata import APPLICATION_TYPES, ClientMetadata
from ...wire.handle import REGISTRATION, digest, new_handle
from .body import answer, bearer, check, offer, read_body
from .management import registered

NEW_CLIENTS = RateLimit("registration", 20)
#: Seconds after which to look whether there is room for another client.
_HOUR = 3600


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
        # A program in a browser registers before it is a client: nobody knows its origin.
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

    def prune(self, server: Server, session: Session, limit: int) -> int:
        before = server.now() - server.settings.registration_unused_lifetime
        return registration.prune(session, before, limit)

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
        key = None if invited or not client.is_public else metadata.digest()
        client, token = _store(server, client, key, now)
    except InvalidTokenError as error:
        return challenge(error, ())
    shown_once = {} if secret is None else {"client_secret": secret}
    return flask.make_response({**answer(server, client, token), **shown_once}, 201)


def _is_invited(server: Server) -> bool:
    """Say whether an initial access token was needed and shown (RFC 7591 3)."""
    wanted = server.settings.registration_initial_access_tokens
    if not wanted:
        return False
    shown = digest(bearer() or "")
    fits = [hmac.compare_digest(digest(token), shown) for token in wanted]
    if not any(fits):
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
    server: Server, client: Client, key: bytes | None, now: int
) -> tuple[Client, str | None]:
    """Store a client, or find the one that is shared under `key`; return it and its token."""
    token = new_handle(REGISTRATION) if key is None else None
    if key is not None:
        with server.store.reading() as session:
            found = registration.shared(session, key)
        if found is not None and (
            registration.is_fresh(found[1], now)
            or server.store.write(lambda session: registration.touch(session, key, now))
        ):
            return found[0], None
    row = Registration(
        client_id=client.client_id,
        metadata_digest=key,
        token_digest=None if token is None else digest(token),
        seen_at=now,
    )
    counted = NEW_CLIENTS.ask(server)
    with server.store.reading() as session:
        guess.check(session, counted, now)
        full = registration.is_full(session, server.settings.registration_max_waiting)
    stored = server.store.write(
        partial(registration.store, client=client, row=row, counted=counted, full=full)
    )
    if stored is None:
        raise TooManyRegistrations(_HOUR)
    if stored is client:
        tell(client_registered, server.app, client_id=client.client_id)
    return stored, token
