"""Clients that a document at their URL describes, and the documents that can be had."""

from __future__ import annotations

import itertools
import json
import threading
from typing import Any

from flask import Flask
from sqlalchemy import func, select

from flask_pkce_server.models.client import Client
from flask_pkce_server.testing import Flow, RegisteredClient, server_of
from flask_pkce_server.wire.fetch import Document, FetchError

from .host import make_app, sign_in

URL = "https://apps.example/oauth/client.json"
HOME = "https://apps.example/callback"
LOCAL = "http://localhost/callback"
#: As Claude Code has it, but for the names.
TOOL = {
    "client_id": URL,
    "client_name": "Tool",
    "client_uri": "https://apps.example/",
    "redirect_uris": [LOCAL, "http://127.0.0.1/callback"],
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
    "token_endpoint_auth_method": "none",
}
#: As Claude.ai has it.
WEB = {**TOOL, "client_name": "Web", "redirect_uris": [HOME]}
#: As ChatGPT has it.
SIGNED = {
    **WEB,
    "token_endpoint_auth_method": "private_key_jwt",
    "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
    "token_endpoint_auth_signing_alg": "ES256",
    "jwks_uri": "https://apps.example/jwks.json",
}
DAY = 86400
ADDRESSES = itertools.count()


class Web:
    """The documents that can be had, by their URLs; and what was asked for."""

    def __init__(self, *documents: dict[str, Any]) -> None:
        self.documents = {document["client_id"]: document for document in documents}
        self.max_age: int | None = None
        self.asked: list[str] = []
        self.is_down = False
        self.gate: threading.Event | None = None

    def get_document(self, uri: str) -> Document:
        self.asked.append(uri)
        if self.gate is not None:
            assert self.gate.wait(5)
        if self.is_down or uri not in self.documents:
            raise FetchError
        # As it comes over the wire: nothing of it is shared.
        return Document(json.loads(json.dumps(self.documents[uri])), self.max_age)

    def get_json(self, uri: str) -> dict[str, Any]:
        return self.get_document(uri).content


def opened(web: Any, **config: Any) -> Flask:
    app = make_app(**{"PKCE_FEATURES": {"client_id_metadata": True}, **config})
    if not config.get("init", True):
        app.pkce.init_app(app)
    server_of(app).fetcher = web
    return app


def flow_of(app: Flask, url: str = URL, uri: str = HOME, **more: Any) -> Flow:
    return Flow(sign_in(app), RegisteredClient(url, None, uri, "none"), scope="profile", **more)


def tool_flow(app: Flask) -> Flow:
    return flow_of(app, uri="http://localhost:54321/callback")


def stored(app: Flask, url: str = URL) -> Client | None:
    with app.app_context(), server_of(app).store.reading() as session:
        return session.get(Client, url)


def count(app: Flask, table: Any = Client) -> int:
    with app.app_context(), server_of(app).store.reading() as session:
        return session.scalar(select(func.count()).select_from(table))


def is_known(app: Flask, url: str = URL) -> bool:
    """Say whether the token endpoint knows the client: the code it sends is no good."""
    form = {"grant_type": "authorization_code", "client_id": url, "code": "x"}
    # From an address of its own: one names 20 new URLs in ten minutes.
    number = next(ADDRESSES)
    program = app.test_client()
    program.environ_base["REMOTE_ADDR"] = f"10.0.{number // 250}.{number % 250}"
    told = program.post("/oauth/token", data=form)
    error = told.get_json()["error"]
    assert (told.status_code, error) in ((401, "invalid_client"), (400, "invalid_grant"))
    return error == "invalid_grant"
