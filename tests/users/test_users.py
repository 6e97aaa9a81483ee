"""The host's users, where Flask-Login is found by itself."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from flask import Flask
from flask_login import LoginManager, UserMixin
from flask_sqlalchemy import SQLAlchemy

from flask_pkce_server import ConfigurationError, PKCEServer

from ..host import SECRET_KEY, sign_in


def bare_app() -> tuple[Flask, SQLAlchemy]:
    app, db = Flask("bare"), SQLAlchemy()
    app.config.update(TESTING=True, SECRET_KEY=SECRET_KEY, SQLALCHEMY_DATABASE_URI="sqlite://")
    db.init_app(app)
    return app, db


def users_of(app: Flask):
    return app.extensions["pkce"].users


def test_the_subject_is_the_primary_key_and_finds_the_user_again(app: Flask) -> None:
    with app.test_request_context():
        ada = app.db.session.get(app.User, 1)
        assert users_of(app).subject_of(ada) == "1"
        assert users_of(app).load("1") is ada


@pytest.mark.parametrize("subject", ["99", "not-a-number", ""])
def test_a_subject_that_is_nobody_finds_nobody(app: Flask, subject: str) -> None:
    with app.test_request_context():
        assert users_of(app).load(subject) is None


def test_who_is_not_active_is_nobody(app: Flask) -> None:
    with app.test_request_context():
        app.db.session.get(app.User, 1).active = False
        assert users_of(app).load("1") is None


def test_nobody_is_signed_in_until_somebody_is(app: Flask) -> None:
    browser = sign_in(app)
    with browser.session_transaction() as session, app.test_request_context():
        assert users_of(app).current() is None
        assert session["_user_id"] == "1"


@pytest.mark.parametrize(
    ("user", "name"),
    [
        (SimpleNamespace(name="Ada", username="ada"), "Ada"),
        (SimpleNamespace(name="", username="ada"), "ada"),
        (SimpleNamespace(email="ada@example.com"), "ada@example.com"),
        ({"email": "ada@example.com"}, "ada@example.com"),
    ],
)
def test_an_account_is_called_by_what_a_person_would_recognise(
    app: Flask, user: object, name: str
) -> None:
    with app.test_request_context():
        assert users_of(app).name_of(user) == name


def test_users_that_are_not_in_sql_are_flask_logins_business() -> None:
    app, db = bare_app()
    login = LoginManager(app)

    class Person(UserMixin):
        id = "ada"

    login.user_loader(lambda user_id: Person() if user_id == "ada" else None)
    PKCEServer(db).init_app(app)
    with app.test_request_context():
        assert users_of(app).subject_of(Person()) == "ada"
        assert isinstance(users_of(app).load("ada"), Person)
        assert users_of(app).load("bob") is None


def test_without_flask_login_the_decorators_are_named() -> None:
    app, db = bare_app()
    PKCEServer(db).init_app(app)
    with (
        app.test_request_context(),
        pytest.raises(ConfigurationError, match="Flask-Login is not set up"),
    ):
        users_of(app).current()


@pytest.mark.parametrize(
    "subject",
    [1, None, "", "x" * 256, " ada", "ada ", "ada\u3000", "a\0da", "a\nda", "a\x85da", "a\ud800da"],
)
def test_a_subject_is_a_text_that_every_database_tells_apart(app: Flask, subject: object) -> None:
    app.pkce.user_subject(lambda user: subject)
    app.pkce.user_loader(lambda subject: None)
    with pytest.raises(ConfigurationError, match="The subject of a user"):
        sign_in(app)


def test_a_subject_may_be_of_any_script(app: Flask) -> None:
    app.pkce.user_subject(lambda user: "añá+1@example.com 村")
    app.pkce.user_loader(lambda subject: None)
    with app.test_request_context():
        assert users_of(app).subject_of(object()) == "añá+1@example.com 村"


def test_somebody_who_is_not_active_is_still_found(app: Flask) -> None:
    with app.test_request_context():
        app.db.session.get(app.User, 1).active = False
        assert users_of(app).find("1") is not None
        assert users_of(app).find("99") is None
