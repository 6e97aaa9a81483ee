"""The pkce feature: RFC 7636, and RFC 9700 2.1.1, which makes it everybody's duty."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask_pkce_server import verifier_mismatched
from flask_pkce_server.testing import Flow, new_verifier, parameters_of, register
from flask_pkce_server.wire.code_challenge import challenge_of, is_challenge

METHODS = ["none", "client_secret_basic", "client_secret_post"]


@pytest.fixture(params=METHODS)
def flow(app: Flask, client: FlaskClient, request: pytest.FixtureRequest) -> Flow:
    """A sign-in of a public client and of confidential ones: the rule is the same."""
    return Flow(client, register(app, auth_method=request.param))


def test_the_challenge_is_that_of_rfc_7636_appendix_b() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None},
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge": ""},
        {"code_challenge_method": None},
        {"code_challenge_method": ""},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": "s256"},
        {"code_challenge_method": "S512"},
        {"code_challenge": "~" * 43},
        {"code_challenge": "a" * 42},
        {"code_challenge": "a" * 44},
        {"code_challenge": "a" * 128},
        {"code_challenge": "a" * 42 + "\n"},
        {"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM="},
        {"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cN"},
    ],
)
def test_no_code_without_an_s256_challenge(flow: Flow, changes: dict[str, str | None]) -> None:
    # RFC 9700 2.1.1; the error goes to the client, with its state.
    answer = parameters_of(flow.authorize(**changes))
    assert answer["error"] == "invalid_request"
    assert "code" not in answer
    assert answer["state"] == flow.state


@pytest.mark.parametrize(
    ("verifier", "error"),
    [
        (None, "invalid_request"),
        ("", "invalid_request"),
        ("a" * 31, "invalid_request"),
        ("a" * 42, "invalid_request"),
        ("a" * 129, "invalid_request"),
        ("a" * 42 + "+", "invalid_request"),
        ("é" * 43, "invalid_request"),
        ("a" * 43, "invalid_grant"),
        ("a" * 128, "invalid_grant"),
    ],
)
def test_no_tokens_without_the_verifier(flow: Flow, verifier: str | None, error: str) -> None:
    code = flow.allow()["code"]
    answer = flow.redeem(code, code_verifier=verifier)
    assert (answer.status_code, answer.get_json()["error"]) == (400, error)


def test_the_challenge_itself_is_no_verifier(flow: Flow) -> None:
    code = flow.allow()["code"]
    answer = flow.redeem(code, code_verifier=challenge_of(flow.verifier))
    assert answer.get_json()["error"] == "invalid_grant"


def test_a_wrong_verifier_does_not_burn_the_code(flow: Flow) -> None:
    # Else whoever stole the code could keep its owner from using it.
    told = []
    verifier_mismatched.connect(lambda app, **facts: told.append(facts), weak=False)
    code = flow.allow()["code"]
    assert flow.redeem(code, code_verifier=new_verifier()).status_code == 400
    assert flow.redeem(code).status_code == 200
    assert told[-1] == {"client_id": flow.client.client_id, "subject": "1"}


@pytest.mark.parametrize("length", [43, 128])
def test_verifiers_of_every_allowed_length_and_character_are_good(flow: Flow, length: int) -> None:
    # RFC 7636 4.1
    flow.verifier = ("-._~" + "aZ09" * 32)[:length]
    assert flow.tokens()["access_token"]


def test_a_challenge_has_one_spelling() -> None:
    assert is_challenge("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
    assert not is_challenge("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cO")


def test_nothing_is_minted_when_the_extension_is_not_there(flow: Flow) -> None:
    # The check is in the grant too, and not only in a hook of Authlib.
    code = flow.allow()["code"]
    for grants in (flow.server._authorization_grants, flow.server._token_grants):
        grants[:] = [(grant, []) for grant, _ in grants]
    answer = parameters_of(flow.decide(flow.authorize(scope="notes:read")))
    assert answer["error"] == "invalid_request"
    assert flow.redeem(code).get_json()["error"] == "invalid_grant"
