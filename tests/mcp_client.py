"""A client of MCP by the official SDK, unmodified, and the person it acts for."""

from __future__ import annotations

import itertools
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import requests
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata

from flask_pkce_server.testing import hidden_fields

from .live import action_of

_numbers = itertools.count(1)


@dataclass
class Person:
    """Somebody at a browser, who signs in where a page wants it and allows what is asked."""

    username: str
    browser: requests.Session = field(default_factory=requests.Session)
    #: The consent pages that were shown.
    asked: list[str] = field(default_factory=list)
    #: Where the browser was sent last.
    sent_to: str = ""

    async def visit(self, url: str) -> None:
        page = self.browser.get(url)
        if re.search(r'name="?username\b', page.text):
            form = {**hidden_fields(page.text), "username": self.username, "password": "demo"}
            page = self.browser.post(page.url, data=form)
        assert 'name="decision"' in page.text, page.text
        self.asked.append(page.text)
        form = {**hidden_fields(page.text), "decision": "allow"}
        answer = self.browser.post(action_of(page), data=form, allow_redirects=False)
        self.sent_to = answer.headers["Location"]

    async def come_back(self) -> AuthorizationCodeResult:
        found = parse_qs(urlsplit(self.sent_to).query)
        assert {len(values) for values in found.values()} == {1}, found
        return AuthorizationCodeResult(
            code=found["code"][0], state=found["state"][0], iss=found["iss"][0]
        )


class Agent:
    """An installation of the client: what it stores, and the SDK's provider upon that."""

    def __init__(
        self, url: str, person: Person, redirect_uri: str = "http://127.0.0.1:8765/cb", **more: Any
    ) -> None:
        self.url, self.tokens, self.client = url, None, None
        # Who registers the same again is given the same client.
        self.name = f"Claudine {next(_numbers)}"
        metadata = OAuthClientMetadata(client_name=self.name, redirect_uris=[redirect_uri])
        self.auth = OAuthClientProvider(url, metadata, self, person.visit, person.come_back, **more)

    async def get_tokens(self) -> Any:
        return self.tokens

    async def set_tokens(self, tokens: Any) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> Any:
        return self.client

    async def set_client_info(self, client: Any) -> None:
        self.client = client

    def forget_time(self) -> None:
        """Take the access token for expired, as it does when its own clock says so."""
        self.auth.context.token_expiry_time = 1

    @property
    def scopes(self) -> set[str]:
        """What it was granted."""
        return set(self.tokens.scope.split())

    @asynccontextmanager
    async def session(self, mode: str = "auto") -> AsyncIterator[Client]:
        """Connect to the MCP server at its URL."""
        async with self.http() as http:
            transport = streamable_http_client(self.url, http_client=http)
            async with Client(transport, mode=mode, read_timeout_seconds=20) as client:
                yield client

    async def get(self) -> httpx2.Response:
        """GET the URL: the provider opens any API."""
        async with self.http() as http:
            return await http.get(self.url)

    def http(self) -> httpx2.AsyncClient:
        # To read whom to trust takes longer than all that is asked on the loopback.
        return httpx2.AsyncClient(auth=self.auth, verify=False)
