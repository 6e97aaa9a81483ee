"""Taking away: one round of each way, on one app or spread over the apps of several nodes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle
from typing import Any

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
from .host import User, sign_in
from .services import THOROUGH

THREADS = 32 if THOROUGH else 12
#: A sign-out leaves what has offline_access, and nothing else.
SCOPE = "openid profile notes:read"
#: What an app needs to be taken away from in all these ways.
FEATURES: dict[str, Any] = {
    "PKCE_FEATURES": {"token_exchange": True},
    "PKCE_REFRESH_TOKEN_WHEN": "always",
}


@dataclass
class Access:
    """All ways in which a user of one app has access, or is about to get it."""

    app: Flask
    user: Flow
    device: Device
    api: Flow

    def at(self, app: Flask) -> Access:
        """Return the same access at another app with the same database and secret."""
        browser = self.browser(app)
        return Access(
            app,
            replace(self.user, browser=browser),
            replace(self.device, browser=browser),
            replace(self.api, browser=browser),
        )

    def browser(self, app: Flask | None = None) -> FlaskClient:
        """Another tab of the user: with the cookies of the session, and none shared."""
        tab = (app or self.app).test_client()
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


def let_in(app: Flask) -> Access:
    """Have a user sign in at `app`, and register a client and an API there."""
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
    return Access(app, flow, Device(browser, client, scope=SCOPE), Flow(browser, api))


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


#: What takes access away, made ready for one round.
Way = Callable[[Access], Callable[[], Any]]
WAYS: tuple[Way, ...] = (removed, narrowed, signed_out, forgotten, suspended)


def take_away(access: Access, taken: Way, others: Sequence[Flask] = ()) -> None:
    """Have access taken away while all ways to it are used, at `others` too."""
    app, user, device = access.app, access.user, access.device
    if taken is suspended:
        update(app, user, "--no-suspended")
    elif taken is signed_out:
        user.browser.post("/login", data={"username": "ada"})
    user.allow(prompt="consent")
    tokens, codes = [user.tokens() for _ in "12"], [user.allow()["code"] for _ in "12"]
    assert device.start().status_code == 200
    assert device.decide().status_code == 200
    shown = tokens[0]["access_token"]
    places = cycle([access, *map(access.at, others)])
    own = [
        # A retry within the grace is no reuse.
        *[
            partial(next(places).user.refresh, each["refresh_token"])
            for each in tokens * (THREADS // 8)
        ],
        *[partial(next(places).user.redeem, code) for code in codes],
        next(places).device.poll,
    ]
    deeds = [*own, *[partial(next(places).exchange, shown) for _ in range(THREADS // 6)]]
    deeds += [next(places).silently for _ in range(THREADS // 4)]
    deeds += [partial(next(places).call, shown) for _ in range(THREADS - 1 - len(deeds))]
    *answers, _ = at_once(*deeds, taken(next(places)))
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
    for each in (app, *others):
        assert live_tokens(each) == 0


def live_scopes(app: Flask) -> list[frozenset[str]]:
    """Return the scopes that each live token has."""
    server = server_of(app)
    with app.app_context(), server.store.reading() as session:
        of_grants = select(Token).join(Grant, Grant.grant_id == Token.grant_id)
        tokens = session.scalars(of_grants.where(Grant.revoked_at.is_(None)))
        return [token.scope for token in tokens if token.is_live(server.now())]
