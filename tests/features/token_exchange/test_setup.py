"""Token exchange: what it costs, how it is registered, and where it is not."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event

from flask_pkce_server.errors import InvalidRequestError
from flask_pkce_server.testing import Flow, RegisteredClient, register, server_of
from flask_pkce_server.wire.names import TOKEN_EXCHANGE

from ...host import ISSUER, make_app
from .exchanging import (
    MAIL,
    NOTES,
    POST,
    an_api,
    call,
    exchange,
    exchange_app,
    given,
    outcome,
    tokens_for,
    user_of,
)


def test_an_exchange_takes_4_statements_and_1_commit(tmp_path: Path) -> None:
    app = exchange_app(SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/app.db")
    user, api = user_of(app), an_api(app)
    shown = tokens_for(user)["access_token"]
    done: list[str] = []
    with app.app_context():
        engine = app.db.engine

    def executed(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if "FROM user" not in statement and not statement.startswith("BEGIN"):
            done.append(statement)

    event.listen(engine, "before_cursor_execute", executed)
    event.listen(engine, "commit", lambda connection: done.append("COMMIT"))
    token = given(api, shown)
    # The client, the token; in one transaction it is held first and the new one stored.
    assert [line.split()[0] for line in done] == ["SELECT", "SELECT", "UPDATE", "INSERT", "COMMIT"]
    done.clear()
    assert call(app, token).status_code == 200
    # One more than other tokens: whether all are there that had a hand in it.
    assert [line.split()[0] for line in done] == ["SELECT", "SELECT"]
    with app.app_context():
        engine.dispose()


def test_it_is_registered_by_the_command(app: Flask) -> None:
    args = shlex.split("pkce client create --name Notes --type confidential --json")
    args += ["--grant-type", TOKEN_EXCHANGE, "--token-exchange-from", NOTES]
    args += ["--token-exchange-to", MAIL, "--token-exchange-to", POST]
    done = app.test_cli_runner().invoke(args=args)
    assert done.exit_code == 0, done.output
    made = json.loads(done.output)
    assert made["grant_types"] == [TOKEN_EXCHANGE]
    assert made["token_exchange_to"] == [MAIL, POST]
    api = RegisteredClient(made["client_id"], made["client_secret"], "", "client_secret_basic")
    shown = tokens_for(user_of(app))["access_token"]
    assert exchange(Flow(app.test_client(), api), shown).status_code == 200


@pytest.mark.parametrize("line", ["token_exchange_from", "token_exchange_to"])
def test_an_api_that_is_not_known_is_not_registered(app: Flask, line: str) -> None:
    for uri in ("https://unknown.example", "mail", "https://[", MAIL + "#x", 5):
        with pytest.raises(InvalidRequestError, match="APIs that this server knows"):
            an_api(app, client_metadata={line: [uri]})


def test_a_public_client_of_another_product_comes_without_it(app: Flask, tmp_path: Path) -> None:
    row = {
        "clientId": "shop",
        "publicClient": True,
        "redirectUris": ["https://shop.example/cb"],
        "attributes": {"standard.token.exchange.enabled": "true"},
    }
    file = tmp_path / "clients.json"
    file.write_text(json.dumps([row, {**row, "clientId": "api", "publicClient": False}]))
    args = ["pkce", "import", "--from", "keycloak", str(file), "--json"]
    done = app.test_cli_runner().invoke(args=args)
    public, confidential = json.loads(done.stdout)["clients"]
    assert TOKEN_EXCHANGE not in public["carried"]["grant_types"]
    assert TOKEN_EXCHANGE in confidential["carried"]["grant_types"]


def test_it_is_off_until_it_is_asked_for() -> None:
    app = make_app()
    assert TOKEN_EXCHANGE not in server_of(app).metadata()["grant_types_supported"]
    what = {"auth_method": "client_secret_basic", "redirect_uris": ()}
    api = Flow(app.test_client(), register(app, **what, grant_types=[TOKEN_EXCHANGE]))
    assert outcome(exchange(api, "x")) == (400, "unsupported_grant_type")
    with pytest.raises(InvalidRequestError, match="No feature"):
        an_api(app)


def test_metadata_says_that_it_is_there(app: Flask) -> None:
    assert TOKEN_EXCHANGE in server_of(app).metadata()["grant_types_supported"]


def test_it_needs_no_other_room() -> None:
    features = ("resource_indicators", "jwt_access_token", "protected_resource", "introspection")
    app = exchange_app(
        PKCE_FEATURES={"token_exchange": True, **dict.fromkeys(features, False)},
    )
    shown = tokens_for(user_of(app), None)["access_token"]
    token = given(an_api(app, ISSUER), shown)
    assert call(app, token).get_json()["scopes"] == ["mail:read", "mail:send"]
    assert call(app, token, "/notes").status_code == 401
