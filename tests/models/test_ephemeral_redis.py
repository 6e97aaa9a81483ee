"""Ephemeral in Redis: what it keeps there, and that nothing passes while it is away."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from flask_pkce_server import ConfigurationError
from flask_pkce_server.errors import TemporarilyUnavailable
from flask_pkce_server.models import ephemeral_redis
from flask_pkce_server.models.client import Client
from flask_pkce_server.models.guess import TooManyGuesses
from flask_pkce_server.testing import Flow, register, server_of

from ..device import Device, television
from ..ephemeral import PREFIX, counts, free_port, kept_in, own_redis
from ..host import make_app, sign_in
from ..registering import NATIVE, opened, post
from ..services import REDIS_URL
from ..signing import SIGNER, claims, registered

pytestmark = pytest.mark.thorough
services = pytest.mark.services

NOW = 1790000400


@pytest.fixture
def settings() -> Iterator[dict[str, str]]:
    with kept_in("redis") as settings:
        yield settings


@services
def test_where_nobody_knows_whether_it_was_done_it_counts(settings: dict[str, str]) -> None:
    app = make_app(**settings)

    def lose(session: Session) -> None:
        raise OperationalError("", {}, Exception("gone"), connection_invalidated=True)

    with app.app_context(), pytest.raises(OperationalError):
        server_of(app).ephemeral.write(lose, {"ada": 1}, NOW)
    assert counts(app) == [1]


@services
def test_what_redis_has_lost_is_no_room_for_more(settings: dict[str, str]) -> None:
    app = make_app(**settings)
    with app.app_context():
        ephemeral = server_of(app).ephemeral
        ephemeral.give_back({"ada": 1}, NOW)
        ephemeral.take({"ada": 1}, NOW)
        with pytest.raises(TooManyGuesses):
            ephemeral.take({"ada": 1}, NOW)


@services
def test_every_key_expires_and_no_name_of_anybody_is_in_it(settings: dict[str, str]) -> None:
    app = make_app(**settings)
    with app.app_context(), redis.Redis.from_url(REDIS_URL) as client:
        server_of(app).ephemeral.spend("app", "one", NOW + 300, {"ada": 5}, NOW)
        keys = {key.decode(): client.ttl(key) for key in client.scan_iter(f"{PREFIX}*")}
    of_jti, of_count = (
        next(key for key in keys if key.startswith(f"{PREFIX}{kind}:")) for kind in ("jti", "count")
    )
    assert len(keys) == 2
    # As long as clocks that are slow may need it.
    assert 350 <= keys[of_jti] <= 360
    assert 1190 <= keys[of_count] <= 1200
    assert "ada" not in of_count


@services
def test_two_servers_in_one_redis_count_by_themselves(settings: dict[str, str]) -> None:
    # Their issuers tell them apart.
    del settings["PKCE_EPHEMERAL_PREFIX"]
    apps = [make_app(**settings, PKCE_ISSUER=f"https://{name}.{PREFIX[-9:-1]}") for name in "ab"]
    try:
        for app in apps:
            with app.app_context():
                server_of(app).ephemeral.spend("app", "one", NOW + 300, {"ada": 1}, NOW)
        with apps[0].app_context(), pytest.raises(TooManyGuesses):
            server_of(apps[0]).ephemeral.take({"ada": 1}, NOW)
    finally:
        with redis.Redis.from_url(REDIS_URL) as client:
            for key in client.scan_iter(f"pkce:https://?.{PREFIX[-9:-1]}:*"):
                client.delete(key)


def requests_that_count(app: Flask) -> list[Any]:
    """Send one request of each kind that cannot be answered without a count."""
    device = Device(sign_in(app), television(app))
    assertion = SIGNER.sign(claims(app, registered(app).client_id))
    signed = {
        "grant_type": "refresh_token",
        "refresh_token": "x",
        "client_assertion": assertion,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
    program = app.test_client(use_cookies=False)
    return [
        device.start(),
        device.enter("BCDF-GHJK"),
        post(app, NATIVE),
        program.post("/oauth/token", data=signed),
    ]


def test_without_redis_nothing_passes_and_the_rest_works(tmp_path: Path) -> None:
    with free_port() as port:
        app = opened(
            PKCE_EPHEMERAL_URL=f"redis://:password@127.0.0.1:{port}/0",
            SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/app.db",
            TESTING=False,
        )
        answers = requests_that_count(app)
        assert Flow(sign_in(app), register(app)).tokens()
    assert [answer.status_code for answer in answers] == [503] * 4
    assert {answer.headers["Retry-After"] for answer in answers} == {"1"}
    # The second is a page.
    errors = [answer.get_json()["error"] for answer in answers if answer.is_json]
    assert errors == ["temporarily_unavailable"] * 3
    with app.app_context():
        with server_of(app).store.reading() as session:
            assert [c for c in session.query(Client) if c.self_registered] == []
        app.db.engine.dispose()


def test_a_redis_that_says_nothing_is_not_waited_for() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        app = make_app(PKCE_EPHEMERAL_URL=f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        began = time.monotonic()
        with app.app_context(), pytest.raises(TemporarilyUnavailable):
            server_of(app).ephemeral.take({"ada": 1}, NOW)
        assert time.monotonic() - began < 4 * ephemeral_redis.TIMEOUT


@services
def test_a_redis_that_comes_back_is_used_again(caplog: pytest.LogCaptureFixture) -> None:
    with free_port() as port:
        pass
    app = make_app(PKCE_EPHEMERAL_URL=f"redis://127.0.0.1:{port}/0")
    with app.app_context():
        ephemeral = server_of(app).ephemeral
        with own_redis(port):
            ephemeral.take({"ada": 9}, NOW)
            done = ephemeral.write(lambda session: stop(port), {"ada": 9}, NOW, is_free=bool)
            # What is done is done; that it was free is what got lost.
            assert done
            with pytest.raises(TemporarilyUnavailable):
                ephemeral.take({"ada": 9}, NOW)
        with own_redis(port):
            ephemeral.take({"ada": 9}, NOW)
            assert counts_at(port) == [1]
    assert "Redis is not available: " in caplog.text


def stop(port: int) -> bool:
    with redis.Redis(port=port) as client:
        client.shutdown(nosave=True)
    return True


def counts_at(port: int) -> list[int]:
    with redis.Redis(port=port) as client:
        return [int(client.get(key)) for key in client.scan_iter("*:count:*")]


@services
def test_a_redis_that_is_full_lets_nothing_pass() -> None:
    with free_port() as port:
        pass
    app = make_app(PKCE_EPHEMERAL_URL=f"redis://127.0.0.1:{port}/0")
    with own_redis(port, "--maxmemory", "1"), app.app_context():
        ephemeral = server_of(app).ephemeral
        with pytest.raises(TemporarilyUnavailable):
            ephemeral.take({"ada": 9}, NOW)
        with pytest.raises(TemporarilyUnavailable):
            ephemeral.spend("app", "one", NOW + 300, {}, NOW)


@pytest.mark.parametrize("url", ["", "127.0.0.1:6379", "http://:secret@127.0.0.1/", "redis://h:x"])
def test_what_is_no_url_of_a_redis_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="not the URL of a Redis") as raised:
        make_app(PKCE_EPHEMERAL_URL=url)
    assert "Write: app.config" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_without_the_package_the_line_to_write_is_said() -> None:
    # In a process of its own: here, the package has been imported.
    program = (
        "import sys; sys.modules['redis'] = None\n"
        "from tests.host import make_app\n"
        "make_app(PKCE_EPHEMERAL_URL='redis://127.0.0.1')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "pip install 'Flask-PKCE-Server[redis]'" in done.stderr, done.stderr
