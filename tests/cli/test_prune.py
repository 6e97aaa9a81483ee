"""`flask pkce prune` deletes what expired, in small batches, beside others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, insert, select, update

from flask_pkce_server import rows_pruned
from flask_pkce_server.models import token as tokens
from flask_pkce_server.models.authorization_code import AuthorizationCode
from flask_pkce_server.models.grant import Grant
from flask_pkce_server.models.pruning import BATCH
from flask_pkce_server.models.token import Token
from flask_pkce_server.testing import Clock, Flow, register, server_of

from ..host import make_app, sign_in
from ..services import POOL, empty_database

DAY = 86400


def run(app: Flask, *options: str) -> dict[str, Any]:
    done = app.test_cli_runner().invoke(args=["pkce", "prune", "--json", *options])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def rows(numbers: range, expires_at: int, consumed_at: int | None) -> list[dict[str, Any]]:
    """Return the columns of codes, tokens and grants, one for each of `numbers`."""
    common = {"issued_at": 0, "expires_at": expires_at, "scope": frozenset()}
    of_grant = {"client_id": "gone", "subject": "1", "resources": [], "bindings": {}}
    of_token = {"kind": "refresh", "audience": [], "consumed_at": consumed_at}
    of_code = {"redirect_uri": "", "code_challenge": "", "consumed_at": consumed_at}
    found = []
    for at in numbers:
        key = {"digest": at.to_bytes(32, "big"), "grant_id": f"g{at}"}
        found.append({**common, **of_grant, **of_token, **of_code, **key})
    return found


def fill(
    app: Flask, kind: type, number: int, expires_at: int, *, used: bool = False, first: int = 0
) -> None:
    names = kind.__table__.columns.keys()
    values = [
        {name: row[name] for name in names if name in row}
        for row in rows(range(first, first + number), expires_at, 1 if used else None)
    ]
    with app.app_context():
        server_of(app).store.write(lambda session: session.execute(insert(kind.__table__), values))


def count(app: Flask, kind: type) -> int:
    with app.app_context(), server_of(app).store.reading() as session:
        return session.scalar(select(func.count()).select_from(kind)) or 0


SERVERS = [
    pytest.param(name, marks=[pytest.mark.services, pytest.mark.thorough])
    for name in ("postgresql", "mariadb")
]


@pytest.fixture(params=["sqlite", *SERVERS])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    """An app on a database that several processes could use."""
    with ExitStack() as stack:
        uri = f"sqlite:///{tmp_path}/app.db"
        if request.param != "sqlite":
            uri = stack.enter_context(empty_database(request.param))
        app = make_app(SQLALCHEMY_DATABASE_URI=uri, SQLALCHEMY_ENGINE_OPTIONS=dict(POOL))
        server_of(app).clock = Clock()
        yield app
        with app.app_context():
            app.db.engine.dispose()


def test_all_batches_are_deleted_and_nothing_is_left(stored: Flask) -> None:
    now = server_of(stored).now()
    fill(stored, Token, 2 * BATCH + 7, now)
    fill(stored, Grant, 3, now - 1)
    found = run(stored, "--sleep", "0")
    assert (found["deleted"]["token"], found["complete"]) == (2 * BATCH + 10, True)
    assert count(stored, Token) == count(stored, Grant) == 0


def test_a_limit_counts_all_rows_and_what_is_left_is_told(stored: Flask) -> None:
    fill(stored, Token, 10, server_of(stored).now())
    fill(stored, AuthorizationCode, 10, server_of(stored).now())
    first = run(stored, "--limit", "13")
    assert sum(first["deleted"].values()) == 13
    assert not first["complete"]
    second = run(stored, "--limit", "7")
    assert (sum(second["deleted"].values()), second["complete"]) == (7, True)


def test_people_are_told_what_was_deleted_and_what_is_left(app: Flask) -> None:
    fill(app, Token, 5, server_of(app).now())
    runner = app.test_cli_runner()
    assert runner.invoke(args=["pkce", "prune", "--limit", "3"]).output.splitlines() == [
        "Rows deleted: token 3.",
        "The limit is reached, and more rows may have expired.",
    ]
    assert runner.invoke(args=["pkce", "prune"]).output == "Rows deleted: token 2.\n"
    assert runner.invoke(args=["pkce", "prune"]).output == "Rows deleted: none.\n"


def test_each_batch_starts_where_the_last_one_ended(stored: Flask) -> None:
    # Used codes stay until the tokens of their grants have expired.
    now, number = server_of(stored).now(), 3 * BATCH
    fill(stored, Token, number, now + DAY)
    fill(stored, AuthorizationCode, number, now, used=True)
    statements: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        statements.append(statement)

    with stored.app_context():
        engine = stored.db.engine
    event.listen(engine, "before_cursor_execute", note)
    assert run(stored, "--sleep", "0")["deleted"]["authorization_code"] == 0
    event.remove(engine, "before_cursor_execute", note)
    # A last one finds the end.
    assert sum("FROM pkce_authorization_code" in text for text in statements) == 4
    assert count(stored, AuthorizationCode) == number
    with stored.app_context():
        expire = update(Token).values(expires_at=now)
        server_of(stored).store.write(lambda session: session.execute(expire))
    deleted = run(stored, "--sleep", "0")["deleted"]
    assert (deleted["token"], deleted["authorization_code"]) == (number, number)


def test_a_grant_stays_while_a_token_of_it_is_valid(stored: Flask) -> None:
    now = server_of(stored).now()
    fill(stored, Grant, 4, now)
    fill(stored, Token, 2, now + 1)
    assert run(stored)["deleted"]["token"] == 2
    assert count(stored, Grant) == 2
    server_of(stored).clock.advance(1)
    assert run(stored)["deleted"]["token"] == 4
    assert count(stored, Grant) == 0


def test_two_prunes_at_once_do_not_disturb_each_other(stored: Flask) -> None:
    number = 4 * BATCH
    fill(stored, Token, number, server_of(stored).now())
    fill(stored, Grant, number, server_of(stored).now())

    def prune(_: int) -> int:
        with stored.app_context():
            server, deleted = server_of(stored), 0
            for expired in tokens.expired(server.now()):
                while not expired.is_done:
                    deleted += expired.delete_some(server.store, BATCH)
            return deleted

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(prune, range(2))) == 2 * number
    assert count(stored, Token) == count(stored, Grant) == 0


@pytest.mark.parametrize("stored", SERVERS, indirect=True)
def test_what_is_in_use_is_not_locked(stored: Flask) -> None:
    flow = Flow(sign_in(stored), register(stored), scope="profile offline_access")
    spent = flow.tokens()["refresh_token"]
    fill(stored, Token, BATCH, server_of(stored).now() - 1)
    # If nearly all rows of a table are to go, MariaDB reads, and locks, the others too.
    fill(stored, Token, 10 * BATCH, server_of(stored).now() + DAY, first=BATCH)
    answers = []

    def refresh(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        # The batch is deleted, and not committed yet.
        if statement.startswith("DELETE FROM pkce_token") and not answers:
            with ThreadPoolExecutor(1) as pool:
                answers.append(pool.submit(flow.refresh, spent).result())

    with stored.app_context():
        engine = stored.db.engine
    event.listen(engine, "after_cursor_execute", refresh)
    run(stored)
    event.remove(engine, "after_cursor_execute", refresh)
    assert [answer.status_code for answer in answers] == [200]


def test_listeners_are_told_what_was_deleted(app: Flask) -> None:
    fill(app, Token, 2, server_of(app).now())
    told = []

    def listen(sender: Flask, deleted: dict[str, int]) -> None:
        told.append({name: number for name, number in deleted.items() if number})

    with rows_pruned.connected_to(listen, app):
        run(app)
    assert told == [{"token": 2}]
