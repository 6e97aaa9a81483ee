"""Back-channel logout: tell every client of a session that the session has ended.

OpenID Connect Back-Channel Logout 1.0. Each client that took part in the session and
registered a `backchannel_logout_uri` is sent a signed logout token. This happens outside the
request in which the user signed out, by few threads; a failed delivery is retried, and the log
has the result.
A host app with a task queue can take over the delivery: `@pkce.logout_delivery`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from flask import Flask
from sqlalchemy import select

from ..errors import InvalidRequestError
from ..models.client import Client
from ..protocol.contract import Server
from ..protocol.feature import ClientField, Feature, Listener
from ..signals import user_logged_out
from ..wire.background import Background
from ..wire.handle import new_identifier
from ..wire.peers import post_form
from ..wire.redirect_uri import is_loopback, refuse_unfit

logger = logging.getLogger(__name__)

_EVENT = "http://schemas.openid.net/event/backchannel-logout"
#: Seconds for which a logout token is valid: as long as its delivery may take.
_LIFETIME = 120
#: All apps of a process share these threads. What is queued when the process ends is lost.
_DELIVERIES = Background("back-channel logout", threads=4, most=1000)


def check_uri(server: Server, client: Client, value: Any) -> None:
    """Refuse a URI that logout tokens must not be sent to; raises `InvalidRequestError`."""
    refuse_unfit(value)
    if not value.startswith("https://") and not is_loopback(value):
        raise InvalidRequestError("backchannel_logout_uri is https, or http on loopback.")


class BackchannelLogoutFeature(Feature):
    """OpenID Connect Back-Channel Logout 1.0."""

    name = "backchannel_logout"
    client_fields = (
        ClientField(
            "backchannel_logout_uri",
            "Where it is told that a user signed out.",
            check=check_uri,
        ),
        ClientField(
            "backchannel_logout_session_required",
            "Whether it wants to know which session ended; it is always told.",
            kind=bool,
        ),
    )

    def listeners(self, server: Server) -> Iterable[Listener]:
        yield user_logged_out, self.tell_clients

    def metadata(self, server: Server) -> Mapping[str, Any]:
        return {
            "backchannel_logout_supported": True,
            "backchannel_logout_session_supported": True,
        }

    def tell_clients(self, app: Flask, *, subject: str, sid: str, client_ids: list[str]) -> None:
        """Send a logout token to each of `client_ids` that registered a URI for it."""
        server: Server = app.extensions["pkce"]
        for client, uri in _listeners(server, client_ids):
            fields = {"logout_token": logout_token(server, client, subject, sid)}
            if server.users.host.logout_delivery is not None:
                server.users.host.logout_delivery(uri, fields)
                continue
            client_id, waits = client.client_id, server.settings.backchannel_logout_retries
            delivery = deliver(client_id, uri, fields, waits, time.monotonic() + _LIFETIME)
            if not _DELIVERIES.add(client_id, delivery):
                logger.warning("client %s was not notified of a logout: too many wait", client_id)


def _listeners(server: Server, client_ids: list[str]) -> Iterator[tuple[Client, str]]:
    # Not `find_client`: nobody waits for documents to sign out, and only the operator sets the
    # URI of a described client.
    with server.store.reading() as session:
        query = select(Client).where(Client.client_id.in_(client_ids)).order_by(Client.client_id)
        clients = session.scalars(query).all()
    for client in clients:
        uri = client.client_metadata.get("backchannel_logout_uri")
        if uri is not None:
            yield client, uri


def logout_token(server: Server, client: Client, subject: str, sid: str) -> str:
    """Return the logout token for `client` (Back-Channel Logout 1.0 2.4)."""
    now = server.now()
    server.keys.prepare()
    return server.keys.sign(
        {
            "iss": server.issuer,
            "sub": server.subject_for(client, subject),
            "aud": client.client_id,
            "iat": now,
            "exp": now + _LIFETIME,
            "jti": new_identifier(),
            "sid": server.sid_for(client, sid),
            "events": {_EVENT: {}},
        },
        client.client_metadata.get("id_token_signed_response_alg", "RS256"),
        typ="logout+jwt",
    )


def deliver(
    client_id: str, uri: str, fields: dict[str, str], waits: list[int], ends_at: float
) -> Iterator[float]:
    """Send `fields` to `uri`; after each failure yield the next of `waits` (seconds) and retry.

    Gives up at `ends_at` (monotonic seconds), when the logout token expires.
    """
    for wait in (*waits, None):
        if time.monotonic() >= ends_at:
            logger.warning("client %s was not notified of a logout in time", client_id)
            return
        try:
            post_form(uri, fields)
        except (OSError, ValueError) as error:
            if wait is None:
                # Quoted and truncated: the error may contain what the client answered.
                logger.warning("client %s was not notified of a logout: %.200r", client_id, error)
                return
            yield wait
        else:
            logger.info("client %s was notified of a logout", client_id)
            return
