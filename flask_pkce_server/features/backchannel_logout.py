"""Back-channel logout: tell every client of a session that the session has ended.

OpenID Connect Back-Channel Logout 1.0. Each client that took part in the session and
registered a `backchannel_logout_uri` is sent a signed logout token. This happens outside the
request in which the user signed out; a failed delivery is retried, and the log has the result.
A host app with a task queue can take over the delivery: `@pkce.logout_delivery`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from flask import Flask

from ..errors import InvalidRequestError, TemporarilyUnavailable
from ..models.client import Client
from ..protocol.contract import Server
from ..protocol.feature import ClientField, Feature, Listener
from ..signals import user_logged_out
from ..wire.handle import new_identifier
from ..wire.peers import post_form
from ..wire.redirect_uri import is_loopback, refuse_unfit

logger = logging.getLogger(__name__)

_EVENT = "http://schemas.openid.net/event/backchannel-logout"
#: Seconds for which a logout token is valid: as long as its delivery may take.
_LIFETIME = 120


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
            threading.Thread(
                target=deliver,
                args=(client.client_id, uri, fields, server.settings.backchannel_logout_retries),
                name=f"logout of {client.client_id}",
            ).start()


def _listeners(server: Server, client_ids: list[str]) -> Iterator[tuple[Client, str]]:
    for client_id in client_ids:
        try:
            client = server.find_client(client_id)
        except TemporarilyUnavailable:
            # The document that describes this client is unavailable; tell the others.
            logger.warning("client %s was not told of a logout", client_id)
            continue
        uri = client.client_metadata.get("backchannel_logout_uri") if client else None
        if client is not None and uri is not None:
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


def deliver(client_id: str, uri: str, fields: dict[str, str], waits: list[int]) -> None:
    """Send `fields` to `uri`; after each failure wait the next of `waits` (seconds) and retry."""
    for wait in (*waits, None):
        try:
            post_form(uri, fields)
        except (OSError, ValueError) as error:
            if wait is None:
                # Quoted and truncated: the error may contain what the client answered.
                logger.warning("client %s was not told of a logout: %.200r", client_id, error)
                return
            time.sleep(wait)
        else:
            logger.info("client %s was told of a logout", client_id)
            return
