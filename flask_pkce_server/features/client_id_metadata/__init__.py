"""Client ID metadata: a client_id that is the URL of a document describing the client.

draft-ietf-oauth-client-id-metadata-document. Such clients do not register: the server fetches
the document when any request names its URL, and keeps it in memory. It stores the client only
when a user allows it, so that strangers cannot fill the table. From then on the stored copy is
a client like any other, and is renewed when it is no longer fresh. The feature is active if
there is an MCP server (`pkce.mcp`), or if `PKCE_FEATURES` switches it on.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from flask import Flask
from sqlalchemy.exc import DBAPIError

from ...errors import ConfigurationError, InvalidRequestError, OAuth2Error
from ...http.rate_limit import FETCHES
from ...models import client_document as documents
from ...models.client import DOCUMENT, Client
from ...models.client_document import Description
from ...models.pruning import Prunable
from ...protocol.contract import Server
from ...protocol.declarations import Problem
from ...protocol.feature import ClientField, Feature, Listener
from ...protocol.state import request_state
from ...signals import authorization_granted, client_registered, tell
from ...wire.client_metadata import Offer
from ...wire.fetch import FetchError
from ...wire.remembered import Fetched, Remembered

logger = logging.getLogger(__name__)

#: Seconds for which a document is fresh: the default, and the range that its host may choose.
_USUAL_LIFETIME, _MIN_LIFETIME, _MAX_LIFETIME = 3600, 300, 86400
#: Seconds between two attempts to fetch the same document.
_PAUSE_SECONDS = 60
_DOMAIN = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")
_MOST_NAMED = 20


class ClientIdMetadataFeature(Feature):
    """Client ID Metadata Documents: clients described by a document at their client_id."""

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
        """Say whether this server accepts such clients: as configured, else with an MCP server."""
        return server.settings.features.get(self.name, server.resources.has_guarded)

    def find_client(self, server: Server, client_id: str, stored: Client | None) -> Client | None:
        is_url = documents.is_client_url(client_id)
        if not is_url or not self.speaks(server) or not self.is_allowed(server, client_id):
            return None
        client = self._find(server, client_id, stored)
        jwks_uri = None if client is None else client.client_metadata.get("jwks_uri")
        if jwks_uri is not None and not self.is_allowed(server, jwks_uri):
            logger.info("the keys of %.255s are on a host that is not allowed", client_id)
            return None
        return client

    def _find(self, server: Server, client_id: str, stored: Client | None) -> Client | None:
        now = server.now()
        copy = {} if stored is None else stored.document or {}
        # `TemporarilyUnavailable` must reach the client: SDKs forget a client that is reported
        # as unknown.
        description = self.memory.find(
            client_id,
            now,
            lambda: self.fetch(server, client_id, now),
            copy_fresh_until=copy.get("fresh_until", -math.inf),
            # Anybody can describe a client, and allow it as a user.
            admit=None
            if stored is not None and not stored.is_of_stranger
            else lambda: FETCHES.take(server),
        )
        if stored is None:
            return None if description is None else documents.client_of(client_id, description)
        if description is not None and copy["fetched_at"] < description.fetched_at:
            newer = description
            return server.store.write(lambda session: documents.renew(session, client_id, newer))
        if not documents.is_usable(stored, now):
            return None
        # The host app may have changed the setting since the copy was stored.
        scopes = server.settings.client_id_metadata_scopes
        stored.scope = frozenset(scopes) if scopes else None
        return stored

    def is_allowed(self, server: Server, url: str) -> bool:
        """Say whether the settings allow documents and keys on the host of `url`."""
        host, settings = documents.host_of(url), server.settings
        allowed = settings.client_id_metadata_allow
        return (not allowed or documents.is_below(host, allowed)) and not documents.is_below(
            host, settings.client_id_metadata_deny
        )

    def fetch(self, server: Server, client_id: str, now: int) -> Fetched[Description] | None:
        """Return the description at `client_id`, None if it is unavailable or invalid.

        This is the only place where the server fetches a document because a request or a
        command names its URL. Only the log says why a fetch failed.
        """
        try:
            document = server.fetcher.get_document(client_id)
        except FetchError:
            return None
        lifetime = _USUAL_LIFETIME if document.max_age is None else document.max_age
        fresh_until = now + min(max(lifetime, _MIN_LIFETIME), _MAX_LIFETIME)
        try:
            metadata = documents.read(client_id, document.content, offer(server))
            description = Description(metadata, now, fresh_until)
            members = _fitting(server, documents.client_of(client_id, description))
            description = Description(replace(metadata, members=members), now, fresh_until)
            server.registrar.check(documents.client_of(client_id, description))
        except OAuth2Error as error:
            logger.info("the document at %.255s is refused: %s", client_id, error.description)
            return None
        return Fetched(description, fresh_until)

    def keep(self, app: Flask, *, client_id: str, **facts: Any) -> None:
        """Store a client that a user has allowed, so that all processes know it."""
        server: Server = app.extensions["pkce"]
        # The signal names only the client_id.
        client = request_state().client
        if client is None or client.client_id != client_id or client.document is None:
            return
        if client.is_stored:
            return
        if server.store.write(lambda session: documents.keep(session, client)):
            tell(client_registered, app, client_id=client_id)

    def prune(self, server: Server) -> Iterable[Prunable]:
        yield documents.outdated(server.now())

    def problems(self, server: Server) -> Iterable[Problem]:
        if not self.speaks(server):
            return
        hosts = ", ".join(server.settings.client_id_metadata_allow) or "any host"
        yield Problem("OK", f"Clients may be described by documents at {hosts}.")
        try:
            with server.store.reading() as session:
                copies = documents.copies(session)
        except DBAPIError:
            return  # the check of the tables reports this
        now = server.now()
        unusable = [copy for copy in copies if not documents.is_usable(copy, now)]
        for client in unusable[:_MOST_NAMED]:
            yield Problem(
                "WARN",
                f"The document {client.client_id} was not to be had for more than a day, or nobody "
                "came with it.",
            )


def offer(server: Server) -> Offer:
    """Return what this server offers to clients that documents describe."""
    return server.registrar.offer("document", server.settings.client_id_metadata_scopes)


def _fitting(server: Server, client: Client) -> dict[str, Any]:
    """Return the metadata members of `client` that this server accepts.

    A document is written for every server, so the members that do not fit this one are left out.
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
