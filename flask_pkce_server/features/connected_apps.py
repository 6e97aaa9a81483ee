"""Connected apps: what a user has let in, and how they put it out again.

Each app with what it may do and what of that it has really used, its sign-ins, and
buttons that take it all back. What is removed ends at once: the consent, codes that are
on their way, and every token. A token that an API elsewhere verifies by itself is good
there until it expires, and the page says so.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

import flask
from flask import Flask, Response, render_template
from sqlalchemy import select
from wtforms import HiddenField

from ..feature import Feature, Route
from ..interaction import PageForm
from ..models import consent
from ..models import redirect_uri as uris
from ..models.client import Client
from ..models.consent import Consent, ScopeUse
from ..models.token import Token, revoke_family_of
from ..request import Request, browser_of
from ..server import Server, current_server
from ..signals import consent_withdrawn, tell, token_revoked, token_used

#: Seconds in which a scope that is used again is not noted again.
_COARSE = 3600
_REMEMBERED = 4096


class RemovalForm(PageForm):
    """The form of every button of the page."""

    remove = HiddenField()
    client_id = HiddenField()
    family_id = HiddenField()


@dataclass(frozen=True)
class ConnectedSession:
    """One sign-in of an app."""

    family_id: str
    #: The browser that it was allowed in, roughly.
    agent: str
    #: Epoch seconds.
    since: int
    last_seen: int


@dataclass(frozen=True)
class ConnectedApp:
    """What the template gets for each app."""

    client: Client
    #: Where it lives: a host, or the scheme of an app.
    host: str
    #: Epoch seconds; it was used when it was last given a token, or used one.
    since: int
    last_used: int
    #: The sentence of each scope, and whether it was ever used: None if nobody notes it.
    scopes: list[tuple[str, bool | None]]
    sessions: list[ConnectedSession]
    #: Whether an API elsewhere may take its tokens for a while yet.
    lingers: bool


class ConnectedAppsFeature(Feature):
    """The page on which users see and remove the apps that they let in."""

    name = "connected_apps"
    settings = ("PKCE_CONNECTED_APPS_NOTE_USE",)
    models = (ScopeUse,)

    def __init__(self) -> None:
        self._noted: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def register(self, server: Server) -> None:
        if server.settings.connected_apps_note_use:
            token_used.connect(self.note_use, server.app)

    def routes(self, server: Server) -> Iterable[Route]:
        yield Route("apps", "/apps", apps, ("GET", "POST"), "page")

    def check_authorization_request(self, request: Request) -> None:
        if request.user is not None:
            agent = browser_of(flask.request.headers.get("User-Agent", ""))
            request.bindings[self.name] = {"agent": agent}

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


def apps() -> Response:
    """Show the apps that the user let in, or take something back."""
    server, incoming = current_server, flask.request
    here = incoming.script_root + incoming.path
    user = server.users.current()
    if user is None:
        return server.users.ask_login(here)
    subject, form = server.users.subject_of(user), RemovalForm()
    refused = incoming.method == "POST" and not form.validate()
    if incoming.method == "POST" and not refused:
        _remove(server, subject, form)
        return Response(status=303, headers={"Location": f"{here}?removed=1"})
    page = render_template(
        "pkce/apps.html",
        account=server.users.name_of(user),
        apps=connected(server, subject),
        form=RemovalForm(formdata=None),
        action=here,
        when=lambda seconds: datetime.fromtimestamp(seconds, timezone.utc),
        refused=refused,
        removed="removed" in incoming.args and not refused,
        server=server,
    )
    return Response(page, status=400 if refused else 200, mimetype="text/html")


def _remove(server: Server, subject: str, form: RemovalForm) -> None:
    """Take back what the button says; what is not the user's own is not touched."""
    if form.remove.data == "session":
        family_id = form.family_id.data or ""
        client_id = server.store.write(
            lambda session: revoke_family_of(session, family_id, subject, server.now())
        )
        if client_id is not None:
            facts = {"client_id": client_id, "subject": subject, "family_id": family_id}
            tell(token_revoked, server.app, **facts)
        return
    everything = form.remove.data == "all"
    client_ids = [form.client_id.data or ""]
    if everything:
        client_ids = [app.client.client_id for app in connected(server, subject)]
    for one in client_ids:
        done = server.store.write(
            lambda session: consent.withdraw(session, subject, one, server.now())  # noqa: B023
        )
        if done:
            tell(consent_withdrawn, server.app, client_id=one, subject=subject)


def connected(server: Server, subject: str) -> list[ConnectedApp]:
    """Return the apps that have something of `subject`: a consent or a live token."""
    now = server.now()
    with server.store.reading() as session:
        granted = session.scalars(select(Consent).where(Consent.subject == subject)).all()
        live = session.scalars(
            select(Token).where(
                Token.subject == subject,
                Token.consumed_at.is_(None),
                Token.revoked_at.is_(None),
                Token.expires_at > now,
            )
        ).all()
        ids = {one.client_id for one in granted} | {one.client_id for one in live}
        clients = session.scalars(select(Client).where(Client.client_id.in_(ids))).all()
        uses = session.scalars(select(ScopeUse).where(ScopeUse.subject == subject)).all()
    found = []
    for client in clients:
        consents = [one for one in granted if one.client_id == client.client_id]
        tokens = [one for one in live if one.client_id == client.client_id]
        used = {one.scope: one.used_at for one in uses if one.client_id == client.client_id}
        seen = [*(one.issued_at for one in consents), *(one.issued_at for one in tokens)]
        scopes = {one.scope for one in consents}.union(*(one.scope for one in tokens))
        found.append(
            ConnectedApp(
                client=client,
                host=uris.shown_host(client.redirect_uris[0]) if client.redirect_uris else "",
                since=min(seen),
                last_used=max([*used.values(), *seen]),
                scopes=[
                    (sentence, _is_used(server, scope, used))
                    for scope, sentence in server.scopes.items()
                    if scope in scopes
                ],
                sessions=_sessions(tokens),
                lingers=_lingers(server, client, tokens),
            )
        )
    return sorted(found, key=lambda app: (-app.last_used, app.client.client_id))


def _is_used(server: Server, scope: str, used: Mapping[str, int]) -> bool | None:
    # Of these two the sign-in itself is the use.
    if not server.settings.connected_apps_note_use or scope in ("openid", "offline_access"):
        return None
    return scope in used


def _sessions(tokens: list[Token]) -> list[ConnectedSession]:
    families: dict[str, list[Token]] = {}
    for token in tokens:
        families.setdefault(token.family_id, []).append(token)
    found = [
        ConnectedSession(
            family_id=family_id,
            agent=its[0].bindings.get("connected_apps", {}).get("agent", "a browser"),
            since=min(one.issued_at for one in its),
            last_seen=max(one.issued_at for one in its),
        )
        for family_id, its in families.items()
    ]
    return sorted(found, key=lambda one: (-one.last_seen, one.family_id))


def _lingers(server: Server, client: Client, tokens: list[Token]) -> bool:
    """Say whether somebody else verifies the tokens of `client` without asking here."""
    mine = client.client_metadata.get("access_token_format")
    jwt = mine == "jwt" or (mine is None and server.settings.jwt_access_token)
    return jwt or any("audience" in token.bindings for token in tokens)
