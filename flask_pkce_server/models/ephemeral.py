"""Ephemeral: what lives for minutes and is no grant: counts of attempts, and used JWTs.

It is in the host's database, or in Redis if `PKCE_EPHEMERAL_URL` is set. Everything that a user
or an operator decided is only in the database, and so are codes, tokens, clients and keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from sqlalchemy.orm import Session

from ..settings import Settings
from . import guess, spent_jti
from .store import Store

T = TypeVar("T")


class Ephemeral(Protocol):
    """Where attempts are counted and used JWTs are remembered, for all workers.

    `limits` maps names to the attempts that each has per `guess.WINDOW`; it may be empty. Times
    are epoch seconds. If Redis does not answer, all methods but `give_back` raise
    `TemporarilyUnavailable`: nothing passes uncounted.
    """

    def take(self, limits: Mapping[str, int], now: int) -> None:
        """Count one attempt under each name, before the attempt is checked.

        Raises `TooManyGuesses` if a limit is reached; nothing is counted then.
        """

    def check(self, limits: Mapping[str, int], now: int) -> None:
        """Raise `TooManyGuesses` if a limit is reached; count nothing.

        Use it before expensive work. Only the other methods enforce the limits.
        """

    def give_back(self, limits: Mapping[str, int], now: int) -> None:
        """Uncount the attempt that `take` counted: it was right."""

    def write(
        self,
        work: Callable[[Session], T],
        limits: Mapping[str, int],
        now: int,
        *,
        is_free: Callable[[T], bool] = lambda result: False,
    ) -> T:
        """Count one attempt as `take` does, run `work` as `Store.write` does; return its result.

        The attempt is not counted if `work` fails, or if `is_free` returns True for its result.
        """

    def spend(
        self, client_id: str, jti: str, expires_at: int, limits: Mapping[str, int], now: int
    ) -> None:
        """Store until `expires_at` that `client_id` has used `jti`, and count it as `take` does.

        Raises `SpentBefore`, and counts nothing, if it had been used before. Of any number of
        concurrent uses, only one passes.
        """

    def eviction_policy(self) -> str | None:
        """Return the `maxmemory-policy` of Redis; None for a database, which evicts nothing."""


class InDatabase:
    """Attempts and used JWTs in tables of the host's database."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def take(self, limits: Mapping[str, int], now: int) -> None:
        if limits:
            self._store.write(lambda session: guess.take(session, limits, now))

    def check(self, limits: Mapping[str, int], now: int) -> None:
        if limits:
            self._store.read(lambda connection: guess.check(connection, limits, now))

    def give_back(self, limits: Mapping[str, int], now: int) -> None:
        if limits:
            self._store.write(lambda session: guess.give_back(session, limits, now))

    def write(
        self,
        work: Callable[[Session], T],
        limits: Mapping[str, int],
        now: int,
        *,
        is_free: Callable[[T], bool] = lambda result: False,
    ) -> T:
        def counted(session: Session) -> T:
            guess.take(session, limits, now)
            result = work(session)
            if is_free(result):
                guess.give_back(session, limits, now)
            return result

        return self._store.write(counted)

    def spend(
        self, client_id: str, jti: str, expires_at: int, limits: Mapping[str, int], now: int
    ) -> None:
        def use(session: Session) -> None:
            guess.take(session, limits, now)
            spent_jti.spend(session, client_id, jti, expires_at)

        self._store.write(use)

    def eviction_policy(self) -> str | None:
        return None


def ephemeral_of(settings: Settings, store: Store, issuer: Callable[[], str]) -> Ephemeral:
    """Return what the settings choose; raises `ConfigurationError` if Redis cannot be used.

    `issuer` returns the issuer of the server, from which the prefix of its keys is made.
    """
    if settings.ephemeral_url is None:
        return InDatabase(store)
    # The package `redis` is optional.
    from .ephemeral_redis import InRedis, connect

    prefix = settings.ephemeral_prefix
    return InRedis(connect(settings.ephemeral_url), store, lambda: prefix or f"pkce:{issuer()}:")
