"""The checks of the MCP conformance suite for authorization servers and for protected servers.

Each under the name that it has there: `authorization-server-metadata`, say, is
`test_authorization_server_metadata`. The suite needs a person at a browser for the code
grant, and its published release has not this part; so its checks are made here by hand.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_pkce_server import current_token
from flask_pkce_server.testing import Flow, parameters_of, register, server_of

from .host import make_app, sign_in
from .openid import read

ORIGIN = "https://auth.example"
MCP = f"{ORIGIN}/mcp"
SCOPES = {"tasks:read": "Read your tasks", "tasks:write": "Write tasks for you"}
CALLBACK = "http://127.0.0.1:3000/callback"


ISSUERS = {"bare": ORIGIN, "slash": f"{ORIGIN}/", "path": f"{ORIGIN}/tenant"}


@pytest.fixture(scope="module", params=ISSUERS.values(), ids=list(ISSUERS))
def app(request: pytest.FixtureRequest) -> Flask:
    """An MCP server that is its own authorization server, under one spelling or another."""
    app = make_app(PKCE_ISSUER=request.param, PKCE_FEATURES={"registration": True})
    app.pkce.mcp("/mcp", scopes=SCOPES, required=["tasks:read"])

    @app.post("/mcp")
    def serve() -> dict[str, Any]:
        return {"subject": current_token.subject}

    return app


@pytest.fixture
def program(app: Flask) -> FlaskClient:
    return app.test_client(use_cookies=False)


def issuer_of(app: Flask) -> str:
    return server_of(app).issuer


def message(method: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {}}


def json_of(answer: TestResponse) -> dict[str, Any]:
    assert answer.status_code == 200
    assert answer.content_type == "application/json"
    document = answer.get_json()
    assert isinstance(document, dict)
    return document


def challenge_of(answer: TestResponse) -> dict[str, str]:
    """Return the parameters of the Bearer challenge, read as strictly as RFC 9110 11.6.1."""
    scheme, _, rest = answer.headers["WWW-Authenticate"].partition(" ")
    assert scheme == "Bearer"
    pairs = re.findall(r'(\w+)="([^"\\]*)"(?:, |$)', rest)
    assert ", ".join(f'{name}="{value}"' for name, value in pairs) == rest
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def server_metadata(app: Flask, program: FlaskClient) -> dict[str, Any]:
    """Return the first document that is there, in the order in which clients look."""
    parts = urlsplit(issuer_of(app))
    path = parts.path.rstrip("/")
    for place in (
        f"/.well-known/oauth-authorization-server{path}",
        f"/.well-known/openid-configuration{path}",
        f"{path}/.well-known/openid-configuration",
    ):
        answer = program.get(place)
        if answer.status_code == 200:
            break
    return json_of(answer)


# Of the authorization server.


def test_authorization_server_metadata(app: Flask, program: FlaskClient) -> None:
    document = server_metadata(app, program)
    assert document["issuer"] == issuer_of(app)
    for name in ("authorization_endpoint", "token_endpoint"):
        assert urlsplit(document[name]).scheme == "https", name
    assert "code" in document["response_types_supported"]
    assert "S256" in document["code_challenge_methods_supported"]


def test_authorization_server_metadata_cimd(app: Flask, program: FlaskClient) -> None:
    # There because the app has an MCP server.
    assert server_metadata(app, program)["client_id_metadata_document_supported"] is True


@pytest.mark.parametrize("method", ["none", "client_secret_post", "client_secret_basic"])
def test_authorization_code_grant(app: Flask, program: FlaskClient, method: str) -> None:
    document = server_metadata(app, program)
    assert method in document["token_endpoint_auth_methods_supported"]
    known = register(app, auth_method=method, redirect_uris=(CALLBACK,))
    flow = Flow(sign_in(app), known)
    # It names no scope; the user is in front of the browser.
    page = flow.authorize(scope=None)
    back = (flow.decide(page) if page.status_code == 200 else page).headers["Location"]
    parts = urlsplit(back)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == CALLBACK
    told = parse_qs(parts.query, keep_blank_values=True)
    (code,) = told.pop("code")
    assert code
    # Each once, and neither code_challenge nor error.
    assert told == {"state": [flow.state], "iss": [document["issuer"]]}

    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": flow.verifier,
    }
    basic, secret = None, known.client_secret or ""
    if method == "client_secret_basic":
        basic = (quote(known.client_id, safe=""), quote(secret, safe=""))
    else:
        form["client_id"] = known.client_id
    if method == "client_secret_post":
        form["client_secret"] = secret
    answer = program.post(urlsplit(document["token_endpoint"]).path, data=form, auth=basic)
    tokens = json_of(answer)
    assert answer.headers["Cache-Control"] == "no-store"
    assert isinstance(tokens["access_token"], str)
    assert isinstance(tokens["token_type"], str)


# Of the server that it protects.


@pytest.mark.parametrize("method", ["initialize", "tools/list"])
def test_auth_401_unauthorized(program: FlaskClient, method: str) -> None:
    answer = program.post("/mcp", json=message(method))
    assert answer.status_code == 401
    assert isinstance(answer.get_json(), dict)
    assert challenge_of(answer)


@pytest.mark.parametrize("token", [None, "fpk_at_unknown"])
def test_auth_www_authenticate_header(program: FlaskClient, token: str | None) -> None:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    told = challenge_of(program.post("/mcp", json=message("tools/list"), headers=headers))
    metadata = urlsplit(told["resource_metadata"])
    assert f"{metadata.scheme}://{metadata.netloc}" == ORIGIN
    assert json_of(program.get(metadata.path))["resource"] == MCP
    assert re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*", told["scope"])
    # RFC 6750 3.1: no error for who showed nothing.
    assert told.get("error") == (None if token is None else "invalid_token")


@pytest.mark.parametrize("path", ["/mcp", ""])
def test_auth_prm_discovery(program: FlaskClient, app: Flask, path: str) -> None:
    document = json_of(program.get(f"/.well-known/oauth-protected-resource{path}"))
    assert document["authorization_servers"] == [issuer_of(app)]
    # MCP 2026-07-28: offline_access is nothing that a resource has.
    assert document["scopes_supported"] == list(SCOPES)


def test_auth_prm_resource_validation(program: FlaskClient) -> None:
    resource = json_of(program.get("/.well-known/oauth-protected-resource/mcp"))["resource"]
    parts = urlsplit(resource)
    assert (parts.scheme, parts.fragment, parts.query) == ("https", "", "")
    assert resource == MCP


def test_auth_as_metadata_discovery(app: Flask, program: FlaskClient) -> None:
    # It asks at the root of the origin, whatever path the issuer has.
    for name in ("oauth-authorization-server", "openid-configuration"):
        document = json_of(program.get(f"/.well-known/{name}"))
        assert document["issuer"] == issuer_of(app)
        for endpoint in ("authorization_endpoint", "token_endpoint", "registration_endpoint"):
            assert document[endpoint].startswith(f"{ORIGIN}/")
        assert "code" in document["response_types_supported"]


def test_auth_discovery_mechanism(program: FlaskClient) -> None:
    oauth = json_of(program.get("/.well-known/oauth-authorization-server"))
    openid = json_of(program.get("/.well-known/openid-configuration"))
    for name in ("issuer", "authorization_endpoint", "token_endpoint"):
        assert oauth[name] == openid[name]


@pytest.mark.parametrize("name", ["oauth-authorization-server", "openid-configuration"])
def test_auth_as_pkce_support(program: FlaskClient, name: str) -> None:
    document = json_of(program.get(f"/.well-known/{name}"))
    assert document["code_challenge_methods_supported"] == ["S256"]


@pytest.mark.parametrize("name", ["oauth-authorization-server", "openid-configuration"])
def test_auth_as_cimd_supported(program: FlaskClient, name: str) -> None:
    document = json_of(program.get(f"/.well-known/{name}"))
    assert document["client_id_metadata_document_supported"] is True


def test_auth_as_grant_types(app: Flask, program: FlaskClient) -> None:
    supported = server_metadata(app, program)["grant_types_supported"]
    assert {"authorization_code", "refresh_token"} <= set(supported)
    assert not {"implicit", "password"} & set(supported)


def test_auth_as_token_auth_methods(app: Flask, program: FlaskClient) -> None:
    document = server_metadata(app, program)
    methods = set(document["token_endpoint_auth_methods_supported"])
    # Claude looks for the first before it names itself by a URL, ChatGPT signs.
    assert {"none", "client_secret_basic", "client_secret_post", "private_key_jwt"} == methods
    signed = document["token_endpoint_auth_signing_alg_values_supported"]
    assert {"RS256", "ES256"} <= set(signed)
    assert "none" not in signed


# What the specification has besides, and clients compare.


def test_the_issuer_is_one_text_in_all_places(app: Flask, program: FlaskClient) -> None:
    issuer = issuer_of(app)
    flow = Flow(sign_in(app), register(app))
    refused = parameters_of(flow.authorize(scope="no:such"))
    denied = parameters_of(flow.decide(flow.authorize(), "deny"))
    allowed = flow.allow(scope="openid")
    tokens = flow.redeem(allowed["code"]).get_json()
    resource = json_of(program.get("/.well-known/oauth-protected-resource/mcp"))
    document = server_metadata(app, program)
    assert document["authorization_response_iss_parameter_supported"] is True
    assert {
        *resource["authorization_servers"],
        document["issuer"],
        refused["iss"],
        denied["iss"],
        allowed["iss"],
        read(app, tokens["id_token"])["iss"],
    } == {issuer}


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-authorization-server/mcp",
        "/.well-known/openid-configuration/mcp",
        "/mcp/.well-known/openid-configuration",
        "/mcp/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp/mcp",
    ],
)
def test_where_clients_look_in_vain_they_look_on(program: FlaskClient, path: str) -> None:
    # A 5xx ends their search, and so does a page where they wait for JSON.
    answer = program.get(path, headers={"MCP-Protocol-Version": "2026-07-28"})
    assert answer.status_code in (401, 404)
    assert isinstance(answer.get_json(), dict)


def test_a_registration_that_is_gone_is_told_to_the_user_and_to_the_program(
    app: Flask, program: FlaskClient
) -> None:
    # Claude and the SDKs register anew at this answer of the token endpoint.
    flow = Flow(app.test_client(), register(app))
    flow.client.client_id = "gone"
    page = flow.authorize()
    assert (page.status_code, page.mimetype) == (400, "text/html")
    assert "Location" not in page.headers
    answer = flow.refresh("fpk_rt_unknown")
    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")
