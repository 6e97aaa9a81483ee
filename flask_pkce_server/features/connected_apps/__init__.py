"""Connected apps: the page on which users see and remove the apps that they allowed.

It lists each app with its scopes, which of them it has really used, and its sign-ins, with
buttons to remove them. A removal takes effect at once: it ends the consent, pending codes and
every token. An API elsewhere that verifies tokens by itself accepts them until they expire,
and the page says so.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable

import flask
from flask import Flask, Response

from ...http.redirect import see_other
from ...models import consent
from ...models.consent import ScopeUse
from ...pages.notice import leave_notice, take_notice
from ...pages.page import here, page
from ...protocol.contract import Server
from ...protocol.declarations import Route
from ...protocol.feature import Feature, Listener
from ...protocol.request import Request
from ...signals import token_used
from .browser import browser_of
from .connected import connected
from .removal import RemovalForm, remove
from .sign_in import BINDING

#: Seconds during which repeated use of a scope is not noted again.
_COARSE = 3600
_REMEMBERED = 4096


class ConnectedAppsFeature(Feature):
    """The page on which users see and remove the apps that they allowed."""

    name = BINDING
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
            request.bindings[BINDING] = {"device": True}
        elif request.user is not None:
            browser, system = browser_of(flask.request.headers.get("User-Agent", ""))
            request.bindings[BINDING] = {"browser": browser, "system": system}

    def note_use(
        self,
        app: Flask,
        *,
        client_id: str,
        subject: str,
        scopes: Iterable[str],
        grant_id: str,
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
        leave_notice(remove(server, subject, form))
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
