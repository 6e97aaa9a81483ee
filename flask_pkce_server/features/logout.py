"""Logout: a client asks to sign its user out here too (OIDC RP-Initiated Logout 1.0).

The user is signed out at once if the request carries an ID token of the current session,
and otherwise after confirming the logout. An expired ID token counts, one of another user
does not, and an altered one is an error. The browser is sent back only to a URI that the
client registered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import flask
from flask import Response

from ..errors import InvalidRequestError
from ..http.redirect import VerbatimRedirect
from ..interaction import waiting
from ..interaction.decision import form_for
from ..interaction.waiting import path_of
from ..models.client import Client
from ..pages.forms import DecisionForm
from ..pages.page import page
from ..protocol.contract import Server
from ..protocol.declarations import Route
from ..protocol.feature import EVERYBODY, ClientField, Feature
from ..protocol.request import Request
from ..wire import redirect_uri as uris


def check_uris(server: Server, client: Client, value: Any) -> None:
    """Refuse URIs that the browser must not be redirected to."""
    for uri in value:
        uris.refuse_unfit(uri)


class LogoutFeature(Feature):
    """OIDC RP-Initiated Logout 1.0: the end session endpoint."""

    name = "logout"
    client_fields = (
        ClientField(
            "post_logout_redirect_uris",
            "Where its browser may come back to after a logout.",
            kind=list[str],
            check=check_uris,
            said_by=EVERYBODY,
        ),
    )

    def routes(self, server: Server) -> Iterable[Route]:
        yield Route("logout", "/logout", logout, ("GET", "POST"), "page")

    def metadata(self, server: Server) -> Mapping[str, Any]:
        return {"end_session_endpoint": server.url_of("logout")}


@dataclass(frozen=True)
class Leaving:
    """A checked logout request."""

    client: Client | None
    #: Where the browser goes afterwards; None for our own page.
    redirect_uri: str | None
    state: str | None
    #: The claims of the ID token in `id_token_hint`, if there is one.
    hint: Mapping[str, Any] | None

    @property
    def is_link_of_stranger(self) -> bool:
        """Whether a self-registered, unverified client wants a redirect and shows no ID token.

        Anybody may have registered that client and chosen its redirect URI, and no user is
        asked: we would be an open redirector (RP-Initiated Logout 1.0 3, RFC 9700 4.11.2).
        """
        client, uri = self.client, self.redirect_uri
        if self.hint is not None or client is None or uri is None:
            return False
        return client.is_of_stranger and not uris.is_loopback(uri)


def logout(server: Server) -> Response:
    """Handle a logout request, or the user's decision on one."""
    incoming = flask.request
    user = server.users.current()
    if incoming.method == "POST" and "decision" in incoming.form:
        return _decide(server, user)
    request = server.create_oauth2_request(None)
    leaving = read(server, request)
    if user is None:
        if incoming.method == "POST":
            # A POST from another site lacks the session cookie; a GET carries it.
            query = urlencode(list(request.payload.data.items()))
            return VerbatimRedirect(f"{incoming.script_root}{incoming.path}?{query}", {})
        if leaving.is_link_of_stranger:
            leaving = replace(leaving, redirect_uri=None)
        return _leave(server, leaving)
    if _is_of_this_session(server, leaving, user) or _is_asked_by_its_page(leaving, request):
        server.users.end_login()
        return _leave(server, leaving)
    return _ask(server, request, user, client=leaving.client)


def _ask(
    server: Server,
    request: Request,
    user: Any,
    *,
    client: Client | None,
    again: bool = False,
) -> Response:
    """Ask the user whether to sign out of the host; `client`, if known, wants it."""
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


def read(server: Server, request: Request) -> Leaving:
    """Check a logout request (RP-Initiated Logout 1.0 2, 3, 4).

    Raises `InvalidRequestError`, which is shown to the user: the browser is not redirected.
    """
    payload = request.payload
    payload.check()
    hint, client_id = None, payload.client_id
    if "id_token_hint" in payload.data:
        hint = server.keys.verify(payload.data["id_token_hint"], {"jwt"})
        if hint is None or hint.get("iss") != server.issuer:
            raise InvalidRequestError("id_token_hint is not an ID token of this server.")
        if client_id not in (None, hint.get("aud")):
            raise InvalidRequestError("id_token_hint is an ID token of another client_id.")
        client_id = hint.get("aud")
    client = None if client_id is None else server.find_client(client_id)
    if client_id is not None and client is None:
        raise InvalidRequestError("No app is registered here under this client_id.")
    uri = payload.data.get("post_logout_redirect_uri")
    if uri is not None and client is None:
        raise InvalidRequestError("post_logout_redirect_uri needs an id_token_hint or a client_id.")
    if uri is not None and client is not None:
        registered = client.client_metadata.get("post_logout_redirect_uris", [])
        if not any(uris.matches(registered_uri, uri) for registered_uri in registered):
            raise InvalidRequestError(
                "post_logout_redirect_uri is not one that this client registered."
            )
    return Leaving(client, uri, payload.state, hint)


def _is_of_this_session(server: Server, leaving: Leaving, user: Any) -> bool:
    """Return whether the ID token belongs to the session that is to end."""
    if leaving.hint is None or leaving.client is None:
        return False
    login = server.users.login(user)
    if "sid" in leaving.hint:
        return bool(leaving.hint["sid"] == login.sid)
    return bool(leaving.hint.get("sub") == server.subject_for(leaving.client, login.subject))


def _is_asked_by_its_page(leaving: Leaving, request: Request) -> bool:
    """Return whether a page of the client itself sent the browser, if that is enough."""
    client, origin = leaving.client, request.sent_from
    return client is not None and origin is not None and client.speaks_from(origin)


def _decide(server: Server, user: Any) -> Response:
    """Handle the form of the confirmation page."""
    form = DecisionForm()
    request, subject = waiting.read_signed(server, form.request.data or "")
    leaving = read(server, request)
    if user is None:
        return _leave(server, leaving)
    pressed = form.read("allow", "deny")
    if pressed is None or server.users.subject_of(user) != subject:
        return _ask(server, request, user, client=leaving.client, again=True)
    if pressed == "deny":
        return page(server, "logged_out", stayed=True)
    server.users.end_login()
    return _leave(server, leaving)


def _leave(server: Server, leaving: Leaving) -> Response:
    """Send the browser back to the client, or show that the user is signed out."""
    if leaving.redirect_uri is None:
        return page(server, "logged_out", stayed=False)
    return VerbatimRedirect(leaving.redirect_uri, {"state": leaving.state} if leaving.state else {})
