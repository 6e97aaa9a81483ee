"""Device code: PKCE, taking it back, settings of other features, hostile input."""

from __future__ import annotations

import logging
import re
import sys

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from flask_pkce_server import (
    verifier_mismatched,
)
from flask_pkce_server.features.device_code import SingleUseDeviceCodeGrant
from flask_pkce_server.models.base import Base
from flask_pkce_server.models.device_code import DeviceCode
from flask_pkce_server.models.grant import Grant
from flask_pkce_server.testing import (
    Clock,
    RegisteredClient,
    hidden_fields,
    new_verifier,
    server_of,
)
from flask_pkce_server.wire.code_challenge import challenge_of
from flask_pkce_server.wire.names import DEVICE_CODE as GRANT_TYPE

from ...device import Device, enter, press, television
from ...host import make_app, sign_in
from ...openid import read
from .asking import me, row_of

pytestmark = pytest.mark.thorough


def test_a_challenge_binds_the_code(device: Device) -> None:
    # RFC 7636 4.6
    told, verifier = [], new_verifier()
    verifier_mismatched.connect(lambda app, **facts: told.append(facts), weak=False)
    device.start(code_challenge=challenge_of(verifier), code_challenge_method="S256")
    assert device.error(code_verifier=verifier) == "authorization_pending"
    device.decide()
    assert device.error() == "invalid_request"
    assert device.error(code_verifier="x" * 42) == "invalid_request"
    assert device.error(code_verifier=new_verifier()) == "invalid_grant"
    assert told[-1] == {"client_id": device.client.client_id, "subject": "1"}
    # A thief without the verifier has burnt nothing.
    assert device.poll(code_verifier=verifier).status_code == 200
    assert device.error(code_verifier=new_verifier()) == "invalid_grant"
    assert device.error(code_verifier=verifier) == "invalid_grant"


@pytest.mark.parametrize(
    "sent",
    [
        {"code_challenge": "x" * 43},
        {"code_challenge": challenge_of(new_verifier())},
        {"code_challenge": challenge_of(new_verifier()), "code_challenge_method": "plain"},
        {"code_challenge": "short", "code_challenge_method": "S256"},
        {"code_challenge_method": "S256"},
    ],
)
def test_a_challenge_is_s256_or_an_error(device: Device, sent: dict) -> None:
    assert device.start(**sent).get_json()["error"] == "invalid_request"


def test_a_verifier_without_a_challenge_is_a_downgrade(device: Device) -> None:
    # RFC 9700 4.8.2
    device.start()
    device.decide()
    assert device.error(code_verifier=new_verifier()) == "invalid_grant"
    assert device.poll().status_code == 200


def press_remove(browser: FlaskClient, **fields: str) -> None:
    page = browser.get("/oauth/apps").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
    assert browser.post("/oauth/apps", data={"csrf_token": token, **fields}).status_code == 303


def test_the_app_stands_among_the_connected_ones(app: Flask, device: Device) -> None:
    tokens = device.tokens()
    page = device.browser.get("/oauth/apps").text
    assert "Television" in page
    assert "A device" in page
    assert "Read your notes" in page
    press_remove(device.browser, remove="app", client_id=device.client.client_id)
    assert me(app, tokens["access_token"]) == 401
    assert "Television" not in device.browser.get("/oauth/apps").text


def test_removing_the_app_ends_what_no_device_has_fetched(app: Flask, device: Device) -> None:
    device.tokens()
    device.start()
    device.decide()
    other = Device(sign_in(app, "bob"), device.client)
    other.start()
    other.decide()
    press_remove(device.browser, remove="app", client_id=device.client.client_id)
    assert device.error() == "access_denied"
    # Bob's is Bob's.
    assert other.poll().status_code == 200


def test_one_sign_in_alone_is_ended(app: Flask, device: Device) -> None:
    first, second = device.tokens(), device.tokens()
    page = device.browser.get("/oauth/apps").text
    family = re.findall(r'name="grant_id" value="([^"]+)"', page)[0]
    press_remove(device.browser, remove="session", grant_id=family)
    assert sorted(me(app, one["access_token"]) for one in (first, second)) == [200, 401]


