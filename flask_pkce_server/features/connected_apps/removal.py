"""Removal: what a user takes back from an app on the page of connected apps."""

from __future__ import annotations

import re

import flask
from wtforms import HiddenField
from wtforms.validators import Regexp

from ...models import withdrawal
from ...pages.forms import PageForm
from ...protocol.contract import Server
from ...signals import consent_narrowed, consent_withdrawn, tell, token_revoked
from .connected import connected

_IDENTIFIER = re.compile(r"[\x21-\x7e]{0,255}\Z")
#: More grants of one browser are ended by removing the app.
_MAX_GRANTS = 100


class RemovalForm(PageForm):
    """The form of every button on the page."""

    remove = HiddenField()
    client_id = HiddenField(validators=[Regexp(_IDENTIFIER)])


def remove(server: Server, subject: str, form: RemovalForm) -> str:
    """Remove what the pressed button names, if it belongs to `subject`.

    Return the outcome for the page to report: `removed`, `narrowed`, or "" for nothing.
    """
    if form.remove.data == "session":
        return _sign_out(server, subject)
    if form.remove.data == "scopes":
        return _narrow(server, subject, form.client_id.data or "")
    client_ids: list[str] = []
    if form.remove.data == "app":
        client_ids = [form.client_id.data or ""]
    elif form.remove.data == "all":
        client_ids = [app.connection.client.client_id for app in connected(server, subject)]
    removals = [_withdraw(server, subject, client_id) for client_id in client_ids]
    return "removed" if any(removals) else ""


def _sign_out(server: Server, subject: str) -> str:
    """End the grants of one browser or device."""
    named = flask.request.form.getlist("grant_id")
    grant_ids = [grant_id for grant_id in named if _IDENTIFIER.match(grant_id)][:_MAX_GRANTS]
    revoked = server.store.write(
        lambda session: withdrawal.revoke_of_user(session, grant_ids, subject, server.now())
    )
    for grant_id, client_id in revoked.items():
        facts = {"client_id": client_id, "subject": subject, "grant_id": grant_id}
        tell(token_revoked, server.app, **facts)
    return "removed" if revoked else ""


def _withdraw(server: Server, subject: str, client_id: str) -> bool:
    withdrawn = withdrawal.withdraw(server.store, subject, client_id, server.now())
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
        withdrawal.narrow(server.store, subject, client_id, removed)
        facts = {"client_id": client_id, "subject": subject, "scopes": frozenset(removed)}
        tell(consent_narrowed, server.app, **facts)
        return "narrowed"
    return ""
