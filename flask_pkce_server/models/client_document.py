"""Client document: a client that a document at its own URL describes (CIMD 3, 4).

CIMD is draft-ietf-oauth-client-id-metadata-document. Who has the host says what the client
is; what is stored of it is a copy, made when a user first lets it in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
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
from .authorization_code import AuthorizationCode
from .base import changed_rows
from .client import DOCUMENT, Client
from .consent import Consent
from .device_code import DeviceCode
from .token import Token

#: Seconds after its life for which a copy is used while the document cannot be had.
STALE = 86400
_CHARACTERS = re.compile(r"(?:[A-Za-z0-9\-._~:/?@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")
_METHODS = ("none", "private_key_jwt")
_BATCH = 100


@dataclass(frozen=True)
class Description:
    """What a document says, and of when it is (epoch seconds)."""

    metadata: ClientMetadata
    fetched_at: int
    fresh_until: int


def is_client_url(client_id: str) -> bool:
    """Say whether `client_id` can be the URL of a document (CIMD 3).

    What it leads to is known when it is asked for; `https://h/%2e%2e/x` is no URL of one.
    """
    if len(client_id) > 255 or not _CHARACTERS.fullmatch(client_id) or not is_fetchable(client_id):
        return False
    path = urlsplit(client_id).path
    # As often as a proxy may decode it.
    parts = unquote(unquote(path)).replace("\\", "/").split("/")
    return path not in ("", "/") and not {".", ".."} & {*parts}


def host_of(client_id: str) -> str:
    """Return the host of a client's URL, as a person should read it."""
    return urlsplit(client_id).netloc.lower()


def is_below(host: str, domains: Iterable[str]) -> bool:
    """Say whether `host` is one of `domains`, or a subdomain of one."""
    name = host.partition(":")[0]
    return any(name == one or name.endswith(f".{one}") for one in domains)


def read(client_id: str, said: Mapping[str, Any], offer: Offer) -> ClientMetadata:
    """Return what the document at `client_id` says of the client (CIMD 4).

    Raises `InvalidClientMetadataError` or `InvalidRedirectUriError`.
    """
    if said.get("client_id") != client_id:
        raise InvalidClientMetadataError("client_id is not the URL of the document.")
    if {"client_secret", "client_secret_expires_at"} & said.keys():
        raise InvalidClientMetadataError("A document that all can read has a secret in it.")
    method = _auth_method(said, offer)
    return client_metadata.read(
        {
            **said,
            "token_endpoint_auth_method": method,
            # That at least is true.
            "client_name": said.get("client_name") or host_of(client_id),
            # It is written for all servers, and names the scopes of none.
            "scope": None,
        },
        replace(offer, auth_methods=_METHODS, members=offer.members_for(method)),
    )


def _auth_method(said: Mapping[str, Any], offer: Offer) -> str:
    """Return how the client shows who it is, which a shared secret never does.

    ChatGPT names `private_key_jwt` and lists `none` beside it: then whoever comes without a
    signature is not it. Only where nobody here reads signatures does the list count.
    """
    listed = said.get("token_endpoint_auth_methods_supported")
    listed = listed if isinstance(listed, list) else []
    named = said.get("token_endpoint_auth_method")
    if named is None:
        named = next((one for one in _METHODS if one in (listed or _METHODS)), None)
    if named == "private_key_jwt" and named not in offer.auth_methods and "none" in listed:
        named = "none"
    if named not in _METHODS or named not in offer.auth_methods:
        raise InvalidClientMetadataError("The auth method is none or private_key_jwt.")
    return str(named)


def client_of(client_id: str, description: Description) -> Client:
    """Return a described client that is not stored yet."""
    client = Client(
        client_id=client_id,
        self_registered=True,
        client_metadata={DOCUMENT: {}},
        issued_at=description.fetched_at,
    )
    _write(client, description, changed_at=0)
    return client


def keep(session: Session, client: Client) -> bool:
    """Store a described client; say whether it was not there, by a faster process say."""
    # First that which writes.
    same = update(Client).where(Client.client_id == client.client_id)
    if changed_rows(session, same.values(self_registered=True)):
        return False
    clients.save(session, client)
    return True


def renew(session: Session, client_id: str, description: Description) -> Client:
    """Put what the document says now in the place of what it said; return the client.

    What the operator said of it stays. But if it has another name or other redirect URIs
    now, it is not what was checked, nor what users agreed to.
    """
    stored = session.get(Client, client_id, with_for_update=True)
    if stored is None:
        # Deleted meanwhile: it begins anew.
        return client_of(client_id, description)
    before = stored.document or {}
    if before.get("fetched_at", 0) < description.fetched_at:
        said = description.metadata
        same = stored.client_name == said.client_name and (
            sorted(stored.redirect_uris) == sorted(said.redirect_uris)
        )
        if not same:
            kept = {n: v for n, v in stored.client_metadata.items() if n != "verified"}
            stored.client_metadata, stored.skip_consent = kept, False
        _write(stored, description, stored.changed_at if same else description.fetched_at)
        clients.save(session, stored)
    return stored


def _write(client: Client, description: Description, changed_at: int) -> None:
    client.describe(
        description.metadata,
        {
            "fetched_at": description.fetched_at,
            "fresh_until": description.fresh_until,
            "changed_at": changed_at,
        },
    )


def prune(session: Session, now: int, limit: int) -> int:
    """Delete up to `limit` copies that nobody uses and that are too old; return how many.

    Whoever comes back with one of these URLs brings the document along. What the operator
    has checked stays, and who needs no consent: of those nothing else may be left for days.
    """
    unused = [
        ~select(table.client_id).where(table.client_id == Client.client_id).exists()
        for table in (Token, AuthorizationCode, DeviceCode, Consent)
    ]
    gone = [
        one.client_id
        for one in copies(session, *unused)
        if not (one.verified or one.skip_consent or is_usable(one, now))
    ]
    return sum(clients.remove(session, client_id) for client_id in gone[: min(limit, _BATCH)])


def copies(session: Session, *conditions: ColumnElement[bool]) -> list[Client]:
    """Return the clients that documents describe, as far as they are stored."""
    urls = Client.client_id.like("https://%"), Client.self_registered.is_(True)
    found = session.scalars(select(Client).where(*urls, *conditions))
    return [client for client in found if client.document is not None]


def is_usable(client: Client, now: int) -> bool:
    """Say whether the copy of a document counts at `now` (epoch seconds)."""
    return client.document is None or now < client.document["fresh_until"] + STALE
