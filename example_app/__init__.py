"""A small but complete host app: a notes app with its own authorization server.

    flask --app example_app run
    gunicorn 'example_app:create_app()'

Configuration comes from the environment by Flask's own convention: `FLASK_PKCE_ISSUER`,
`FLASK_SQLALCHEMY_DATABASE_URI`, `FLASK_SECRET_KEY`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from flask import Flask

from . import account, api, commands, demo, login, mcp, pages
from .extensions import csrf, db, login_manager, pkce
from .headers import add_headers
from .texts import SENTENCES
from .unavailable import handle_lost_database


def create_app(test_config: Mapping[str, Any] | None = None) -> Flask:
    """Create the app; `test_config` overrides the environment."""
    app = Flask(__name__, instance_relative_config=True)
    Path(app.instance_path).mkdir(parents=True, exist_ok=True)
    app.config.from_mapping(
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{Path(app.instance_path) / 'notes.db'}",
        # Auth0's SDK expects the slash at the end.
        PKCE_ISSUER=f"http://127.0.0.1:{_port()}/",
        PKCE_SITE_NAME="Marginalia",
        PKCE_SCOPES={
            "profile": "See your name and e-mail address",
            "notes:read": "Read your notes",
            "notes:write": "Write notes for you",
            "calendar:read": "See your calendar",
        },
        # The scope sentences in the languages of the pages.
        PKCE_TEXTS=SENTENCES,
        # The consent page and all other pages use this app's own layout and colours.
        PKCE_LAYOUT_TEMPLATE="layout.html",
        PKCE_STYLESHEET="/static/pkce.css",
        # Users can decline this scope, choose for how long, and register their own apps.
        PKCE_CONSENT_OPTIONAL_SCOPES=["calendar:read"],
        PKCE_CONSENT_DAYS=[0, 90],
        PKCE_FEATURES={"developer_portal": True, "registration": True},
        # Apps that use these products' SDKs can sign in here too: see example_app/react.
        PKCE_DIALECTS=["auth0", "okta", "keycloak"],
        # The API in example_app/resource_server.py, which runs in another process.
        PKCE_JWT_ACCESS_TOKEN_RESOURCES={"http://127.0.0.1:5002": ["calendar:read"]},
        PKCE_CONNECTED_APPS_NOTE_USE=True,
        PKCE_SQLITE_PRAGMAS=True,
        SESSION_COOKIE_SAMESITE="Lax",
    )
    app.config.from_prefixed_env()
    app.config.update(test_config or {})
    # from_prefixed_env() turns a key that consists only of digits into a number.
    app.config["SECRET_KEY"] = str(app.config["SECRET_KEY"] or _kept_secret(app))

    db.init_app(app)
    login_manager.init_app(app)
    csrf.init_app(app)
    # Before the extension's, so that it runs after them and sees the policy of their pages.
    app.after_request(add_headers)
    pkce.init_app(app)
    if app.extensions["pkce"].issuer.startswith("https:"):
        app.config["SESSION_COOKIE_SECURE"] = True
    app.jinja_env.globals["is_demo"] = demo.is_demo
    for module in (pages, login, account, api, mcp):
        app.register_blueprint(module.blueprint)
    app.cli.add_command(commands.user)
    handle_lost_database(app)
    with app.app_context():
        demo.fill_once()
    return app


def _port() -> str:
    """Return the port that `flask run` was given, or else the default."""
    command = click.get_current_context(silent=True)
    port = command.params.get("port") if command is not None else None
    return str(port or os.environ.get("FLASK_RUN_PORT", "5000"))


def _kept_secret(app: Flask) -> str:
    """Return the demo's key, created at its first start; a real host sets its own."""
    path = Path(app.instance_path) / "secret_key"
    draft = path.with_name(f"secret_key.{os.getpid()}")
    if not path.exists():
        draft.write_text(secrets.token_hex())
        draft.chmod(0o600)
        try:
            # The first worker's key is used by all of them.
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text()
