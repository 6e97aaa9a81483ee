"""Decision: the forms by which a user says it, and what they said."""

from __future__ import annotations

from typing import Any

import flask
from flask import Response
from flask_wtf import FlaskForm
from wtforms import HiddenField

from .interaction import path_of, sign
from .models.client import Client
from .pages import page
from .request import Request
from .server import Server

DAY = 86400


class PageForm(FlaskForm):
    """A form of a page of ours, with a CSRF token whatever the host set WTF_CSRF_ENABLED to."""

    class Meta(FlaskForm.Meta):
        csrf = True

        def wrap_formdata(self, form: Any, formdata: Any) -> Any:
            # The fields of a form and nothing else: no files, no JSON.
            posted = formdata is not None and flask.request.method == "POST"
            return flask.request.form if posted else None


class DecisionForm(PageForm):
    """The form of a page that asks; its buttons are `decision` = allow or deny."""

    request = HiddenField()
    decision = HiddenField()

    def read(self, *buttons: str) -> str | None:
        """Return which of `buttons` was pressed; None if that cannot be said."""
        pressed = flask.request.form.getlist("decision")
        counts = self.validate() and len(pressed) == 1 and pressed[0] in buttons
        return pressed[0] if counts else None


def form_for(server: Server, request: Request, user: Any) -> DecisionForm:
    """Return the form in which `user` decides on `request`, and nobody else does."""
    form = DecisionForm(formdata=None)
    form.request.data = sign(server, request, server.users.subject_of(user))
    return form


def read_days(server: Server) -> int | None:
    """Return for how many days the consent form allows; None for until it is removed.

    Raises `ValueError` for what the form does not offer.
    """
    days = flask.request.form.get("days", "")
    if days == "":
        return None
    if days not in map(str, server.settings.authorize_days):
        raise ValueError(days)
    return int(days)


def read_scopes(server: Server, request: Request, known: frozenset[str]) -> frozenset[str]:
    """Return the scopes that the consent form allows: the optional ones if they are ticked."""
    ticked = known.union(flask.request.form.getlist("scope"))
    return frozenset(
        scope for scope in request.scopes if scope in ticked or not is_optional(server, scope)
    )


def is_optional(server: Server, scope: str) -> bool:
    """Say whether users may leave `scope` out."""
    return scope in server.settings.authorize_optional_scopes


def ask_logout(
    server: Server,
    request: Request,
    user: Any,
    *,
    client: Client | None,
    again: bool = False,
) -> Response:
    """Ask whether to sign out of the host; `client` wants it, or nobody says who does."""
    return page(
        server,
        "logout",
        400 if again else 200,
        form=form_for(server, request, user),
        account=server.users.name_of(user),
        client=client,
        action=path_of(),
        again=again,
    )
