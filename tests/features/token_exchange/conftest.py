"""What these tests ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from ...host import lending
from ...services import THOROUGH
from .exchanging import (
    FORMATS,
    exchange_app,
)


@pytest.fixture
def app() -> Iterator[Flask]:
    with lending.app(exchange_app) as app:
        yield app


@pytest.fixture(params=FORMATS if THOROUGH else ["jwt"])
def both(request: pytest.FixtureRequest) -> Flask:
    """The app with JWTs for access tokens, and with opaque ones; quickly with JWTs alone."""
    return exchange_app(PKCE_ACCESS_TOKEN_FORMAT=request.param)
