"""Client storage: create, store and delete clients with everything that belongs to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from ..errors import InvalidRequestError
from ..wire.handle import digest, new_identifier, new_secret
from . import client_origin
from .base import Base, changed_rows
from .client import BY_SECRET, Client
from .grant import Grant


def new_client(
    *,
    client_name: str,
    redirect_uris: Iterable[str],
    auth_method: str,
    grant_types: Iterable[str],
    now: int,
    scope: Iterable[str] | None = None,
    origins: Iterable[str] = (),
    skip_consent: bool = False,
    self_registered: bool = False,
    client_id: str | None = None,
    client_secret: str | None = None,
    client_metadata: Mapping[str, Any] | None = None,
) -> tuple[Client, str | None]:
    """Create a client without storing it; return it with its secret in clear text.

    The secret is generated unless one is given; it is None if `auth_method` uses no secret.
    `now` is in epoch seconds. Raises `InvalidRequestError` if the client must not have the given
    secret; the registrar checks everything else.
    """
    has_secret = auth_method.startswith(BY_SECRET)
    if not has_secret and client_secret is not None:
        raise InvalidRequestError(f"A client with {auth_method} has no secret.")
    if client_secret is not None and (len(client_secret) < 32 or len(set(client_secret)) < 8):
        raise InvalidRequestError(
            "A client secret has at least 32 characters, and 8 different ones."
        )
    client_id = client_id or new_identifier()
    secret = (client_secret or new_secret()) if has_secret else None
    client = Client(
        client_id=client_id,
        client_name=client_name,
        token_endpoint_auth_method=auth_method,
        secret_digest=None if secret is None else digest(secret),
        secret_issued_at=None if secret is None else now,
        redirect_uris=list(redirect_uris),
        origins=list(origins),
        grant_types=list(grant_types),
        scope=None if scope is None else frozenset(scope),
        client_metadata=dict(client_metadata or {}),
        skip_consent=skip_consent,
        self_registered=self_registered,
        issued_at=now,
    )
    return client, secret


def save(session: Session, client: Client) -> None:
    """Store a new or changed client, and its web origins."""
    session.add(client)
    session.flush()
    client_origin.replace(session, client.client_id, client.web_origins)


def remove(session: Session, client_id: str) -> bool:
    """Delete a client and everything that belongs to it; return whether it existed.

    Deletes every row with its client_id, or of one of its grants, so that nothing is left if the
    same client_id is registered again. Each statement is repeated until it finds nothing: it
    waits for a concurrent refresh, but does not see the rows which that refresh inserted.
    """
    mappers = sorted(Base.registry.mappers, key=lambda mapper: mapper.class_.__tablename__)
    of_client = select(Grant.grant_id).where(Grant.client_id == client_id)
    conditions = [
        (mapper.class_, mapper.columns["grant_id"].in_(of_client))
        for mapper in mappers
        if mapper.class_ is not Grant and "grant_id" in mapper.columns
    ] + [
        (mapper.class_, mapper.columns["client_id"] == client_id)
        for mapper in mappers
        if mapper.class_ is not Client and "client_id" in mapper.columns
    ]
    for table, condition in conditions:
        while changed_rows(session, delete(table).where(condition)):
            pass
    return changed_rows(session, delete(Client).where(Client.client_id == client_id)) == 1
