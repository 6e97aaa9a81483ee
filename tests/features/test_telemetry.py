"""Telemetry: what operators see of the server, through OpenTelemetry."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from flask_pkce_server import Feature
from flask_pkce_server.features.token import token as token_view
from flask_pkce_server.testing import Clock, Flow, new_verifier, register, server_of
from flask_pkce_server.wire.fetch import Fetcher, FetchError

from ..client_documents import URL, WEB, Web, flow_of
from ..host import lending, make_app, sign_in
from ..telemetry import Recording, recording
from ..website import Website

ROOT = Path(__file__).parents[2]
SWITCHED_ON = {"PKCE_FEATURES": {"telemetry": True}}
ENDPOINT, GRANT_TYPE, CLIENT = "pkce.endpoint", "pkce.grant_type", "pkce.client"
ERROR, STATUS = "error.type", "http.response.status_code"


@pytest.fixture
def app() -> Iterator[Flask]:
    with lending.app(make_app, **SWITCHED_ON) as app:
        yield app


@pytest.fixture
def flow(app: Flask, client: FlaskClient) -> Flow:
    # It may look at its own tokens.
    secret = register(app, auth_method="client_secret_basic", skip_consent=True)
    return Flow(client, secret, scope="openid profile offline_access")


@pytest.fixture
def recorded(app: Flask, flow: Flow) -> Recording:
    found = recording()
    found.empty()
    return found


def test_each_request_is_a_span_with_its_endpoint_and_grant_type(
    flow: Flow, recorded: Recording
) -> None:
    flow.refresh(flow.tokens()["refresh_token"])
    known = {CLIENT: flow.client.client_id}
    code, refresh = {GRANT_TYPE: "authorization_code"}, {GRANT_TYPE: "refresh_token"}
    assert recorded.told() == [
        ("pkce.authorize", {ENDPOINT: "authorize", STATUS: 302, **known}),
        ("pkce.token", {ENDPOINT: "token", STATUS: 200, **code, **known}),
        ("pkce.token", {ENDPOINT: "token", STATUS: 200, **refresh, **known}),
    ]
    assert {span.status.status_code for span in recorded.spans} == {StatusCode.UNSET}


def test_a_span_tells_why_a_request_was_refused(flow: Flow, recorded: Recording) -> None:
    flow.authorize(scope="nonsense")  # sent back to the client
    flow.authorize(client_id="nobody")  # shown to the user
    flow.redeem("fpk_ac_nonsense")
    flow.post("introspect", {})
    flow.browser.get("/oauth/userinfo", headers={"Authorization": "Bearer nonsense"})
    flow.browser.get("/oauth/token")
    stranger = Flow(flow.browser, dataclasses.replace(flow.client, client_secret="wrong"))
    stranger.post("introspect", {"token": "fpk_at_nonsense"})
    assert [(told[ENDPOINT], told[STATUS], told[ERROR]) for _, told in recorded.told()] == [
        ("authorize", 302, "invalid_scope"),
        ("authorize", 400, "invalid_client"),
        ("token", 400, "invalid_grant"),
        ("introspect", 400, "invalid_request"),
        ("userinfo", 401, "invalid_token"),
        ("token", 405, "invalid_request"),
        ("introspect", 401, "invalid_client"),
    ]


def test_introspection_names_the_client_that_asks(app: Flask, flow: Flow, recorded) -> None:
    token = flow.tokens()["access_token"]
    api = register(
        app,
        auth_method="client_secret_basic",
        redirect_uris=(),
        grant_types=[],
        client_metadata={"resource_server": True},
    )
    assert Flow(flow.browser, api).post("introspect", {"token": token}).get_json()["active"]
    assert recorded.told()[-1] == (
        "pkce.introspect",
        {ENDPOINT: "introspect", STATUS: 200, CLIENT: api.client_id},
    )


def test_no_attribute_tells_a_secret_or_a_person(app: Flask, flow: Flow, recorded) -> None:
    code = flow.allow(nonce="n0nce", login_hint="ada@example.com")["code"]
    first = flow.redeem(code).get_json()
    second = flow.refresh(first["refresh_token"]).get_json()
    header = {"Authorization": f"Bearer {second['access_token']}"}
    flow.browser.get("/oauth/userinfo", headers=header)
    flow.post("introspect", {"token": second["access_token"]})
    flow.redeem(code, grant_type="made-up-by-a-stranger")
    flow.refresh(flow.refresh(second["refresh_token"]).get_json()["refresh_token"])
    flow.refresh(first["refresh_token"])
    flow.redeem(code)
    flow.post("revoke", {"token": second["refresh_token"]})
    flow.browser.get("/oauth/userinfo", headers=header)
    flow.browser.get("/oauth/logout", query_string={"id_token_hint": first["id_token"]})
    flow.authorize(client_id="made-up-by-a-stranger", state="a-state")
    values = {
        str(value)
        for attributes in [
            *(span.attributes or {} for span in recorded.spans),
            *(told for points in recorded.points().values() for told, _ in points),
        ]
        for value in attributes.values()
    }
    assert values == {
        *("authorize", "token", "userinfo", "introspect", "revoke", "logout"),
        *("200", "302", "400", "401"),
        *("authorization_code", "refresh_token", "other"),
        *("invalid_grant", "invalid_client", "invalid_token", "unsupported_grant_type"),
        *("code_replayed", "token_reuse_detected"),
        flow.client.client_id,
    }
    for span in recorded.spans:
        assert not span.events
        assert not span.links
        assert span.status.description is None


def test_tokens_are_counted_by_grant_type_and_refusals_by_error(
    flow: Flow, recorded: Recording
) -> None:
    flow.refresh(flow.tokens()["refresh_token"])
    for _ in range(2):
        flow.redeem("fpk_ac_nonsense")
    points = recorded.points()
    token = {ENDPOINT: "token", CLIENT: flow.client.client_id}
    code, refresh = {GRANT_TYPE: "authorization_code"}, {GRANT_TYPE: "refresh_token"}
    assert points["pkce.tokens.issued"] == [({**token, **code}, 1), ({**token, **refresh}, 1)]
    assert points["pkce.requests.refused"] == [({**token, **code, ERROR: "invalid_grant"}, 2)]
    # The duration is not told by client.
    assert points["pkce.endpoint.duration"] == [
        ({ENDPOINT: "authorize"}, 1),
        ({ENDPOINT: "token", **code}, 1),
        ({ENDPOINT: "token", **refresh}, 1),
        ({ENDPOINT: "token", **code, ERROR: "invalid_grant"}, 2),
    ]


def test_what_two_parties_have_is_counted(flow: Flow, recorded: Recording) -> None:
    flow.redeem(flow.allow()["code"], code_verifier=new_verifier())
    code = flow.allow()["code"]
    spent = flow.redeem(code).get_json()["refresh_token"]
    flow.redeem(code)
    spent = flow.tokens()["refresh_token"]
    flow.refresh(flow.refresh(spent).get_json()["refresh_token"])
    flow.refresh(spent)
    known = {CLIENT: flow.client.client_id}
    assert recorded.points()["pkce.misuse.detected"] == [
        ({"pkce.signal": "verifier_mismatched", **known}, 1),
        ({"pkce.signal": "code_replayed", **known}, 1),
        ({"pkce.signal": "token_reuse_detected", **known}, 1),
    ]


def test_the_words_of_a_dialect_are_told_as_those_of_the_rfcs() -> None:
    app = make_app(**SWITCHED_ON, PKCE_DIALECTS=["auth0"])
    recorded = recording()
    recorded.empty()
    as_auth0 = {"Auth0-Client": "e30="}
    body = {"grant_type": "refresh_token"}
    app.test_client().post("/oauth/token", json=body, headers=as_auth0)
    assert recorded.told()[-1][1][GRANT_TYPE] == "refresh_token"


def test_clients_that_anybody_can_make_share_a_label(app: Flask, client: FlaskClient) -> None:
    recorded = recording()
    recorded.empty()
    for verified in (False, True):
        metadata = {"verified": True} if verified else {}
        own = register(app, self_registered=True, client_metadata=metadata)
        Flow(client, own).redeem("nonsense")
    described = make_app(PKCE_FEATURES={"telemetry": True, "client_id_metadata": True})
    server_of(described).fetcher = Web(WEB)
    flow_of(described).authorize()
    assert [told[CLIENT] for _, told in recorded.told()] == [
        "self-registered",
        "self-registered",
        "described",
    ]
    assert URL not in str(recorded.points())


def test_the_span_of_the_host_is_the_parent(app: Flask, flow: Flow, recorded: Recording) -> None:
    inner = app.wsgi_app

    def traced(environ: Any, start_response: Any) -> Any:
        with trace.get_tracer("host").start_as_current_span("request", kind=SpanKind.SERVER):
            return inner(environ, start_response)

    flow.post("introspect", {})
    app.wsgi_app = traced  # type: ignore[method-assign]
    flow.post("introspect", {})
    alone, ours, hosts = recorded.spans
    assert (alone.kind, alone.parent) == (SpanKind.SERVER, None)
    assert (ours.name, ours.kind, hosts.name) == ("pkce.introspect", SpanKind.INTERNAL, "request")
    assert ours.parent is not None
    assert ours.parent.span_id == hosts.context.span_id


class Asking(Feature):
    """Asks whether the host's own spans become children of ours, and then fails."""

    name = "asking"

    def check_token_request(self, server, request) -> None:
        with trace.get_tracer("host").start_as_current_span("asking"):
            pass
        raise RuntimeError("the password of the database")


