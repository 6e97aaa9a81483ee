"""A clock that is put back by an hour, or was ahead by one: nothing is spent twice."""

from __future__ import annotations

import time

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from flask_pkce_server.testing import Clock, Flow, register, server_of

from ..at_once import live_tokens
from ..device import Device, television
from ..host import make_app, sign_in
from ..signing import SIGNER, claims, registered

pytestmark = pytest.mark.thorough

SCOPE = "openid profile offline_access"
HOUR = 3600
JUMPS = pytest.mark.parametrize("seconds", [-HOUR, HOUR], ids=["back", "forward"])
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the machine, for everything that runs on it."""
    clock = Clock()
    monkeypatch.setattr(time, "time", clock)
    return clock


@pytest.fixture
def app(clock: Clock) -> Flask:
    app = make_app(TESTING=False, PKCE_OPENID_CLAIMS_IN_ID_TOKEN=True)
    server_of(app).clock = clock
    return app


@pytest.fixture
def flow(app: Flask) -> Flow:
    return Flow(sign_in(app), register(app), scope=SCOPE)


def call(app: Flask, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return app.test_client(use_cookies=False).get("/api/me", headers=headers).status_code


def prune(app: Flask) -> None:
    assert app.test_cli_runner().invoke(args=["pkce", "prune"]).exit_code == 0


@JUMPS
def test_a_code_stays_redeemed(flow: Flow, clock: Clock, seconds: int) -> None:
    app = flow.browser.application
    code = flow.allow()["code"]
    tokens = flow.redeem(code).get_json()
    clock.advance(seconds)
    if seconds > 0:
        prune(app)
    assert flow.redeem(code).get_json()["error"] == "invalid_grant"
    clock.advance(-seconds)
    assert flow.redeem(code).get_json()["error"] == "invalid_grant"
    assert (live_tokens(app), call(app, tokens["access_token"])) == (0, 401)


def test_a_code_of_the_future_is_redeemed_once(flow: Flow, clock: Clock) -> None:
    code = flow.allow()["code"]
    clock.advance(-HOUR)
    tokens = flow.redeem(code)
    assert tokens.status_code == 200
    assert flow.redeem(code).status_code == 400
    clock.advance(HOUR)
    assert flow.redeem(code).status_code == 400
    assert live_tokens(flow.browser.application) == 0


def test_a_code_is_over_when_the_clock_has_gone_forward(flow: Flow, clock: Clock) -> None:
    code = flow.allow()["code"]
    clock.advance(HOUR)
    assert flow.redeem(code).get_json()["error"] == "invalid_grant"
    assert flow.redeem(flow.allow()["code"]).status_code == 200


@JUMPS
def test_a_spent_refresh_token_is_not_given_its_successor_again(
    flow: Flow, clock: Clock, seconds: int
) -> None:
    # RFC 9700 4.14.2: whoever presents it is another party. Otherwise the grace of seconds
    # would last for an hour.
    spent = flow.tokens()["refresh_token"]
    assert flow.refresh(spent).status_code == 200
    clock.advance(seconds)
    assert flow.refresh(spent).get_json()["error"] == "invalid_grant"
    assert live_tokens(flow.browser.application) == 0


def test_workers_whose_clocks_differ_by_seconds_give_the_same_successor(
    flow: Flow, clock: Clock
) -> None:
    spent = flow.tokens()["refresh_token"]
    first = flow.refresh(spent).get_json()
    clock.advance(-5)
    second = flow.refresh(spent)
    assert second.status_code == 200
    assert second.get_json()["refresh_token"] == first["refresh_token"]


@JUMPS
def test_tokens_that_were_given_go_on(flow: Flow, clock: Clock, seconds: int) -> None:
    tokens = flow.tokens()
    clock.advance(seconds)
    app = flow.browser.application
    # An access token lives for an hour.
    assert call(app, tokens["access_token"]) == (200 if seconds < 0 else 401)
    assert call(app, flow.refresh(tokens["refresh_token"]).get_json()["access_token"]) == 200


@JUMPS
def test_what_was_revoked_stays_revoked(flow: Flow, clock: Clock, seconds: int) -> None:
    tokens = flow.tokens()
    flow.revoke(tokens["refresh_token"])
    clock.advance(seconds)
    assert flow.refresh(tokens["refresh_token"]).status_code == 400
    assert call(flow.browser.application, tokens["access_token"]) == 401


@JUMPS
def test_nobody_gets_a_500(app: Flask, flow: Flow, clock: Clock, seconds: int) -> None:
    page = flow.authorize(prompt="consent")
    tokens = flow.tokens()
    device = Device(flow.browser, television(app))
    device.start()
    device.poll()
    clock.advance(seconds)
    answers: list[TestResponse] = [
        flow.decide(page),
        flow.authorize(),
        flow.authorize(max_age="1"),
        flow.authorize(id_token_hint=tokens["id_token"]),
        device.poll(),
        device.enter(),
        *[flow.browser.get(f"/oauth/{path}") for path in ("apps", "jwks", "userinfo", "logout")],
        flow.post("introspect", {"token": tokens["access_token"]}),
    ]
    assert max(answer.status_code for answer in answers) < 500
    # Flask refuses a session of the future: whoever was signed in signs in again.
    again = Flow(sign_in(app), flow.client, scope=SCOPE)
    assert "id_token" in again.tokens()


@JUMPS
def test_a_device_is_given_its_tokens_once(app: Flask, clock: Clock, seconds: int) -> None:
    device = Device(sign_in(app), television(app))
    device.start()
    assert device.decide().status_code == 200
    assert device.poll().status_code == 200
    clock.advance(seconds)
    assert device.poll().status_code == 400
    clock.advance(-seconds)
    assert device.poll().status_code == 400


def test_a_device_that_polled_in_the_future_waits_for_seconds_only(
    app: Flask, clock: Clock
) -> None:
    device = Device(sign_in(app), television(app))
    device.start()
    assert device.error() == "authorization_pending"
    clock.advance(-HOUR)
    assert device.error() == "slow_down"
    clock.advance(11)
    assert device.error() == "authorization_pending"


def test_an_assertion_is_not_used_again_though_its_record_was_pruned_too_early(
    app: Flask, clock: Clock
) -> None:
    client = registered(app)
    assertion = SIGNER.sign(claims(app, client.client_id))

    def introspect() -> int:
        form = {"client_assertion": assertion, "client_assertion_type": ASSERTION_TYPE}
        program = app.test_client(use_cookies=False)
        return program.post("/oauth/introspect", data={"token": "x", **form}).status_code

    assert introspect() == 200
    clock.advance(HOUR)
    prune(app)
    clock.advance(-HOUR)
    assert introspect() == 401
