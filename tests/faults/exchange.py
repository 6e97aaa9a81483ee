"""One request of the load and what came of it: an answer that is right, or a known fault."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

#: Seconds to wait for an answer.
TIMEOUT = 30


@dataclass(frozen=True)
class Answer:
    """What came back; a status of 0 is a connection that broke."""

    status: int
    headers: Any = field(default_factory=dict)
    text: str = ""

    @property
    def is_final(self) -> bool:
        """Whether the client knows what came of its request."""
        return self.status not in (0, 503)

    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Tally:
    """All answers of a run, by kind; what no client should ever see is listed."""

    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, request: str, answer: Answer, expected: tuple[int, ...]) -> None:
        """Count the answer to a request, which may be of one of the `expected` statuses."""
        kind, fault = _kind_of(request, answer, expected)
        with self.lock:
            self.answers[kind] += 1
            if fault is not None:
                self.wrong.append(f"{request}: {answer.status} {fault} {answer.text[:300]}")

    def report(self, what: str, **counts: object) -> None:
        """Print the counts: docs/reliability.md shows them."""
        kinds = ", ".join(f"{kind} {number}" for kind, number in sorted(self.answers.items()))
        more = ", ".join(f"{name.replace('_', ' ')} {number}" for name, number in counts.items())
        print(f"\n{what}: {self.answers.total()} requests: {kinds}; {more}")


def _kind_of(request: str, answer: Answer, expected: tuple[int, ...]) -> tuple[str, str | None]:
    """Return the kind of an answer, and what is wrong with it."""
    if answer.status == 0:
        return "broken", None
    if answer.status in expected:
        return "right", None
    if answer.status != 503:
        return "wrong", "is not expected"
    if answer.headers.get("Retry-After") != "1":
        return "wrong", "has no Retry-After"
    page = request.startswith("page")
    mimetype = answer.headers.get("Content-Type", "").partition(";")[0]
    if mimetype != ("text/html" if page else "application/json"):
        return "wrong", f"is {mimetype}"
    if not page and answer.json()["error"] != "temporarily_unavailable":
        return "wrong", "has another error"
    if page and "<h1" not in answer.text:
        return "wrong", "is no page of ours"
    return "503", None


def send(
    port: int,
    method: str,
    path: str,
    form: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """Send a request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    sent = {"Connection": "close", **(headers or {})}
    if form is not None:
        sent["Content-Type"] = "application/x-www-form-urlencoded"
    try:
        connection.request(method, path, urlencode(form) if form is not None else None, sent)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read().decode())
    except (OSError, http.client.HTTPException):
        return Answer(0)
    finally:
        connection.close()