@pytest.mark.parametrize("gone", [{"revoked_at": 1}, {"scope": frozenset({"profile"})}])
def test_what_is_taken_back_at_the_last_moment_is_not_fetched(
    app: Flask, device: Device, monkeypatch: pytest.MonkeyPatch, gone: dict
) -> None:
    # Between the reading of the code and its redemption.
    device.start()
    device.decide()
    usual, server, done = SingleUseDeviceCodeGrant.check_approved, server_of(app), []

    def check_approved(grant_type: SingleUseDeviceCodeGrant, code: DeviceCode) -> Grant:
        grant = usual(grant_type, code)
        if not done:
            done.append(True)
            server.store.write(lambda session: session.execute(update(Grant).values(gone)))
        return grant

    monkeypatch.setattr(SingleUseDeviceCodeGrant, "check_approved", check_approved)
    answer = device.poll().get_json()
    assert answer.get("error") == (None if "scope" in gone else "access_denied")
    assert answer.get("scope") == ("profile" if "scope" in gone else None)


def test_what_is_taken_back_in_part_is_not_fetched(app: Flask, device: Device) -> None:
    device.tokens()
    device.start()
    device.decide()
    client_id = device.client.client_id
    press_remove(device.browser, remove="scopes", scope="notes:read", client_id=client_id)
    assert device.poll().get_json()["scope"] == "offline_access openid profile"


def test_a_client_that_is_deleted_takes_its_codes_along(app: Flask, device: Device) -> None:
    device.start()
    args = ["pkce", "client", "delete", device.client.client_id]
    assert app.test_cli_runner().invoke(args=args).exit_code == 0
    with app.app_context(), server_of(app).store.reading() as session:
        assert list(session.scalars(select(DeviceCode))) == []


def test_where_all_subjects_are_pairwise_a_device_knows_users_by_its_own() -> None:
    # OIDC Core 8.1: no redirect URI, so it is a sector of its own.
    app = make_app(
        PKCE_OPENID_SUBJECT_TYPE="pairwise", PKCE_OPENID_PAIRWISE_SALT="a-salt-of-the-tests"
    )
    browser = sign_in(app)
    one, two = (Device(browser, television(app)) for _ in range(2))
    subjects = {read(app, device.tokens()["id_token"])["sub"] for device in (one, two, one)}
    assert len(subjects) == 2
    assert "1" not in subjects


def test_access_tokens_may_be_jwts(client: FlaskClient) -> None:
    app = make_app(PKCE_ACCESS_TOKEN_FORMAT="jwt")
    token = Device(sign_in(app), television(app)).tokens()["access_token"]
    assert read(app, token)["sub"] == "1"


def test_the_portal_registers_devices_that_work() -> None:
    app = make_app(PKCE_FEATURES={"developer_portal": True})
    browser = sign_in(app)
    page = browser.get("/oauth/developer")
    assert 'value="device"' in page.text
    form = {**hidden_fields(page.text), "kind": "device", "name": "My set", "scope": "profile"}
    made = browser.post("/oauth/developer", data=form)
    assert "The app is registered." in made.text
    assert "curl https://auth.example/oauth/device_authorization" in made.text
    client_id = re.search(r'id="client_id"[^>]*value="(\w+)"', made.text)[1]
    device = Device(browser, RegisteredClient(client_id, None, "", "none"), scope="profile")
    device.start()
    # Anybody may have registered it under any name.
    assert "Anybody can register an app here" in device.enter().text
    device.decide()
    assert device.poll().status_code == 200


def test_the_qr_code_is_an_image_of_the_address(app: Flask, device: Device) -> None:
    import segno

    device.start()
    program = app.test_client(use_cookies=False)
    answer = program.get(f"/oauth/device/qr.svg?user_code={device.user_code}")
    assert answer.mimetype == "image/svg+xml"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.text.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert "script" not in answer.text
    wanted = segno.make(device.started["verification_uri_complete"], micro=False)
    drawn = re.search(r'<path class="qrline"[^>]* d="([^"]+)"', answer.text)[1]
    assert drawn in wanted.svg_inline()
    # For what can be no code there is none; whether there is such a code, nobody learns here.
    for code in ("", "<svg>", "AAAA-AAAA", "x" * 9000):
        refused = program.get("/oauth/device/qr.svg", query_string={"user_code": code})
        assert (refused.status_code, refused.mimetype) == (400, "application/json")
    assert program.get("/oauth/device/qr.svg?user_code=BCDF-GHJK").status_code == 200


