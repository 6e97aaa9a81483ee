"""The MCP server of the example host, called as clients call it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from flask import Flask

from example_app import create_app
from flask_pkce_server.testing import Flow, RegisteredClient, hidden_fields, register

ISSUER = "http://127.0.0.1:5000/"
RESOURCE = "http://127.0.0.1:5000/mcp"
MODERN = "2026-07-28"
VERSION = "io.modelcontextprotocol/protocolVersion"
META = {VERSION: MODERN, "io.modelcontextprotocol/clientCapabilities": {}}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    app = create_app(
        {
            "TESTING": True,
            "SECRET_KEY": "a-secret-key-of-the-tests-0123456789",
            "SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path_factory.mktemp('app')}/notes.db",
        }
    )
    yield app
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()


@pytest.fixture(scope="module")
def flow(app: Flask) -> Flow:
    browser = app.test_client()
    form = hidden_fields(browser.get("/login").text)
    browser.post("/login", data={**form, "username": "demo", "password": "demo"})
    return Flow(browser, RegisteredClient("playground", None, f"{ISSUER}playground", "none"))


@pytest.fixture(scope="module")
def token(flow: Flow) -> str:
    return token_of(flow, "notes:read notes:write")


def token_of(flow: Flow, scope: str) -> str:
    return flow.tokens(scope=scope, resource=RESOURCE)["access_token"]


def post(app: Flask, token: str | None, message: Any, **headers: str) -> Any:
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    program = app.test_client(use_cookies=False)
    return program.post("/mcp", json=message, headers={**headers, **bearer})


def call(
    app: Flask,
    token: str | None,
    method: str,
    headers: Mapping[str, str] | None = None,
    **params: Any,
) -> Any:
    """Call as a client of today; `headers` are put over those that it sends."""
    said = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}
    if "name" in params:
        said["Mcp-Name"] = params["name"]
    message = {"jsonrpc": "2.0", "id": 7, "method": method, "params": {"_meta": META, **params}}
    return post(app, token, message, **{**said, **(headers or {})})


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


def test_it_says_what_it_speaks(app: Flask, token: str) -> None:
    found = result(call(app, token, "server/discover"))
    assert found["supportedVersions"][0] == "2026-07-28"
    assert found["capabilities"] == {"tools": {}}
    assert found["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "notes"


@pytest.mark.parametrize(
    ("wanted", "given"), [("2025-06-18", "2025-06-18"), ("1999-01-01", "2025-11-25")]
)
def test_an_older_client_shakes_hands_first(
    app: Flask, token: str, wanted: str, given: str
) -> None:
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
        ({"id": None, "method": "ping"}, 400, -32600),
        ({"id": True, "method": "ping"}, 400, -32600),
        ({"id": 7, "method": "ping", "params": []}, 200, -32602),
        ({"id": 7, "method": "server/discover"}, 200, -32601),
        ({"id": 7, "method": "tools/call", "params": {"name": "drop"}}, 200, -32602),
        ({"id": 7, "method": "tools/call", "params": {"arguments": 1}}, 200, -32602),
        ({"id": 7, "method": "ping", "params": {"_meta": META}}, 400, -32020),
    ],
)
def test_what_is_wrong_is_a_json_rpc_error(
    app: Flask, token: str, message: Any, status: int, code: int
) -> None:
    header = {"MCP-Protocol-Version": "2025-11-25"}
    answer = post(app, token, message, **header)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("method", "params", "headers", "status", "code"),
    [
        ("resources/list", {}, {}, 404, -32601),
        ("ping", {}, {}, 404, -32601),
        ("initialize", {}, {}, 404, -32601),
        ("tools/call", {"name": "drop"}, {}, 400, -32602),
        ("tools/call", {"name": "list_notes", "arguments": 1}, {}, 400, -32602),
        ("tools/list", {"_meta": {VERSION: MODERN}}, {}, 400, -32602),
        ("tools/list", {"_meta": None}, {}, 400, -32602),
        ("tools/list", {"_meta": {**META, VERSION: [1]}}, {}, 400, -32020),
        ("tools/list", {}, {"MCP-Protocol-Version": "2025-06-18"}, 400, -32020),
        ("tools/list", {}, {"Mcp-Method": "tools/call"}, 400, -32020),
        ("tools/call", {"name": "list_notes"}, {"Mcp-Name": "add_note"}, 400, -32020),
        (
            "tools/list",
            {"_meta": {**META, VERSION: "1900-01-01"}},
            {"MCP-Protocol-Version": "1900-01-01"},
            400,
            -32022,
        ),
    ],
)
def test_a_request_of_today_says_it_in_http_too(
    app: Flask, token: str, method: str, params: Any, headers: Any, status: int, code: int
) -> None:
    answer = call(app, token, method, headers=headers, **params)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (status, code)
    assert answer.get_json()["id"] == 7


@pytest.mark.parametrize("body", ["[" * 200_000, '{"method": "ping", "id": ' + "1" * 5000 + "}"])
def test_what_is_no_json_for_python_is_no_request(app: Flask, token: str, body: str) -> None:
    bearer = {"Authorization": f"Bearer {token}"}
    answer = app.test_client().post(
        "/mcp", data=body, headers=bearer, content_type="application/json"
    )
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, -32600)


@pytest.mark.parametrize("text", [1, "", " ", "x" * 2001, "\0", "\ud800"])
def test_a_note_that_cannot_be_kept_is_told_to_the_model(app: Flask, token: str, text: Any) -> None:
    answer = call(app, token, "tools/call", name="add_note", arguments={"text": text})
    assert result(answer)["isError"] is True


def test_there_is_no_stream(app: Flask, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    assert app.test_client().get("/mcp", headers=headers).status_code == 405
    assert app.test_client().get("/mcp").status_code == 401


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:5001"])
def test_pages_of_other_origins_are_refused(app: Flask, token: str, origin: str) -> None:
    # MCP, Streamable HTTP: "Servers MUST validate the Origin header". 403 where it is invalid.
    answer = call(app, token, "tools/list", headers={"Origin": origin})
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (403, -32600)
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_pages_of_the_server_and_of_the_client_may_call(app: Flask, flow: Flow) -> None:
    pages = register(app, redirect_uris=("https://inspector.example/callback",))
    token = token_of(Flow(flow.browser, pages), "notes:read")
    for origin in ("http://127.0.0.1:5000", "https://inspector.example"):
        result(call(app, token, "tools/list", headers={"Origin": origin}))
