"""Client document: a client described by the document at its client_id URL (CIMD 3, 4).

CIMD is draft-ietf-oauth-client-id-metadata-document. The owner of the host describes the
client; the database holds a copy, stored when a user first authorizes the client.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote, urlsplit

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from ..errors import InvalidClientMetadataError
from ..wire import client_metadata
from ..wire.client_metadata import ClientMetadata, Offer
from ..wire.fetch import is_fetchable
from . import client_storage as clients
from .base import changed_rows
from .client import DOCUMENT, Client
from .connection import is_unused
from .pruning import BATCH, Listed

#: Seconds for which an outdated copy is still used while the document is unavailable.
STALE = 86400
_CHARACTERS = re.compile(r"(?:[A-Za-z0-9\-._~:/?@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")
_METHODS = ("none", "private_key_jwt")


@dataclass(frozen=True)
class Description:
    """The metadata in a document, and the times of the fetched copy (epoch seconds)."""

    metadata: ClientMetadata
    fetched_at: int
    fresh_until: int


def is_client_url(client_id: str) -> bool:
    """Return whether `client_id` can be the URL of a client document (CIMD 3).

    The address of its host is checked when the document is fetched. Dot segments are refused,
    even if encoded, as in `https://h/%2e%2e/x`.
    """
    if len(client_id) > 255 or not _CHARACTERS.fullmatch(client_id) or not is_fetchable(client_id):
        return False
    path = urlsplit(client_id).path
    # Twice, because a proxy may decode it once more.
    parts = unquote(unquote(path)).replace("\\", "/").split("/")
    return path not in ("", "/") and not {".", ".."} & {*parts}


def host_of(client_id: str) -> str:
    """Return the host of a client's URL, with its port, to show to users."""
    return urlsplit(client_id).netloc.lower()


def is_below(host: str, domains: Iterable[str]) -> bool:
    """Return whether `host` is one of `domains`, or a subdomain of one."""
    name = host.partition(":")[0]
    return any(name == domain or name.endswith(f".{domain}") for domain in domains)


def read(client_id: str, content: Mapping[str, Any], offer: Offer) -> ClientMetadata:
    """Return the client metadata in the document at `client_id` (CIMD 4).

    Raises `InvalidClientMetadataError` or `InvalidRedirectUriError`.
    """
    if content.get("client_id") != client_id:
        raise InvalidClientMetadataError("client_id is not the URL of the document.")
    if {"client_secret", "client_secret_expires_at"} & content.keys():
        raise InvalidClientMetadataError("A document that all can read has a secret in it.")
    method = _auth_method(content, offer)
    return client_metadata.read(
        {
            **content,
            "token_endpoint_auth_method": method,
            # The host is the one name that the client cannot invent.
            "client_name": content.get("client_name") or host_of(client_id),
            # The document is written for all servers, and knows the scopes of none.
            "scope": None,
        },
        replace(offer, auth_methods=_METHODS, members=offer.members_for(method)),
    )


def _auth_method(content: Mapping[str, Any], offer: Offer) -> str:
    """Return the client authentication method; a shared secret is never accepted.

    ChatGPT's document names `private_key_jwt` and also lists `none` as supported. Such a client
    has to sign its requests; the list counts only if this server does not accept signatures.
    """
    listed = content.get("token_endpoint_auth_methods_supported")
    listed = listed if isinstance(listed, list) else []
    named = content.get("token_endpoint_auth_method")
    if named is None:
        named = next((method for method in _METHODS if method in (listed or _METHODS)), None)
    if named == "private_key_jwt" and named not in offer.auth_methods and "none" in listed:
        named = "none"
    if named not in _METHODS or named not in offer.auth_methods:
        raise InvalidClientMetadataError("The auth method is none or private_key_jwt.")
    return str(named)


def client_of(client_id: str, description: Description) -> Client:
    """Return a new described client, without storing it."""
    client = Client(
        client_id=client_id,
        self_registered=True,
        client_metadata={DOCUMENT: {}},
        issued_at=description.fetched_at,
    )
    client.restate(description.metadata)
    _write_times(client, description, changed_at=0)
    return client


def keep(session: Session, client: Client) -> bool:
    """Store a described client; return False if it exists, perhaps from another process."""
    # Write first, so that no transaction reads first and writes later (see `Store.reading`).
    statement = update(Client).where(Client.client_id == client.client_id)
    if changed_rows(session, statement.values(self_registered=True)):
        return False
    clients.save(session, client)
    return True


def renew(session: Session, client_id: str, description: Description) -> Client:
    """Update a stored client from its document, if that is newer; return the client.

    Keeps what the operator set. But if anything except the keys has changed, the client is no
    longer verified, no longer skips consent, and needs new consents.
    """
    stored = session.get(Client, client_id, with_for_update=True)
    if stored is None:
        # It was deleted meanwhile: start over.
        return client_of(client_id, description)
    times = stored.document or {}
    if times.get("fetched_at", 0) < description.fetched_at:
        # A setting limits the scope, so a new limit is no change of the document.
        stored.scope = description.metadata.scope
        has_changed = stored.restate(description.metadata)
        changed_at = description.fetched_at if has_changed else stored.changed_at
        _write_times(stored, description, changed_at)
        clients.save(session, stored)
    return stored


def _write_times(client: Client, description: Description, changed_at: int) -> None:
    times = {
        "fetched_at": description.fetched_at,
        "fresh_until": description.fresh_until,
        "changed_at": changed_at,
    }
    client.client_metadata = {**client.client_metadata, DOCUMENT: times}


def outdated(now: int) -> Listed:
    """Return the unused copies that are too old, for pruning.

    If such a client returns, its document is fetched again. Verified clients are kept, and so
    are clients that skip consent: they may have no other rows for days.
    """

    def find(session: Session, *conditions: ColumnElement[bool]) -> list[str]:
        return [
            client.client_id
            for client in copies(session, *conditions)
            if not (client.verified or client.skip_consent or is_usable(client, now))
        ]

    def find_unused(session: Session) -> Iterator[str]:
        # Few at a time, so that the database looks up their grants instead of reading all.
        outdated = find(session)
        for at in range(0, len(outdated), BATCH):
            is_one = Client.client_id.in_(outdated[at : at + BATCH])
            statement = select(Client.client_id).where(is_one, is_unused(Client.client_id))
            yield from session.scalars(statement)

    def remove(session: Session, client_id: str) -> bool:
        conditions = Client.client_id == client_id, is_unused(Client.client_id)
        return find(session, *conditions) != [] and clients.remove(session, client_id)

    return Listed(find_unused, remove)


def copies(session: Session, *conditions: ColumnElement[bool]) -> list[Client]:
    """Return the stored clients that documents describe and that meet `conditions`."""
    are_described = Client.client_id.like("https://%"), Client.self_registered.is_(True)
    rows = session.scalars(select(Client).where(*are_described, *conditions))
    return [client for client in rows if client.document is not None]


def is_usable(client: Client, now: int) -> bool:
    """Return whether the copy of the document is usable at `now` (epoch seconds)."""
    return client.document is None or now < client.document["fresh_until"] + STALE
