"""Rate limit: how many requests for one purpose a sender may make within ten minutes.

`models.ephemeral` counts, so that all workers share the count. If the app has Flask-Limiter, that
counts instead: in the host's storage, with its strategy, by the host's key function. It never
counts guesses of user codes.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import flask

from ..errors import TooManyRequests
from ..models import guess
from ..wire.network import networks_of

if TYPE_CHECKING:
    from flask_limiter import Limiter

    from ..models.client import Client
    from ..protocol.contract import Server

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RateLimit:
    """At most `most` requests for `purpose` within `guess.WINDOW` seconds, for each sender.

    A sender is an IPv4 address or the /56 of an IPv6 address, which is what one customer has.
    Some have a /48, so each of these has a limit too.
    """

    purpose: str
    most: int

    def ask(self, server: Server) -> dict[str, int]:
        """Count this request, or return the limits that `server.ephemeral` has to count.

        Pass them to it with the work. They are empty if Flask-Limiter counted. Raises
        `TooManyRequests`.
        """
        address = flask.request.remote_addr or ""
        counted = [self._hit(server, limiter, address) for limiter in _limiters(server)]
        if counted and all(counted):
            return {}
        networks = networks_of(address)
        return {f"{self.purpose} {name}": self.most * times for name, times in networks.items()}

    def ask_of(self, server: Server, client: Client) -> dict[str, int]:
        """Count this request of `client` as `ask` does, unless an operator knows who that is.

        Anybody can claim to be a public client. Anybody can register or describe one with a
        secret or a key, too, and that proves no more until somebody has verified it.
        """
        return self.ask(server) if client.is_public or client.is_of_stranger else {}

    def take(self, server: Server) -> None:
        """Count this request before work that no transaction can undo.

        Commands are not counted. Raises `TooManyRequests`.
        """
        if not flask.has_request_context():
            return
        server.ephemeral.take(self.ask(server), server.now())

    def _hit(self, server: Server, limiter: Limiter, address: str) -> bool:
        """Return whether `limiter` could count the request; raises `TooManyRequests`."""
        # Imported here because `limits` comes with Flask-Limiter, which is optional.
        from limits import RateLimitItemPerMinute

        # The only public access to the host's key function; Flask-Limiter 3 has a shorter name. The
        # rule does not matter: nothing is decorated.
        decorator = limiter.limit("1/minute")
        attribute = "key_function" if hasattr(decorator, "key_function") else "key_func"
        sender = getattr(decorator, attribute)()
        try:
            for name, times in networks_of(str(sender or address)).items():
                rule = RateLimitItemPerMinute(self.most * times, guess.WINDOW // 60)
                # Other apps may use the same storage.
                names = ("pkce", server.issuer, self.purpose, name)
                if not limiter.limiter.hit(rule, *names):
                    ends_at = limiter.limiter.get_window_stats(rule, *names)[0]
                    raise TooManyRequests(max(1, math.ceil(ends_at - time.time())))
        except _failures(limiter) as error:
            # The text of the error may contain the storage server and its password.
            kind = type(error).__name__
            logger.warning("Flask-Limiter cannot count (%s); this server does", kind)
            return False
        return True


#: The limit on fetches for clients that nobody vouched for: of their documents and their keys.
FETCHES = RateLimit("fetch", 20)


def _limiters(server: Server) -> list[Limiter]:
    """Return the enabled Flask-Limiter instances of the app."""
    limiters = server.app.extensions.get("limiter")
    if not isinstance(limiters, set):
        return []
    return [limiter for limiter in limiters if limiter.enabled]


def is_of_storage(server: Server, raised: Exception) -> bool:
    """Return whether `raised` means that a storage of Flask-Limiter is unreachable.

    Where the host wants its limits to be skipped then (`swallow_errors`), nothing is raised.
    """
    failures = [failure for limiter in _limiters(server) for failure in _failures(limiter)]
    # Anything raises those of Python itself.
    return isinstance(raised, tuple(kind for kind in failures if kind.__module__ != "builtins"))


def _failures(limiter: Limiter) -> tuple[type[Exception], ...]:
    """Return the exceptions that mean that the storage of `limiter` is unreachable."""
    from limits.errors import StorageError

    errors = limiter.storage.base_exceptions
    return (*(errors if isinstance(errors, tuple) else (errors,)), StorageError, OSError)
