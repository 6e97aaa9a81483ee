"""`flask pkce stats`: how much there is of what, without reading large tables."""

from __future__ import annotations

import json
import random
import re
import string
import time
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, insert, text

from flask_pkce_server.models.grant import Grant
from flask_pkce_server.models.token import Token
from flask_pkce_server.testing import Clock, Flow, register, server_of

from ..client_documents import WEB, Web, flow_of, opened
from ..device import Device, television
from ..host import make_app, sign_in
from ..services import empty_database

#: Enough that a quarter of the tokens is a sample, and 9 of 62 parts of the grants.
MANY = 30_000


def stats(app: Flask) -> dict[str, Any]:
    result = app.test_cli_runner().invoke(args=["pkce", "stats", "--json"])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.output)
    return found


def test_an_empty_server_has_nothing(app: Flask) -> None:
    found = stats(app)
    assert found.pop("database")["name"] == "sqlite"
    assert found.pop("keys") == []
    values = {name: set(part.values()) for name, part in found.items()}
    # They were all read: a share of 1.
    assert values.pop("grants") == values.pop("tokens") == {0, 1}
    assert values == {"clients": {0}, "codes": {0}, "prune": {0}}


def test_what_users_granted_is_counted(app: Flask, pkce_clock: Clock) -> None:
    known = register(app, skip_consent=True)
    ada, bob = (Flow(sign_in(app, name), known) for name in ("ada", "bob"))
    ada.tokens()
    pkce_clock.advance(3600)
    ada.tokens()
    bob.refresh(bob.tokens()["refresh_token"])
    gone = bob.tokens()
    bob.revoke(gone["refresh_token"])
    bob.allow()
    Device(ada.browser, television(app)).start()
    found = stats(app)
    assert found["clients"]["registered_by_operator"] == 2
    assert found["grants"] == {"in_use": 3, "users": 2, "sampled": 1}
    # The first access token has expired; of the refreshed ones, only the successor is alive.
    assert found["tokens"] == {
        "stored": 10,
        "access_alive": 3,
        "refresh_alive": 3,
        "issued_last_hour": 8,
        "issued_last_day": 10,
        "sampled": 1,
    }
    assert found["codes"] == {"authorization_codes": 1, "device_codes": 1}
    pkce_clock.advance(40)
    assert found["prune"] == {"overdue_seconds": 0}
    assert stats(app)["prune"] == {"overdue_seconds": 40}


def test_clients_are_counted_by_kind() -> None:
    app = opened(Web(WEB))
    flow_of(app).allow()
    register(app)
    for _ in range(2):
        register(app, self_registered=True)
    assert stats(app)["clients"] == {
        "registered_by_operator": 1,
        "self_registered": 2,
        "described": 1,
    }


def test_keys_have_an_age(app: Flask, pkce_clock: Clock) -> None:
    app.test_client().get("/oauth/jwks")
    pkce_clock.advance(200_000)
    keys = stats(app)["keys"]
    assert {key["alg"] for key in keys} == {"ES256", "RS256"}
    assert {(key["state"], key["age_seconds"]) for key in keys} == {("active", 200_000)}
    assert "active   2 days old" in app.test_cli_runner().invoke(args=["pkce", "stats"]).output


def test_missing_tables_are_an_error_with_a_hint() -> None:
    app = make_app(init=False)
    app.pkce.init_app(app)
    result = app.test_cli_runner().invoke(args=["pkce", "stats"])
    assert result.exit_code == 1
    assert "Are the tables there? flask pkce doctor" in result.output


def fill_with_many(app: Flask) -> None:
    """Store many grants, of which each user has four; a tenth of them is revoked."""
    server, now = server_of(app), int(time.time())
    grants, tokens = [], []
    for number in range(MANY):
        # As random as those of the server, and made faster.
        grant_id = "".join(random.choices(string.ascii_letters + string.digits, k=22))
        shared = {"grant_id": grant_id, "issued_at": now - number % 7200, "expires_at": now + 7200}
        revoked_at = now if number % 10 == 0 else None
        grants.append({**shared, "subject": str(number // 4), "revoked_at": revoked_at})
        tokens.append({**shared, "digest": random.randbytes(32)})
    of_all = {"client_id": "notebook", "scope": frozenset(), "resources": [], "bindings": {}}
    of_tokens = {"kind": "refresh", "issued_scope": frozenset(), "audience": []}
    with app.app_context():
        server.store.write(lambda session: session.execute(insert(Grant).values(of_all), grants))
        server.store.write(lambda session: session.execute(insert(Token).values(of_tokens), tokens))


def check_estimates(app: Flask) -> None:
    found = stats(app)
    grants, tokens = found["grants"], found["tokens"]
    assert (grants["sampled"], tokens["sampled"]) == (9 / 62, 1 / 4)
    # By five standard deviations at most.
    assert grants["in_use"] == pytest.approx(MANY * 0.9, rel=0.07)
    assert grants["users"] == pytest.approx(MANY / 4, rel=0.14)
    assert tokens["stored"] == pytest.approx(MANY, rel=0.05)
    assert tokens["refresh_alive"] == pytest.approx(MANY * 0.9, rel=0.06)
    assert tokens["issued_last_hour"] == pytest.approx(MANY / 2, rel=0.08)
    assert tokens["access_alive"] == 0


@pytest.mark.thorough
def test_large_tables_are_sampled_by_their_keys(app: Flask) -> None:
    fill_with_many(app)
    asked: list[tuple[str, Any]] = []

    def note(connection, cursor, statement, parameters, *rest) -> None:
        asked.append((statement, parameters))

    with app.app_context():
        engine = server_of(app).store.engine
    event.listen(engine, "before_cursor_execute", note)
    check_estimates(app)
    event.remove(engine, "before_cursor_execute", note)
    with engine.connect() as connection:
        connection.execute(text("ANALYZE"))
        steps = [
            step.detail
            for statement, parameters in asked
            for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]
    large = [step for step in steps if "pkce_grant" in step or "pkce_token" in step]
    assert len(large) > 8
    # The smallest of an index is its first entry, though SQLite calls that a search, too.
    assert [step for step in large if not step.startswith("SEARCH")] == []
    output = app.test_cli_runner().invoke(args=["pkce", "stats"]).output
    assert re.search(r"^tokens alive +about 0 access, about 2\d,000 refresh$", output, re.M)


@pytest.mark.services
@pytest.mark.thorough
@pytest.mark.parametrize("service", ["postgresql", "mariadb"])
def test_every_database_gives_the_same_estimates(service: str) -> None:
    with empty_database(service) as url:
        app = make_app(SQLALCHEMY_DATABASE_URI=url)
        register(app)
        try:
            fill_with_many(app)
            check_estimates(app)
            found = stats(app)
        finally:
            with app.app_context():
                app.db.engine.dispose()
    assert found["clients"]["registered_by_operator"] == 1
    # MariaDB estimates, and not at once.
    assert found["database"]["bytes"] > 100_000
