"""Ephemeral in Redis: counts of attempts, and used JWTs, as keys that expire by themselves.

An attempt is counted before its unit of work starts, and uncounted if that fails. If the process
dies in between, it stays counted: no more attempts pass than the limit allows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from ..errors import ConfigurationError, TemporarilyUnavailable
from . import guess, spent_jti
from .failure import Failure, failure_of
from .guess import TooManyGuesses
from .spent_jti import SpentBefore
from .store import Store

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError:
    raise ConfigurationError(
        "PKCE_EPHEMERAL_URL is set, and the package redis is not installed.",
        write="pip install 'Flask-PKCE-Server[redis]'",
    ) from None

T = TypeVar("T")

logger = logging.getLogger(__name__)

#: Seconds to wait for a connection and for an answer, and the connections of a process.
TIMEOUT, MAX_CONNECTIONS = 0.5, 50
#: Seconds that keys are kept beyond their time: the clocks of other machines may be slow.
_SLOW_CLOCK = 60

# All names or none. The window is part of the key, so that renewing the expiry prolongs nothing.
_TAKE = """
for i, key in ipairs(KEYS) do
    if tonumber(redis.call('GET', key) or 0) >= tonumber(ARGV[i + 1]) then return 0 end
end
for _, key in ipairs(KEYS) do
    redis.call('INCR', key)
    redis.call('EXPIRE', key, ARGV[1])
end
return 1
"""
# Never below zero: a count that Redis has lost must not become room for one more.
_GIVE_BACK = """
for _, key in ipairs(KEYS) do
    if tonumber(redis.call('GET', key) or 0) > 0 then redis.call('DECR', key) end
end
"""


def connect(url: str) -> redis.Redis:
    """Return a client for the Redis at `url`, which connects when it is first used.

    Raises `ConfigurationError` for a URL that names no Redis.
    """
    try:
        pool = redis.BlockingConnectionPool.from_url(
            url,
            max_connections=MAX_CONNECTIONS,
            timeout=TIMEOUT,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            # What is sent twice could count twice, or take a first use for a second one.
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError:
        # The URL may contain a password.
        raise ConfigurationError(
            "PKCE_EPHEMERAL_URL is not the URL of a Redis.",
            write='app.config["PKCE_EPHEMERAL_URL"] = "redis://127.0.0.1:6379/1"',
        ) from None
    return redis.Redis(connection_pool=pool)


class InRedis:
    """Attempts and used JWTs in Redis. `prefix` returns what all keys start with."""

    def __init__(self, client: redis.Redis, store: Store, prefix: Callable[[], str]) -> None:
        self._client, self._store, self._prefix = client, store, prefix
        self._take, self._give_back = map(client.register_script, (_TAKE, _GIVE_BACK))

    def take(self, limits: Mapping[str, int], now: int) -> None:
        if not limits:
            return
        keys = self._counters(limits, now)
        # Twice the window, also for machines whose clocks are slow.
        arguments = [2 * guess.WINDOW, *keys.values()]
        if not self._ask(lambda: self._take(list(keys), arguments)):
            raise TooManyGuesses(guess.window_end(now) - now)

    def check(self, limits: Mapping[str, int], now: int) -> None:
        if not limits:
            return
        keys = self._counters(limits, now)
        counts = self._ask(lambda: self._client.mget(list(keys)))
        counted = zip(counts, keys.values(), strict=True)
        if any(int(count or 0) >= limit for count, limit in counted):
            raise TooManyGuesses(guess.window_end(now) - now)

    def give_back(self, limits: Mapping[str, int], now: int) -> None:
        if not limits:
            return
        keys = list(self._counters(limits, now))
        try:
            self._ask(lambda: self._give_back(keys))
        except TemporarilyUnavailable:
            # What was right, or done, is still so: it costs an attempt.
            logger.warning("an attempt stays counted")

    def write(
        self,
        work: Callable[[Session], T],
        limits: Mapping[str, int],
        now: int,
        *,
        is_free: Callable[[T], bool] = lambda result: False,
    ) -> T:
        self.take(limits, now)
        try:
            result = self._store.write(work)
        except Exception as error:
            # After a lost connection, nobody knows whether it was committed.
            if failure_of(error) is not Failure.LOST:
                self.give_back(limits, now)
            raise
        if is_free(result):
            self.give_back(limits, now)
        return result

    def spend(
        self, client_id: str, jti: str, expires_at: int, limits: Mapping[str, int], now: int
    ) -> None:
        self.take(limits, now)
        key = self._key("jti", spent_jti.key_of(client_id, jti))
        seconds = expires_at - now + _SLOW_CLOCK
        if not self._ask(lambda: self._client.set(key, 1, nx=True, ex=seconds)):
            self.give_back(limits, now)
            raise SpentBefore

    def eviction_policy(self) -> str | None:
        # INFO is allowed where CONFIG is not, as at many providers.
        memory = self._ask(lambda: self._client.info("memory"))
        return str(memory["maxmemory_policy"])

    def _ask(self, command: Callable[[], Any]) -> Any:
        """Return the answer to `command`; raises `TemporarilyUnavailable` if there is none."""
        try:
            return command()
        except redis.RedisError as error:
            # Only the kind: the text may name the server and its user.
            logger.warning("Redis is not available: %s", type(error).__name__)
            raise TemporarilyUnavailable() from None

    def _counters(self, limits: Mapping[str, int], now: int) -> dict[str, int]:
        return {self._key("count", key): most for key, most in guess.keys_of(limits, now).items()}

    def _key(self, kind: str, digest: bytes) -> str:
        return f"{self._prefix()}{kind}:{digest.hex()}"
