"""Consent: what the user sees about an app before deciding."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import flask
from flask import Response

from ..errors import AccessDeniedError, ConfigurationError
from ..models.client import Client
from ..models.consent import count_people
from ..models.standing import Standing
from ..pages.forms import DecisionForm
from ..pages.page import in_order, page
from ..protocol.contract import Server
from ..protocol.request import Request
from ..wire import redirect_uri as uris
from .decision import Decision, form_for, is_optional
from .waiting import path_of

#: The number of users of an app is rounded down to these, to protect their privacy.
_STEPS = (1000, 100, 10)


@dataclass(frozen=True)
class AskedScope:
    """A scope that an app asks for."""

    name: str
    #: The sentence that explains it.
    sentence: str
    #: Whether the user granted it before.
    known: bool
    #: Whether the user granted other scopes before, but not this one.
    is_new: bool
    #: Whether the user may leave it out.
    optional: bool


@dataclass(frozen=True)
class Link:
    """A link to a page of the developer; unverified, so the consent page shows the host."""

    uri: str
    host: str


@dataclass(frozen=True)
class ConsentView:
    """The object `consent` of the consent template and of the host's consent view."""

    #: The client that asks.
    client: Client
    #: The name of the signed-in account.
    account: str
    #: The scopes it asks for; `openid` is first, `offline_access` last.
    scopes: list[AskedScope]
    #: The URIs of the APIs that it asks for access to, apart from this app itself.
    resources: list[str]
    #: Where the browser goes after the decision: a host or the scheme of an app; "" if nowhere.
    destination: str
    #: Whether the destination is a program on this computer rather than a website.
    destination_is_local: bool
    #: The host of the document that describes the app, "" if the app is registered here; and
    #: whether the destination is on another host.
    described_at: str
    destination_is_elsewhere: bool
    #: The name of the developer, unverified; None if none is registered.
    developer: str | None
    home: Link | None
    privacy: Link | None
    terms: Link | None
    #: At least this many people use the app here: 1000, 100 or 10; 0 if there are fewer.
    people: int
    #: The numbers of days that the user can choose, apart from "until removed"; 0 is "once".
    days: list[int]
    #: The path that the form is sent to.
    action: str
    #: Whether the user sent the form, but without a valid decision or too late.
    again: bool
    #: The Flask-WTF form; render `form.csrf_token` and `form.request`.
    form: DecisionForm
    #: Acts on the decision; call `allow` or `deny` instead.
    settle: Callable[[Decision], Response]

    @property
    def is_warned_of(self) -> bool:
        """Whether a stranger registered the app, so that its name proves nothing."""
        return self.client.is_of_stranger

    def allow(self, scopes: Iterable[str] | None = None, days: int | None = None) -> Response:
        """Send the browser back with a code for `scopes`, or for all requested scopes if None.

        The grant lasts `days` days, or until the user removes the app if None. For a consent view
        of the host. Raises `ConfigurationError` if `is_warned_of`: then only the user may decide.
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
        """Send the browser back with access_denied (RFC 6749 4.1.2.1).

        Raises `AccessDeniedError` if `is_warned_of`: the user then gets our error page, because
        our link would lead to the stranger before the user decided (RFC 9700 4.11.2).
        """
        if self.is_warned_of:
            raise AccessDeniedError("This server does not allow the app.")
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

    `again` is True if the user sent the form without a valid decision.
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
    """Show the consent page for the device that displays `user_code`.

    Host apps cannot replace this page: it has to warn users whom an attacker has sent a code.
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
    with server.store.reading() as session:
        people = count_people(session, client.client_id)
    # None for a device.
    uri = request.valid_redirect_uri
    is_local = uri is not None and (uris.is_loopback(uri) or uris.is_private_use(uri))
    is_described = client.document is not None
    is_elsewhere = is_described and uri is not None and not is_local and not client.is_at_home(uri)
    return ConsentView(
        client=client,
        account=server.users.name_of(user),
        scopes=_asked(server, request, standing.scopes),
        resources=[uri for uri in request.resources if uri != server.issuer],
        destination="" if uri is None else uris.shown_host(uri),
        destination_is_local=is_local,
        described_at=uris.shown_host(client.client_id) if is_described else "",
        destination_is_elsewhere=is_elsewhere,
        developer=client.client_metadata.get("developer"),
        home=_link(client, "client_uri"),
        privacy=_link(client, "policy_uri"),
        terms=_link(client, "tos_uri"),
        people=next((step for step in _STEPS if people >= step), 0),
        days=sorted(server.settings.consent_days),
        action=action,
        again=again,
        form=form_for(server, request, user),
        settle=settle,
    )


def _asked(server: Server, request: Request, granted: frozenset[str]) -> list[AskedScope]:
    return [
        AskedScope(
            name=scope,
            sentence=sentence,
            known=scope in granted,
            is_new=bool(granted) and scope not in granted,
            optional=is_optional(server, scope) and scope not in granted,
        )
        for scope, sentence in in_order(server.scopes.items())
        if scope in request.scopes
    ]


def _link(client: Client, name: str) -> Link | None:
    uri = client.client_metadata.get(name)
    return None if uri is None else Link(uri, urlsplit(uri).netloc)
