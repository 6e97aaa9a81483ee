"""A bad set-up is refused when the app starts, with the line to write."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_pkce_server import ConfigurationError, PKCEServer

from .host import SECRET_KEY, make_app


def refused(**config: Any) -> str:
    with pytest.raises(ConfigurationError) as raised:
        make_app(**config)
    assert "Write: " in str(raised.value)
    return str(raised.value)


def bare(**config: Any) -> Flask:
    app = Flask("bare")
    app.config.update(SECRET_KEY=SECRET_KEY, SQLALCHEMY_DATABASE_URI="sqlite://")
    app.config.update(config)
    return app


@pytest.mark.parametrize("db", [None, SQLAlchemy()], ids=["no db", "db not initialised"])
def test_an_app_without_a_database(db: SQLAlchemy | None) -> None:
    with pytest.raises(ConfigurationError, match="no database yet") as raised:
        PKCEServer(db).init_app(bare(TESTING=True))
    assert "Write: db.init_app(app)" in str(raised.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("PKCE_ISSUER", 1),
        ("PKCE_URL_PREFIX", None),
        ("PKCE_SITE_NAME", []),
        ("PKCE_SCOPES", ["profile"]),
        ("PKCE_SCOPES", {"profile": 1}),
        ("PKCE_AUTHORIZE_DEFAULT_SCOPES", "profile"),
        ("PKCE_AUTHORIZE_UNKNOWN_SCOPES", "ignore"),
        ("PKCE_AUTHORIZATION_CODE_LIFETIME", "60"),
        ("PKCE_AUTHORIZE_LIFETIME", 1),
        ("PKCE_SQLITE_PRAGMAS", "False"),
        ("PKCE_FEATURES", ["revocation"]),
        ("PKCE_ENDPOINTS", {"authorize": 1}),
        ("PKCE_DEVICE_CODE_LIFETIME", 601),
    ],
)
def test_a_setting_of_the_wrong_type(key: str, value: Any) -> None:
    assert key in refused(**{key: value})


def test_an_unknown_key_is_told_the_nearest() -> None:
    message = refused(PKCE_ACESS_TOKEN_LIFETIME=60)
    assert 'app.config["PKCE_ACCESS_TOKEN_LIFETIME"] = 60' in message


@pytest.mark.parametrize(
    "issuer",
    [
        "http://auth.example",
        "http://127.0.0.1.evil.example",
        "https://Auth.example",
        "HTTPS://auth.example",
        "https://auth.example:443",
        "https://auth.example?x",
        "https://auth.example#x",
        "https://u:p@auth.example",
        "https://bücher.example",
        "https://",
        "auth.example",
        "https://[::1",
        "",
    ],
)
def test_an_issuer_that_clients_cannot_compare(issuer: str) -> None:
    assert "PKCE_ISSUER" in refused(PKCE_ISSUER=issuer)


def test_a_missing_issuer_outside_debug() -> None:
    assert "PKCE_ISSUER is not set" in refused(TESTING=False, PKCE_ISSUER=None)


@pytest.mark.parametrize("secret", ["dev", "short", "a" * 40])
def test_a_weak_secret_outside_debug(secret: str) -> None:
    assert "too weak" in refused(TESTING=False, SECRET_KEY=secret)


def samples() -> set[str]:
    """Return every secret key that our documentation and tests show."""
    root = Path(__file__).parent.parent
    files = [root / "README.md", *(root / "docs").glob("*.md"), *(root / "tests").rglob("*.py")]
    assigned = re.compile(r"""(?i)secret_key\b"?(?:=| = |: |, )f?"([^"{}]{16,})""")
    return {found for file in files for found in assigned.findall(file.read_text())}


@pytest.mark.parametrize("key", ["SECRET_KEY", "PKCE_KEY_SECRET", "SECRET_KEY_FALLBACKS"])
def test_a_secret_of_our_samples_is_for_this_computer_only(key: str) -> None:
    found = samples()
    assert "only-for-trying-it-out-on-this-computer" in found
    for secret in found:
        value = [secret] if key == "SECRET_KEY_FALLBACKS" else secret
        for debug in (True, False):
            message = refused(TESTING=False, DEBUG=debug, **{key: value})
            assert "everybody knows" in message
            assert secret not in message
        make_app(TESTING=False, PKCE_ISSUER="http://127.0.0.1:5000", **{key: value})


def test_a_sample_in_bytes_is_one_too() -> None:
    secret = b"only-for-trying-it-out-on-this-computer"
    assert "everybody knows" in refused(TESTING=False, SECRET_KEY=secret)


@pytest.mark.parametrize("testing", [True, False])
@pytest.mark.parametrize("secret", [None, "", 12345])
def test_a_secret_that_is_none(secret: Any, testing: bool) -> None:
    assert "SECRET_KEY" in refused(TESTING=testing, SECRET_KEY=secret)


def test_a_feature_that_there_is_not() -> None:
    assert "revocation" in refused(PKCE_FEATURES={"revokation": False})


@pytest.mark.parametrize(
    "core", ["authorize", "token", "authorization_code", "pkce", "discovery", "issuer"]
)
def test_a_core_feature_cannot_be_left_out(core: str) -> None:
    assert "cannot be left out" in refused(PKCE_FEATURES={core: False})


def test_a_setting_of_a_room_that_is_left_out() -> None:
    message = refused(PKCE_FEATURES={"refresh_token": False}, PKCE_REFRESH_TOKEN_GRACE=5)
    assert "PKCE_REFRESH_TOKEN_GRACE" in message


def test_an_endpoint_that_there_is_not() -> None:
    assert "revoke" in refused(PKCE_ENDPOINTS={"revocation": "/revoke"})
    # The view could not be called.
    features = {"registration": True}
    said = refused(PKCE_ENDPOINTS={"registered": "/clients"}, PKCE_FEATURES=features)
    assert "/oauth/register/<client_id>" in said


def test_an_app_is_set_up_once() -> None:
    app = make_app()
    with pytest.raises(ConfigurationError, match="already"):
        PKCEServer(app.db).init_app(app)


def test_the_same_object_twice_on_one_app() -> None:
    app = make_app()
    with pytest.raises(ConfigurationError, match="already") as raised:
        app.pkce.init_app(app)
    assert "Write: pkce.init_app(app)  # once" in str(raised.value)


def test_no_flask_login_and_no_decorators_is_told_when_first_needed() -> None:
    app, db = bare(TESTING=True), SQLAlchemy()
    db.init_app(app)
    PKCEServer(db).init_app(app)
    with pytest.raises(ConfigurationError, match="Write: @pkce"):
        app.test_client().get("/oauth/authorize")


@pytest.mark.parametrize("uri", ["postgresql://replica.example/app", "sqlite://", "replica"])
def test_a_replica_of_another_database(uri: str) -> None:
    # That of the app is SQLite.
    assert "PKCE_READ_ENGINE_URI is the URL of a replica" in refused(PKCE_READ_ENGINE_URI=uri)
