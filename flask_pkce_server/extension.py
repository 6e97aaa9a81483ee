"""Extension: assembles settings, tables, server, routes and commands for an app."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ParamSpec, cast
from weakref import WeakSet

from flask import Blueprint, Flask
from flask.blueprints import BlueprintSetupState
from sqlalchemy.engine import Engine

from .cli import pkce_commands
from .errors import ConfigurationError
from .features import choose
from .http.endpoint import complete, refused_around
from .http.first_request import await_first_request
from .http.host_session import forgive_lost_sessions
from .http.routing import mount, mount_aliases
from .interaction.host_calls import HostCalls
from .interaction.login import listen_to_flask_login
from .models.base import copy_tables, set_sqlite_pragmas
from .models.new_connection import spare_poolers
from .models.replica import replica_of
from .models.store import Store
from .pages.page import check_look
from .protocol.feature import Feature
from .protocol.hooks import Hooks
from .protocol.resources import DeclaredResources
from .protocol.server import FeatureServer
from .resource_server.paths import watch
from .resource_server.require import View, require
from .settings.load import load
from .settings.secret import check_secrets
from .users.decorators import HostDecorators
from .users.deletion import watch_models
from .users.users import Users

P = ParamSpec("P")


class PKCEServer(HostCalls, HostDecorators):
    """An OAuth 2.1 authorization server for a Flask app, with PKCE for every client.

    `db` is the host's Flask-SQLAlchemy object; by default, the one that the app has.
    `features` are the host's own features, called after those of this package. One object
    serves any number of apps; `app.extensions["pkce"]` has the server of each app.
    """

    def __init__(self, db: Any = None, *, features: Iterable[Feature] = ()) -> None:
        self._db = db
        self._features = tuple(features)
        self._users = Users()
        self._resources = DeclaredResources()
        self._servers: WeakSet[FeatureServer] = WeakSet()
        #: Register it yourself, or let `init_app` do it.
        self.blueprint = Blueprint("pkce", __name__, template_folder="pages/templates")
        self.blueprint.record(self._assemble)
        for kind in (429, Exception):
            self.blueprint.register_error_handler(kind, refused_around)

    def init_app(self, app: Flask) -> None:
        """Turn `app` into an authorization server.

        Equivalent to `app.register_blueprint(pkce.blueprint)`, which also takes a
        `url_prefix`. Raises `ConfigurationError` if the set-up is unsafe or incomplete.
        """
        if "pkce" in app.extensions:
            raise ConfigurationError(
                f"{app.name} is an authorization server already.",
                write="pkce.init_app(app)  # once",
            )
        app.register_blueprint(self.blueprint)

    # Views and APIs that need an access token.

    def require(self, *scopes: str, resource: str | None = None) -> Callable[[View[P]], View[P]]:
        """Guard a view: require an access token that has all of `scopes`.

        Given a `resource`, also declare it with these scopes, as `PKCEServer.resource` does.
        """
        if resource is not None:
            self.resource(resource, scopes=" ".join(scopes).split())
        return require(*scopes, resource=resource)

    def resource(self, uri: str, *, scopes: Mapping[str, str] | Iterable[str] = ()) -> None:
        """Declare an API of the app by its URI, as clients name it (RFC 9728, RFC 8707).

        `scopes` are the scopes of the API; a mapping of scopes to sentences declares them
        too, as `PKCE_SCOPES` does. Call it before or after `init_app`. Raises
        `ConfigurationError` for a URI that is not https, or has a query or a fragment.
        """
        self._resources.declare(uri, scopes)

    def mcp(
        self,
        path: str,
        *,
        scopes: Mapping[str, str] | Iterable[str] = (),
        required: Iterable[str] = (),
    ) -> None:
        """Declare all that the app serves at `path`, and below it, as an MCP server's resource.

        Every view there needs an access token for the resource, whose URI is the origin of
        the issuer followed by `path`. `scopes` are as in `resource`. `required` are the
        scopes that every call needs and that clients ask for first; if it is empty, a call
        needs no scope, and clients ask for all of `scopes`. Call it before or after
        `init_app`. Raises `ConfigurationError` for a path that is not valid.
        """
        self._resources.guard(path, scopes, required)
        for server in self._servers:
            mount_aliases(server)
            watch(server)

    # Assembly.

    def _assemble(self, state: BlueprintSetupState) -> None:
        """Assemble the server for the app that the blueprint is registered on."""
        app: Flask = state.app  # type: ignore[assignment] # Flask passes a Flask app
        hooks = Hooks(choose(app.config, self._features))
        settings = load(app.config, hooks.settings())
        check_secrets(app, settings)
        check_look(settings)
        engine = self._engine_of(app)
        with app.app_context():
            spare_poolers(engine())
            replica = replica_of(settings, engine)
            if settings.sqlite_pragmas:
                set_sqlite_pragmas(engine())
        app.extensions["pkce"] = server = FeatureServer(
            app,
            settings=settings,
            hooks=hooks,
            users=self._users,
            store=Store(engine, replica),
            resources=self._resources,
        )
        self._servers.add(server)
        listen_to_flask_login(server)
        mount(server, settings.url_prefix if state.url_prefix is None else state.url_prefix)
        app.cli.add_command(pkce_commands)
        await_first_request(server)
        watch(server)
        app.after_request(complete)

    def _engine_of(self, app: Flask) -> Callable[[], Engine]:
        """Prepare the host's Flask-SQLAlchemy; return a function that gets its engine."""
        db = self._db or app.extensions.get("sqlalchemy")
        if db is None or "sqlalchemy" not in app.extensions:
            raise ConfigurationError(
                "The app has no database yet.",
                write="db.init_app(app)  # before pkce.init_app(app)",
            )
        copy_tables(db.metadata)
        watch_models(db.Model)
        forgive_lost_sessions(app, db)
        return lambda: cast(Engine, db.engine)
