"""A small host app for the tests: Flask-Login, one user model, one guarded API."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from flask import Flask, request
from flask.testing import FlaskClient
from flask_login import LoginManager, UserMixin, login_user, logout_user
from flask_sqlalchemy import SQLAlchemy
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column
from werkzeug.routing import Rule

from flask_pkce_server import Feature, PKCEServer, current_token
from flask_pkce_server.features.dialects import DIALECTS
from flask_pkce_server.models.base import Base
from flask_pkce_server.wire.remembered import Remembered

#: The same in the processes that a test starts.
SECRET_KEY = os.environ.setdefault("PKCE_TEST_SECRET_KEY", secrets.token_hex())
ISSUER = "https://auth.example"
#: With PKCE_TEST_DIALECTS=1 the whole suite is run with all of them on: no answer changes.
SPOKEN = list(DIALECTS) if os.environ.get("PKCE_TEST_DIALECTS") == "1" else []


class Compiled(BytecodeCache):
    """The templates, compiled once for all apps of a process."""

    def __init__(self) -> None:
        self.known: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self.known:
            bucket.bytecode_from_string(self.known[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.known[bucket.key] = bucket.bytecode_to_string()


COMPILED = Compiled()
#: What builds the URLs of a rule: for Werkzeug each app's is another one, and compiling them
#: is a good part of what making an app takes.
BUILDERS: dict[Any, Any] = {}
_compile_builder = Rule._compile_builder


def _compile_once(rule: Rule, append_unknown: bool = True) -> Any:
    key = (rule.rule, tuple(rule._trace), str(rule.defaults), append_unknown)
    if key not in BUILDERS:
        BUILDERS[key] = _compile_builder(rule, append_unknown)
    return BUILDERS[key]


Rule._compile_builder = _compile_once  # type: ignore[method-assign]


db = SQLAlchemy()


class User(UserMixin, db.Model):  # type: ignore[name-defined,misc]
    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(80), unique=True)
    name: Mapped[str] = mapped_column(String(80))
    active: Mapped[bool] = mapped_column(default=True)

    @property
    def is_active(self) -> bool:
        return self.active


#: What fills an empty SQLite, by the names of its tables: found out once in a process.
SCRIPTS: dict[frozenset[str], str] = {}
STATEMENTS: dict[str, Any] = {}


def make_app(*, features: tuple[Feature, ...] = (), init: bool = True, **config: Any) -> Flask:
    """Make the host app; `config` is put over the defaults.

    Signing in is a POST to /login with a username; the users are `ada` and `bob`.
    """
    app = Flask("host")
    app.jinja_options = {"bytecode_cache": COMPILED}
    app.config.update(
        TESTING=True,
        SECRET_KEY=SECRET_KEY,
        SQLALCHEMY_DATABASE_URI="sqlite://",
        PKCE_ISSUER=ISSUER,
        PKCE_SCOPES={
            "profile": "See your name and profile",
            "notes:read": "Read your notes",
            "notes:write": "Write notes for you",
        },
    )
    wanted = config.get("PKCE_FEATURES")
    if SPOKEN and not (isinstance(wanted, dict) and wanted.get("dialects") is False):
        app.config["PKCE_DIALECTS"] = SPOKEN
    app.config.update(config)
    db.init_app(app)
    login = LoginManager(app)
    login.login_view = "login_page"
    login.login_message = ""

    @login.user_loader
    def load_user(user_id: str) -> User | None:
        return db.session.get(User, int(user_id))

    @app.route("/login", methods=["GET", "POST"])
    def login_page() -> Any:
        if request.method == "GET":
            return (
                "<h1>Sign in</h1><form method=post><input name=username><button>Go</button></form>"
            )
        user = db.session.scalar(db.select(User).filter_by(username=request.form["username"]))
        login_user(user)
        return "", 303, {"Location": request.args.get("next", "/")}

    @app.post("/logout")
    def logout() -> str:
        logout_user()
        return ""

    app.db, app.User = db, User  # type: ignore[attr-defined]
    app.pkce = pkce = PKCEServer(db, features=features)  # type: ignore[attr-defined]

    @app.route("/api/me", methods=["GET", "POST"])
    @pkce.require("profile")
    def me() -> dict[str, Any]:
        return {
            "name": current_token.user.name,
            "subject": current_token.subject,
            "client_id": current_token.client_id,
            "scopes": sorted(current_token.scopes),
            "bindings": dict(current_token.bindings),
        }

    @app.get("/api/notes")
    @pkce.require("notes:read")
    def notes() -> list[str]:
        return ["milk"]

    @app.get("/api/notes/async")
    @pkce.require("notes:read")
    async def notes_async() -> list[str]:
        return [current_token.subject]

    if init:
        pkce.init_app(app)
        with app.app_context():
            fill()
    return app


def fill() -> None:
    """Make the tables and the users, on the database of the current app."""
    tables, engine = frozenset(db.metadata.tables), db.engine
    is_sqlite = engine.dialect.name == "sqlite"
    if engine.url.render_as_string() == "sqlite://":
        # Statements are compiled for a dialect: one for all databases in memory.
        STATEMENTS.setdefault("dialect", engine.dialect)
        STATEMENTS.setdefault("_compiled_cache", engine._compiled_cache)
        vars(engine).update(STATEMENTS)
    if is_sqlite and tables in SCRIPTS:
        with closing(engine.raw_connection()) as connection:
            connection.driver_connection.executescript(SCRIPTS[tables])
        return
    db.create_all()
    db.session.add_all(
        [User(username="ada", name="Ada Lovelace"), User(username="bob", name="Bob")]
    )
    db.session.commit()
    if is_sqlite:
        with closing(engine.raw_connection()) as connection:
            SCRIPTS[tables] = "\n".join(connection.driver_connection.iterdump())


def sign_in(app: Flask, username: str = "ada") -> FlaskClient:
    """Return a browser in which `username` is signed in."""
    browser = app.test_client()
    browser.post("/login", data={"username": username})
    return browser


class Lending:
    """The apps of this process that wait for the next test, by how they are made.

    Making an app, and warming it, takes longer than most tests. An app comes back with the
    rows of a new one; one that a test changed in any other way does not come back. With
    `is_on` unset, as in `make test-all`, every test has an app of its own.
    """

    def __init__(self) -> None:
        self.is_on = True
        self.idle: dict[str, list[tuple[Flask, dict[str, Any], str]]] = {}

    @contextmanager
    def app(self, make: Callable[..., Flask], **config: Any) -> Iterator[Flask]:
        """Lend the app that `make(**config)` gives."""
        if not self.is_on:
            yield make(**config)
            return
        waiting = self.idle.setdefault(f"{make.__module__}.{make.__qualname__} {config}", [])
        if not waiting:
            app = make(**config)
            waiting.append((app, _look_of(app), _rows_of(app)))
        app, look, rows = waiting.pop()
        yield app
        if _look_of(app) == look:
            connection = _connection_of(app)
            connection.rollback()
            connection.executescript(rows)
            _forget(app)
            waiting.append((app, look, rows))


lending = Lending()
_HOOKS = (
    *("before_request_funcs", "after_request_funcs", "teardown_request_funcs"),
    *("template_context_processors", "error_handler_spec", "teardown_appcontext_funcs"),
)


def _rows_of(app: Flask) -> str:
    """Return the script that brings back the rows that `app` has now."""
    lines = list(_connection_of(app).iterdump())
    with app.app_context():
        # The last of these is where SQLite counts the users.
        tables = [*db.metadata.tables, *Base.metadata.tables, "sqlite_sequence"]
    empty = [f'DELETE FROM "{name}";' for name in dict.fromkeys(tables)]  # noqa: S608 - our tables
    rows = [line for line in lines if line.startswith("INSERT INTO")]
    return "\n".join(["BEGIN;", *empty, *rows, "COMMIT;"])


def _forget(app: Flask) -> None:
    """Take away what the app and the features keep in memory."""
    server = app.extensions["pkce"]
    server.keys._keys, server.keys._read_at, server.keys._missed_at = {}, None, 0
    for feature in server.hooks.features:
        for memory in vars(feature).values():
            if isinstance(memory, OrderedDict):
                memory.clear()
            elif isinstance(memory, Remembered):
                memory._entries.clear()
    # The next test may add views of its own.
    app._got_first_request = False


def _connection_of(app: Flask) -> sqlite3.Connection:
    with app.app_context():
        connection = db.engine.raw_connection()
        found: sqlite3.Connection = connection.driver_connection
        connection.close()
    return found


def _look_of(app: Flask) -> dict[str, Any]:
    """Return what a test may change about an app, but for its rows."""
    server = app.extensions["pkce"]
    with app.app_context():
        listening = db.engine.dispatch
    return {
        "config": repr(app.config),
        "extensions": {name: id(value) for name, value in app.extensions.items()},
        "views": {name: id(view) for name, view in app.view_functions.items()},
        "rules": len(app.url_map._rules),
        "hooks": {name: repr(vars(app)[name]) for name in _HOOKS},
        "commands": list(app.cli.commands),
        "wsgi": app.wsgi_app,
        "templates": (app.jinja_loader, dict(app.jinja_env.globals), len(app.jinja_env.filters)),
        "server": {
            name: repr(value) if isinstance(value, dict | list) else id(value)
            for name, value in vars(server).items()
            if name != "_hooks"
        },
        "users": dict(vars(server.users.host)),
        "resources": repr(vars(server.resources)),
        "listening": [
            len(list(getattr(listening, name)))
            for name in ("before_cursor_execute", "after_cursor_execute", "commit", "begin")
        ],
    }
