"""The protected_resource feature: RFC 9728, and what MCP clients make of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from flask import Blueprint, Flask, send_from_directory
from flask_wtf import CSRFProtect

from flask_pkce_server import (
    ConfigurationError,
    Feature,
    PKCEServer,
    current_token,
    require,
    token_used,
)
from flask_pkce_server.protocol.declarations import Route
from flask_pkce_server.testing import Flow, RegisteredClient, parameters_of, register

from ..counting import Counted
from ..device import Device, television
from ..host import ISSUER, fill, lending, make_app, sign_in
from ..openid import read

PLACE = "/.well-known/oauth-protected-resource"
MCP = "https://auth.example/mcp"
METADATA = f"https://auth.example{PLACE}/mcp"
ORIGIN = "https://client.example"
SCOPES = {"tasks:read": "Read your tasks", "tasks:write": "Write tasks for you"}


def start(app: Flask) -> Flask:
    app.pkce.init_app(app)
    with app.app_context():
        fill()
    return app


def add_views(app: Flask) -> None:
    tools = Blueprint("tools", __name__, url_prefix="/mcp")

    @app.post("/mcp")
    def serve() -> dict[str, Any]:
        return {"subject": current_token.subject, "scopes": sorted(current_token.scopes)}

    @tools.post("/write")
    def write() -> str:
        current_token.require("tasks:write")
        return "written"

    @tools.post("/guarded")
    @app.pkce.require("tasks:write")
    async def guarded() -> str:
        return current_token.subject

    app.register_blueprint(tools)

    @app.get("/<path:anything>")
    def catch_all(anything: str) -> str:
        return "a page"

    @app.post("/form")
    def form() -> str:
        return "posted"


@pytest.fixture
def app() -> Iterator[Flask]:
    with lending.app(mcp_app) as app:
        yield app


def mcp_app() -> Flask:
    """The host app, with an MCP server at /mcp in plain Flask."""
    app = make_app(init=False)
    app.pkce.mcp("/mcp", scopes=SCOPES, required=["tasks:read"])
    add_views(app)
    return start(app)


def call(app: Flask, path: str, token: str | None = None, **how: Any) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    headers |= how.pop("headers", {})
    return app.test_client(use_cookies=False).post(path, headers=headers, **how)


def get(app: Flask, path: str, **how: Any) -> Any:
    return app.test_client().get(path, **how)


def token_of(flow: Flow, **changes: str | None) -> str:
    return flow.tokens(**{"scope": "tasks:read", "resource": MCP, **changes})["access_token"]


def test_a_client_that_names_no_scope_gets_what_the_challenge_would_name(
    app: Flask, pkce_flow: Flow
) -> None:
    # ChatGPT names none when it connects again (notes of products in docs/mcp.md).
    assert pkce_flow.tokens(scope=None, resource=MCP)["scope"] == "tasks:read"
    assert pkce_flow.tokens(scope=" ", resource=MCP + "/")["scope"] == "tasks:read"
    assert pkce_flow.tokens(scope=None)["scope"] == ""
    device = Device(pkce_flow.browser, television(app), scope=None)
    assert device.tokens(resource=MCP)["scope"] == "tasks:read"


@pytest.mark.parametrize("issuer", ["https://auth.example", "https://auth.example/t1/"])
def test_who_came_by_the_root_and_registered_itself_means_the_only_one(issuer: str) -> None:
    # MCP 2025-03-26 has no parameter for it.
    app = make_app(init=False, PKCE_FEATURES={"registration": True}, PKCE_ISSUER=issuer)
    app.pkce.mcp("/mcp", scopes=SCOPES, required=["tasks:read"])
    add_views(app)
    start(app)
    said = {"client_name": "Old", "redirect_uris": ["http://127.0.0.1:9000/cb"]}
    told = app.test_client().post("/register", json=said).get_json()
    client = RegisteredClient(told["client_id"], None, said["redirect_uris"][0], "none")
    flow = Flow(sign_in(app), client, scope="tasks:read")

    def token_by(path: str, flow: Flow = flow) -> str:
        page = flow.browser.get(path, query_string=flow.request())
        return flow.redeem(parameters_of(flow.decide(page))["code"]).get_json()["access_token"]

    root = "/t1" if issuer.endswith("/") else ""
    assert call(app, "/mcp", token_by(root + "/authorize")).status_code == 200
    # Its scopes too, before the user is asked: those clients may name none.
    page = flow.browser.get(root + "/authorize", query_string=flow.request(scope=None))
    assert "Read your tasks" in page.text
    code = parameters_of(flow.decide(page))["code"]
    assert flow.redeem(code).get_json()["scope"] == "tasks:read"
    assert call(app, "/mcp", token_by(root + "/oauth/authorize")).status_code == 401
    # A client of the operator is for the app, whichever way it comes.
    ours = Flow(flow.browser, register(app), scope="tasks:read")
    assert call(app, "/mcp", token_by("/authorize", ours)).status_code == 401
    app.pkce.mcp("/other", scopes=SCOPES)
    assert call(app, "/mcp", token_by("/authorize")).status_code == 401


# The document.


@pytest.mark.parametrize("path", [PLACE, f"{PLACE}/mcp", f"{PLACE}/mcp/"])
def test_the_document_is_at_the_path_and_for_the_only_one_at_the_root(
    app: Flask, path: str
) -> None:
    # RFC 9728 3.1 and 3.2
    answer = get(app, path, headers={"Origin": "https://evil.example"})
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert answer.get_json() == {
        "resource": MCP,
        "authorization_servers": [ISSUER],
        "scopes_supported": ["tasks:read", "tasks:write"],
        "bearer_methods_supported": ["header"],
    }
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cache-Control"] == "public, max-age=300"


@pytest.mark.parametrize("path", ["/other", "/mcp/write", "/MCP", "/mcpx", "/%00"])
def test_every_other_path_is_a_json_404_whatever_the_host_catches(app: Flask, path: str) -> None:
    answer = get(app, PLACE + path)
    assert (answer.status_code, answer.mimetype) == (404, "application/json")
    assert answer.get_json()["error"] == "not_found"


def test_without_a_resource_there_is_no_document() -> None:
    for path in ("", "/mcp"):
        answer = get(make_app(), PLACE + path)
        assert (answer.status_code, answer.get_json()["error"]) == (404, "not_found")


def test_of_several_each_has_its_own_and_the_root_is_of_the_one_without_a_path() -> None:
    app = make_app()
    app.pkce.resource("https://auth.example/mcp", scopes=["notes:read", "offline_access"])
    app.pkce.resource("https://auth.example/api/v1/", scopes=["profile", "undeclared"])
    assert get(app, PLACE).status_code == 404
    # Byte for byte; offline_access is the server's; what nobody may ask for is not said.
    assert get(app, f"{PLACE}/mcp").get_json()["scopes_supported"] == ["notes:read"]
    document = get(app, f"{PLACE}/api/v1/").get_json()
    assert document["resource"] == "https://auth.example/api/v1/"
    assert document["scopes_supported"] == ["profile"]
    app.pkce.resource("https://auth.example")
    document = get(app, PLACE).get_json()
    assert document["resource"] == "https://auth.example"
    assert "scopes_supported" not in document


def test_an_app_of_several_hosts_tells_each_its_own() -> None:
    app = make_app()
    for host in ("a.example", "b.example"):
        app.pkce.resource(f"https://{host}/api")
    for host in ("a.example", "b.example"):
        answer = get(app, f"{PLACE}/api", headers={"Host": host})
        assert answer.get_json()["resource"] == f"https://{host}/api"
    assert get(app, f"{PLACE}/api", headers={"Host": "c.example"}).status_code == 404


def test_an_issuer_with_a_path_and_a_slash_is_named_byte_for_byte() -> None:
    app = make_app(PKCE_ISSUER="https://auth.example/t/")
    app.pkce.mcp("/mcp")
    document = get(app, f"{PLACE}/mcp").get_json()
    assert document["resource"] == MCP
    assert document["authorization_servers"] == ["https://auth.example/t/"]


@pytest.mark.parametrize(
    "uri",
    [
        "notes",
        "/mcp",
        "http://api.example",
        "https://api.example?a=b",
        "https://api.example/#x",
        "https://ada@api.example",
        'https://api.example/"',
        "https://[",
        "urn:api",
    ],
)
def test_what_cannot_be_a_resource_is_refused_at_once(uri: str) -> None:
    # RFC 9728 1.2
    with pytest.raises(ConfigurationError, match=r"pkce\.resource"):
        PKCEServer().resource(uri)


@pytest.mark.parametrize(
    "path",
    [
        "mcp",
        "/",
        "/mcp/",
        "",
        "/m cp",
        "/mcp?x",
        "https://a.example",
        "//mcp",
        "/a/../mcp",
        "/%2e/mcp",
    ],
)
def test_what_is_no_path_is_refused_at_once(path: str) -> None:
    with pytest.raises(ConfigurationError, match=r"pkce\.mcp"):
        PKCEServer().mcp(path)


def test_doctor_names_the_scope_that_nobody_may_ask_for() -> None:
    app = make_app()
    app.pkce.resource(MCP, scopes=["tasks:read"])
    done = app.test_cli_runner().invoke(args=["pkce", "doctor", "--json"])
    assert [one["level"] for one in json.loads(done.output) if "tasks:read" in one["about"]] == [
        "FAIL"
    ]


# What the guard of a path lets through.


def test_a_token_for_the_resource_reaches_plain_views_and_blueprints(
    app: Flask, pkce_flow: Flow
) -> None:
    token = token_of(pkce_flow)
    assert token.startswith("fpk_at_")
    assert call(app, "/mcp", token).get_json() == {"subject": "1", "scopes": ["tasks:read"]}
    both = token_of(pkce_flow, scope="tasks:read tasks:write")
    assert call(app, "/mcp/write", both).text == "written"
    assert call(app, "/mcp/guarded", both).text == "1"


@pytest.mark.parametrize("path", ["/mcp", "/mcp/write", "/mcp/nothing/here", "/mcp/"])
def test_without_a_token_the_challenge_says_where_to_look(app: Flask, path: str) -> None:
    # RFC 9728 5.1; RFC 6750 3.1: no error where no token came.
    answer = call(app, path)
    assert answer.status_code == 401
    expected = f'Bearer resource_metadata="{METADATA}", scope="tasks:read"'
    assert answer.headers["WWW-Authenticate"] == expected


def test_a_way_round_by_dots_is_no_way_round(tmp_path: Path) -> None:
    # Views that serve files read `..` in a path; routing does not.
    (tmp_path / "mcp").mkdir()
    (tmp_path / "mcp" / "tasks.txt").write_text("milk")
    app = make_app(init=False)
    app.pkce.mcp("/mcp", scopes=SCOPES)
    app.pkce.mcp("/other", scopes=SCOPES)

    @app.get("/<path:name>")
    def files(name: str) -> Any:
        with closing(send_from_directory(tmp_path, name)) as answer:
            answer.direct_passthrough = False
            return answer.get_data()

    @app.get("/other/<path:name>")
    def other(name: str) -> str:
        return "other"

    start(app)
    for path in ("/x/../mcp/tasks.txt", "/./mcp/tasks.txt", "/.//mcp/tasks.txt"):
        assert get(app, path).status_code == 401, path
    # Where it may be read in two ways, both want a token.
    flow = Flow(sign_in(app), register(app), scope="tasks:read")
    headers = {"Authorization": f"Bearer {token_of(flow)}"}
    assert get(app, "/mcp/tasks.txt", headers=headers).text == "milk"
    assert get(app, "/other/../mcp/tasks.txt", headers=headers).status_code == 401
    assert get(app, "/mcp/../other/x", headers=headers).status_code == 401


@pytest.mark.parametrize("path", ["/my%20tasks", "/t%C3%A2ches"])
def test_a_path_with_escapes_is_guarded(path: str) -> None:
    app = make_app(init=False)
    app.pkce.mcp(path, scopes=SCOPES)
    app.add_url_rule(unquote(path), view_func=lambda: "reached", endpoint="reached")
    start(app)
    assert get(app, path).status_code == 401
    assert get(app, PLACE + path).get_json()["resource"] == f"{ISSUER}{path}"


@pytest.mark.parametrize("script_name", ["/app", ""])
def test_a_path_is_guarded_where_a_proxy_takes_that_of_the_issuer_away(script_name: str) -> None:
    app = make_app(init=False, PKCE_ISSUER=f"{ISSUER}/app")
    CSRFProtect(app)
    app.pkce.mcp("/app/mcp", scopes=SCOPES, required=["tasks:read"])
    app.add_url_rule("/mcp", view_func=lambda: "reached", endpoint="reached", methods=["POST"])
    start(app)
    base = {"base_url": f"http://localhost{script_name}"}
    assert call(app, "/mcp", **base).headers["WWW-Authenticate"] == (
        f'Bearer resource_metadata="{ISSUER}{PLACE}/app/mcp", scope="tasks:read"'
    )
    token = token_of(Flow(sign_in_past_csrf(app), register(app)), resource=f"{ISSUER}/app/mcp")
    assert call(app, "/mcp", token, **base).text == "reached"


def test_a_token_that_is_not_good_is_told_so(app: Flask) -> None:
    answer = call(app, "/mcp", "x")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith(
        f'Bearer error="invalid_token", scope="tasks:read", resource_metadata="{METADATA}", '
        'error_description="'
    )


def test_a_token_for_the_issuer_opens_it_not(app: Flask, pkce_flow: Flow) -> None:
    # RFC 8707 2.2, MCP 2026-07-28: the audience is checked.
    for resource in (None, ISSUER):
        answer = call(app, "/mcp", token_of(pkce_flow, resource=resource))
        assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_token")


def test_a_token_for_the_resource_opens_nothing_else(app: Flask, pkce_flow: Flow) -> None:
    token = token_of(pkce_flow, scope="profile tasks:read")
    headers = {"Authorization": f"Bearer {token}"}
    assert app.test_client().get("/api/me", headers=headers).status_code == 401


def test_a_session_alone_opens_nothing(pkce_flow: Flow) -> None:
    assert pkce_flow.browser.post("/mcp").status_code == 401


@pytest.mark.parametrize("path", ["/mcp/write", "/mcp/guarded"])
def test_a_call_that_needs_more_is_told_all_that_it_needs(
    app: Flask, pkce_flow: Flow, path: str
) -> None:
    # MCP 2026-07-28, step-up: the scopes of the operation, all at once.
    answer = call(app, path, token_of(pkce_flow))
    assert answer.status_code == 403
    assert answer.headers["WWW-Authenticate"].startswith(
        'Bearer error="insufficient_scope", scope="tasks:read tasks:write", '
        f'resource_metadata="{METADATA}", error_description="'
    )
    assert answer.get_json()["error"] == "insufficient_scope"


def test_what_is_required_is_required_everywhere(app: Flask, pkce_flow: Flow) -> None:
    answer = call(app, "/mcp", token_of(pkce_flow, scope="tasks:write"))
    assert answer.status_code == 403
    assert ' scope="tasks:read", ' in answer.headers["WWW-Authenticate"]


def test_where_nothing_is_required_a_client_asks_for_all() -> None:
    app = make_app()
    app.pkce.mcp("/mcp", scopes=SCOPES)
    add_views(app)
    challenge = call(app, "/mcp").headers["WWW-Authenticate"]
    assert challenge.endswith('scope="tasks:read tasks:write"')
    token = token_of(Flow(sign_in(app), register(app)))
    assert call(app, "/mcp", token).status_code == 200


def test_offline_access_is_the_servers_and_no_resource_asks_for_it() -> None:
    # MCP 2026-07-28: neither in challenges nor in the metadata.
    app = make_app()
    app.pkce.mcp("/mcp", scopes=["notes:read", "offline_access"])
    assert call(app, "/mcp").headers["WWW-Authenticate"].endswith('scope="notes:read"')
    assert get(app, PLACE).get_json()["scopes_supported"] == ["notes:read"]


def test_scopes_may_come_in_one_text() -> None:
    app = make_app()
    app.pkce.mcp("/mcp", scopes="notes:write", required="notes:read profile")
    document = get(app, PLACE).get_json()
    assert document["scopes_supported"] == ["notes:write", "notes:read", "profile"]
    assert call(app, "/mcp").headers["WWW-Authenticate"].endswith('scope="notes:read profile"')


def test_a_guarded_call_is_one_statement(app: Flask, pkce_flow: Flow) -> None:
    token = token_of(pkce_flow, scope="tasks:read tasks:write")
    counted = Counted(app)
    for path in ("/mcp", "/mcp/write", "/mcp/guarded"):
        with counted.expect(1, 0):
            assert call(app, path, token).status_code == 200


def test_one_request_knows_nothing_of_the_one_before(app: Flask, pkce_flow: Flow) -> None:
    # Within one app context, Flask gives both the same g.
    with app.app_context():
        assert call(app, "/mcp", token_of(pkce_flow)).status_code == 200
        for path in ("/mcp", "/mcp/guarded"):
            assert call(app, path).status_code == 401


def sign_in_past_csrf(app: Flask) -> Any:
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False
    browser = sign_in(app)
    app.config["WTF_CSRF_CHECK_DEFAULT"] = True
    return browser


@pytest.mark.parametrize("first", [False, True])
def test_the_hosts_csrf_protection_lets_the_path_pass_and_nothing_else(
    first: bool,
) -> None:
    app = make_app(init=False)
    app.pkce.mcp("/mcp", scopes=SCOPES)
    if first:
        CSRFProtect(app)
    start(app)
    add_views(app)
    if not first:
        CSRFProtect(app)
    token = token_of(Flow(sign_in_past_csrf(app), register(app)))
    assert call(app, "/mcp", token).status_code == 200
    assert call(app, "/mcp/write", token).status_code == 403
    assert call(app, "/form").status_code == 400


def test_the_endpoints_of_the_server_below_it_stay_open() -> None:
    app = make_app(PKCE_URL_PREFIX="/mcp/oauth")
    app.pkce.mcp("/mcp", scopes=SCOPES)
    add_views(app)
    flow = Flow(sign_in(app), register(app))
    assert call(app, "/mcp", token_of(flow)).status_code == 200
    with get(app, "/mcp/oauth/static/pkce.css") as answer:
        assert answer.status_code == 200


def test_a_view_that_the_host_adds_to_our_blueprint_is_guarded() -> None:
    app = make_app(init=False)
    app.pkce.mcp("/mcp", scopes=SCOPES)
    app.pkce.blueprint.post("/secret", endpoint="secret")(lambda: "reached")
    app.register_blueprint(app.pkce.blueprint, url_prefix="/mcp")
    with app.app_context():
        fill()
    assert call(app, "/mcp/secret").status_code == 401
    token = token_of(Flow(sign_in(app), register(app)))
    assert call(app, "/mcp/secret", token).text == "reached"
    # Our own endpoints there stay open.
    assert call(app, "/mcp/token").status_code == 400


def test_without_the_room_the_path_is_guarded_all_the_same() -> None:
    app = make_app(PKCE_FEATURES={"protected_resource": False})
    app.pkce.mcp("/mcp", scopes=SCOPES)
    add_views(app)
    answer = call(app, "/mcp")
    assert answer.headers["WWW-Authenticate"] == 'Bearer scope="tasks:read tasks:write"'
    assert get(app, PLACE).text == "a page"


# A single view.


@pytest.mark.parametrize("first", ["resource", "init_app"])
def test_a_view_may_be_of_a_resource(first: str) -> None:
    app = make_app(init=False)
    if first == "init_app":
        start(app)

    @app.post("/api/tasks")
    @app.pkce.require("notes:read", resource="https://API.example/tasks")
    def tasks() -> str:
        return current_token.subject

    @app.post("/api/more")
    @require("notes:write", resource="https://api.example:443/tasks")
    def more() -> str:
        return current_token.subject

    if first == "resource":
        start(app)
    flow = Flow(sign_in(app), register(app), scope="notes:read")
    metadata = f"https://API.example{PLACE}/tasks"
    assert call(app, "/api/tasks").headers["WWW-Authenticate"] == (
        f'Bearer resource_metadata="{metadata}", scope="notes:read"'
    )
    document = get(app, f"{PLACE}/tasks").get_json()
    assert document["resource"] == "https://API.example/tasks"
    assert document["scopes_supported"] == ["notes:read"]
    token = flow.tokens(resource="https://api.example/tasks")["access_token"]
    assert call(app, "/api/tasks", token).text == "1"
    answer = call(app, "/api/more", token)
    assert answer.status_code == 403
    assert f'scope="notes:write", resource_metadata="{metadata}"' in str(answer.headers)
    assert call(app, "/api/tasks", flow.tokens()["access_token"]).status_code == 401


def test_any_guarded_view_may_ask_for_more() -> None:
    app = make_app()
    used = []
    token_used.connect(listen := lambda sender, scopes, **rest: used.append(scopes))

    @app.post("/notes")
    @app.pkce.require("notes:read")
    def more_notes() -> str:
        current_token.require("notes:write profile")
        return "both"

    flow = Flow(sign_in(app), register(app))
    answer = call(app, "/notes", flow.tokens(scope="notes:read")["access_token"])
    assert answer.headers["WWW-Authenticate"].startswith(
        'Bearer error="insufficient_scope", scope="notes:read notes:write profile", '
        'error_description="'
    )
    assert answer.headers["Cache-Control"] == "no-store"
    token = flow.tokens(scope="notes:read notes:write profile")["access_token"]
    assert call(app, "/notes", token).text == "both"
    assert used == [("notes:read",), ("notes:read",), ("notes:write", "profile")]
    token_used.disconnect(listen)


def test_a_resource_that_is_not_declared_is_said_to_the_developer(app: Flask) -> None:
    @app.post("/typo")
    @require(resource="https://auth.example/mpc")
    def typo() -> str:
        return ""

    with pytest.raises(ConfigurationError, match="not declared"):
        call(app, "/typo")


# Its tokens.


@pytest.mark.parametrize("spelling", ["https://AUTH.example/mcp", f"{MCP}/", MCP])
def test_the_audience_is_the_resource_as_it_is_declared(
    app: Flask, pkce_flow: Flow, spelling: str
) -> None:
    serves = {"resource_server": True, "resources": [MCP]}
    api = register(app, auth_method="client_secret_basic", client_metadata=serves)
    token = token_of(pkce_flow, resource=spelling)
    asking = Flow(pkce_flow.browser, api)
    assert asking.post("introspect", {"token": token}).get_json()["aud"] == MCP
    assert call(app, "/mcp", token).status_code == 200


def test_a_refresh_keeps_the_audience(app: Flask, pkce_flow: Flow) -> None:
    tokens = pkce_flow.tokens(scope="tasks:read offline_access", resource=MCP)
    for resource in (None, MCP):
        tokens = pkce_flow.refresh(tokens["refresh_token"], resource=resource).get_json()
        assert call(app, "/mcp", tokens["access_token"]).status_code == 200


def test_a_jwt_has_it_too() -> None:
    app = make_app(PKCE_ACCESS_TOKEN_FORMAT="jwt")
    app.pkce.mcp("/mcp", scopes=SCOPES)
    add_views(app)
    flow = Flow(sign_in(app), register(app))
    token = token_of(flow)
    assert read(app, token)["aud"] == MCP
    assert call(app, "/mcp", token).status_code == 200
    assert call(app, "/mcp", token_of(flow, resource=None)).status_code == 401


def test_it_needs_no_jwts() -> None:
    app = make_app(PKCE_FEATURES={"jwt_access_token": False})
    app.pkce.mcp("/mcp", scopes=SCOPES)
    add_views(app)
    flow = Flow(sign_in(app), register(app))
    for scope in ("tasks:read", "openid tasks:read"):
        assert call(app, "/mcp", token_of(flow, scope=scope)).status_code == 200
    assert call(app, "/mcp", token_of(flow, resource=None)).status_code == 401


def test_with_openid_the_token_opens_userinfo_too(app: Flask, pkce_flow: Flow) -> None:
    token = token_of(pkce_flow, scope="openid profile tasks:read")
    assert call(app, "/mcp", token).status_code == 200
    assert call(app, "/oauth/userinfo", token).get_json()["sub"] == "1"
    # Userinfo, and nothing else that is not of the resource.
    assert call(app, "/api/me", token).status_code == 401
    assert call(app, "/oauth/userinfo", token_of(pkce_flow)).status_code == 403


def test_doctor_says_that_clients_cannot_name_it() -> None:
    app = make_app(PKCE_FEATURES={"resource_indicators": False})
    runner = app.test_cli_runner()
    assert "No token opens" not in runner.invoke(args=["pkce", "doctor"]).output
    app.pkce.mcp("/mcp")
    assert "No token opens" in runner.invoke(args=["pkce", "doctor"]).output


def test_the_user_reads_the_sentences_of_the_scopes(pkce_flow: Flow) -> None:
    page = pkce_flow.authorize(scope="tasks:read tasks:write", resource=MCP).text
    assert "Read your tasks" in page
    assert "Write tasks for you" in page
    assert {*SCOPES} <= {*pkce_flow.server.metadata()["scopes_supported"]}


# Older clients, and browsers.


@pytest.mark.parametrize("late", [False, True])
def test_older_clients_find_the_endpoints_at_the_root(late: bool) -> None:
    # MCP 2025-03-26: what a client without metadata falls back to.
    app = make_app(init=False, PKCE_DIALECTS=[])
    if late:
        start(app)
    app.pkce.mcp("/mcp", scopes=SCOPES)
    if not late:
        start(app)
    flow = Flow(sign_in(app), register(app))
    page = flow.browser.get("/authorize", query_string=flow.request(scope="tasks:read"))
    assert "Read your tasks" in page.text
    assert call(app, "/token").get_json()["error"] == "invalid_request"


class Registration(Feature):
    """A feature with the route that clients register at."""

    name = "a_registration"

    def routes(self, server: Any) -> list[Route]:
        return [
            Route("register", "/register", lambda server: {"it": "is here"}, ("POST",), "endpoint")
        ]


def test_registration_is_at_the_root_where_there_is_one() -> None:
    app = make_app(features=(Registration(),))
    app.pkce.mcp("/mcp", scopes=SCOPES)
    assert call(app, "/register").get_json() == {"it": "is here"}
    # What the host has there already stays the host's.
    app = make_app(features=(Registration(),), init=False)
    app.post("/register")(lambda: "sign up")
    app.pkce.mcp("/mcp", scopes=SCOPES)
    assert call(start(app), "/register").text == "sign up"


def preflight(app: Flask, origin: str) -> Any:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,mcp-protocol-version",
    }
    return app.test_client().options("/mcp", headers=headers)


def test_a_preflight_is_answered_before_anything_is_asked(app: Flask, pkce_flow: Flow) -> None:
    answer = preflight(app, ORIGIN)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "mcp-protocol-version" in answer.headers["Access-Control-Allow-Headers"]
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]


def test_a_page_that_is_no_client_yet_reads_the_challenge_alone(
    app: Flask, pkce_flow: Flow
) -> None:
    other = {"Origin": "https://inspector.example"}
    assert preflight(app, other["Origin"]).headers["Access-Control-Allow-Origin"] == "*"
    answer = call(app, "/mcp", headers=other)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "WWW-Authenticate" in answer.headers["Access-Control-Expose-Headers"]
    answer = call(app, "/mcp", token_of(pkce_flow), headers=other)
    assert answer.status_code == 200
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_page_of_the_client_reads_answers_and_refusals(app: Flask, pkce_flow: Flow) -> None:
    for path, status in {"/mcp": 200, "/mcp/write": 403}.items():
        answer = call(app, path, token_of(pkce_flow), headers={"Origin": ORIGIN})
        assert answer.status_code == status
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
