"""What the tests of the device flow share: a device, and the user in front of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_pkce_server.testing import Flow, RegisteredClient, hidden_fields, register
from flask_pkce_server.wire.names import DEVICE_CODE as GRANT_TYPE

SCOPE = "openid profile notes:read offline_access"


def television(app: Flask, **more: Any) -> RegisteredClient:
    """Register a client that runs on devices."""
    what = {"redirect_uris": (), "grant_types": [GRANT_TYPE, "refresh_token"], **more}
    return register(app, **{"name": "Television", **what})


@dataclass
class Device:
    """A device, and a browser in which its user is signed in."""

    browser: FlaskClient
    client: RegisteredClient
    scope: str | None = SCOPE
    started: dict[str, Any] = field(default_factory=dict)

    @property
    def flow(self) -> Flow:
        """What speaks for the client."""
        return Flow(self.browser, self.client)

    def start(self, **changes: str | None) -> TestResponse:
        """Ask for the two codes."""
        answer = self.flow.post("device_authorization", {"scope": self.scope, **changes})
        self.started = answer.get_json()
        return answer

    @property
    def user_code(self) -> str:
        """The code that the device shows."""
        return self.started["user_code"]

    def poll(self, **changes: str | None) -> TestResponse:
        """Ask whether the user has decided."""
        form = {"grant_type": GRANT_TYPE, "device_code": self.started["device_code"]}
        return self.flow.post("token", {**form, **changes})

    def error(self, **changes: str | None) -> str:
        """Ask, and return the error of the answer."""
        answer = self.poll(**changes)
        assert answer.status_code == 400, answer.text
        return answer.get_json()["error"]

    def enter(self, typed: str | None = None, browser: FlaskClient | None = None) -> TestResponse:
        """Type a code, that of the device if no other is given."""
        return enter(browser or self.browser, self.user_code if typed is None else typed)

    def decide(
        self, decision: str = "allow", browser: FlaskClient | None = None, **more: Any
    ) -> TestResponse:
        """Type the code and press a button."""
        browser = browser or self.browser
        page = enter(browser, self.user_code)
        assert page.status_code == 200, page.text
        return press(browser, page, decision, **more)

    def tokens(self, **changes: str | None) -> dict[str, Any]:
        """Go the whole way and return the token response."""
        assert self.start(**changes).status_code == 200, self.started
        assert self.decide().status_code == 200
        answer = self.poll()
        assert answer.status_code == 200, answer.text
        return answer.get_json()


def enter(browser: FlaskClient, typed: str) -> TestResponse:
    """Type `typed` on the page for codes."""
    form = hidden_fields(browser.get("/oauth/device").text)
    return browser.post("/oauth/device", data={**form, "user_code": typed})


def press(browser: FlaskClient, page: TestResponse, decision: str, **more: Any) -> TestResponse:
    """Press a button of the consent page for a device."""
    form = {**hidden_fields(page.text), "decision": decision, **more}
    return browser.post("/oauth/device", data=form)
