"""Round trips to the database per request, BEGIN and COMMIT included, the host's user apart.

Counted on the wire, by a proxy before the server: what a driver sends by itself counts too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import make_url

from benchmarks.side_by_side.proxy import Counts, Frontend, counting
from flask_pkce_server.testing import Flow, register

from .host import make_app, sign_in
from .services import own_database

pytestmark = pytest.mark.services

SCOPE = "openid profile notes:read offline_access"
OF_HOST = ("FROM user", 'FROM "user"')


class PostgreSQL(Frontend):
    """What one connection to PostgreSQL sends; `trips` lists the statements, "" for others."""

    def __init__(self, counts: Connections) -> None:
        super().__init__(Counts())
        self.trips = counts.add()

    def _count(self, kind: bytes, body: bytes) -> None:
        super()._count(kind, body)
        if kind == b"Q":
            self.trips.append(body[:-1].decode())
        elif kind == b"S":
            self.trips.append(self.bound)


class MariaDB:
    """What one connection to MariaDB sends."""

    def __init__(self, counts: Connections) -> None:
        self.received = bytearray()
        self.trips = counts.add()

    def feed(self, piece: bytes) -> None:
        self.received += piece
        while len(self.received) >= 4:
            end = 4 + int.from_bytes(self.received[:3], "little")
            if len(self.received) < end:
                return
            # What is not the first packet of a command belongs to the handshake.
            if self.received[3] == 0:
                self.trips.append(self.received[5:end].decode(errors="replace"))
            del self.received[:end]


class Connections:
    """The round trips of each connection."""

    def __init__(self) -> None:
        self.all: list[list[str]] = []

    def add(self) -> list[str]:
        self.all.append([])
        return self.all[-1]

    def clear(self) -> None:
        for trips in self.all:
            trips.clear()

    @property
    def ours(self) -> list[str]:
        """The round trips of our connections, but for the statement that reads the user."""
        return [
            trip
            for trips in self.all
            if any("pkce_" in trip for trip in trips)
            for trip in trips
            if not any(name in trip for name in OF_HOST)
        ]

    @property
    def for_the_user(self) -> list[str]:
        """The round trips for the user, on whichever connection."""
        return [
            trip
            for trips in self.all
            for trip in trips
            if any(name in trip for name in OF_HOST) or not any("pkce_" in trip for trip in trips)
        ]


READERS: dict[str, Any] = {"postgresql": PostgreSQL, "mariadb": MariaDB}


@pytest.fixture(params=READERS)
def connections(request: pytest.FixtureRequest) -> Iterator[tuple[Connections, Flask]]:
    with ExitStack() as stack:
        url = make_url(stack.enter_context(own_database(request.param)))
        found = Connections()
        reader = READERS[request.param]
        port, _ = stack.enter_context(
            counting(url.host or "", url.port or 0, lambda counts: reader(found))
        )
        app = make_app(
            SQLALCHEMY_DATABASE_URI=url.set(host="127.0.0.1", port=port).render_as_string(False)
        )
        yield found, app
        with app.app_context():
            app.db.engine.dispose()


@pytest.fixture
def count(connections: tuple[Connections, Flask]) -> Callable[[Callable[[], Any]], list[str]]:
    """Give a function that returns the round trips of a request that was sent before too."""

    def of(send: Callable[[], Any]) -> list[str]:
        connections[0].clear()
        assert send().status_code < 400
        return connections[0].ours

    return of


@pytest.fixture
def flow(connections: tuple[Connections, Flask]) -> Flow:
    app = connections[1]
    warm = Flow(sign_in(app), register(app, auth_method="client_secret_basic"), scope=SCOPE)
    # Connections are made, keys are read, and what PostgreSQL prepares is prepared.
    for _ in range(8):
        tokens = warm.tokens()
        warm.refresh(tokens["refresh_token"])
        for path in ("/api/me", "/oauth/userinfo"):
            call(warm, path, tokens["access_token"])
        warm.post("introspect", {"token": tokens["access_token"]})
    return warm


def call(flow: Flow, path: str, token: str) -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    return flow.browser.application.test_client(use_cookies=False).get(path, headers=headers)


def test_a_code_takes_5(flow: Flow, count: Callable) -> None:
    # The code with its grant and client; BEGIN, UPDATE, INSERT, COMMIT.
    code = flow.allow()["code"]
    assert len(count(lambda: flow.redeem(code))) == 5


def test_a_refresh_takes_5(flow: Flow, count: Callable) -> None:
    token = flow.tokens()["refresh_token"]
    assert len(count(lambda: flow.refresh(token))) == 5


def test_a_silent_authorization_takes_3(flow: Flow, count: Callable) -> None:
    # The client with what the user granted; the grant; the code.
    assert len(count(lambda: flow.authorize(prompt="none"))) == 3


def test_introspection_takes_1(flow: Flow, count: Callable) -> None:
    token = flow.tokens()["access_token"]
    assert len(count(lambda: flow.post("introspect", {"token": token}))) == 1


@pytest.mark.parametrize("path", ["/api/me", "/api/notes", "/oauth/userinfo"])
def test_a_call_with_a_token_takes_1(flow: Flow, count: Callable, path: str) -> None:
    token = flow.tokens()["access_token"]
    assert len(count(lambda: call(flow, path, token))) == 1


def test_the_user_of_a_token_takes_1(
    flow: Flow, connections: tuple[Connections, Flask], count: Callable
) -> None:
    # Flask-Login reads the user of a browser with the session of the host: BEGIN, SELECT, ROLLBACK.
    token = flow.tokens()["access_token"]
    count(lambda: call(flow, "/api/me", token))
    assert len(connections[0].for_the_user) == 1


def test_documents_take_none(flow: Flow, count: Callable) -> None:
    browser = flow.browser
    assert count(lambda: browser.get("/.well-known/openid-configuration")) == []
    assert count(lambda: browser.get("/oauth/jwks")) == []
