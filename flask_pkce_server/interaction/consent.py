"""Consent view: what a user is shown of an app that asks, to decide by."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import flask
from flask import Response

from ..errors import ConfigurationError
from ..models.client import Client
from ..models.consent import Standing
from ..pages.forms import DecisionForm
from ..pages.page import in_order, page
from ..protocol.contract import Server
from ..protocol.request import Request
from ..wire import redirect_uri as uris
from .decision import Decision, form_for, is_optional
from .waiting import path_of

#: The steps in which people who use an app are counted: it is nobody's business who they are.
_STEPS = (1000, 100, 10)


@dataclass(frozen=True)
class AskedScope:
    """A scope that an app asks for."""

    name: str
    #: What the host says that it means.
    sentence: str
    #: Whether it was granted before.
    known: bool
    #: Whether it was not, while others were.
    is_new: bool
    #: Whether the user may leave it out.
    optional: bool


@dataclass(frozen=True)
class Link:
    """A page of the app's makers; they say where it is, so its host is shown."""

    uri: str
    host: str


@dataclass(frozen=True)
class ConsentView:
    """What the consent template gets, as `consent`."""

    #: The client that asks.
    client: Client
    #: What the page calls the signed-in account.
    account: str
    #: What it asks for: who the user is first, staying when they are gone last.
    scopes: list[AskedScope]
    #: Where the browser goes after the decision: a host, or the scheme of an app; "" if nowhere.
    destination: str
    #: Whether that is a program on this computer rather than a web site.
    destination_is_local: bool
    #: The host of the document that describes the app, "" if it is registered here; and whether
    #: the browser goes to the host of somebody else.
    described_at: str
    destination_is_elsewhere: bool
    #: Who makes the app, as they say themselves; None if they do not.
    developer: str | None
    home: Link | None
    privacy: Link | None
    terms: Link | None
    #: So many people here use the app, or more; 0 for a handful or nobody.
    people: int
    #: For how many days it may be allowed, besides until removed; 0 is for this once.
    days: list[int]
    #: Where the form is sent.
    action: str
    #: Whether the form came back undecided, or too late to count.
    again: bool
    #: The Flask-WTF form; render `form.csrf_token` and `form.request`.
    form: DecisionForm
    #: What acts on the decision of this user: see `allow` and `deny`.
    settle: Callable[[Decision], Response]

    @property
    def is_warned_of(self) -> bool:
        """Whether anybody may have given the app any name."""
        return self.client.self_registered and not self.client.verified

    def allow(self, scopes: Iterable[str] | None = None, days: int | None = None) -> Response:
        """Send the browser back with a code for `scopes`, or for all that were asked for.

        For `days`, or until it is removed. For a host that decides in a view of its own. Raises
        `ConfigurationError` for an app that a stranger registered: only the user can let it in.
        """
        if self.is_warned_of:
            raise ConfigurationError(
                f"The consent view allows {self.client.client_id} without asking. Anybody may have "
                "registered that client, under any name.",
                write="if consent.is_warned_of: return None  # our page asks",
            )
        asked = frozenset(scope.name for scope in self.scopes)
        allowed = asked if scopes is None else asked & frozenset(scopes)
        return self.settle(Decision(allowed, days))

    def deny(self) -> Response:
        """Send the browser back with access_denied (RFC 6749 4.1.2.1)."""
        return self.settle(Decision(None))


def ask_consent(
    server: Server,
    request: Request,
    user: Any,
    *,
    standing: Standing,
    settle: Callable[[Decision], Response],
    reference: str = "",
    again: bool = False,
) -> Response:
    """Show the consent page, ours or the host's.

    `again` says that the form came back in a state that decides nothing.
    """
    consent = _view(server, request, user, standing, settle, path_of(reference), again)
    answer = server.users.answer_consent(consent)
    if answer is not None:
        return flask.current_app.make_response(answer)
    return page(server, "consent", 400 if again else 200, consent=consent)


def ask_device_consent(
    server: Server,
    request: Request,
    user: Any,
    *,
    standing: Standing,
    settle: Callable[[Decision], Response],
    user_code: str,
    reference: str = "",
    again: bool = False,
) -> Response:
    """Show the consent page for a device, which shows `user_code`; always ours.

    What it warns of must not be left out: whoever sent somebody a code would get in.
    """
    consent = _view(server, request, user, standing, settle, path_of(reference), again)
    status = 400 if again else 200
    return page(server, "device_consent", status, consent=consent, user_code=user_code)


def _view(
    server: Server,
    request: Request,
    user: Any,
    standing: Standing,
    settle: Callable[[Decision], Response],
    action: str,
    again: bool,
) -> ConsentView:
    client: Client = request.client
    # Of a device there is none: nobody is sent anywhere.
    uri = request.valid_redirect_uri
    local = uri is not None and (uris.is_loopback(uri) or uris.is_private_use(uri))
    described = client.document is not None
    elsewhere = described and uri is not None and not local and not client.is_at_home(uri)
    return ConsentView(
        client=client,
        account=server.users.name_of(user),
        scopes=_asked(server, request, standing.scopes),
        destination="" if uri is None else uris.shown_host(uri),
        destination_is_local=local,
        described_at=uris.shown_host(client.client_id) if described else "",
        destination_is_elsewhere=elsewhere,
        developer=client.client_metadata.get("developer"),
        home=_link(client, "client_uri"),
        privacy=_link(client, "policy_uri"),
        terms=_link(client, "tos_uri"),
        people=next((step for step in _STEPS if standing.people >= step), 0),
        days=sorted(server.settings.consent_days),
        action=action,
        again=again,
        form=form_for(server, request, user),
        settle=settle,
    )


def _asked(server: Server, request: Request, known: frozenset[str]) -> list[AskedScope]:
    return [
        AskedScope(
            name=scope,
            sentence=sentence,
            known=scope in known,
            is_new=bool(known) and scope not in known,
            optional=is_optional(server, scope) and scope not in known,
        )
        for scope, sentence in in_order(server.scopes.items())
        if scope in request.scopes
    ]


def _link(client: Client, name: str) -> Link | None:
    uri = client.client_metadata.get(name)
    return None if uri is None else Link(uri, urlsplit(uri).netloc)
