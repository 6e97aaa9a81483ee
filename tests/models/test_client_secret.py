"""Client secret: two at once, on each database: they do not assign in the same order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from flask_pkce_server.models import client_secret
from flask_pkce_server.models.client import Client
from flask_pkce_server.models.connection import people_of
from flask_pkce_server.testing import Flow, register, server_of
from flask_pkce_server.wire.handle import digest

from ..host import make_app, sign_in
from ..services import empty_database


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.services),
        pytest.param("mariadb", marks=pytest.mark.services),
    ]
)
def app(request: pytest.FixtureRequest) -> Iterator[Flask]:
    if request.param == "sqlite":
        yield make_app()
        return
    with empty_database(request.param) as uri:
        app = make_app(SQLALCHEMY_DATABASE_URI=uri)
        yield app
        with app.app_context():
            app.db.engine.dispose()


def secrets_of(app: Flask, client_id: str) -> list[tuple[bytes, int]]:
    with app.app_context(), server_of(app).store.reading() as session:
        found = session.get_one(Client, client_id)
        return [(one.digest, one.issued_at) for one in client_secret.of_client(found)]


def do(app: Flask, deed: str, client_id: str, *arguments: object) -> bool:
    function = getattr(client_secret, deed)
    with app.app_context():
        return server_of(app).store.write(lambda session: function(session, client_id, *arguments))


def end(app: Flask, client_id: str, secret: bytes) -> bool:
    name = secret.hex()[:16]
    with app.app_context():
        store = server_of(app).store
        with store.reading() as session:
            client = session.get_one(Client, client_id)
        return store.write(lambda session: client_secret.end(session, client, name))


def test_secrets_come_and_go_one_beside_the_other(app: Flask) -> None:
    known = register(app, auth_method="client_secret_basic")
    first, second, third = digest(known.client_secret or ""), digest("second"), digest("third")
    ((stored, made),) = secrets_of(app, known.client_id)
    assert stored == first
    # The last one stays.
    assert not end(app, known.client_id, first)
    assert do(app, "add", known.client_id, second, 2)
    assert secrets_of(app, known.client_id) == [(second, 2), (first, made)]
    # A third does not fit.
    assert not do(app, "add", known.client_id, third, 3)
    assert not end(app, known.client_id, third)
    assert end(app, known.client_id, first)
    assert secrets_of(app, known.client_id) == [(second, 2)]
    assert do(app, "add", known.client_id, third, 3)
    assert end(app, known.client_id, third)
    assert secrets_of(app, known.client_id) == [(second, 2)]
    assert do(app, "add", known.client_id, third, 3)
    assert do(app, "replace", known.client_id, first, 4)
    assert secrets_of(app, known.client_id) == [(first, 4)]


def test_a_public_client_gets_none(app: Flask) -> None:
    known = register(app)
    assert not do(app, "add", known.client_id, digest("x"), 1)
    assert not do(app, "replace", known.client_id, digest("x"), 1)
    assert secrets_of(app, known.client_id) == []


def test_people_are_counted_by_consents_and_live_tokens(app: Flask) -> None:
    known = register(app, skip_consent=True)

    def people() -> int:
        with app.app_context(), server_of(app).store.reading() as session:
            return people_of(session, known.client_id, server_of(app).now())

    assert people() == 0
    for name in ("ada", "bob"):
        for _ in range(2):
            Flow(sign_in(app, name), known, scope="profile").tokens()
    assert people() == 2
