"""Published: the metadata and keys of an issuer, cached (RFC 8414, RFC 7517).

For resource servers that run outside the process of the authorization server.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ..errors import TemporarilyUnavailable
from .fetch import FetchError
from .fetch_limit import FetchLimit
from .peers import ask
from .remembered import Fetched, Remembered

logger = logging.getLogger(__name__)

#: Seconds for which a publication is fresh, and for which it stays usable if the issuer does
#: not answer.
_FRESH_SECONDS, _USABLE_SECONDS = 3600, 24 * 3600
#: Seconds between two reads: tokens of strangers must not cause more of them.
_PAUSE_SECONDS = 10
#: Event loops of a process that may wait while another event loop reads, and for how long.
_MAX_WAITING_LOOPS, _MAX_WAIT_SECONDS = 100, 10


class CannotVerify(Exception):
    """The issuer did not answer, so a token cannot be verified.

    The reason is in the log. The token is neither in the log nor in this error.
    """

    def __init__(self, issuer: str) -> None:
        super().__init__(f"{issuer} did not answer; the log has why.")


@dataclass(frozen=True)
class Publication:
    """The metadata of an issuer, and its keys by `kid`."""

    metadata: dict[str, Any]
    keys: dict[str, Any]


class Published:
    """A cache of what `issuer` publishes; `clock` returns epoch seconds."""

    def __init__(self, issuer: str, clock: Callable[[], float]) -> None:
        self._issuer, self._clock = issuer, clock
        self._publications: Remembered[Publication] = Remembered(
            stale=_USABLE_SECONDS - _FRESH_SECONDS,
            pause=_PAUSE_SECONDS,
            # The operator named this host, so it must not wait for hosts that strangers named,
            # and is asked again soon even if it was slow.
            max_pause=_PAUSE_SECONDS,
            limit=FetchLimit(1, _MAX_WAITING_LOOPS, _MAX_WAIT_SECONDS),
        )
        self._reading: asyncio.Future[Publication | None] | None = None

    async def find(self, kid: str | None = None) -> Publication:
        """Return what the issuer publishes; read it again if it is old or lacks the key `kid`.

        Raises `CannotVerify` if no usable publication is available.
        """
        publication = self._publications.find_fresh(self._issuer, self._clock())
        if publication is None or (kid is not None and kid not in publication.keys):
            publication = await self._read()
        if publication is None:
            raise CannotVerify(self._issuer)
        return publication

    async def _read(self) -> Publication | None:
        """Read what the issuer publishes, once for all waiting callers, unless just tried."""
        reading, loop = self._reading, asyncio.get_running_loop()
        if reading is None or reading.done() or reading.get_loop() is not loop:
            # One task per event loop: a loop cannot await the future of another one.
            reading = asyncio.ensure_future(asyncio.to_thread(self._read_once))
            self._reading = reading
        return await asyncio.shield(reading)

    def _read_once(self) -> Publication | None:
        now = self._clock()
        try:
            return self._publications.find(
                self._issuer, now, lambda: self._read_now(now), again=True
            )
        except TemporarilyUnavailable:
            return None

    def _read_now(self, now: float) -> Fetched[Publication] | None:
        parts = urlsplit(self._issuer)
        # RFC 8414 3.1: the well-known part goes before the path; a final slash is removed.
        location = f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server"
        try:
            metadata = ask(location + parts.path.rstrip("/"))
            if metadata.get("issuer") != self._issuer:
                # RFC 8414 3.3: the metadata must name the issuer that was asked.
                logger.warning("the issuer at %s is %.200r", location, metadata.get("issuer"))
                return None
            keys = ask(str(metadata["jwks_uri"]))["keys"] if "jwks_uri" in metadata else []
            keys_by_kid = {key["kid"]: key for key in keys if "kid" in key}
        except FetchError:
            return None
        except (KeyError, TypeError):
            logger.warning("%s publishes no set of keys", self._issuer)
            return None
        return Fetched(Publication(metadata, keys_by_kid), now + _FRESH_SECONDS)
