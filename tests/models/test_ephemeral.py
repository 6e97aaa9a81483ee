"""Ephemeral: counts and used JWTs hold wherever they are, and nothing passes without them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from flask_pkce_server.models.ephemeral import Ephemeral
from flask_pkce_server.models.guess import TooManyGuesses
from flask_pkce_server.models.spent_jti import SpentBefore
from flask_pkce_server.testing import server_of

from ..at_once import at_once
from ..ephemeral import counts, kept_in
from ..host import make_app
from ..services import POOL, ROUNDS, empty_database

pytestmark = pytest.mark.thorough
services = pytest.mark.services

NOW, THREADS = 1790000400, 32


@pytest.fixture(
    params=[
        "sqlite",
        *[pytest.param(kind, marks=services) for kind in ("postgresql", "mariadb", "redis")],
    ]
)
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    kind, uri = request.param, f"sqlite:///{tmp_path}/app.db"
    if kind in ("postgresql", "mariadb"):
        with empty_database(kind) as uri:
            yield from host_on(uri)
    else:
        with kept_in("redis" if kind == "redis" else "database") as ephemeral:
            yield from host_on(uri, **ephemeral)


def host_on(uri: str, **config: str) -> Iterator[Flask]:
    app = make_app(SQLALCHEMY_DATABASE_URI=uri, SQLALCHEMY_ENGINE_OPTIONS=POOL, **config)
    yield app
    with app.app_context():
        app.db.engine.dispose()


def tried_at_once(app: Flask, deed: Callable[[Ephemeral], Any]) -> list[Exception | None]:
    """Return what `deed` raised, None where nothing, when all do it at the same moment."""
    ephemeral = server_of(app).ephemeral

    def attempt() -> Any:
        with app.app_context():
            try:
                deed(ephemeral)
            except (TooManyGuesses, SpentBefore) as refused:
                return refused

    return at_once(*[attempt] * THREADS)


def test_one_jti_is_used_once_however_many_use_it_at_once(app: Flask) -> None:
    # RFC 7523 3
    for number in range(ROUNDS):
        spend = functools.partial(spend_once, jti=str(number))
        refused = list(filter(None, tried_at_once(app, spend)))
        assert [type(error) for error in refused] == [SpentBefore] * (THREADS - 1)


def spend_once(ephemeral: Ephemeral, jti: str) -> None:
    ephemeral.spend("app", jti, NOW + 300, {}, NOW)


def test_a_limit_holds_however_many_try_at_once(app: Flask) -> None:
    for number in range(ROUNDS):
        limits = {f"ada {number}": 5, f"all {number}": 1000}
        refused = tried_at_once(app, lambda ephemeral: ephemeral.take(limits, NOW))  # noqa: B023
        assert refused.count(None) == 5
        assert {error.wait for error in refused if error is not None} == {600}
    # Those who were refused cost the others nothing.
    assert counts(app) == [5] * 2 * ROUNDS


def test_a_used_jti_costs_no_attempt(app: Flask) -> None:
    ephemeral = server_of(app).ephemeral
    with app.app_context():
        ephemeral.spend("app", "one", NOW + 300, {"app": 2}, NOW)
        for _ in range(3):
            with pytest.raises(SpentBefore):
                ephemeral.spend("app", "one", NOW + 300, {"app": 2}, NOW)
        # Nor does an attempt too many use it up.
        ephemeral.spend("app", "two", NOW + 300, {"app": 2}, NOW)
        with pytest.raises(TooManyGuesses):
            ephemeral.spend("app", "three", NOW + 300, {"app": 2}, NOW)
        ephemeral.spend("app", "three", NOW + 900, {"app": 2}, NOW + 600)


def test_to_look_counts_nothing(app: Flask) -> None:
    ephemeral = server_of(app).ephemeral
    with app.app_context():
        for _ in range(3):
            ephemeral.check({"ada": 1, "all": 9}, NOW)
        ephemeral.take({"ada": 1, "all": 9}, NOW)
        with pytest.raises(TooManyGuesses):
            ephemeral.check({"ada": 1, "all": 9}, NOW)
        ephemeral.check({"ada": 1, "all": 9}, NOW + 600)
        for nothing in ({}, {}):
            ephemeral.check(nothing, NOW)
            ephemeral.take(nothing, NOW)
            ephemeral.give_back(nothing, NOW)


def test_an_attempt_whose_work_fails_is_not_counted(app: Flask) -> None:
    ephemeral = server_of(app).ephemeral

    def fail(session: Session) -> None:
        raise LookupError

    with app.app_context():
        for _ in range(3):
            with pytest.raises(LookupError):
                ephemeral.write(fail, {"ada": 1}, NOW)
        assert ephemeral.write(lambda session: 7, {"ada": 1}, NOW) == 7
        with pytest.raises(TooManyGuesses):
            ephemeral.write(lambda session: 7, {"ada": 1}, NOW)


def test_work_that_is_run_again_is_counted_once(app: Flask) -> None:
    ephemeral, runs = server_of(app).ephemeral, []

    def lock_twice(session: Session) -> None:
        runs.append(session)
        if len(runs) < 3:
            raise OperationalError("", {}, Exception("database is locked"))

    with app.app_context():
        ephemeral.write(lock_twice, {"ada": 9}, NOW)
    assert (len(runs), counts(app)) == (3, [1])


def test_a_right_attempt_is_free(app: Flask) -> None:
    ephemeral = server_of(app).ephemeral
    with app.app_context():
        for _ in range(3):
            ephemeral.write(lambda session: True, {"ada": 1}, NOW, is_free=bool)
        ephemeral.write(lambda session: False, {"ada": 1}, NOW, is_free=bool)
        with pytest.raises(TooManyGuesses):
            ephemeral.take({"ada": 1}, NOW)
