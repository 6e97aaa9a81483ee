"""Doctor: checks the host app's database, configuration and clients.

`flask pkce doctor` prints these findings, followed by those of each feature.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

import sqlalchemy
from jinja2 import TemplateNotFound
from sqlalchemy import VARBINARY, Inspector, select
from sqlalchemy.exc import DBAPIError

from ..errors import ConfigurationError, TemporarilyUnavailable
from ..models.base import Base, Identifier
from ..models.client import Client
from ..models.engine import checks_connections, max_connections
from ..protocol.contract import Server
from ..protocol.declarations import Problem
from ..resource_server.guards import problems_of_guards
from ..wire import redirect_uri
from .behind import problems_behind

_THREADS = re.compile(r"--threads[= ](\d+)")


def problems_of_host(server: Server) -> Iterable[Problem]:
    """Yield the findings about the host app; checks that pass have the level OK."""
    yield from _problems_of_tables(server)
    yield from _problems_of_redis(server)
    yield from _problems_of_users(server)
    yield from _problems_of_secret(server)
    yield from _problems_of_cookies(server)
    yield from _problems_of_layout(server)
    yield from _problems_of_clients(server)
    yield from problems_of_guards(server.app)


def _problems_of_tables(server: Server) -> Iterable[Problem]:
    try:
        inspector = sqlalchemy.inspect(server.store.engine)
        tables = set(inspector.get_table_names())
        missing = [
            table.name if table.name not in tables else f"{table.name}.{column.name}"
            for table in Base.metadata.sorted_tables
            for column in table.columns
            if table.name not in tables
            or column.name not in {row["name"] for row in inspector.get_columns(table.name)}
        ]
    except DBAPIError as error:
        reason = str(error.orig).partition("\n")[0]
        yield Problem("FAIL", f"The database does not answer: {reason}", "SQLALCHEMY_DATABASE_URI")
        return
    if missing:
        yield Problem(
            "FAIL",
            f"Missing in the database: {', '.join(dict.fromkeys(missing))}.",
            "db.create_all()   (or: flask db migrate && flask db upgrade)",
        )
    else:
        yield Problem("OK", "All tables are there.")
        yield from _problems_of_collations(inspector)
    if server.store.engine.dialect.name == "sqlite":
        yield from _problems_of_sqlite(server)
    else:
        yield from _problems_of_connections(server)
        yield from problems_behind(server)


def _problems_of_collations(inspector: Inspector) -> Iterable[Problem]:
    if inspector.dialect.name not in ("mysql", "mariadb"):
        return
    collated = [
        f"{table.name}.{row['name']}"
        for table in Base.metadata.sorted_tables
        for row in inspector.get_columns(table.name)
        if row["name"] in table.columns
        and table.columns[row["name"]].type is Identifier
        and not isinstance(row["type"], VARBINARY)
    ]
    if collated:
        yield Problem(
            "FAIL",
            "The database doesn't compare these columns by their bytes, and may take two subjects "
            f"or two clients for one: {', '.join(collated)}.",
            "flask db migrate && flask db upgrade   (or: ALTER TABLE ... MODIFY ... "
            "VARBINARY(1020))",
        )
    else:
        yield Problem("OK", "The database tells all subjects and clients apart.")


def _problems_of_sqlite(server: Server) -> Iterable[Problem]:
    with server.store.engine.connect() as connection:
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
    if mode == "memory":
        yield Problem("WARN", "SQLite lives in memory: everything is lost when the app stops.")
    elif mode != "wal":
        yield Problem(
            "WARN",
            "SQLite is not in WAL mode: readers wait for writers.",
            'app.config["PKCE_SQLITE_PRAGMAS"] = True',
        )
    else:
        yield Problem("OK", "SQLite is in WAL mode.")


def _problems_of_redis(server: Server) -> Iterable[Problem]:
    try:
        policy = server.ephemeral.eviction_policy()
    except TemporarilyUnavailable:
        yield Problem(
            "FAIL",
            "Redis does not answer: whatever has to be counted, and signed assertions, get 503.",
            "PKCE_EPHEMERAL_URL",
        )
        return
    if policy == "noeviction":
        yield Problem("OK", "Redis answers and evicts nothing.")
    elif policy is not None:
        yield Problem(
            "WARN",
            f"Redis evicts keys when its memory is full ({policy}): counts start again, and used "
            "assertions can be used again.",
            "maxmemory-policy noeviction   (in redis.conf)",
        )


def _problems_of_users(server: Server) -> Iterable[Problem]:
    try:
        server.users.check()
    except ConfigurationError as error:
        yield Problem("FAIL", error.problem, error.write)
    except DBAPIError:
        return  # reported by _problems_of_tables
    else:
        yield Problem("OK", "Each user has a subject of their own.")


def _problems_of_connections(server: Server) -> Iterable[Problem]:
    host = server.store.host_engine()
    if not checks_connections(host):
        yield Problem(
            "WARN",
            "Your app does not check its connections before use: after the database closed one, "
            "the next request that loads a user on it fails with 503.",
            'app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_pre_ping": True}',
        )
    of_host, own = max_connections(host), max_connections(server.store.engine)
    if of_host is None or own is None:
        return
    found = _THREADS.search(os.environ.get("GUNICORN_CMD_ARGS", ""))
    if found is not None and int(found[1]) > of_host:
        yield Problem(
            "WARN",
            f"{found[1]} threads of a process share {of_host} connections, and may have to wait.",
            f'app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {{"pool_size": {found[1]}}}',
        )
    yield Problem(
        "OK",
        f"A process opens at most {of_host + own} connections to the database: {of_host} for your "
        f"app and {own} for this server.",
    )


def _problems_of_layout(server: Server) -> Iterable[Problem]:
    name = server.settings.layout_template
    if name is None:
        return
    try:
        blocks = server.app.jinja_env.get_template(name).blocks
    except TemplateNotFound:
        yield Problem(
            "FAIL",
            f"PKCE_LAYOUT_TEMPLATE names {name}, and there is no such template.",
            f"templates/{name}",
        )
    else:
        if "content" in blocks:
            yield Problem("OK", f"The pages use {name}.")
        else:
            yield Problem(
                "WARN",
                f"{name} has no block named content; make sure that a template it extends has one.",
                "{% block content %}{% endblock %}",
            )


def _problems_of_secret(server: Server) -> Iterable[Problem]:
    key = server.app.secret_key or ""
    if len(key) < 32:
        yield Problem(
            "WARN",
            "SECRET_KEY is shorter than 32 characters.",
            "SECRET_KEY created with: python -c 'import secrets; print(secrets.token_hex())'",
        )
    else:
        yield Problem("OK", "SECRET_KEY is long enough.")


def _problems_of_cookies(server: Server) -> Iterable[Problem]:
    config = server.app.config
    if str(config.get("SESSION_COOKIE_SAMESITE")).lower() == "strict":
        yield Problem(
            "FAIL",
            "SESSION_COOKIE_SAMESITE is Strict: users who come from an app look signed out, "
            "however often they sign in.",
            'app.config["SESSION_COOKIE_SAMESITE"] = "Lax"',
        )
    elif server.issuer.startswith("https:") and not config.get("SESSION_COOKIE_SECURE"):
        yield Problem(
            "WARN",
            "The session cookie also travels over plain http.",
            'app.config["SESSION_COOKIE_SECURE"] = True',
        )
    else:
        yield Problem("OK", "The session cookie settings are fine.")


def _problems_of_clients(server: Server) -> Iterable[Problem]:
    try:
        with server.store.reading() as session:
            clients = session.scalars(select(Client)).all()
    except DBAPIError:
        return  # reported by _problems_of_tables
    for client in clients:
        for uri in client.redirect_uris:
            for warning in redirect_uri.warnings(uri):
                yield Problem("WARN", f"{client.client_id}: {warning}")
        if client.scope is not None and client.scope - server.scopes.keys():
            unknown = " ".join(sorted(client.scope - server.scopes.keys()))
            yield Problem(
                "WARN",
                f"{client.client_id} may ask for scopes that are not declared: {unknown}.",
                'app.config["PKCE_SCOPES"]["..."] = "..."',
            )