def test_an_error_of_the_server_is_a_failed_span_without_its_text() -> None:
    app = make_app(features=(Asking(),), TESTING=False, PROPAGATE_EXCEPTIONS=False, **SWITCHED_ON)
    flow = Flow(sign_in(app), register(app, skip_consent=True))
    code = flow.allow()["code"]
    recorded = recording()
    recorded.empty()
    assert flow.redeem(code).status_code == 500
    inner, ours = recorded.spans
    assert inner.parent is not None
    assert inner.parent.span_id == ours.context.span_id
    assert (ours.attributes or {})[ERROR] == "server_error"
    assert ours.status.status_code is StatusCode.ERROR
    assert "password" not in ours.to_json()


def test_a_preflight_is_not_measured(app: Flask, recorded: Recording) -> None:
    app.test_client().options("/oauth/token", headers={"Origin": "https://client.example"})
    assert recorded.spans == []


def test_prune_is_counted_and_its_lag_measured(
    app: Flask, flow: Flow, recorded: Recording, pkce_clock: Clock
) -> None:
    flow.tokens()
    assert ({}, 0) in recorded.points()["pkce.prune.lag"]
    lifetime = server_of(app).settings.access_token_lifetime
    pkce_clock.advance(lifetime + 7200)
    assert recorded.points()["pkce.prune.lag"] == [({}, 7200)]
    app.test_cli_runner().invoke(args=["pkce", "prune"])
    points = recorded.points()
    assert points["pkce.prune.lag"] == [({}, 0)]
    assert ({"pkce.feature": "token"}, 1) in points["pkce.rows.pruned"]


