"""The load: requests sent over sockets, at little cost to the machine that is measured.

Each request has a connection of its own, because gunicorn's sync workers keep none open.
"""

from __future__ import annotations

import json
import socket
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock, Thread
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
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def send(port: int, request: bytes) -> Answer:
    """Send one request to a port of this machine."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(request)
        received = bytearray()
        while piece := connection.recv(65536):
            received += piece
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    text = head.decode("latin-1")
    return Answer(int(text[9:12]), text, body)


def drive(port: int, requests: Sequence[bytes], seconds: float = 60) -> list[Answer]:
    """Send requests from several threads, and stop after that many seconds.

    Return the answers in the order of the requests: fewer than those if the time was up.
    """
    answers: dict[int, Answer] = {}
    numbers, lock, until = iter(range(len(requests))), Lock(), time.monotonic() + seconds

    def work() -> None:
        while time.monotonic() < until:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            answers[number] = send(port, requests[number])

    threads = [Thread(target=work) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [answers[number] for number in sorted(answers)]
