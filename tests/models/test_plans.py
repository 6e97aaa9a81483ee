"""Every statement on a large table is answered by an index, and a rotation changes none."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection, Engine, event, insert, text

from flask_pkce_server.models import withdrawal
from flask_pkce_server.models.base import Base, ScopeSet
from flask_pkce_server.models.token import Token
from flask_pkce_server.testing import Flow, hidden_fields, register, server_of

from ..device import Device, television
from ..host import make_app, sign_in
from ..services import POOL, own_database

ROWS = 20_000
#: It has a few rows in any host.
SMALL = "pkce_signing_key"
pytestmark = pytest.mark.thorough


def value_of(column: Any, number: int, now: int) -> Any:
    """Return the value of one column in one row; a tenth of the rows has expired."""
    at = now + number - ROWS // 10
    values: dict[str, Any] = {
        "client_id": f"c{number}",
        "subject": f"u{number}",
        "grant_id": f"g{number}",
        "sid": f"s{number}",
        "scope": frozenset({"s"}) if isinstance(column.type, ScopeSet) else "s",
        "origin": f"https://{number}.example",
        "bindings": {},
        "parameters": {},
        "client_metadata": {},
        "kind": "refresh",
        "consumed_at": number % 2 or None,
    }
    if column.name in values:
        return values[column.name]
    if column.name.endswith("_at"):
        return None if column.nullable and column.name != "expires_at" else at
    if column.name.endswith("digest"):
        return hashlib.sha256(f"{number}".encode()).digest()
    by_type = {"JsonText": [], "BigInteger": number, "Boolean": False}
    return None if column.nullable else by_type.get(type(column.type).__name__, f"x{number}")


def engine_of(app: Flask) -> Engine:
    with app.app_context():
        return app.db.engine


def fill(app: Flask) -> None:
    """Fill all tables but the small one, and let the database count its rows."""
    now, engine = int(time.time()), engine_of(app)
    analyze = "ANALYZE TABLE {}" if engine.dialect.name in ("mysql", "mariadb") else "ANALYZE {}"
    for table in Base.metadata.sorted_tables:
        if table.name.startswith("pkce_") and table.name != SMALL:
            names = [{c.name: value_of(c, n, now) for c in table.c} for n in range(ROWS)]
            with engine.begin() as connection:
                connection.execute(insert(table), names)
            with engine.connect() as connection:
                connection.execute(text(analyze.format(table.name)))
                connection.commit()


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.services),
        pytest.param("mariadb", marks=pytest.mark.services),
    ]
)
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    with ExitStack() as stack:
        uri = f"sqlite:///{tmp_path}/app.db"
        if request.param != "sqlite":
            # A new one: what other tests left behind would change the plans and the statistics.
            uri = stack.enter_context(own_database(request.param))
        app = make_app(
            SQLALCHEMY_DATABASE_URI=uri,
            SQLALCHEMY_ENGINE_OPTIONS=dict(POOL),
            PKCE_FEATURES={"registration": True, "client_id_metadata": True},
            PKCE_CONNECTED_APPS_NOTE_USE=True,
        )
        yield app
        with app.app_context():
            app.db.engine.dispose()


class Plans:
    """Notes the statements on our tables, and explains them."""

    def __init__(self, app: Flask) -> None:
        self.engine = engine_of(app)
        self.noted: dict[str, Any] = {}

    @contextmanager
    def noting(self) -> Iterator[None]:
        event.listen(self.engine, "before_cursor_execute", self._note)
        yield
        event.remove(self.engine, "before_cursor_execute", self._note)

    def _note(self, connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        is_on_ours = re.search(r"\bpkce_", statement) and " VALUES " not in statement
        if is_on_ours and not statement.startswith(("PRAGMA", "BEGIN")):
            self.noted[statement] = parameters

    def scans(self) -> dict[str, list[str]]:
        """Return the noted statements that read a table, or an index, from end to end."""
        found = {}
        with self.engine.connect() as connection:
            if self.engine.dialect.name == "postgresql":
                # The tables are small: in cold storage, reading all of one would be quicker.
                connection.execute(text("SET random_page_cost = 1"))
            for statement, parameters in self.noted.items():
                plan = self._plan(connection, statement, parameters)
                if bad := [step for step in plan if SMALL not in step]:
                    found[statement] = bad
        return found

    def _plan(self, connection: Any, statement: str, parameters: Any) -> list[str]:
        kind = connection.dialect.name
        explain = "EXPLAIN QUERY PLAN " if kind == "sqlite" else "EXPLAIN "
        cursor = connection.connection.cursor()
        cursor.execute(explain + statement, parameters)
        rows = cursor.fetchall()
        cursor.close()
        if kind == "postgresql":
            return [row[0] for row in rows if "Seq Scan on" in row[0]]
        if kind == "sqlite":
            return [row[3] for row in rows if re.match(r"SCAN (pkce_|caller)", row[3])]
        tables = [row for row in rows if re.match("pkce_|caller", row[2] or "")]
        return [f"{row[2]} {row[3]}" for row in tables if row[3] in ("ALL", "index")]


def test_no_statement_of_a_request_reads_a_table_from_end_to_end(app: Flask) -> None:
    fill(app)
    client = register(app, auth_method="client_secret_basic", skip_consent=False)
    flow = Flow(sign_in(app), client, scope="openid profile offline_access")
    plans = Plans(app)
    with plans.noting():
        code = flow.allow()["code"]
        tokens = flow.redeem(code).get_json()
        assert flow.authorize().status_code == 302
        header = {"Authorization": f"Bearer {tokens['access_token']}"}
        program = app.test_client(use_cookies=False)
        for path in ("/api/me", "/oauth/userinfo"):
            assert program.get(path, headers=header).status_code == 200
        for token in (tokens["access_token"], tokens["refresh_token"]):
            assert flow.post("introspect", {"token": token}).get_json()["active"]
        assert flow.refresh(tokens["refresh_token"]).status_code == 200
        # Each of these finds out that it was used before.
        assert flow.redeem(code).status_code == 400
        assert flow.revoke(flow.tokens()["refresh_token"]).status_code == 200
        device = Device(sign_in(app), television(app))
        device.tokens()
        assert flow.browser.get("/oauth/apps").status_code == 200
        page = flow.browser.get("/oauth/logout")
        form = {**hidden_fields(page.text), "decision": "allow"}
        done = flow.browser.post("/oauth/logout", data=form)
        assert done.status_code in (200, 303)
    assert len(plans.noted) > 20
    assert plans.scans() == {}


def test_no_withdrawal_reads_a_table_from_end_to_end(app: Flask) -> None:
    fill(app)
    store, plans = server_of(app).store, Plans(app)
    with app.app_context(), plans.noting():
        assert withdrawal.withdraw(store, "u1", "c1", 1)
        withdrawal.narrow(store, "u2", "c2", ["s"])
        assert withdrawal.forget(store, "u3", 1, is_gone=True)
        assert store.write(lambda session: withdrawal.end_access_of_session(session, "s4", 1)) == []
        assert store.write(lambda s: withdrawal.revoke_of_user(s, ["g5", "g6"], "u5", 1))
    assert len(plans.noted) > 7
    assert plans.scans() == {}


def test_prune_reads_no_table_from_end_to_end(app: Flask) -> None:
    fill(app)
    plans = Plans(app)
    with plans.noting():
        done = app.test_cli_runner().invoke(args=["pkce", "prune", "--sleep", "0", "--json"])
    assert done.exit_code == 0
    # Except that of the clients, for those whose ids are URLs.
    plans.noted = {sql: values for sql, values in plans.noted.items() if " LIKE " not in sql}
    assert len(plans.noted) > 20
    assert plans.scans() == {}


@pytest.mark.parametrize("app", ["postgresql"], indirect=True)
@pytest.mark.services
def test_a_rotation_changes_no_index(app: Flask) -> None:
    # PostgreSQL writes the new version of a row into the same page, if there is room for it and
    # no column of an index has changed.
    # A transaction that stays open in this database needs the old ones, be it only that of
    # autovacuum: so half of them is enough here, where none would be if an index had to change.
    flow = Flow(sign_in(app), register(app), scope="profile offline_access")
    refresh_tokens = [flow.tokens()["refresh_token"] for _ in range(300)]
    for _ in range(3):
        refresh_tokens = [flow.refresh(old).get_json()["refresh_token"] for old in refresh_tokens]
    with engine_of(app).connect() as connection:
        for name in (Token.__tablename__, "pkce_authorization_code"):
            assert hot_share(connection, name) >= 0.5


def hot_share(connection: Connection, name: str) -> float:
    """Return the share of the updates of the table `name` that changed no index."""
    query = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = :name"
    # The connections of the app tell their numbers when they have been idle for a second.
    for _ in range(50):
        updated, hot = connection.execute(text(query), {"name": name}).one()
        if updated >= 300:
            break
        # Within a transaction, the numbers stay the same.
        connection.rollback()
        time.sleep(0.2)
    assert updated >= 300
    return hot / updated
