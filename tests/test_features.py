"""Every feature but the core can be left out; and a host can add its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
from flask import Flask, Response
from sqlalchemy.orm import Mapped, mapped_column

from flask_pkce_server import (
    Base,
    ClientAuthMethod,
    ClientField,
    ConfigurationError,
    Expired,
    Feature,
    Problem,
    Prunable,
    ResponseMode,
    Route,
    Setting,
    token_issued,
)
from flask_pkce_server.errors import (
    AccessDeniedError,
    InvalidRequestError,
    InvalidTokenError,
    ServerError,
)
from flask_pkce_server.features import FEATURES
from flask_pkce_server.features.authorization_code import SingleUseCodeGrant
from flask_pkce_server.models.base import Digest
from flask_pkce_server.models.client import Client
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


class Membership(Base):
    """A table of the host's feature."""

    __tablename__ = "tenant_membership"

    digest: Mapped[bytes] = mapped_column(Digest, primary_key=True)
    expires_at: Mapped[int]


def check_tenant(server, client, value) -> None:
    if value == "closed":
        raise InvalidRequestError("This tenant is closed.")


def answer_tenant(server) -> dict[str, str]:
    return {"tenant": server.settings["PKCE_TENANT_DEFAULT"]}


def read_header(request) -> tuple[str, str] | None:
    client_id = request.headers.get("X-Tenant-Client")
    return None if client_id is None else (client_id, "proof")


def send_text(uri: str, fields: Mapping[str, str]) -> Response:
    return Response(f"{uri} {fields['code']}", mimetype="text/plain")


class Tenant(Feature):
    """A feature that fills every hook: it binds what is granted to a tenant."""

    name = "tenant"
    settings = (
        Setting(
            "PKCE_TENANT_DEFAULT", str, "main", "The tenant that is meant where none is named."
        ),
        Setting("PKCE_TENANT_LIMIT", int, 10, "Members of a tenant.", at_least=1),
    )
    models = (Membership,)
    scopes = {"tenant:read": "Read what your tenant has"}  # noqa: RUF012
    client_fields = (ClientField("tenant", "The tenant that it belongs to.", check=check_tenant),)

    def __init__(self) -> None:
        self.checked: list[str] = []
        self.used: list[str] = []
        self.told: list[dict[str, Any]] = []
        self.answered: list[str] = []

    def check_settings(self, server) -> None:
        if server.settings["PKCE_TENANT_DEFAULT"] == "closed":
            raise ConfigurationError("The tenant is closed.", write="another one")

    def routes(self, server) -> Iterable[Route]:
        yield Route("tenant", "/tenant", answer_tenant, ("GET",), "endpoint")

    def aliases(self, server) -> Mapping[str, str]:
        return {"/my-tenant": "tenant"}

    def wrap_view(self, server, route, view) -> Callable[..., Response]:
        def noted(**values: Any) -> Response:
            self.answered.append(route.name)
            return view(**values)

        return noted if route.name == "tenant" else view

    def listeners(self, server) -> Iterable[Any]:
        yield token_issued, self.hear

    def hear(self, app, **facts: Any) -> None:
        self.told.append(facts)

    def client_auth_methods(self, server) -> Iterable[ClientAuthMethod]:
        yield ClientAuthMethod(
            "tenant_header", read_header, proves=lambda server, client, proof: True
        )

    def response_modes(self, server) -> Mapping[str, ResponseMode]:
        return {"tenant": ResponseMode(send_text)}

    def metadata(self, server) -> Mapping[str, Any]:
        default = server.settings["PKCE_TENANT_DEFAULT"]
        return {"tenants_supported": [default], "response_modes_supported": ["query"]}

    def resource_metadata(self, server, resource) -> Mapping[str, Any]:
        return {"tenants_supported": ["acme"], "bearer_methods_supported": ["header"]}

    def translate_request(self, server, request) -> None:
        if "mandant" in request.payload.data:
            request.replace(mandant=None, tenant=request.payload.data["mandant"])

    def describe_token(self, server, token) -> Mapping[str, Any]:
        return {"tenant": token.bindings[self.name]} if self.name in token.bindings else {}

    def check_token_use(self, server, token, resource) -> None:
        self.used.append(token.bindings.get(self.name, ""))
        if token.bindings.get(self.name) == "suspended":
            raise InvalidTokenError()

    def complete_response(self, server, response, route) -> None:
        response.headers["X-Tenant"] = "a view" if route is None else route.name

    def prune(self, server) -> Iterable[Prunable]:
        yield Expired(Membership.expires_at, server.now())

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

    def complete_authorization_request(self, server, request) -> None:
        if "scope" not in request.payload.data:
            request.replace(scope="tenant:read")

    def check_authorization_request(self, server, request) -> None:
        tenant = request.payload.data.get("tenant", server.settings["PKCE_TENANT_DEFAULT"])
        if tenant == "closed":
            raise InvalidRequestError("This tenant is closed.")
        request.bindings[self.name] = tenant

    def check_token_request(self, server, request) -> None:
        self.checked.append(request.payload.grant_type)
        if request.form.get("tenant") == "wrong":
            raise InvalidRequestError("This is another tenant.")

    def complete_token_response(self, server, response) -> None:
        response.body["tenant"] = response.grant.bindings[self.name]

    def problems(self, server) -> Iterable[Problem]:
        yield Problem("OK", f"The tenant is {server.settings['PKCE_TENANT_DEFAULT']}.")


