"""Withdrawal: whatever takes access away, each by one statement on grants.

Consents are deleted first, in a transaction of their own. An authorization that rests on them
stores its grant first and then looks for them: either they are gone, or the statement that
follows here finds that grant.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from .base import changed_rows
from .client_owner import ClientOwner
from .consent import Consent
from .grant import OFFLINE_ACCESS, Grant, has_scope, revoke, without
from .participation import clients_of
from .store import Store


def withdraw(store: Store, subject: str, client_id: str, now: int) -> bool:
    """Withdraw all access of `client_id` to `subject`; return whether there was any."""
    consents = delete(Consent).filter_by(subject=subject, client_id=client_id)
    deleted = store.write(lambda session: changed_rows(session, consents))
    revoked = store.write(lambda session: revoke(session, now, *_of(subject, client_id)))
    return deleted + revoked > 0


def narrow(store: Store, subject: str, client_id: str, scopes: Iterable[str]) -> None:
    """Withdraw `scopes` that `subject` granted to `client_id`.

    Codes and tokens keep the other scopes of their grant.
    """
    withdrawn = frozenset(scopes)
    of_client = delete(Consent).filter_by(subject=subject, client_id=client_id)
    consents = of_client.where(Consent.scope.in_(withdrawn))
    store.write(lambda session: changed_rows(session, consents))
    grants = update(Grant).where(*_of(subject, client_id), Grant.revoked_at.is_(None))
    narrowed = grants.values(scope=without(withdrawn))
    store.write(lambda session: changed_rows(session, narrowed))


def forget(store: Store, subject: str, now: int, is_gone: bool) -> bool:
    """Withdraw everything that `subject` ever granted; return whether there was any.

    If the user `is_gone`, their apps of the developer portal stay, without an owner. At most three
    statements, however much it was.
    """
    deletions = [delete(Consent).where(Consent.subject == subject)]
    if is_gone:
        deletions.append(delete(ClientOwner).where(ClientOwner.subject == subject))
    ended = store.write(
        lambda session: sum([changed_rows(session, statement) for statement in deletions])
    )
    return store.write(lambda session: revoke(session, now, Grant.subject == subject)) + ended > 0


def end_access_of_session(session: Session, sid: str, now: int) -> list[str]:
    """Revoke the grants of an ended login session, except those with `offline_access`.

    Return the client_ids of all clients that took part, sorted (OIDC Core 11).
    """
    revoke(session, now, Grant.sid == sid, ~has_scope(OFFLINE_ACCESS))
    return sorted(session.scalars(clients_of(sid)))


def _of(subject: str, client_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return Grant.subject == subject, Grant.client_id == client_id


def revoke_of_user(
    session: Session, grant_ids: Iterable[str], subject: str, now: int
) -> dict[str, str]:
    """Revoke those of `grant_ids` that belong to `subject`; return each with its client_id."""
    own = Grant.grant_id.in_(list(grant_ids)), Grant.subject == subject
    if not revoke(session, now, *own):
        return {}
    rows = session.execute(select(Grant.grant_id, Grant.client_id).where(*own))
    return {row.grant_id: row.client_id for row in rows}
