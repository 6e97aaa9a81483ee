"""The host's session that loses its connection when the answer is complete."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask, Response

from ..host import make_app, sign_in


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    return make_app(
        TESTING=False,
        PROPAGATE_EXCEPTIONS=False,
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/app.db",
    )


def test_the_answer_is_sent_and_the_session_is_forgotten(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    session = app.db.session

    @app.after_request
    def lose(response: Response) -> Response:
        session.connection().connection.driver_connection.close()
        return response

    browser = sign_in(app)
    for _ in range(2):
        assert browser.get("/oauth/apps").status_code == 200
    # A later context may have the same identity.
    assert session.registry.registry == {}
    with app.app_context():
        assert app.db.engine.pool.checkedout() == 0
    assert caplog.text.count("the database is not available") == 3


def test_any_other_error_is_raised(app: Flask) -> None:
    def fail() -> None:
        raise ValueError("of the host")

    with pytest.raises(ValueError, match="of the host"), app.app_context():
        app.db.session().close = fail
    assert app.db.session.registry.registry == {}
