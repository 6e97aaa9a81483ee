"""Consent: remembered scope by scope."""

from __future__ import annotations

from flask import Flask

from flask_pkce_server.models.consent import granted, remember


def test_what_is_granted_adds_up(app: Flask) -> None:
    store = app.extensions["pkce"].store
    with app.app_context():
        for scopes in (["profile"], ["profile", "notes:read"], []):
            store.write(lambda session: remember(session, "1", "notebook", scopes, 1))  # noqa: B023
        with store.reading() as session:
            assert granted(session, "1", "notebook") == {"profile", "notes:read"}
            assert granted(session, "2", "notebook") == frozenset()
            assert granted(session, "1", "Notebook") == frozenset()
