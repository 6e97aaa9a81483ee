"""The extension: settings, tables, server, routes, commands, assembled for an app."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ParamSpec, cast
from weakref import WeakSet

from flask import Blueprint, Flask
from flask.blueprints import BlueprintSetupState
from sqlalchemy.engine import Engine

from .cli import pkce_commands
from .errors import ConfigurationError
from .features import FEATURES
from .http.csrf import exempt_from_csrf_protect
from .http.endpoint import refused_before
from .http.routing import mount, mount_aliases
from .interaction import login
from .models.base import Store, copy_tables, set_sqlite_pragmas
from .pages import page as pages
from .protocol.feature import Feature
from .protocol.resources import Resources
from .protocol.server import Server, current_server
from .resource_server.paths import guard_paths
from .resource_server.require import View, require
from .settings import Settings
from .users.users import (
    AccountName,
    Claims,
    ConsentPage,
    CurrentUser,
    LoginRequiredResponse,
    Logout,
    LogoutDelivery,
    MayDevelop,
    MayRegister,
    Subject,
    UserLoader,
    Users,
)

P = ParamSpec("P")


class PKCEServer:
    """An OAuth 2.1 authorization server for a Flask app, with PKCE for every client.

    `db` is the host's Flask-SQLAlchemy object; left out, it is the app's. `features` are
    rooms of the host's own, asked after those of this package. One object serves any
    number of apps; what belongs to an app is kept in `app.extensions["pkce"]`.
    """

    def __init__(self, db: Any = None, *, features: Iterable[Feature] = ()) -> None:
        self._db = db
        self._features = tuple(features)
        self._users = Users()
        self._resources = Resources()
        self._servers: WeakSet[Server] = WeakSet()
        #: Register it where you like, or let `init_app` do that.
        self.blueprint = Blueprint("pkce", __name__, template_folder="pages/templates")
        self.blueprint.record(self._assemble)
        self.blueprint.register_error_handler(429, refused_before)

    def init_app(self, app: Flask) -> None:
        """Make `app` an authorization server.

        The same as `app.register_blueprint(pkce.blueprint, url_prefix=...)`. Raises
        `ConfigurationError` where the set-up is unsafe or incomplete.
        """
        if "pkce" in app.extensions:
            raise ConfigurationError(
                f"{app.name} is an authorization server already.",
                write="pkce.init_app(app)  # once",
            )
        app.register_blueprint(self.blueprint)

    # What only a good token opens.

    def require(self, *scopes: str, resource: str | None = None) -> Callable[[View[P]], View[P]]:
        """Guard a view: an access token with all of `scopes` must come with the request.

        The same as `require_oauth`, and declares the `resource`, if it is named, to have
        these scopes.
        """
        if resource is not None:
            self.resource(resource, scopes=" ".join(scopes).split())
        return require(*scopes, resource=resource)

    def resource(self, uri: str, *, scopes: Mapping[str, str] | Iterable[str] = ()) -> None:
        """Declare an API of the app by its URI, as clients name it (RFC 9728, RFC 8707).

        `scopes` are those that open it; with a sentence for each they are declared too, as
        in `PKCE_SCOPES`. Before or after `init_app`. Raises `ConfigurationError` for a URI
        that is not https, or has a query or a fragment.
        """
        self._resources.declare(uri, scopes)

    def mcp(
        self,
        path: str,
        *,
        scopes: Mapping[str, str] | Iterable[str] = (),
        required: Iterable[str] = (),
    ) -> None:
        """Make what the app serves at `path`, and below it, an MCP server's resource.

        Whatever views are there, nothing reaches them but access tokens for the resource:
        the origin of the issuer with this path. `scopes` are as in `resource`; `required`
        are those that every call needs, and the ones that a client asks for first. All of
        `scopes` where it is empty, and then none is needed to get in. Before or after
        `init_app`. Raises `ConfigurationError` for what is no such path.
        """
        self._resources.guard(path, scopes, required)
        for server in self._servers:
            mount_aliases(server)

    # How a host without Flask-Login says who its users are.

    def current_user(self, function: CurrentUser) -> CurrentUser:
        """Decorate the function that returns the signed-in user, or None."""
        self._users.current_user = function
        return function

    def user_loader(self, function: UserLoader) -> UserLoader:
        """Decorate the function that returns the user of a subject, or None."""
        self._users.user_loader = function
        return function

    def subject(self, function: Subject) -> Subject:
        """Decorate the function that returns the text that names a user for ever."""
        self._users.subject = function
        return function

    def login_required_response(self, function: LoginRequiredResponse) -> LoginRequiredResponse:
        """Decorate the function that sends a visitor to sign in and then to `next_url`."""
        self._users.login_required_response = function
        return function

    def account_name(self, function: AccountName) -> AccountName:
        """Decorate the function that returns what the pages call a user's account."""
        self._users.account_name = function
        return function

    def consent_view(self, function: ConsentPage) -> ConsentPage:
        """Decorate the function that answers with a consent page of the host's own.

        It gets a `ConsentView` and returns what a view returns: a page that posts the form,
        `consent.allow(...)` or `consent.deny()`; or None, and our page asks.
        """
        self._users.consent_view = function
        return function

    def may_develop(self, function: MayDevelop) -> MayDevelop:
        """Decorate the function that says whether a user may register apps in the portal."""
        self._users.may_develop = function
        return function

    def may_register(self, function: MayRegister) -> MayRegister:
        """Decorate the function that says whether a client may register itself.

        It gets what would be registered, by the names of RFC 7591 2.
        """
        self._users.may_register_itself = function
        return function

    def claims(self, function: Claims) -> Claims:
        """Decorate the function that returns all claims about a user, by their names.

        It reads and writes nothing: what a client may know of it is chosen afterwards.
        """
        self._users.claims = function
        return function

    def logout(self, function: Logout) -> Logout:
        """Decorate the function that signs the user of this request out of the host.

        It ends with `pkce.note_logout()`.
        """
        self._users.logout = function
        return function

    def logout_delivery(self, function: LogoutDelivery) -> LogoutDelivery:
        """Decorate the function that POSTs form fields to a URI, in a task queue say.

        `function(uri, fields)` is called for each client that a logout is told to, in the
        place of the threads of this package.
        """
        self._users.logout_delivery = function
        return function

    # What a host without Flask-Login tells.

    def note_login(self, user: Any, *, acr: str | None = None, amr: Iterable[str] = ()) -> None:
        """Say that `user` has just proved who they are, in this very request.

        `acr` and `amr` say how (OIDC Core 2, RFC 8176). Flask-Login tells the rest by its
        own signal; call it there only to add these two.
        """
        login.signed_in(current_server, user, acr=acr, amr=amr)

    def note_logout(self) -> None:
        """Say that the user of this browser signs out, in this very request."""
        login.signed_out(current_server)

    # Assembly.

    def _assemble(self, state: BlueprintSetupState) -> None:
        """Put the server together for the app that the blueprint is registered on."""
        app: Flask = state.app  # type: ignore[assignment] # a Flask app, in Flask
        _check_secret(app, "SECRET_KEY", app.secret_key)
        features = _choose(app, self._features)
        extra = {name for feature in self._features for name in feature.settings}
        settings = Settings.load(app.config, also_known=extra)
        pages.check(settings)
        if settings.key_secret is not None:
            _check_secret(app, "PKCE_KEY_SECRET", settings.key_secret)
        db = self._db or app.extensions.get("sqlalchemy")
        if db is None or "sqlalchemy" not in app.extensions:
            raise ConfigurationError(
                "The app has no database yet.",
                write="db.init_app(app)  # before pkce.init_app(app)",
            )
        copy_tables(db.metadata)
        app.extensions["pkce"] = server = Server(
            app,
            settings=settings,
            features=features,
            users=self._users,
            store=Store(lambda: cast(Engine, db.engine)),
            resources=self._resources,
        )
        self._servers.add(server)
        _listen_to_flask_login(server)
        mount(server, settings.url_prefix if state.url_prefix is None else state.url_prefix)
        app.cli.add_command(pkce_commands)
        app.url_value_preprocessor(exempt_from_csrf_protect)
        app.before_request(guard_paths)
        if settings.sqlite_pragmas:
            with app.app_context():
                set_sqlite_pragmas(server.store.engine)