@pytest.fixture
def app() -> Flask:
    return make_app(features=(Tenant(),), PKCE_TENANT_DEFAULT="acme")


def tenant_of(app: Flask) -> Tenant:
    return app.extensions["pkce"].hooks.features[-1]


def bindings(app: Flask, token: str) -> dict[str, Any]:
    me = app.test_client().get("/api/me", headers={"Authorization": f"Bearer {token}"})
    return me.get_json()["bindings"]


def test_what_a_feature_binds_travels_from_the_request_to_the_view(
    app: Flask, pkce_flow: Flow
) -> None:
    tokens = pkce_flow.tokens(tenant="north")
    assert tokens["tenant"] == "north"
    assert bindings(app, tokens["access_token"])["tenant"] == "north"
    fresh = pkce_flow.refresh(tokens["refresh_token"]).get_json()
    assert fresh["tenant"] == "north"
    assert bindings(app, fresh["access_token"])["tenant"] == "north"
    assert tenant_of(app).checked == ["authorization_code", "refresh_token"]


def test_a_feature_of_the_host_refuses_an_authorization_request(pkce_flow: Flow) -> None:
    answer = parameters_of(pkce_flow.authorize(tenant="closed"))
    assert (answer["error"], answer["state"]) == ("invalid_request", pkce_flow.state)


def test_a_feature_of_the_host_refuses_a_token_request_and_burns_nothing(pkce_flow: Flow) -> None:
    code = pkce_flow.allow()["code"]
    assert pkce_flow.redeem(code, tenant="wrong").get_json()["error"] == "invalid_request"
    assert pkce_flow.redeem(code).status_code == 200


def test_a_feature_of_the_host_says_what_is_left_open(pkce_flow: Flow) -> None:
    page = pkce_flow.authorize(scope=None)
    assert "Read what your tenant has" in page.text
    tokens = pkce_flow.redeem(parameters_of(pkce_flow.decide(page))["code"]).get_json()
    assert tokens["scope"] == "tenant:read"


def test_a_feature_of_the_host_brings_clients_scopes_routes_lines_and_findings(
    app: Flask, client
) -> None:
    elsewhere = RegisteredClient("from-elsewhere", None, "https://elsewhere.example/cb", "none")
    flow = Flow(client, elsewhere, scope="tenant:read")
    page = flow.authorize()
    assert "From elsewhere" in page.text
    assert "Read what your tenant has" in page.text
    assert flow.tokens()["scope"] == "tenant:read"
    assert app.test_client().get("/oauth/tenant").get_json() == {"tenant": "acme"}
    assert tenant_of(app).answered == ["tenant"]
    document = app.extensions["pkce"].metadata()
    assert document["tenants_supported"] == ["acme"]
    assert document["response_modes_supported"][:3] == ["query", "fragment", "form_post"]
    findings = app.test_cli_runner().invoke(args=["pkce", "doctor", "--json"]).output
    assert "The tenant is acme." in [found["about"] for found in json.loads(findings)]


