"""A change of the app's secret: what was made before it goes on, as long as it is a fallback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask_pkce_server import token_reuse_detected
from flask_pkce_server.errors import ConfigurationError
from flask_pkce_server.testing import Clock, Flow, parameters_of, register, server_of
from flask_pkce_server.wire.jws import header_of

from .device import Device, television
from .host import SECRET_KEY, make_app, sign_in

pytestmark = pytest.mark.thorough

NEW = "another-secret-key-of-the-tests-9876543210"
SCOPE = "openid profile offline_access"
#: How the secret can be changed: what is configured before, and afterwards.
CHANGES = [
    ({}, {"SECRET_KEY": NEW, "SECRET_KEY_FALLBACKS": [SECRET_KEY]}),
    (
        {"PKCE_KEY_SECRET": "a-secret-for-the-keys-0123456789"},
        {
            "PKCE_KEY_SECRET": NEW,
            "PKCE_KEY_SECRET_FALLBACKS": ["a-secret-for-the-keys-0123456789"],
        },
    ),
    ({}, {"PKCE_KEY_SECRET": NEW, "PKCE_KEY_SECRET_FALLBACKS": [SECRET_KEY]}),
]


class Workers:
    """Processes of one app, on one database, whose secrets may differ."""

    def __init__(self, folder: Path) -> None:
        self.uri = f"sqlite:///{folder}/app.db"
        self.apps: list[Flask] = []
        self.clock = Clock()

    def start(self, **config: Any) -> Flask:
        """Start a process."""
        app = make_app(init=not self.apps, SQLALCHEMY_DATABASE_URI=self.uri, **config)
        if self.apps:
            app.pkce.init_app(app)
        server_of(app).clock = self.clock
        self.apps.append(app)
        return app

    def stop(self) -> None:
        """Close the connections of all."""
        for app in self.apps:
            with app.app_context():
                app.db.engine.dispose()


@pytest.fixture
def workers(tmp_path: Path) -> Any:
    workers = Workers(tmp_path)
    yield workers
    workers.stop()


def moved(browser: FlaskClient, app: Flask) -> FlaskClient:
    """Return the browser, with its cookies, as it speaks to `app`."""
    there = app.test_client()
    there._cookies = browser._cookies
    return there


def kids(app: Flask) -> set[str]:
    return {key["kid"] for key in app.test_client().get("/oauth/jwks").get_json()["keys"]}


@pytest.mark.parametrize(("before", "after"), CHANGES)
def test_the_signing_keys_stay_and_are_encrypted_with_the_new_secret(
    workers: Workers, before: dict[str, Any], after: dict[str, Any]
) -> None:
    app = workers.start(**before)
    flow = Flow(sign_in(app), register(app), scope=SCOPE)
    kid = header_of(flow.tokens()["id_token"])["kid"]
    published = kids(app)
    after_change = workers.start(**after)
    flow = Flow(sign_in(after_change), flow.client, scope=SCOPE)
    assert header_of(flow.tokens()["id_token"])["kid"] == kid
    assert kids(after_change) == published
    # Now the fallback can go.
    later = workers.start(**{**after, "SECRET_KEY_FALLBACKS": [], "PKCE_KEY_SECRET_FALLBACKS": []})
    flow = Flow(sign_in(later), flow.client, scope=SCOPE)
    assert header_of(flow.tokens()["id_token"])["kid"] == kid
    assert kids(later) == published


def test_workers_that_know_both_secrets_share_the_keys_during_a_deployment(
    workers: Workers,
) -> None:
    old = workers.start(SECRET_KEY_FALLBACKS=[NEW])
    new = workers.start(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[SECRET_KEY])
    published = kids(old)
    for app in (new, old, new, workers.start(SECRET_KEY_FALLBACKS=[NEW]), new):
        # Each reads again what the others may have done.
        workers.clock.advance(5)
        assert kids(app) == published
    # The one that stays encrypted them last.
    assert kids(workers.start(SECRET_KEY=NEW)) == published


def test_the_doctor_says_until_when_the_earlier_secret_is_needed(workers: Workers) -> None:
    def told(app: Flask) -> dict[str, Any]:
        output = app.test_cli_runner().invoke(args=["pkce", "doctor", "--json"]).output
        return next(one for one in json.loads(output) if "signing keys" in one["about"])

    app = workers.start()
    kids(app)
    after_change = workers.start(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[SECRET_KEY])
    found = told(after_change)
    assert (found["level"], "2 signing keys" in found["about"]) == ("WARN", True)
    assert "SECRET_KEY_FALLBACKS" in found["fix"]
    assert told(workers.start(SECRET_KEY=NEW))["fix"].startswith('app.config["SECRET_KEY_FALL')
    other = told(workers.start(PKCE_KEY_SECRET=NEW))
    assert other["fix"].startswith('app.config["PKCE_KEY_SECRET_FALLBACKS"]')
    kids(after_change)
    assert told(after_change)["level"] == "OK"
    assert told(workers.start(SECRET_KEY=NEW))["level"] == "OK"


@pytest.mark.parametrize(("before", "after"), CHANGES)
def test_a_request_that_waits_for_the_sign_in_goes_on(
    workers: Workers, before: dict[str, Any], after: dict[str, Any]
) -> None:
    app = workers.start(**before)
    flow = Flow(app.test_client(), register(app, skip_consent=True))
    short = flow.authorize().headers["Location"]
    browser = moved(flow.browser, workers.start(**after))
    browser.post("/login", data={"username": "ada"})
    assert "code" in parameters_of(browser.get(short))


@pytest.mark.parametrize(("before", "after"), CHANGES)
def test_a_consent_form_that_was_open_is_not_lost(
    workers: Workers, before: dict[str, Any], after: dict[str, Any]
) -> None:
    app = workers.start(**before)
    flow = Flow(sign_in(app), register(app))
    page = flow.authorize()
    flow.browser = moved(flow.browser, workers.start(**after))
    answer = flow.decide(page)
    assert "code" in parameters_of(answer)


@pytest.mark.parametrize(("before", "after"), CHANGES)
def test_a_user_code_that_a_device_shows_can_still_be_typed(
    workers: Workers, before: dict[str, Any], after: dict[str, Any]
) -> None:
    app = workers.start(**before)
    device = Device(sign_in(app), television(app))
    device.start()
    device.browser = sign_in(workers.start(**after))
    assert device.decide().status_code == 200
    assert device.poll().status_code == 200


@pytest.mark.parametrize(("before", "after"), CHANGES)
def test_a_retry_of_a_refresh_gets_the_same_answer(
    workers: Workers, before: dict[str, Any], after: dict[str, Any]
) -> None:
    app = workers.start(**before)
    flow = Flow(sign_in(app), register(app), scope=SCOPE)
    spent = flow.tokens()["refresh_token"]
    answer = flow.refresh(spent).get_json()
    flow.browser = sign_in(workers.start(**after))
    again = flow.refresh(spent).get_json()
    for name in ("access_token", "refresh_token", "scope"):
        assert again[name] == answer[name]
    assert flow.refresh(again["refresh_token"]).status_code == 200


def test_a_retry_that_no_secret_explains_is_refused_and_revokes_nothing(workers: Workers) -> None:
    # As on a worker that was not told the secret of another yet.
    told: list[Flask] = []

    @token_reuse_detected.connect
    def note(app: Flask, **facts: Any) -> None:
        told.append(app)

    app = workers.start()
    flow = Flow(sign_in(app), register(app))
    spent = flow.tokens()["refresh_token"]
    answer = flow.refresh(spent).get_json()
    flow.browser = sign_in(workers.start(SECRET_KEY=NEW))
    refused = flow.refresh(spent)
    assert (refused.status_code, refused.get_json()["error"]) == (400, "invalid_grant")
    assert flow.refresh(answer["refresh_token"]).status_code == 200
    assert told == []


def test_a_retry_after_its_answer_was_used_is_a_replay_under_an_earlier_secret_too(
    workers: Workers,
) -> None:
    # RFC 9700 4.14.2
    app = workers.start()
    flow = Flow(sign_in(app), register(app))
    spent = flow.tokens()["refresh_token"]
    successor = flow.refresh(spent).get_json()["refresh_token"]
    latest = flow.refresh(successor).get_json()["refresh_token"]
    flow.browser = sign_in(workers.start(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[SECRET_KEY]))
    assert flow.refresh(spent).status_code == 400
    assert flow.refresh(latest).status_code == 400


def test_what_nobody_knows_a_secret_of_is_not_accepted(workers: Workers) -> None:
    app = workers.start()
    flow = Flow(app.test_client(), register(app))
    short = flow.authorize().headers["Location"]
    other = workers.start(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=["a-third-secret-0123456789"])
    assert moved(flow.browser, other).get(short).status_code == 400


def test_new_things_are_made_with_the_current_secret(workers: Workers) -> None:
    app = workers.start()
    after_change = workers.start(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[SECRET_KEY])
    old, new = server_of(app), server_of(after_change)
    assert new.key("x") != old.key("x")
    assert new.accepted_keys("x") == [old.key("x"), new.key("x")]
    short = Flow(after_change.test_client(), register(app)).authorize().headers["Location"]
    assert app.test_client().get(short).status_code == 400


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("SECRET_KEY_FALLBACKS", ["dev"], "too weak"),
        ("SECRET_KEY_FALLBACKS", [""], "not set"),
        ("SECRET_KEY_FALLBACKS", SECRET_KEY, "list"),
        ("PKCE_KEY_SECRET_FALLBACKS", ["a" * 40], "too weak"),
        ("PKCE_KEY_SECRET_FALLBACKS", [""], "not set"),
    ],
)
def test_a_fallback_that_opens_everything_is_refused(name: str, value: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as raised:
        make_app(TESTING=False, **{name: value})
    assert name in str(raised.value)
