"""Device code: how often a code may be guessed at, and what the device asks meanwhile."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from flask_pkce_server import (
    code_replayed,
)
from flask_pkce_server.models.device_code import LETTERS
from flask_pkce_server.models.token import Token
from flask_pkce_server.testing import (
    Clock,
    server_of,
)

from ...device import Device, television
from ...ephemeral import IN_BOTH
from ...host import sign_in
from .asking import me, row_of, wrong_codes

pytestmark = pytest.mark.thorough


@IN_BOTH
def test_after_five_wrong_codes_a_user_waits(app: Flask, device: Device, pkce_clock: Clock) -> None:
    # RFC 8628 5.1
    pkce_clock.now = 1790000400 // 600 * 600 + 1
    device.start()
    wrong = iter(wrong_codes(device))
    for _ in range(5):
        assert device.enter(next(wrong)).status_code == 400
    for typed in (next(wrong), device.user_code):
        # The right one too: nobody learns that it is.
        refused = device.enter(typed)
        assert refused.status_code == 429
        assert refused.headers["Retry-After"] == "599"
        assert "Too many wrong codes." in refused.text
    # Others are not meant, and a right one costs them nothing.
    bob = sign_in(app, "bob")
    for _ in range(7):
        assert device.enter(browser=bob).status_code == 200
    pkce_clock.advance(599)
    device.start()
    assert device.enter().status_code == 200


@IN_BOTH
def test_being_refused_costs_the_others_nothing(
    app: Flask, device: Device, monkeypatch: pytest.MonkeyPatch, pkce_clock: Clock
) -> None:
    pkce_clock.now = 1790000400 // 600 * 600 + 1
    monkeypatch.setattr("flask_pkce_server.models.device_code.WRONG_OF_ALL", 8)
    device.start()
    wrong = wrong_codes(device)
    for typed in wrong[:20]:
        device.enter(typed)
    # Ada was wrong 20 times, 5 of which count for all.
    bob = sign_in(app, "bob")
    for typed in wrong[:3]:
        assert device.enter(typed, browser=bob).status_code == 400
    # Now everybody waits.
    assert device.enter(browser=bob).status_code == 429
    pkce_clock.advance(600)
    device.start()
    assert device.enter(browser=bob).status_code == 200


def test_the_chance_to_guess_a_code_is_below_one_in_ten_million() -> None:
    # RFC 8628 5.1. The arithmetic of docs/device.md: a code lives through two windows at most.
    from flask_pkce_server.models import device_code, guess

    codes, windows = len(LETTERS) ** 8, -(-600 // guess.WINDOW) + 1
    assert codes == 25_600_000_000
    assert windows * device_code.WRONG_OF_ALL / codes < 1e-7
    assert 250 * windows * device_code.WRONG_OF_USER / codes < 1e-7


@IN_BOTH
def test_an_address_uses_up_nobodys_tries(device: Device) -> None:
    device.start()
    for typed in wrong_codes(device)[:9]:
        device.browser.get("/oauth/device", query_string={"user_code": typed})
    assert device.enter().status_code == 200


def test_a_device_that_asks_too_often_has_to_wait_longer(device: Device, pkce_clock: Clock) -> None:
    # RFC 8628 3.5: by 5 seconds, for this and all subsequent requests.
    device.start()
    assert device.error() == "authorization_pending"
    pkce_clock.advance(5)
    assert device.error() == "authorization_pending"
    pkce_clock.advance(2)
    assert device.error() == "slow_down"
    pkce_clock.advance(5)
    assert device.error() == "slow_down"
    pkce_clock.advance(15)
    assert device.error() == "authorization_pending"
    pkce_clock.advance(10)
    assert device.error() == "slow_down"


def test_a_question_may_travel_faster_than_the_one_before(
    device: Device, pkce_clock: Clock
) -> None:
    device.start()
    device.poll()
    pkce_clock.advance(4)
    assert device.error() == "authorization_pending"


def test_who_asked_too_often_gets_the_tokens_all_the_same(device: Device) -> None:
    device.start()
    device.poll()
    assert device.error() == "slow_down"
    device.decide()
    assert device.poll().status_code == 200


def test_a_code_that_nobody_typed_expires(device: Device, pkce_clock: Clock) -> None:
    # RFC 8628 3.5
    device.start()
    pkce_clock.advance(599)
    assert device.error() == "authorization_pending"
    pkce_clock.advance(1)
    assert device.error() == "expired_token"


def test_one_that_was_approved_and_not_fetched_expires_too(
    device: Device, pkce_clock: Clock
) -> None:
    device.start()
    device.decide()
    pkce_clock.advance(600)
    assert device.error() == "expired_token"


def test_a_code_is_used_once_and_a_second_use_takes_back_what_it_gave(
    app: Flask, device: Device
) -> None:
    # As RFC 6749 4.1.2 has it for authorization codes; Authlib gives tokens each time.
    told = []
    code_replayed.connect(lambda app, **facts: told.append(facts), weak=False)
    tokens = device.tokens()
    assert device.error() == "invalid_grant"
    assert me(app, tokens["access_token"]) == 401
    assert device.flow.refresh(tokens["refresh_token"]).status_code == 400
    assert told[-1]["client_id"] == device.client.client_id
    assert device.error() == "invalid_grant"


def test_a_second_use_is_told_from_an_unknown_code_after_it_has_expired(
    app: Flask, device: Device, pkce_clock: Clock
) -> None:
    tokens = device.tokens()
    pkce_clock.advance(900)
    app.test_cli_runner().invoke(args=["pkce", "prune"])
    assert device.error() == "invalid_grant"
    assert me(app, tokens["access_token"]) == 401


def test_a_code_is_the_clients_that_asked_for_it(
    app: Flask, client: FlaskClient, device: Device
) -> None:
    # RFC 8628 3.4; nobody else can redeem, slow down or burn it.
    device.start()
    device.decide()
    other = Device(client, television(app), started=device.started)
    for _ in range(3):
        assert other.error() == "invalid_grant"
    assert device.poll().status_code == 200
    # Nor end what it gave.
    other.poll()
    assert row_of(app).consumed_at is not None
    with app.app_context(), server_of(app).store.reading() as session:
        assert all(token.revoked_at is None for token in session.scalars(select(Token)))


@pytest.mark.parametrize("code", ["x", "fpk_dc_" + "a" * 49, "fpk_at_" + "a" * 49, "WDJB-MJHT"])
def test_what_is_no_device_code_is_an_invalid_grant(device: Device, code: str) -> None:
    device.started = {"device_code": code}
    assert device.error() == "invalid_grant"


def test_the_user_code_does_not_redeem(device: Device) -> None:
    # RFC 8628 5.2: what is short is for eyes alone.
    device.start()
    device.decide()
    assert device.error(device_code=device.user_code) == "invalid_grant"
    assert device.error(device_code=None) == "invalid_request"


def test_a_user_who_is_gone_gets_no_tokens(app: Flask, device: Device) -> None:
    device.start()
    device.decide()
    with app.app_context():
        app.db.session.execute(update(app.User).values(active=False))
        app.db.session.commit()
    assert device.error() == "invalid_grant"
