"""Connected: the apps that have access to a user's account, as the page shows them."""

from __future__ import annotations

from dataclasses import dataclass

from ...models import connection
from ...models.connection import Connection
from ...pages.page import in_order
from ...protocol.contract import Server
from .sign_in import SignIn, sign_ins


@dataclass(frozen=True)
class ConnectedScope:
    """A scope that an app has."""

    name: str
    #: How the host app describes it to users.
    sentence: str
    #: Whether it was ever used; None if its use is not noted.
    used: bool | None


@dataclass(frozen=True)
class ConnectedApp:
    """An app, as the template gets it."""

    #: The client and its dates.
    connection: Connection
    sign_ins: list[SignIn]
    #: The host of the app, or its URI scheme.
    host: str
    scopes: list[ConnectedScope]
    #: The scopes that can be removed while the app stays connected.
    removable: list[ConnectedScope]
    #: Whether an API elsewhere may accept its tokens for a while after its removal.
    lingers: bool


def connected(server: Server, subject: str) -> list[ConnectedApp]:
    """Return the apps that hold a consent or a live token of `subject`."""
    with server.store.reading() as session:
        connections = connection.of_subject(session, subject, server.now())
    return [_app(server, app_connection) for app_connection in connections]


def _app(server: Server, app_connection: Connection) -> ConnectedApp:
    scopes = [
        ConnectedScope(scope, sentence, _is_used(server, scope, app_connection))
        for scope, sentence in in_order(server.scopes.items())
        if scope in app_connection.scopes
    ]
    return ConnectedApp(
        connection=app_connection,
        sign_ins=sign_ins(app_connection.grants),
        host=app_connection.client.shown_host,
        scopes=scopes,
        # openid stays: without it the app could not sign the user in.
        removable=[scope for scope in scopes if scope.name != "openid"] if scopes[1:] else [],
        lingers=_lingers(server, app_connection),
    )


def _is_used(server: Server, scope: str, app_connection: Connection) -> bool | None:
    # Signing in is itself the use of these two scopes.
    if not server.settings.connected_apps_note_use or scope in ("openid", "offline_access"):
        return None
    return scope in app_connection.used


def _lingers(server: Server, app_connection: Connection) -> bool:
    """Say whether an API elsewhere verifies the client's tokens without asking this server."""
    chosen = app_connection.client.client_metadata.get("access_token_format")
    is_jwt = chosen == "jwt" or (chosen is None and server.settings.access_token_format == "jwt")
    local = server.resources.here
    return is_jwt or any(not local.issuperset(item.audience) for item in app_connection.grants)
