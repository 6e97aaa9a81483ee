"""The real services that tests talk to: found by URL, skipped loudly where none answers.

`PKCE_TEST_POSTGRESQL_URL` and `PKCE_TEST_MARIADB_URL` name servers in which the tests may
create databases, `PKCE_TEST_REDIS_URL` a Redis. `PKCE_TEST_REQUIRE_SERVICES=1` turns a missing
service into a failure.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from sqlalchemy import create_engine, delete, inspect, make_url, table, text
from sqlalchemy.exc import DBAPIError

#: How many rounds each race is run on each database; CI asks for 30. With one round the tests
#: are to be quick: the rarer set-ups and looks wait for a run that takes its time.
ROUNDS = int(os.environ.get("PKCE_TEST_ROUNDS", "1"))
THOROUGH = ROUNDS > 1
#: For the host's session and for our units of work, of which each has a pool: two processes stay
#: below the 100 connections that PostgreSQL has by default, and most threads are let in at once.
POOL = {"pool_size": 20, "max_overflow": 0}

URLS = {
    "postgresql": os.environ.get(
        "PKCE_TEST_POSTGRESQL_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
    ),
    "mariadb": os.environ.get("PKCE_TEST_MARIADB_URL", "mysql+pymysql://root@127.0.0.1:3306/"),
}
REDIS_URL = os.environ.get("PKCE_TEST_REDIS_URL", "redis://127.0.0.1:6379/15")


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


#: Databases that wait for the next test of this process, and what drops them when it ends.
_waiting: dict[str, list[str]] = {service: [] for service in URLS}
at_the_end = ExitStack()


@contextmanager
def empty_database(service: str) -> Iterator[str]:
    """Give the URL of a database in which the tables of tests/host.py have no rows, if any.

    One that an earlier test of this process used: making the tables takes a second.
    """
    waiting = _waiting[service]
    url = waiting.pop() if waiting else at_the_end.enter_context(own_database(service))
    try:
        yield url
    finally:
        _empty(service, url)
        waiting.append(url)


def _empty(service: str, url: str) -> None:
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            for name in inspect(connection).get_table_names():
                connection.execute(delete(table(name)))
            # The users count from one again.
            again = "ALTER SEQUENCE user_id_seq RESTART"
            if service == "mariadb":
                again = "ALTER TABLE user AUTO_INCREMENT = 1"
            connection.execute(text(again))
    finally:
        engine.dispose()
