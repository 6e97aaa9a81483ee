"""What a host app says of its users, whatever its types, as JSON in userinfo and ID tokens."""

from __future__ import annotations

import logging
import sqlite3
from collections import namedtuple
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import literal_column, select

from flask_pkce_server import ConfigurationError
from flask_pkce_server.testing import Flow, register
from flask_pkce_server.users.claims import STANDARD_CLAIMS

from ..host import make_app, sign_in
from ..openid import read


class Role(Enum):
    ADMIN = "admin"


class Level(IntEnum):
    HIGH = 3


Point = namedtuple("Point", "x y")


@pytest.fixture
def app() -> Flask:
    """A host app whose ID tokens have what userinfo has."""
    app = make_app(
        PKCE_SCOPES={"own": "What the host app knows"},
        PKCE_OPENID_CLAIMS={"own": ["x", "y"]},
        PKCE_OPENID_CLAIMS_IN_ID_TOKEN=True,
    )
    app.told = {}
    app.pkce.user_claims(lambda user: app.told)
    return app


def claims_of(app: Flask, **told: Any) -> dict[str, Any]:
    """What a client learns, by userinfo and by the ID token, which say the same."""
    app.told = told
    flow = Flow(sign_in(app), register(app), scope="openid profile email phone address own")
    tokens = flow.tokens()
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    answer = app.test_client().get("/oauth/userinfo", headers=headers)
    assert answer.status_code == 200
    assert "NaN" not in answer.text
    claims: dict[str, Any] = answer.get_json()
    names = {"x", "y", *STANDARD_CLAIMS}
    said = read(app, tokens["id_token"])
    assert {name: said[name] for name in said if name in names} == {
        name: claims[name] for name in claims if name in names
    }
    del claims["sub"]
    return claims


ROW = sqlite3.connect(":memory:")
ROW.row_factory = sqlite3.Row
SQLITE_ROW = ROW.execute("SELECT 1 AS number, 'a' AS text").fetchone()
ROW.close()


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("é", "é"),
        (7, 7),
        (False, False),
        (1.5, 1.5),
        (Fraction(1, 2), 0.5),
        (Decimal("10.10"), "10.10"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (datetime(2026, 1, 1, 12), "2026-01-01T12:00:00+00:00"),
        (
            datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2))),
            "2026-01-01T12:00:00+02:00",
        ),
        (date(1990, 1, 2), "1990-01-02"),
        (time(9, 30), "09:30:00"),
        (Role.ADMIN, "admin"),
        (Level.HIGH, 3),
        (("a", None), ["a", None]),
        ({"b", "a"}, ["a", "b"]),
        (frozenset({Role.ADMIN}), ["admin"]),
        ({"a": 1}.keys(), ["a"]),
        ({1: {UUID(int=1): {"deep"}}}, {"1": {"00000000-0000-0000-0000-000000000001": ["deep"]}}),
        (SQLITE_ROW, {"number": 1, "text": "a"}),
        ([SQLITE_ROW], [{"number": 1, "text": "a"}]),
        (Point(1, 2), {"x": 1, "y": 2}),
    ],
)
def test_a_value_of_the_host_is_told_as_json(app: Flask, value: Any, told: Any) -> None:
    assert claims_of(app, x=value) == {"x": told}


def test_a_row_of_sqlalchemy_is_told_as_an_object(app: Flask) -> None:
    with app.app_context():
        row = app.db.session.execute(select(literal_column("1").label("number"))).one()
    assert claims_of(app, x=row) == {"x": {"number": 1}}


