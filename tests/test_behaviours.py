"""What people who read about PKCE expect of a server, each with its test.

The labels are those of the descriptions that this server is measured by: MO (miniOrange),
RF (ReachFive), CE (Cloudentity), A (Auth0 with React), U (a tutorial for several products),
K (keycloak-js), NA (native apps) and T (what those texts get wrong). docs/behaviours.md is
the table of them. Spring Boot has a file of its own: clients/test_spring_facts.py.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from flask import Flask, request
from flask_login import current_user, login_user
from sqlalchemy import select
from werkzeug.test import TestResponse

from flask_pkce_server import ConfigurationError
from flask_pkce_server.errors import InvalidRequestError
from flask_pkce_server.models.authorization_code import AuthorizationCode
from flask_pkce_server.models.base import Base
from flask_pkce_server.testing import (
    Clock,
    Flow,
    RegisteredClient,
    hidden_fields,
    new_verifier,
    parameters_of,
    register,
    server_of,
)
from flask_pkce_server.wire.code_challenge import challenge_of

from .host import make_app, sign_in
from .openid import header, id_token, read

pytestmark = pytest.mark.thorough

Register = Callable[..., RegisteredClient]
BEHAVIOURS = Path(__file__).parent.parent / "docs" / "behaviours.md"


def call_api(app: Flask, token: str):
    program = app.test_client(use_cookies=False)
    return program.get("/api/me", headers={"Authorization": f"Bearer {token}"})


def confidential(app: Flask, register: Register, method: str = "client_secret_basic") -> Flow:
    return Flow(sign_in(app), register(auth_method=method))


def error_of(response) -> str:
    return response.get_json()["error"]


def message_of(page: TestResponse) -> tuple[dict[str, Any], str]:
    """What a page of ours posts to the window that asked, and to which origin."""
    message, origin = (
        html.unescape(re.search(f'data-{name}="([^"]*)"', page.text)[1])
        for name in ("message", "origin")
    )
    return json.loads(message), origin


def part_of(token: str) -> dict[str, Any]:
    """The middle part of a token, as SDKs read it without a key."""
    return json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))


def test_MO1_RF7_a_public_client_needs_no_secret(pkce_flow: Flow) -> None:
    assert pkce_flow.client.client_secret is None
    assert pkce_flow.redeem(pkce_flow.allow()["code"]).status_code == 200


def test_MO2_RF2_U6_sign_in_starts_with_a_get_that_carries_the_challenge(pkce_flow: Flow) -> None:
    assert pkce_flow.server.paths["authorize"] == "/oauth/authorize"
    assert set(pkce_flow.request()) >= {"response_type", "client_id", "code_challenge"}
    assert pkce_flow.authorize().status_code == 200


def test_MO3_RF3_U1_an_anonymous_user_signs_in_at_the_host_and_is_asked(
    app: Flask, pkce_register: Register
) -> None:
    flow = Flow(app.test_client(), pkce_register())
    short = flow.authorize()
    login = flow.browser.get(short.headers["Location"])
    assert urlsplit(login.headers["Location"]).path == "/login"
    back = flow.browser.post(login.headers["Location"], data={"username": "ada"})
    page = flow.browser.get(back.headers["Location"])
    assert page.status_code == 200
    assert "Allow" in page.text
    assert "code" in parameters_of(flow.decide(page))


def test_MO4_RF5_the_consent_page_lists_what_will_be_allowed(pkce_flow: Flow) -> None:
    assert "See your name and profile" in pkce_flow.authorize().text


def test_MO4_a_first_party_client_skips_the_page(app: Flask, pkce_register: Register) -> None:
    flow = Flow(sign_in(app), pkce_register(skip_consent=True))
    assert "code" in parameters_of(flow.authorize())


def test_MO5_RF6_U2_a_code_is_valid_for_one_usage(pkce_flow: Flow) -> None:
    code = pkce_flow.allow()["code"]
    assert pkce_flow.redeem(code).status_code == 200
    again = pkce_flow.redeem(code)
    assert (again.status_code, error_of(again)) == (400, "invalid_grant")


def test_MO6_U7_the_challenge_is_kept_with_the_code(app: Flask, pkce_flow: Flow) -> None:
    pkce_flow.allow()
    with app.app_context(), pkce_flow.server.store.reading() as session:
        code = session.scalars(select(AuthorizationCode)).one()
    assert code.code_challenge == pkce_flow.request()["code_challenge"]


def test_MO7_U10_the_verifier_goes_to_the_token_endpoint(pkce_flow: Flow) -> None:
    assert pkce_flow.server.paths["token"] == "/oauth/token"
    code = pkce_flow.allow()["code"]
    assert pkce_flow.redeem(code, code_verifier=pkce_flow.verifier).status_code == 200


def test_MO8_RF8_U11_a_wrong_verifier_is_rejected(pkce_flow: Flow) -> None:
    wrong = pkce_flow.redeem(pkce_flow.allow()["code"], code_verifier=new_verifier())
    assert (wrong.status_code, error_of(wrong)) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("scope", "refreshable"), [("profile", False), ("profile offline_access", True)]
)
def test_MO9_RF10_a_refresh_token_comes_with_offline_access_only(
    pkce_flow: Flow, scope: str, refreshable: bool
) -> None:
    tokens = pkce_flow.tokens(scope=scope)
    assert "access_token" in tokens
    assert ("refresh_token" in tokens) is refreshable
    assert "id_token" not in tokens


def test_MO9_RF9_openid_brings_an_id_token_beside_the_access_token(
    app: Flask, pkce_flow: Flow
) -> None:
    tokens = pkce_flow.tokens(scope="openid profile")
    claims = read(app, tokens["id_token"])
    assert (claims["sub"], claims["aud"]) == ("1", pkce_flow.client.client_id)
    assert call_api(app, tokens["access_token"]).get_json()["subject"] == claims["sub"]
    assert "refresh_token" not in tokens


def test_MO10_RF11_the_access_token_reads_user_data(app: Flask, pkce_flow: Flow) -> None:
    answer = call_api(app, pkce_flow.tokens()["access_token"])
    assert answer.status_code == 200
    assert answer.get_json()["name"] == "Ada Lovelace"


def test_MO11_U3_an_intercepted_code_alone_is_useless(pkce_flow: Flow) -> None:
    stolen = pkce_flow.redeem(pkce_flow.allow()["code"], code_verifier=None)
    assert (stolen.status_code, error_of(stolen)) == (400, "invalid_request")


def test_MO12_NA1_a_scheme_of_an_app_is_redirected_to_byte_for_byte(
    app: Flask, pkce_register: Register
) -> None:
    for uri in ("MyApp://callback", "com.example.app:/oauth2redirect", "https://app.example/cb"):
        flow = Flow(sign_in(app), pkce_register(redirect_uris=(uri,)))
        response = flow.decide(flow.authorize())
        assert response.headers["Location"].startswith(uri + "?")


def test_MO13_the_challenge_travels_by_https() -> None:
    with pytest.raises(ConfigurationError, match="must be https"):
        make_app(PKCE_ISSUER="http://auth.example")
    assert make_app(PKCE_ISSUER="http://127.0.0.1:5000")


def test_MO14_plugins_for_miniorange_find_its_paths() -> None:
    app = make_app(PKCE_DIALECTS=["miniorange"])
    flow = Flow(sign_in(app), register(app, auth_method="client_secret_post"))
    asked = flow.request(scope="openid profile")
    page = flow.browser.get("/moas/idp/openidsso", query_string=asked)
    form = {
        "grant_type": "authorization_code",
        "client_id": flow.client.client_id,
        "client_secret": flow.client.client_secret,
        "redirect_uri": flow.client.redirect_uri,
        "code": parameters_of(flow.decide(page))["code"],
    }
    program = app.test_client()
    assert error_of(program.post("/moas/rest/oauth/token", data=form)) == "invalid_request"
    form["code_verifier"] = flow.verifier
    token = program.post("/moas/rest/oauth/token", data=form).get_json()["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    user = program.get("/moas/rest/oauth/getuserinfo", headers=bearer).get_json()
    assert (user["sub"], user["name"]) == ("1", "Ada Lovelace")
    assert make_app(PKCE_DIALECTS=[]).test_client().get("/moas/idp/openidsso").status_code == 404


def test_RF1_A6_A7_U5_the_challenge_is_the_base64url_sha256_of_the_verifier(
    pkce_flow: Flow,
) -> None:
    digest = hashlib.sha256(pkce_flow.verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    code = pkce_flow.allow(code_challenge=challenge)["code"]
    assert pkce_flow.redeem(code).status_code == 200
    padded = parameters_of(pkce_flow.authorize(code_challenge=challenge + "="))
    assert padded["error"] == "invalid_request"


@pytest.mark.parametrize("way", ["/login", "/passkey"])
def test_MO4_RF4_U8_any_way_to_sign_in_that_the_host_offers_will_do(app: Flask, way: str) -> None:
    @app.post("/passkey")
    def passkey() -> tuple[str, int, dict[str, str]]:
        login_user(app.db.session.get(app.User, 1))
        return "", 303, {"Location": request.args["next"]}

    flow = Flow(app.test_client(), register(app))
    login = flow.browser.get(flow.authorize().headers["Location"])
    back_to = dict(parse_qsl(urlsplit(login.headers["Location"]).query))["next"]
    back = flow.browser.post(way, query_string={"next": back_to}, data={"username": "ada"})
    assert "code" in parameters_of(flow.decide(flow.browser.get(back.headers["Location"])))


def test_U8_the_app_is_told_how_the_user_signed_in(app: Flask) -> None:
    @app.post("/second-factor")
    def second_factor() -> str:
        app.pkce.signed_in(current_user, acr="gold", amr=["pwd", "otp"])
        return ""

    flow = Flow(sign_in(app), register(app), scope="openid")
    assert not {"acr", "amr"} & set(id_token(flow))
    flow.browser.post("/second-factor")
    claims = id_token(flow)
    assert (claims["acr"], claims["amr"]) == ("gold", ["pwd", "otp"])


def test_RF5_the_page_comes_back_for_new_scopes(pkce_flow: Flow) -> None:
    pkce_flow.allow(scope="profile")
    assert pkce_flow.authorize(scope="profile").status_code == 302
    assert "Read your notes" in pkce_flow.authorize(scope="profile notes:read").text


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_RF12_confidential_clients_use_pkce_too(
    app: Flask, pkce_register: Register, method: str
) -> None:
    flow = confidential(app, pkce_register, method)
    refused = parameters_of(flow.authorize(code_challenge=None, code_challenge_method=None))
    assert refused["error"] == "invalid_request"
    code = flow.allow()["code"]
    assert error_of(flow.redeem(code, code_verifier=None)) == "invalid_request"
    assert flow.redeem(code).status_code == 200


def test_RF13_U15_the_verifier_is_never_kept_logged_or_sent_through_the_browser(
    app: Flask, pkce_flow: Flow, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    response = pkce_flow.decide(pkce_flow.authorize())
    assert pkce_flow.verifier not in response.headers["Location"]
    pkce_flow.redeem(parameters_of(response)["code"], code_verifier=new_verifier())
    assert pkce_flow.redeem(parameters_of(response)["code"]).status_code == 200
    with app.app_context(), pkce_flow.server.store.reading() as session:
        kept = [
            repr(tuple(row))
            for table in Base.metadata.sorted_tables
            for row in session.execute(select(table))
        ]
    assert kept
    assert not any(pkce_flow.verifier in row for row in kept)
    assert pkce_flow.verifier not in caplog.text


def test_RF13_a_verifier_in_a_url_counts_for_nothing(app: Flask, pkce_flow: Flow) -> None:
    code = pkce_flow.allow()["code"]
    form = {
        "grant_type": "authorization_code",
        "client_id": pkce_flow.client.client_id,
        "redirect_uri": pkce_flow.client.redirect_uri,
        "code": code,
    }
    in_url = app.test_client().post(
        "/oauth/token", query_string={"code_verifier": pkce_flow.verifier}, data=form
    )
    assert error_of(in_url) == "invalid_request"
    assert pkce_flow.redeem(code).status_code == 200


def test_RF14_reachfives_sdk_is_told_what_it_asks_and_sends_json() -> None:
    app = make_app(PKCE_DIALECTS=["reachfive"])
    known = register(app, redirect_uris=("https://spa.example/cb",))
    flow, program = Flow(sign_in(app), known, scope="openid profile phone"), app.test_client()
    path, page = "/identity/v1", {"Origin": "https://spa.example", "X-R5-Correlation-Id": "1"}
    told = program.get(f"{path}/config?client_id={known.client_id}", headers=page)
    assert told.headers["Access-Control-Allow-Origin"] == "https://spa.example"
    assert told.get_json()["is_public"] is told.get_json()["pkce_enforced"] is True
    form = {
        "client_id": known.client_id,
        "grant_type": "authorization_code",
        "code": flow.allow()["code"],
        "redirect_uri": "https://spa.example/cb",
    }
    refused = program.post("/oauth/token", json=form, headers=page)
    assert error_of(refused) == "invalid_request"
    body = {**form, "code_verifier": flow.verifier}
    token = program.post("/oauth/token", json=body, headers=page).get_json()["access_token"]
    user = program.get(f"{path}/userinfo", headers={**page, "Authorization": f"Bearer {token}"})
    assert user.get_json()["name"] == "Ada Lovelace"
    assert make_app(PKCE_DIALECTS=[]).test_client().get(f"{path}/config").status_code == 404


@pytest.mark.parametrize(
    ("response_type", "error"),
    [(None, "invalid_request"), ("token", "unsupported_response_type")],
)
def test_CE1_the_response_type_is_code(
    pkce_flow: Flow, response_type: str | None, error: str
) -> None:
    response = pkce_flow.authorize(response_type=response_type)
    assert response.headers["Location"].startswith(pkce_flow.client.redirect_uri)
    assert parameters_of(response)["error"] == error


def test_CE1_nothing_is_redirected_before_the_redirect_uri_is_known(pkce_flow: Flow) -> None:
    page = pkce_flow.authorize(response_type="token", redirect_uri="https://evil.example/")
    assert page.status_code == 400
    assert "Location" not in page.headers


def test_CE2_CE6_a_client_of_codes_registers_a_redirect_uri(app: Flask) -> None:
    from flask_pkce_server.models.client_storage import new_client

    client, _ = new_client(
        client_name="None",
        redirect_uris=(),
        auth_method="none",
        grant_types=["authorization_code"],
        now=0,
    )
    with pytest.raises(InvalidRequestError, match="at least one redirect URI"):
        app.extensions["pkce"].registrar.check(client)


def test_CE6_no_command_registers_a_client_of_codes_without_a_redirect_uri(app: Flask) -> None:
    words = ["pkce", "client", "create", "--name", "None", "--type", "public"]
    made = app.test_cli_runner().invoke(args=words)
    assert made.exit_code != 0
    assert "at least one redirect URI" in made.output
    assert app.test_cli_runner().invoke(args=[*words, "--redirect-uri", "app.x:/cb"]).exit_code == 0


def test_CE2_a_client_without_redirect_uris_cannot_use_authorize(
    app: Flask, pkce_register: Register
) -> None:
    machine = pkce_register(auth_method="client_secret_basic", grant_types=["refresh_token"])
    answer = parameters_of(Flow(sign_in(app), machine).authorize())
    assert answer["error"] == "unauthorized_client"


def test_CE3_consent_is_asked_when_there_is_a_scope_to_be_granted(pkce_flow: Flow) -> None:
    assert pkce_flow.authorize(scope="profile").status_code == 200


def test_CE4_no_scope_to_grant_is_no_consent_screen(pkce_flow: Flow) -> None:
    # Who the user is counts as one, once: without a decision, no app learns it.
    assert pkce_flow.authorize(scope=None).status_code == 200
    pkce_flow.allow(scope=None)
    assert "code" in parameters_of(pkce_flow.authorize(scope=None))


def test_CE4_what_was_allowed_before_is_no_scope_to_grant(pkce_flow: Flow) -> None:
    pkce_flow.allow(scope="profile notes:read")
    for scope in ("profile", "notes:read", "profile notes:read", None):
        assert "code" in parameters_of(pkce_flow.authorize(scope=scope)), scope


def test_CE4_a_default_scope_is_one_to_grant() -> None:
    app = make_app(PKCE_AUTHORIZE_DEFAULT_SCOPES=["profile"])
    page = Flow(sign_in(app), register(app)).authorize(scope=None)
    assert page.status_code == 200
    assert "See your name and profile" in page.text


def test_CE4_but_an_app_that_registered_itself_always_asks(app: Flask) -> None:
    flow = Flow(sign_in(app), register(app, self_registered=True))
    flow.allow(scope=None)
    assert flow.authorize(scope=None).status_code == 200


def test_CE4_but_an_app_on_this_device_always_asks(app: Flask, pkce_register: Register) -> None:
    for uri in ("http://127.0.0.1:4711/cb", "com.example.app:/cb"):
        flow = Flow(sign_in(app), pkce_register(redirect_uris=(uri,)))
        assert flow.authorize(scope=None).status_code == 200


def test_CE5_U9_the_code_goes_to_the_registered_endpoint(pkce_flow: Flow) -> None:
    response = pkce_flow.decide(pkce_flow.authorize())
    assert response.headers["Location"].startswith(pkce_flow.client.redirect_uri + "?code=")


def test_CE7_several_redirect_uris_and_none_named_is_told_to_the_person(
    app: Flask, pkce_register: Register
) -> None:
    uris = ("https://a.example/cb", "https://b.example/cb")
    flow = Flow(sign_in(app), pkce_register(redirect_uris=uris))
    page = flow.authorize(redirect_uri=None)
    assert page.status_code == 400
    assert "Location" not in page.headers


def test_CE8_one_redirect_uri_may_be_left_out_everywhere(pkce_flow: Flow) -> None:
    code = pkce_flow.allow(redirect_uri=None)["code"]
    assert pkce_flow.redeem(code, redirect_uri=None).status_code == 200


@pytest.mark.parametrize("method", ["none", "client_secret_basic", "client_secret_post"])
def test_CE9_a_client_authenticates_as_it_is_registered(
    app: Flask, pkce_register: Register, method: str
) -> None:
    flow = confidential(app, pkce_register, method)
    code = flow.allow()["code"]
    others = {"none", "client_secret_basic", "client_secret_post"} - {method}
    for other in sorted(others):
        flow.client.auth_method = other
        flow.client.client_secret = flow.client.client_secret or "x" * 43
        assert error_of(flow.redeem(code)) == "invalid_client", other
    flow.client.auth_method = method
    assert flow.redeem(code).status_code == 200


def test_CE10_code_verifier_and_challenge_are_all_checked(pkce_flow: Flow) -> None:
    first, second = pkce_flow.allow()["code"], Flow(pkce_flow.browser, pkce_flow.client)
    other = second.allow()["code"]
    assert error_of(second.redeem(first)) == "invalid_grant"
    assert error_of(pkce_flow.redeem(other)) == "invalid_grant"
    assert pkce_flow.redeem(first).status_code == second.redeem(other).status_code == 200


def test_CE11_the_api_validates_the_token_before_it_answers(app: Flask) -> None:
    assert call_api(app, "fpk_at_nothing").status_code == 401


def test_CE11_what_was_good_once_or_for_something_else_opens_nothing(
    app: Flask, pkce_flow: Flow, pkce_clock: Clock
) -> None:
    tokens = pkce_flow.tokens()
    assert call_api(app, tokens["access_token"]).status_code == 200
    for not_one in (tokens["refresh_token"], tokens["access_token"][:-1], ""):
        assert call_api(app, not_one).status_code == 401
    other = pkce_flow.tokens(scope="notes:read")["access_token"]
    assert call_api(app, other).status_code == 403
    revoked = pkce_flow.tokens()["access_token"]
    pkce_flow.revoke(revoked)
    assert call_api(app, revoked).status_code == 401
    pkce_clock.advance(3600)
    assert call_api(app, tokens["access_token"]).status_code == 401


PARTS = {"Person": "P", "Browser": "B", "App": "C", "Server": "S", "API": "R"}


@dataclass
class Drawing:
    """What happened, in the arrows of a sequence diagram."""

    arrows: list[str] = field(default_factory=list)

    def draw(self, source: str, target: str, text: str) -> None:
        back = "--" if text[:1].isdigit() else "-"
        self.arrows.append(f"{PARTS[source]}{back}>>{PARTS[target]}: {text}")

    def exchange(self, source: str, target: str, answer: TestResponse, *sent: str) -> TestResponse:
        """Draw a request that was made, with the names in its form, and the answer to it."""
        names = sorted(sent or answer.request.args)
        if "Authorization" in answer.request.headers:
            names.append("Authorization: Bearer")
        asked = f" with {', '.join(names)}" if names else ""
        self.draw(source, target, f"{answer.request.method} {answer.request.path}{asked}")
        if "Location" in answer.headers:
            parts = urlsplit(answer.headers["Location"])
            text = f"to {parts.path} with {', '.join(sorted(dict(parse_qsl(parts.query))))}"
        elif answer.is_json:
            text = f"with {', '.join(sorted(answer.get_json()))}"
        else:
            text = "consent page" if 'name="decision"' in answer.text else "login page"
        self.draw(target, source, f"{answer.status_code} {text}")
        return answer

    def within(self, what: str) -> None:
        """Draw what the server did between the last request and its answer."""
        self.arrows.insert(-1, f"S->>S: {what}")


def test_CE12_the_diagram_in_the_docs_is_what_happens(app: Flask) -> None:
    drawing = Drawing()
    known = register(app, redirect_uris=("https://notebook.example/callback",))
    flow = Flow(app.test_client(), known, scope="notes:read")

    def visit(url: str, **query: str) -> TestResponse:
        answer = flow.browser.get(url, query_string=query or None)
        return drawing.exchange("Browser", "Server", answer)

    def send(url: str, **form: str) -> TestResponse:
        answer = flow.browser.post(url, data=form)
        return drawing.exchange("Browser", "Server", answer, *form)

    def stored() -> AuthorizationCode:
        with app.app_context(), flow.server.store.reading() as session:
            return session.scalars(select(AuthorizationCode)).one()

    drawing.draw("Person", "App", "“Sign in”")
    drawing.draw("App", "App", "code_challenge = BASE64URL(SHA256(code_verifier))")
    asked = flow.request()
    drawing.draw("App", "Browser", f"302 to /oauth/authorize with {', '.join(sorted(asked))}")
    short = visit("/oauth/authorize", **asked).headers["Location"]
    login = visit(short).headers["Location"]
    visit(login)
    drawing.draw("Person", "Browser", "signs in")
    page = visit(send(login, username="ada").headers["Location"])
    drawing.draw("Person", "Browser", "“Allow”")
    back = send("/oauth/authorize", **hidden_fields(page.text), decision="allow")
    answer = parameters_of(back)
    assert stored().digest == hashlib.sha256(answer["code"].encode()).digest()
    assert stored().code_challenge == asked["code_challenge"]
    drawing.within("keep SHA256(code) with the code_challenge")
    assert answer["state"] == flow.state
    assert back.headers["Location"].startswith(known.redirect_uri)
    drawing.draw("Browser", "App", f"GET /callback with {', '.join(sorted(answer))}")
    form = {
        "grant_type": "authorization_code",
        "client_id": known.client_id,
        "redirect_uri": known.redirect_uri,
        "code": answer["code"],
        "code_verifier": flow.verifier,
    }
    given = app.test_client(use_cookies=False).post("/oauth/token", data=form)
    tokens = drawing.exchange("App", "Server", given, *form).get_json()
    assert stored().code_challenge == challenge_of(flow.verifier)
    assert stored().consumed_at is not None
    drawing.within("BASE64URL(SHA256(code_verifier)) is the code_challenge, the code is used up")
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    drawing.exchange("App", "API", app.test_client().get("/api/notes", headers=bearer))

    diagrams = re.findall(r"^```mermaid\n(.*?)^```$", BEHAVIOURS.read_text(), re.DOTALL | re.M)
    assert len(diagrams) == 1
    lines = [line.strip() for line in diagrams[0].splitlines()]
    shown = [line for line in lines if ">>" in line]
    assert shown == drawing.arrows, "\n".join(["draw this:", *drawing.arrows])
    boxes = [line.split()[1] for line in lines if line.startswith(("actor ", "participant "))]
    assert sorted(boxes) == sorted(PARTS.values())


def test_A1_A2_U14_a_single_page_app_has_no_secret(app: Flask, pkce_register: Register) -> None:
    spa = pkce_register(redirect_uris=("http://localhost:3000",))
    assert spa.client_secret is None
    assert Flow(sign_in(app), spa).tokens()["access_token"]


def test_A2_the_domain_and_the_client_id_lead_to_all_the_rest(app: Flask) -> None:
    known = register(app, redirect_uris=("https://spa.example",))
    found = app.test_client().get("/.well-known/openid-configuration").get_json()
    assert "none" in found["token_endpoint_auth_methods_supported"]
    flow = Flow(sign_in(app), known, scope="openid profile")
    browser, ask = flow.browser, urlsplit(found["authorization_endpoint"]).path
    answer = parameters_of(flow.decide(browser.get(ask, query_string=flow.request())))
    form = {
        "grant_type": "authorization_code",
        "client_id": known.client_id,
        "code": answer["code"],
        "redirect_uri": "https://spa.example",
        "code_verifier": flow.verifier,
    }
    tokens = app.test_client().post(urlsplit(found["token_endpoint"]).path, data=form).get_json()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    user = app.test_client().get(urlsplit(found["userinfo_endpoint"]).path, headers=bearer)
    assert user.get_json()["name"] == "Ada Lovelace"


@pytest.mark.parametrize("state", ["a b+c", "%2F%20", "ümlaut/=?&#", "eyJhIjoxfQ=="])
def test_A3_state_comes_back_byte_for_byte(pkce_flow: Flow, state: str) -> None:
    assert pkce_flow.allow(state=state)["state"] == state


def auth0_flow() -> Flow:
    """An app with Auth0's SDK for React, which knows a domain and a client_id."""
    app = make_app(PKCE_DIALECTS=["auth0"], PKCE_ISSUER="https://auth.example/")
    metadata = {"post_logout_redirect_uris": ["https://spa.example/bye"]}
    known = register(app, redirect_uris=("https://spa.example",), client_metadata=metadata)
    return Flow(sign_in(app), known, scope="openid profile")


