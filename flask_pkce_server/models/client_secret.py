"""Client secret: two may live at once, so that a client changes them without a pause."""

from __future__ import annotations

from sqlalchemy import update
from sqlalchemy.orm import Session

from .base import changed_rows
from .client import Client


def add(session: Session, client_id: str, secret_digest: bytes, now: int) -> bool:
    """Give a confidential client a second secret; say whether it had room for one."""
    statement = (
        update(Client)
        .where(
            Client.client_id == client_id,
            Client.secret_digest.is_not(None),
            Client.older_secret_digest.is_(None),
        )
        # In this order: MariaDB assigns from left to right, and the next one sees it.
        .ordered_values(
            (Client.older_secret_digest, Client.secret_digest),
            (Client.older_secret_issued_at, Client.secret_issued_at),
            (Client.secret_digest, secret_digest),
            (Client.secret_issued_at, now),
        )
    )
    return changed_rows(session, statement) == 1


def end(session: Session, client_id: str, secret_digest: bytes) -> bool:
    """End one of two secrets; say whether it was one of them. The last one stays."""
    of_two = Client.client_id == client_id, Client.older_secret_digest.is_not(None)
    older = (
        update(Client)
        .where(*of_two, Client.older_secret_digest == secret_digest)
        .values(older_secret_digest=None, older_secret_issued_at=None)
    )
    if changed_rows(session, older) == 1:
        return True
    newer = (
        update(Client)
        .where(*of_two, Client.secret_digest == secret_digest)
        .ordered_values(
            (Client.secret_digest, Client.older_secret_digest),
            (Client.secret_issued_at, Client.older_secret_issued_at),
            (Client.older_secret_digest, None),
            (Client.older_secret_issued_at, None),
        )
    )
    return changed_rows(session, newer) == 1
