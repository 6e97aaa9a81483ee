"""On SQLite, no user gets the primary key of a deleted one, and with it the subject."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text

from flask_pkce_server import ConfigurationError
from flask_pkce_server.testing import Flow, register, server_of

from ..counting import Counted
from ..host import User, make_app, sign_in

#: As SQLAlchemy writes it by itself.
WITHOUT = (
    "CREATE TABLE user (id INTEGER NOT NULL, username VARCHAR(80) UNIQUE, name VARCHAR(80), "
    "active BOOLEAN, PRIMARY KEY (id))"
)


def made_with(statement: str, app: Flask) -> None:
    """Make the table of users by an SQL statement."""
    with app.app_context(), app.db.engine.begin() as connection:
        connection.execute(text("DROP TABLE user"))
        connection.execute(text(statement))
        connection.execute(text("INSERT INTO user VALUES (1, 'ada', 'Ada Lovelace', 1)"))


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    app = make_app(SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/app.db")
    yield app
    with app.app_context():
        app.db.engine.dispose()


def test_a_table_that_the_app_creates_gives_each_key_once(app: Flask) -> None:
    with app.app_context():
        for _ in range(2):
            carol = User(username="carol", name="Carol")
            app.db.session.add(carol)
            app.db.session.commit()
            last = carol.id
            app.db.session.delete(carol)
            app.db.session.commit()
    assert last == 4
    doctor = app.test_cli_runner().invoke(args=["pkce", "doctor"])
    assert "OK    Each user has a subject of their own." in doctor.output


def test_a_table_that_gives_keys_again_is_refused(app: Flask) -> None:
    made_with(WITHOUT, app)
    doctor = app.test_cli_runner().invoke(args=["pkce", "doctor"])
    assert doctor.exit_code == 1
    assert "FAIL  On SQLite, a new row in the table user" in doctor.output
    visitor = Flow(app.test_client(), register(app))
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="sqlite_autoincrement"):
            visitor.authorize()
    with pytest.raises(ConfigurationError, match="sqlite_autoincrement"):
        sign_in(app)
    with app.test_request_context(), pytest.raises(ConfigurationError, match="of a deleted one"):
        server_of(app).users.load("1")


def test_and_is_used_again_once_it_was_created_anew(app: Flask) -> None:
    made_with(WITHOUT, app)
    with pytest.raises(ConfigurationError):
        sign_in(app)
    made_with(
        WITHOUT.replace("NOT NULL", "PRIMARY KEY AUTOINCREMENT").replace(", PRIMARY KEY (id)", ""),
        app,
    )
    assert "access_token" in Flow(sign_in(app), register(app)).tokens()


@pytest.mark.parametrize(
    "statement",
    [
        WITHOUT.replace("INTEGER", "BIGINT"),
        WITHOUT.replace("INTEGER", "VARCHAR(36)"),
        WITHOUT + " WITHOUT ROWID",
    ],
)
def test_keys_that_sqlite_does_not_choose_are_the_hosts_business(
    app: Flask, statement: str
) -> None:
    made_with(statement, app)
    assert "access_token" in Flow(sign_in(app), register(app)).tokens()


def test_a_subject_of_the_hosts_own_is_not_checked(app: Flask) -> None:
    made_with(WITHOUT, app)
    # Whoever writes this knows what they do.
    app.pkce.user_subject(lambda user: str(user.id))
    assert "access_token" in Flow(sign_in(app), register(app)).tokens()
    output = app.test_cli_runner().invoke(args=["pkce", "doctor"]).output
    assert "Each user has a subject of their own." in output


def test_the_database_is_asked_once(app: Flask) -> None:
    with app.test_request_context():
        users, ada = server_of(app).users, app.db.session.get(User, 1)
        counted = Counted(app)
        with counted.expect(1, 0):
            assert users.subject_of(ada) == "1"
        with counted.expect(0, 0):
            assert users.subject_of(ada) == "1"
            users.check()


def test_the_check_leaves_alone_what_the_host_has_begun() -> None:
    # In memory there is one connection: to give back a second one would roll back the first.
    app = make_app()
    with app.test_request_context():
        app.db.session.add(carol := User(username="carol", name="Carol"))
        app.db.session.flush()
        assert server_of(app).users.subject_of(carol) == "3"
        app.db.session.commit()
        assert app.db.session.get(User, 3) is carol
