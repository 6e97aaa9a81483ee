"""What a user had allowed ends with the row of the user."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from flask_pkce_server import ConfigurationError
from flask_pkce_server.models import client_owner
from flask_pkce_server.models.client_owner import ClientOwner
from flask_pkce_server.testing import Flow, register, server_of

from ..host import User, make_app, sign_in


@pytest.fixture
def app() -> Flask:
    return make_app()


@pytest.fixture
def flow(client: FlaskClient, app: Flask) -> Flow:
    return Flow(client, register(app), scope="profile offline_access")


def is_live(app: Flask, tokens: dict) -> bool:
    """Return whether the access token is live."""
    server = server_of(app)
    return server.find_token(tokens["access_token"]).is_live(server.now())


def test_a_deleted_user_leaves_nothing_that_can_be_used(app: Flask, flow: Flow) -> None:
    tokens, code = flow.tokens(), flow.allow()["code"]
    bobs = Flow(sign_in(app, "bob"), flow.client).tokens()
    with app.app_context():
        app.db.session.delete(app.db.session.get(User, 1))
        app.db.session.commit()
        # The same person again, restored from a backup: nothing is left for them either.
        app.db.session.add(User(id=1, username="ada", name="Ada Lovelace"))
        app.db.session.commit()
        assert not is_live(app, tokens)
        assert is_live(app, bobs)
    assert flow.refresh(tokens["refresh_token"]).get_json()["error"] == "invalid_grant"
    assert flow.redeem(code).get_json()["error"] == "invalid_grant"
    flow.browser = sign_in(app)
    assert flow.authorize().status_code == 200, "asked again"


def test_the_apps_that_a_deleted_user_registered_are_nobodys(app: Flask) -> None:
    with app.app_context():
        server = server_of(app)
        adas, bobs = register(app, name="Of Ada"), register(app, name="Of Bob")
        for client, subject in ((adas, "1"), (bobs, "2")):
            owner = ClientOwner(client_id=client.client_id, subject=subject, number=1)
            server.store.write(lambda session, owner=owner: session.add(owner))
        app.db.session.delete(app.db.session.get(User, 1))
        app.db.session.commit()
        # Their users may go on with them.
        assert server.find_client(adas.client_id) is not None
        with server.store.reading() as session:
            assert client_owner.owned(session, "1") == []
            assert [one.client_id for one in client_owner.owned(session, "2")] == [bobs.client_id]


def test_it_ends_when_the_transaction_is_committed_and_not_before(
    tmp_path: Path,
) -> None:
    app = make_app(SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/app.db")
    tokens = Flow(sign_in(app), register(app)).tokens()
    with app.app_context():
        # Without these two, a savepoint of SQLite is a transaction:
        # https://docs.sqlalchemy.org/en/20/dialects/sqlite.html#pysqlite-serializable
        app.db.engine.dispose()
        event.listen(
            app.db.engine, "connect", lambda dbapi, record: setattr(dbapi, "isolation_level", None)
        )
        event.listen(app.db.engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        for end, lives in ((app.db.session.rollback, True), (app.db.session.commit, False)):
            with app.db.session.begin_nested():
                app.db.session.delete(app.db.session.get(User, 1))
            assert is_live(app, tokens)
            end()
            assert is_live(app, tokens) is lives
        app.db.engine.dispose()


def test_a_rollback_ends_nothing(app: Flask, flow: Flow) -> None:
    tokens = flow.tokens()
    with app.app_context():
        ada = app.db.session.get(User, 1)
        app.db.session.delete(ada)
        app.db.session.flush()
        app.db.session.rollback()
        savepoint = app.db.session.begin_nested()
        app.db.session.delete(ada)
        app.db.session.flush()
        savepoint.rollback()
        app.db.session.commit()
        app.db.session.delete(ada)
        app.db.session.flush()
        app.db.session.remove()
        app.db.session.get(User, 2).name = "Robert"
        app.db.session.commit()
        assert is_live(app, tokens)


def test_a_session_of_the_hosts_own_and_a_subject_of_the_hosts_own_do_as_well(
    app: Flask, flow: Flow
) -> None:
    app.pkce.user_subject(lambda user: f"u-{user.username}")
    app.pkce.user_loader(
        lambda subject: app.db.session.scalar(
            app.db.select(User).filter_by(username=subject.removeprefix("u-"))
        )
    )
    tokens = flow.tokens()
    with app.app_context():
        with Session(app.db.engine) as session:
            session.delete(session.get(User, 1))
            session.commit()
        assert not is_live(app, tokens)


def test_a_host_whose_users_could_not_be_told_apart_can_delete_them(app: Flask) -> None:
    def two_kinds(user: User) -> str:
        raise ConfigurationError("Users are of two kinds.", write="...")

    app.pkce.user_subject(two_kinds)
    with app.app_context():
        app.db.session.delete(app.db.session.get(User, 1))
        app.db.session.commit()
        assert app.db.session.get(User, 1) is None


def test_a_database_that_fails_then_does_not_undo_the_deletion(
    app: Flask, flow: Flow, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = flow.tokens()
    with app.app_context():
        with app.db.engine.begin() as connection:
            connection.execute(text("ALTER TABLE pkce_consent RENAME TO elsewhere"))
        app.db.session.delete(app.db.session.get(User, 1))
        app.db.session.commit()
        assert app.db.session.get(User, 1) is None
    assert "what a deleted user had allowed could not be ended" in caplog.text
    assert flow.refresh(tokens["refresh_token"]).get_json()["error"] == "invalid_grant"
