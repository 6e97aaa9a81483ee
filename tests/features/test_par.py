"""Pushed authorization requests: each sentence of RFC 9126 that obliges a server."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from flask_pkce_server.features.par import PushedRequest
from flask_pkce_server.testing import (
    Clock,
    Flow,
    hidden_fields,
    parameters_of,
    register,
    server_of,
)

from ..at_once import at_once
from ..conftest import sign_in
from ..ephemeral import IN_BOTH
from ..host import make_app

PREFIX = "urn:ietf:params:oauth:request_uri:fpk_pr_"


def push(flow: Flow, **changes: str | None) -> TestResponse:
    """Push the request of `flow` as its client."""
    return flow.post("par", flow.request(**changes))


def pushed(flow: Flow, **changes: str | None) -> str:
    """Push it, and return the request_uri."""
    answer = push(flow, **changes)
    assert answer.status_code == 201, answer.text
    return answer.get_json()["request_uri"]


def visit(flow: Flow, uri: str, browser: FlaskClient | None = None, **more: str) -> TestResponse:
    """Visit the authorization endpoint with a reference."""
    query = {"client_id": flow.client.client_id, "request_uri": uri, **more}
    return (browser or flow.browser).get("/oauth/authorize", query_string=query)


def rows(app: Flask) -> list[PushedRequest]:
    with app.app_context(), server_of(app).store.reading() as session:
        return list(session.scalars(select(PushedRequest)))


@pytest.fixture
def flow(app: Flask, client: FlaskClient, pkce_clock: Clock) -> Flow:
    return Flow(client, register(app, auth_method="client_secret_basic"))


# 2.1: the request.


@pytest.mark.parametrize("method", ["none", "client_secret_basic", "client_secret_post"])
def test_a_client_pushes_as_it_asks_for_tokens(
    app: Flask, client: FlaskClient, method: str
) -> None:
    # 2, 2.1: it authenticates as at the token endpoint.
    flow = Flow(client, register(app, auth_method=method))
    page = visit(flow, pushed(flow))
    assert page.status_code == 200
    assert "Notebook" in page.text
    back = parameters_of(flow.decide(page))
    assert (back["state"], back["iss"]) == (flow.state, "https://auth.example")
    assert flow.redeem(back["code"]).status_code == 200


def test_a_client_that_does_not_prove_who_it_is_pushes_nothing(app: Flask, flow: Flow) -> None:
    # 2.3: the errors of RFC 6749 5.2.
    flow.client.client_secret = "fpkcs-wrong"
    answer = push(flow)
    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")
    assert "Basic" in answer.headers["WWW-Authenticate"]
    assert rows(app) == []


def test_a_pushed_request_has_no_request_uri(app: Flask, flow: Flow) -> None:
    # 2.1: "The request_uri authorization request parameter is one exception, and it MUST NOT be
    # provided."
    answer = push(flow, request_uri=PREFIX + "x")
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")
    assert rows(app) == []


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"redirect_uri": "https://elsewhere.example/"}, "invalid_request"),
        ({"scope": "root"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"resource": "https://unknown.example/"}, "invalid_target"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"request": "eyJ"}, "request_not_supported"),
        ({"client_id": "another"}, "invalid_request"),
    ],
)
def test_what_the_authorization_endpoint_would_refuse_is_refused_at_once(
    app: Flask, flow: Flow, changes: dict[str, str | None], error: str
) -> None:
    # 2.1: "The authorization server MUST ... validate the pushed request as it would an
    # authorization request sent to the authorization endpoint."
    answer = push(flow, **changes)
    assert (answer.status_code, answer.get_json()["error"]) == (400, error)
    assert answer.headers["Cache-Control"] == "no-store"
    assert rows(app) == []


def test_it_is_checked_again_when_it_is_used(app: Flask, flow: Flow) -> None:
    # 2.1 lets the server check twice; what is registered may have changed.
    uri = pushed(flow)
    done = app.test_cli_runner().invoke(
        args=[
            "pkce",
            "client",
            "update",
            flow.client.client_id,
            "--redirect-uri",
            "https://b.example/",
        ]
    )
    assert done.exit_code == 0, done.output
    assert visit(flow, uri).status_code == 400


def test_parameters_come_in_the_body_as_a_form(app: Flask, flow: Flow) -> None:
    # 2.1: "using the application/x-www-form-urlencoded format".
    credentials = (flow.client.client_id, flow.client.client_secret or "")
    program = app.test_client(use_cookies=False)
    for answer in (
        program.post("/oauth/par", json=flow.request(), auth=credentials),
        program.post("/oauth/par", query_string=flow.request(), auth=credentials),
    ):
        assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")


def test_no_secret_is_kept(app: Flask, client: FlaskClient) -> None:
    flow = Flow(client, register(app, auth_method="client_secret_post"))
    pushed(flow)
    (row,) = rows(app)
    assert row.parameters == {name: [value] for name, value in flow.request().items()}
    assert flow.client.client_secret not in str(row.parameters)


# 2.2: the answer.


def test_the_answer_is_201_with_a_reference_and_its_life(flow: Flow) -> None:
    answer = push(flow)
    assert answer.status_code == 201
    assert answer.mimetype == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.get_json()
    assert body.keys() == {"request_uri", "expires_in"}
    assert body["expires_in"] == 60
    # 2.2: "containing a cryptographically strong pseudorandom part".
    assert body["request_uri"].startswith(PREFIX)
    assert len(body["request_uri"]) == len(PREFIX) + 49
    assert pushed(flow) != body["request_uri"]


def test_the_life_of_a_reference_is_a_setting(pkce_clock: Clock) -> None:
    app = make_app(PKCE_PAR_LIFETIME=10)
    clock = server_of(app).clock = Clock()
    flow = Flow(sign_in(app), register(app))
    answer = push(flow)
    assert answer.get_json()["expires_in"] == 10
    clock.advance(10)
    assert visit(flow, answer.get_json()["request_uri"]).status_code == 400


# 2.3: errors.


def test_another_method_is_a_405(app: Flask) -> None:
    answer = app.test_client().get("/oauth/par")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST, OPTIONS")


def test_a_request_that_is_too_large_is_a_413(app: Flask, flow: Flow) -> None:
    long = {"login_hint": "x" * 8000, "display": "y" * 8000, "nonce": "z" * 1000}
    answer = push(flow, **long)
    assert (answer.status_code, answer.get_json()["error"]) == (413, "invalid_request")
    assert rows(app) == []


def test_it_may_be_longer_than_any_url(flow: Flow) -> None:
    uri = pushed(flow, login_hint="x" * 8000)
    visitor = flow.browser.application.test_client()
    sent = visit(flow, uri, visitor)
    assert "/oauth/authorize?r=" in sent.headers["Location"]
    assert len(sent.headers["Set-Cookie"]) < 600


@IN_BOTH
def test_too_many_of_one_address_are_a_429(app: Flask, client: FlaskClient) -> None:
    # 2.3; and no table grows by what strangers send.
    public, known = Flow(client, register(app)), register(app, auth_method="client_secret_basic")
    for _ in range(100):
        pushed(public)
    answer = push(public)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert len(rows(app)) == 100
    assert push(Flow(client, known)).status_code == 201


# 4: the authorization request.


def test_a_reference_is_good_for_its_client_alone(app: Flask, flow: Flow) -> None:
    # 2.2: "The authorization server MUST bind the request_uri to the client that posted it."
    other = Flow(flow.browser, register(app, name="Other"))
    answer = visit(other, pushed(flow))
    assert answer.status_code == 400
    assert "invalid_request_uri" in answer.text


def test_what_the_browser_carries_besides_counts_for_nothing(flow: Flow) -> None:
    uri = pushed(flow, scope="profile")
    page = visit(flow, uri, scope="profile notes:write", state="forged", redirect_uri="https://x/")
    assert "Write notes" not in page.text
    back = parameters_of(flow.decide(page))
    assert back["state"] == flow.state
    assert flow.redeem(back["code"]).get_json()["scope"] == "profile"


def test_a_reference_is_used_up_by_the_code_and_not_by_a_look(flow: Flow) -> None:
    # 4: one-time use, "but MAY allow for duplicate requests due to a user reloading".
    uri = pushed(flow)
    assert visit(flow, uri).status_code == 200
    page = visit(flow, uri)
    assert page.status_code == 200
    assert "code" in parameters_of(flow.decide(page))
    answer = visit(flow, uri)
    assert answer.status_code == 400
    assert "invalid_request_uri" in answer.text
    # The page that was open in another tab gives nothing either.
    assert flow.decide(page).status_code == 400


def test_a_remembered_consent_uses_it_up_too(flow: Flow) -> None:
    flow.allow()
    uri = pushed(flow)
    assert "code" in parameters_of(visit(flow, uri))
    assert visit(flow, uri).status_code == 400


def test_of_many_codes_at_once_one_is_issued(tmp_path) -> None:
    app = make_app(SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/app.db", PKCE_SQLITE_PRAGMAS=True)
    known = register(app)
    flow = Flow(sign_in(app), known)
    flow.allow()
    uri = pushed(flow)
    browsers = [sign_in(app) for _ in range(4)]
    answers = at_once(*[lambda one=one: visit(flow, uri, one) for one in browsers])
    back = [parameters_of(answer) for answer in answers if answer.status_code == 302]
    assert len([one for one in back if "code" in one]) == 1
    with app.app_context():
        app.db.engine.dispose()


def test_an_expired_reference_is_refused(flow: Flow, pkce_clock: Clock) -> None:
    # 4: "An expired request_uri MUST be rejected as invalid."
    uri = pushed(flow)
    pkce_clock.advance(60)
    answer = visit(flow, uri)
    assert answer.status_code == 400
    assert "invalid_request_uri" in answer.text


def test_a_user_who_signs_in_first_may_take_their_time(
    app: Flask, flow: Flow, pkce_clock: Clock
) -> None:
    uri, browser = pushed(flow), app.test_client()
    aside = visit(flow, uri, browser).headers["Location"]
    login = browser.get(aside).headers["Location"]
    pkce_clock.advance(600)
    back = browser.post(login, data={"username": "ada"}).headers["Location"]
    page = browser.get(back)
    assert page.status_code == 200
    pkce_clock.advance(600)
    form = {**hidden_fields(page.text), "decision": "allow"}
    assert "code" in parameters_of(browser.post("/oauth/authorize", data=form))
    # But nobody comes with it anew.
    assert visit(flow, uri, browser).status_code == 400


def test_it_survives_that_the_user_has_to_sign_in_again(flow: Flow) -> None:
    aside = visit(flow, pushed(flow, prompt="login")).headers["Location"]
    login = flow.browser.get(aside).headers["Location"]
    back = flow.browser.post(login, data={"username": "ada"}).headers["Location"]
    assert "code" in parameters_of(flow.decide(flow.browser.get(back)))


def test_a_posted_request_may_carry_a_reference(flow: Flow) -> None:
    form = {"client_id": flow.client.client_id, "request_uri": pushed(flow)}
    answer = flow.browser.post("/oauth/authorize", data=form)
    assert flow.browser.get(answer.headers["Location"]).status_code == 200


def test_the_user_may_say_no(flow: Flow) -> None:
    page = visit(flow, pushed(flow))
    assert parameters_of(flow.decide(page, "deny"))["error"] == "access_denied"


@pytest.mark.parametrize(
    "uri",
    [
        PREFIX + "x" * 49,
        "urn:ietf:params:oauth:request_uri:",
        "urn:ietf:params:oauth:request_uri:fpk_at_" + "x" * 49,
        "urn:ietf:params:oauth:request_uri:\x00",
    ],
)
def test_what_was_never_given_is_refused(flow: Flow, uri: str) -> None:
    answer = visit(flow, uri)
    assert answer.status_code == 400
    assert "Location" not in answer.headers


def test_a_reference_to_somewhere_else_is_never_fetched(flow: Flow) -> None:
    answer = flow.authorize(request_uri="https://evil.example/request.jwt")
    assert parameters_of(answer)["error"] == "request_uri_not_supported"


def test_two_references_are_refused(flow: Flow) -> None:
    one, other = pushed(flow), pushed(flow)
    query = [("client_id", flow.client.client_id), ("request_uri", one), ("request_uri", other)]
    assert flow.browser.get("/oauth/authorize", query_string=query).status_code == 400


def test_a_reference_is_nothing_at_other_endpoints(flow: Flow) -> None:
    answer = flow.post("token", {"grant_type": "refresh_token", "request_uri": pushed(flow)})
    assert answer.get_json()["error"] == "invalid_request"


# 5, 6: where it is required.


def required_by_server() -> tuple[Flask, dict[str, Any]]:
    return make_app(PKCE_PAR_REQUIRED=True), {}


def required_by_client() -> tuple[Flask, dict[str, Any]]:
    return make_app(), {"client_metadata": {"require_pushed_authorization_requests": True}}


@pytest.fixture(params=[required_by_server, required_by_client])
def strict(request: pytest.FixtureRequest) -> Flow:
    app, more = request.param()
    return Flow(sign_in(app), register(app, **more))


def test_a_request_that_was_not_pushed_is_refused_where_that_is_required(strict: Flow) -> None:
    answer = parameters_of(strict.authorize())
    assert (answer["error"], answer["state"]) == ("invalid_request", strict.state)
    assert "pushed" in answer["error_description"]
    page = visit(strict, pushed(strict))
    assert "code" in parameters_of(strict.decide(page))


def test_and_the_way_to_the_login_page_does_not_lead_around_it(strict: Flow) -> None:
    visitor = strict.browser.application.test_client()
    uri = pushed(strict)
    aside = visit(strict, uri, visitor).headers["Location"]
    login = visitor.get(aside).headers["Location"]
    back = visitor.post(login, data={"username": "ada"}).headers["Location"]
    assert visitor.get(back).status_code == 200


@pytest.mark.parametrize("required", [False, True])
def test_the_metadata_says_where_and_whether(required: bool) -> None:
    # 5
    document = make_app(PKCE_PAR_REQUIRED=required).extensions["pkce"].metadata()
    assert document["pushed_authorization_request_endpoint"] == "https://auth.example/oauth/par"
    assert document["require_pushed_authorization_requests"] is required


def test_a_client_registers_that_it_always_pushes() -> None:
    # 6
    app = make_app(PKCE_FEATURES={"registration": True})
    member = "require_pushed_authorization_requests"
    what = {"redirect_uris": ["https://new.example/cb"], "client_name": "New"}
    program = app.test_client(use_cookies=False)
    made = program.post("/oauth/register", json={**what, member: True})
    assert made.status_code == 201
    assert made.get_json()[member] is True
    refused = program.post("/oauth/register", json={**what, member: "yes"})
    assert refused.get_json()["error"] == "invalid_client_metadata"


def test_the_operator_registers_it(app: Flask) -> None:
    done = app.test_cli_runner().invoke(
        args=[
            *("pkce", "client", "create", "--name", "X", "--type", "public"),
            *("--redirect-uri", "https://x.example/", "--json"),
            "--require-pushed-authorization-requests",
        ]
    )
    assert '"require_pushed_authorization_requests": true' in done.output


# Besides.


def test_pages_of_the_client_may_push(app: Flask, client: FlaskClient) -> None:
    flow = Flow(client, register(app))
    program = app.test_client(use_cookies=False)
    for origin, allowed in (("https://client.example", True), ("https://evil.example", False)):
        answer = program.post("/oauth/par", data=flow.request(), headers={"Origin": origin})
        assert (answer.headers.get("Access-Control-Allow-Origin") == origin) is allowed


def test_prune_deletes_what_nobody_brings_any_more(
    app: Flask, flow: Flow, pkce_clock: Clock
) -> None:
    pushed(flow)
    for seconds, left in ((60, 1), (3599, 1), (1, 0)):
        pkce_clock.advance(seconds)
        app.test_cli_runner().invoke(args=["pkce", "prune"])
        assert len(rows(app)) == left


def test_a_client_that_is_deleted_takes_its_requests_along(app: Flask, flow: Flow) -> None:
    pushed(flow)
    app.test_cli_runner().invoke(args=["pkce", "client", "delete", flow.client.client_id])
    assert rows(app) == []


def test_switched_off_there_is_no_such_endpoint() -> None:
    app = make_app(PKCE_FEATURES={"par": False})
    assert app.test_client().post("/oauth/par").status_code == 404
    assert not [name for name in app.extensions["pkce"].metadata() if "pushed" in name]
    flow = Flow(sign_in(app), register(app))
    answer = parameters_of(flow.authorize(request_uri=PREFIX + "x" * 49))
    assert answer["error"] == "request_uri_not_supported"
