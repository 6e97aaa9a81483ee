"""The MCP server of the example host, called as clients call it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from example_app import create_app
from flask_pkce_server.testing import Flow, Registered, hidden_fields

ISSUER = "http://127.0.0.1:5000/"
RESOURCE = "http://127.0.0.1:5000/mcp"
VERSION = "io.modelcontextprotocol/protocolVersion"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    app = create_app(
        {
            "TESTING": True,
            "SECRET_KEY": "a-secret-key-of-the-tests-0123456789",
            "SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path}/notes.db",
        }
    )
    yield app
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()


@pytest.fixture
def flow(app: Flask) -> Flow:
    browser = app.test_client()
    form = hidden_fields(browser.get("/login").text)
    browser.post("/login", data={**form, "username": "demo", "password": "demo"})
    return Flow(browser, Registered("playground", None, f"{ISSUER}playground", "none"))


def token_of(flow: Flow, scope: str) -> str:
    return flow.tokens(scope=scope, resource=RESOURCE)["access_token"]


def post(app: Flask, token: str | None, message: Any, **headers: str) -> Any:
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    program = app.test_client(use_cookies=False)
    return program.post("/mcp", json=message, headers={**headers, **bearer})


def call(app: Flask, token: str | None, method: str, **params: Any) -> Any:
    params = {"_meta": {VERSION: "2026-07-28"}, **params}
    return post(app, token, {"jsonrpc": "2.0", "id": 7, "method": method, "params": params})


def result(answer: Any) -> dict[str, Any]:
    body = answer.get_json()
    assert (answer.status_code, body["jsonrpc"], body["id"]) == (200, "2.0", 7), body
    return body["result"]


def test_a_client_finds_its_way_reads_and_then_asks_for_more(app: Flask, flow: Flow) -> None:
    answer = call(app, None, "tools/list")
    place = "http://127.0.0.1:5000/.well-known/oauth-protected-resource"
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == (
        f'Bearer resource_metadata="{place}/mcp", scope="notes:read"'
    )
    for path in (f"{place}/mcp", place):
        document = app.test_client().get(path).get_json()
        assert document["resource"] == RESOURCE
        assert document["authorization_servers"] == [ISSUER]
        assert document["scopes_supported"] == ["notes:read", "notes:write"]

    token = token_of(flow, "notes:read")
    found = result(call(app, token, "tools/list"))
    assert [tool["name"] for tool in found["tools"]] == ["list_notes", "add_note"]
    assert (found["resultType"], found["cacheScope"]) == ("complete", "public")
    notes = result(call(app, token, "tools/call", name="list_notes"))
    assert "Water the fern" in notes["content"][0]["text"]

    add = {"name": "add_note", "arguments": {"text": " by a model "}}
    refused = call(app, token, "tools/call", **add)
    assert refused.status_code == 403
    assert refused.headers["WWW-Authenticate"].startswith(
        'Bearer error="insufficient_scope", scope="notes:read notes:write", '
        f'resource_metadata="{place}/mcp", '
    )
    token = token_of(flow, "notes:read notes:write")
    assert result(call(app, token, "tools/call", **add))["isError"] is False
    notes = result(call(app, token, "tools/call", name="list_notes"))
    assert notes["content"][0]["text"].startswith("by a model\n")
    add["arguments"] = {"text": " "}
    assert result(call(app, token, "tools/call", **add))["isError"] is True


def test_it_says_what_it_speaks(app: Flask, flow: Flow) -> None:
    found = result(call(app, token_of(flow, "notes:read"), "server/discover"))
    assert found["supportedVersions"][0] == "2026-07-28"
    assert found["capabilities"] == {"tools": {}}
    assert found["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "notes"


@pytest.mark.parametrize(
    ("wanted", "given"), [("2025-06-18", "2025-06-18"), ("1999-01-01", "2025-11-25")]
)
def test_an_older_client_shakes_hands_first(
    app: Flask, flow: Flow, wanted: str, given: str
) -> None:
    token = token_of(flow, "notes:read")
    message = {"jsonrpc": "2.0", "id": 7, "method": "initialize"}
    found = result(post(app, token, {**message, "params": {"protocolVersion": wanted}}))
    assert (found["protocolVersion"], found["serverInfo"]["name"]) == (given, "notes")
    assert "resultType" not in found
    header = {"MCP-Protocol-Version": given}
    told = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert post(app, token, told, **header).status_code == 202
    assert result(post(app, token, {**message, "method": "ping"}, **header)) == {}


@pytest.mark.parametrize(
    ("message", "status", "code"),
    [
        ([], 400, -32600),
        ({"id": 7}, 400, -32600),
        ({"id": 7, "method": "ping", "params": []}, 200, -32602),
        ({"id": 7, "method": "resources/list"}, 404, -32601),
        ({"id": 7, "method": "tools/call", "params": {"name": "drop"}}, 200, -32602),
        ({"id": 7, "method": "tools/call", "params": {"arguments": 1}}, 200, -32602),
        ({"id": 7, "method": "ping", "params": {"_meta": {VERSION: "1"}}}, 400, -32022),
        ({"id": 7, "method": "ping", "params": {"_meta": {VERSION: "2025-06-18"}}}, 400, -32020),
    ],
)
def test_what_is_wrong_is_a_json_rpc_error(
    app: Flask, flow: Flow, message: Any, status: int, code: int
) -> None:
    header = {"MCP-Protocol-Version": "2026-07-28"}
    answer = post(app, token_of(flow, "notes:read"), message, **header)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (status, code)


def test_there_is_no_stream(app: Flask, flow: Flow) -> None:
    headers = {"Authorization": f"Bearer {token_of(flow, 'notes:read')}"}
    assert app.test_client().get("/mcp", headers=headers).status_code == 405
    assert app.test_client().get("/mcp").status_code == 401
