"""Signing keys: at rest, in memory, and what they sign and verify."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from flask_pkce_server.models.signing_key import SigningKey
from flask_pkce_server.protocol.keys import KeyRing
from flask_pkce_server.testing import Clock, server_of

from ..counting import Counted
from ..openid import header, read


def rows(app: Flask) -> list[SigningKey]:
    with app.app_context(), server_of(app).store.reading() as session:
        return list(session.scalars(select(SigningKey)))


def ring(app: Flask, *, secret: bytes | None = None, clock: Clock | None = None) -> KeyRing:
    """What another worker knows."""
    server = server_of(app)
    return KeyRing(
        server.store,
        secret=lambda: secret or server.key("signing keys"),
        clock=server.now if clock is None else lambda: int(clock()),
        lead=7200,
        keep=86400,
    )


@pytest.fixture
def keys(app: Flask) -> Any:
    with app.app_context():
        server_of(app).keys.prepare()
        yield server_of(app).keys


def test_no_key_is_made_before_one_is_needed(app: Flask) -> None:
    assert rows(app) == []


def test_the_private_half_is_encrypted_under_its_own_name(app: Flask, keys: KeyRing) -> None:
    one, other = rows(app)
    for row in (one, other):
        assert b"PRIVATE" not in row.private_key
        assert "d" not in row.public_jwk
        assert row.private_key.hex() not in repr(row)
    # Moved under another's name it is no key any more.
    with server_of(app).store.reading() as session:
        session.execute(
            update(SigningKey)
            .where(SigningKey.kid == one.kid)
            .values(private_key=other.private_key)
        )
        session.commit()
    assert [key.kid for key in ring(app).unreadable()] == [one.kid]


def test_two_workers_have_the_same_keys(app: Flask, keys: KeyRing) -> None:
    other = ring(app)
    other.prepare()
    assert len(rows(app)) == 2
    token = other.sign({"sub": "1"}, "RS256")
    assert keys.verify(token, {"jwt"}) == {"sub": "1"}


def test_a_worker_with_another_secret_makes_keys_of_its_own(app: Flask, keys: KeyRing) -> None:
    other = ring(app, secret=b"x" * 32)
    other.prepare()
    assert len(rows(app)) == 4
    token = other.sign({"sub": "1"}, "ES256")
    assert keys.verify(token, {"jwt"}) == {"sub": "1"}
    assert other.verify(keys.sign({"sub": "2"}, "RS256"), {"jwt"}) == {"sub": "2"}
    # And does not make more, however often it looks.
    other.prepare(again=True)
    keys.prepare(again=True)
    assert len(rows(app)) == 4


def test_a_key_is_imported_once(app: Flask, keys: KeyRing) -> None:
    before = {key.kid: key for key, _ in keys.listed()}
    keys.read()
    assert all(key is before[key.kid] for key, _ in keys.listed())


def test_a_rotation_by_another_worker_is_noticed_before_its_key_signs(
    app: Flask, pkce_clock: Clock, keys: KeyRing
) -> None:
    (new, *_) = ring(app).rotate()
    pkce_clock.advance(7200)
    keys.prepare()
    kids = {header(app, keys.sign({}, name))["kid"] for name in ("RS256", "ES256")}
    assert new in kids


def test_what_the_signature_covers_is_what_is_read(app: Flask, keys: KeyRing) -> None:
    claims = {"text": 'é "quoted" \\ <b>', "list": [1, None, True], "nested": {"a": {"b": 1.5}}}
    for algorithm in ("RS256", "ES256"):
        token = keys.sign(claims, algorithm)
        assert keys.verify(token, {"jwt"}) == claims
        assert read(app, token) == claims


def test_the_type_has_to_be_one_that_is_expected(keys: KeyRing) -> None:
    token = keys.sign({"sub": "1"}, "RS256", typ="at+jwt")
    assert keys.verify(token, {"jwt"}) is None
    assert keys.verify(token, {"at+jwt"}) == {"sub": "1"}


@pytest.mark.parametrize("text", ["", ".", "..", "a.b", "a.b.c.d", "é.b.c", "a" * 20000])
def test_what_is_no_jwt_is_not_verified(keys: KeyRing, text: str) -> None:
    assert keys.verify(text, {"jwt"}) is None


def test_signing_without_preparation_is_a_mistake_of_ours(app: Flask) -> None:
    with app.app_context(), pytest.raises(AssertionError, match="prepare"):
        ring(app).sign({}, "RS256")


def test_who_verifies_only_learns_of_compromised_keys_too(
    app: Flask, pkce_clock: Clock, keys: KeyRing
) -> None:
    token = keys.sign({"sub": "1"}, "RS256")
    ring(app).rotate(compromised=True)
    pkce_clock.advance(60)
    assert keys.verify(token, {"jwt"}) is None


def test_made_up_kids_do_not_read_the_keys_each_time(
    app: Flask, pkce_clock: Clock, keys: KeyRing
) -> None:
    head = [{"alg": "RS256", "typ": "JWT", "kid": f"made up {number}"} for number in range(100)]
    texts = [f"{urlsafe_b64encode(json.dumps(one).encode()).decode()}.e30.AA" for one in head]
    with Counted(app).expect(1, 0):
        assert [keys.verify(text, {"jwt"}) for text in texts] == [None] * 100
    # What another worker signs with a new key is good once the pause is over.
    other = ring(app)
    other.rotate(compromised=True)
    token = other.sign({"sub": "1"}, "RS256")
    pkce_clock.advance(5)
    assert keys.verify(token, {"jwt"}) == {"sub": "1"}


def test_a_new_key_of_another_worker_is_known_at_once(app: Flask, keys: KeyRing) -> None:
    other = ring(app)
    for _ in range(3):
        other.rotate(compromised=True)
        assert keys.verify(other.sign({"sub": "1"}, "RS256"), {"jwt"}) == {"sub": "1"}


def test_keys_of_another_secret_retire_nobody_elses(
    app: Flask, pkce_clock: Clock, keys: KeyRing
) -> None:
    # As a shell with the wrong SECRET_KEY makes them.
    kid = header(app, keys.sign({}, "RS256"))["kid"]
    other = ring(app, secret=b"x" * 32)
    other.prepare()
    pkce_clock.advance(86400 * 90)
    other.prepare(again=True)
    with app.app_context():
        server_of(app).store.write(other.prune)
        server_of(app).store.write(keys.prune)
    assert kid in [key["kid"] for key in keys.published()]
    assert header(app, keys.sign({}, "RS256"))["kid"] == kid


def test_without_a_lead_a_rotation_signs_at_once_and_says_so(app: Flask, keys: KeyRing) -> None:
    keys._lead = 0
    before = {key.kid for key, _ in keys.listed()}
    made = keys.rotate()
    assert len(made) == 2
    assert not before & set(made)
    assert header(app, keys.sign({}, "ES256"))["kid"] in made


def test_a_rotation_under_way_does_not_stand_in_for_compromised_keys(
    app: Flask, keys: KeyRing
) -> None:
    # Another worker rotates after this one has looked, and before it deletes.
    late = ring(app)
    late.prepare()
    keys.rotate()
    late._make(
        ("RS256", "ES256"), replaced=[key.kid for key, state in keys.listed() if state == "active"]
    )
    states = sorted((key.algorithm, state) for key, state in keys.listed())
    assert [one for one in states if one[1] == "active"] == [
        ("ES256", "active"),
        ("RS256", "active"),
    ]
