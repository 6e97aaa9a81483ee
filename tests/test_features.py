"""Every feature but the core can be left out; and a host can add its own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from flask import Flask

from flask_pkce_server import ConfigurationError, Feature
from flask_pkce_server.errors import InvalidRequestError
from flask_pkce_server.features import FEATURES
from flask_pkce_server.models.client import Client
from flask_pkce_server.protocol.declarations import Problem, Route
from flask_pkce_server.protocol.request import Payload
from flask_pkce_server.testing import Flow, RegisteredClient, parameters_of, register

from .host import make_app, sign_in

OPTIONAL = [feature.name for feature in FEATURES if not feature.core]


@pytest.mark.parametrize("left_out", [*([name] for name in OPTIONAL), OPTIONAL])
def test_what_is_left_goes_on(left_out: list[str]) -> None:
    app = make_app(PKCE_FEATURES=dict.fromkeys(left_out, False))
    flow = Flow(sign_in(app), register(app), scope="profile")
    token = flow.tokens()["access_token"]
    me = app.test_client().get("/api/me", headers={"Authorization": f"Bearer {token}"})
    assert me.get_json()["name"] == "Ada Lovelace"


def test_without_revocation_there_is_neither_route_nor_line() -> None:
    app = make_app(PKCE_FEATURES={"revocation": False})
    assert app.test_client().post("/oauth/revoke").status_code == 404
    assert not [name for name in app.extensions["pkce"].metadata() if "revocation" in name]


def test_without_refresh_tokens_nobody_gets_or_uses_one() -> None:
    app = make_app(PKCE_FEATURES={"refresh_token": False})
    flow = Flow(sign_in(app), register(app), scope="profile")
    assert "refresh_token" not in flow.tokens()
    assert flow.refresh("fpk_rt_x").get_json()["error"] == "unsupported_grant_type"
    assert parameters_of(flow.authorize(scope="offline_access"))["error"] == "invalid_scope"
    document = app.extensions["pkce"].metadata()
    assert "refresh_token" not in document["grant_types_supported"]
    assert "offline_access" not in document["scopes_supported"]


def test_without_cors_no_answer_has_its_headers() -> None:
    app = make_app(PKCE_FEATURES={"cors": False})
    register(app)
    answer = app.test_client().post("/oauth/token", headers={"Origin": "https://client.example"})
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("core", [feature.name for feature in FEATURES if feature.core])
def test_the_core_cannot_be_left_out(core: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be left out"):
        make_app(PKCE_FEATURES={core: False})


class Tenant(Feature):
    """A feature that fills every hook: it binds what is granted to a tenant."""

    name = "tenant"
    settings = ("PKCE_TENANT_DEFAULT",)
    scopes = {"tenant:read": "Read what your tenant has"}  # noqa: RUF012

    def __init__(self) -> None:
        self.checked: list[str] = []

    def register(self, server) -> None:
        self.default = server.app.config["PKCE_TENANT_DEFAULT"]

    def routes(self, server) -> Iterable[Route]:
        yield Route("tenant", "/tenant", lambda: {"tenant": self.default}, ("GET",), "endpoint")

    def metadata(self, server) -> Mapping[str, Any]:
        return {"tenants_supported": [self.default], "response_modes_supported": ["query"]}

    def find_client(self, server, client_id: str, stored) -> Client | None:
        if client_id != "from-elsewhere":
            return None
        return Client(
            client_id=client_id,
            client_name="From elsewhere",
            token_endpoint_auth_method="none",
            redirect_uris=["https://elsewhere.example/cb"],
            origins=[],
            grant_types=["authorization_code", "refresh_token"],
            scope=None,
            skip_consent=False,
            self_registered=True,
            issued_at=0,
        )

    def resolve_authorization_request(self, request) -> None:
        if request.payload.data.get("tenant") == "pushed":
            pairs = {**request.payload.data, "tenant": "resolved", "state": "resolved"}
            request.payload = Payload(pairs.items())

    def complete_authorization_request(self, request) -> None:
        if "scope" not in request.payload.data:
            request.replace(scope="tenant:read")

    def check_authorization_request(self, request) -> None:
        tenant = request.payload.data.get("tenant", self.default)
        if tenant == "closed":
            raise InvalidRequestError("This tenant is closed.")
        request.bindings[self.name] = tenant

    def check_token_request(self, request) -> None:
        self.checked.append(request.payload.grant_type)
        if request.form.get("tenant") == "wrong":
            raise InvalidRequestError("This is another tenant.")

    def complete_token_response(self, response) -> None:
        response.body["tenant"] = response.family.bindings[self.name]

    def problems(self, server) -> Iterable[Problem]:
        yield Problem("OK", f"The tenant is {self.default}.")


@pytest.fixture
def app() -> Flask:
    return make_app(features=(Tenant(),), PKCE_TENANT_DEFAULT="acme")


def bindings(app: Flask, token: str) -> dict[str, Any]:
    me = app.test_client().get("/api/me", headers={"Authorization": f"Bearer {token}"})
    return me.get_json()["bindings"]


def test_what_a_room_binds_travels_from_the_request_to_the_view(
    app: Flask, pkce_flow: Flow
) -> None:
    tokens = pkce_flow.tokens(tenant="north")
    assert tokens["tenant"] == "north"
    assert bindings(app, tokens["access_token"])["tenant"] == "north"
    fresh = pkce_flow.refresh(tokens["refresh_token"]).get_json()
    assert fresh["tenant"] == "north"
    assert bindings(app, fresh["access_token"])["tenant"] == "north"
    assert app.extensions["pkce"].features[-1].checked == ["authorization_code", "refresh_token"]


def test_a_room_refuses_an_authorization_request(pkce_flow: Flow) -> None:
    answer = parameters_of(pkce_flow.authorize(tenant="closed"))
    assert (answer["error"], answer["state"]) == ("invalid_request", pkce_flow.state)


def test_a_room_refuses_a_token_request_and_burns_nothing(pkce_flow: Flow) -> None:
    code = pkce_flow.allow()["code"]
    assert pkce_flow.redeem(code, tenant="wrong").get_json()["error"] == "invalid_request"
    assert pkce_flow.redeem(code).status_code == 200


def test_a_room_replaces_what_the_browser_carried(pkce_flow: Flow) -> None:
    answer = pkce_flow.allow(tenant="pushed")
    assert answer["state"] == "resolved"
    assert pkce_flow.redeem(answer["code"]).get_json()["tenant"] == "resolved"


def test_a_room_says_what_is_left_open(pkce_flow: Flow) -> None:
    page = pkce_flow.authorize(scope=None)
    assert "Read what your tenant has" in page.text
    tokens = pkce_flow.redeem(parameters_of(pkce_flow.decide(page))["code"]).get_json()
    assert tokens["scope"] == "tenant:read"


def test_a_room_brings_clients_scopes_routes_lines_and_findings(app: Flask, client) -> None:
    elsewhere = RegisteredClient("from-elsewhere", None, "https://elsewhere.example/cb", "none")
    flow = Flow(client, elsewhere, scope="tenant:read")
    page = flow.authorize()
    assert "From elsewhere" in page.text
    assert "Read what your tenant has" in page.text
    assert flow.tokens()["scope"] == "tenant:read"
    assert app.test_client().get("/oauth/tenant").get_json() == {"tenant": "acme"}
    document = app.extensions["pkce"].metadata()
    assert document["tenants_supported"] == ["acme"]
    assert document["response_modes_supported"][:3] == ["query", "fragment", "form_post"]
    findings = app.test_cli_runner().invoke(args=["pkce", "doctor", "--json"]).output
    assert "The tenant is acme." in [found["about"] for found in json.loads(findings)]
