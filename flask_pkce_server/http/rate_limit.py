"""Rate limit: so many of something in ten minutes, for each who asks for it.

The database counts, where all workers see it. In an app with Flask-Limiter that one does:
in the storage and by the strategy that the host chose, and for whom its key function names.
Guesses at user codes are none of this: `models.guess` counts them, whatever the host has.
"""

from __future__ import annotations

import ipaddress
import logging
import math
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import flask

from ..errors import TooManyRequests
from ..models import guess

if TYPE_CHECKING:
    from flask_limiter import Limiter

    from ..protocol.contract import Server

logger = logging.getLogger(__name__)

#: Some proxies tell the port too, which is another one for each connection.
_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]+)?|([0-9]+(?:\.[0-9]+){3}):[0-9]+")


@dataclass(frozen=True)
class RateLimit:
    """At most so many of one purpose within `guess.WINDOW`, for each who asks."""

    purpose: str
    most: int

    def ask(self, server: Server) -> dict[str, int]:
        """Have this request counted; return what is left for the database to count.

        That is for `guess.take`, in the transaction of what the request does, and empty if
        Flask-Limiter counted. Raises `TooManyRequests`.
        """
        address = flask.request.remote_addr or ""
        counted = [self._hit(server, one, address) for one in _limiters(server)]
        if counted and all(counted):
            return {}
        return {f"{self.purpose} {network(address)}": self.most}

    def take(self, server: Server) -> None:
        """Have this request counted, before it does what no transaction can undo.

        What an operator does at the command line is not. Raises `TooManyRequests`.
        """
        if not flask.has_request_context():
            return
        left, now = self.ask(server), server.now()
        if left:
            server.store.write(lambda session: guess.take(session, left, now))

    def _hit(self, server: Server, limiter: Limiter, address: str) -> bool:
        """Say whether `limiter` counted the request; raises `TooManyRequests`."""
        # With Flask-Limiter, as the rules that it counts by.
        from limits import RateLimitItemPerMinute

        rule = RateLimitItemPerMinute(self.most, guess.WINDOW // 60)
        # The one public way to the key function of the host; Flask-Limiter 3 has a shorter name.
        own = limiter.limit(str(rule))
        name = "key_function" if hasattr(own, "key_function") else "key_func"
        who = getattr(own, name)()
        # Other apps may have the same storage.
        names = ("pkce", server.issuer, self.purpose, network(str(who or address)))
        try:
            if limiter.limiter.hit(rule, *names):
                return True
            ends_at = limiter.limiter.get_window_stats(rule, *names)[0]
        except _failures(limiter) as error:
            # Its text may name the server, and the password for it.
            name = type(error).__name__
            logger.warning("Flask-Limiter cannot count (%s); the database does", name)
            return False
        raise TooManyRequests(max(1, math.ceil(ends_at - time.time())))


def network(address: str) -> str:
    """Return what one customer is given: an address, of IPv6 the 64 bits before it.

    What is no address stays as it is.
    """
    with_port = _WITH_PORT.fullmatch(address)
    if with_port is not None:
        address = with_port[1] or with_port[2]
    try:
        wide = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(wide.ipv4_mapped or ipaddress.IPv6Network((int(wide), 64), strict=False))


def _limiters(server: Server) -> list[Limiter]:
    """Return those that count for the app now; one that is switched off does not."""
    known = server.app.extensions.get("limiter")
    return [one for one in known if one.enabled] if isinstance(known, set) else []


def _failures(limiter: Limiter) -> tuple[type[Exception], ...]:
    """Return what the storage of `limiter` raises if it cannot be reached."""
    from limits.errors import StorageError

    own = limiter.storage.base_exceptions
    return (*(own if isinstance(own, tuple) else (own,)), StorageError, OSError)
