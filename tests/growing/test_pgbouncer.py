"""pgbouncer in transaction mode: every transaction may have another session of PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from flask_pkce_server.testing import Flow, register, server_of

from ..at_once import at_once, statuses
from ..host import make_app, sign_in
from ..races import redeem_one_code, refresh_and_revoke, use_one_refresh_token
from ..services import POOL, ROUNDS
from .pgbouncer import pgbouncer
from .programs import tell

pytestmark = [pytest.mark.thorough, pytest.mark.services]

SCOPE = "openid profile offline_access"


@contextmanager
def host(url: str, **options: Any) -> Iterator[Flask]:
    """Give an app with the database at `url`, empty."""
    tell(url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    app = make_app(
        SQLALCHEMY_DATABASE_URI=url,
        SQLALCHEMY_ENGINE_OPTIONS={**POOL, **options},
        TESTING=False,
        PKCE_REFRESH_TOKEN_GRACE=0,
    )
    try:
        yield app
    finally:
        with app.app_context():
            app.db.engine.dispose()


@pytest.fixture(scope="module")
def urls() -> Iterator[tuple[str, str]]:
    with pgbouncer() as urls:
        yield urls


def flows_at_once(app: Flask, number: int, times: int) -> list[int]:
    """Run `number` sign-ins at once, each as often as `times`; return all the statuses."""
    client = register(app)

    def sign_in_and_use() -> list[TestResponse]:
        flow, answers = Flow(sign_in(app), client, scope=SCOPE), []
        for _ in range(times):
            answers.append(flow.redeem(flow.allow()["code"]))
            tokens = answers[-1].get_json()
            headers = {"Authorization": f"Bearer {tokens.get('access_token')}"}
            answers.append(app.test_client().get("/api/me", headers=headers))
            answers.append(flow.refresh(tokens.get("refresh_token", "none")))
        return answers

    found: list[Any] = at_once(*[sign_in_and_use] * number)
    return [answer.status_code for answers in found for answer in answers or [None]]


def test_sign_ins_at_once_through_pgbouncer_are_all_served(urls: tuple[str, str]) -> None:
    with host(urls[0]) as app:
        assert set(flows_at_once(app, 16, 5)) == {200}


def test_the_races_through_pgbouncer_have_one_winner(urls: tuple[str, str]) -> None:
    with host(urls[0]) as app:
        flow = Flow(sign_in(app), register(app), scope=SCOPE)
        for _ in range(min(ROUNDS, 3)):
            redeem_one_code([flow])
            use_one_refresh_token([flow])
            refresh_and_revoke([flow])


def thresholds(app: Flask) -> set[int | None]:
    """Return after how many times each engine of the app has a statement prepared."""
    with app.app_context():
        found = set()
        for engine in (app.db.engine, server_of(app).store.engine):
            connection = engine.raw_connection()
            found.add(connection.driver_connection.prepare_threshold)
            connection.close()
        return found


def test_statements_are_prepared_where_nothing_stands_between(urls: tuple[str, str]) -> None:
    pooled, direct = urls
    with host(pooled) as app:
        assert thresholds(app) == {None}
    with host(direct) as app:
        assert thresholds(app) == {5}


def test_a_threshold_of_the_host_is_left_alone(urls: tuple[str, str]) -> None:
    # As for a pgbouncer that keeps track of prepared statements, from 1.21 on.
    with host(urls[0], connect_args={"prepare_threshold": 3}) as app:
        assert thresholds(app) == {3}


def test_the_doctor_sees_a_pooler(urls: tuple[str, str]) -> None:
    with host(urls[0]) as app:
        assert "A pooler such as pgbouncer" in doctor(app)
    with host(urls[1]) as app:
        assert "pooler" not in doctor(app)


def doctor(app: Flask) -> str:
    return app.test_cli_runner().invoke(args=["pkce", "doctor"]).output


def test_requests_that_wait_for_each_other_at_pgbouncer_are_503_in_the_end() -> None:
    # Each keeps one session for its user, and there is none left for our tables.
    with pgbouncer(default_pool_size=2, query_wait_timeout=1) as (pooled, _), host(pooled) as app:
        flow = Flow(sign_in(app), register(app), scope=SCOPE)
        spent = [flow.tokens()["refresh_token"] for _ in range(12)]
        answers = at_once(*[partial(flow.refresh, token) for token in spent])
        assert set(statuses(answers)) <= {200, 503}
        assert flow.browser.get("/oauth/apps").status_code == 200
