"""What an attacker sends, and what must never leave; beside the tests of the features.

The shapes that have brought down comparable servers. Lines that wait for features that do
not exist yet: ID tokens, registration, assertions, DPoP, logout.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from flask_pkce_server import signals
from flask_pkce_server.models.base import Base
from flask_pkce_server.testing import Flow, new_verifier, parameters_of, register
from flask_pkce_server.wire.names import DEVICE_CODE

from .host import lending, make_app
from .services import THOROUGH

HOSTILE = ['co"de', "é", "\x00", "\x7f", "a\r\nb", "\\", "[" * 3000, "\ud83d\ude00"[:1] + "x"]


@pytest.fixture
def app() -> Iterator[Flask]:
    # As in production: a failure is an answer here, and has to be seen as one.
    with lending.app(make_app, TESTING=False, PROPAGATE_EXCEPTIONS=False) as app:
        yield app


@pytest.mark.parametrize("name", ["response_type", "redirect_uri", "client_id", "scope", "prompt"])
@pytest.mark.parametrize("value", HOSTILE)
def test_no_parameter_brings_the_authorization_endpoint_down(
    pkce_flow: Flow, name: str, value: str
) -> None:
    # Authlib puts these into a description that it then refuses with a ValueError.
    value = value.encode("utf-8", "replace").decode()
    answer = pkce_flow.authorize(**{name: value})
    assert answer.status_code < 500


@pytest.mark.parametrize(
    "name", ["grant_type", "code", "refresh_token", "device_code", "client_id", "scope"]
)
@pytest.mark.parametrize("value", HOSTILE)
def test_no_parameter_brings_the_token_endpoint_down(
    pkce_flow: Flow, name: str, value: str
) -> None:
    value = value.encode("utf-8", "replace").decode()
    for grant_type in ("authorization_code", "refresh_token", DEVICE_CODE, "client_credentials"):
        form = {
            "grant_type": grant_type,
            "code": "x",
            "refresh_token": "x",
            "device_code": "x",
            "code_verifier": pkce_flow.verifier,
            name: value,
        }
        answer = pkce_flow.post("token", form)
        assert answer.status_code in (400, 401)
        assert answer.get_json()["error_description"].isascii()


@pytest.mark.parametrize("query", ["scope[a]=b", "max_age[]=1", "client_id[]=x", "=", "&&", "%"])
def test_parameters_of_other_shapes_are_unknown_ones(pkce_flow: Flow, query: str) -> None:
    answer = pkce_flow.browser.get(f"/oauth/authorize?{query}")
    assert answer.status_code == 400


def test_a_long_state_is_not_echoed_into_a_long_header(pkce_flow: Flow) -> None:
    answer = pkce_flow.authorize(state="x" * 60_000)
    assert answer.status_code == 400
    assert "Location" not in answer.headers


def test_a_secret_for_a_client_that_has_none_is_no_crash(pkce_flow: Flow) -> None:
    for secret in ("x", "é", "\x00"):
        answer = pkce_flow.post("token", {"grant_type": "refresh_token", "client_secret": secret})
        assert answer.status_code in (400, 401)


@pytest.mark.parametrize("prompt", ["none", "login", "consent", "bogus"])
def test_no_prompt_redirects_to_what_is_not_registered(pkce_flow: Flow, prompt: str) -> None:
    answer = pkce_flow.authorize(prompt=prompt, redirect_uri="https://evil.example/")
    assert answer.status_code == 400
    assert "Location" not in answer.headers


def test_nothing_secret_is_kept_logged_or_told(
    app: Flask, client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[str] = []
    receivers = []
    for signal in signals._signals.values():

        def listen(app, **facts) -> None:
            told.append(repr(facts))

        receivers.append(listen)
        signal.connect(listen, app)

    flow = Flow(client, register(app, auth_method="client_secret_post"))
    answer = flow.allow()
    flow.redeem(answer["code"], code_verifier=new_verifier())
    tokens = flow.redeem(answer["code"]).get_json()
    fresh = flow.refresh(tokens["refresh_token"]).get_json()
    flow.redeem(answer["code"])
    flow.revoke(fresh["refresh_token"])
    secrets = [
        answer["code"],
        flow.verifier,
        flow.client.client_secret,
        *(one[kind] for one in (tokens, fresh) for kind in ("access_token", "refresh_token")),
    ]
    with app.app_context(), app.db.engine.connect() as connection:
        rows = [
            repr(row) + repr([bytes(cell) for cell in row if isinstance(cell, bytes)])
            for table in Base.metadata.sorted_tables
            for row in connection.execute(table.select())
        ]
    assert len(rows) > 5
    assert len(told) > 4
    for secret in secrets:
        assert secret
        for place in (caplog.text, "\n".join(told), "\n".join(rows)):
            assert secret not in place


@pytest.mark.programs
def test_pkce_holds_in_whatever_order_hooks_run() -> None:
    # Authlib keeps its hooks in sets: their order changes from process to process.
    root = Path(__file__).parent.parent
    for seed in ("1", "2") if THOROUGH else ("1",):
        done = subprocess.run(
            [
                *[sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
                "tests/features/test_pkce.py",
                *["-k", "changes0 or changes3 or minted"],
            ],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout


def test_the_state_of_a_registered_uri_is_not_doubled(pkce_flow: Flow) -> None:
    answer = pkce_flow.decide(pkce_flow.authorize(state="one"))
    assert parameters_of(answer)["state"] == "one"
    assert answer.headers["Location"].count("state=") == 1
