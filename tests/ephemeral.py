"""Where what is short-lived is in a test: in the database, or in a Redis of which it has a part."""

from __future__ import annotations

import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis
from flask import Flask
from sqlalchemy import select

from flask_pkce_server.models.guess import Guess
from flask_pkce_server.testing import server_of

from .services import REDIS_URL, missing

#: For tests that are run in both.
KINDS = ["database", pytest.param("redis", marks=pytest.mark.services)]
IN_BOTH = pytest.mark.parametrize("ephemeral", KINDS, indirect=True)
#: The same for all tests of a process, which run one after the other.
PREFIX = f"pkce:test:{secrets.token_hex(8)}:"


@contextmanager
def kept_in(kind: str) -> Iterator[dict[str, str]]:
    """Give the settings for it; what a test left in Redis is deleted afterwards."""
    if kind == "database":
        yield {}
        return
    with redis.Redis.from_url(REDIS_URL) as client:
        try:
            client.ping()
        except redis.RedisError as error:
            missing(f"no Redis at {REDIS_URL.rpartition('@')[2]}: {error}")
        try:
            yield {"PKCE_EPHEMERAL_URL": REDIS_URL, "PKCE_EPHEMERAL_PREFIX": PREFIX}
        finally:
            for key in client.scan_iter(f"{PREFIX}*"):
                client.delete(key)


def counts(app: Flask) -> list[int]:
    """Return what is counted, wherever it is."""
    server = server_of(app)
    if server.settings.ephemeral_url is None:
        with app.app_context(), server.store.reading() as session:
            return sorted(session.scalars(select(Guess.tries)))
    prefix = server.settings.ephemeral_prefix
    with redis.Redis.from_url(server.settings.ephemeral_url) as client:
        keys = list(client.scan_iter(f"{prefix}count:*"))
        return sorted(int(count) for count in client.mget(keys)) if keys else []


@contextmanager
def free_port() -> Iterator[int]:
    """Give a port on which nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@contextmanager
def own_redis(port: int, *more: str) -> Iterator[None]:
    """Start a Redis on `port`, and stop it afterwards."""
    program = shutil.which("redis-server")
    if program is None:
        missing("no redis-server here")
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", *more]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            _await_redis(port)
            yield
        finally:
            process.terminate()


def _await_redis(port: int) -> None:
    with redis.Redis(port=port) as client:
        for _ in range(100):
            try:
                client.ping()
            except redis.ConnectionError:
                time.sleep(0.05)
            else:
                return
    pytest.fail(f"the Redis on port {port} does not answer")
