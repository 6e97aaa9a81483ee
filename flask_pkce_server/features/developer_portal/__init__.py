"""Developer portal: users register their own apps, if the host app allows it.

They choose the kind of app, and the portal derives the rest of the registration from it. Such
apps are self-registered: the consent page warns about them, and asks each time, until the
operator has verified them (`flask pkce client update ID --verified`).
"""

from __future__ import annotations

from collections.abc import Iterable

import flask
from flask import Response
from wtforms import HiddenField

from ...http.redirect import see_other
from ...i18n import translatable
from ...models import client_owner, client_secret
from ...models import client_storage as clients
from ...models.client import Client
from ...models.client_owner import ClientOwner, Outcome
from ...models.connection import people_of
from ...pages.first_steps import first_steps, snippet
from ...pages.forms import PageForm
from ...pages.page import here, in_order, page
from ...protocol.contract import Server
from ...protocol.declarations import Problem, Route
from ...protocol.feature import ClientField, Feature
from ...wire.handle import digest, new_secret
from . import new_app
from .draft import Draft, read_draft
from .kind import KINDS, kind_of, offered

_SECRET = "CLIENT_SECRET"
#: Bytes of the largest form: it may list 50 redirect URIs of 2000 characters.
_MAX_BODY = 256 * 1024


class PortalForm(PageForm):
    """The hidden fields of every form of the portal; `read_draft` reads the others."""

    do = HiddenField()
    new_id = HiddenField()


class DeveloperPortalFeature(Feature):
    """The pages on which users register their own apps."""

    name = "developer_portal"
    opt_in = True
    models = (ClientOwner,)
    client_fields = (
        ClientField(
            "app_kind", "What it is, as its maker said.", choices=tuple(kind.name for kind in KINDS)
        ),
    )

    def routes(self, server: Server) -> Iterable[Route]:
        for name, path, view in (
            ("developer", "/developer", portal),
            ("developer_app", "/developer/<client_id>", portal_app),
        ):
            yield Route(name, path, view, ("GET", "POST"), "page", max_body=_MAX_BODY)

    def problems(self, server: Server) -> Iterable[Problem]:
        if server.users.host.may_register_app is None:
            yield Problem(
                "WARN",
                "Everybody who is signed in may register apps.",
                "@pkce.may_register_app  # def may_develop(user): return user.is_developer",
            )


def portal(server: Server) -> Response:
    """Show the apps of the signed-in user, or register another one."""
    user = server.users.current()
    if user is None:
        return server.users.ask_login(here())
    if not server.users.may_register_app(user):
        return page(server, "developer", 403, allowed=False, apps=[])
    subject, form = server.users.subject_of(user), PortalForm()
    if flask.request.method == "GET":
        preset = frozenset({"openid", "profile"}) & _scopes(server).keys()
        return _portal(server, subject, Draft(offered(server)[0], scopes=preset))
    draft = read_draft(offered(server), _scopes(server))
    client_id = new_app.read_id(server, subject, form.new_id.data or "")
    if not form.validate() or client_id is None:
        draft.wrong["form"] = translatable("The form had expired. Please try again.")
    elif draft.judge(server):
        outcome, client, secret = new_app.register(server, user, draft, client_id)
        if outcome is Outcome.STORED:
            return _app(server, client, secret=secret, is_new=True)
        if outcome is Outcome.TAKEN:
            # The form was sent twice: there is one app, and its secret is shown only once.
            return _to_app(client_id)
        draft.wrong["form"] = translatable("You have as many apps as one may have here.")
    return _portal(server, subject, draft)


def portal_app(server: Server, client_id: str) -> Response:
    """Show an app to the user who registered it, or change it."""
    user = server.users.current()
    if user is None:
        return server.users.ask_login(here())
    subject, form = server.users.subject_of(user), PortalForm()
    client = _app_of(server, subject, client_id) if server.users.may_register_app(user) else None
    if client is None:
        return page(
            server, "developer", 404, allowed=server.users.may_register_app(user), apps=None
        )
    if flask.request.method == "GET":
        return _app(server, client)
    if not form.validate():
        wrong = {"form": translatable("The form had expired. Please try again.")}
        return _app(server, client, wrong=wrong)
    return _change(server, client, form.do.data or "")


def _change(server: Server, client: Client, action: str) -> Response:
    """Carry out the action of the button that was pressed on the page of an app."""
    if action == "save":
        draft = read_draft([kind_of(client)], _scopes(server))
        if not draft.judge(server):
            return _app(server, client, draft)
        server.store.write(lambda session: draft.save(session, client.client_id))
    elif action == "add_secret":
        secret = new_secret()
        client_id, now = client.client_id, server.now()
        if server.store.write(
            lambda session: client_secret.add(session, client_id, digest(secret), now)
        ):
            client = server.find_client(client.client_id) or client
            return _app(server, client, secret=secret)
    elif action.startswith("end_secret "):
        name = action.partition(" ")[2]
        server.store.write(lambda session: client_secret.end(session, client, name))
    elif action == "delete":
        if flask.request.form.get("typed", "").strip() != client.client_name.strip():
            wrong = {"typed": translatable("That is not its name.")}
            return _app(server, client, wrong=wrong)
        server.store.write(lambda session: clients.remove(session, client.client_id))
        return see_other(flask.url_for("pkce.developer"))
    return _to_app(client.client_id)


def _portal(server: Server, subject: str, draft: Draft) -> Response:
    return page(
        server,
        "developer",
        400 if draft.wrong else 200,
        allowed=True,
        apps=_apps_of(server, subject),
        draft=draft,
        kinds=offered(server),
        scopes=in_order(_scopes(server).items()),
        form=PortalForm(formdata=None),
        new_id=new_app.new_id(server, subject),
        action=here(),
    )


def _app(
    server: Server,
    client: Client,
    draft: Draft | None = None,
    *,
    wrong: dict[str, str] | None = None,
    secret: str | None = None,
    is_new: bool = False,
) -> Response:
    kind = kind_of(client)
    with server.store.reading() as session:
        people = people_of(session, client.client_id, server.now())
    draft = Draft.of(kind, client) if draft is None else draft
    draft.wrong = draft.wrong or wrong or {}
    steps = first_steps(server, client, secret or _SECRET) if client.redirect_uris else None
    return page(
        server,
        "developer_app",
        400 if draft.wrong else 200,
        client=client,
        kind=kind,
        draft=draft,
        people=people,
        secret=secret,
        secrets=client_secret.of_client(client),
        is_new=is_new,
        scopes=in_order(_scopes(server).items()),
        steps=steps,
        snippets=[(name, snippet(server, client, name, steps)) for name in kind.snippets],
        form=PortalForm(formdata=None),
        action=flask.url_for("pkce.developer_app", client_id=client.client_id),
    )


def _to_app(client_id: str) -> Response:
    return see_other(flask.url_for("pkce.developer_app", client_id=client_id))


def _scopes(server: Server) -> dict[str, str]:
    """Return the scopes that an app of the portal may ask for, with their sentences."""
    allowed = server.settings.developer_portal_scopes
    return {scope: text for scope, text in server.scopes.items() if not allowed or scope in allowed}


def _apps_of(server: Server, subject: str) -> list[Client]:
    with server.store.reading() as session:
        return client_owner.owned(session, subject)


def _app_of(server: Server, subject: str, client_id: str) -> Client | None:
    with server.store.reading() as session:
        # The portal makes client_ids of letters and digits only.
        return client_owner.find(session, subject, client_id) if client_id.isalnum() else None
