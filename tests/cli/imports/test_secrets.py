"""Secrets of clients that come from another product."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import bcrypt
import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask_pkce_server.models.foreign_secret import ForeignSecret
from flask_pkce_server.testing import Flow
from flask_pkce_server.wire.handle import digest

from .exports import (
    SECRET,
    auth0,
    count,
    django,
    django_hash,
    doorkeeper,
    known,
    losses,
    okta,
    stored,
)


def test_a_secret_that_django_hashed_works_and_becomes_ours(
    app: Flask, client: FlaskClient, run: Callable
) -> None:
    run("django-oauth-toolkit", [django()])
    assert stored(app, "shop").secret_digest is None
    wrong = Flow(client, known("client_secret_basic", "another-secret-0123456789abcdef"))
    answer = wrong.redeem(wrong.allow()["code"])
    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")
    assert stored(app, "shop").secret_digest is None
    assert wrong.refresh("x" * 2000).status_code == 401
    flow = Flow(client, known("client_secret_basic"))
    tokens = flow.tokens()
    assert stored(app, "shop").secret_digest == digest(SECRET)
    assert count(app, ForeignSecret) == 0
    assert flow.refresh(tokens["refresh_token"]).status_code == 200
    assert wrong.refresh("x").status_code == 401


@pytest.mark.parametrize("form", ["2a", "2b", "2y"])
def test_a_secret_that_doorkeeper_hashed_with_bcrypt_works(
    app: Flask, client: FlaskClient, run: Callable, form: str
) -> None:
    hashed = bcrypt.hashpw(SECRET.encode(), bcrypt.gensalt(4)).decode().replace("2b", form, 1)
    run("doorkeeper", [doorkeeper(secret=hashed)], "--auth-method", "client_secret_post")
    flow = Flow(client, known("client_secret_post"), scope="profile")
    assert flow.tokens()["token_type"] == "Bearer"
    assert stored(app, "shop").secret_digest == digest(SECRET)
    assert count(app, ForeignSecret) == 0


@pytest.mark.parametrize("strategy", [None, "Sha256Hash"])
def test_a_secret_that_doorkeeper_hashed_with_sha256_is_as_we_keep_it(
    app: Flask, client: FlaskClient, report: Callable, strategy: str | None
) -> None:
    content = {"oauth_applications": [doorkeeper(secret=digest(SECRET).hex())]}
    if strategy:
        content["secret_strategy"] = f"Doorkeeper::SecretStoring::{strategy}"
    (imported,) = report("doorkeeper", content)["clients"]
    assert any("looks like one" in warning for warning in imported["warnings"]) is (
        strategy is None
    )
    assert count(app, ForeignSecret) == 0
    flow = Flow(client, known("client_secret_basic"), scope="profile")
    assert flow.tokens()["token_type"] == "Bearer"


def test_a_secret_that_only_looks_like_a_hash_is_one_where_the_file_says_so(
    app: Flask, client: FlaskClient, run: Callable
) -> None:
    secret = digest("made by an old Doorkeeper").hex()
    strategy = "Doorkeeper::SecretStoring::Plain"
    rows = [doorkeeper(secret=secret)]
    run("doorkeeper", {"secret_strategy": strategy, "oauth_applications": rows})
    flow = Flow(client, known("client_secret_basic", secret), scope="profile")
    assert flow.tokens()["token_type"] == "Bearer"


def test_a_secret_in_clear_that_looks_like_djangos_is_one_where_the_row_says_so(
    app: Flask, run: Callable
) -> None:
    hashed = django_hash(SECRET)
    run("django-oauth-toolkit", [django(hash_client_secret=False)])
    assert stored(app, "shop").check_client_secret(hashed)


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ("", "has none"),
        ("*" * 36, "hides"),
        ("too-short", "9 characters"),
        ("x" * 1001, "longer"),
        ("01" * 16, "2 different characters"),
        ("argon2$argon2id$v=19$m=102400,t=2,p=8$c2FsdA$aGFzaA", "something else"),
        ("bcrypt_sha256$$2b$12$" + "." * 53, "something else"),
        ("pbkdf2_sha256$2000001$salt$" + "A" * 43 + "=", "2000001 times"),
    ],
)
def test_a_secret_that_cannot_be_carried_is_said_and_can_be_made_anew(
    app: Flask, client: FlaskClient, report: Callable, secret: str, words: str
) -> None:
    (imported,) = report("django-oauth-toolkit", [django(client_secret=secret)])["clients"]
    assert imported["carried"]["secret"] == ""
    why = losses(imported)["the secret"]
    assert words in why
    assert "flask pkce client rotate-secret shop" in why
    assert not secret or secret not in json.dumps(imported)
    assert stored(app, "shop").secret_digest is None
    flow = Flow(client, known("client_secret_basic", secret))
    assert flow.refresh("x").status_code in (400, 401)
    assert flow.refresh("x").get_json()["error"] == "invalid_client"
    command = ["pkce", "client", "rotate-secret", "shop", "--json"]
    made = json.loads(app.test_cli_runner().invoke(args=command).output)
    flow = Flow(client, known("client_secret_basic", made["client_secret"]))
    assert flow.refresh("x").get_json()["error"] == "invalid_grant"


def test_a_secret_that_is_short_is_carried_with_a_word(app: Flask, report: Callable) -> None:
    secret = "sixteen+chars%20"
    content = [doorkeeper(secret=secret)]
    (client,) = report("doorkeeper", content)["clients"]
    assert stored(app, "shop").check_client_secret(secret)
    short, encoded, method = client["warnings"]
    assert "16 characters" in short
    assert "percent-encode" in encoded
    assert "--auth-method" in method
    assert secret not in json.dumps(client)


def test_without_bcrypt_the_report_says_what_to_install(
    app: Flask, report: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bcrypt", None)
    hashed = "$2a$12$" + "." * 53
    (client,) = report("doorkeeper", [doorkeeper(secret=hashed)])["clients"]
    assert "pip install 'Flask-PKCE-Server[import]'" in losses(client)["the secret"]
    assert count(app, ForeignSecret) == 0


def test_a_new_secret_ends_one_that_was_never_used(
    app: Flask, client: FlaskClient, run: Callable
) -> None:
    run("django-oauth-toolkit", [django()])
    runner = app.test_cli_runner()
    command = ["pkce", "client", "rotate-secret", "shop", "--json"]
    kept = runner.invoke(args=[*command, "--keep"])
    assert kept.exit_code == 1
    assert "Leave out --keep" in kept.output
    assert runner.invoke(args=["pkce", "client", "show", "shop"]).exit_code == 0
    made = json.loads(runner.invoke(args=command).output)
    assert count(app, ForeignSecret) == 0
    assert Flow(client, known("client_secret_basic")).refresh("x").status_code == 401
    new = Flow(client, known("client_secret_basic", made["client_secret"]))
    assert new.refresh("x").status_code == 400


def test_a_deleted_client_takes_its_hash_with_it(app: Flask, run: Callable) -> None:
    run("django-oauth-toolkit", [django()])
    app.test_cli_runner().invoke(args=["pkce", "client", "delete", "shop"])
    assert count(app, ForeignSecret) == 0


def test_no_secret_is_printed(run: Callable) -> None:
    output = run("auth0", [auth0()]) + run("okta", [okta()], "--json")
    assert SECRET not in output