def test_a_feature_fills_every_hook_that_there_is() -> None:
    hooks = {
        name for name, default in vars(Feature).items() if callable(default) and name[0] != "_"
    }
    # The grants of a feature, and its endpoints, are declared: they are tried below.
    assert hooks - vars(Tenant).keys() == {"read_token"}


def test_a_feature_of_the_host_hears_describes_and_judges(app: Flask, pkce_flow: Flow) -> None:
    token = pkce_flow.tokens(mandant="north")["access_token"]
    assert tenant_of(app).told[-1]["client_id"] == pkce_flow.client.client_id
    confidential = register(app, auth_method="client_secret_basic", client_metadata={"tenant": "x"})
    flow = Flow(pkce_flow.browser, confidential)
    own = flow.tokens(tenant="north")["access_token"]
    assert flow.post("introspect", {"token": own}).get_json()["tenant"] == "north"
    assert bindings(app, token)["tenant"] == "north"
    assert tenant_of(app).used[-1] == "north"
    suspended = pkce_flow.tokens(tenant="suspended")["access_token"]
    headers = {"Authorization": f"Bearer {suspended}"}
    assert app.test_client().get("/api/me", headers=headers).status_code == 401
    answer = app.test_client().get("/api/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.headers["X-Tenant"] == "a view"
    assert app.test_client().get("/my-tenant").headers["X-Tenant"] == "tenant"
    assert "X-Tenant" not in app.test_client().get("/login").headers


def test_a_feature_of_the_host_brings_ways_to_authenticate_and_to_answer(
    app: Flask, pkce_flow: Flow
) -> None:
    assert "tenant_header" in app.extensions["pkce"].registrar.auth_methods
    answer = pkce_flow.decide(pkce_flow.authorize(response_mode="tenant"))
    assert answer.text.startswith("https://client.example/callback fpk_ac_")


def test_the_tables_of_a_feature_of_the_host_are_made_and_pruned(app: Flask, pkce_clock) -> None:
    server = app.extensions["pkce"]
    with app.app_context():
        now = server.now()
        rows = [Membership(digest=bytes([n]) * 32, expires_at=now + n) for n in range(5)]
        server.store.write(lambda session: session.add_all(rows))
    pkce_clock.advance(2)
    done = app.test_cli_runner().invoke(args=["pkce", "prune", "--json"])
    assert json.loads(done.output)["deleted"]["tenant"] == 3


def test_the_settings_of_a_feature_of_the_host_are_typed() -> None:
    with pytest.raises(ConfigurationError, match="must be a whole number, 1 or more"):
        make_app(features=(Tenant(),), PKCE_TENANT_LIMIT=0)
    with pytest.raises(ConfigurationError, match="nearest is PKCE_TENANT_LIMIT"):
        make_app(features=(Tenant(),), PKCE_TENANT_LIMITS=3)
    with pytest.raises(ConfigurationError, match="The tenant is closed"):
        make_app(features=(Tenant(),), PKCE_TENANT_DEFAULT="closed")
    with pytest.raises(ConfigurationError, match="belongs to the feature"):
        make_app(features=(Tenant(),), PKCE_TENANT_LIMIT=3, PKCE_FEATURES={"tenant": False})
    server = make_app(features=(Tenant(),)).extensions["pkce"]
    assert server.settings["PKCE_TENANT_DEFAULT"] == "main"
    assert server.settings["PKCE_DEVICE_CODE_INTERVAL"] == 5


class SameField(Feature):
    name = "same_field"
    client_fields = (ClientField("client_uri", "Its home page, once more."),)


class SameRoute(Feature):
    name = "same_route"

    def routes(self, server) -> Iterable[Route]:
        yield Route("token", "/other", answer_tenant, ("POST",), "endpoint")


class SameGrant(Feature):
    name = "same_grant"
    grants = (SingleUseCodeGrant,)


class SameMode(Feature):
    name = "same_mode"

    def response_modes(self, server) -> Mapping[str, ResponseMode]:
        return {"query": ResponseMode(send_text)}


class SameMethod(Feature):
    name = "same_method"

    def client_auth_methods(self, server) -> Iterable[ClientAuthMethod]:
        yield ClientAuthMethod("client_secret_basic", read_header)


class SameSetting(Feature):
    name = "same_setting"
    settings = (Setting("PKCE_TOKEN_EXTRA", int, 1, "A number."),)


class SameSettingAgain(SameSetting):
    name = "same_setting_again"


class PackageSetting(Feature):
    name = "package_setting"
    settings = (Setting("PKCE_SCOPES", int, 1, "A number."),)


def test_a_setting_has_one_owner() -> None:
    with pytest.raises(ConfigurationError, match='"PKCE_TOKEN_EXTRA": same_setting and same_'):
        make_app(features=(SameSetting(), SameSettingAgain()))
    with pytest.raises(ConfigurationError, match="PKCE_SCOPES is a setting of Flask-PKCE-Server"):
        make_app(features=(PackageSetting(),))


class SameScope(Feature):
    name = "same_scope"
    scopes = {"openid": "Know who you are, once more"}  # noqa: RUF012


class SamePath(Feature):
    name = "same_path"

    def aliases(self, server) -> Mapping[str, str]:
        return {"/authorize": "token"}


class SameName(Feature):
    name = "openid"


@pytest.mark.parametrize(
    ("feature", "claimed"),
    [
        (SameField(), 'client field "client_uri": authorize and same_field'),
        (SameRoute(), 'route "token": token and same_route'),
        (SameGrant(), 'grant type "authorization_code": authorization_code and same_grant'),
        (SameMode(), 'response mode "query": authorize and same_mode'),
        (SameMethod(), 'method "client_secret_basic": token and same_method'),
        (SameScope(), 'scope "openid": openid and same_scope'),
        (SamePath(), 'path "/authorize": dialects and same_path'),
        (SameName(), 'Two features are called "openid"'),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_two_features_that_claim_one_name_are_refused(feature: Feature, claimed: str) -> None:
    with pytest.raises(ConfigurationError, match=claimed):
        make_app(features=(feature,), PKCE_DIALECTS=["auth0"])


def test_two_features_may_want_a_path_for_the_same_route() -> None:
    app = make_app(init=False, PKCE_DIALECTS=["auth0"])
    app.pkce.mcp("/mcp", scopes={"tasks:read": "Read your tasks"})
    app.pkce.init_app(app)
    assert app.test_client().get("/authorize").status_code == 400


class FailsLate(Feature):
    name = "fails_late"

    def complete_response(self, server, response, route) -> None:
        raise ServerError()

    def check_token_use(self, server, token, resource) -> None:
        raise AccessDeniedError("Not today.")


def test_what_a_feature_raises_last_is_an_error_of_its_kind() -> None:
    app = make_app(features=(FailsLate(),), TESTING=False, PROPAGATE_EXCEPTIONS=False)
    answer = app.test_client().get("/oauth/jwks")
    assert (answer.status_code, answer.get_json()["error"]) == (500, "server_error")
    page = app.test_client().get("/oauth/authorize")
    assert (page.status_code, "<h1>" in page.text) == (500, True)


def test_what_a_feature_has_against_a_token_is_told() -> None:
    class Refusing(Feature):
        name = "refusing"
        check_token_use = FailsLate.check_token_use

    app = make_app(features=(Refusing(),))
    flow = Flow(sign_in(app), register(app))
    headers = {"Authorization": f"Bearer {flow.tokens()['access_token']}"}
    answer = app.test_client().get("/api/me", headers=headers)
    assert (answer.status_code, answer.get_json()["error"]) == (401, "access_denied")
    assert 'error="access_denied"' in answer.headers["WWW-Authenticate"]
