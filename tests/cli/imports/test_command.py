"""The command: what it takes, what it refuses, what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from flask_pkce_server import client_registered
from flask_pkce_server.models.client import Client
from flask_pkce_server.models.consent import Consent
from flask_pkce_server.models.foreign_secret import ForeignSecret
from flask_pkce_server.testing import register

from ...host import make_app
from .exports import (
    SECRET,
    URI,
    auth0,
    count,
    django,
    doorkeeper,
    keycloak,
    losses,
    okta,
    realm,
    stored,
    subjects,
)


def test_a_dry_run_says_the_same_and_stores_nothing(
    app: Flask, run: Callable, report: Callable
) -> None:
    told: list[str] = []

    def hear(app: Flask, client_id: str) -> None:
        told.append(client_id)

    client_registered.connect(hear, app)
    ada, _ = subjects(app).values()
    grants = [{"clientID": "shop", "user_id": ada, "scope": ["profile"]}]
    content = {"clients": [auth0()], "grants": grants}
    dry = report("auth0", content, "--dry-run")
    assert "nothing was stored" in run("auth0", content, "--dry-run")
    assert dry["dry_run"] is True
    assert [count(app, table) for table in (Client, Consent, ForeignSecret)] == [0, 0, 0]
    assert told == []
    assert {**report("auth0", content), "dry_run": True} == dry
    assert [count(app, table) for table in (Client, Consent)] == [1, 1]
    assert told == ["shop"]


def test_a_client_that_is_here_is_left_alone(app: Flask, report: Callable) -> None:
    register(app, client_id="shop", name="Mine")
    before = stored(app, "shop").as_json()
    grants = [{"clientID": "shop", "user_id": "1", "scope": ["profile"]}]
    twice = [auth0(), auth0(client_id="new"), auth0(client_id="new", name="Another")]
    answer = report("auth0", {"clients": twice, "grants": grants})
    shop, new, again = answer["clients"]
    assert (shop["outcome"], shop["carried"]) == ("left alone", {})
    assert "Without the client" in losses(shop)["1 grant"]
    assert stored(app, "shop").as_json() == before
    assert new["outcome"] == "imported"
    assert (again["outcome"], again["carried"]) == ("left out", {})
    assert stored(app, "new").client_name == "The Shop"
    assert count(app, Consent) == 0


def test_the_report_for_a_person_names_everything(run: Callable) -> None:
    hostile = auth0(callbacks=[URI, "https://x.example/\x1b[2J\n", "x" * 500])
    output = run("auth0", [hostile, auth0(client_id="a b")])
    lines = output.splitlines()
    assert lines[0] == "shop: imported"
    assert "  redirect_uris               https://shop.example/callback" in lines
    assert "  secret                      carried" in lines
    assert "  Not carried: grant type implicit. OAuth 2.1 does not have it." in lines
    assert any(line.startswith("a b: left out. ") for line in lines)
    assert any("PKCE with S256 is required" in line for line in lines)
    assert lines[-1] == "1 imported, 0 left alone, 1 left out; 0 consents."
    assert "\x1b" not in output
    assert r"\x1b[2J\n" in output
    assert max(map(len, lines)) < 320


def test_nothing_to_import_is_said(run: Callable) -> None:
    assert run("auth0", []) == "0 imported, 0 left alone, 0 left out; 0 consents.\n"


def test_a_file_from_windows_is_read(app: Flask, run: Callable) -> None:
    run("auth0", json.dumps([auth0()]).encode("utf-16"))
    run("okta", b"\xef\xbb\xbf" + json.dumps([okta(label="Two")]).encode())
    assert count(app, Client) == 1


def test_a_busy_database_gets_it_all_once(app: Flask, run: Callable) -> None:
    ada, _ = subjects(app).values()
    grants = [{"clientID": "shop", "user_id": ada, "scope": ["profile"]}]
    tries = []

    def be_busy(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.startswith("INSERT INTO pkce_consent"):
            tries.append(statement)
            if len(tries) == 1:
                raise OperationalError(statement, {}, Exception("database is locked"))

    with app.app_context():
        event.listen(app.db.engine, "before_cursor_execute", be_busy)
    run("auth0", {"clients": [auth0()], "grants": grants})
    assert len(tries) == 2
    assert [count(app, table) for table in (Client, Consent)] == [1, 1]


def test_without_tables_it_says_so(run: Callable) -> None:
    app = make_app(init=False)
    app.pkce.init_app(app)
    assert "flask pkce doctor" in run("auth0", [auth0()], on=app, code=1)


def deep(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def without(content: dict, *path: str) -> dict:
    copy = json.loads(json.dumps(content))
    place = copy
    for name in path[:-1]:
        place = place[name]
    del place[path[-1]]
    return copy


def oauth_client(**changes: Any) -> dict:
    app = okta()
    app["settings"]["oauthClient"] |= changes
    return app


TOKEN = {"application_id": 7, "resource_owner_id": 1, "scopes": "profile"}


@pytest.mark.parametrize(
    ("product", "content", "words"),
    [
        ("auth0", b"", "not JSON"),
        ("auth0", b"{", "not JSON"),
        ("auth0", b"\xff\xfe\xfd", "not JSON"),
        ("auth0", b"[NaN]", "not JSON"),
        ("auth0", b"[" + b"9" * 5000 + b"]", "not JSON"),
        ("auth0", deep(100_000), "not JSON"),
        ("auth0", b"null", "neither a list of clients nor an object"),
        ("auth0", b'"text"', "neither a list of clients nor an object"),
        ("auth0", {}, "clients is missing"),
        ("auth0", {"clients": {}}, "clients is not a list"),
        ("auth0", {"clients": [auth0()], "grants": [1]}, "grants[0] is not an object"),
        ("auth0", {"clients": [], "grants": [{"user_id": "1"}]}, "grants[0].clientID is missing"),
        ("auth0", [None], "clients[0] is not an object"),
        ("auth0", [auth0(), okta()], "clients[1].client_id is missing"),
        ("auth0", [auth0(client_id=7)], "clients[0].client_id is not a text"),
        ("auth0", [auth0(client_id="")], "clients[0].client_id is missing"),
        ("auth0", [auth0(name=["The Shop"])], "clients[0].name is not a text"),
        ("auth0", [auth0(callbacks=URI)], "clients[0].callbacks is not a list"),
        ("auth0", [auth0(callbacks=[URI, 7])], "clients[0].callbacks[1] is not a text"),
        ("auth0", [auth0(is_first_party="yes")], "is_first_party is not true or false"),
        ("auth0", [auth0(is_first_party=2)], "is_first_party is not true or false"),
        ("auth0", [auth0(jwt_configuration="RS256")], "jwt_configuration is not an object"),
        ("auth0", [auth0(client_secret={})], "clients[0].client_secret is not a text"),
        ("auth0", [auth0(name="\ud800")], "name has a character in it that no text has"),
        ("auth0", [auth0(name="\0")], "name has a character in it that no text has"),
        ("okta", [without(okta(), "signOnMode")], "apps[0].signOnMode is missing"),
        (
            "okta",
            [without(okta(), "credentials")],
            "apps[0].credentials.oauthClient.client_id is missing",
        ),
        ("okta", [okta(settings=[])], "apps[0].settings is not an object"),
        ("okta", [oauth_client(redirect_uris={})], "oauthClient.redirect_uris is not a list"),
        ("okta", {"apps": [okta()], "grants": [{"clientId": "shop"}]}, "grants[0].userId"),
        (
            "okta",
            {
                "apps": [],
                "grants": [{"clientId": "a", "userId": "1", "scopeId": "b", "created": 7}],
            },
            "grants[0].created is not a text",
        ),
        ("keycloak", {"realm": "shop"}, "clients is missing"),
        ("keycloak", {"clientId": 7}, "clients[0].clientId is not a text"),
        ("keycloak", keycloak(attributes=[]), "clients[0].attributes is not an object"),
        ("keycloak", keycloak(attributes={"tosUri": 1}), "attributes.tosUri is not a text"),
        ("keycloak", keycloak(publicClient="false"), "publicClient is not true or false"),
        (
            "keycloak",
            realm(users=({"id": "1", "clientConsents": [{"clientId": "a", "createdDate": "b"}]},)),
            "users[0].clientConsents[0].createdDate is not a number",
        ),
        (
            "keycloak",
            realm(users=({"username": "ada", "clientConsents": [{"clientId": "a"}]},)),
            "users[0].id is missing",
        ),
        ("doorkeeper", [without(doorkeeper(), "uid")], "oauth_applications[0].uid is missing"),
        ("doorkeeper", [doorkeeper(scopes=["a"])], "scopes is not a text"),
        (
            "doorkeeper",
            {"oauth_applications": [], "secret_strategy": "ROT13"},
            "secret_strategy is none of",
        ),
        (
            "doorkeeper",
            {"oauth_applications": [], "oauth_access_tokens": [{**TOKEN, "created_at": "today"}]},
            "oauth_access_tokens[0].created_at is not a date and time",
        ),
        (
            "doorkeeper",
            {
                "oauth_applications": [],
                "oauth_access_tokens": [{**TOKEN, "created_at": "2024-13-02 03:04:05"}],
            },
            "oauth_access_tokens[0].created_at is not a date and time",
        ),
        (
            "doorkeeper",
            {
                "oauth_applications": [],
                "oauth_access_tokens": [
                    {**TOKEN, "resource_owner_type": "User"},
                    {**TOKEN, "resource_owner_type": "Admin"},
                ],
            },
            "several types",
        ),
        ("django-oauth-toolkit", {"rows": []}, "not a list of objects with model, pk and fields"),
        ("django-oauth-toolkit", [{"fields": {}}], "rows[0].model is missing"),
        ("django-oauth-toolkit", [without(django(), "pk")], "rows[0].pk is missing"),
        (
            "django-oauth-toolkit",
            [{"model": "a.b", "fields": 1}],
            "rows[0].fields is not an object",
        ),
        ("django-oauth-toolkit", [django(client_type="both")], "client_type is neither public nor"),
        ("django-oauth-toolkit", [django(client_id=None)], "rows[0].fields.client_id is missing"),
        (
            "django-oauth-toolkit",
            [
                {
                    "model": "oauth2_provider.accesstoken",
                    "pk": 1,
                    "fields": {"user": ["ada"], "application": 3},
                }
            ],
            "rows[0].fields.user is not a text",
        ),
    ],
)
def test_a_file_that_is_no_export_is_refused_with_one_line(
    app: Flask, run: Callable, product: str, content: Any, words: str
) -> None:
    output = run(product, content, code=1)
    assert words in output
    assert output.startswith("Error: ")
    assert len(output.splitlines()) == 1
    assert SECRET not in output
    assert [count(app, table) for table in (Client, Consent, ForeignSecret)] == [0, 0, 0]


def test_a_file_that_is_not_there_is_said_to_be(app: Flask, tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.json", tmp_path):
        command = ["pkce", "import", "--from", "auth0", str(path)]
        result = app.test_cli_runner().invoke(args=command)
        assert result.exit_code == 2
        assert "Error: " in result.output
