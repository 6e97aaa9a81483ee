"""Client authentication: identifies the client of a request and verifies it (RFC 6749 2.3).

Features contribute the methods (`ClientAuthMethod`); this module applies them.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import NamedTuple

import flask

from ..errors import InvalidClientError, InvalidRequestError, TemporarilyUnavailable
from ..models import foreign_secret
from ..models.client import Client
from ..wire.handle import digest
from .contract import Server
from .feature import ClientAuthMethod
from .request import Request

# Hashes of other products are slow: they are computed one at a time in each process.
_hashing = threading.Lock()
_MAX_SECONDS_TO_WAIT = 2


def authenticate(
    server: Server, request: Request, methods: Mapping[str, ClientAuthMethod], endpoint: str
) -> Client:
    """Return the client, authenticated by the method it is registered for.

    A request uses exactly one method (RFC 6749 2.3). Raises `InvalidClientError`, the same for
    an unknown client and a wrong proof, or `InvalidRequestError` for a contradictory request.
    """
    request.check_form()
    name, client_id, proof = credentials_of(request, methods)
    client = server.find_client(client_id)
    if (
        endpoint == "introspection"
        and server.store.replica is not None
        and (client is None or client.suspended or not client.check_client_secret(proof))
    ):
        # It may be as a replica knows it. Read again, it comes from the primary.
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


class Credentials(NamedTuple):
    """By which method a request authenticates, as which client, and with what proof."""

    method: str
    client_id: str
    proof: str


def credentials_of(request: Request, methods: Mapping[str, ClientAuthMethod]) -> Credentials:
    """Return the credentials of a request, which are not checked yet.

    Raises `InvalidClientError` if there are none, and `InvalidRequestError` if they contradict
    each other.
    """
    used = {
        name: credentials
        for name, method in methods.items()
        if (credentials := method.read(request)) is not None
    }
    if len(used) > 1:
        raise InvalidRequestError("The client authenticates by more than one method.")
    named = request.payload.client_id
    name, (client_id, proof) = next(iter(used.items()), ("none", (named or "", "")))
    if not client_id:
        raise InvalidClientError("The request does not say which client it is from.")
    if named and named != client_id:
        raise InvalidRequestError("client_id is not the client that authenticates.")
    # Some libraries identify a public client by Basic with an empty secret.
    return Credentials(name if proof else "none", client_id, proof)


def _proves(server: Server, method: ClientAuthMethod, client: Client, proof: str) -> bool:
    """Return whether `proof` authenticates `client`."""
    if method.proves is not None:
        return method.proves(server, client, proof)
    return client.check_client_secret(proof) or _fits_foreign_secret(server, client, proof)


def _fits_foreign_secret(server: Server, client: Client, proof: str) -> bool:
    """Return whether `proof` is a secret of `client` that another product hashed.

    If it is, our own digest replaces the imported hash. Raises `TooManyGuesses` after too many
    wrong secrets, even if this one is right, and `TemporarilyUnavailable` if too many are being
    checked.
    """
    client_id = client.client_id
    if not client_id or not client.has_secret or client.secret_digest is not None:
        return False
    if not _hashing.acquire(timeout=_MAX_SECONDS_TO_WAIT):
        raise TemporarilyUnavailable()
    try:
        with server.store.reading() as session:
            secret_hash = foreign_secret.find(session, client_id)
        if secret_hash is not None and _takes_over(server, client_id, secret_hash, proof):
            return True
    finally:
        _hashing.release()
    # Another request has just upgraded the same secret, or the secret was replaced meanwhile.
    current = server.store.get(Client, client_id)
    return current is not None and current.check_client_secret(proof)


def _takes_over(server: Server, client_id: str, secret_hash: str, proof: str) -> bool:
    """Check `proof` against the hash of another product, and replace the hash if it fits."""
    limits = foreign_secret.limits_of(client_id, flask.request.remote_addr or "")
    now, own = server.now(), digest(proof)
    server.ephemeral.take(limits, now)
    if not foreign_secret.fits(secret_hash, proof):
        return False
    is_ours = server.store.write(
        lambda session: foreign_secret.upgrade(session, client_id, own, now)
    )
    server.ephemeral.give_back(limits, now)
    return is_ours
