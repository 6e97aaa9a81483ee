"""Foreign secret: what is read, what it costs, and that it becomes ours once."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest
from flask import Flask
from sqlalchemy import event
from werkzeug.test import TestResponse

from flask_pkce_server.models import client_secret, foreign_secret
from flask_pkce_server.models.base import Base
from flask_pkce_server.models.client import Client
from flask_pkce_server.models.foreign_secret import ForeignSecret, fits, why_unreadable
from flask_pkce_server.protocol import client_authentication
from flask_pkce_server.testing import Clock, Flow, RegisteredClient, register, server_of
from flask_pkce_server.wire.handle import digest

from ..ephemeral import kept_in
from ..host import make_app
from ..services import empty_database

pytestmark = pytest.mark.thorough

SECRET = "a-secret-that-nobody-guesses"


def pbkdf2(secret: str, iterations: int = 1000, salt: str = "pepper") -> str:
    made = hashlib.pbkdf2_hmac("sha256", secret.encode(), salt.encode(), iterations)
    return f"pbkdf2_sha256${iterations}${salt}${base64.b64encode(made).decode()}"


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.services),
        pytest.param("mariadb", marks=pytest.mark.services),
        # What is counted is in Redis, and the rest in SQLite.
        pytest.param("redis", marks=pytest.mark.services),
    ]
)
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    if request.param in ("sqlite", "redis"):
        with kept_in("redis" if request.param == "redis" else "database") as ephemeral:
            app = make_app(SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/app.db", **ephemeral)
            yield app
            with app.app_context():
                app.db.engine.dispose()
        return
    with empty_database(request.param) as uri:
        app = make_app(SQLALCHEMY_DATABASE_URI=uri)
        yield app
        with app.app_context():
            app.db.engine.dispose()


@pytest.fixture
def known(app: Flask) -> RegisteredClient:
    return hashed_client(app)


def hashed_client(app: Flask) -> RegisteredClient:
    """Register a client whose secret another product hashed."""
    made = register(app, auth_method="client_secret_basic")

    def hash_it(session) -> None:
        client = session.get_one(Client, made.client_id)
        client.secret_digest = client.secret_issued_at = None
        foreign_secret.add(session, made.client_id, pbkdf2(SECRET))

    with app.app_context():
        server_of(app).store.write(hash_it)
    return RegisteredClient(**{**vars(made), "client_secret": SECRET})


def state(app: Flask, client_id: str) -> tuple[bytes | None, str | None]:
    with app.app_context(), server_of(app).store.reading() as session:
        digest = session.get_one(Client, client_id).secret_digest
        return digest, foreign_secret.find(session, client_id)


def upgrade(app: Flask, client_id: str, secret: str) -> bool:
    with app.app_context():
        return server_of(app).store.write(
            lambda session: foreign_secret.upgrade(session, client_id, digest(secret), 7)
        )


def rotate(app: Flask, client_id: str, secret: str) -> bool:
    with app.app_context():
        return server_of(app).store.write(
            lambda session: client_secret.replace(session, client_id, digest(secret), 8)
        )


def test_the_host_makes_its_table_with_the_others(app: Flask) -> None:
    assert ForeignSecret.__tablename__ in Base.metadata.tables
    assert ForeignSecret.__tablename__ in app.db.metadata.tables


def test_the_first_use_makes_it_ours(app: Flask, known: RegisteredClient) -> None:
    assert upgrade(app, known.client_id, SECRET)
    assert state(app, known.client_id) == (digest(SECRET), None)
    assert not upgrade(app, known.client_id, "another")
    assert state(app, known.client_id) == (digest(SECRET), None)


def test_a_new_secret_takes_the_place_of_a_hash(app: Flask, known: RegisteredClient) -> None:
    assert rotate(app, known.client_id, "new")
    assert not upgrade(app, known.client_id, SECRET)
    assert state(app, known.client_id) == (digest("new"), None)


def test_many_first_uses_at_once_are_all_right(app: Flask, known: RegisteredClient) -> None:
    starting, answers = threading.Barrier(8), []

    def use() -> None:
        flow = Flow(app.test_client(), known)
        starting.wait()
        answers.append(flow.refresh("x").get_json()["error"])

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # The client is who it says; its refresh token is none.
    assert answers == ["invalid_grant"] * 8
    assert state(app, known.client_id) == (digest(SECRET), None)


def test_a_secret_that_ends_while_it_is_checked_is_refused(
    app: Flask, known: RegisteredClient
) -> None:
    def rotate_first(connection, cursor, statement: str, *rest) -> None:
        # SQLite lets no other transaction write once it has begun.
        begins = (
            "BEGIN IMMEDIATE" if app.db.engine.dialect.name == "sqlite" else "UPDATE pkce_client"
        )
        if statement.startswith(begins) and not done:
            done.append(statement)
            assert rotate(app, known.client_id, "new")

    done: list[str] = []
    with app.app_context():
        event.listen(app.db.engine, "before_cursor_execute", rotate_first)
    assert Flow(app.test_client(), known).refresh("x").get_json()["error"] == "invalid_client"
    assert done
    assert state(app, known.client_id) == (digest("new"), None)


def attempt(app: Flask, client: RegisteredClient, secret: str, address: str) -> TestResponse:
    return app.test_client(use_cookies=False).post(
        "/oauth/token",
        data={"grant_type": "refresh_token", "refresh_token": "x"},
        auth=(client.client_id, secret),
        environ_base={"REMOTE_ADDR": address},
    )


def test_wrong_secrets_are_counted_before_they_are_hashed(
    app: Flask, known: RegisteredClient, pkce_clock: Clock
) -> None:
    server_of(app).clock = pkce_clock
    for _ in range(10):
        assert attempt(app, known, "wrong", "203.0.113.7").status_code == 401
    refused = attempt(app, known, SECRET, "203.0.113.7")
    assert (refused.status_code, refused.get_json()["error"]) == (429, "temporarily_unavailable")
    assert 0 < int(refused.headers["Retry-After"]) <= 600
    # From there, no client of another product is tried any more; unknown ones are refused as ever.
    other = hashed_client(app)
    assert attempt(app, other, "wrong", "203.0.113.7").status_code == 429
    unknown = RegisteredClient("unknown", None, "", "client_secret_basic")
    assert attempt(app, unknown, "wrong", "203.0.113.7").status_code == 401
    # Elsewhere the client works, and afterwards everywhere: its secret is hashed our way now.
    assert attempt(app, known, SECRET, "198.51.100.1").get_json()["error"] == "invalid_grant"
    assert attempt(app, known, SECRET, "203.0.113.7").get_json()["error"] == "invalid_grant"
    for _ in range(60):
        assert attempt(app, known, "wrong", "203.0.113.7").status_code == 401
    pkce_clock.advance(600)
    assert attempt(app, other, SECRET, "203.0.113.7").get_json()["error"] == "invalid_grant"


def test_a_right_secret_is_not_counted(app: Flask, pkce_clock: Clock) -> None:
    server_of(app).clock = pkce_clock
    for _ in range(11):
        answer = attempt(app, hashed_client(app), SECRET, "203.0.113.7")
        assert answer.get_json()["error"] == "invalid_grant"


def test_wrong_secrets_for_one_client_are_counted_together(
    app: Flask, known: RegisteredClient, pkce_clock: Clock
) -> None:
    server_of(app).clock = pkce_clock
    for number in range(50):
        assert attempt(app, known, "wrong", f"203.0.113.{number // 10}").status_code == 401
    assert attempt(app, known, "wrong", "198.51.100.1").status_code == 429


def test_one_hash_is_computed_at_a_time(app: Flask, known: RegisteredClient) -> None:
    with client_authentication._hashing:
        busy = attempt(app, known, SECRET, "203.0.113.7")
        # Nobody else waits for it.
        usual = register(app, auth_method="client_secret_basic")
        assert Flow(app.test_client(), usual).refresh("x").get_json()["error"] == "invalid_grant"
    assert (busy.status_code, busy.get_json()["error"]) == (503, "temporarily_unavailable")
    assert attempt(app, known, SECRET, "203.0.113.7").get_json()["error"] == "invalid_grant"


@pytest.mark.parametrize("method", ["none", "client_secret_basic", "client_secret_post"])
def test_no_other_client_pays_for_it(app: Flask, method: str) -> None:
    statements = []

    def note(connection, cursor, statement: str, *rest) -> None:
        statements.append(statement)

    flow = Flow(app.test_client(), register(app, auth_method=method))
    with app.app_context():
        event.listen(app.db.engine, "before_cursor_execute", note)
    flow.refresh("x")
    flow.client.client_secret = None if method == "none" else "wrong"
    flow.refresh("x")
    assert statements
    assert not [one for one in statements if "pkce_foreign_secret" in one]


@pytest.mark.parametrize(
    "secret_hash",
    [
        pbkdf2(SECRET),
        bcrypt.hashpw(SECRET.encode(), bcrypt.gensalt(4)).decode(),
        bcrypt.hashpw(SECRET.encode(), bcrypt.gensalt(4, b"2a")).decode(),
        bcrypt.hashpw(SECRET.encode(), bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$"),
    ],
    # Salted anew each time, and tests have the same names in all processes.
    ids=["pbkdf2", "2b", "2a", "2y"],
)
def test_what_django_and_doorkeeper_hash_is_read(secret_hash: str) -> None:
    assert why_unreadable(secret_hash) is None
    assert fits(secret_hash, SECRET)
    for wrong in ("", SECRET + "x", SECRET[:-1], SECRET.upper(), "\u00e9", "a\0b", "x" * 5000):
        assert not fits(secret_hash, wrong)


def test_bcrypt_reads_72_bytes_as_it_did_when_it_hashed() -> None:
    secret = "\u00e9" * 40
    hashed = bcrypt.hashpw(secret.encode()[:72], bcrypt.gensalt(4)).decode()
    assert fits(hashed, secret)
    assert not fits(hashed, "\u00e9" * 35)


@pytest.mark.parametrize(
    "secret_hash",
    [
        "",
        SECRET,
        "0" * 64,
        pbkdf2(SECRET).replace("sha256", "sha1"),
        pbkdf2(SECRET) + "=",
        pbkdf2(SECRET).replace("$1000$", "$01000$"),
        pbkdf2(SECRET).replace("$1000$", "$0$"),
        pbkdf2(SECRET).replace("$1000$", "$2000001$"),
        pbkdf2(SECRET).replace("$1000$", "$99999999999$"),
        "$2b$15$" + "." * 53,
        "$2b$03$" + "." * 53,
        "$2x$04$" + "." * 53,
        "$2b$04$" + "/" * 53,
        "$2b$04$" + "." * 52,
        "argon2$argon2id$v=19$m=102400,t=2,p=8$c2FsdA$aGFzaA",
    ],
)
def test_what_cannot_be_read_or_would_cost_too_much_fits_nothing(secret_hash: str) -> None:
    assert why_unreadable(secret_hash)
    assert not fits(secret_hash, SECRET)
    assert SECRET not in (why_unreadable(secret_hash) or "")


def test_a_hash_is_in_no_repr() -> None:
    row = ForeignSecret(client_id="shop", secret_hash=pbkdf2(SECRET))
    assert row.secret_hash not in repr(row)
