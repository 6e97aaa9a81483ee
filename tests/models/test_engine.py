"""Our connections: a pool of our own, and what a restart of the database does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request
from flask_login import current_user
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool, QueuePool
from werkzeug.test import TestResponse

from flask_pkce_server.models import engine as engines
from flask_pkce_server.models.consent import Asked, remember
from flask_pkce_server.models.engine import Connections
from flask_pkce_server.testing import Flow, register, server_of

from ..at_once import at_once
from ..host import fill, make_app, sign_in
from ..services import URLS, empty_database

SCOPE = "openid profile offline_access"
ASKED = Asked("1", "notebook", frozenset({"profile"}))
KILL = {
    "postgresql": (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name "
        "AND pid = coalesce(:only, pid)"
    ),
    "mariadb": (
        "SELECT concat('KILL ', id) FROM information_schema.processlist WHERE db = :name "
        "AND id = coalesce(:only, id)"
    ),
}
OWN_ID = {"postgresql": "SELECT pg_backend_pid()", "mariadb": "SELECT connection_id()"}


class Database:
    """A database whose connections can be closed by its operator."""

    def __init__(self, service: str, url: str) -> None:
        self.service, self.url = service, url
        self.operator = create_engine(
            URLS[service], isolation_level="AUTOCOMMIT", poolclass=NullPool
        )
        self.app = make_app(
            SQLALCHEMY_DATABASE_URI=url,
            TESTING=False,
            PROPAGATE_EXCEPTIONS=False,
            PKCE_OPENID_CLAIMS_IN_ID_TOKEN=True,
        )
        with self.app.app_context():
            # Then requests that come one after the other share one connection.
            self.app.db.engine.dispose()

    def kill(self, only: int | None = None) -> None:
        """Close all connections, or `only` one."""
        name = self.url.rpartition("/")[2]
        with self.operator.connect() as connection:
            found = connection.execute(text(KILL[self.service]), {"name": name, "only": only})
            for (command,) in found.all() if self.service == "mariadb" else ():
                connection.execute(text(command))

    def id_of_host(self) -> int:
        """Return the id of the connection that waits in the pool of the host."""
        with self.app.app_context():
            found: int = self.app.db.session.scalar(text(OWN_ID[self.service]))
        return found


@pytest.fixture(params=["postgresql", "mariadb"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    with empty_database(request.param) as url:
        database = Database(request.param, url)
        yield database
        with database.app.app_context():
            database.app.db.engine.dispose()


def api(flow: Flow, token: str) -> TestResponse:
    headers = {"Authorization": f"Bearer {token}"}
    return flow.browser.application.test_client().get("/api/me", headers=headers)


@pytest.mark.services
def test_the_first_requests_after_a_restart_of_the_database_are_served(database: Database) -> None:
    flow = Flow(sign_in(database.app), register(database.app), scope=SCOPE)
    tokens = flow.tokens()
    database.kill()
    tokens = flow.refresh(tokens["refresh_token"]).get_json()
    database.kill()
    assert api(flow, tokens["access_token"]).status_code == 200
    database.kill()
    assert database.app.test_client().get("/oauth/jwks").status_code == 200
    database.kill()
    assert flow.revoke(tokens["access_token"]).status_code == 200


@pytest.mark.services
def test_a_user_that_flask_login_cannot_load_is_503_and_the_next_request_is_served(
    database: Database,
) -> None:
    flow = Flow(sign_in(database.app), register(database.app), scope=SCOPE)
    tokens = flow.tokens()
    spent, access = tokens["refresh_token"], tokens["access_token"]
    database.kill(database.id_of_host())
    # The users of these are read on our connections.
    assert (flow.refresh(spent).status_code, api(flow, access).status_code) == (200, 200)
    assert flow.browser.get("/oauth/apps").status_code == 503
    requests: list[Callable[[], TestResponse]] = [
        lambda: flow.authorize(prompt="consent"),
        lambda: flow.browser.get("/oauth/apps"),
    ]
    for send in requests:
        database.kill(database.id_of_host())
        answer = send()
        assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "1")
        assert send().status_code == 200


@pytest.mark.services
def test_claims_that_lose_the_connection_of_the_host_are_503(database: Database) -> None:
    # They are read for the ID token, within our unit of work.
    session, losses = database.app.db.session, [1]

    @database.app.pkce.user_claims
    def claims(user: Any) -> dict[str, str]:
        if losses:
            database.kill(session.scalar(text(OWN_ID[database.service])))
            losses.clear()
        return {"name": user.name if session.scalar(text("SELECT 1")) else ""}

    flow = Flow(sign_in(database.app), register(database.app), scope=SCOPE)
    code = flow.allow()["code"]
    answer = flow.redeem(code)
    assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "1")
    assert flow.redeem(code).status_code == 200


@pytest.mark.services
def test_a_unit_of_work_that_loses_its_connection_is_run_again_once(database: Database) -> None:
    runs = []

    def work(session: Session) -> None:
        remember(session, ASKED, 1)
        session.flush()
        runs.append(1)
        if len(runs) <= losses:
            database.kill(session.scalar(text(OWN_ID[database.service])))
        session.execute(text("SELECT 1"))

    with database.app.app_context():
        store = server_of(database.app).store
        losses = 1
        store.write(work)
        assert len(runs) == 2
        losses = 99
        with pytest.raises(DBAPIError):
            store.write(work)
        assert len(runs) == 4


@pytest.mark.services
def test_a_commit_that_may_have_happened_is_not_run_again(database: Database) -> None:
    runs = []

    def work(connection: Connection) -> None:
        runs.append(1)
        own_id = connection.scalar(text(OWN_ID[database.service]))
        event.listen(connection, "commit", lambda _: database.kill(own_id), once=True)

    with database.app.app_context(), pytest.raises(DBAPIError):
        server_of(database.app).store.transaction(work)
    assert len(runs) == 1


@pytest.mark.services
def test_a_database_that_is_gone_is_503(database: Database) -> None:
    flow = Flow(sign_in(database.app), register(database.app))
    token = flow.tokens()["access_token"]
    with database.app.app_context():
        engine = database.app.db.engine
        engine.dispose()
        event.listen(engine, "do_connect", refuse)
    for answer in (flow.refresh("x"), api(flow, token), flow.authorize()):
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")


def refuse(dialect: Any, record: Any, arguments: list[Any], options: dict[str, Any]) -> None:
    """Connect to a port where nothing listens."""
    options["port"] = 1


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Flask]]:
    """Make an app with a small pool, on a file."""
    apps = []

    def build(*, init: bool = True, **options: Any) -> Flask:
        app = make_app(
            init=init,
            TESTING=False,
            PKCE_FEATURES={"developer_portal": True},
            SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/app.db",
            SQLALCHEMY_ENGINE_OPTIONS={"pool_size": 1, "max_overflow": 0, **options},
        )
        apps.append(app)
        return app

    yield build
    for app in apps:
        with app.app_context():
            app.db.engine.dispose()


def test_as_many_users_as_the_pool_has_connections_do_not_wait_for_each_other(
    make: Callable[..., Flask],
) -> None:
    app = make(init=False, pool_size=2, max_overflow=2, pool_timeout=30)
    meeting = threading.Barrier(4)

    @app.before_request
    def meet() -> None:
        # All are signed in, so the session of the host has a connection for each.
        if request.path == "/oauth/authorize" and current_user.is_authenticated:
            meeting.wait(30)

    app.pkce.init_app(app)
    with app.app_context():
        fill()
    client, browsers = register(app), [sign_in(app) for _ in range(4)]
    started = time.monotonic()
    answers = at_once(*[Flow(browser, client).authorize for browser in browsers])
    assert [answer.status_code for answer in answers] == [200] * 4
    assert time.monotonic() - started < 20


def test_every_request_needs_one_of_our_connections_only(
    make: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A second one at the same time would never come.
    monkeypatch.setattr(engines, "POOL_TIMEOUT", 0.1)
    app = make()
    flow = Flow(sign_in(app), register(app, auth_method="client_secret_basic"), scope=SCOPE)
    tokens = flow.tokens()
    tokens = flow.refresh(tokens["refresh_token"]).get_json()
    assert api(flow, tokens["access_token"]).status_code == 200
    for name in ("introspect", "revoke"):
        assert flow.post(name, {"token": tokens["access_token"]}).status_code == 200
    for path in ("apps", "developer", "device", "jwks"):
        assert flow.browser.get(f"/oauth/{path}").status_code == 200


def test_whoever_gets_no_connection_is_told_so_soon(
    make: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "POOL_TIMEOUT", 0.1)
    app = make()
    flow = Flow(sign_in(app), register(app, origins=["https://client.example"]))
    token = flow.tokens()["access_token"]
    program, origin = app.test_client(), {"Origin": "https://client.example"}
    with app.app_context(), server_of(app).store.reading() as session:
        session.execute(text("SELECT 1"))
        answers = [
            flow.refresh("fpk_rt_x"),
            flow.authorize(),
            flow.browser.get("/oauth/apps"),
            program.get("/oauth/jwks"),
            api(flow, token),
        ]
        assert program.options("/oauth/token", headers=origin).status_code == 204
        # Whoever signs out is signed out.
        assert flow.browser.post("/logout").status_code == 200
    for answer in answers:
        assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "1")
    assert "/login" in flow.browser.get("/oauth/apps").headers["Location"]


def test_a_pool_of_the_host_without_a_limit_is_shared(app: Flask, tmp_path: Path) -> None:
    with app.app_context():
        # SQLite in memory: another connection would be another database.
        assert server_of(app).store.engine is app.db.engine
    unlimited = create_engine(f"sqlite:///{tmp_path}/x.db", poolclass=NullPool)
    assert Connections(unlimited).engine is unlimited


def test_our_pool_connects_as_that_of_the_host_and_ends_with_it(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/x.db", pool_size=3, max_overflow=10)
    own, statements = None, []
    with ExitStack() as stack:
        stack.callback(engine.dispose)

        @event.listens_for(engine, "connect")
        def configure(connection: Any, record: Any) -> None:
            connection.execute("PRAGMA cache_size = -4711")

        own = Connections(engine).engine
        # Whoever counts or traces the statements of the host sees ours too.
        event.listen(engine, "before_cursor_execute", lambda *facts: statements.append(facts[2]))
        with own.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA cache_size").scalar() == -4711
        assert statements == ["PRAGMA cache_size"]
        assert isinstance(own.pool, QueuePool)
        assert (own.pool.size(), engines.max_connections(own)) == (3, 3)
        assert engines.max_connections(engine) == 13
        assert (own.pool.checkedin(), engine.pool.checkedin()) == (1, 0)
    assert own.pool.checkedin() == 0
