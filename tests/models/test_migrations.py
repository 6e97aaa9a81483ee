"""The migration that Alembic generates for our tables runs as it was generated."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..services import own_database

ROOT = Path(__file__).parents[2]
HOST = """
from flask import Flask
from flask_login import LoginManager, UserMixin
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_pkce_server import PKCEServer
from sqlalchemy.orm import Mapped, mapped_column

app, db = Flask(__name__), SQLAlchemy()
app.config.from_prefixed_env()
db.init_app(app)
LoginManager(app)
Migrate(app, db)
PKCEServer(db).init_app(app)


class User(UserMixin, db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
"""


@contextmanager
def database(service: str, tmp_path: Path) -> Iterator[str]:
    if service == "sqlite":
        yield f"sqlite:///{tmp_path}/app.db"
    else:
        with own_database(service) as url:
            yield url


@pytest.fixture
def flask(tmp_path: Path) -> Callable[..., str]:
    """Give a function that runs `flask` on a host with Flask-Migrate, and returns its output."""
    (tmp_path / "host.py").write_text(HOST)

    def run(url: str, *command: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "flask", "--app", "host", *command],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "FLASK_SECRET_KEY": secrets.token_hex(),
                "FLASK_PKCE_ISSUER": "https://auth.example",
                "FLASK_SQLALCHEMY_DATABASE_URI": url,
            },
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    return run


@pytest.mark.programs
@pytest.mark.parametrize(
    "service",
    [
        "sqlite",
        pytest.param("postgresql", marks=[pytest.mark.services, pytest.mark.thorough]),
        pytest.param("mariadb", marks=[pytest.mark.services, pytest.mark.thorough]),
    ],
)
def test_a_generated_migration_runs_unedited_and_a_second_finds_nothing(
    service: str, tmp_path: Path, flask: Callable[..., str]
) -> None:
    with database(service, tmp_path) as url:
        flask(url, "db", "init")
        flask(url, "db", "migrate", "-m", "pkce")
        (migration,) = (tmp_path / "migrations" / "versions").glob("*.py")
        text = migration.read_text()
        assert "pkce_token" in text
        # It lives for years, and must not hang on names inside of this package.
        assert "flask_pkce_server" not in text
        flask(url, "db", "upgrade")
        assert "No changes in schema detected" in flask(url, "db", "migrate")
        # Nor does SQLite give the key of a deleted user again.
        found = flask(url, "pkce", "doctor", "--json")
        assert "Each user has a subject of their own." in found
        assert '"level": "FAIL"' not in found
