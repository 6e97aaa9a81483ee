"""Client secret: a client may have two, so that it can change them without an outage."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import update
from sqlalchemy.orm import Session

from . import foreign_secret
from .base import changed_rows
from .client import Client


@dataclass(frozen=True)
class LiveSecret:
    """A valid secret, as far as it may be shown."""

    #: Identifies the secret among those of its client, without revealing it.
    name: str
    digest: bytes
    #: Epoch seconds.
    issued_at: int


def of_client(client: Client) -> list[LiveSecret]:
    """Return the valid secrets of a client, newest first."""
    stored = (
        (client.secret_digest, client.secret_issued_at),
        (client.older_secret_digest, client.older_secret_issued_at),
    )
    return [
        LiveSecret(digest.hex()[:16], digest, issued_at or 0)
        for digest, issued_at in stored
        if digest is not None
    ]


def add(session: Session, client_id: str, secret_digest: bytes, now: int) -> bool:
    """Add a second secret to a confidential client; return False unless it has exactly one."""
    statement = (
        update(Client)
        .where(
            Client.client_id == client_id,
            Client.secret_digest.is_not(None),
            Client.older_secret_digest.is_(None),
        )
        # In this order: MariaDB assigns from left to right, and each assignment sees the last.
        .ordered_values(
            (Client.older_secret_digest, Client.secret_digest),
            (Client.older_secret_issued_at, Client.secret_issued_at),
            (Client.secret_digest, secret_digest),
            (Client.secret_issued_at, now),
        )
    )
    return changed_rows(session, statement) == 1


def replace(session: Session, client_id: str, secret_digest: bytes, now: int) -> bool:
    """Replace all secrets of a confidential client; return False if there is no such client."""
    statement = (
        update(Client)
        .where(Client.client_id == client_id, Client.token_endpoint_auth_method != "none")
        .values(
            secret_digest=secret_digest,
            secret_issued_at=now,
            older_secret_digest=None,
            older_secret_issued_at=None,
        )
    )
    replaced = changed_rows(session, statement) == 1
    foreign_secret.forget(session, client_id)
    return replaced


def end(session: Session, client: Client, name: str) -> bool:
    """Revoke the secret `name` of a client with two secrets; return whether it was one of them.

    The only secret of a client cannot be revoked.
    """
    wanted = [secret.digest for secret in of_client(client) if secret.name == name]
    has_two = Client.client_id == client.client_id, Client.older_secret_digest.is_not(None)
    older = (
        update(Client)
        .where(*has_two, Client.older_secret_digest.in_(wanted))
        .values(older_secret_digest=None, older_secret_issued_at=None)
    )
    if changed_rows(session, older) == 1:
        return True
    newer = (
        update(Client)
        .where(*has_two, Client.secret_digest.in_(wanted))
        .ordered_values(
            (Client.secret_digest, Client.older_secret_digest),
            (Client.secret_issued_at, Client.older_secret_issued_at),
            (Client.older_secret_digest, None),
            (Client.older_secret_issued_at, None),
        )
    )
    return changed_rows(session, newer) == 1
