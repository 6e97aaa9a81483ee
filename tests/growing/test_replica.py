"""A replica of PostgreSQL: what may lag is read there, and nothing else."""

from __future__ import annotations

import json
import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event
from sqlalchemy.engine import Engine

from ..host import make_app
from .page import config_of
from .postgresql import Server, primary_and_replica
from .programs import tell
from .site import Site, call

pytestmark = [pytest.mark.thorough, pytest.mark.services]

SCOPE = "openid profile offline_access"


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Server, Server]]:
    with primary_and_replica() as servers:
        yield servers


@pytest.fixture
def primary(servers: tuple[Server, Server]) -> Server:
    return servers[0]


@pytest.fixture
def replica(servers: tuple[Server, Server]) -> Iterator[Server]:
    yield servers[1]
    if servers[1].process is None:
        servers[1].start()
    servers[1].resume()


@pytest.fixture
def app(primary: Server, replica: Server) -> Iterator[Flask]:
    with host(primary, replica) as app:
        yield app


@contextmanager
def host(primary: Server, replica: Server, **config: Any) -> Iterator[Flask]:
    """Give an app on a new database of the primary, with the settings of docs/growing.md."""
    tell(primary.url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    settings = {**config_of("A replica"), "PKCE_READ_ENGINE_URI": replica.url, **config}
    app = make_app(SQLALCHEMY_DATABASE_URI=primary.url, TESTING=False, **settings)
    try:
        yield app
    finally:
        with app.app_context():
            app.db.engine.dispose()


@pytest.fixture
def site(app: Flask, replica: Server) -> Site:
    site = Site(app, replica)
    site.catch_up()
    return site


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """Give the statements that are sent to `engine` meanwhile."""
    sent: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *more: Any) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_introspection_reads_our_tables_in_the_replica_alone(site: Site) -> None:
    with site.app.app_context():
        host = site.app.db.engine
    with statements(host) as sent:
        assert site.is_active(site.tokens["access_token"])
        # The user is the app's own, and read by the app.
        assert sent
        assert not [statement for statement in sent if "pkce_" in statement]
        call(site.app, site.tokens["access_token"])
        assert [statement for statement in sent if "pkce_token" in statement]


def test_a_token_that_the_replica_does_not_know_yet_is_active(site: Site) -> None:
    site.replica.pause()
    assert site.is_active(site.user.tokens()["access_token"])


def test_a_client_that_the_replica_does_not_know_yet_may_ask(site: Site) -> None:
    site.replica.pause()
    assert site.is_active(site.tokens["access_token"], site.new_api())


def test_a_secret_that_the_replica_does_not_know_yet_is_accepted(site: Site) -> None:
    site.replica.pause()
    args = ["pkce", "client", "rotate-secret", site.api.client.client_id, "--json"]
    printed = site.app.test_cli_runner().invoke(args=args).output
    site.api.client.client_secret = json.loads(printed)["client_secret"]
    assert site.is_active(site.tokens["access_token"])


def test_a_revoked_token_is_active_for_the_lag_at_most_and_only_for_introspection(
    site: Site,
) -> None:
    site.replica.pause()
    token, refresh = site.tokens["access_token"], site.tokens["refresh_token"]
    assert site.user.revoke(token).status_code == 200
    assert site.is_active(token)
    # What must be current is: guards, userinfo, codes, refresh tokens.
    assert call(site.app, token).status_code == 401
    assert call(site.app, token, "/oauth/userinfo").status_code == 401
    assert site.user.refresh(refresh).status_code == 400
    site.replica.resume()
    site.catch_up()
    assert not site.is_active(token)


def test_a_replica_that_is_too_far_behind_is_not_read(
    primary: Server, replica: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with host(primary, replica, PKCE_READ_ENGINE_MAX_LAG=2) as app:
        site = Site(app, replica)
        site.catch_up()
        replica.pause()
        token = site.tokens["access_token"]
        site.user.revoke(token)
        revoked_at = time.monotonic()
        with caplog.at_level(logging.WARNING, "flask_pkce_server.models.replica"):
            while site.is_active(token):
                assert time.monotonic() - revoked_at < 4
                time.sleep(0.1)
            site.look()
            assert [record.message for record in caplog.records] == [
                "the replica is not used, the primary answers instead: "
                "it is more than 2 seconds behind"
            ]
            caplog.clear()
            replica.resume()
            site.catch_up()
        assert [record.message for record in caplog.records] == ["the replica is used again"]


def test_without_the_replica_the_primary_answers_and_it_is_logged_once(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    token = site.tokens["access_token"]
    with caplog.at_level(logging.WARNING, "flask_pkce_server.models.replica"):
        site.replica.stop()
        assert site.is_active(token)
        site.look()
        site.user.revoke(token)
        assert not site.is_active(token)
        assert len(caplog.records) == 1
        assert "the primary answers instead" in caplog.text
        site.replica.start()
        site.catch_up()
    assert caplog.records[-1].message == "the replica is used again"
    assert len(caplog.records) == 2


def test_a_replica_that_hangs_holds_up_one_request(site: Site) -> None:
    token = site.tokens["access_token"]
    # What the last look found counts for two seconds.
    time.sleep(2.1)
    site.replica.send(signal.SIGSTOP)
    looking = threading.Thread(target=site.is_active, args=[token])
    try:
        looking.start()
        time.sleep(0.5)
        assert looking.is_alive()
        started = time.monotonic()
        assert site.is_active(token)
        assert time.monotonic() - started < 1
    finally:
        site.replica.send(signal.SIGCONT)
        looking.join()


def test_an_app_starts_without_its_replica(primary: Server, replica: Server) -> None:
    replica.stop()
    with host(primary, replica) as app:
        site = Site(app, replica)
        assert site.is_active(site.tokens["access_token"])


def findings(app: Flask) -> list[tuple[str, str]]:
    printed = json.loads(app.test_cli_runner().invoke(args=["pkce", "doctor", "--json"]).output)
    return [(found["level"], found["about"]) for found in printed if "replica" in found["about"]]


def test_the_doctor_tells_the_lag(site: Site) -> None:
    assert findings(site.app) == [("OK", "The replica is 0.0 seconds behind.")]
    site.replica.pause()
    site.user.tokens()
    time.sleep(0.2)
    ((level, about),) = findings(site.app)
    assert level == "OK"
    assert about != "The replica is 0.0 seconds behind."
    site.replica.stop()
    ((level, about),) = findings(site.app)
    assert level == "WARN"
    assert "the primary answers instead" in about


def test_the_doctor_knows_a_server_that_is_no_replica(primary: Server) -> None:
    with host(primary, primary) as app:
        assert findings(app) == [
            ("WARN", "The replica is not used, the primary answers instead: it is not a replica.")
        ]
