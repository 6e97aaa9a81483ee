"""The pytest plugin: fixtures for the tests of a host, which do nothing until asked for.

Pytest finds it by its entry point and loads it in every run, so it imports nothing at first.
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
    """Few signing keys for all tests of a process: making an RSA key takes a tenth of a second.

    Sixteen of each algorithm take turns, so that a rotation in a test brings another one.
    """
    from ..protocol import key_material

    make, few, lock = key_material.new_private_key, 16, threading.Lock()
    pool: dict[str, list[PrivateKey]] = {}

    def take(algorithm: str) -> PrivateKey:
        with lock:
            keys = pool.setdefault(algorithm, [])
            keys.append(make(algorithm) if len(keys) < few else keys.pop(0))
            return keys[-1]

    key_material.new_private_key = take
    yield
    key_material.new_private_key = make


@pytest.fixture
def pkce_clock(app: Flask) -> Iterator[Clock]:
    """The clock of the server, standing still until it is told to go on."""
    from ..protocol.contract import server_of
    from .flow import Clock

    server = server_of(app)
    before, clock = server.clock, Clock()
    server.clock = clock
    yield clock
    server.clock = before


@pytest.fixture
def pkce_register(app: Flask) -> Callable[..., RegisteredClient]:
    """Give a function that registers a client with the app."""
    from .flow import register

    return lambda **what: register(app, **what)


@pytest.fixture
def pkce_flow(client: FlaskClient, pkce_register: Callable[..., RegisteredClient]) -> Flow:
    """A sign-in of a public client; `client` is a test client with a signed-in user."""
    from .flow import Flow

    return Flow(client, pkce_register())