def test_A4_login_with_popup_posts_the_answer_to_the_window_that_opened_it() -> None:
    flow = auth0_flow()
    asked = flow.request(response_mode="web_message", nonce="n", auth0Client="x")
    message, origin = message_of(flow.decide(flow.browser.get("/authorize", query_string=asked)))
    assert message["type"] == "authorization_response"
    assert message["response"]["state"] == flow.state
    assert origin == "https://spa.example"
    form = {
        "grant_type": "authorization_code",
        "client_id": flow.client.client_id,
        "redirect_uri": "https://spa.example",
        "code": message["response"]["code"],
        "code_verifier": flow.verifier,
    }
    app, sdk = flow.browser.application, {"Auth0-Client": "x", "Origin": "https://spa.example"}
    tokens = app.test_client().post("/oauth/token", data=form, headers=sdk).get_json()
    user = read(app, tokens["id_token"])
    # All that `useAuth0()` shows of the user is in the ID token.
    assert (user["iss"], user["name"]) == ("https://auth.example/", "Ada Lovelace")
    assert make_app(PKCE_DIALECTS=[]).test_client().get("/authorize").status_code == 404


def test_A4_logout_with_return_to_ends_the_session_and_goes_to_registered_places_alone() -> None:
    flow = auth0_flow()
    browser, page = flow.browser, {"Referer": "https://spa.example/notes"}

    def leave(return_to: str) -> TestResponse:
        query = {"client_id": flow.client.client_id, "returnTo": return_to}
        return browser.get("/v2/logout", query_string=query, headers=page)

    flow.tokens()
    refused = leave("https://evil.example/")
    assert (refused.status_code, "Location" in refused.headers) == (400, False)
    assert "code" in parameters_of(flow.authorize(prompt="none"))
    assert leave("https://spa.example/bye").headers["Location"] == "https://spa.example/bye"
    assert parameters_of(flow.authorize(prompt="none"))["error"] == "login_required"


