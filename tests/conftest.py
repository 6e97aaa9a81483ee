"""What the tests share: the host app, a signed-in browser, the registered clients."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from .host import make_app

pytest_plugins = ["flask_pkce_server.testing"]


@pytest.fixture
def app() -> Flask:
    """The host app, on SQLite in memory."""
    return make_app()


def sign_in(app: Flask, username: str = "ada") -> FlaskClient:
    """Return a browser in which `username` is signed in."""
    browser = app.test_client()
    browser.post("/login", data={"username": username})
    return browser


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser in which Ada is signed in."""
    return sign_in(app)