def test_a_database_that_fails_has_no_lag() -> None:
    from flask_pkce_server.features.telemetry import pruning

    app = make_app(init=False, **SWITCHED_ON)
    app.pkce.init_app(app)  # without tables
    assert pruning._lag_of(server_of(app)) is None


def test_fetches_are_timed(app: Flask, recorded: Recording, tmp_path: Path) -> None:
    website = Website(tmp_path)
    server = server_of(app)
    server.fetcher = dataclasses.replace(server.fetcher, **vars(website.fetcher()))
    try:
        assert server.fetcher.get_json("https://keys.example/jwks") == {"keys": []}
        with pytest.raises(FetchError):
            server.fetcher.get_document("https://127.0.0.1/jwks")
    finally:
        website.close()
    assert recorded.points()["pkce.fetch.duration"] == [({}, 1), ({ERROR: "failed"}, 1)]


def calls_of_telemetry(flow: Flow) -> Counter[str]:
    """Return how often a token request calls functions of this feature or of OpenTelemetry."""
    code, calls = flow.allow()["code"], Counter[str]()

    def count(frame: Any, event: str, argument: Any) -> None:
        file = frame.f_code.co_filename
        if event == "call":
            calls["all"] += 1
            calls["telemetry"] += "telemetry" in file.removeprefix(str(ROOT / "tests"))

    sys.setprofile(count)
    try:
        assert flow.redeem(code).status_code == 200
    finally:
        sys.setprofile(None)
    return calls


def test_without_it_no_view_is_wrapped_and_nothing_of_it_is_called(flow: Flow) -> None:
    plain = make_app()
    for app, wrappers in ((plain, 1), (flow.browser.application, 2)):
        view, found = app.view_functions["pkce.token"], 0
        while view is not token_view:
            view, found = view.__wrapped__, found + 1  # type: ignore[attr-defined]
        assert found == wrappers
    assert type(server_of(plain).fetcher) is Fetcher
    without = calls_of_telemetry(Flow(sign_in(plain), register(plain, skip_consent=True)))
    assert (without["telemetry"], without["all"] > 500) == (0, True)
    assert calls_of_telemetry(flow)["telemetry"] > 5


@pytest.mark.programs
@pytest.mark.parametrize(
    ("program", "printed"),
    [
        (
            """
            make_app()
            print("opentelemetry" in sys.modules)
            """,
            "False",
        ),
        (
            """
            sys.modules["opentelemetry"] = None
            try:
                make_app(PKCE_FEATURES={"telemetry": True})
            except ConfigurationError as error:
                print(error)
            """,
            "The feature telemetry needs OpenTelemetry, which is not installed.\n"
            '    Write: pip install "Flask-PKCE-Server[otel]"',
        ),
        (
            """
            sys.modules["opentelemetry.sdk"] = None
            app = make_app(PKCE_FEATURES={"telemetry": True})
            print(app.test_client().post("/oauth/token").get_json()["error"])
            """,
            "invalid_request",
        ),
    ],
    ids=["off", "without the API", "without the SDK"],
)
def test_nothing_of_opentelemetry_is_needed_where_it_is_not_wanted(
    program: str, printed: str
) -> None:
    start = "import sys\nfrom tests.host import make_app\n"
    start += "from flask_pkce_server import ConfigurationError\n"
    done = subprocess.run(
        [sys.executable, "-c", start + textwrap.dedent(program)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.stdout.strip(), done.stderr) == (printed, "")
