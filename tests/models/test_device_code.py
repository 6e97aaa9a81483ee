"""Device code: whatever happens at once, one decides, one is given tokens, none guesses on."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from flask_pkce_server.models import device_code, guess
from flask_pkce_server.models.device_code import DeviceCode
from flask_pkce_server.models.guess import Guess, TooManyGuesses
from flask_pkce_server.testing import Clock, hidden_fields, server_of

from ..at_once import at_once, live_tokens
from ..device import Device, press, television
from ..ephemeral import counts, kept_in
from ..host import make_app, sign_in
from ..services import THOROUGH, empty_database

pytestmark = pytest.mark.thorough

THREADS = 16
POOL = {"pool_size": THREADS, "max_overflow": 4}

services = pytest.mark.services
DATABASES = [
    "sqlite",
    pytest.param("postgresql", marks=services),
    pytest.param("mariadb", marks=services),
]
#: What is counted is in Redis, and the rest in SQLite.
DATABASES.append(pytest.param("redis", marks=services))
if THOROUGH:
    DATABASES += ["sqlite-wal", pytest.param("postgresql-serializable", marks=services)]


@pytest.fixture(params=DATABASES)
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    kind, options = request.param, dict(POOL)
    if kind == "postgresql-serializable":
        options["isolation_level"] = "SERIALIZABLE"

    def build(uri: str, **more: str) -> Flask:
        return make_app(
            SQLALCHEMY_DATABASE_URI=uri,
            SQLALCHEMY_ENGINE_OPTIONS=options,
            PKCE_SQLITE_PRAGMAS=kind == "sqlite-wal",
            TESTING=False,
            **more,
        )

    if kind == "redis":
        with kept_in("redis") as ephemeral:
            app = build(f"sqlite:///{tmp_path}/app.db", **ephemeral)
            yield app
            dispose(app)
        return
    if kind.startswith("sqlite"):
        app = build(f"sqlite:///{tmp_path}/app.db")
        yield app
        dispose(app)
        return
    with empty_database(kind.partition("-")[0]) as uri:
        app = build(uri)
        yield app
        dispose(app)


def dispose(app: Flask) -> None:
    with app.app_context():
        app.db.engine.dispose()


@pytest.fixture
def device(app: Flask) -> Device:
    return Device(sign_in(app), television(app))


def decided(device: Device, answers: list[TestResponse]) -> int:
    """Return how many were told that their word counts."""
    assert {answer.status_code for answer in answers} <= {200, 400}
    return sum("You can go back" in answer.text for answer in answers)


def test_one_device_approved_by_all_at_once(app: Flask, device: Device) -> None:
    # By two users, in several tabs each: one word counts, and it is theirs alone.
    device.start()
    users = [device.browser, sign_in(app, "bob")]
    forms = [hidden_fields(device.enter(browser=one).text) for one in users]

    def press_in(browser: object, form: dict[str, str]) -> TestResponse:
        # A copy of the cookies for each thread.
        tab = app.test_client()
        tab._cookies = dict(browser._cookies)
        return tab.post("/oauth/device", data={**form, "decision": "allow"})

    deeds = [
        functools.partial(press_in, browser, form)
        for browser, form in zip(users, forms, strict=True)
    ]
    assert decided(device, at_once(*deeds * (THREADS // 2))) == 1
    body = device.poll().get_json()
    headers = {"Authorization": f"Bearer {body['access_token']}"}
    told = app.test_client(use_cookies=False).get("/api/me", headers=headers).get_json()
    with app.app_context(), server_of(app).store.reading() as session:
        assert session.scalars(select(DeviceCode)).one().grant.subject == told["subject"]


def test_one_device_allowed_and_denied_at_once(app: Flask, device: Device) -> None:
    device.start()
    page = device.enter()
    deeds = [functools.partial(press, device.browser, page, word) for word in ("allow", "deny")] * (
        THREADS // 2
    )
    counted = decided(device, at_once(*deeds))
    answer = device.poll()
    if counted:
        assert counted == 1
        assert answer.status_code == 200
    else:
        assert answer.get_json()["error"] == "access_denied"


def test_one_code_redeemed_by_all_at_once(app: Flask, device: Device) -> None:
    # As RFC 6749 4.1.2 has it: once; and what a replay follows is revoked.
    device.start()
    device.decide()
    answers = at_once(*[device.poll] * THREADS)
    assert sorted(one.status_code for one in answers) == [200] + [400] * (THREADS - 1)
    assert {one.get_json().get("error") for one in answers} == {None, "invalid_grant"}
    assert live_tokens(app) == 0


def test_devices_that_ask_at_once_are_told_apart(app: Flask, device: Device) -> None:
    device.start()
    answers = at_once(*[device.poll] * THREADS)
    told = sorted(answer.get_json()["error"] for answer in answers)
    assert told == ["authorization_pending"] + ["slow_down"] * (THREADS - 1)
    with app.app_context(), server_of(app).store.reading() as session:
        # Each of them makes it wait longer: none is lost.
        assert session.scalars(select(DeviceCode)).one().poll_interval == 5 + 5 * (THREADS - 1)


def test_guesses_at_once_are_all_counted(app: Flask, device: Device) -> None:
    # The limit is no limit if many can be the first at the same moment.
    server_of(app).clock = Clock(1790000400)
    device.start()
    form = hidden_fields(device.browser.get("/oauth/device").text)
    wrong = [letter * 8 for letter in device_code.LETTERS[:THREADS]]

    def guess_at(typed: str) -> TestResponse:
        return device.browser.post("/oauth/device", data={**form, "user_code": typed})

    answers = at_once(*[functools.partial(guess_at, typed) for typed in wrong])
    told = sorted(answer.status_code for answer in answers)
    assert told == [400] * 5 + [429] * (THREADS - 5)
    assert device.enter().status_code == 429
    # That the device started is counted as well.
    assert counts(app) == [1, 5, 5]


def test_what_one_guesser_lacks_the_other_keeps(app: Flask) -> None:
    with app.app_context():
        ephemeral = server_of(app).ephemeral

        def take(**most: int) -> None:
            ephemeral.take(most, 600)

        take(ada=1, all=9)
        with pytest.raises(TooManyGuesses) as refused:
            take(ada=1, all=9)
        assert refused.value.wait == 600
        take(bob=1, all=2)
        with pytest.raises(TooManyGuesses):
            take(cleo=1, all=2)
        # She was not there yet, and has lost nothing.
        take(cleo=1, all=3)
        ephemeral.give_back({"cleo": 1, "all": 3}, 600)
        take(cleo=1, all=3)
        # Another window.
        ephemeral.take({"ada": 1, "all": 3}, 1200)


def test_a_user_code_that_another_device_has_is_made_anew(
    app: Flask, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = iter(["BCDFGHJK", "BCDFGHJK", "BCDFGHJK", "KJHGFDCB"])
    monkeypatch.setattr(device_code, "new_user_code", lambda: next(codes))
    assert device.start().get_json()["user_code"] == "BCDF-GHJK"
    assert device.start().get_json()["user_code"] == "KJHG-FDCB"


def test_a_code_whose_challenge_differs_is_not_consumed(app: Flask, device: Device) -> None:
    # The gate itself: no way in can leave the proof out.
    device.start()
    device.decide()
    server = server_of(app)
    with app.app_context():
        with server.store.reading() as session:
            code = session.scalars(select(DeviceCode)).one()
        bound = update(DeviceCode).values(code_challenge="x" * 43)
        server.store.write(lambda session: session.execute(bound))

        def is_consumed_with(proof: str | None) -> bool:
            now = server.now()
            return server.store.transaction(
                lambda connection: device_code.consume(connection, code, code.grant, proof, now)
            )

        proofs = (None, "y" * 43, "x" * 43)
        assert [is_consumed_with(proof) for proof in proofs] == [False, False, True]


@pytest.mark.parametrize("app", DATABASES[:3], indirect=True)
def test_a_first_guess_that_is_made_twice_at_once_counts_twice(app: Flask) -> None:
    store, most, now = server_of(app).store, {"all": 9, "ada": 5}, 600
    with app.app_context():
        store.write(lambda session: guess.take(session, {"all": 9}, now))

    def take_again() -> None:
        with app.app_context():
            store.write(lambda session: guess.take(session, most, now))

    other = threading.Thread(target=take_again)

    def take(session: Session) -> None:
        # The other waits for the row of all by now, and knows of none of Ada.
        guess.take(session, most, now)
        other.start()
        time.sleep(0.2)

    with app.app_context():
        store.write(take)
        other.join()
        with store.reading() as session:
            assert sorted(session.scalars(select(Guess.tries))) == [2, 3]
