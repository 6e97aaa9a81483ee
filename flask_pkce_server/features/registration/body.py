"""Body: the JSON that registering clients send and receive (RFC 7591 3)."""

from __future__ import annotations

from typing import Any

import flask

from ...errors import AccessDeniedError, InvalidClientMetadataError, InvalidRequestError
from ...models.client import Client
from ...protocol.contract import Server
from ...wire import strict_json
from ...wire.client_metadata import Offer


def bearer() -> str | None:
    """Return the token that came as `Authorization: Bearer` (RFC 6750 2.1)."""
    scheme, _, token = flask.request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.isascii() else None


def read_body() -> dict[str, Any]:
    """Return the JSON object in the body; raises `InvalidClientMetadataError` if it is none."""
    incoming = flask.request
    if incoming.mimetype != "application/json":
        raise InvalidClientMetadataError("Send the metadata as application/json.")
    return _parse(incoming.get_data())


def _parse(body: bytes) -> dict[str, Any]:
    try:
        metadata = strict_json.loads(body.decode())
    except (ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        raise InvalidClientMetadataError("The body is not a JSON object.")
    return metadata


def offer(server: Server) -> Offer:
    """Return what self-registering clients may choose from."""
    return server.registrar.offer("client", server.settings.registration_scopes)


def check(server: Server, client: Client) -> None:
    """Refuse a client that the features or the host do not accept.

    Raises `InvalidClientMetadataError` or `AccessDeniedError`.
    """
    try:
        server.registrar.check(client)
    except InvalidRequestError as error:
        raise InvalidClientMetadataError(error.description) from None
    if not server.users.may_register_client(lambda: metadata_of(server, client)):
        raise AccessDeniedError("This client may not register itself here.", status_code=403)


def metadata_of(server: Server, client: Client) -> dict[str, Any]:
    """Return the registered metadata of a client, without null values (RFC 7591 3.2.1)."""
    own_fields = server.registrar.names_of("client")
    allowed = " ".join(server.scopes if client.scope is None else sorted(client.scope))
    return {
        "client_name": client.client_name,
        "redirect_uris": client.redirect_uris,
        "grant_types": client.grant_types,
        "response_types": ["code"] if client.check_response_type("code") else [],
        "token_endpoint_auth_method": client.token_endpoint_auth_method,
        "scope": client.client_metadata.get("default_scope", allowed),
        **{name: value for name, value in client.client_metadata.items() if name in own_fields},
    }


def answer(server: Server, client: Client, token: str | None) -> dict[str, Any]:
    """Return the registration response; `token` is the registration access token, if any."""
    response = {
        "client_id": client.client_id,
        "client_id_issued_at": client.issued_at,
        **metadata_of(server, client),
    }
    if not client.is_public:
        response["client_secret_expires_at"] = 0
    if token is not None:
        uri = server.url_of("registered").replace("<client_id>", client.client_id)
        response |= {"registration_access_token": token, "registration_client_uri": uri}
    return response
