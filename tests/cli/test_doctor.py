"""`flask pkce doctor`: what is well, what is not, and the line to write."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from flask_pkce_server.models.consent import Consent
from flask_pkce_server.testing import Flow, new_verifier, register

from .. import host
from ..ephemeral import free_port, kept_in, own_redis
from ..host import sign_in
from ..services import empty_database, own_database

#: With an issuer as every product's SDK wants it: nothing is left to be said of that.
make_app = partial(host.make_app, PKCE_ISSUER="https://auth.example/")


@pytest.fixture
def app() -> Flask:
    return make_app()


def levels(app: Flask, code: int = 0) -> dict[str, dict]:
    result = app.test_cli_runner().invoke(args=["pkce", "doctor", "--json"])
    assert result.exit_code == code, result.output
    return {problem["about"]: problem for problem in json.loads(result.output)}


def find(found: dict[str, dict], words: str) -> dict:
    return next(problem for about, problem in found.items() if words in about)


def test_a_good_set_up_is_a_list_of_oks(tmp_path: Path) -> None:
    app = make_app(
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/app.db",
        PKCE_SQLITE_PRAGMAS=True,
        SESSION_COOKIE_SECURE=True,
    )
    register(app)
    found = levels(app)
    assert {problem["level"] for problem in found.values()} == {"OK"}, found
    with app.app_context():
        app.db.engine.dispose()


def test_the_text_names_the_line_to_write(app: Flask) -> None:
    output = app.test_cli_runner().invoke(args=["pkce", "doctor"]).output
    assert "OK    All tables are there." in output
    assert 'Write: app.config["SESSION_COOKIE_SECURE"] = True' in output


def test_missing_tables_and_columns_are_a_failure() -> None:
    app = make_app(init=False)
    app.pkce.init_app(app)
    problem = find(levels(app, code=1), "Missing in the database")
    assert problem["level"] == "FAIL"
    assert "pkce_client," in problem["about"]
    assert "db.create_all()" in problem["fix"]


def test_a_missing_column_is_named(app: Flask) -> None:
    with app.app_context(), app.db.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE pkce_token DROP COLUMN revoked_at")
    assert "pkce_token.revoked_at" in find(levels(app, code=1), "Missing")["about"]


@pytest.mark.services
def test_columns_that_are_not_compared_by_their_bytes_are_a_failure() -> None:
    with own_database("mariadb") as url:
        app = make_app(SQLALCHEMY_DATABASE_URI=url)
        assert find(levels(app), "tells all subjects")["level"] == "OK"
        with app.app_context(), app.db.engine.begin() as connection:
            connection.exec_driver_sql(
                "ALTER TABLE pkce_consent MODIFY subject VARCHAR(255) NOT NULL COLLATE utf8mb4_bin"
            )
        assert find(levels(app, code=1), "by their bytes")["about"].endswith(
            "pkce_consent.subject."
        )
        Flow(sign_in(app), register(app)).tokens()
        with app.app_context():
            with app.db.engine.connect() as connection:
                found = connection.execute(select(Consent.subject)).scalars().all()
            assert set(found) == {"1"}, "it works all the same"
            app.db.engine.dispose()


def test_a_database_that_does_not_answer_is_a_failure() -> None:
    app = make_app(init=False, SQLALCHEMY_DATABASE_URI="sqlite:////nowhere/at/all.db")
    app.pkce.init_app(app)
    assert find(levels(app, code=1), "does not answer")["level"] == "FAIL"


@pytest.mark.parametrize(
    ("config", "words", "level"),
    [
        ({}, "SQLite lives in memory", "WARN"),
        ({"SECRET_KEY": "0123456789abcdef"}, "shorter than 32", "WARN"),
        ({}, "plain http", "WARN"),
        ({"SESSION_COOKIE_SECURE": True}, "session cookie settings are fine", "OK"),
    ],
)
def test_what_is_not_safe_yet_is_a_warning(config: dict, words: str, level: str) -> None:
    assert find(levels(make_app(**config)), words)["level"] == level


def test_a_strict_session_cookie_is_a_failure() -> None:
    # A visitor who comes from the client's site would look signed out for ever.
    app = make_app(SESSION_COOKIE_SAMESITE="Strict")
    assert find(levels(app, code=1), "Strict")["level"] == "FAIL"


def test_a_file_that_is_not_in_wal_mode_is_a_warning(tmp_path: Path) -> None:
    app = make_app(SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/app.db")
    assert "PKCE_SQLITE_PRAGMAS" in find(levels(app), "WAL")["fix"]
    with app.app_context():
        app.db.engine.dispose()


@pytest.mark.services
@pytest.mark.parametrize(
    ("options", "warnings", "total"),
    [({}, 2, 20), ({"pool_pre_ping": True, "pool_size": 20}, 0, 50)],
)
def test_the_connections_of_a_process_are_counted_and_compared_with_its_threads(
    monkeypatch: pytest.MonkeyPatch, options: dict, warnings: int, total: int
) -> None:
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--workers=2 --threads 20")
    with empty_database("postgresql") as url:
        app = make_app(SQLALCHEMY_DATABASE_URI=url, SQLALCHEMY_ENGINE_OPTIONS=options)
        found = levels(app)
        with app.app_context():
            app.db.engine.dispose()
    assert find(found, f"at most {total} connections")["level"] == "OK"
    warned = [about for about in found if "does not check" in about or "20 threads" in about]
    assert len(warned) == warnings


def test_scopes_that_are_not_declared_any_more_are_named(app: Flask) -> None:
    register(app, scope=["profile", "gone"])
    assert find(levels(app), "not declared: gone")["level"] == "WARN"


def test_a_challenge_that_is_used_again_is_told_with_its_clients(app: Flask) -> None:
    # RFC 7636 4.1: a verifier for each sign-in
    words = "came more than once"
    browser, known = sign_in(app), [register(app) for _ in range(4)]
    for client in known:
        Flow(browser, client).allow()
    assert find(levels(app), words)["level"] == "OK"
    careless = Flow(browser, known[0])
    careless.allow()
    careless.allow()
    # Two that have their verifier from the same example.
    example = new_verifier()
    for client in known[1:3]:
        Flow(browser, client, verifier=example).allow()
    problem = find(levels(app), words)
    assert problem["level"] == "WARN"
    assert "a new code_verifier for each sign-in" in problem["fix"]
    named = [client.client_id in problem["about"] for client in known]
    assert named == [True, True, True, False]


@pytest.mark.services
def test_a_redis_answers_and_evicts_nothing() -> None:
    with kept_in("redis") as ephemeral:
        found = levels(make_app(**ephemeral))
    assert find(found, "Redis")["level"] == "OK"


@pytest.mark.services
def test_a_redis_that_evicts_is_a_warning() -> None:
    with free_port() as port:
        pass
    with own_redis(port, "--maxmemory-policy", "allkeys-lru"):
        found = find(levels(make_app(PKCE_EPHEMERAL_URL=f"redis://127.0.0.1:{port}")), "Redis")
    assert (found["level"], "allkeys-lru" in found["about"]) == ("WARN", True)
    assert "noeviction" in found["fix"]


def test_a_redis_that_does_not_answer_is_a_failure() -> None:
    with free_port() as port:
        found = levels(make_app(PKCE_EPHEMERAL_URL=f"redis://:secret@127.0.0.1:{port}"), code=1)
    assert find(found, "Redis does not answer")["level"] == "FAIL"
    assert "secret" not in str(found)
