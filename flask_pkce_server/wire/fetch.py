"""Fetch: requests for documents at URIs that strangers named.

Only public addresses are contacted, and time and size are limited (server-side request
forgery, CWE-918). Redirects are not followed: another server must not decide where this one
connects to.
"""

from __future__ import annotations

import functools
import http.client
import io
import json
import logging
import re
import socket
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.message import Message
from typing import Any, cast

from .deadline import Deadline
from .fetch_limit import STRANGERS
from .public_address import is_public

logger = logging.getLogger(__name__)

#: Bytes of a document, and of the whole response, with its headers and chunk frames.
_MAX_DOCUMENT = 16 * 1024
_MAX_RESPONSE = 3 * _MAX_DOCUMENT

# A host name with a dot. Addresses, in any spelling, have no letter after the last dot.
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_URI = re.compile(
    rf"https://(?P<host>(?:{_LABEL}\.)+[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?)"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?(?P<path>[/?][\x21\x24-\x7e]*)?",
    re.IGNORECASE,
)


class FetchError(Exception):
    """A document could not be fetched.

    Only the log has the reason: whoever named the URI must not learn what this server can
    reach.
    """

    def __init__(self) -> None:
        super().__init__("The document could not be fetched.")


class _Refused(Exception):
    """A fetch was refused; the message goes to the log."""


def is_fetchable(uri: str) -> bool:
    """Return whether `uri` may be fetched: https, a public-looking host name, no user.

    The port is 443, or 1024 and above. The addresses of the host are checked when it is fetched.
    """
    return len(uri) <= 2048 and (parts := _URI.fullmatch(uri)) is not None and _has_fit_port(parts)


def _has_fit_port(parts: re.Match[str]) -> bool:
    """Return whether the port is one of the web, and not one of mail, SSH or the like."""
    port = int(parts["port"] or 443)
    return port == 443 or 1024 <= port <= 65535


def resolve(host: str, port: int) -> Iterable[str]:
    """Return the IP addresses of `host`."""
    results = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in results]


def dial(address: str, port: int, seconds: float) -> socket.socket:
    """Connect to an IP address; `seconds` is the timeout."""
    return socket.create_connection((address, port), seconds)


@functools.cache
def tls() -> ssl.SSLContext:
    """Return a TLS context that trusts the system's authorities and checks the host name."""
    return ssl.create_default_context()


@dataclass(frozen=True)
class Document:
    """A fetched JSON object."""

    content: dict[str, Any]
    #: Seconds for which its host allows caching (RFC 9111 5.2.2); None if it does not say.
    max_age: int | None = None


@dataclass(frozen=True)
class Fetcher:
    """Fetches documents at URIs that strangers named.

    `resolve` returns the addresses of a host, `dial` connects to one of them, and `tls`
    returns the TLS context; tests replace them. `seconds` is the limit for the whole fetch.
    """

    resolve: Callable[[str, int], Iterable[str]] = resolve
    dial: Callable[[str, int, float], socket.socket] = dial
    tls: Callable[[], ssl.SSLContext] = tls
    seconds: float = 5

    def get_json(self, uri: str) -> dict[str, Any]:
        """Return the JSON object at `uri`; raises as `get_document` does."""
        return self.get_document(uri).content

    def get_document(self, uri: str) -> Document:
        """Return the JSON object at `uri`, and for how long it may be cached.

        Raises `FetchError` for any failure, `TemporarilyUnavailable` if too many fetches of
        this process are under way.
        """
        try:
            with STRANGERS.turn(STRANGERS.seconds):
                return self._get_document(uri)
        # All of these: parsing and networking can fail in many ways.
        except (_Refused, OSError, ValueError, RecursionError, http.client.HTTPException) as error:
            # The text of an error may come from the other server: limit it.
            logger.info("fetch of %.200r failed: %.200r", uri, error)
        raise FetchError

    def _get_document(self, uri: str) -> Document:
        parts = _URI.fullmatch(uri) if is_fetchable(uri) else None
        if parts is None:
            raise _Refused("not an https URI with the name of a public host")
        host, port = parts["host"].lower(), int(parts["port"] or 443)
        path = parts["path"] or "/"
        deadline = Deadline(self.seconds)
        with self._connect(host, port, deadline) as connection:
            authority = host if port == 443 else f"{host}:{port}"
            connection.settimeout(deadline.left())
            connection.sendall(
                f"GET {path if path.startswith('/') else '/' + path} HTTP/1.1\r\n"
                f"Host: {authority}\r\n"
                "Accept: application/json\r\n"
                "Accept-Encoding: identity\r\n"
                "User-Agent: Flask-PKCE-Server\r\n"
                "Connection: close\r\n\r\n".encode()
            )
            body, max_age = _read(connection, deadline)
        content = json.loads(body)
        if not isinstance(content, dict):
            raise _Refused("not a JSON object")
        return Document(content, max_age)

    def _connect(self, host: str, port: int, deadline: Deadline) -> ssl.SSLSocket:
        """Connect to an address that was checked; a second lookup might return another one."""
        addresses = deadline.run(lambda: list(self.resolve(host, port)))
        if not addresses or not all(map(is_public, addresses)):
            raise _Refused("the name has no address, or one that is not public")
        plain = self.dial(addresses[0], port, deadline.left())
        try:
            plain.settimeout(deadline.left())
            return self.tls().wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise


class _Stream(io.RawIOBase):
    """A connection to read from, limited in total time and bytes."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._connection, self._deadline = connection, deadline
        self._left = _MAX_RESPONSE

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return the file that `http.client` reads from."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(self._deadline.left())
        read = self._connection.recv_into(buffer)
        self._left -= read
        if self._left < 0:
            raise _Refused("too large")
        return read


def _read(connection: socket.socket, deadline: Deadline) -> tuple[bytes, int | None]:
    """Return the body of the answer and the seconds for which it may be cached, or None.

    Raises `_Refused` if the answer is not an uncompressed JSON document.
    """
    stream = cast(socket.socket, _Stream(connection, deadline))
    with http.client.HTTPResponse(stream, method="GET") as answer:
        answer.begin()
        if answer.status != 200:
            raise _Refused(f"status {answer.status}")
        if answer.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            raise _Refused("compressed")
        kind = answer.headers.get_content_type()
        if kind != "application/json" and not re.fullmatch(r"application/[\w.-]+\+json", kind):
            raise _Refused("not JSON by its type")
        max_age = _max_age(answer.headers)
        body = answer.read(_MAX_DOCUMENT + 1)
    if len(body) > _MAX_DOCUMENT:
        raise _Refused("too large")
    return body, max_age


def _max_age(headers: Message) -> int | None:
    """Return the seconds for which an answer stays fresh (RFC 9111 4.2), None if unknown."""
    directives = ", ".join(headers.get_all("Cache-Control", [])).lower()
    if re.search(r"(?:^|[\s,])no-(?:store|cache)(?:$|[\s,=])", directives):
        return 0
    max_age = re.search(r"(?:^|[\s,])max-age=\"?([0-9]{1,9})\b", directives)
    if max_age is None:
        return None
    # Subtract the time that the answer spent in caches.
    age = re.fullmatch(r"[0-9]{1,9}", headers.get("Age", "").strip())
    return max(0, int(max_age[1]) - int(age[0] if age else 0))
