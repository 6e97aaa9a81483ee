"""The client_credentials feature: RFC 6749 4.4, and what such a token must never be taken for."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from flask_pkce_server import ConfigurationError, Feature, current_token, token_issued, token_used
from flask_pkce_server.errors import InvalidRequestError
from flask_pkce_server.models.consent import ScopeUse
from flask_pkce_server.models.token import Token
from flask_pkce_server.protocol.token_response import TokenResponse
from flask_pkce_server.testing import Clock, Flow, RegisteredClient, register, server_of

from ..host import lending, make_app, sign_in
from ..openid import read

MACHINE = ["client_credentials"]


def machine_app(**config: Any) -> Flask:
    """Make the host app, with a view that says who calls."""
    app = make_app(PKCE_CLIENT_CREDENTIALS_SCOPES=["notes:read", "profile"], **config)

    @app.get("/api/who")
    @app.pkce.require()
    def who() -> dict[str, Any]:
        return {
            "user": None if current_token.user is None else current_token.user.name,
            "subject": current_token.subject,
            "client_id": current_token.client_id,
            "is_machine": current_token.is_machine,
            "scopes": sorted(current_token.scopes),
        }

    return app


@pytest.fixture
def app() -> Iterator[Flask]:
    with lending.app(machine_app) as app:
        yield app


def machine(app: Flask, **more: Any) -> Flow:
    """Return a machine; Ada's browser is at hand, and it has no use for it."""
    what = {"auth_method": "client_secret_basic", "redirect_uris": (), "grant_types": MACHINE}
    return Flow(sign_in(app), register(app, **{**what, **more}))


@pytest.fixture
def flow(app: Flask) -> Flow:
    return machine(app)


def ask(flow: Flow, scope: str | None = "notes:read", **more: str) -> TestResponse:
    return flow.post("token", {"grant_type": "client_credentials", "scope": scope, **more})


def call(app: Flask, token: str, path: str = "/api/who") -> TestResponse:
    headers = {"Authorization": f"Bearer {token}"}
    return app.test_client(use_cookies=False).get(path, headers=headers)