def _check_secret(app: Flask, name: str, secret: Any) -> None:
    """Refuse a secret that can be guessed: consent forms and keys hang on it."""
    line = f'app.config["{name}"] = os.environ["{name}"]'
    make = f"{line}  # made with: python -c 'import secrets; print(secrets.token_hex())'"
    if not secret:
        raise ConfigurationError(f"{name} is not set.", write=make)
    if not isinstance(secret, str | bytes):
        raise ConfigurationError(
            f"{name} is of type {type(secret).__name__}, and must be text. A number in the "
            "environment is read as a number.",
            write=f'app.config["{name}"] = str(app.config["{name}"])',
        )
    weak = len(secret) < 16 or len(set(secret)) < 8
    if weak and not (app.debug or app.testing):
        raise ConfigurationError(f"{name} is too weak: it has to be long and random.", write=make)


def _choose(app: Flask, added: tuple[Feature, ...]) -> tuple[Feature, ...]:
    """Return the rooms that `PKCE_FEATURES` leaves open, with those the host added."""
    rooms = (*(room() for room in FEATURES), *added)
    wanted = app.config.get("PKCE_FEATURES", {})
    if not isinstance(wanted, dict):
        # Of the wrong type: Settings.load says it better.
        return rooms
    names = {room.name for room in rooms}
    for name in wanted.keys() - names:
        raise ConfigurationError(
            f'PKCE_FEATURES names "{name}", and there is no such feature.',
            write=f"one of: {', '.join(sorted(names))}",
        )
    for room in rooms:
        if wanted.get(room.name, not room.opt_in):
            continue
        if room.core:
            raise ConfigurationError(
                f'The feature "{room.name}" cannot be left out: without it nothing is safe.',
                write=f'app.config["PKCE_FEATURES"].pop("{room.name}")',
            )
        for key in set(room.settings) & app.config.keys():
            raise ConfigurationError(
                f'{key} belongs to the feature "{room.name}", which PKCE_FEATURES leaves out.',
                write=f'app.config.pop("{key}")',
            )
    return tuple(room for room in rooms if wanted.get(room.name, not room.opt_in))


def _listen_to_flask_login(server: Server) -> None:
    """Note who signs in and out, where the host has Flask-Login."""
    try:
        from flask_login import user_logged_in, user_logged_out
    except ImportError:
        return

    def on_login(app: Flask, user: Any) -> None:
        login.signed_in(server, user)

    def on_logout(app: Flask, user: Any) -> None:
        login.signed_out(server)

    # They live as long as the app does: blinker itself holds them weakly only.
    server.listeners = (on_login, on_logout)
    user_logged_in.connect(on_login, server.app)
    user_logged_out.connect(on_logout, server.app)
