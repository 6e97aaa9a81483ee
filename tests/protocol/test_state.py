"""What is known of a request ends with it, even if Flask keeps the app context."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from flask_pkce_server import current_token
from flask_pkce_server.testing import Flow, register

from ..host import make_app, sign_in


def test_the_token_of_one_request_is_not_that_of_the_next() -> None:
    app = make_app()
    app.get("/open", endpoint="open")(lambda: current_token.subject)
    token = Flow(sign_in(app), register(app), scope="profile").tokens()["access_token"]
    program: Any = app.test_client(use_cookies=False)
    with app.app_context():
        headers = {"Authorization": f"Bearer {token}"}
        assert program.get("/api/me", headers=headers).status_code == 200
        with pytest.raises(RuntimeError, match="only inside a view"):
            program.get("/open")


def test_the_policy_of_one_page_is_not_that_of_the_next(app: Flask) -> None:
    flow = Flow(sign_in(app), register(app, skip_consent=True))
    with app.app_context():
        silent = flow.authorize(prompt="none", response_mode="form_post")
        page = flow.browser.get("/oauth/apps")
    assert "frame-ancestors https://client.example" in silent.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Frame-Options"] == "DENY"


def test_a_client_of_one_request_is_not_that_of_the_next(app: Flask) -> None:
    # Its origin would be the only one that may read the answer.
    register(app)
    other = register(app, redirect_uris=("https://other.example/cb",))
    program = app.test_client(use_cookies=False)
    form = {"client_id": other.client_id, "grant_type": "refresh_token", "refresh_token": "x"}
    with app.app_context():
        program.post("/oauth/token", data=form)
        answer = program.post("/oauth/token", headers={"Origin": "https://client.example"})
    assert answer.headers["Access-Control-Allow-Origin"] == "https://client.example"
