"""Signals: told after the deed, which no listener can undo."""

from __future__ import annotations

import pytest

from flask_pkce_server import token_issued
from flask_pkce_server.testing import Flow


def test_a_listener_that_fails_fails_nothing_else(
    pkce_flow: Flow, caplog: pytest.LogCaptureFixture
) -> None:
    told = []

    def fails(app, **facts) -> None:
        raise RuntimeError("the listener's own fault")

    def listens(app, **facts) -> None:
        told.append(app)

    with (
        token_issued.connected_to(fails, pkce_flow.browser.application),
        token_issued.connected_to(listens, pkce_flow.browser.application),
    ):
        assert pkce_flow.tokens()["access_token"]
    assert told == [pkce_flow.browser.application]
    assert "a receiver of the signal token_issued failed" in caplog.text
