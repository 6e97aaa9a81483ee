"""Clients that register themselves: what they send, and what they are told."""

from __future__ import annotations

import json
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from .host import make_app

WEB = {"client_name": "Notebook", "redirect_uris": ["https://client.example/callback"]}
NATIVE = {"client_name": "Tool", "redirect_uris": ["http://127.0.0.1:8765/cb"]}
SECRET = {**WEB, "token_endpoint_auth_method": "client_secret_basic"}


def opened(**config: Any) -> Flask:
    return make_app(PKCE_FEATURES={"registration": True, "developer_portal": True}, **config)


def post(app: Flask, said: Any = None, **headers: str) -> TestResponse:
    body = said if isinstance(said, str | bytes) else json.dumps(said)
    program = app.test_client(use_cookies=False)
    return program.post(
        "/oauth/register", data=body, content_type="application/json", headers=headers
    )


def registered(app: Flask, said: dict[str, Any], **headers: str) -> dict[str, Any]:
    answer = post(app, said, **headers)
    assert answer.status_code == 201, answer.text
    return answer.get_json()


def refused(answer: TestResponse, error: str, status: int = 400) -> str:
    told = answer.get_json()
    assert (answer.status_code, told["error"]) == (status, error), answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    return told["error_description"]
