"""Fetch: how this server gets a document that a stranger named.

It is asked for at public addresses alone, in little time and in few bytes (server-side
request forgery, CWE-918). No redirects are followed: what another server says must not
lead this one anywhere.
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
from .public_address import is_public

logger = logging.getLogger(__name__)

#: Bytes of a document, and of all that comes with it: headers, the frames of its chunks.
_MAX_DOCUMENT = 16 * 1024
_MAX_RESPONSE = 3 * _MAX_DOCUMENT

# A name with a dot, and no address in any spelling: those have no letter after the last dot.
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_URI = re.compile(
    rf"https://(?P<host>(?:{_LABEL}\.)+[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?)"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?(?P<path>[/?][\x21\x24-\x7e]*)?",
    re.IGNORECASE,
)


class FetchError(Exception):
    """A document could not be had.

    Why is in the log: whoever named the URI must not learn what this server can reach.
    """

    def __init__(self) -> None:
        super().__init__("The document could not be fetched.")


class _Refused(Exception):
    """Why a fetch fails, for the log."""


def is_fetchable(uri: str) -> bool:
    """Say whether `uri` may be asked for at all: https, a public-looking name, no user.

    Where the name leads is known when it is asked for.
    """
    return len(uri) <= 2048 and _URI.fullmatch(uri) is not None


def resolve(host: str, port: int) -> Iterable[str]:
    """Return the addresses of `host`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def dial(address: str, port: int, seconds: float) -> socket.socket:
    """Connect to an address."""
    return socket.create_connection((address, port), seconds)


@functools.cache
def tls() -> ssl.SSLContext:
    """Return what is trusted: the authorities of this machine, and the name in the URI."""
    return ssl.create_default_context()


@dataclass(frozen=True)
class Document:
    """A JSON object, as its host gave it."""

    content: dict[str, Any]
    #: Seconds that it may be kept, as its host says (RFC 9111 5.2.2); None if it does not.
    max_age: int | None = None


@dataclass(frozen=True)
class Fetcher:
    """Gets documents that a stranger named.

    `resolve` gives the addresses of a name, `dial` connects to one of them, `tls` says who
    is trusted; a test brings its own. `seconds` is the time for all of it together.
    """

    resolve: Callable[[str, int], Iterable[str]] = resolve
    dial: Callable[[str, int, float], socket.socket] = dial
    tls: Callable[[], ssl.SSLContext] = tls
    seconds: float = 5

    def get_json(self, uri: str) -> dict[str, Any]:
        """Return the JSON object at `uri`.

        Raises `FetchError`, whatever went wrong.
        """
        return self.get_document(uri).content

    def get_document(self, uri: str) -> Document:
        """Return the JSON object at `uri`, and for how long it may be kept.

        Raises `FetchError`, whatever went wrong.
        """
        try:
            return self._get_document(uri)
        # All of them: the parsers and the network have many ways to fail.
        except (_Refused, OSError, ValueError, RecursionError, http.client.HTTPException) as error:
            # The text of an error may be what a stranger answered.
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
        """Connect to the very address that was looked at; a second look-up may differ."""
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
    """A connection that ends at a time and after so many bytes, however slowly they come."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._connection, self._deadline = connection, deadline
        self._left = _MAX_RESPONSE

    def makefile(self, mode: str) -> io.BufferedReader:
        """Be read as `http.client` reads a socket."""
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
    """Return the body of an answer, if it is a document of JSON as it was asked for.

    And the seconds that it may be kept.
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
    """Return the seconds for which an answer is fresh from now on (RFC 9111 4.2)."""
    said = ", ".join(headers.get_all("Cache-Control", [])).lower()
    if re.search(r"(?:^|[\s,])no-(?:store|cache)(?:$|[\s,=])", said):
        return 0
    named = re.search(r"(?:^|[\s,])max-age=\"?([0-9]{1,9})\b", said)
    if named is None:
        return None
    # What caches on the way have used up of it.
    age = re.fullmatch(r"[0-9]{1,9}", headers.get("Age", "").strip())
    return max(0, int(named[1]) - int(age[0] if age else 0))