class Thing:
    """An object of the host, which may have a password."""


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    "value",
    [
        b"the-value",
        Thing(),
        dict,
        float("nan"),
        float("inf"),
        Decimal("NaN"),
        Decimal("sNaN"),
        Fraction(10**400),
        10**5000,
        "the-value\ud800",
        CYCLE,
        ["the-value", b"the-value"],
        {(1, 2): "the-value"},
        {None: "the-value"},
        (number for number in [1]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_json_has_not_is_left_out_and_named_in_the_log(
    app: Flask, caplog: pytest.LogCaptureFixture, value: Any
) -> None:
    caplog.set_level(logging.WARNING)
    assert claims_of(app, x=value, y="kept") == {"y": "kept"}
    lines = {record.getMessage() for record in caplog.records}
    assert len(lines) == 1
    line = lines.pop()
    assert line.startswith("the claim x is left out: ")
    assert "the-value" not in line


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        # OIDC Core 5.1: a number, the seconds since the epoch.
        ("updated_at", datetime(2026, 1, 1), 1767225600),
        ("updated_at", datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), 1767225600),
        ("updated_at", date(2026, 1, 1), 1767225600),
        ("updated_at", 1767225600.5, 1767225600),
        ("updated_at", Decimal("1767225600.5"), 1767225600),
        ("birthdate", date(1815, 12, 10), "1815-12-10"),
        ("birthdate", datetime(1815, 12, 10, 8), "1815-12-10"),
        # SQLite has no booleans.
        ("email_verified", 1, True),
        ("phone_number_verified", 0, False),
        ("address", "12 St James's Square", {"formatted": "12 St James's Square"}),
        ("preferred_username", UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_a_standard_claim_has_the_type_of_the_standard(
    app: Flask, name: str, value: Any, told: Any
) -> None:
    assert claims_of(app, **{name: value}) == {name: told}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("updated_at", "yesterday"),
        ("updated_at", True),
        ("email_verified", "yes"),
        ("email_verified", 2),
        ("email", ["ada@example.com"]),
        ("address", ["London"]),
        ("phone_number", 44),
    ],
)
def test_a_standard_claim_of_another_type_is_left_out(
    app: Flask, caplog: pytest.LogCaptureFixture, name: str, value: Any
) -> None:
    caplog.set_level(logging.WARNING)
    assert claims_of(app, **{name: value}) == {}
    assert f"the claim {name} is left out" in caplog.text


@pytest.mark.parametrize("value", [None, ""])
def test_an_empty_claim_is_omitted_without_a_word(
    app: Flask, caplog: pytest.LogCaptureFixture, value: Any
) -> None:
    # OIDC Core 5.3.2
    assert claims_of(app, x=value, name=value) == {}
    assert caplog.text == ""


def test_claims_that_are_no_mapping_are_a_mistake_of_the_host(app: Flask) -> None:
    app.pkce.user_claims(lambda user: None)
    with pytest.raises(ConfigurationError, match="no mapping of claims"):
        claims_of(app)


def test_first_and_last_names_are_told(app: Flask) -> None:
    person = SimpleNamespace(first_name="Ada", last_name="Lovelace")
    users = app.extensions["pkce"].users
    app.pkce.user_claims(type(users)().host.user_claims)
    with app.test_request_context():
        assert users.claims_of(person) == {
            "name": "Ada Lovelace",
            "given_name": "Ada",
            "family_name": "Lovelace",
        }
        assert users.name_of(person) == "Ada Lovelace"
        person.name, person.given_name = "Countess", "Augusta"
        claims = users.claims_of(person)
        assert (claims["name"], claims["given_name"]) == ("Countess", "Augusta")
        assert users.claims_of(SimpleNamespace(last_name="Ada"))["name"] == "Ada"


def test_a_user_who_is_a_row_of_sqlite_has_claims_and_a_name() -> None:
    app = make_app()
    with sqlite3.connect(":memory:") as connection:
        connection.row_factory = sqlite3.Row
        query = "SELECT 'ada' AS username, 'a@example.com' AS email, 1 AS email_verified"
        row = connection.execute(query).fetchone()
    connection.close()
    users = app.extensions["pkce"].users
    with app.test_request_context():
        assert users.claims_of(row) == {
            "preferred_username": "ada",
            "email": "a@example.com",
            "email_verified": True,
        }
        assert users.name_of(row) == "ada"


class Named:
    def __str__(self) -> str:
        return "Ada of the host"


@pytest.mark.parametrize(
    ("user", "name"),
    [
        (Named(), "Ada of the host"),
        # Python's text for an object has its address in memory.
        (Thing(), "subject of Thing"),
        ({"id": 7}, "subject of dict"),
        (SimpleNamespace(name="", username=None), "subject of SimpleNamespace"),
    ],
)
def test_an_account_without_a_name_is_called_by_its_subject(
    app: Flask, user: Any, name: str
) -> None:
    app.pkce.user_subject(lambda user: f"subject of {type(user).__name__}")
    app.pkce.user_loader(lambda subject: user)
    with app.test_request_context():
        assert app.extensions["pkce"].users.name_of(user) == name
