"""Registration flood: how much a flood of registrations slows down token requests.

python benchmarks/registration_flood.py

A client fetches tokens from a server with an SQLite database file. The database first contains
as many self-registered clients as the cap allows. Then another process sends requests as fast as
it can: reads that do not use the database, registrations of an existing client, and registrations
of new clients, each from another address, which are refused.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import count

from flask import Flask
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import insert
from sqlalchemy.orm import Session

from flask_pkce_server import PKCEServer
from flask_pkce_server.models.client import Client
from flask_pkce_server.models.registration import Registration
from flask_pkce_server.testing import RegisteredClient, register, server_of

#: The cap on clients that wait for their first user: the default, and a high setting.
DEFAULT, MANY = 1000, 100_000
ROUNDS, TOKENS = 6, 40
#: What the other process sends. The reads show the cost of any busy process.
KINDS = ("reads", "the same client", "new clients")


def make_app(folder: str, cap: int) -> Flask:
    """Return an app whose database is in `folder`."""
    app, db = Flask("benchmark"), SQLAlchemy()
    app.config.update(
        SECRET_KEY=secrets.token_hex(),
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{folder}/app.db",
        PKCE_ISSUER="https://auth.example",
        PKCE_SCOPES={"notes:read": "Read your notes"},
        PKCE_CLIENT_CREDENTIALS_SCOPES=["notes:read"],
        PKCE_FEATURES={"registration": True},
        PKCE_REGISTRATION_MAX_WAITING=cap,
        PKCE_SQLITE_PRAGMAS=True,
    )
    db.init_app(app)
    pkce = PKCEServer(db)
    pkce.current_user(lambda: None)
    pkce.user_loader(lambda subject: None)
    pkce.login_required_response(lambda next_url: ("", 401))
    pkce.init_app(app)
    with app.app_context():
        db.create_all()
    return app


def fill(app: Flask, rows: int) -> None:
    """Store `rows` self-registered clients that never signed in a user."""
    now, names = int(time.time()), [f"flood-{number}" for number in range(rows)]
    columns = {
        "client_name": "Tool",
        "redirect_uris": ["http://127.0.0.1:8000/cb"],
        "grant_types": ["authorization_code"],
        "token_endpoint_auth_method": "none",
        "origins": [],
        "client_metadata": {},
        "self_registered": True,
        "issued_at": now,
    }
    clients = [{"client_id": name, **columns} for name in names]
    registrations = [{"client_id": name, "seen_at": now} for name in names]

    def write(session: Session) -> None:
        session.execute(insert(Client), clients)
        session.execute(insert(Registration), registrations)

    with app.app_context():
        server_of(app).store.write(write)


def machine(app: Flask) -> Callable[[], float]:
    """Return a function that fetches a token and returns how many seconds that took."""
    client: RegisteredClient = register(
        app, redirect_uris=(), grant_types=["client_credentials"], auth_method="client_secret_post"
    )
    form = {
        "grant_type": "client_credentials",
        "client_id": client.client_id,
        "client_secret": client.client_secret,
    }
    program = app.test_client(use_cookies=False)

    def fetch() -> float:
        started = time.perf_counter()
        answer = program.post("/oauth/token", data=form)
        assert answer.status_code == 200, answer.text
        return time.perf_counter() - started

    return fetch


def flood(folder: str, cap: int, kind: str) -> None:
    """Send requests until the process is terminated; print their number about every second."""
    program = make_app(folder, cap).test_client(use_cookies=False)
    sent, printed_at = 0, time.monotonic()
    for number in count():
        if kind == "reads":
            program.get("/.well-known/oauth-authorization-server")
        else:
            register_client(program, 0 if kind == "the same client" else number)
        sent += 1
        if time.monotonic() - printed_at >= 1:
            print(sent, flush=True)
            sent, printed_at = 0, time.monotonic()


def register_client(program: FlaskClient, number: int) -> None:
    """Register a client from an IP address derived from `number`."""
    program.post(
        "/oauth/register",
        json={"client_name": f"New {number}", "redirect_uris": ["http://127.0.0.1:8000/cb"]},
        environ_base={"REMOTE_ADDR": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"},
    )


def beside_a_flood(folder: str, cap: int, kind: str, fetch: Callable[[], float]) -> list[float]:
    """Return the seconds that each token took while another process sends requests."""
    command = [sys.executable, __file__, json.dumps([folder, cap, kind])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - own code
    try:
        assert process.stdout is not None
        process.stdout.readline()
        return [fetch() for _ in range(TOKENS)]
    finally:
        process.terminate()
        process.wait()


def tell(title: str, quiet: list[float], times: list[float]) -> None:
    """Print the median and the 95th percentile of both series, and their ratios."""
    parts = []
    for name, quantile in (("median", 0.5), ("95 %", 0.95)):
        calm, busy = (sorted(seconds)[int(len(seconds) * quantile)] for seconds in (quiet, times))
        parts.append(f"{name} {calm * 1e3:.2f} -> {busy * 1e3:.2f} ms, ratio {busy / calm:.2f}")
    print(f"{title}: {'; '.join(parts)}")


def compare(cap: int) -> None:
    """Measure with `cap` self-registered clients, the most that are allowed."""
    with tempfile.TemporaryDirectory() as empty, tempfile.TemporaryDirectory() as full:
        alone, crowded = make_app(empty, cap), make_app(full, cap)
        register_client(crowded.test_client(), 0)
        fill(crowded, cap - 1)
        fetch_alone, fetch = machine(alone), machine(crowded)
        quiet: list[float] = []
        times: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            # Measurements alternate, so that other load on the machine affects all of them.
            for _ in range(TOKENS):
                quiet.append(fetch_alone())
                times.setdefault("nobody", []).append(fetch())
            for kind in KINDS:
                times.setdefault(kind, []).extend(beside_a_flood(full, cap, kind, fetch))
        nobody, reads = times["nobody"], times["reads"]
        tell(f"{cap} clients wait, to none", quiet, nobody)
        tell("  and another process reads, to nobody else", nobody, reads)
        for kind in KINDS[1:]:
            tell(f"  and another registers {kind}, to one that reads", reads, times[kind])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        flood(*json.loads(sys.argv[1]))
    else:
        for cap in (DEFAULT, MANY):
            compare(cap)
