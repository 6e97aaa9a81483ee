"""What people who read about PKCE expect of a server, one test for each label.

The labels are those of the descriptions that this server is measured by: MO, RF, CE, A, U,
NA and T (traps). These wait for rooms that are not built yet:

- the ID token in MO9 and RF9, amr and acr in U8: OpenID Connect;
- A4 (`/v2/logout`, `web_message`) and the path dialects of MO and Keycloak: dialects, logout;
- A5 (`prompt=none`): OpenID Connect; A11: client_credentials; A12: device_code;
- CE12 and the warning of U4 (a challenge that is used again): the inspector;
- the confirmation of self-registered clients without a scope (CE4): registration.
"""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from flask import Flask
from sqlalchemy import select

from flask_pkce_server import ConfigurationError
from flask_pkce_server.errors import InvalidRequestError
from flask_pkce_server.models.authorization_code import AuthorizationCode
from flask_pkce_server.models.base import Base
from flask_pkce_server.testing import Flow, Registered, new_verifier, parameters_of, server_of

from .conftest import sign_in
from .host import make_app

Register = Callable[..., Registered]


def call_api(app: Flask, token: str):
    program = app.test_client(use_cookies=False)
    return program.get("/api/me", headers={"Authorization": f"Bearer {token}"})


def confidential(app: Flask, register: Register, method: str = "client_secret_basic") -> Flow:
    return Flow(sign_in(app), register(auth_method=method))


def error_of(response) -> str:
    return response.get_json()["error"]


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


def test_RF1_A6_A7_U5_the_challenge_is_the_base64url_sha256_of_the_verifier(
    pkce_flow: Flow,
) -> None:
    digest = hashlib.sha256(pkce_flow.verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    code = pkce_flow.allow(code_challenge=challenge)["code"]
    assert pkce_flow.redeem(code).status_code == 200
    padded = parameters_of(pkce_flow.authorize(code_challenge=challenge + "="))
    assert padded["error"] == "invalid_request"


def test_RF4_U8_how_the_user_signs_in_is_the_hosts_business(pkce_flow: Flow) -> None:
    # The browser was signed in before, by whatever the host has.
    assert pkce_flow.authorize().status_code == 200


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
    from flask_pkce_server.models.client import new_client

    with pytest.raises(InvalidRequestError, match="at least one redirect URI"):
        new_client(
            client_name="None",
            redirect_uris=(),
            auth_method="none",
            grant_types=["authorization_code"],
            now=0,
        )


def test_CE2_a_client_without_redirect_uris_cannot_use_authorize(
    app: Flask, pkce_register: Register
) -> None:
    machine = pkce_register(auth_method="client_secret_basic", grant_types=["refresh_token"])
    answer = parameters_of(Flow(sign_in(app), machine).authorize())
    assert answer["error"] == "unauthorized_client"


def test_CE3_consent_is_asked_when_there_is_a_scope_to_be_granted(pkce_flow: Flow) -> None:
    assert pkce_flow.authorize(scope="profile").status_code == 200


def test_CE4_no_scope_to_grant_is_no_consent_screen(pkce_flow: Flow) -> None:
    assert "code" in parameters_of(pkce_flow.authorize(scope=None))


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


def test_A1_A2_U14_a_single_page_app_has_no_secret(app: Flask, pkce_register: Register) -> None:
    spa = pkce_register(redirect_uris=("http://localhost:3000",))
    assert spa.client_secret is None
    assert Flow(sign_in(app), spa).tokens()["access_token"]


@pytest.mark.parametrize("state", ["a b+c", "%2F%20", "ümlaut/=?&#", "eyJhIjoxfQ=="])
def test_A3_state_comes_back_byte_for_byte(pkce_flow: Flow, state: str) -> None:
    assert pkce_flow.allow(state=state)["state"] == state


@pytest.mark.parametrize("method", [None, "plain", "s256", "S512"])
def test_A8_the_method_is_s256_and_is_said(pkce_flow: Flow, method: str | None) -> None:
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


@pytest.mark.parametrize("response_type", ["token", "id_token", "id_token token", "code token"])
def test_A10_the_implicit_flow_is_refused(pkce_flow: Flow, response_type: str) -> None:
    refused = parameters_of(pkce_flow.authorize(response_type=response_type))
    assert refused["error"] == "unsupported_response_type"


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


def test_T1_the_verifier_of_the_tutorials_is_too_short(pkce_flow: Flow) -> None:
    short = "A8hf7K9mPq2XvL4nRt6YwZ1bCd3JkLm"
    assert len(short) == 31
    code = pkce_flow.allow()["code"]
    assert error_of(pkce_flow.redeem(code, code_verifier=short)) == "invalid_request"


def test_T2_a_challenge_in_hexadecimal_is_refused(pkce_flow: Flow) -> None:
    hexadecimal = hashlib.sha256(pkce_flow.verifier.encode()).hexdigest()
    refused = parameters_of(pkce_flow.authorize(code_challenge=hexadecimal))
    assert refused["error"] == "invalid_request"


def test_Spring_the_issuer_is_byte_for_byte_the_configured_one() -> None:
    for issuer in ("https://auth.example", "https://auth.example/"):
        app = make_app(PKCE_ISSUER=issuer)
        found = app.test_client().get("/.well-known/openid-configuration").get_json()
        assert found["issuer"] == issuer == server_of(app).issuer


def test_Keycloak_a_fragment_and_a_verifier_of_96_characters(pkce_flow: Flow) -> None:
    pkce_flow.verifier = "v" * 96
    response = pkce_flow.decide(
        pkce_flow.authorize(response_mode="fragment", kc_idp_hint="x", ui_locales="de")
    )
    assert "#code=" in response.headers["Location"]
    assert pkce_flow.redeem(parameters_of(response)["code"]).status_code == 200
