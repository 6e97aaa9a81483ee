"""Decision: the form in which a user decides, and the decision that it contains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import flask

from ..models.consent import Asked
from ..models.standing import Consents, Standing
from ..pages.forms import DecisionForm
from ..protocol.contract import Server
from ..protocol.request import Request
from .authorization import read_consents
from .waiting import shown_of, sign

_DAY = 86400


def asked_of(server: Server, request: Request, scopes: frozenset[str] | None = None) -> Asked:
    """Return what `request` asks its user for: its scopes, or `scopes`, at its APIs."""
    uris = ("" if uri == server.issuer else uri for uri in request.resources)
    return Asked(
        subject=request.login(server.users).subject,
        client_id=request.client.client_id,
        scopes=request.scopes if scopes is None else scopes,
        resources=tuple(uris) or ("",),
    )


def standing_of(server: Server, request: Request) -> Standing:
    """Return what the user of `request` has granted to its client before."""
    asked = asked_of(server, request)
    if request.consents is None:
        read_consents(server, request, request.client.client_id)
    consents: Consents = request.consents
    # What is asked for again may have changed.
    request.consents = None
    return consents.standing(asked.resources, request.client.changed_at)


def must_ask(server: Server, request: Request, standing: Standing) -> bool:
    """Say whether the user has to be asked; if not, `request.scopes` is what they grant."""
    client, granted = request.client, standing.scopes
    if client.skips_consent:
        return False
    if request.must_consent or client.always_asks(request.valid_redirect_uri):
        return True
    if not request.scopes:
        # Nothing but who the user is.
        return not standing.is_let_in
    missing = request.scopes - granted
    can_leave_out = all(is_optional(server, scope) for scope in missing)
    if request.must_not_ask and granted and can_leave_out:
        # The user may not be asked: leave out the optional scopes that they left out before.
        request.scopes &= granted
        return False
    return bool(missing)


def form_for(server: Server, request: Request, user: Any) -> DecisionForm:
    """Return the form in which `user`, and nobody else, decides on `request`."""
    form = DecisionForm(formdata=None)
    form.request.data = sign(server, request, server.users.subject_of(user))
    return form


@dataclass(frozen=True)
class Decision:
    """What a user decided on a consent page, in a browser or for a device."""

    #: The scopes that were allowed; None if access was denied.
    scopes: frozenset[str] | None
    #: The number of days; 0 means once, None means until the user removes the app.
    days: int | None = None
    #: Whether another user wants to sign in and decide.
    is_for_another: bool = False

    def until(self, now: int, once: int) -> int | None:
        """Return when the grant ends (epoch seconds), None for never.

        `now` is in epoch seconds; a decision for once lasts `once` seconds.
        """
        return None if self.days is None else now + (self.days * _DAY or once)


def read_decision(
    server: Server,
    form: DecisionForm,
    request: Request,
    shown: list[Any] | None,
    known: Callable[[], frozenset[str]],
) -> Decision | None:
    """Return the decision on `request` in the consent form, None if there is no valid one.

    A decision is invalid if the form has expired or is incomplete, or if what the user was
    `shown` differs from what would be granted now: the client may have changed its registration
    meanwhile. `known` returns the scopes that the user granted before.
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
    """Return whether users may leave out `scope`."""
    return scope in server.settings.consent_optional_scopes