def test_A5_a_guarded_page_asks_silently_in_a_frame() -> None:
    # withAuthenticationRequired: a frame, and 60 seconds to wait where nothing comes back.
    flow = auth0_flow()
    asked = flow.request(response_mode="web_message", prompt="none")
    visitor = flow.browser.application.test_client()
    page = visitor.get("/authorize", query_string=asked)
    message, origin = message_of(page)
    assert (message["response"]["error"], origin) == ("login_required", "https://spa.example")
    assert "frame-ancestors https://spa.example" in page.headers["Content-Security-Policy"]
    assert "X-Frame-Options" not in page.headers
    flow.allow()
    message, _ = message_of(flow.browser.get("/authorize", query_string=asked))
    assert flow.redeem(message["response"]["code"]).status_code == 200


def test_A5_a_silent_sign_in_is_answered_at_once(app: Flask, pkce_flow: Flow) -> None:
    asked = {"scope": "openid profile", "prompt": "none"}
    visitor = Flow(app.test_client(), pkce_flow.client)
    assert parameters_of(visitor.authorize(**asked))["error"] == "login_required"
    assert parameters_of(pkce_flow.authorize(**asked))["error"] == "consent_required"
    pkce_flow.allow(scope="openid profile")
    assert "code" in parameters_of(pkce_flow.authorize(**asked))


