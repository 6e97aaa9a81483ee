"""Client authentication: identifies the client of a request and verifies it (RFC 6749 2.3).

Features contribute the methods (`ClientAuthMethod`); this module applies them.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import InvalidClientError, InvalidRequestError
from ..models import foreign_secret
from ..models.client import Client
from ..wire.handle import digest
from .contract import Server
from .feature import ClientAuthMethod
from .request import Request


def authenticate(
    server: Server, request: Request, methods: Mapping[str, ClientAuthMethod], endpoint: str
) -> Client:
    """Return the client, authenticated by the method it is registered for.

    A request uses exactly one method (RFC 6749 2.3). Raises `InvalidClientError`, the same for
    an unknown client and a wrong proof, or `InvalidRequestError` for a contradictory request.
    """
    request.check_form()
    used = {
        name: credentials
        for name, method in methods.items()
        if (credentials := method.read(request)) is not None
    }
    if len(used) > 1:
        raise InvalidRequestError("The client authenticates by more than one method.")
    named = request.payload.client_id
    name, (client_id, proof) = next(iter(used.items()), ("none", (named or "", "")))
    # Some libraries identify a public client by Basic with an empty secret.
    name = name if proof else "none"
    if not client_id:
        raise InvalidClientError("The request does not say which client it is from.")
    if named and named != client_id:
        raise InvalidRequestError("client_id is not the client that authenticates.")
    client = server.find_client(client_id)
    # An unknown client is checked like any other, as a client whose secret never matches.
    candidate = client or Client(client_id="", token_endpoint_auth_method=name)
    proven = candidate.check_endpoint_auth_method(name, endpoint) and (
        name == "none" or _proves(server, methods[name], candidate, proof)
    )
    if client is None or not proven:
        raise InvalidClientError("The client is unknown, or did not prove who it is.")
    if client.suspended:
        raise InvalidClientError("The operator of this server has suspended the client.")
    request.auth_method = name
    return client


def _proves(server: Server, method: ClientAuthMethod, client: Client, proof: str) -> bool:
    """Return whether `proof` authenticates `client`."""
    if method.proves is not None:
        return method.proves(server, client, proof)
    return client.check_client_secret(proof) or _fits_foreign_secret(server, client, proof)


def _fits_foreign_secret(server: Server, client: Client, proof: str) -> bool:
    """Return whether `proof` is a secret of `client` that another product hashed.

    If it is, our own digest replaces the imported hash.
    """
    if not client.client_id or not client.has_secret or client.secret_digest is not None:
        return False
    client_id, now = client.client_id, server.now()
    with server.store.reading() as session:
        secret_hash = foreign_secret.find(session, client_id)
    if secret_hash is not None:
        if not foreign_secret.fits(secret_hash, proof):
            return False
        own = digest(proof)
        if server.store.write(lambda session: foreign_secret.upgrade(session, client_id, own, now)):
            return True
    # Another request has just upgraded the same secret, or the secret was replaced meanwhile.
    current = server.store.get(Client, client_id)
    return current is not None and current.check_client_secret(proof)
