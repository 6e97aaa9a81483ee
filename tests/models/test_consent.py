"""Consent: remembered scope by scope."""

from __future__ import annotations

from flask import Flask

from flask_pkce_server.models.consent import Consent, prune, remember, standing


def test_what_is_granted_adds_up(app: Flask) -> None:
    store = app.extensions["pkce"].store
    with app.app_context():
        for scopes in (["profile"], ["profile", "notes:read"], []):
            store.write(lambda session: remember(session, "1", "notebook", scopes, 1))  # noqa: B023
        with store.reading() as session:
            assert standing(session, "1", "notebook", 1).scopes == {"profile", "notes:read"}
            assert standing(session, "2", "notebook", 1).scopes == frozenset()
            assert standing(session, "1", "Notebook", 1).scopes == frozenset()


def test_what_is_granted_for_a_time_has_an_end(app: Flask) -> None:
    store = app.extensions["pkce"].store

    def granted(now: int) -> frozenset[str]:
        with store.reading() as session:
            return standing(session, "1", "notebook", now).scopes

    def grant(scopes: list[str], now: int, until: int | None) -> None:
        store.write(lambda session: remember(session, "1", "notebook", scopes, now, until))

    with app.app_context():
        grant(["profile"], 1, None)
        grant(["notes:read"], 1, 100)
        assert granted(99) == {"profile", "notes:read"}
        assert granted(100) == {"profile"}
        # What was decided last counts, whichever way it goes.
        grant(["notes:read"], 200, None)
        grant(["profile"], 200, 300)
        assert granted(10**9) == {"notes:read"}
        with store.reading() as session:
            assert {row.scope: row.issued_at for row in session.query(Consent)} == {
                "profile": 1,
                "notes:read": 200,
            }
        assert store.write(lambda session: prune(session, 299, 10)) == 0
        assert store.write(lambda session: prune(session, 300, 10)) == 1
        assert granted(1) == {"notes:read"}


def test_people_are_counted_once_and_up_to_a_limit(app: Flask) -> None:
    store = app.extensions["pkce"].store
    with app.app_context():
        for number in range(12):
            store.write(
                lambda session: remember(session, str(number), "notebook", ["a", "b"], 1)  # noqa: B023
            )
        with store.reading() as session:
            assert standing(session, "nobody", "notebook", 1).people == 12
            assert standing(session, "1", "another", 1).people == 0