def outcome(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.get_json()["error"]


def stored(app: Flask) -> list[Token]:
    with app.app_context(), server_of(app).store.reading() as session:
        return list(session.scalars(select(Token)))


# What a machine is given.


def test_a_machine_gets_an_access_token_and_nothing_else(app: Flask, flow: Flow) -> None:
    # RFC 6749 4.4.3: no refresh token.
    answer = ask(flow)
    assert answer.status_code == 200
    body = answer.get_json()
    token = body.pop("access_token")
    assert body == {"token_type": "Bearer", "expires_in": 3600, "scope": "notes:read"}
    assert answer.headers["Cache-Control"] == "no-store"
    assert call(app, token, "/api/notes").get_json() == ["milk"]
    assert [(row.kind, row.client_id) for row in stored(app)] == [("access", flow.client.client_id)]


@pytest.mark.parametrize("issue", ["offline_access", "always"])
def test_no_refresh_token_however_the_client_is_registered(issue: str) -> None:
    # RFC 6749 4.4.3
    app = machine_app(PKCE_REFRESH_TOKEN_WHEN=issue)
    body = ask(machine(app, grant_types=[*MACHINE, "refresh_token"])).get_json()
    assert "refresh_token" not in body
    assert [row.kind for row in stored(app)] == ["access"]


def test_the_host_is_told(app: Flask, flow: Flow) -> None:
    told = []
    token_issued.connect(lambda app, **facts: told.append(facts), weak=False)
    ask(flow)
    (facts,) = told[-1:]
    assert facts.pop("grant_id")
    assert facts == {
        "client_id": flow.client.client_id,
        "subject": "",
        "scopes": frozenset({"notes:read"}),
    }


def test_a_machine_gives_its_token_back(app: Flask, flow: Flow) -> None:
    token = ask(flow).get_json()["access_token"]
    assert flow.revoke(token).status_code == 200
    assert call(app, token).status_code == 401


def test_it_expires_and_is_pruned(app: Flask, flow: Flow, pkce_clock: Clock) -> None:
    token = ask(flow).get_json()["access_token"]
    pkce_clock.advance(3600)
    assert call(app, token).status_code == 401
    app.test_cli_runner().invoke(args=["pkce", "prune"])
    assert stored(app) == []


class Generous(Feature):
    """A feature of a host that gives everybody an ID token."""

    name = "generous"

    def complete_token_response(self, server: Any, response: TokenResponse) -> None:
        response.body["id_token"] = "of whom?"


def test_no_feature_gives_it_more() -> None:
    # The check is in the grant too.
    app = make_app(features=(Generous(),))
    flow = machine(app)
    with pytest.raises(AssertionError, match="more than an access token"):
        ask(flow, None)
    assert stored(app) == []


# Which scopes.


def test_without_a_scope_the_token_only_says_who_calls(app: Flask, flow: Flow) -> None:
    body = ask(flow, None).get_json()
    assert body["scope"] == ""
    assert call(app, body["access_token"]).get_json()["scopes"] == []
    assert call(app, body["access_token"], "/api/notes").status_code == 403


def test_what_is_taken_to_be_asked_for_is_cut_to_what_machines_may_have() -> None:
    app = machine_app(PKCE_AUTHORIZE_DEFAULT_SCOPES=["openid", "notes:read", "notes:write"])
    assert ask(machine(app), None).get_json()["scope"] == "notes:read"


@pytest.mark.parametrize(
    "scope", ["openid", "offline_access", "notes:write", "email", "unheard-of", "notes:read openid"]
)
def test_what_users_grant_no_machine_gets(flow: Flow, scope: str) -> None:
    assert outcome(ask(flow, scope)) == (400, "invalid_scope")


def test_what_is_dropped_elsewhere_is_dropped_here() -> None:
    app = machine_app(PKCE_AUTHORIZE_UNKNOWN_SCOPES="drop")
    body = ask(machine(app), "notes:read openid offline_access unheard-of").get_json()
    assert body["scope"] == "notes:read"
    assert not body.keys() & {"id_token", "refresh_token"}


def test_a_client_gets_no_more_than_it_is_registered_for(app: Flask) -> None:
    narrow = machine(app, scope=["profile", "notes:write"])
    assert ask(narrow, "profile").status_code == 200
    assert outcome(ask(narrow, "notes:read")) == (400, "invalid_scope")
    assert outcome(ask(narrow, "notes:write")) == (400, "invalid_scope")


def test_where_the_operator_names_none_there_are_none() -> None:
    app = make_app()
    flow = machine(app)
    assert outcome(ask(flow, "notes:read")) == (400, "invalid_scope")
    assert ask(flow, None).get_json()["scope"] == ""


@pytest.mark.parametrize("scope", ["openid", "offline_access", "unheard-of"])
def test_what_no_machine_can_have_is_refused_at_start(scope: str) -> None:
    with pytest.raises(ConfigurationError, match="which no machine can have") as refused:
        make_app(PKCE_CLIENT_CREDENTIALS_SCOPES=[scope])
    assert "notes:read" in str(refused.value)


# Which clients.


def test_a_public_client_is_not_registered_for_it(app: Flask) -> None:
    # RFC 6749 4.4: MUST only be used by confidential clients.
    with pytest.raises(InvalidRequestError, match="public client"):
        machine(app, auth_method="none")


def test_a_public_client_gets_nothing_however_it_came_to_be_registered(
    app: Flask, flow: Flow
) -> None:
    # RFC 6749 4.4, once more where the token would be made.
    from flask_pkce_server.models.client import Client

    with app.app_context():
        server_of(app).store.write(
            lambda session: setattr(
                session.get_one(Client, flow.client.client_id), "token_endpoint_auth_method", "none"
            )
        )
    flow.client = RegisteredClient(flow.client.client_id, None, "", "none")
    assert outcome(ask(flow)) == (400, "unauthorized_client")


def test_a_client_has_to_be_registered_for_it(app: Flask) -> None:
    usual = machine(app, grant_types=["authorization_code"], redirect_uris=("https://c.example/",))
    assert outcome(ask(usual)) == (400, "unauthorized_client")


def test_it_has_to_prove_who_it_is(app: Flask, flow: Flow) -> None:
    client_id = flow.client.client_id
    for form in ({}, {"client_secret": "x" * 48}):
        answer = app.test_client().post(
            "/oauth/token",
            data={"grant_type": "client_credentials", "client_id": client_id, **form},
        )
        assert outcome(answer) == (401, "invalid_client")
    flow.client = RegisteredClient(client_id, "wrong" * 10, "", "client_secret_basic")
    assert outcome(ask(flow)) == (401, "invalid_client")


def test_a_machine_cannot_send_anybody_through_the_browser(flow: Flow) -> None:
    # RFC 9700 4.11: it has no redirect URI, and none is believed.
    answer = flow.browser.get(
        "/oauth/authorize", query_string=flow.request(redirect_uri="https://evil.example/")
    )
    assert answer.status_code == 400
    assert "Location" not in answer.headers


@pytest.mark.parametrize("scope", ['no"tes', "notes:read\x00", "\u00e9", "a" * 9000, "\\"])
def test_hostile_scopes_are_refused(flow: Flow, scope: str) -> None:
    answer = ask(flow, scope)
    assert answer.status_code == 400
    assert answer.get_json()["error_description"].isascii()


# What it must never be taken for.


@pytest.fixture(params=[{}, {"PKCE_ACCESS_TOKEN_FORMAT": "jwt"}, "unchecked"])
def impostor(request: pytest.FixtureRequest) -> Flow:
    """A machine whose client_id is Ada's subject, with opaque tokens and with JWTs."""
    config = request.param
    if config == "unchecked":
        config = {
            "PKCE_ACCESS_TOKEN_FORMAT": "jwt",
            "PKCE_JWT_ACCESS_TOKEN_CHECK_REVOCATION": False,
        }
    app = machine_app(PKCE_CONNECTED_APPS_NOTE_USE=True, **config)
    return machine(app, client_id="1")


def test_a_machine_named_like_a_user_is_not_that_user(impostor: Flow) -> None:
    # RFC 9068 5: no confusion of a client with a resource owner.
    app = impostor.browser.application
    token = ask(impostor, "profile").get_json()["access_token"]
    assert call(app, token).get_json() == {
        "user": None,
        "subject": "",
        "client_id": "1",
        "is_machine": True,
        "scopes": ["profile"],
    }


def test_userinfo_knows_nobody_by_its_token(impostor: Flow) -> None:
    # OIDC Core 5.3.1: with a token that openid was granted to.
    app = impostor.browser.application
    token = ask(impostor, "profile").get_json()["access_token"]
    assert call(app, token, "/oauth/userinfo").status_code == 403
    with app.app_context():
        server_of(app).store.write(
            lambda session: setattr(
                session.scalars(select(Token)).one(),
                "issued_scope",
                frozenset({"openid", "profile"}),
            )
        )
    # Not even if it had that scope; a JWT has what is signed.
    assert call(app, token, "/oauth/userinfo").status_code in (401, 403)


def test_introspection_names_no_user(impostor: Flow) -> None:
    # RFC 7662 2.2: sub is usually the resource owner; there is none.
    app = impostor.browser.application
    token = ask(impostor, "notes:read").get_json()["access_token"]
    told = impostor.post("introspect", {"token": token}).get_json()
    assert told["active"] is True
    assert told["client_id"] == "1"
    assert not told.keys() & {"sub", "username"}
    api = Flow(
        impostor.browser,
        register(app, auth_method="client_secret_basic", client_metadata={"resource_server": True}),
    )
    assert "sub" not in api.post("introspect", {"token": token}).get_json()


def test_the_user_of_that_name_sees_and_removes_nothing_of_it(impostor: Flow) -> None:
    app = impostor.browser.application
    token = ask(impostor, "notes:read").get_json()["access_token"]
    used = []
    token_used.connect(lambda app, **facts: used.append(facts), weak=False)
    assert call(app, token, "/api/notes").status_code == 200
    assert used[-1]["subject"] == ""
    page = impostor.browser.get("/oauth/apps").text
    assert "No app has access to your account." in page
    other = Flow(sign_in(app), register(app, client_id="other"), scope="profile")
    other.tokens()
    page = other.browser.get("/oauth/apps").text
    form = {"csrf_token": re.search(r'name="csrf_token" value="([^"]+)"', page)[1]}
    for what in ({"remove": "app", "client_id": "1"}, {"remove": "all"}):
        other.browser.post("/oauth/apps", data={**form, **what})
    assert call(app, token).status_code == 200
    with app.app_context(), server_of(app).store.reading() as session:
        # Nobody used anything for a user.
        assert list(session.scalars(select(ScopeUse).where(ScopeUse.client_id == "1"))) == []


def test_a_user_who_let_in_the_app_of_their_own_name_is_a_user() -> None:
    app = machine_app(PKCE_ACCESS_TOKEN_FORMAT="jwt", PKCE_JWT_ACCESS_TOKEN_CHECK_REVOCATION=False)
    flow = Flow(sign_in(app), register(app, client_id="1"), scope="profile")
    told = call(app, flow.tokens()["access_token"]).get_json()
    assert (told["user"], told["subject"], told["is_machine"]) == ("Ada Lovelace", "1", False)


def test_a_jwt_has_the_client_for_its_subject_and_says_so() -> None:
    # RFC 9068 2.2: sub is the client; which of both it is, must be seen (RFC 9068 5).
    app = machine_app(PKCE_ACCESS_TOKEN_FORMAT="jwt")
    flow = machine(app)
    claims = read(app, ask(flow).get_json()["access_token"])
    assert claims["sub"] == claims["client_id"] == flow.client.client_id
    assert claims["grant_type"] == "client_credentials"
    user = Flow(sign_in(app), register(app), scope="notes:read").tokens()["access_token"]
    assert "grant_type" not in read(app, user)


def test_an_api_elsewhere_gets_a_jwt_for_itself() -> None:
    app = machine_app(PKCE_JWT_ACCESS_TOKEN_RESOURCES={"https://api.example": ["notes:read"]})
    claims = read(app, ask(machine(app)).get_json()["access_token"])
    assert claims["aud"] == "https://api.example"


def test_where_all_subjects_are_pairwise_machines_have_none() -> None:
    app = machine_app(
        PKCE_OPENID_SUBJECT_TYPE="pairwise", PKCE_OPENID_PAIRWISE_SALT="a-salt-of-the-tests"
    )
    flow = machine(app)
    body = ask(flow).get_json()
    assert call(app, body["access_token"]).get_json()["is_machine"] is True


# The command.


def test_it_is_registered_without_a_redirect_uri_and_shown_what_to_do(app: Flask) -> None:
    args = shlex.split("pkce client create --name Backup --type confidential --client-id backup")
    args += ["--grant-type", "client_credentials"]
    done = app.test_cli_runner().invoke(args=args)
    assert done.exit_code == 0, done.output
    assert re.search(r"curl \S+/oauth/token -u backup:fpkcs\w+ --data-urlencode", done.output)
    args[args.index("backup")] = "other"
    made = json.loads(app.test_cli_runner().invoke(args=[*args, "--json"]).output)
    known = RegisteredClient("other", made["client_secret"], "", "client_secret_basic")
    assert ask(Flow(sign_in(app), known)).status_code == 200
    assert (made["redirect_uris"], made["grant_types"]) == ([], MACHINE)


def test_no_client_is_registered_for_it_unasked(app: Flask) -> None:
    args = shlex.split("pkce client create --name Web --type confidential --json --redirect-uri")
    made = json.loads(app.test_cli_runner().invoke(args=[*args, "https://c.example/"]).output)
    assert made["grant_types"] == ["authorization_code", "refresh_token"]


def test_an_api_may_be_a_machine_too(app: Flask) -> None:
    args = shlex.split("pkce client create --name API --type confidential --resource-server --json")
    done = app.test_cli_runner().invoke(args=[*args, "--grant-type", "client_credentials"])
    assert json.loads(done.output)["grant_types"] == MACHINE


# Left out.


def test_left_out_it_is_not_there() -> None:
    app = make_app(PKCE_FEATURES={"client_credentials": False})
    assert "client_credentials" not in server_of(app).metadata()["grant_types_supported"]
    assert outcome(ask(machine(app))) == (400, "unsupported_grant_type")
