"""What goes wrong in a view leaves as an error of its kind: a page, OAuth JSON or a document."""

from __future__ import annotations

import logging
import re
import secrets

import pytest
from flask import Flask
from werkzeug.exceptions import ImATeapot

from flask_pkce_server import ConfigurationError, Feature
from flask_pkce_server.protocol.declarations import Route
from flask_pkce_server.testing import Flow, register

from ..host import make_app, sign_in


class Broken(Feature):
    """A feature whose views fail."""

    name = "broken"
    raised: Exception | None = RuntimeError("a secret of the stack")

    def routes(self, server):
        for kind in ("page", "endpoint", "document"):
            yield Route(f"broken_{kind}", f"/broken/{kind}", self.fail, ("GET",), kind)

    def fail(self, server):
        if self.raised is not None:
            raise self.raised
        return {}


def broken_app(raised: Exception | None, **config) -> Flask:
    feature = Broken()
    feature.raised = raised
    return make_app(features=(feature,), **config)


@pytest.mark.parametrize("kind", ["page", "endpoint", "document"])
def test_an_unexpected_error_is_a_server_error_and_says_nothing(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = broken_app(RuntimeError("a secret of the stack"), TESTING=False)
    path = app.extensions["pkce"].paths[f"broken_{kind}"]
    answer = app.test_client().get(path)
    assert answer.status_code == 500
    assert "server_error" in answer.text
    assert "a secret of the stack" not in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert ("<h1>" in answer.text) is (kind == "page")
    assert "an unexpected error at" in caplog.text


def test_in_tests_and_in_debug_an_unexpected_error_is_seen() -> None:
    for mode in ({"TESTING": True}, {"TESTING": False, "DEBUG": True}):
        app = broken_app(RuntimeError("seen"), **mode)
        app.testing = True
        with pytest.raises(RuntimeError, match="seen"):
            app.test_client().get("/oauth/broken/endpoint")


def test_an_http_error_keeps_its_status() -> None:
    app = broken_app(ImATeapot())
    answer = app.test_client().get("/oauth/broken/endpoint")
    assert answer.status_code == 418
    assert answer.get_json()["error"] == "invalid_request"


def test_a_mistake_of_the_set_up_is_logged_with_the_line_to_write(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = broken_app(ConfigurationError("Not set up.", write="do_it()"), TESTING=False)
    with caplog.at_level(logging.ERROR):
        assert app.test_client().get("/oauth/broken/page").status_code == 500
    assert "Write: do_it()" in caplog.text


def test_without_tables_the_answer_is_a_server_error_and_the_log_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = make_app(init=False, TESTING=False)
    app.pkce.init_app(app)
    answer = app.test_client().post(
        "/oauth/token",
        data={"grant_type": "refresh_token", "client_id": "some-client"},
    )
    assert (answer.status_code, answer.get_json()["error"]) == (500, "server_error")
    assert "no such table: pkce_client" in caplog.text
    assert "some-client" not in caplog.text


def test_error_pages_have_a_reference_that_the_log_has_too(
    caplog: pytest.LogCaptureFixture, pkce_flow: Flow
) -> None:
    with caplog.at_level(logging.INFO, logger="flask_pkce_server"):
        page = pkce_flow.authorize(client_id="unknown")
    reference = re.search(r"Reference <code[^>]*>(\w+)</code>", page.text)[1]
    assert f"error page {reference}: invalid_client" in caplog.text


def test_a_host_replaces_the_error_page(tmp_path) -> None:
    (tmp_path / "pkce").mkdir()
    (tmp_path / "pkce" / "error.html").write_text(
        '{% extends "pkce/_error.html" %}{% block advice %}Call us.{% endblock %}'
    )
    app = make_app(init=False)
    app.template_folder = str(tmp_path)
    app.pkce.init_app(app)
    with app.app_context():
        app.db.create_all()
    page = app.test_client().get("/oauth/authorize")
    assert "Call us." in page.text
    assert "client_id is missing" in page.text


@pytest.mark.parametrize("kind", ["page", "endpoint", "document"])
def test_no_answer_is_taken_for_another_type(kind: str) -> None:
    for raised in (ImATeapot(), None):
        answer = broken_app(raised).test_client().get(f"/oauth/broken/{kind}")
        assert answer.status_code == (200 if raised is None else 418)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_head_request_issues_no_code_and_ends_no_session() -> None:
    # RFC 9110 9.2.1: HEAD is safe.
    app = make_app()
    browser = sign_in(app)
    flow = Flow(browser, register(app, skip_consent=True))
    for path, query in (("authorize", flow.request()), ("logout", {})):
        answer = browser.head(f"/oauth/{path}", query_string=query)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, POST, OPTIONS")
        assert "Location" not in answer.headers
    assert flow.tokens()["access_token"]
    # Documents and endpoints for programs answer it as they answer a GET.
    assert browser.head("/.well-known/openid-configuration").status_code == 200
    assert browser.head("/oauth/userinfo").status_code == 401


def test_a_request_that_fits_no_cookie_is_told_to_the_client() -> None:
    app = make_app()
    flow = Flow(app.test_client(), register(app))
    answer = flow.authorize(state="x" * 2048, nonce=secrets.token_hex(4000))
    assert "error=invalid_request" in answer.headers["Location"]
    signed_in = Flow(sign_in(app), flow.client)
    assert signed_in.authorize(state="x" * 2048).status_code == 200


def test_a_failure_while_a_request_is_checked_is_not_sent_to_the_client() -> None:
    class Failing(Feature):
        name = "failing"

        def check_authorization_request(self, request) -> None:
            raise RuntimeError("a secret of the stack")

    app = make_app(features=(Failing(),), TESTING=False)
    answer = Flow(sign_in(app), register(app)).authorize()
    assert answer.status_code == 500
    assert "Location" not in answer.headers
    assert "server_error" in answer.text
