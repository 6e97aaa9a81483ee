"""Client ID metadata: a client_id that is the URL of a document which says what the client is.

draft-ietf-oauth-client-id-metadata-document. Nobody registers: the document is fetched when
its URL comes, on whatever leg, and kept in memory. Only when a user lets the client in is it
stored, so that strangers fill no table; from then on it is a client like others, whose copy
is renewed when its life is over. It speaks where there is an MCP server (`pkce.mcp`), or
where `PKCE_FEATURES` names it.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy
from flask import Flask
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ...errors import ConfigurationError, InvalidRequestError, OAuth2Error
from ...http.rate_limit import RateLimit
from ...models import client_document as documents
from ...models.client import DOCUMENT, Client
from ...models.client_document import Description
from ...protocol.contract import Server
from ...protocol.declarations import Problem
from ...protocol.feature import ClientField, Feature, Listener
from ...protocol.state import request_state
from ...signals import authorization_granted, client_registered, tell
from ...wire.client_metadata import Offer
from ...wire.fetch import FetchError
from ...wire.remembered import Fetched, Remembered

logger = logging.getLogger(__name__)

#: Documents that one asks for, of clients that no user ever let in.
NEW_DOCUMENTS = RateLimit("client_document", 20)

#: Seconds that a document counts, if its host does not say it, and within what is believed.
_USUAL_LIFETIME, _MIN_LIFETIME, _MAX_LIFETIME = 3600, 300, 86400
#: Seconds between two tries to get the same document.
_PAUSE_SECONDS = 60
_DOMAIN = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")
_MOST_NAMED = 20


class ClientIdMetadataFeature(Feature):
    """Client ID Metadata Documents: clients that are described at their client_id."""

    name = "client_id_metadata"
    client_fields = (
        ClientField(
            DOCUMENT, "Of when the copy of its document is.", kind=dict[str, Any], said_by=()
        ),
    )

    def __init__(self) -> None:
        self.memory: Remembered[Description] = Remembered(
            stale=documents.STALE, pause=_PAUSE_SECONDS
        )

    def check_settings(self, server: Server) -> None:
        for name in ("allow", "deny"):
            for host in getattr(server.settings, f"client_id_metadata_{name}"):
                if not _DOMAIN.fullmatch(host):
                    raise ConfigurationError(
                        f"PKCE_CLIENT_ID_METADATA_{name.upper()} has {host!r}, and a host is a "
                        "domain name in small letters alone.",
                        write=f'app.config["PKCE_CLIENT_ID_METADATA_{name.upper()}"] = '
                        '["apps.example"]',
                    )

    def listeners(self, server: Server) -> Iterable[Listener]:
        yield authorization_granted, self.keep

    def metadata(self, server: Server) -> Mapping[str, Any]:
        return {"client_id_metadata_document_supported": True} if self.speaks(server) else {}

    def speaks(self, server: Server) -> bool:
        """Say whether there are such clients here: the host said so, or has an MCP server."""
        return server.settings.features.get(self.name, server.resources.has_guarded)

    def find_client(self, server: Server, client_id: str, stored: Client | None) -> Client | None:
        if not self.speaks(server) or not self.is_allowed(server, client_id):
            return None
        now = server.now()
        copy = {} if stored is None else stored.document or {}
        # Busy is said to be busy: SDKs would forget a client that is told to be unknown.
        found = self.memory.find(
            client_id,
            now,
            lambda: self.fetch(server, client_id, now),
            copy_fresh_until=copy.get("fresh_until", -math.inf),
            admit=None if copy else lambda: NEW_DOCUMENTS.take(server),
        )
        if stored is None:
            return None if found is None else documents.client_of(client_id, found)
        if found is not None and copy["fetched_at"] < found.fetched_at:
            newer = found
            return server.store.write(lambda session: documents.renew(session, client_id, newer))
        if not documents.is_usable(stored, now):
            return None
        # The copy may be older than what the host says now.
        named = server.settings.client_id_metadata_scopes
        stored.scope = frozenset(named) if named else None
        return stored

    def is_allowed(self, server: Server, client_id: str) -> bool:
        """Say whether `client_id` is the URL of a document at a host that may have some."""
        if not documents.is_client_url(client_id):
            return False
        host, settings = documents.host_of(client_id), server.settings
        allowed = settings.client_id_metadata_allow
        return (not allowed or documents.is_below(host, allowed)) and not documents.is_below(
            host, settings.client_id_metadata_deny
        )

    def fetch(self, server: Server, client_id: str, now: int) -> Fetched[Description] | None:
        """Return what the document at `client_id` says, None if it is not to be had or wrong.

        The one place where this server asks another for a document, because a request (or a
        command) names it. Why it fails is in the log alone.
        """
        try:
            document = server.fetcher.get_document(client_id)
        except FetchError:
            return None
        life = _USUAL_LIFETIME if document.max_age is None else document.max_age
        until = now + min(max(life, _MIN_LIFETIME), _MAX_LIFETIME)
        try:
            said = documents.read(client_id, document.content, offer(server))
            description = Description(said, now, until)
            members = _fitting(server, documents.client_of(client_id, description))
            description = Description(replace(said, members=members), now, until)
            server.registrar.check(documents.client_of(client_id, description))
        except OAuth2Error as error:
            logger.info("the document at %.255s is refused: %s", client_id, error.description)
            return None
        return Fetched(description, until)

    def keep(self, app: Flask, *, client_id: str, **facts: Any) -> None:
        """Store a client that a user lets in, so that all processes know it from now on."""
        server: Server = app.extensions["pkce"]
        # The one that this request is about.
        client = request_state().client
        if client is None or client.client_id != client_id or client.document is None:
            return
        if sqlalchemy.inspect(client).has_identity:
            return  # it was stored before
        if server.store.write(lambda session: documents.keep(session, client)):
            tell(client_registered, app, client_id=client_id)

    def prune(self, server: Server, session: Session, limit: int) -> int:
        return documents.prune(session, server.now(), limit)

    def problems(self, server: Server) -> Iterable[Problem]:
        if not self.speaks(server):
            return
        hosts = ", ".join(server.settings.client_id_metadata_allow) or "any host"
        yield Problem("OK", f"Clients may be described by documents at {hosts}.")
        try:
            with server.store.reading() as session:
                found = documents.copies(session)
        except DBAPIError:
            return  # said of the tables
        now = server.now()
        for client in [one for one in found if not documents.is_usable(one, now)][:_MOST_NAMED]:
            yield Problem(
                "WARN",
                f"The document {client.client_id} was not to be had for more than a day, or nobody "
                "came with it.",
            )


def offer(server: Server) -> Offer:
    """Return what this server has for clients that documents describe."""
    return server.registrar.offer("document", server.settings.client_id_metadata_scopes)


def _fitting(server: Server, client: Client) -> dict[str, Any]:
    """Return the members of `client` that can be had here.

    A document is written for all servers: what this one does not know is left out.
    """
    fitting = {}
    for name, value in client.client_metadata.items():
        try:
            server.registrar.check_member(client, name, value)
        except InvalidRequestError:
            continue
        if name != DOCUMENT:
            fitting[name] = value
    return fitting
