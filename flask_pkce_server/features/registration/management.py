"""Management: clients read, update and delete their own registration (RFC 7592)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flask
from flask import Response
from sqlalchemy.orm import Session

from ...errors import InvalidClientMetadataError, InvalidTokenError
from ...models import client_storage as clients
from ...models import registration
from ...models.client import Client
from ...protocol.contract import Server
from ...resource_server.www_authenticate import challenge
from ...wire import client_metadata
from ...wire.handle import REGISTRATION, is_handle
from .body import answer, bearer, check, offer, read_body

_NOT_ITS = "The registration access token is not one of this client."
#: Members that only the server sets (RFC 7592 2.2).
_SERVER_MEMBERS = {
    "registration_access_token", "registration_client_uri", "client_secret_expires_at",
    "client_id_issued_at",
}  # fmt: skip


def registered(server: Server, client_id: str) -> Response:
    """Read, update or delete the client that has this registration access token (RFC 7592 2)."""
    method = flask.request.method
    token = bearer()
    try:
        client = _owned(server, client_id, token)
        if method == "DELETE":
            server.store.write(lambda session: clients.remove(session, client_id))
            return Response(status=204)
        if method == "PUT":
            client = _change(server, client, read_body())
    except InvalidTokenError as error:
        return challenge(error, ())
    return flask.jsonify(answer(server, client, token))


def _owned(server: Server, client_id: str, token: str | None) -> Client:
    """Return the client that `token` may change; every failure raises the same error."""
    if token is not None and is_handle(token, REGISTRATION):
        with server.store.reading() as session:
            row = registration.of_token(session, token)
            client = session.get(Client, row.client_id) if row else None
        if client is not None and client.client_id == client_id:
            return client
    raise InvalidTokenError(_NOT_ITS)


def _change(server: Server, client: Client, body: Mapping[str, Any]) -> Client:
    """Replace all metadata that the client registered by `body` (RFC 7592 2.2)."""
    if body.get("client_id") != client.client_id or _SERVER_MEMBERS & body.keys():
        raise InvalidClientMetadataError(
            "An update names its client_id, and nothing that only the server says."
        )
    secret = body.get("client_secret")
    if secret is not None and not (
        isinstance(secret, str) and secret.isascii() and client.check_client_secret(secret)
    ):
        raise InvalidClientMetadataError("client_secret is not the one that was given.")
    metadata = client_metadata.read(body, offer(server), client.token_endpoint_auth_method)
    if (metadata.auth_method == "none") != client.is_public:
        raise InvalidClientMetadataError("With a secret or without is another client: register it.")
    client.restate(metadata)
    check(server, client)

    def change(session: Session) -> Client:
        # Reload the client, so that other changes made meanwhile are kept.
        stored = session.get(Client, client.client_id, with_for_update=True)
        if stored is None:
            raise InvalidTokenError(_NOT_ITS)
        stored.restate(metadata)
        clients.save(session, stored)
        return stored

    return server.store.write(change)
