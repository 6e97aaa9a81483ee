"""What these tests ask for."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask_pkce_server.testing import (
    Clock,
)

from ...device import Device, television


@pytest.fixture
def device(app: Flask, client: FlaskClient, pkce_clock: Clock) -> Device:
    return Device(client, television(app))
