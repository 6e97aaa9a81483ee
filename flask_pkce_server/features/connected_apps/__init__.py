"""Connected apps: what a user has let in, and how they put it out again.

Each app with what it may do and what of that it has really used, its sign-ins, and
buttons that take it all back. What is removed ends at once: the consent, codes that are
on their way, and every token. A token that an API elsewhere verifies by itself is good
there until it expires, and the page says so.
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
from ...pages.page import here, in_order, page
from ...protocol.contract import Server
from ...protocol.declarations import Route
from ...protocol.feature import Feature, Listener
from ...protocol.request import Request
from ...signals import consent_narrowed, consent_withdrawn, tell, token_revoked, token_used
from .browser import browser_of

#: Seconds in which a scope that is used again is not noted again.
_COARSE = 3600
_REMEMBERED = 4096
_IDENTIFIER = re.compile(r"[\x21-\x7e]{0,255}\Z")


class RemovalForm(PageForm):
    """The form of every button of the page."""

    remove = HiddenField()
    client_id = HiddenField(validators=[Regexp(_IDENTIFIER)])
    family_id = HiddenField(validators=[Regexp(_IDENTIFIER)])


@dataclass(frozen=True)
class ConnectedScope:
    """Something that an app may do."""

    name: str
    #: What the host says that it means.
    sentence: str
    #: Whether it was ever used; None if nobody notes it.
    used: bool | None


@dataclass(frozen=True)
class ConnectedApp:
    """What the template gets for each app."""

    #: Its client, its dates and its sign-ins.
    connection: Connection
    #: Where it lives: a host, or the scheme of an app.
    host: str
    scopes: list[ConnectedScope]
    #: Those of them that can be taken back while the app stays.
    removable: list[ConnectedScope]
    #: Whether an API elsewhere may take its tokens for a while yet.
    lingers: bool


class ConnectedAppsFeature(Feature):
    """The page on which users see and remove the apps that they let in."""

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
        """Note that `scopes` were used; written down once an hour and process."""
        if not subject:
            return  # a client that acts for itself
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
    """Show the apps that the user let in, or take something back."""
    incoming = flask.request
    user = server.users.current()
    if user is None:
        return server.users.ask_login(here())
    subject, form = server.users.subject_of(user), RemovalForm()
    refused = incoming.method == "POST" and not form.validate()
    if incoming.method == "POST" and not refused:
        done = _remove(server, subject, form)
        return see_other(f"{here()}?done={done}")
    return page(
        server,
        "apps",
        400 if refused else 200,
        account=server.users.name_of(user),
        apps=connected(server, subject),
        form=RemovalForm(formdata=None),
        action=here(),
        refused=refused,
        done="" if refused else incoming.args.get("done", ""),
    )


def _remove(server: Server, subject: str, form: RemovalForm) -> str:
    """Take back what the button says; what is not the user's own is not touched.

    Say what the page then tells: `removed`, `narrowed` or nothing.
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
    done = [_withdraw(server, subject, one) for one in client_ids]
    return "removed" if any(done) else ""


def _withdraw(server: Server, subject: str, client_id: str) -> bool:
    done = server.store.write(
        lambda session: consent.withdraw(session, subject, client_id, server.now())
    )
    if done:
        tell(consent_withdrawn, server.app, client_id=client_id, subject=subject)
    return done


def _narrow(server: Server, subject: str, client_id: str) -> str:
    """Take back the scopes that are ticked, and the app itself if nothing is left."""
    ticked = set(flask.request.form.getlist("scope"))
    for app in connected(server, subject):
        gone = {scope.name for scope in app.removable} & ticked
        if app.connection.client.client_id != client_id or not gone:
            continue
        if len(gone) == len(app.scopes):
            _withdraw(server, subject, client_id)
            return "removed"
        server.store.write(
            partial(
                consent.narrow, subject=subject, client_id=client_id, scopes=gone, now=server.now()
            )
        )
        facts = {"client_id": client_id, "subject": subject, "scopes": frozenset(gone)}
        tell(consent_narrowed, server.app, **facts)
        return "narrowed"
    return ""


def connected(server: Server, subject: str) -> list[ConnectedApp]:
    """Return the apps that have something of `subject`: a consent or a live token."""
    with server.store.reading() as session:
        found = connection.of_subject(session, subject, server.now())
    return [_app(server, one) for one in found]


def _app(server: Server, found: Connection) -> ConnectedApp:
    client = found.client
    scopes = [
        ConnectedScope(scope, sentence, _is_used(server, scope, found))
        for scope, sentence in in_order(server.scopes.items())
        if scope in found.scopes
    ]
    return ConnectedApp(
        connection=found,
        host=client.shown_host,
        scopes=scopes,
        # Without openid it would be another app.
        removable=[one for one in scopes if one.name != "openid"] if scopes[1:] else [],
        lingers=_lingers(server, found),
    )


def _is_used(server: Server, scope: str, found: Connection) -> bool | None:
    # Of these two the sign-in itself is the use.
    if not server.settings.connected_apps_note_use or scope in ("openid", "offline_access"):
        return None
    return scope in found.used


def _lingers(server: Server, found: Connection) -> bool:
    """Say whether somebody else verifies the tokens of the client without asking here."""
    mine = found.client.client_metadata.get("access_token_format")
    jwt = mine == "jwt" or (mine is None and server.settings.access_token_format == "jwt")
    here = server.resources.here
    return jwt or any(
        not here.issuperset(one.bindings.get("audience", here)) for one in found.sign_ins
    )