@pytest.mark.parametrize("method", [None, "plain", "s256", "S512"])
def test_A8_T3_the_method_is_s256_and_is_said(pkce_flow: Flow, method: str | None) -> None:
    refused = parameters_of(pkce_flow.authorize(code_challenge_method=method))
    assert refused["error"] == "invalid_request"
    assert "S256" in refused["error_description"]


def test_A9_NA4_another_app_on_the_same_scheme_cannot_redeem(
    app: Flask, pkce_register: Register
) -> None:
    ours, theirs = (pkce_register(redirect_uris=("myapp://cb",)) for _ in range(2))
    flow = Flow(sign_in(app), ours)
    code = flow.allow()["code"]
    thief = Flow(app.test_client(), theirs)
    assert error_of(thief.redeem(code)) == "invalid_grant"
    pretender = Flow(app.test_client(), ours)
    assert error_of(pretender.redeem(code)) == "invalid_grant"
    assert flow.redeem(code).status_code == 200


def test_A9_what_a_log_knows_of_a_sign_in_opens_nothing(app: Flask, pkce_flow: Flow) -> None:
    sent = pkce_flow.request()
    answer = pkce_flow.allow()
    thief = Flow(app.test_client(), pkce_flow.client)
    for guess in {*sent.values(), *answer.values(), urlencode(sent)}:
        assert error_of(thief.redeem(answer["code"], code_verifier=guess)).startswith("invalid_")
    assert pkce_flow.redeem(answer["code"]).status_code == 200


