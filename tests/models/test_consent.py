"""Consent: remembered scope by scope, API by API."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Flask

from flask_pkce_server.models.consent import Asked, Consent, count_people, expired, hold, remember
from flask_pkce_server.models.standing import standing

NOTES, MAIL = "https://notes.example/api", "https://mail.example/api"


def asked(
    *scopes: str, subject: str = "1", client_id: str = "notebook", at: Iterable[str] = ("",)
) -> Asked:
    return Asked(subject, client_id, frozenset(scopes), tuple(at))


def test_what_is_granted_adds_up(app: Flask) -> None:
    store = app.extensions["pkce"].store
    with app.app_context():
        for scopes in (["profile"], ["profile", "notes:read"]):
            store.write(lambda session: remember(session, asked(*scopes), 1))  # noqa: B023
        with store.reading() as session:
            assert standing(session.connection(), asked(), 1).scopes == {"profile", "notes:read"}
            assert standing(session.connection(), asked(subject="2"), 1).scopes == frozenset()
            assert (
                standing(session.connection(), asked(client_id="Notebook"), 1).scopes == frozenset()
            )


def test_what_is_granted_for_one_api_counts_for_no_other(app: Flask) -> None:
    store = app.extensions["pkce"].store

    def granted(*uris: str) -> frozenset[str]:
        with store.reading() as session:
            return standing(session.connection(), asked(at=uris), 1).scopes

    with app.app_context():
        store.write(lambda session: remember(session, asked("read", at=[NOTES]), 1))
        assert (granted(NOTES), granted(MAIL), granted("")) == ({"read"}, set(), set())
        assert granted(NOTES, MAIL) == set()
        store.write(lambda session: remember(session, asked("read", "send", at=[MAIL]), 1))
        assert granted(NOTES, MAIL) == {"read"}


def test_only_what_is_still_granted_can_be_held(app: Flask) -> None:
    store = app.extensions["pkce"].store

    def held(*scopes: str, since: int = 0, now: int = 1) -> bool:
        return store.write(lambda session: hold(session, asked(*scopes), now, since))

    with app.app_context():
        store.write(lambda session: remember(session, asked("read", "send"), 1, until=9))
        assert [held("read"), held("read", "send"), held("read", "other"), held()] == [
            True,
            True,
            False,
            False,
        ]
        assert [held("read", since=1), held("read", since=2), held("read", now=9)] == [
            True,
            False,
            False,
        ]


def test_what_is_granted_for_a_time_has_an_end(app: Flask) -> None:
    store = app.extensions["pkce"].store

    def granted(now: int) -> frozenset[str]:
        with store.reading() as session:
            return standing(session.connection(), asked(), now).scopes

    def grant(scope: str, now: int, until: int | None) -> None:
        store.write(lambda session: remember(session, asked(scope), now, until))

    with app.app_context():
        grant("profile", 1, None)
        grant("notes:read", 1, 100)
        assert granted(99) == {"profile", "notes:read"}
        assert granted(100) == {"profile"}
        # What was decided last counts, whichever way it goes.
        grant("notes:read", 200, None)
        grant("profile", 200, 300)
        assert granted(10**9) == {"notes:read"}
        with store.reading() as session:
            assert {row.scope: row.issued_at for row in session.query(Consent)} == {
                "profile": 1,
                "notes:read": 200,
            }
        assert expired(299).delete_some(store, 10) == 0
        assert expired(300).delete_some(store, 10) == 1
        assert granted(1) == {"notes:read"}


def test_people_are_counted_once_and_up_to_a_limit(app: Flask) -> None:
    store = app.extensions["pkce"].store
    with app.app_context():
        for number in range(12):
            store.write(
                lambda session: remember(session, asked("a", "b", subject=str(number)), 1)  # noqa: B023
            )
        with store.reading() as session:
            assert count_people(session, "notebook") == 12
            assert count_people(session, "another") == 0
