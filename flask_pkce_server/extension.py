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
from .http.csrf import exempt_from_csrf_protect
from .http.endpoint import complete, refused_before
from .http.routing import mount, mount_aliases
from .interaction import login
from .interaction.login import listen_to_flask_login
from .models.base import Store, copy_tables, set_sqlite_pragmas
from .pages.page import check_look
from .protocol.contract import current_server
from .protocol.feature import Feature
from .protocol.hooks import Hooks
from .protocol.resources import DeclaredResources
from .protocol.server import FeatureServer
from .resource_server.paths import watch
from .resource_server.require import View, require
from .settings.load import load
from .settings.secret import check_secrets
from .users.host import (
    ConsentPage,
    CurrentUser,
    LoginRequiredResponse,
    LogoutDelivery,
    MayRegisterApp,
    MayRegisterClient,
    SignOut,
    UserClaims,
    UserLoader,
    UserName,
    UserSubject,
)
from .users.users import Users

P = ParamSpec("P")


class PKCEServer:
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
        self.blueprint.register_error_handler(429, refused_before)

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

    # The host's functions.

    def current_user(self, function: CurrentUser) -> CurrentUser:
        """Decorate the function that returns the signed-in user, or None."""
        self._users.host.current_user = function
        return function

    def user_loader(self, function: UserLoader) -> UserLoader:
        """Decorate the function that returns the user with a given subject, or None."""
        self._users.host.user_loader = function
        return function

    def user_subject(self, function: UserSubject) -> UserSubject:
        """Decorate the function that returns a user's subject, a text that never changes."""
        self._users.host.user_subject = function
        return function

    def user_name(self, function: UserName) -> UserName:
        """Decorate the function that returns the name that the pages show for a user."""
        self._users.host.user_name = function
        return function

    def user_claims(self, function: UserClaims) -> UserClaims:
        """Decorate the function that returns all claims about a user, by name.

        It only reads them: the server then selects those that a client may see.
        """
        self._users.host.user_claims = function
        return function

    def login_required_response(self, function: LoginRequiredResponse) -> LoginRequiredResponse:
        """Decorate the function that sends a visitor to sign in, and then to `next_url`."""
        self._users.host.login_required_response = function
        return function

    def sign_out(self, function: SignOut) -> SignOut:
        """Decorate the function that signs the current user out of the host app.

        It ends by calling `pkce.signed_out()`.
        """
        self._users.host.sign_out = function
        return function

    def consent_view(self, function: ConsentPage) -> ConsentPage:
        """Decorate the function that returns the host's own consent page.

        It gets a `ConsentView` and returns what a Flask view returns: a page with the form,
        `consent.allow(...)` or `consent.deny()`. If it returns None, our page is shown.
        """
        self._users.host.consent_view = function
        return function

    def may_register_app(self, function: MayRegisterApp) -> MayRegisterApp:
        """Decorate the function that decides whether a user may register apps in the portal."""
        self._users.host.may_register_app = function
        return function

    def may_register_client(self, function: MayRegisterClient) -> MayRegisterClient:
        """Decorate the function that decides whether a client may register itself.

        It gets the metadata to be registered, under the names of RFC 7591 2.
        """
        self._users.host.may_register_client = function
        return function

    def logout_delivery(self, function: LogoutDelivery) -> LogoutDelivery:
        """Decorate the function that POSTs form fields to a URI, for example in a task queue.

        `function(uri, fields)` is called for each client to be notified of a logout, instead
        of using the threads of this package.
        """
        self._users.host.logout_delivery = function
        return function

    # Calls for a host without Flask-Login.

    def signed_in(self, user: Any, *, acr: str | None = None, amr: Iterable[str] = ()) -> None:
        """Record that `user` has just authenticated, in the current request.

        `acr` and `amr` say how (OIDC Core 2, RFC 8176). With Flask-Login, its signal
        records the sign-in; call this only to add these two.
        """
        login.signed_in(current_server, user, acr=acr, amr=amr)

    def signed_out(self) -> None:
        """Record that the user of this browser signs out, in the current request."""
        login.signed_out(current_server)

    # Assembly.

    def _assemble(self, state: BlueprintSetupState) -> None:
        """Assemble the server for the app that the blueprint is registered on."""
        app: Flask = state.app  # type: ignore[assignment] # Flask passes a Flask app
        hooks = Hooks(choose(app.config, self._features))
        settings = load(app.config, hooks.settings())
        check_secrets(app, settings)
        check_look(settings)
        engine = self._engine_of(app)
        app.extensions["pkce"] = server = FeatureServer(
            app,
            settings=settings,
            hooks=hooks,
            users=self._users,
            store=Store(engine),
            resources=self._resources,
        )
        self._servers.add(server)
        listen_to_flask_login(server)
        mount(server, settings.url_prefix if state.url_prefix is None else state.url_prefix)
        app.cli.add_command(pkce_commands)
        app.url_value_preprocessor(exempt_from_csrf_protect)
        watch(server)
        app.after_request(complete)
        if settings.sqlite_pragmas:
            with app.app_context():
                set_sqlite_pragmas(engine())

    def _engine_of(self, app: Flask) -> Callable[[], Engine]:
        """Add our tables to the host's metadata; return a function that gets its engine."""
        db = self._db or app.extensions.get("sqlalchemy")
        if db is None or "sqlalchemy" not in app.extensions:
            raise ConfigurationError(
                "The app has no database yet.",
                write="db.init_app(app)  # before pkce.init_app(app)",
            )
        copy_tables(db.metadata)
        return lambda: cast(Engine, db.engine)
