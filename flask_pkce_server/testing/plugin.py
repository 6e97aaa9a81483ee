"""Plugin: pytest fixtures for the tests of a host app; they do nothing until requested.

Pytest finds this module by its entry point and loads it in every run, so the fixtures
import the rest of the package only when they are used.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from ..protocol.key_material import PrivateKey
    from .flow import Clock, Flow, RegisteredClient


@pytest.fixture(scope="session")
def pkce_signing_keys() -> Iterator[None]:
    """Share a few signing keys in all tests of a process: an RSA key takes 0.1 seconds to make.

    Sixteen keys of each algorithm take turns, so that a key rotation gets another key.
    """
    from ..protocol import key_material

    make, pool_size, lock = key_material.new_private_key, 16, threading.Lock()
    pool: dict[str, list[PrivateKey]] = {}

    def take(algorithm: str) -> PrivateKey:
        with lock:
            keys = pool.setdefault(algorithm, [])
            keys.append(make(algorithm) if len(keys) < pool_size else keys.pop(0))
            return keys[-1]

    key_material.new_private_key = take
    yield
    key_material.new_private_key = make


@pytest.fixture
def pkce_clock(app: Flask) -> Iterator[Clock]:
    """Replace the clock of the server by one that stands still until it is advanced."""
    from ..protocol.contract import server_of
    from .flow import Clock

    server = server_of(app)
    original, clock = server.clock, Clock()
    server.clock = clock
    yield clock
    server.clock = original


@pytest.fixture
def pkce_register(app: Flask) -> Callable[..., RegisteredClient]:
    """Return a function that registers a client with the app."""
    from .flow import register

    return lambda **arguments: register(app, **arguments)


@pytest.fixture
def pkce_flow(client: FlaskClient, pkce_register: Callable[..., RegisteredClient]) -> Flow:
    """Return a `Flow` for a public client; in the test client `client` a user is signed in."""
    from .flow import Flow

    return Flow(client, pkce_register())
