"""Consent: no view of the host decides for the user about the app of a stranger."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
from flask import Flask

from flask_pkce_server.errors import ConfigurationError
from flask_pkce_server.testing import (
    Flow,
    RegisteredClient,
    hidden_fields,
    parameters_of,
    register,
    server_of,
)

from ..client_documents import Web
from ..host import make_app, sign_in

EVIL = "https://evil.example/callback"
DOCUMENT = "https://evil.example/client.json"
SCOPE = "profile notes:read notes:write offline_access"
OPEN = {"client_id_metadata": True, "developer_portal": True, "registration": True}


def registered_by_itself(app: Flask, name: str) -> str:
    said = {"client_name": name, "redirect_uris": [EVIL], "token_endpoint_auth_method": "none"}
    answer = app.test_client(use_cookies=False).post("/oauth/register", json=said)
    return str(answer.get_json()["client_id"])


def described_by_a_document(app: Flask, name: str) -> str:
    document = {"client_id": DOCUMENT, "client_name": name, "redirect_uris": [EVIL]}
    server_of(app).fetcher = Web(document)
    return DOCUMENT


def registered_in_the_portal(app: Flask, name: str) -> str:
    browser, path = sign_in(app, "bob"), "/oauth/developer"
    form = {"kind": "browser", "name": name, "redirect_uris": EVIL, "scope": SCOPE.split()}
    page = browser.post(path, data={**hidden_fields(browser.get(path).text), **form})
    found = re.search(r'id="client_id" readonly[^>]*value="([^"]+)"', page.text)
    assert found
    return found[1]


WAYS = (registered_by_itself, described_by_a_document, registered_in_the_portal)


@pytest.fixture
def app() -> Flask:
    return make_app(PKCE_FEATURES=OPEN)


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def stranger(app: Flask, request: pytest.FixtureRequest) -> RegisteredClient:
    return RegisteredClient(request.param(app, "Our own"), None, EVIL, "none")


def test_a_link_gets_no_code_from_a_view_that_goes_by_the_name(
    app: Flask, stranger: RegisteredClient, caplog: pytest.LogCaptureFixture
) -> None:
    # RFC 6749 10.2: no code without the user where the client cannot be sure to be itself.
    @app.pkce.consent_view
    def let_in(consent: Any) -> Any:
        return consent.allow() if consent.client.client_name == "Our own" else None

    flow = Flow(sign_in(app), stranger, scope=SCOPE)
    with pytest.raises(ConfigurationError, match=r"is_warned_of: return None"):
        flow.authorize()
    # In production, the user gets an error page and the browser stays here.
    app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)
    with caplog.at_level(logging.CRITICAL):
        answer = flow.authorize()
    assert answer.status_code == 500
    assert "Location" not in answer.headers
    assert EVIL not in answer.text


def test_a_form_without_a_decision_gets_no_code_from_the_view(
    app: Flask, stranger: RegisteredClient
) -> None:
    flow = Flow(sign_in(app), stranger, scope=SCOPE)
    page = flow.authorize()
    app.pkce.consent_view(lambda consent: consent.allow())
    with pytest.raises(ConfigurationError, match=r"is_warned_of: return None"):
        flow.decide(page, "neither")


def test_the_decision_of_the_user_in_the_form_of_the_host_counts(
    app: Flask, stranger: RegisteredClient
) -> None:
    app.pkce.consent_view(form_of_the_host)
    flow = Flow(sign_in(app), stranger, scope="profile")
    page = flow.authorize()
    assert page.text.startswith("Our own?")
    assert "code" in parameters_of(flow.decide(page))


def test_a_view_that_denies_sends_nobody_to_a_stranger(
    app: Flask, stranger: RegisteredClient
) -> None:
    # RFC 9700 4.11.2: our link would lead there before the user was asked.
    app.pkce.consent_view(lambda consent: consent.deny())
    flow = Flow(sign_in(app), stranger, scope="profile")
    answer = flow.authorize()
    assert (answer.status_code, "Location" in answer.headers) == (400, False)
    assert parameters_of(flow.authorize(prompt="none"))["error"] == "consent_required"


def test_a_view_allows_and_denies_the_apps_of_the_operator(app: Flask) -> None:
    flow = Flow(sign_in(app), register(app, name="Our own"), scope="profile")
    app.pkce.consent_view(lambda consent: consent.deny())
    assert parameters_of(flow.authorize())["error"] == "access_denied"
    app.pkce.consent_view(lambda consent: consent.allow())
    assert "code" in parameters_of(flow.authorize())


def form_of_the_host(consent: Any) -> str:
    return (
        f"{consent.client.client_name}?<form method=post action={consent.action}>"
        f"{consent.form.csrf_token}{consent.form.request}"
        "<button name=decision value=allow>Yes</button></form>"
    )
