"""Races against whatever takes access away: it wins over all that is under way."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from flask_pkce_server.models.grant import Grant
from flask_pkce_server.models.token import Token
from flask_pkce_server.testing import Flow, parameters_of, register, server_of
from flask_pkce_server.wire.names import DEVICE_CODE, TOKEN_EXCHANGE

from .at_once import at_once, live_tokens
from .device import Device
from .host import User, make_app, sign_in
from .services import POOL, ROUNDS, THOROUGH, empty_database

pytestmark = pytest.mark.thorough

THREADS = 32 if THOROUGH else 12
SERVERS = [pytest.param(name, marks=pytest.mark.services) for name in ("postgresql", "mariadb")]
#: A sign-out leaves what has offline_access, and nothing else.
SCOPE = "openid profile notes:read"


@dataclass
class Access:
    """All ways in which a user of one app has access, or is about to get it."""

    app: Flask
    user: Flow
    device: Device
    api: Flow

    def browser(self) -> FlaskClient:
        """Another tab of the user: with the cookies of the session, and none shared."""
        tab = self.app.test_client()
        cookie = self.user.browser.get_cookie("session")
        assert cookie is not None
        tab.set_cookie("session", cookie.value)
        return tab

    def silently(self) -> TestResponse:
        """Get a code without the user, and redeem it."""
        flow = Flow(self.browser(), self.user.client, scope=self.user.scope)
        answer = flow.authorize(prompt="none")
        code = parameters_of(answer).get("code") if "Location" in answer.headers else None
        return answer if code is None else flow.redeem(code)

    def call(self, shown: str) -> TestResponse:
        """Call a guarded view of the app."""
        headers = {"Authorization": f"Bearer {shown}"}
        return self.app.test_client(use_cookies=False).get("/api/notes", headers=headers)

    def exchange(self, shown: str) -> TestResponse:
        """Have the API get a token of its own for the one that it was shown."""
        return self.api.post(
            "token",
            {
                "grant_type": TOKEN_EXCHANGE,
                "subject_token": shown,
                "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
            },
        )


@pytest.fixture(params=["sqlite", *SERVERS])
def access(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Access]:
    """Give an app on a real database, with a user who has let one client in."""
    with ExitStack() as stack:
        uri = f"sqlite:///{tmp_path}/app.db"
        if request.param != "sqlite":
            uri = stack.enter_context(empty_database(request.param))
        app = make_app(
            SQLALCHEMY_DATABASE_URI=uri,
            SQLALCHEMY_ENGINE_OPTIONS=POOL,
            TESTING=False,
            PKCE_FEATURES={"token_exchange": True},
            PKCE_REFRESH_TOKEN_WHEN="always",
        )
        browser = sign_in(app)
        types = ["authorization_code", "refresh_token", DEVICE_CODE]
        client = register(app, grant_types=types)
        api = register(
            app,
            redirect_uris=(),
            auth_method="client_secret_basic",
            client_metadata={"token_exchange_from": ["https://auth.example"]},
            grant_types=[TOKEN_EXCHANGE],
        )
        flow = Flow(browser, client, scope=SCOPE)
        yield Access(app, flow, Device(browser, client, scope=SCOPE), Flow(browser, api))
        with app.app_context():
            app.db.engine.dispose()


def pressed(access: Access, **form: str) -> Callable[[], TestResponse]:
    """Return what presses a button of the page of connected apps."""
    page = access.user.browser.get("/oauth/apps").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
    data = {"csrf_token": token, "client_id": access.user.client.client_id, **form}

    def press() -> TestResponse:
        for _ in range(3):
            answer = access.user.browser.post("/oauth/apps", data=data)
            if answer.status_code != 503:
                break
        return answer

    return press


def removed(access: Access) -> Callable[[], Any]:
    return pressed(access, remove="app")


def narrowed(access: Access) -> Callable[[], Any]:
    return pressed(access, remove="scopes", scope="notes:read")


def signed_out(access: Access) -> Callable[[], Any]:
    return partial(access.user.browser.post, "/logout")


def forgotten(access: Access) -> Callable[[], Any]:
    def forget() -> None:
        with access.app.app_context():
            access.app.pkce.forget_user(access.app.db.session.get(User, 1))

    return forget


def suspended(access: Access) -> Callable[[], Any]:
    return partial(update, access.app, access.user, "--suspended")


def update(app: Flask, flow: Flow, option: str) -> None:
    args = ["pkce", "client", "update", flow.client.client_id, option]
    assert app.test_cli_runner().invoke(args=args).exit_code == 0


@pytest.mark.parametrize("taken", [removed, narrowed, signed_out, forgotten, suspended])
def test_what_is_taken_away_is_not_alive_afterwards(
    access: Access, taken: Callable[[Access], Callable[[], Any]]
) -> None:
    app, user, device = access.app, access.user, access.device
    for _ in range(ROUNDS):
        if taken is suspended:
            update(app, user, "--no-suspended")
        elif taken is signed_out:
            user.browser.post("/login", data={"username": "ada"})
        user.allow(prompt="consent")
        tokens, codes = [user.tokens() for _ in "12"], [user.allow()["code"] for _ in "12"]
        assert device.start().status_code == 200
        assert device.decide().status_code == 200
        shown = tokens[0]["access_token"]
        own = [
            # A retry within the grace is no reuse.
            *[partial(user.refresh, each["refresh_token"]) for each in tokens] * (THREADS // 8),
            *[partial(user.redeem, code) for code in codes],
            device.poll,
        ]
        deeds = [*own, *[partial(access.exchange, shown)] * (THREADS // 6)]
        deeds += [access.silently] * (THREADS // 4)
        deeds += [partial(access.call, shown)] * (THREADS - 1 - len(deeds))
        *answers, _ = at_once(*deeds, taken(access))
        assert {answer.status_code for answer in answers} <= {200, 302, 400, 401, 403}
        if taken is narrowed:
            # None of them is lost: who came too early or too late has less, and goes on.
            assert {answer.status_code for answer in answers[: len(own)]} == {200}
            assert not [scopes for scopes in live_scopes(app) if "notes:read" in scopes]
            forgotten(access)()
        elif taken is signed_out:
            # A device stays signed in after the browser signs out.
            assert len(live_scopes(app)) <= 2
            forgotten(access)()
        assert live_tokens(app) == 0


def live_scopes(app: Flask) -> list[frozenset[str]]:
    """Return the scopes that each live token has."""
    server = server_of(app)
    with app.app_context(), server.store.reading() as session:
        of_grants = select(Token).join(Grant, Grant.grant_id == Token.grant_id)
        tokens = session.scalars(of_grants.where(Grant.revoked_at.is_(None)))
        return [token.scope for token in tokens if token.is_live(server.now())]
