"""Client authentication: which client a request is from, and that it is (RFC 6749 2.3).

Features say how a client may show that (`ClientAuthMethod`); what it shows is judged here.
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
    """Return the client that proved who it is, by the method it is registered for.

    RFC 6749 2.3: one method, and only one. Whatever fails, the answer is the same. Raises
    `InvalidClientError`, or `InvalidRequestError` for what contradicts itself.
    """
    request.check_form()
    shown = {
        name: credentials
        for name, method in methods.items()
        if (credentials := method.read(request)) is not None
    }
    if len(shown) > 1:
        raise InvalidRequestError("The client authenticates by more than one method.")
    named = request.payload.client_id
    name, (client_id, proof) = next(iter(shown.items()), ("none", (named or "", "")))
    # Basic with an empty secret: some libraries name a public client so.
    name = name if proof else "none"
    if not client_id:
        raise InvalidClientError("The request does not say which client it is from.")
    if named and named != client_id:
        raise InvalidRequestError("client_id is not the client that authenticates.")
    client = server.find_client(client_id)
    # An unknown client is checked like any other, against a secret that nothing fits.
    known = client or Client(client_id="", token_endpoint_auth_method=name)
    proven = known.check_endpoint_auth_method(name, endpoint) and (
        name == "none" or _proves(server, methods[name], known, proof)
    )
    if client is None or not proven:
        raise InvalidClientError("The client is unknown, or did not prove who it is.")
    request.auth_method = name
    return client


def _proves(server: Server, method: ClientAuthMethod, client: Client, proof: str) -> bool:
    """Say whether `proof` is that of `client`."""
    if method.proves is not None:
        return method.proves(server, client, proof)
    return client.check_client_secret(proof) or _fits_foreign_secret(server, client, proof)


def _fits_foreign_secret(server: Server, client: Client, proof: str) -> bool:
    """Say whether `proof` is the secret of `client` that another product hashed.

    From the first time on it is kept as our own secrets are.
    """
    if not client.client_id or not client.has_secret or client.secret_digest is not None:
        return False
    client_id, now = client.client_id, server.now()
    with server.store.reading() as session:
        known = foreign_secret.find(session, client_id)
    if known is not None:
        if not foreign_secret.fits(known, proof):
            return False
        own = digest(proof)
        if server.store.write(lambda session: foreign_secret.upgrade(session, client_id, own, now)):
            return True
    # The same secret was shown a moment before, or another one was made meanwhile.
    changed = server.store.get(Client, client_id)
    return changed is not None and changed.check_client_secret(proof)
