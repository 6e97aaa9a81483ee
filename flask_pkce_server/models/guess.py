"""Guess: how often something short may be guessed at, counted where all workers see it."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import and_, or_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from ..errors import TooManyRequests
from ..wire.handle import digest
from .base import Base, Digest, EpochSeconds, changed_rows, delete_some

#: Seconds that guesses are counted together.
WINDOW = 600


class TooManyGuesses(TooManyRequests):
    """Somebody has no guess left; they may try again in `wait` seconds."""


class Guess(Base):
    """The guesses of one guesser within one window of time."""

    __tablename__ = "pkce_guess"

    digest: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    tries: Mapped[int]
    expires_at: Mapped[int] = mapped_column(EpochSeconds, index=True)


def take(session: Session, most: Mapping[str, int], now: int) -> None:
    """Take a guess of each of the guessers, who have so many; before it is looked at.

    So that guesses at the same moment do not all count as the first. Raises
    `TooManyGuesses` if one of them has none left: to be rolled back, so that the others
    keep theirs.
    """
    if not most:
        return
    keys = _keys(most, now)
    left = [and_(Guess.digest == key, Guess.tries < limit) for key, limit in keys.items()]
    one_more = update(Guess).where(or_(*left)).values(tries=Guess.tries + 1)
    taken = changed_rows(session, one_more)
    if taken == len(keys):
        return
    known = session.scalars(select(Guess.digest).where(Guess.digest.in_(keys))).all()
    if known and not taken:
        # Not spent, perhaps, but made since: by somebody who guesses at the same moment.
        taken = changed_rows(session, one_more)
    if taken < len(known):
        check(session, most, now)
        # None is spent: one was made after the update had looked. Made here too, it is a row
        # that another was faster with, and all of it is run again.
        known = []
    end = _end(now)
    session.add_all(Guess(digest=key, tries=1, expires_at=end) for key in keys if key not in known)
    session.flush()


def check(session: Session, most: Mapping[str, int], now: int) -> None:
    """Raise `TooManyGuesses` if one of the guessers has none left now; take nothing.

    Before work that is dear. What counts is `take`.
    """
    spent = [and_(Guess.digest == key, Guess.tries >= n) for key, n in _keys(most, now).items()]
    if spent and session.scalars(select(Guess.digest).where(or_(*spent))).first() is not None:
        raise TooManyGuesses(_end(now) - now)


def give_back(session: Session, most: Mapping[str, int], now: int) -> None:
    """Give back what was taken: the guess was right."""
    if not most:
        return
    mine = Guess.digest.in_(_keys(most, now))
    changed_rows(session, update(Guess).where(mine).values(tries=Guess.tries - 1))


def prune(session: Session, now: int, limit: int) -> int:
    """Delete up to `limit` counts of windows that are over; return how many."""
    return delete_some(session, Guess, Guess.expires_at <= now, limit)


def _end(now: int) -> int:
    return (now // WINDOW + 1) * WINDOW


def _keys(most: Mapping[str, int], now: int) -> dict[bytes, int]:
    return {digest(f"{now // WINDOW}\n{who}"): limit for who, limit in most.items()}
