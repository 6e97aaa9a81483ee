"""The unit of work, and the tables in the host's metadata."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import MetaData, select
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from flask_pkce_server.models.base import Base, copy_tables
from flask_pkce_server.models.consent import Asked, Consent, remember
from flask_pkce_server.models.failure import Failure, failure_of
from flask_pkce_server.models.standing import standing
from flask_pkce_server.models.store import RETRIES

from ..host import make_app
from ..services import empty_database


class Busy(Exception):
    """What a driver raises; `sqlstate` is psycopg's, the number PyMySQL's."""

    def __init__(self, *args: object, sqlstate: str | None = None) -> None:
        super().__init__(*args)
        self.sqlstate = sqlstate


ASKED = Asked("1", "notebook", frozenset({"profile"}))


def error(*args: object, sqlstate: str | None = None) -> OperationalError:
    return OperationalError("UPDATE", {}, Busy(*args, sqlstate=sqlstate))


TAKEN = IntegrityError("INSERT", {}, Busy("UNIQUE constraint failed"))
LOST = OperationalError("UPDATE", {}, Busy("server has gone away"), connection_invalidated=True)


@pytest.mark.parametrize(
    ("raised", "failure"),
    [
        (error("could not serialize", sqlstate="40001"), Failure.BUSY),
        (error("deadlock detected", sqlstate="40P01"), Failure.BUSY),
        (error(1213, "Deadlock found"), Failure.BUSY),
        (error(1205, "Lock wait timeout exceeded"), Failure.BUSY),
        (error(1020, "Record has changed since last read"), Failure.BUSY),
        (error("database is locked"), Failure.BUSY),
        (TAKEN, Failure.TAKEN),
        (LOST, Failure.LOST),
        (OperationalError(None, None, Busy("connection refused")), Failure.UNREACHABLE),
        (error(1047, "WSREP has not yet prepared node for application use"), Failure.UNREACHABLE),
        (PoolTimeout("QueuePool limit of size 5 overflow 0 reached"), Failure.UNREACHABLE),
        (OperationalError(None, None, sqlite3.OperationalError("unable to open")), None),
        (error("no such table: pkce_token"), None),
        (error(), None),
        (ValueError(), None),
    ],
)
def test_what_may_succeed_next_time_is_told_from_what_will_not(
    raised: Exception, failure: Failure | None
) -> None:
    assert failure_of(raised) is failure


def test_a_unit_of_work_is_run_until_it_succeeds(app: Flask) -> None:
    store, tries = app.extensions["pkce"].store, []

    def work(session: Session) -> str:
        remember(session, ASKED, 1)
        session.flush()
        tries.append(1)
        if len(tries) < 3:
            raise error("database is locked")
        return "done"

    with app.app_context():
        assert store.write(work) == "done"
        with store.reading() as session:
            assert standing(session.connection(), ASKED, 1).scopes == {"profile"}
    assert len(tries) == 3


@pytest.mark.parametrize(
    ("raised", "tries"),
    [
        (error("database is locked"), 1 + RETRIES[Failure.BUSY]),
        (TAKEN, 3),
        (LOST, 2),
        (error("no such table"), 1),
    ],
)
def test_and_gives_up_in_the_end_with_nothing_written(
    app: Flask, raised: DBAPIError, tries: int
) -> None:
    store, seen = app.extensions["pkce"].store, []

    def work(session: Session) -> None:
        remember(session, ASKED, 1)
        session.flush()
        seen.append(1)
        raise raised

    with app.app_context():
        with pytest.raises(type(raised)):
            store.write(work)
        with store.reading() as session:
            assert session.scalars(select(Consent)).all() == []
    assert len(seen) == tries


#: What a collation may take for one.
ALIKE = ["ADA", "Ada", "ada", "ada ", "ad\xe1", "ada\u0301", "\U0001f511" * 255]


def alike(name: str) -> Asked:
    return Asked(name, name, frozenset({"a"}))


@pytest.mark.parametrize(
    "service",
    [
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.services),
        pytest.param("mariadb", marks=pytest.mark.services),
    ],
)
def test_identifiers_that_look_alike_differ_in_every_database(service: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        url = f"sqlite:///{tmp_path}/app.db"
        if service != "sqlite":
            url = stack.enter_context(empty_database(service))
        app = make_app(SQLALCHEMY_DATABASE_URI=url)
        with app.app_context():
            stack.callback(app.db.engine.dispose)
            store = app.extensions["pkce"].store
            for subject in ALIKE:
                store.write(lambda session, who=subject: remember(session, alike(who), 1))
            with store.reading() as session:
                for subject in ALIKE:
                    assert standing(session.connection(), alike(subject), 1).scopes == {"a"}
                    found = select(Consent.subject).where(Consent.client_id == subject)
                    assert session.scalars(found).all() == [subject]
                assert set(session.scalars(select(Consent.subject).distinct())) == {*ALIKE}


def test_the_tables_are_copied_into_the_hosts_metadata_once() -> None:
    metadata = MetaData()
    copy_tables(metadata)
    copy_tables(metadata)
    assert set(metadata.tables) == set(Base.metadata.tables)
    assert {index.name for index in metadata.tables["pkce_token"].indexes} == {
        index.name for index in Base.metadata.tables["pkce_token"].indexes
    }


def test_no_table_refers_to_another_and_hot_ones_have_a_digest_for_a_key() -> None:
    # So that they can be spread over machines by configuration alone.
    for table in Base.metadata.sorted_tables:
        assert not table.foreign_keys
        assert all(column.autoincrement is not True for column in table.primary_key)
    for name in ("pkce_authorization_code", "pkce_token", "pkce_consent"):
        assert [column.name for column in Base.metadata.tables[name].primary_key] == ["digest"]
