"""Exchanged token: who holds a token that an exchange issued, and what ends with it (RFC 8693)."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from ..wire.handle import base64url
from .base import changed_rows
from .client import Client
from .token import Token


def find_holder(session: Session, token: Token) -> Client | None:
    """Return the client that holds a token issued by an exchange.

    Returns None if a client of the chain has been deleted, even if its client_id is registered
    again: the token has one client_id, so deleting the other clients does not delete it.
    """
    client_ids = {token.client_id, *token.actors}
    rows = session.scalars(select(Client).where(Client.client_id.in_(client_ids)))
    clients = {client.client_id: client for client in rows}
    newest = max((clients[name].issued_at for name in token.actors if name in clients), default=0)
    is_intact = len(clients) == len(client_ids) and newest <= token.issued_at
    is_intact &= not any(client.suspended for client in clients.values())
    return clients[token.holder] if is_intact else None


def revoke_exchanged(session: Session, token: Token, now: int) -> int:
    """Revoke a token issued by an exchange, and all tokens made from it; return how many.

    The rest of the grant belongs to the client that the user authorized, and stays. Repeated until
    nothing is found: each round waits for a concurrent exchange, and the next one finds its token.
    """
    digests, key, total = [token.digest], base64url(token.digest), 0
    while digests:
        statement = update(Token).where(Token.digest.in_(digests), Token.revoked_at.is_(None))
        total += changed_rows(session, statement.values(revoked_at=now))
        of_grant = session.execute(
            select(Token.digest, Token.exchange)
            .where(Token.grant_id == token.grant_id, Token.revoked_at.is_(None))
            .with_for_update()
        ).all()
        digests = [made for made, exchange in of_grant if key in (exchange or {}).get("from", ())]
    return total
