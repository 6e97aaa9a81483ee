"""Signing keys: at rest, in memory, and what they sign and verify."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, update

from flask_pkce_server.models.signing_key import SigningKey
from flask_pkce_server.models.store import Store
from flask_pkce_server.protocol.keys import KeyRing
from flask_pkce_server.testing import Clock, server_of
from flask_pkce_server.wire.jws import header_of

from ..counting import Counted
from ..host import lending, make_app
from ..openid import header, read


def rows(app: Flask) -> list[SigningKey]:
    with app.app_context(), server_of(app).store.reading() as session:
        return list(session.scalars(select(SigningKey)))


def ring(
    app: Flask, *, secret: bytes | None = None, clock: Clock | None = None, lead: int = 7200
) -> KeyRing:
    """What another worker knows."""
    server = server_of(app)
    return KeyRing(
        server.store,
        secrets=lambda: [secret] if secret else server.accepted_keys("signing keys"),
        clock=server.now if clock is None else lambda: int(clock()),
        lead=lead,
        keep=86400,
    )


def prune(keys: KeyRing, store: Store) -> None:
    needless = keys.needless()
    while not needless.is_done:
        needless.delete_some(store, 1)


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
    assert [key.kid for key, _ in ring(app).listed() if key.private is None] == [one.kid]


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
        prune(other, server_of(app).store)
        prune(keys, server_of(app).store)
    assert kid in [key["kid"] for key in keys.published()]
    assert header(app, keys.sign({}, "RS256"))["kid"] == kid


def test_without_a_lead_a_rotation_signs_at_once_and_says_so(app: Flask, keys: KeyRing) -> None:
    before = {key.kid for key, _ in keys.listed()}
    made = ring(app, lead=0).rotate()
    keys.read()
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


DAY = 86400


def kid_of_signer(keys: KeyRing, algorithm: str = "RS256") -> str:
    return header_of(keys.sign({}, algorithm))["kid"]


def test_a_clock_that_was_ahead_and_is_put_right_changes_no_key(
    app: Flask, pkce_clock: Clock
) -> None:
    # The machine starts with a clock that is a day ahead, makes its keys, and is corrected.
    pkce_clock.advance(DAY)
    with app.app_context():
        keys = server_of(app).keys
        keys.prepare()
        first = kid_of_signer(keys)
        pkce_clock.advance(-DAY)
        for seconds in (0, DAY + 10, 30 * DAY + 10, 365 * DAY):
            pkce_clock.advance(seconds)
            prune(keys, server_of(app).store)
            keys.prepare(again=True)
            assert kid_of_signer(keys) == first
            assert first in [key["kid"] for key in keys.published()]
            assert {state for _, state in keys.listed()} == {"active"}


def test_a_rotation_by_a_clock_that_was_ahead_does_not_stand_in_for_one_of_now(
    app: Flask, pkce_clock: Clock, keys: KeyRing
) -> None:
    old = kid_of_signer(keys)
    pkce_clock.advance(365 * DAY)
    distant = keys.rotate()
    pkce_clock.advance(-365 * DAY)
    keys.prepare(again=True)
    assert kid_of_signer(keys) == old
    made = keys.rotate()
    assert not set(made) & {old, *distant}
    pkce_clock.advance(7200)
    assert kid_of_signer(keys) in made
    # What the clock once took for now comes, and the earlier key does not come back with it.
    pkce_clock.advance(366 * DAY)
    keys.prepare(again=True)
    assert kid_of_signer(keys) in made


steps = st.one_of(
    st.sampled_from(["rotate", "compromised", "prune", "restart"]),
    st.sampled_from([-400 * DAY, -DAY, -3600, 60, 3600, 7200, DAY, 31 * DAY, 400 * DAY]),
)


@given(history=st.lists(steps, max_size=8))
@settings(max_examples=20, deadline=None)
def test_whatever_the_clock_did_the_key_that_signs_is_published_and_kept(
    history: list[str | int],
) -> None:
    with lending.app(make_app) as app, app.app_context():
        server, clock = server_of(app), Clock(1_800_000_000)
        with server.store.reading() as session:
            session.execute(delete(SigningKey))
            session.commit()
        keys = ring(app, clock=clock)
        for step in history:
            if isinstance(step, int):
                clock.advance(step)
            elif step == "prune":
                prune(keys, server.store)
            elif step == "restart":
                keys = ring(app, clock=clock)
            else:
                keys.rotate(compromised=step == "compromised")
            keys.prepare()
            signing = {kid_of_signer(keys, name) for name in ("RS256", "ES256")}
            assert signing == {key.kid for key, state in keys.listed() if state == "active"}
            assert signing <= {key["kid"] for key in keys.published()}
            prune(keys, server.store)
            assert signing <= {row.kid for row in rows(app)}
