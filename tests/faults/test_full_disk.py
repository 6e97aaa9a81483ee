"""A disk that is full, on SQLite: reads go on, writes are 503, and nothing is half-written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, select
from werkzeug.test import TestResponse

from flask_pkce_server.models.base import Base
from flask_pkce_server.testing import Flow, register, server_of

from ..host import make_app, sign_in

pytestmark = pytest.mark.thorough

SCOPE = "openid profile offline_access"


class Disk:
    """The disk that the database of a host is on."""

    def __init__(self, path: Path, wal: bool) -> None:
        self.path, self.pages = path, 0
        self.app = make_app(
            TESTING=False,
            SQLALCHEMY_DATABASE_URI=f"sqlite:///{path}",
            PKCE_SQLITE_PRAGMAS=wal,
            PKCE_CONNECTED_APPS_NOTE_USE=True,
        )
        with self.app.app_context():
            # The limit holds for a connection.
            self.app.db.engine.dispose()
            event.listen(self.app.db.engine, "checkout", self.limit)

    def limit(self, connection: Any, *_: object) -> None:
        # The default of SQLite.
        connection.execute(f"PRAGMA max_page_count = {self.pages or 4294967294}")

    def fill(self) -> None:
        """Leave no room but what is free within the pages of the file."""
        connection = sqlite3.connect(self.path)
        (self.pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.close()

    def empty(self) -> None:
        self.pages = 0


@pytest.fixture(params=[False, True], ids=["rollback journal", "WAL"])
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Disk]:
    disk = Disk(tmp_path / "app.db", request.param)
    yield disk
    with disk.app.app_context():
        disk.app.db.engine.dispose()


def rows(app: Flask) -> dict[str, int]:
    """Return how many rows each of our tables has."""
    with app.app_context(), server_of(app).store.reading() as session:
        return {
            table.name: session.scalar(select(func.count()).select_from(table)) or 0
            for table in Base.metadata.sorted_tables
        }


def until_full(send: Callable[[], TestResponse], right: int) -> int:
    """Send requests until the disk is full; return how many were served."""
    for served in range(2000):
        answer = send()
        if answer.status_code != right:
            assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "1")
            return served
    raise AssertionError("the disk is never full")


def test_a_full_disk_is_503_for_what_writes_and_nothing_is_half_written(disk: Disk) -> None:
    app = disk.app
    flow = Flow(sign_in(app), register(app, skip_consent=True), scope=SCOPE)
    service = Flow(flow.browser, register(app, auth_method="client_secret_basic"))
    spare, tokens = flow.tokens(), flow.tokens()
    codes = [flow.allow()["code"] for _ in range(3)]
    disk.fill()
    asked = until_full(flow.authorize, 302)
    refreshed = [tokens]

    def refresh() -> TestResponse:
        answer = flow.refresh(refreshed[-1]["refresh_token"])
        if answer.status_code == 200:
            refreshed.append(answer.get_json())
        return answer

    until_full(refresh, 200)
    before = rows(app)
    refused = [
        *[flow.redeem(code) for code in codes],
        flow.refresh(refreshed[-1]["refresh_token"]),
    ]
    page = flow.authorize()
    assert "Try again in a moment." in page.text
    for answer in [*refused, page]:
        assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "1")
    assert {answer.get_json()["error"] for answer in refused} == {"temporarily_unavailable"}
    assert rows(app) == before

    # Reads go on, and an UPDATE that needs no page more.
    bearer = {"Authorization": f"Bearer {refreshed[-1]['access_token']}"}
    program = app.test_client(use_cookies=False)
    assert program.get("/api/me", headers=bearer).status_code == 200
    assert program.get("/oauth/userinfo", headers=bearer).status_code == 200
    assert program.get("/oauth/jwks").status_code == 200
    assert service.post("introspect", {"token": "x"}).get_json() == {"active": False}
    assert flow.browser.get("/oauth/apps").status_code == 200
    assert flow.revoke(spare["refresh_token"]).status_code == 200

    disk.empty()
    for code in codes:
        assert flow.redeem(code).status_code == 200
        assert flow.redeem(code).status_code == 400
    assert flow.refresh(refreshed[-1]["refresh_token"]).status_code == 200
    assert flow.refresh(spare["refresh_token"]).status_code == 400
    print(f"\nfull disk: {asked} codes and {len(refreshed) - 1} refreshes until it was full")
