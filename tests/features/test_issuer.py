"""The issuer feature: RFC 8414 2, RFC 9207."""

from __future__ import annotations

import pytest

from flask_pkce_server import ConfigurationError
from flask_pkce_server.testing import Flow, parameters_of, register

from ..host import ISSUER, make_app, sign_in


def test_iss_is_in_every_answer_that_the_browser_carries(pkce_flow: Flow) -> None:
    # RFC 9207 2: success and error alike.
    page = pkce_flow.authorize()
    denied = parameters_of(pkce_flow.decide(page, "deny"))
    refused = parameters_of(pkce_flow.authorize(scope="unheard-of"))
    unbound = parameters_of(pkce_flow.authorize(code_challenge=None))
    assert denied["iss"] == refused["iss"] == unbound["iss"] == pkce_flow.allow()["iss"] == ISSUER


@pytest.mark.parametrize(
    "issuer", ["https://auth.example/", "https://auth.example/t1", "http://127.0.0.1:8080"]
)
def test_the_issuer_is_kept_byte_for_byte(issuer: str) -> None:
    app = make_app(PKCE_ISSUER=issuer)
    flow = Flow(sign_in(app), register(app))
    document = app.test_client().get("/.well-known/oauth-authorization-server").get_json()
    assert document["issuer"] == issuer == flow.allow()["iss"]
    assert document["token_endpoint"] == issuer.rstrip("/") + "/oauth/token"


@pytest.mark.parametrize(
    ("issuer", "why"),
    [
        ("http://auth.example", "https"),
        ("http://127.0.0.1.evil.example", "https"),
        ("ftp://auth.example", "https"),
        ("auth.example", "https"),
        ("https://Auth.example", "canonical"),
        ("HTTPS://auth.example", "canonical"),
        ("https://auth.example:443", "canonical"),
        ("https://auth.example:", "canonical"),
        ("https://auth.example?x=1", "query"),
        ("https://auth.example#x", "fragment"),
        ("https://ada@auth.example", "user"),
        ("https://aüth.example", "xn--"),
        ("https://auth.example:port", "not a URL"),
    ],
)
def test_an_issuer_that_clients_would_spell_otherwise_is_refused(issuer: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        make_app(PKCE_ISSUER=issuer)


def test_outside_debug_the_issuer_must_be_set() -> None:
    with pytest.raises(ConfigurationError, match="PKCE_ISSUER is not set"):
        make_app(PKCE_ISSUER=None, TESTING=False)


def test_in_debug_an_unset_issuer_is_the_port_of_the_socket_and_never_the_host_header() -> None:
    app = make_app(PKCE_ISSUER=None, PKCE_DIALECTS=[])
    document = app.test_client().get(
        "/.well-known/oauth-authorization-server",
        headers={"Host": "evil.example"},
        environ_overrides={"SERVER_PORT": "5050"},
    )
    assert document.get_json()["issuer"] == "http://127.0.0.1:5050"


def test_without_a_request_an_unset_issuer_has_the_port_that_flask_run_would_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = make_app(PKCE_ISSUER=None, PKCE_DIALECTS=[])
    assert app.extensions["pkce"].issuer == "http://127.0.0.1:5000"
    monkeypatch.setenv("FLASK_RUN_PORT", "80")
    assert app.extensions["pkce"].issuer == "http://127.0.0.1"


def test_doctor_speaks_of_the_issuer() -> None:
    for issuer, level in ((ISSUER, "OK"), (None, "WARN")):
        result = make_app(PKCE_ISSUER=issuer).test_cli_runner().invoke(args=["pkce", "doctor"])
        assert f"{level:4}  " in result.output
        assert "issuer" in result.output.lower()