def test_without_the_extra_there_is_no_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "segno", None)
    monkeypatch.setattr("flask_pkce_server.features.device_code.find_spec", lambda name: None)
    app = make_app()
    assert app.test_client().get("/oauth/device/qr.svg?user_code=BCDF-GHJK").status_code == 404
    assert Device(sign_in(app), television(app)).start().status_code == 200


def test_left_out_it_is_not_there() -> None:
    app = make_app(PKCE_FEATURES={"device_code": False})
    metadata = server_of(app).metadata()
    assert GRANT_TYPE not in metadata["grant_types_supported"]
    assert "device_authorization_endpoint" not in metadata
    for path in ("/oauth/device", "/oauth/device_authorization", "/oauth/device/qr.svg"):
        assert app.test_client().post(path).status_code == 404


@pytest.mark.parametrize("name", ["scope", "client_id", "code_challenge", "nonce", "prompt", "x"])
@pytest.mark.parametrize("value", ['co"de', "\u00e9", "\x00", "a\r\nb", "\\", "[" * 9000])
def test_nothing_brings_the_endpoint_down(device: Device, name: str, value: str) -> None:
    answer = device.start(**{name: value})
    assert answer.status_code < 500
    assert answer.get_json().get("error_description", "").isascii()


@pytest.mark.parametrize("value", ['co"de', "\u00e9", "\x00", "\r\n", "[" * 9000, "\ufdfa" * 20])
def test_nothing_brings_the_page_down(device: Device, value: str) -> None:
    device.start()
    assert device.enter(value).status_code == 400
    for name in ("request", "decision", "csrf_token", "days", "scope"):
        form = {**hidden_fields(device.enter().text), "decision": "deny"}
        answer = device.browser.post("/oauth/device", data={**form, name: value})
        assert answer.status_code in (200, 400)
        device.start()


def test_a_parameter_that_comes_twice_is_refused(app: Flask, device: Device) -> None:
    # RFC 6749 3.2
    answer = app.test_client().post(
        "/oauth/device_authorization",
        data={"client_id": device.client.client_id, "scope": ["profile", "openid"]},
    )
    assert answer.get_json()["error"] == "invalid_request"


def test_names_are_shown_as_text(app: Flask, client: FlaskClient) -> None:
    device = Device(client, television(app, name="<script>alert(1)</script>"))
    device.start()
    page = device.enter()
    assert "<script" not in page.text
    assert "<script" not in press(client, page, "allow").text


def test_the_pages_have_the_manners_of_pages(device: Device) -> None:
    device.start()
    page = device.enter()
    for answer in (page, device.browser.get("/oauth/device"), press(device.browser, page, "deny")):
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"


def test_neither_code_is_kept_logged_or_told(
    app: Flask, device: Device, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    verifier = new_verifier()
    device.start(code_challenge=challenge_of(verifier), code_challenge_method="S256")
    device.decide()
    device.poll(code_verifier=verifier)
    device.poll(code_verifier=verifier)
    with app.app_context(), app.db.engine.connect() as connection:
        rows = repr(
            [
                row
                for table in Base.metadata.sorted_tables
                for row in connection.execute(table.select())
            ]
        )
    assert "<DeviceCode of" in repr(row_of(app))
    for secret in (
        device.started["device_code"],
        device.user_code,
        device.user_code.replace("-", ""),
        verifier,
    ):
        assert secret not in caplog.text + rows


def test_prune_deletes_what_nothing_hangs_on(app: Flask, device: Device, pkce_clock: Clock) -> None:
    device.tokens(scope="profile")
    device.start()
    device.enter("BCDF-GHJK")

    def pruned() -> dict:
        output = app.test_cli_runner().invoke(args=["pkce", "prune", "--json"]).output
        return app.json.loads(output)["deleted"]

    assert (pruned()["device_code"], pruned()["limits"]) == (0, 0)
    pkce_clock.advance(1200)
    # The one that gave a token that still lives stays.
    done = pruned()
    # Of the user, of all, and that of the devices that start.
    assert (done["device_code"], done["limits"]) == (1, 3)
    pkce_clock.advance(3600)
    assert pruned()["device_code"] == 1
    assert enter(device.browser, "BCDF-GHJK").status_code == 400
