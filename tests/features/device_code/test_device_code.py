"""Device code (RFC 8628): what the device is told."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask_pkce_server.models.device_code import LETTERS
from flask_pkce_server.testing import (
    RegisteredClient,
    register,
    server_of,
)
from flask_pkce_server.wire.names import DEVICE_CODE as GRANT_TYPE

from ...device import Device, television
from ...host import make_app, sign_in


def test_a_device_gets_two_codes(app: Flask, device: Device) -> None:
    # RFC 8628 3.2
    answer = device.start()
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    told = dict(device.started)
    assert re.fullmatch(r"fpk_dc_\S{49}", told.pop("device_code"))
    code = told.pop("user_code")
    assert re.fullmatch(f"[{LETTERS}]{{4}}-[{LETTERS}]{{4}}", code)
    assert told == {
        "verification_uri": "https://auth.example/oauth/device",
        "verification_uri_complete": f"https://auth.example/oauth/device?user_code={code}",
        "expires_in": 600,
        "interval": 5,
    }


def test_user_codes_have_no_vowels_and_nothing_that_is_read_for_another() -> None:
    # RFC 8628 6.1: the 20 letters of its example.
    assert len(set(LETTERS)) == len(LETTERS) == 20
    assert not set(LETTERS) & set("AEIOUY0123456789")


def test_how_long_and_how_often_is_the_hosts_choice() -> None:
    app = make_app(PKCE_DEVICE_CODE_LIFETIME=300, PKCE_DEVICE_CODE_INTERVAL=7)
    device = Device(sign_in(app), television(app))
    device.start()
    assert (device.started["expires_in"], device.started["interval"]) == (300, 7)


def test_discovery_says_where() -> None:
    # RFC 8628 4
    metadata = server_of(make_app()).metadata()
    assert (
        metadata["device_authorization_endpoint"]
        == "https://auth.example/oauth/device_authorization"
    )
    assert GRANT_TYPE in metadata["grant_types_supported"]


def test_a_confidential_device_proves_who_it_is(app: Flask, client: FlaskClient) -> None:
    # RFC 8628 3.1, RFC 6749 3.2.1; Authlib asks nothing of it.
    for method in ("client_secret_basic", "client_secret_post"):
        device = Device(client, television(app, auth_method=method))
        assert device.start().status_code == 200
        known, started = device.client, device.started
        for impostor in (
            RegisteredClient(known.client_id, None, "", "none"),
            RegisteredClient(known.client_id, "wrong" * 10, "", method),
        ):
            device.client = impostor
            assert device.poll().get_json()["error"] == "invalid_client"
            assert device.start(scope="profile").status_code == 401
            device.started = started
        device.client = known
        device.decide()
        assert device.poll().status_code == 200


def test_a_client_has_to_be_registered_for_it(app: Flask, client: FlaskClient) -> None:
    usual = Device(client, register(app))
    answer = usual.start()
    assert (answer.status_code, answer.get_json()["error"]) == (400, "unauthorized_client")
    usual.started = {"device_code": "x"}
    assert usual.error() == "unauthorized_client"


def test_the_scopes_are_the_clients(app: Flask, client: FlaskClient, device: Device) -> None:
    narrow = Device(client, television(app, scope=["profile"]))
    assert narrow.start(scope="notes:read").get_json()["error"] == "invalid_scope"
    assert device.start(scope="unheard-of").get_json()["error"] == "invalid_scope"
    assert narrow.start(scope="profile").status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_the_endpoint_takes_a_form_and_nothing_else(app: Flask, method: str) -> None:
    program = app.test_client()
    answer = program.open("/oauth/device_authorization", method=method)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST, OPTIONS")
    answer = program.post("/oauth/device_authorization", json={"client_id": "x"})
    assert answer.get_json()["error"] == "invalid_request"
