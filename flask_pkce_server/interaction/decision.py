"""Decision: the forms by which a user says it, and what they said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import flask

from ..pages.forms import DecisionForm
from ..protocol.contract import Server
from ..protocol.request import Request
from .waiting import shown_of, sign

_DAY = 86400


def form_for(server: Server, request: Request, user: Any) -> DecisionForm:
    """Return the form in which `user` decides on `request`, and nobody else does."""
    form = DecisionForm(formdata=None)
    form.request.data = sign(server, request, server.users.subject_of(user))
    return form


@dataclass(frozen=True)
class Decision:
    """What a user decided on a consent page, in a browser or for a device."""

    #: The scopes that were allowed; None if access was denied.
    scopes: frozenset[str] | None
    #: For how many days: 0 for this once, None until the user removes the app.
    days: int | None = None
    #: Whether somebody else wants to sign in and decide.
    is_for_another: bool = False

    def until(self, now: int, once: int) -> int | None:
        """Return when it ends (epoch seconds), None for never; `once` seconds are this once."""
        return None if self.days is None else now + (self.days * _DAY or once)


def read_decision(
    server: Server,
    form: DecisionForm,
    request: Request,
    shown: list[Any] | None,
    known: Callable[[], frozenset[str]],
) -> Decision | None:
    """Return what the consent form says of `request`; None if it decides nothing.

    So it is with a form that expired or is incomplete, and where something else was `shown`
    than what would be granted now: the app may have changed its registration meanwhile.
    `known` returns the scopes that were granted before.
    """
    pressed, days = form.read("allow", "deny", "switch"), flask.request.form.get("days", "")
    if pressed is None or shown != shown_of(request):
        return None
    if days not in ("", *map(str, server.settings.consent_days)):
        return None
    if pressed == "switch":
        return Decision(None, is_for_another=True)
    if pressed == "deny":
        return Decision(None)
    allowed = request.scopes
    if any(is_optional(server, scope) for scope in allowed):
        ticked = known().union(flask.request.form.getlist("scope"))
        allowed = frozenset(
            scope for scope in allowed if scope in ticked or not is_optional(server, scope)
        )
    return Decision(allowed, int(days) if days else None)


def is_optional(server: Server, scope: str) -> bool:
    """Say whether users may leave `scope` out."""
    return scope in server.settings.consent_optional_scopes
