"""Client authentication: which client a request is from, and that it is (RFC 6749 2.3).

How a client may show that is for the rooms to say (`Server.client_auth_methods`); what it
shows is judged here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import InvalidClientError, InvalidRequestError
from ..models import foreign_secret
from ..models.client import Client
from ..wire.handle import digest
from .request import Request

if TYPE_CHECKING:
    from .server import Server


def authenticate(server: Server, request: Request, endpoint: str) -> Client:
    """Return the client that proved who it is, by the method it is registered for.

    RFC 6749 2.3: one method, and only one. Whatever fails, the answer is the same. Raises
    `InvalidClientError`, or `InvalidRequestError` for what contradicts itself.
    """
    request.check_form()
    shown = {
        name: credentials
        for name, read in server.client_auth_methods.items()
        if (credentials := read(request)) is not None
    }
    if len(shown) > 1:
        raise InvalidRequestError("The client authenticates by more than one method.")
    named = request.payload.client_id
    method, (client_id, proof) = next(iter(shown.items()), ("none", (named or "", "")))
    # Basic with an empty secret: some libraries name a public client so.
    method = method if proof else "none"
    if not client_id:
        raise InvalidClientError("The request does not say which client it is from.")
    if named and named != client_id:
        raise InvalidRequestError("client_id is not the client that authenticates.")
    client = server.find_client(client_id)
    # An unknown client is checked like any other, against a secret that nothing fits.
    known = client or Client(token_endpoint_auth_method=method)
    fits = known.check_endpoint_auth_method(method, endpoint) and (
        method == "none"
        or (
            server.client_proofs[method](known, proof)
            if method in server.client_proofs
            else known.check_client_secret(proof) or _fits_foreign_secret(server, client, proof)
        )
    )
    if client is None or not fits:
        raise InvalidClientError("The client is unknown, or did not prove who it is.")
    request.auth_method = method
    return client


def _fits_foreign_secret(server: Server, client: Client | None, proof: str) -> bool:
    """Say whether `proof` is the secret of `client` that another product hashed.

    From the first time on it is kept as our own secrets are.
    """
    if client is None or client.secret_digest is not None:
        return False
    if not client.token_endpoint_auth_method.startswith("client_secret_"):
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
    with server.store.reading() as session:
        changed = session.get(Client, client_id)
    return changed is not None and changed.check_client_secret(proof)
