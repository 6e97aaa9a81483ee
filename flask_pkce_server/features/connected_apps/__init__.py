"""Connected apps: the page on which users see and remove the apps that they allowed.

It lists each app with its scopes, which of them it has really used, and its sign-ins, with
buttons to remove them. A removal takes effect at once: it ends the consent, pending codes and
every token. An API elsewhere that verifies tokens by itself accepts them until they expire,
and the page says so.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import flask
from flask import Flask, Response
from wtforms import HiddenField
from wtforms.validators import Regexp

from ...http.redirect import see_other
from ...models import connection, consent
from ...models.connection import Connection
from ...models.consent import ScopeUse
from ...models.token import revoke_family_of
from ...pages.forms import PageForm
from ...pages.notice import leave_notice, take_notice
from ...pages.page import here, in_order, page
from ...protocol.contract import Server
from ...protocol.declarations import Route
from ...protocol.feature import Feature, Listener
from ...protocol.request import Request
from ...signals import consent_narrowed, consent_withdrawn, tell, token_revoked, token_used
from .browser import browser_of

#: Seconds during which repeated use of a scope is not noted again.
_COARSE = 3600
_REMEMBERED = 4096
_IDENTIFIER = re.compile(r"[\x21-\x7e]{0,255}\Z")


class RemovalForm(PageForm):
    """The form of every button on the page."""

    remove = HiddenField()
    client_id = HiddenField(validators=[Regexp(_IDENTIFIER)])
    family_id = HiddenField(validators=[Regexp(_IDENTIFIER)])


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

    #: The client, its dates and its sign-ins.
    connection: Connection
    #: The host of the app, or its URI scheme.
    host: str
    scopes: list[ConnectedScope]
    #: The scopes that can be removed while the app stays connected.
    removable: list[ConnectedScope]
    #: Whether an API elsewhere may accept its tokens for a while after its removal.
    lingers: bool


class ConnectedAppsFeature(Feature):
    """The page on which users see and remove the apps that they allowed."""

    name = "connected_apps"
    models = (ScopeUse,)

    def __init__(self) -> None:
        self._noted: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def listeners(self, server: Server) -> Iterable[Listener]:
        if server.settings.connected_apps_note_use:
            yield token_used, self.note_use

    def routes(self, server: Server) -> Iterable[Route]:
        yield Route("apps", "/apps", apps, ("GET", "POST"), "page")

    def check_authorization_request(self, server: Server, request: Request) -> None:
        if request.on_device:
            request.bindings[self.name] = {"device": True}
        elif request.user is not None:
            browser, system = browser_of(flask.request.headers.get("User-Agent", ""))
            request.bindings[self.name] = {"browser": browser, "system": system}

    def note_use(
        self,
        app: Flask,
        *,
        client_id: str,
        subject: str,
        scopes: Iterable[str],
        family_id: str,
    ) -> None:
        """Note that `scopes` were used; stored at most once an hour by each process."""
        if not subject:
            return  # a client that acts for itself, without a user
        server: Server = app.extensions["pkce"]
        now = server.now()
        due = [scope for scope in scopes if self._is_due(f"{subject}\n{client_id}\n{scope}", now)]
        if not due:
            return

        server.store.write(lambda session: consent.note_use(session, subject, client_id, due, now))

    def _is_due(self, key: str, now: int) -> bool:
        with self._lock:
            if 0 <= now - self._noted.get(key, -_COARSE) < _COARSE:
                return False
            self._noted[key] = now
            self._noted.move_to_end(key)
            if len(self._noted) > _REMEMBERED:
                self._noted.popitem(last=False)
            return True


def apps(server: Server) -> Response:
    """Show the apps that the user allowed, or remove what the pressed button names."""
    incoming = flask.request
    user = server.users.current()
    if user is None:
        return server.users.ask_login(here())
    subject, form = server.users.subject_of(user), RemovalForm()
    refused = incoming.method == "POST" and not form.validate()
    if incoming.method == "POST" and not refused:
        leave_notice(_remove(server, subject, form))
        return see_other(here())
    return page(
        server,
        "apps",
        400 if refused else 200,
        account=server.users.name_of(user),
        apps=connected(server, subject),
        form=RemovalForm(formdata=None),
        action=here(),
        refused=refused,
        done="" if refused else take_notice(),
    )


def _remove(server: Server, subject: str, form: RemovalForm) -> str:
    """Remove what the pressed button names, if it belongs to `subject`.

    Return the outcome for the page to report: `removed`, `narrowed`, or "" for nothing.
    """
    if form.remove.data == "session":
        family_id = form.family_id.data or ""
        client_id = server.store.write(
            lambda session: revoke_family_of(session, family_id, subject, server.now())
        )
        if client_id is not None:
            facts = {"client_id": client_id, "subject": subject, "family_id": family_id}
            tell(token_revoked, server.app, **facts)
        return "removed" if client_id is not None else ""
    if form.remove.data == "scopes":
        return _narrow(server, subject, form.client_id.data or "")
    client_ids: list[str] = []
    if form.remove.data == "app":
        client_ids = [form.client_id.data or ""]
    elif form.remove.data == "all":
        client_ids = [app.connection.client.client_id for app in connected(server, subject)]
    removals = [_withdraw(server, subject, client_id) for client_id in client_ids]
    return "removed" if any(removals) else ""


def _withdraw(server: Server, subject: str, client_id: str) -> bool:
    withdrawn = server.store.write(
        lambda session: consent.withdraw(session, subject, client_id, server.now())
    )
    if withdrawn:
        tell(consent_withdrawn, server.app, client_id=client_id, subject=subject)
    return withdrawn


def _narrow(server: Server, subject: str, client_id: str) -> str:
    """Remove the ticked scopes, and the app itself if no scope is left."""
    ticked = set(flask.request.form.getlist("scope"))
    for app in connected(server, subject):
        removed = {scope.name for scope in app.removable} & ticked
        if app.connection.client.client_id != client_id or not removed:
            continue
        if len(removed) == len(app.scopes):
            _withdraw(server, subject, client_id)
            return "removed"
        narrow = partial(
            consent.narrow, subject=subject, client_id=client_id, scopes=removed, now=server.now()
        )
        server.store.write(narrow)
        facts = {"client_id": client_id, "subject": subject, "scopes": frozenset(removed)}
        tell(consent_narrowed, server.app, **facts)
        return "narrowed"
    return ""


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
    return is_jwt or any(
        not local.issuperset(sign_in.bindings.get("audience", local))
        for sign_in in app_connection.sign_ins
    )
