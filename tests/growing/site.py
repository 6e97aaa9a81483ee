"""Site: a user of an app, and an API elsewhere that asks what their tokens are good for."""

from __future__ import annotations

import time

from flask import Flask
from werkzeug.test import TestResponse

from flask_pkce_server.testing import Flow, register, server_of

from ..host import sign_in
from .postgresql import Server

SCOPE = "openid profile offline_access"


def call(app: Flask, token: str, path: str = "/api/me") -> TestResponse:
    """Call an API of the app."""
    return app.test_client().get(path, headers={"Authorization": f"Bearer {token}"})


class Site:
    """A user with tokens, and an API that asks what they are good for."""

    def __init__(self, app: Flask, replica: Server) -> None:
        self.app, self.replica = app, replica
        self.user = Flow(sign_in(app), register(app), scope=SCOPE)
        self.api = self.new_api()
        self.tokens = self.user.tokens()

    def new_api(self) -> Flow:
        client = register(
            self.app,
            redirect_uris=(),
            auth_method="client_secret_basic",
            grant_types=["client_credentials"],
            client_metadata={"resource_server": True},
        )
        return Flow(self.app.test_client(), client)

    def is_active(self, token: str, api: Flow | None = None) -> bool:
        answer = (api or self.api).post("introspect", {"token": token})
        assert answer.status_code == 200, answer.text
        active: bool = answer.get_json()["active"]
        return active

    def catch_up(self) -> None:
        """Wait until the replica has it all, and the app has noticed."""
        store = server_of(self.app).store
        with self.app.app_context():
            while store.replica.lag(store.engine).seconds != 0:
                time.sleep(0.02)
        self.look()

    def look(self) -> None:
        """Have the app look at the lag again: it does once a second."""
        time.sleep(1.05)
        self.is_active(self.tokens["access_token"])
