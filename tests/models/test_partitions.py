"""A host partitions the tokens by their expiry, as docs/pruning.md says, and drops what is past."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text, update

from flask_pkce_server.models.token import Token
from flask_pkce_server.testing import Clock, Flow, register, server_of

from ..host import make_app, sign_in
from ..services import POOL, own_database

pytestmark = [pytest.mark.thorough, pytest.mark.services]

PAGE = Path(__file__).parents[2] / "docs" / "pruning.md"
PARTITION, MAKE_WEEKS, MOVE, DROP_WEEKS = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.S)
WEEK = 604800


def run(app: Flask, *statements: str) -> None:
    with app.app_context(), app.db.engine.begin() as connection:
        for statement in statements:
            # Not by SQLAlchemy, which takes each percent sign for a parameter.
            connection.connection.driver_connection.execute(statement)


def partitions(app: Flask) -> dict[str, int]:
    """Return how many tokens are in each partition."""
    query = (
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'pkce_token'::regclass"
    )
    with app.app_context(), app.db.engine.connect() as connection:
        names = connection.scalars(text(query)).all()
        return {
            name: connection.scalar(text(f"SELECT count(*) FROM {name}"))  # noqa: S608 - our name
            for name in names
            if name.startswith("pkce_token")
        }


@pytest.fixture
def app() -> Iterator[Flask]:
    with own_database("postgresql") as url:
        app = make_app(SQLALCHEMY_DATABASE_URI=url, SQLALCHEMY_ENGINE_OPTIONS=dict(POOL))
        yield app
        with app.app_context():
            app.db.engine.dispose()


def test_flows_run_on_partitions_and_dropping_one_is_the_prune(app: Flask) -> None:
    server_of(app).clock = clock = Clock()
    flow = Flow(sign_in(app), register(app), scope="profile offline_access")
    before = flow.tokens()
    run(app, PARTITION, MAKE_WEEKS, MOVE)
    past = int(clock() // WEEK) - 2
    bounds = f"FROM ({past * WEEK}) TO ({(past + 1) * WEEK})"
    run(app, f"CREATE TABLE pkce_token_{past} PARTITION OF pkce_token FOR VALUES {bounds}")

    # What was issued before goes on, and what is used again ends it.
    after = flow.refresh(before["refresh_token"]).get_json()
    header = {"Authorization": f"Bearer {after['access_token']}"}
    program = app.test_client(use_cookies=False)
    assert program.get("/api/me", headers=header).status_code == 200
    clock.advance(60)
    assert flow.refresh(before["refresh_token"]).status_code == 400
    assert program.get("/api/me", headers=header).status_code == 401
    live = flow.tokens()["refresh_token"]
    found = partitions(app)
    assert (found["pkce_token_other"], found[f"pkce_token_{past}"]) == (0, 0)
    assert sum(found.values()) == 6

    # The access tokens expire, and stay in the table of their week until that is dropped.
    with app.app_context(), app.db.engine.begin() as connection:
        of_access = update(Token).where(Token.kind == "access")
        connection.execute(of_access.values(expires_at=past * WEEK))
    assert partitions(app)[f"pkce_token_{past}"] == 3
    pruned = json.loads(app.test_cli_runner().invoke(args=["pkce", "prune", "--json"]).stdout)
    assert (pruned["deleted"]["token"], pruned["complete"]) == (0, True)
    run(app, MAKE_WEEKS, DROP_WEEKS)
    found = partitions(app)
    assert f"pkce_token_{past}" not in found
    assert sum(found.values()) == 3
    assert flow.refresh(live).status_code == 200
