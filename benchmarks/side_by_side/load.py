"""The load: requests sent over sockets, at little cost to the machine that is measured.

A connection is used again if the server keeps it open, as a proxy would do. Node's does;
gunicorn's sync workers close it after each answer.
"""

from __future__ import annotations

import json
import socket
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

#: How many requests are under way at the same time: one for each worker.
CONNECTIONS = 2


@dataclass(frozen=True)
class Answer:
    """What came back for a request."""

    status: int
    head: str
    body: bytes

    def json(self) -> Any:
        """Return the body, which is JSON."""
        return json.loads(self.body)

    def header(self, name: str) -> str:
        """Return the first header of that name; empty if there is none."""
        return next(iter(self.headers(name)), "")

    def headers(self, name: str) -> list[str]:
        """Return every header of that name."""
        lines = (line.partition(":") for line in self.head.split("\r\n"))
        return [value.strip() for key, _, value in lines if key.lower() == name.lower()]

    def sent_back(self) -> dict[str, str]:
        """Return the parameters with which the browser is redirected."""
        return dict(parse_qsl(urlsplit(self.header("Location")).query))


def get(path: str, **headers: str) -> bytes:
    """Return a GET request."""
    return _request("GET", path, headers, b"")


def post(path: str, form: Mapping[str, str], **headers: str) -> bytes:
    """Return a POST request with a form."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    return _request("POST", path, headers, urlencode(form).encode())


def basic(name: str, password: str) -> str:
    """Return the value of an Authorization header with a name and a password."""
    return "Basic " + b64encode(f"{name}:{password}".encode()).decode()


def _request(method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


class Connection:
    """A connection to a port of this machine, made anew whenever the server closed it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._socket: socket.socket | None = None

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def send(self, request: bytes) -> Answer:
        """Send a request and wait for the answer."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        self._socket.sendall(request)
        received = bytearray()
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._more()
        head = received[:end].decode("latin-1")
        answer = Answer(int(head[9:12]), head, b"")
        length = answer.header("Content-Length")
        assert length, f"an answer without Content-Length:\n{head}"
        while len(received) < end + 4 + int(length):
            received += self._more()
        if answer.header("Connection").lower() == "close":
            self.close()
        return replace(answer, body=bytes(received[end + 4 :]))

    def _more(self) -> bytes:
        assert self._socket is not None
        piece = self._socket.recv(65536)
        if not piece:
            raise ConnectionError("the server closed the connection before its answer was complete")
        return piece


def send(port: int, request: bytes) -> Answer:
    """Send one request over a connection of its own."""
    with Connection(port) as connection:
        return connection.send(request)


def drive(port: int, requests: Sequence[bytes], seconds: float = 60) -> list[Answer]:
    """Send requests from several threads, and stop after that many seconds.

    Return the answers in the order of the requests: fewer than those if the time was up.
    """
    answers: dict[int, Answer] = {}
    numbers, lock, until = iter(range(len(requests))), Lock(), time.monotonic() + seconds

    def work() -> None:
        with Connection(port) as connection:
            while time.monotonic() < until:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                answers[number] = connection.send(requests[number])

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        for done in [threads.submit(work) for _ in range(CONNECTIONS)]:
            done.result()
    return [answers[number] for number in sorted(answers)]
