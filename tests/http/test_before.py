"""What the host's own functions raise around our views, and who answers it."""

from __future__ import annotations

import pytest
from flask import Flask, abort, jsonify
from sqlalchemy.exc import IntegrityError, OperationalError
from werkzeug.exceptions import HTTPException

from ..host import make_app


def gone() -> None:
    error = OperationalError("SELECT 1", {}, ConnectionError("secret"))
    error.connection_invalidated = True
    raise error


@pytest.fixture
def app() -> Flask:
    return make_app(TESTING=False, PROPAGATE_EXCEPTIONS=False)


def unavailable_for_all(app: Flask) -> None:
    answers = [app.test_client().get(f"/oauth/{path}") for path in ("token", "jwks", "apps")]
    for answer in answers:
        assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "1")
        assert answer.headers["Cache-Control"] == "no-store"
    assert [answer.mimetype for answer in answers] == [*["application/json"] * 2, "text/html"]
    assert "Try again in a moment." in answers[2].text


def test_a_database_that_fails_before_our_view_is_503(app: Flask) -> None:
    app.before_request(gone)
    unavailable_for_all(app)
    assert app.test_client().get("/login").status_code == 500


def test_a_database_that_fails_after_our_view_is_503(app: Flask) -> None:
    app.after_request(lambda response: gone())
    unavailable_for_all(app)


def test_a_handler_of_the_host_is_not_asked_about_its_database(app: Flask) -> None:
    app.before_request(gone)
    app.register_error_handler(OperationalError, lambda error: ("of the host", 500))
    unavailable_for_all(app)
    assert app.test_client().get("/login").text == "of the host"


@pytest.mark.parametrize("handled", [404, HTTPException, Exception])
def test_what_the_host_refuses_is_answered_by_its_handlers(
    app: Flask, handled: type[Exception] | int
) -> None:
    app.before_request(lambda: abort(404))
    app.register_error_handler(handled, lambda error: (jsonify(code=error.code), error.code))
    for path in ("/oauth/token", "/login"):
        answer = app.test_client().get(path)
        assert (answer.status_code, answer.get_json()) == (404, {"code": 404})


@pytest.mark.parametrize("handled", [IntegrityError, Exception])
def test_what_fails_in_the_host_is_answered_by_its_handlers(
    app: Flask, handled: type[Exception]
) -> None:
    @app.before_request
    def fail() -> None:
        raise IntegrityError("INSERT", {}, ValueError())

    app.register_error_handler(handled, lambda error: (type(error).__name__, 500))
    for path in ("/oauth/token", "/login"):
        assert app.test_client().get(path).text == "IntegrityError"


@pytest.mark.parametrize("handled", [False, True])
def test_what_nobody_handles_is_the_500_of_the_host(
    app: Flask, caplog: pytest.LogCaptureFixture, handled: bool
) -> None:
    @app.before_request
    def fail() -> None:
        raise ValueError

    if handled:
        app.register_error_handler(500, lambda error: ("of the host", 500))
    for path in ("/oauth/token", "/login"):
        answer = app.test_client().get(path)
        assert answer.status_code == 500
        assert ("of the host" if handled else "<h1>Internal Server Error</h1>") in answer.text
    # Flask has logged both, and told those that watch for exceptions.
    assert caplog.text.count("Exception on /") == 2