@pytest.mark.parametrize("response_type", ["token", "id_token", "id_token token", "code token"])
def test_A10_the_implicit_flow_is_refused(pkce_flow: Flow, response_type: str) -> None:
    refused = parameters_of(pkce_flow.authorize(response_type=response_type))
    assert refused["error"] == "unsupported_response_type"


def test_A11_a_machine_gets_a_token_in_its_own_name() -> None:
    app = make_app(PKCE_CLIENT_CREDENTIALS_SCOPES=["notes:read"])
    known = register(
        app, auth_method="client_secret_basic", grant_types=["client_credentials"], redirect_uris=()
    )
    machine = Flow(app.test_client(), known)
    answer = machine.post("token", {"grant_type": "client_credentials", "scope": "notes:read"})
    tokens = answer.get_json()
    assert set(tokens) == {"access_token", "token_type", "expires_in", "scope"}
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert app.test_client().get("/api/notes", headers=bearer).get_json() == ["milk"]
    assert app.test_client().get("/oauth/userinfo", headers=bearer).status_code == 403
    of_users = machine.post("token", {"grant_type": "client_credentials", "scope": "profile"})
    assert error_of(of_users) == "invalid_scope"
    known.client_secret = "x" * 43
    assert error_of(machine.post("token", {"grant_type": "client_credentials"})) == "invalid_client"
    other = confidential(app, lambda **what: register(app, **what))
    refused = other.post("token", {"grant_type": "client_credentials"})
    assert error_of(refused) == "unauthorized_client"


DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


def test_A12_a_device_without_a_browser_signs_its_user_in(app: Flask, pkce_clock: Clock) -> None:
    device = Flow(app.test_client(), register(app, grant_types=[DEVICE], redirect_uris=()))
    codes = device.post("device_authorization", {"scope": "profile"}).get_json()
    assert codes["verification_uri"] == "https://auth.example/oauth/device"

    def ask() -> TestResponse:
        pkce_clock.advance(codes["interval"])
        form = {"grant_type": DEVICE, "device_code": codes["device_code"]}
        return device.post("token", form)

    assert error_of(ask()) == "authorization_pending"
    browser = sign_in(app)
    page = browser.get("/oauth/device")
    page = browser.post(
        "/oauth/device", data={**hidden_fields(page.text), "user_code": codes["user_code"]}
    )
    assert "See your name and profile" in page.text
    browser.post("/oauth/device", data={**hidden_fields(page.text), "decision": "allow"})
    token = ask().get_json()["access_token"]
    assert call_api(app, token).get_json()["name"] == "Ada Lovelace"
    assert error_of(ask()) == "invalid_grant"


def test_T4_a_secret_does_not_open_the_implicit_flow_either(
    app: Flask, pkce_register: Register
) -> None:
    refused = parameters_of(confidential(app, pkce_register).authorize(response_type="token"))
    assert refused["error"] == "unsupported_response_type"
    assert "access_token" not in refused


def test_U1_the_app_sees_nothing_of_what_the_user_typed(app: Flask) -> None:
    typed = {"username": "ada", "password": "sesame-of-ada"}
    flow = Flow(app.test_client(), register(app), scope="openid profile")
    login = flow.browser.get(flow.authorize().headers["Location"])
    back = flow.browser.post(login.headers["Location"], data=typed)
    answer = flow.decide(flow.browser.get(back.headers["Location"]))
    assert set(parameters_of(answer)) == {"code", "state", "iss"}
    tokens = flow.redeem(parameters_of(answer)["code"])
    assert set(tokens.get_json()) == {
        "access_token",
        "token_type",
        "expires_in",
        "scope",
        "id_token",
    }
    told = json.dumps([answer.headers["Location"], read(app, tokens.get_json()["id_token"])])
    assert "sesame" not in told + tokens.text


def test_U4_a_challenge_that_is_used_again_is_flagged_by_the_doctor(app: Flask) -> None:
    def flagged() -> str:
        found = app.test_cli_runner().invoke(args=["pkce", "doctor", "--json"])
        problems = [one for one in json.loads(found.output) if one["level"] == "WARN"]
        return " ".join(one["about"] + one["fix"] for one in problems if "code_ch" in one["about"])

    browser = sign_in(app)
    good, bad = (Flow(browser, register(app)) for _ in range(2))
    for _ in range(2):
        good.verifier = new_verifier()
        good.tokens()
    assert flagged() == ""
    for _ in range(2):
        bad.tokens()
    assert bad.client.client_id in flagged()
    assert "a new code_verifier for each sign-in" in flagged()
    assert good.client.client_id not in flagged()


