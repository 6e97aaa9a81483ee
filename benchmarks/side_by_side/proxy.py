"""A proxy before a database that counts what is sent to it: round trips and statements.

It reads the frontend's messages of the protocol 3.0. Each Sync and each simple Query is a round
trip. Each Query and each Execute is a statement, unless it only begins or ends a transaction.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Protocol

#: Statements that carry no data. An empty one is a ping.
CONTROL = (
    "BEGIN",
    "START",
    "COMMIT",
    "END",
    "ROLLBACK",
    "SAVEPOINT",
    "RELEASE",
    "SET",
    "DEALLOCATE",
    ";",
)
#: Requests for encryption, which have no password or other message after them (55.2.10).
_ENCRYPTION = (80877103, 80877104)


class Counts:
    """What all connections together have sent so far."""

    def __init__(self) -> None:
        self.round_trips = 0
        self.statements = 0

    def statement(self, text: str) -> None:
        """Count a statement, unless its text says that it carries no data."""
        words = text.lstrip().upper()
        if words and not words.startswith(CONTROL):
            self.statements += 1


class Reader(Protocol):
    """Reads what one connection sends."""

    def feed(self, piece: bytes) -> None:
        """Count the messages that are complete with this piece."""


class Frontend:
    """What one client sends, read piece by piece."""

    def __init__(self, counts: Counts) -> None:
        self.counts = counts
        self.received = bytearray()
        self.started = False
        self.prepared: dict[bytes, str] = {}
        self.bound = ""

    def feed(self, piece: bytes) -> None:
        """Count the messages that are complete with this piece."""
        self.received += piece
        while True:
            # The first message has no type.
            head = 1 if self.started else 0
            if len(self.received) < head + 4:
                return
            end = head + int.from_bytes(self.received[head : head + 4], "big")
            if len(self.received) < end:
                return
            message = bytes(self.received[:end])
            del self.received[:end]
            if self.started:
                self._count(message[:1], message[5:])
            else:
                self.started = int.from_bytes(message[4:8], "big") not in _ENCRYPTION

    def _count(self, kind: bytes, body: bytes) -> None:
        if kind == b"Q":
            self.counts.round_trips += 1
            self.counts.statement(body[:-1].decode(errors="replace"))
        elif kind == b"P":
            name, text, _ = body.split(b"\0", 2)
            self.prepared[name] = text.decode(errors="replace")
        elif kind == b"B":
            self.bound = self.prepared.get(body.split(b"\0", 2)[1], "")
        elif kind == b"E":
            self.counts.statement(self.bound)
        elif kind == b"S":
            self.counts.round_trips += 1


@contextmanager
def counting(
    host: str, port: int, reader: Callable[[Counts], Reader] = Frontend
) -> Iterator[tuple[int, Counts]]:
    """Run a proxy to a database; give its port and what `reader` counts."""
    counts = Counts()

    class Connection(BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((host, port)) as server:
                back = threading.Thread(target=_copy, args=(server, self.request, None))
                back.start()
                _copy(self.request, server, reader(counts))
                back.join()

    with ThreadingTCPServer(("127.0.0.1", 0), Connection) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield proxy.server_address[1], counts
        finally:
            proxy.shutdown()
            thread.join()


def _copy(source: socket.socket, goal: socket.socket, reader: Reader | None) -> None:
    """Pass on what comes until one side closes; then close the other."""
    try:
        while piece := source.recv(65536):
            if reader is not None:
                reader.feed(piece)
            goal.sendall(piece)
        goal.shutdown(socket.SHUT_WR)
    except OSError:
        # The other side is gone.
        source.close()
