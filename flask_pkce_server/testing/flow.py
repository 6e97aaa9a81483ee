"""Flow: runs a sign-in the way a browser and a client do."""

from __future__ import annotations

import html
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from ..models import client_storage as clients
from ..protocol.contract import Server, server_of
from ..wire.code_challenge import challenge_of as challenge_of  # tests use it too
from ..wire.handle import base64url

REDIRECT_URI = "https://client.example/callback"


class Clock:
    """A clock that stands still until it is advanced; it returns epoch seconds."""

    def __init__(self, now: float | None = None) -> None:
        self.now = time.time() if now is None else now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Move the clock forward by `seconds`."""
        self.now += seconds


def new_verifier() -> str:
    """Make a code_verifier (RFC 7636 4.1)."""
    return base64url(secrets.token_bytes(32))


def hidden_fields(page: str) -> dict[str, str]:
    """Return the hidden form fields of a page, without `decision`."""
    fields = {}
    for tag in re.findall(r"<input[^>]*type=\"hidden\"[^>]*>", page):
        attributes = dict(re.findall(r"(\w+)=\"([^\"]*)\"", tag))
        if attributes.get("name") != "decision":
            fields[attributes["name"]] = html.unescape(attributes.get("value", ""))
    return fields


@dataclass
class RegisteredClient:
    """A client, as its developer knows it."""

    client_id: str
    client_secret: str | None
    redirect_uri: str
    auth_method: str


@dataclass
class Flow:
    """One sign-in, run the way a browser and a client do.

    `browser` is a Flask test client in which the user is signed in.
    """

    browser: FlaskClient
    client: RegisteredClient
    scope: str = "profile offline_access"
    verifier: str = field(default_factory=new_verifier)
    state: str = field(default_factory=lambda: secrets.token_urlsafe(8))

    @property
    def server(self) -> Server:
        """The authorization server under test."""
        return server_of(self.browser.application)

    def request(self, **changes: str | None) -> dict[str, str]:
        """Return the parameters of an authorization request; None omits a parameter."""
        parameters: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client.client_id,
            "redirect_uri": self.client.redirect_uri,
            "scope": self.scope,
            "state": self.state,
            "code_challenge": challenge_of(self.verifier),
            "code_challenge_method": "S256",
            **changes,
        }
        return {name: value for name, value in parameters.items() if value is not None}

    def authorize(self, **changes: str | None) -> TestResponse:
        """Send the authorization request."""
        path = self.server.paths["authorize"]
        return self.browser.get(path, query_string=self.request(**changes))

    def decide(self, page: TestResponse, decision: str = "allow", **changes: str) -> TestResponse:
        """Submit the consent form of `page`."""
        form = {**hidden_fields(page.text), "decision": decision, **changes}
        return self.browser.post(self.server.paths["authorize"], data=form)

    def allow(self, **changes: str | None) -> dict[str, str]:
        """Send the authorization request, allow it, and return what the client receives."""
        response = self.authorize(**changes)
        if response.status_code == 200:
            response = self.decide(response)
        assert response.status_code in (302, 303), response.text
        return parameters_of(response)

    def post(self, name: str, form: dict[str, str | None]) -> TestResponse:
        """Send `form` to the endpoint `name` as the client, with its credentials."""
        form = dict(form)
        authorization = None
        if self.client.auth_method == "client_secret_basic":
            authorization = (self.client.client_id, self.client.client_secret or "")
        else:
            form.setdefault("client_id", self.client.client_id)
        if self.client.auth_method == "client_secret_post":
            form.setdefault("client_secret", self.client.client_secret)
        # The client is not the browser, and has none of its cookies.
        backend = self.browser.application.test_client(use_cookies=False)
        return backend.post(
            self.server.paths[name],
            data={key: value for key, value in form.items() if value is not None},
            auth=authorization,
        )

    def redeem(self, code: str, **changes: str | None) -> TestResponse:
        """Exchange an authorization code for tokens."""
        form: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.client.redirect_uri,
            "code_verifier": self.verifier,
            **changes,
        }
        return self.post("token", form)

    def refresh(self, refresh_token: str, **changes: str | None) -> TestResponse:
        """Exchange a refresh token for new tokens."""
        return self.post(
            "token", {"grant_type": "refresh_token", "refresh_token": refresh_token, **changes}
        )

    def revoke(self, token: str, **changes: str | None) -> TestResponse:
        """Revoke a token."""
        return self.post("revoke", {"token": token, **changes})

    def tokens(self, **changes: str | None) -> dict[str, Any]:
        """Run the whole flow and return the token response."""
        response = self.redeem(self.allow(**changes)["code"])
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.get_json()
        return body


def parameters_of(response: TestResponse) -> dict[str, str]:
    """Return the parameters that a redirect carries to the client; each occurs once."""
    parts = urlsplit(response.headers["Location"])
    parameters = parse_qs(parts.query or parts.fragment, keep_blank_values=True)
    assert all(len(values) == 1 for values in parameters.values()), parameters
    return {name: values[0] for name, values in parameters.items()}


def register(
    app: Flask,
    *,
    name: str = "Notebook",
    auth_method: str = "none",
    redirect_uris: tuple[str, ...] = (REDIRECT_URI,),
    **more: Any,
) -> RegisteredClient:
    """Register a client with `app`; pass `more` to `models.client_storage.new_client`.

    For a client that uses no browser, pass `redirect_uris=()` and its `grant_types`.
    """
    server = server_of(app)
    more.setdefault("grant_types", ["authorization_code", "refresh_token"])
    with app.app_context():
        client, secret = clients.new_client(
            client_name=name,
            redirect_uris=redirect_uris,
            auth_method=auth_method,
            now=server.now(),
            **more,
        )
        server.registrar.check(client)
        server.store.write(lambda session: clients.save(session, client))
    return RegisteredClient(client.client_id, secret, next(iter(redirect_uris), ""), auth_method)
