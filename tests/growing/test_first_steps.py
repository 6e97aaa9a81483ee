"""The first steps of docs/growing.md: SQLite, and one server of PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask

from flask_pkce_server.testing import Flow, register

from ..host import make_app, sign_in
from ..services import own_database
from .page import config_of


def check(app: Flask) -> None:
    """Run a sign-in, and hear what the doctor says of the database."""
    flow = Flow(sign_in(app), register(app))
    assert flow.refresh(flow.tokens()["refresh_token"]).status_code == 200
    findings = app.test_cli_runner().invoke(args=["pkce", "doctor"]).output
    assert "OK    All tables are there." in findings
    assert not [line for line in findings.splitlines() if "SQL" in line and "OK" not in line]


def test_sqlite_with_the_settings_of_the_page(tmp_path: Path) -> None:
    config = config_of("SQLite")
    assert config.pop("SQLALCHEMY_DATABASE_URI").startswith("sqlite:////")
    check(make_app(SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/app.db", **config))


@pytest.mark.services
def test_postgresql_with_the_settings_of_the_page() -> None:
    config = config_of("PostgreSQL")
    with own_database("postgresql") as uri:
        assert uri.startswith(config.pop("SQLALCHEMY_DATABASE_URI").partition("://")[0])
        app = make_app(SQLALCHEMY_DATABASE_URI=uri, **config)
        check(app)
        with app.app_context():
            app.db.engine.dispose()