def test_U6_five_parameters_are_a_request_and_four_are_none(app: Flask) -> None:
    uris = ("https://a.example/cb", "https://b.example/cb")
    flow = Flow(sign_in(app), register(app, redirect_uris=uris, skip_consent=True))
    only: dict[str, str | None] = {"scope": None, "state": None}
    assert set(parameters_of(flow.authorize(**only))) == {"code", "iss"}
    for name in ("response_type", "code_challenge", "code_challenge_method"):
        refused = parameters_of(flow.authorize(**only, **{name: None}))
        assert refused["error"] == "invalid_request"
        assert name in refused["error_description"]
    for name in ("client_id", "redirect_uri"):
        page = flow.authorize(**only, **{name: None})
        assert (page.status_code, "Location" in page.headers) == (400, False), name


def test_U12_a_stolen_code_and_challenge_are_not_sufficient(pkce_flow: Flow) -> None:
    stolen = pkce_flow.redeem(
        pkce_flow.allow()["code"], code_verifier=pkce_flow.request()["code_challenge"]
    )
    assert error_of(stolen) == "invalid_grant"


def test_U13_pkce_does_not_replace_the_secret(app: Flask, pkce_register: Register) -> None:
    flow = confidential(app, pkce_register)
    code, secret = flow.allow()["code"], flow.client.client_secret
    flow.client.client_secret = "x" * 43
    wrong_secret = flow.redeem(code)
    assert (wrong_secret.status_code, error_of(wrong_secret)) == (401, "invalid_client")
    flow.client.client_secret = secret
    assert error_of(flow.redeem(code, code_verifier=new_verifier())) == "invalid_grant"
    assert flow.redeem(code).status_code == 200


def test_U14_a_verifier_may_be_forgotten_once_it_was_used(pkce_flow: Flow) -> None:
    code = pkce_flow.allow()["code"]
    tokens = pkce_flow.redeem(code).get_json()
    assert "code_verifier" not in tokens
    fresh = pkce_flow.refresh(tokens["refresh_token"])
    assert fresh.status_code == 200
    assert error_of(pkce_flow.redeem(code)) == "invalid_grant"
    old, pkce_flow.verifier = pkce_flow.verifier, new_verifier()
    other = pkce_flow.allow()["code"]
    assert error_of(pkce_flow.redeem(other, code_verifier=old)) == "invalid_grant"


def test_T6_a_confidential_client_does_submit_its_secret(
    app: Flask, pkce_register: Register
) -> None:
    flow = confidential(app, pkce_register)
    code = flow.allow()["code"]
    flow.client.auth_method = "none"
    assert error_of(flow.redeem(code)) == "invalid_client"


