"""Users of a plain model are read in one round trip, and belong to the host's session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_login import LoginManager, UserMixin
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import ForeignKey, String, event, inspect
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship, with_loader_criteria

from flask_pkce_server import PKCEServer
from flask_pkce_server.testing import server_of


class Host:
    """An app whose users are of a model that `declare` makes, in a SQLite file."""

    def __init__(self, folder: Path, declare: Callable[[Any], type]) -> None:
        self.app, self.db = Flask("host"), SQLAlchemy()
        self.app.config.update(
            TESTING=True,
            SECRET_KEY="k" * 16 + "abcdefgh",
            PKCE_ISSUER="https://auth.example",
            SQLALCHEMY_DATABASE_URI=f"sqlite:///{folder}/app.db",
        )
        self.db.init_app(self.app)
        self.User = declare(self.db)
        LoginManager(self.app)
        PKCEServer(self.db).init_app(self.app)
        with self.app.app_context():
            self.db.create_all()
            self.db.session.add(self.User(id=1, name="Ada"))
            self.db.session.commit()
            # The first look at a user model asks the database, with the session, how it gives keys.
            server_of(self.app).users.check()
            self.db.session.remove()

    def load(self, subject: str = "1") -> tuple[Any, bool]:
        """Load a user; return it, and whether the host's session has a connection then."""
        user = server_of(self.app).users.load(subject)
        return user, self.db.engine.pool.checkedout() > 0


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path, simple)
    with host.app.app_context():
        yield host
        host.db.engine.dispose()


def simple(db: Any) -> type:
    class Note(db.Model):
        id: Mapped[int] = mapped_column(primary_key=True)
        user_id: Mapped[int] = mapped_column(ForeignKey("user.id"))

    class User(UserMixin, db.Model):
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(80))
        is_gone: Mapped[bool] = mapped_column(default=False)
        notes = relationship(Note)

    return User


def test_the_session_of_the_host_takes_no_connection_and_has_the_user(host: Host) -> None:
    user, began = host.load()
    assert (user.name, began) == ("Ada", False)
    assert inspect(user).session is host.db.session()
    assert host.db.session.get(host.User, 1) is user
    # What is loaded later is loaded by the session.
    assert user.notes == []
    assert host.load("2") == (None, True)


def test_what_the_host_changes_is_stored(host: Host) -> None:
    user, _ = host.load()
    user.name = "Ada Lovelace"
    host.db.session.commit()
    host.db.session.remove()
    assert host.load()[0].name == "Ada Lovelace"


def test_who_is_loaded_already_is_not_read_again(host: Host) -> None:
    mine = host.db.session.get(host.User, 1)
    mine.name = "Not stored yet"
    assert host.load()[0] is mine


def test_a_transaction_of_the_host_reads_what_it_wrote(host: Host) -> None:
    host.db.session.add(host.User(id=2, name="Bob"))
    host.db.session.flush()
    assert host.load("2")[0].name == "Bob"
    host.db.session.rollback()
    assert host.load("2")[0] is None


def test_users_that_the_host_hides_are_hidden(host: Host) -> None:
    @event.listens_for(host.db.session, "do_orm_execute")
    def hide(state: Any) -> None:
        present = with_loader_criteria(host.User, lambda model: model.is_gone.is_(False))
        state.statement = state.statement.options(present)

    user, began = host.load()
    assert (user.name, began) == ("Ada", True)
    user.is_gone = True
    host.db.session.commit()
    host.db.session.remove()
    assert host.load()[0] is None


def test_what_the_host_does_in_each_transaction_is_done(host: Host) -> None:
    begun = []
    event.listen(host.db.session, "after_begin", lambda *facts: begun.append(facts))
    assert host.load()[1] is True
    assert begun


@pytest.mark.parametrize("name", ["do_orm_execute", "loaded_as_persistent"])
def test_listeners_of_all_sessions_count_too(host: Host, name: str) -> None:
    heard = []

    def hear(*facts: Any) -> None:
        heard.append(facts)

    event.listen(Session, name, hear)
    try:
        assert host.load()[1] is True
    finally:
        event.remove(Session, name, hear)
    assert heard


def eager(db: Any) -> type:
    class Note(db.Model):
        id: Mapped[int] = mapped_column(primary_key=True)
        user_id: Mapped[int] = mapped_column(ForeignKey("user.id"))

    class User(UserMixin, db.Model):
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(80))
        notes = relationship(Note, lazy="joined")

    return User


def several_classes(db: Any) -> type:
    class User(UserMixin, db.Model):
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(80))
        kind: Mapped[str] = mapped_column(String(20), default="user")
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "user"}  # noqa: RUF012

    return User


def prepared(db: Any) -> type:
    class User(UserMixin, db.Model):
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(80))

    event.listen(User, "load", lambda user, context: setattr(user, "prepared", True))
    return User


def deferred(db: Any) -> type:
    class User(UserMixin, db.Model):
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(80), deferred=True)

    return User


@pytest.mark.parametrize("declare", [eager, several_classes, prepared, deferred])
def test_a_model_that_is_more_than_its_columns_is_read_by_the_session(
    tmp_path: Path, declare: Callable[[Any], type]
) -> None:
    host = Host(tmp_path, declare)
    with host.app.app_context():
        user, began = host.load()
        assert (user.name, began) == ("Ada", True)
        assert hasattr(user, "prepared") == (declare is prepared)
        host.db.engine.dispose()
