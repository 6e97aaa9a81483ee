"""The real services that tests talk to: found by URL, skipped loudly where none answers.

`PKCE_TEST_POSTGRESQL_URL` and `PKCE_TEST_MARIADB_URL` name servers in which the tests may
create databases. `PKCE_TEST_REQUIRE_SERVICES=1` turns a missing service into a failure.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

#: How many rounds each race is run on each database; CI asks for 30. With one round the tests
#: are to be quick: the rarer set-ups and looks wait for a run that takes its time.
ROUNDS = int(os.environ.get("PKCE_TEST_ROUNDS", "1"))
THOROUGH = ROUNDS > 1

URLS = {
    "postgresql": os.environ.get(
        "PKCE_TEST_POSTGRESQL_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
    ),
    "mariadb": os.environ.get("PKCE_TEST_MARIADB_URL", "mysql+pymysql://root@127.0.0.1:3306/"),
}


def missing(what: str) -> None:
    """Skip the test for want of `what`, or fail it where services are required."""
    if os.environ.get("PKCE_TEST_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{what}, and PKCE_TEST_REQUIRE_SERVICES is set")
    pytest.skip(what)


@contextmanager
def own_database(service: str) -> Iterator[str]:
    """Create a database of the test's own; give its URL and drop it afterwards."""
    url, name = make_url(URLS[service]), f"pkce_test_{secrets.token_hex(6)}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
    except DBAPIError as error:
        engine.dispose()
        reason = str(error.orig).partition("\n")[0]
        missing(f"no {service} at {url.render_as_string()}: {reason}")
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        force = " WITH (FORCE)" if service == "postgresql" else ""
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name}{force}"))
        engine.dispose()