@pytest.mark.parametrize("uri", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd"])
def test_NA2_a_scheme_that_runs_in_the_browser_is_refused(
    app: Flask, pkce_register: Register, uri: str
) -> None:
    with pytest.raises(InvalidRequestError):
        pkce_register(redirect_uris=(uri,))


def test_NA2_a_scheme_without_a_dot_is_a_warning(app: Flask) -> None:
    made = app.test_cli_runner().invoke(
        args=[
            "pkce",
            "client",
            "create",
            "--name",
            "Cursor",
            "--redirect-uri",
            "cursor://cb",
            "--type",
            "public",
        ]
    )
    assert made.exit_code == 0
    assert "no dot" in made.output


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_NA3_on_loopback_only_the_port_may_vary(
    app: Flask, pkce_register: Register, host: str
) -> None:
    flow = Flow(sign_in(app), pkce_register(redirect_uris=(f"http://{host}/cb",)))
    assert flow.authorize(redirect_uri=f"http://{host}:51234/cb").status_code == 200
    for other in (f"http://u@{host}/cb", f"http://{host}:1/cb?x=1", f"http://{host}:1/other"):
        assert flow.authorize(redirect_uri=other).status_code == 400, other


def test_NA5_no_form_action_stands_between_the_form_and_the_app(pkce_flow: Flow) -> None:
    assert "form-action" not in pkce_flow.authorize().headers["Content-Security-Policy"]


@pytest.mark.parametrize("uri", ["myapp://cb", "com.example.app:/oauth2redirect"])
def test_NA5_the_form_leads_to_the_scheme_of_an_app_by_a_303(
    app: Flask, pkce_register: Register, uri: str
) -> None:
    flow = Flow(sign_in(app), pkce_register(redirect_uris=(uri,)))
    page = flow.authorize()
    answer = flow.decide(page)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(f"{uri}?code=")
    for response in (page, answer):
        assert "form-action" not in response.headers.get("Content-Security-Policy", "")


def test_T1_the_verifier_of_the_tutorials_is_too_short(pkce_flow: Flow) -> None:
    short = "A8hf7K9mPq2XvL4nRt6YwZ1bCd3JkLm"
    assert len(short) == 31
    code = pkce_flow.allow()["code"]
    assert error_of(pkce_flow.redeem(code, code_verifier=short)) == "invalid_request"


def test_T2_a_challenge_in_hexadecimal_is_refused(pkce_flow: Flow) -> None:
    hexadecimal = hashlib.sha256(pkce_flow.verifier.encode()).hexdigest()
    refused = parameters_of(pkce_flow.authorize(code_challenge=hexadecimal))
    assert refused["error"] == "invalid_request"


def test_T5_tokens_are_signed_for_all_to_read_and_not_encrypted(app: Flask) -> None:
    known = register(app, client_metadata={"access_token_format": "jwt"})
    tokens = Flow(sign_in(app), known, scope="openid profile").tokens()
    for name in ("access_token", "id_token"):
        assert tokens[name].count(".") == 2
        assert "enc" not in header(app, tokens[name])
        assert part_of(tokens[name]) == read(app, tokens[name])


def test_S1_the_issuer_is_byte_for_byte_the_configured_one() -> None:
    for issuer in ("https://auth.example", "https://auth.example/"):
        app = make_app(PKCE_ISSUER=issuer)
        found = app.test_client().get("/.well-known/openid-configuration").get_json()
        assert found["issuer"] == issuer == server_of(app).issuer


def test_K1_a_fragment_and_a_verifier_of_96_characters(pkce_flow: Flow) -> None:
    pkce_flow.verifier = "v" * 96
    response = pkce_flow.decide(
        pkce_flow.authorize(
            response_mode="fragment", kc_idp_hint="x", kc_action="y", ui_locales="de"
        )
    )
    assert "#code=" in response.headers["Location"]
    assert pkce_flow.redeem(parameters_of(response)["code"]).status_code == 200


def test_K2_the_document_has_what_keycloak_reads_in_it(app: Flask) -> None:
    # `oidcProvider` in the place of a realm
    found = app.test_client().get("/.well-known/openid-configuration").get_json()
    for name in ("authorization", "token", "userinfo", "end_session"):
        parts = urlsplit(found[f"{name}_endpoint"])
        assert parts.netloc == "auth.example"
        assert app.test_client().get(parts.path).status_code != 404, name
    assert "fragment" in found["response_modes_supported"]


def test_K3_the_page_of_the_app_reads_the_answers_with_credentials(app: Flask) -> None:
    flow = Flow(sign_in(app), register(app, redirect_uris=("https://spa.example/",)))
    form = {
        "grant_type": "authorization_code",
        "client_id": flow.client.client_id,
        "redirect_uri": "https://spa.example/",
        "code_verifier": flow.verifier,
    }
    for code, status in ((flow.allow()["code"], 200), ("fpk_ac_nothing", 400)):
        answer = app.test_client().post(
            "/oauth/token", data={**form, "code": code}, headers={"Origin": "https://spa.example"}
        )
        assert answer.status_code == status
        # With `*` a browser gives the page nothing, as it sent credentials.
        assert answer.headers["Access-Control-Allow-Origin"] == "https://spa.example"
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"


def test_K4_the_access_token_decodes_where_the_client_is_registered_so(app: Flask) -> None:
    known = register(app, client_metadata={"access_token_format": "jwt"})
    flow = Flow(sign_in(app), known, scope="openid profile")
    tokens = flow.tokens(nonce="4b0a")
    claims = part_of(tokens["access_token"])
    assert claims["exp"] > claims["iat"]
    assert claims["sub"] == "1"
    assert read(app, tokens["id_token"])["nonce"] == "4b0a"


def test_K5_an_acr_is_asked_for_by_the_claims_parameter(app: Flask) -> None:
    @app.post("/second-factor")
    def second_factor() -> str:
        app.pkce.signed_in(current_user, acr="gold")
        return ""

    flow = Flow(sign_in(app), register(app), scope="openid")
    asked = json.dumps({"id_token": {"acr": {"values": ["silver", "gold"], "essential": True}}})
    refused = parameters_of(flow.authorize(claims=asked, prompt="none"))
    assert refused["error"] == "unmet_authentication_requirements"
    flow.browser.post("/second-factor")
    assert id_token(flow, claims=asked)["acr"] == "gold"


def test_K6_the_paths_of_a_realm_and_tokens_that_the_sdk_can_read() -> None:
    app, realm = make_app(PKCE_DIALECTS=["keycloak"]), "/realms/any/protocol/openid-connect"
    metadata = {"post_logout_redirect_uris": ["https://spa.example/"]}
    known = register(app, redirect_uris=("https://spa.example/",), client_metadata=metadata)
    flow, program = Flow(sign_in(app), known, scope="openid offline_access"), app.test_client()
    asked = flow.request(response_mode="fragment", nonce="n")
    back = flow.decide(flow.browser.get(f"{realm}/auth", query_string=asked))
    form = {
        "code": parameters_of(back)["code"],
        "grant_type": "authorization_code",
        "client_id": known.client_id,
        "redirect_uri": "https://spa.example/",
        "code_verifier": flow.verifier,
    }
    tokens = program.post(f"{realm}/token", data=form).get_json()
    assert part_of(tokens["access_token"])["exp"] > part_of(tokens["access_token"])["iat"]
    assert part_of(tokens["refresh_token"]) == {}
    again = {
        "grant_type": "refresh_token",
        "client_id": known.client_id,
        "refresh_token": tokens["refresh_token"],
    }
    fresh = program.post(f"{realm}/token", data=again).get_json()
    assert {"access_token", "refresh_token", "id_token"} <= set(fresh)
    bearer = {"Authorization": f"bearer {fresh['access_token']}"}
    assert program.get(f"{realm}/userinfo", headers=bearer).get_json()["sub"] == "1"
    leave = {
        "client_id": known.client_id,
        "id_token_hint": fresh["id_token"],
        "post_logout_redirect_uri": "https://spa.example/",
    }
    gone = flow.browser.get(f"{realm}/logout", query_string=leave)
    assert gone.headers["Location"] == "https://spa.example/"
    assert make_app(PKCE_DIALECTS=[]).test_client().get(f"{realm}/auth").status_code == 404


def test_K7_the_frames_of_a_realm_are_for_the_page_of_the_app_alone() -> None:
    app, realm = make_app(PKCE_DIALECTS=["keycloak"]), "/realms/any/protocol/openid-connect"
    known = register(app, redirect_uris=("https://spa.example/",))
    browser, page = app.test_client(), {"Referer": "https://spa.example/"}
    step = browser.get(f"{realm}/3p-cookies/step1.html", headers=page)
    message = browser.get(step.headers["Location"])
    assert 'data-message="supported"' in message.text
    frame = browser.get(f"{realm}/login-status-iframe.html", headers=page)
    for answer in (message, frame):
        policy = answer.headers["Content-Security-Policy"]
        assert "frame-ancestors https://spa.example" in policy

    def status(**asked: str) -> TestResponse:
        query = {"client_id": known.client_id, "origin": "https://spa.example", **asked}
        return browser.get(f"{realm}/login-status-iframe.html/init", query_string=query)

    assert status(session_state="").get_json() == {"status": "unchanged"}
    assert status(session_state="of-another-time").get_json() == {"status": "changed"}
    assert status(origin="https://evil.example").status_code == 400
    evil = {"Referer": "https://evil.example/"}
    assert browser.get(f"{realm}/login-status-iframe.html", headers=evil).status_code == 400
