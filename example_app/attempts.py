"""Attempts: guesses at passwords, counted for all workers together."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from ipaddress import ip_address, ip_network

from flask import request
from sqlalchemy import BigInteger, String
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Mapped, mapped_column

from .extensions import Base, db

#: Seconds over which attempts are counted together.
WINDOW = 600


class Attempt(Base):
    """The number of attempts under one name, until it expires."""

    __tablename__ = "attempt"

    #: SHA-256 in hexadecimal, because what people type may be longer than a key.
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    tries: Mapped[int]
    #: Epoch seconds.
    expires_at: Mapped[int] = mapped_column(BigInteger, index=True)


def take(limits: Mapping[str, int]) -> bool:
    """Count an attempt under each name in `limits`; say whether none is exceeded.

    Count first and check the password afterwards: otherwise many guesses at the same moment
    all pass as the first. This commits `db.session`.
    """
    return all(_count(_digest(name)) <= limit for name, limit in limits.items())


def give_back(limits: Mapping[str, int]) -> None:
    """Uncount what `take` counted, because the password was right."""
    names = Attempt.digest.in_(map(_digest, limits))
    db.session.execute(
        db.update(Attempt).where(names, Attempt.tries > 0).values(tries=Attempt.tries - 1)
    )
    db.session.commit()


def network() -> str:
    """Return the network that the request comes from.

    That is the address or, for IPv6, its /64: all of these belong to one customer.
    """
    text = request.remote_addr or ""
    try:
        address = ip_address(text)
    except ValueError:
        return text
    return str(ip_network((address, 64), strict=False)) if address.version == 6 else text


def _count(digest: str) -> int:
    """Return the number of attempts, with this one."""
    now = int(time.time())
    for _ in range(5):
        try:
            is_live = Attempt.digest == digest, Attempt.expires_at > now
            again = db.update(Attempt).where(*is_live).values(tries=Attempt.tries + 1)
            if db.session.connection().execute(again).rowcount == 0:
                db.session.execute(db.delete(Attempt).where(Attempt.expires_at <= now))
                db.session.add(Attempt(digest=digest, tries=1, expires_at=now + WINDOW))
            # Before the commit: afterwards, others may have counted too.
            tries = db.session.scalar(db.select(Attempt.tries).filter_by(digest=digest))
            db.session.commit()
        except (IntegrityError, OperationalError):
            # Another worker counted the first attempt at the same moment.
            db.session.rollback()
        else:
            return tries or 1
    raise RuntimeError("The attempt could not be counted.")


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
