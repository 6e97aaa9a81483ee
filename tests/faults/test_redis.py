"""A Redis that counts for Flask-Limiter and goes away: no answer is a 500."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from flask_limiter import Limiter
from sqlalchemy import func, select

from flask_pkce_server.models.guess import Guess
from flask_pkce_server.testing import Flow, register, server_of

from ..growing.programs import await_that, free_port, needed, stop
from ..host import make_app, sign_in

pytestmark = [pytest.mark.thorough, pytest.mark.services, pytest.mark.programs]


class Redis:
    """A Redis server that the test may stop and bring back."""

    def __init__(self, folder: Path) -> None:
        (self.program,) = needed("redis-server")
        self.port, self.log = free_port(), folder / "redis.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [self.program, "--port", str(self.port), "--bind", "127.0.0.1"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--save", "", "--appendonly", "no"], stdout=log, stderr=log
            )
        await_that(self.answers, self.log)

    def answers(self) -> bool:
        import redis

        client = redis.Redis.from_url(self.url)
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()

    def stop(self) -> None:
        if self.process is not None:
            stop(self.process)
            self.process = None

    def freeze(self) -> None:
        """Have it answer nothing, and refuse nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    server = Redis(tmp_path)
    server.start()
    yield server
    server.stop()


def limited(redis: Redis, **options: Any) -> tuple[Flask, Limiter]:
    """Make a host with limits of its own on every request, counted by Redis."""
    app = make_app(TESTING=False, PKCE_FEATURES={"registration": True})
    limiter = Limiter(
        lambda: request.remote_addr or "",
        app=app,
        storage_uri=redis.url,
        storage_options={"socket_timeout": 0.5, "socket_connect_timeout": 0.5},
        default_limits=["10000 per hour"],
        **options,
    )
    return app, limiter


def sign_up(app: Flask, number: int) -> int:
    """Have a program register itself, which is limited; return the status."""
    metadata = {"client_name": f"Tool {number}", "redirect_uris": ["http://127.0.0.1:8000/cb"]}
    program = app.test_client(use_cookies=False)
    return program.post("/oauth/register", json=metadata).status_code


def counted(app: Flask) -> int:
    """Return how many registrations the database counted."""
    with app.app_context(), server_of(app).store.reading() as session:
        return session.scalar(select(func.sum(Guess.tries))) or 0


def assert_nobody_passes(browser: FlaskClient, flow: Flow, token: str) -> None:
    answers = [flow.refresh(token), flow.post("introspect", {"token": token})]
    answers.append(browser.get("/oauth/jwks"))
    for answer in answers:
        assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "1")
        assert answer.get_json()["error"] == "temporarily_unavailable"
        assert answer.headers["Cache-Control"] == "no-store"
    for page in (flow.authorize(), browser.get("/oauth/apps")):
        assert (page.status_code, page.headers.get("Retry-After")) == (503, "1")
        assert "Try again in a moment." in page.text
        assert page.headers["X-Frame-Options"] == "DENY"


def test_limits_that_fail_let_nobody_pass_until_redis_is_back(redis: Redis) -> None:
    app, limiter = limited(redis)
    browser = sign_in(app)
    flow = Flow(browser, register(app))
    token = flow.tokens()["refresh_token"]
    redis.stop()
    assert_nobody_passes(browser, flow, token)
    redis.start()
    assert flow.refresh(token).status_code == 200
    redis.freeze()
    assert_nobody_passes(browser, flow, token)
    redis.thaw()
    assert flow.authorize().status_code == 302
    limiter.storage.storage.close()


@pytest.mark.parametrize(
    "options",
    [{"swallow_errors": True}, {"in_memory_fallback_enabled": True}],
    ids=["skipped", "counted in memory"],
)
def test_a_host_that_lets_requests_pass_without_redis_is_served(
    redis: Redis, options: dict[str, Any]
) -> None:
    app, limiter = limited(redis, **options)
    browser = sign_in(app)
    flow = Flow(browser, register(app))
    token = flow.tokens()["refresh_token"]
    redis.stop()
    assert flow.refresh(token).status_code == 200
    assert browser.get("/oauth/apps").status_code == 200
    # The limits of this package are kept all the same.
    assert [sign_up(app, number) for number in range(21)] == [201] * 20 + [429]
    assert counted(app) == (20 if "swallow_errors" in options else 0)
    limiter.storage.storage.close()
