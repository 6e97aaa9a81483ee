"""A device that asks, and what is looked up about it."""

from __future__ import annotations

import itertools

from flask import Flask
from sqlalchemy import select

from flask_pkce_server.models.device_code import LETTERS, DeviceCode
from flask_pkce_server.testing import (
    server_of,
)

from ...device import Device

UNKNOWN = "No device is waiting with this code."


def me(app: Flask, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return app.test_client(use_cookies=False).get("/api/me", headers=headers).status_code


def row_of(app: Flask) -> DeviceCode:
    with app.app_context(), server_of(app).store.reading() as session:
        return session.scalars(select(DeviceCode)).one()


def wrong_codes(device: Device) -> list[str]:
    """Give codes that can be ones and are not that of the device."""
    made = ("".join(letters) * 4 for letters in itertools.product(LETTERS, repeat=2))
    return [code for code in made if code != device.user_code.replace("-", "")]
