"""Published: what an issuer says of itself and its keys, as long as that is good.

For who is neither the app nor in its process (RFC 8414, RFC 7517).
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from .fetch import FetchError
from .peers import ask

logger = logging.getLogger(__name__)

#: Seconds for which what the issuer published is taken for new, and for which it is good
#: while the issuer does not answer.
_FRESH, _STALE = 3600, 24 * 3600
#: Seconds between two times that it is read, whatever the tokens of strangers name.
_PAUSE = 10


class CannotVerify(Exception):
    """The issuer did not answer, so nobody knows whether a token is good.

    Why is in the log, and the token neither here nor there.
    """

    def __init__(self, issuer: str) -> None:
        super().__init__(f"{issuer} did not answer; the log has why.")


class Published:
    """The metadata and the keys of `issuer`; `clock` gives epoch seconds."""

    def __init__(self, issuer: str, clock: Callable[[], float]) -> None:
        self._issuer, self._clock = issuer, clock
        self.metadata: dict[str, Any] = {}
        #: By their `kid`.
        self.keys: dict[str, Any] = {}
        self._read_at = self._tried_at = float("-inf")
        self._reading: asyncio.Future[None] | None = None
        self._lock = threading.Lock()

    async def know(self, kid: str | None = None) -> None:
        """Read what the issuer publishes if it is old, or has not the key `kid`.

        Raises `CannotVerify` if nothing is known that may be gone by.
        """
        age = self._clock() - self._read_at
        if not 0 <= age < _FRESH or (kid is not None and kid not in self.keys):
            await self._read()
        if self._clock() - self._read_at > _STALE:
            raise CannotVerify(self._issuer)

    async def _read(self) -> None:
        """Read what the issuer publishes, unless that was just tried; once for all who wait."""
        if self._was_just_tried() and not self._lock.locked():
            return
        reading, here = self._reading, asyncio.get_running_loop()
        if reading is None or reading.done() or reading.get_loop() is not here:
            # One for each event loop: none can wait for what is of another.
            reading = asyncio.ensure_future(asyncio.to_thread(self._read_once))
            self._reading = reading
        await asyncio.shield(reading)

    def _was_just_tried(self) -> bool:
        return 0 <= self._clock() - self._tried_at < _PAUSE

    def _read_once(self) -> None:
        with self._lock:
            if not self._was_just_tried():
                self._tried_at = self._clock()
                self._read_now()

    def _read_now(self) -> None:
        parts = urlsplit(self._issuer)
        # RFC 8414 3.1: before the path, and without the slash that an issuer may end with.
        place = f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server"
        try:
            metadata = ask(place + parts.path.rstrip("/"))
            if metadata.get("issuer") != self._issuer:
                # RFC 8414 3.3
                logger.warning("the issuer at %s is %.200r", place, metadata.get("issuer"))
                return
            keys = ask(str(metadata["jwks_uri"]))["keys"] if "jwks_uri" in metadata else []
            self.keys = {key["kid"]: key for key in keys if "kid" in key}
        except FetchError:
            return
        except (KeyError, TypeError):
            logger.warning("%s publishes no set of keys", self._issuer)
            return
        self.metadata, self._read_at = metadata, self._clock()
