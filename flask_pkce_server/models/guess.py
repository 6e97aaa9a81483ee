"""Guess: a count of attempts, such as guesses at a short code, that all workers share.

These are the counts in the database; `ephemeral` says where they are.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import and_, or_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from ..errors import TooManyRequests
from ..wire.handle import digest
from .base import Base, Digest, EpochSeconds, Executor, changed_rows
from .pruning import Expired

#: Seconds over which guesses are counted together.
WINDOW = 600


class TooManyGuesses(TooManyRequests):
    """A limit of guesses is reached; the next is allowed in `wait` seconds."""


class Guess(Base):
    """The number of guesses under one name within one window of time."""

    __tablename__ = "pkce_guess"

    digest: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    tries: Mapped[int]
    expires_at: Mapped[int] = mapped_column(EpochSeconds, index=True)


def take(session: Session, limits: Mapping[str, int], now: int) -> None:
    """Count one guess under each name in `limits`, before the guess is checked.

    `limits` maps each name to the guesses that it has per `WINDOW`. Counting first keeps
    concurrent guesses from all passing as the first. Raises `TooManyGuesses` if a limit is
    reached; roll back then, so that the other names are not charged.
    """
    if not limits:
        return
    keys = keys_of(limits, now)
    below_limit = [and_(Guess.digest == key, Guess.tries < limit) for key, limit in keys.items()]
    increment = update(Guess).where(or_(*below_limit)).values(tries=Guess.tries + 1)
    counted = changed_rows(session, increment)
    if counted == len(keys):
        return
    stored = session.scalars(select(Guess.digest).where(Guess.digest.in_(keys))).all()
    if stored and not counted:
        # The limits may not be reached: a concurrent guess may have inserted the rows since.
        counted = changed_rows(session, increment)
    if counted < len(stored):
        check(session, limits, now)
        # No limit is reached: a concurrent guess inserted a row after the update. Inserting
        # it here too raises IntegrityError, and `Store.write` runs the unit of work again.
        stored = []
    end = window_end(now)
    session.add_all(Guess(digest=key, tries=1, expires_at=end) for key in keys if key not in stored)
    session.flush()


def check(session: Executor, limits: Mapping[str, int], now: int) -> None:
    """Raise `TooManyGuesses` if a limit in `limits` is reached; count nothing.

    Use it before expensive work. Only `take` enforces the limits.
    """
    keys = keys_of(limits, now)
    reached = [and_(Guess.digest == key, Guess.tries >= limit) for key, limit in keys.items()]
    if reached and session.scalars(select(Guess.digest).where(or_(*reached))).first() is not None:
        raise TooManyGuesses(window_end(now) - now)


def give_back(session: Session, limits: Mapping[str, int], now: int) -> None:
    """Uncount the guess that `take` counted under each name in `limits`: it was right."""
    if not limits:
        return
    is_named = Guess.digest.in_(keys_of(limits, now))
    changed_rows(session, update(Guess).where(is_named).values(tries=Guess.tries - 1))


def expired(now: int) -> Expired:
    """Return the counts of past windows, for pruning."""
    return Expired(Guess.expires_at, now)


def window_end(now: int) -> int:
    """Return when the window of `now` ends; in epoch seconds."""
    return (now // WINDOW + 1) * WINDOW


def keys_of(limits: Mapping[str, int], now: int) -> dict[bytes, int]:
    """Return the limits by the digests under which they are counted in the window of `now`."""
    return {digest(f"{now // WINDOW}\n{name}"): limit for name, limit in limits.items()}
