"""Authorize: where the browser comes with a request and leaves with a code (RFC 6749 3.1).

Who is it, do they agree, send them back. The request is checked by
`Server.check_authorization_request`, the user is asked by `interaction`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import flask
from flask import Response

from .. import interaction
from ..errors import ConsentRequiredError, LoginRequiredError, OAuth2Error
from ..feature import Feature, Route
from ..models import consent
from ..request import Request
from ..server import RESPONSE_MODES, Server, current_server


class AuthorizeFeature(Feature):
    """RFC 6749 3.1: the authorization endpoint."""

    name = "authorize"
    core = True
    settings = (
        "PKCE_AUTHORIZE_DEFAULT_SCOPES",
        "PKCE_AUTHORIZE_UNKNOWN_SCOPES",
        "PKCE_AUTHORIZE_LIFETIME",
    )

    def routes(self, server: Server) -> Iterable[Route]:
        yield Route("authorize", "/authorize", authorize, ("GET", "POST"), "page")

    def metadata(self, server: Server) -> Mapping[str, Any]:
        return {
            "authorization_endpoint": server.url_of("authorize"),
            "response_types_supported": ["code"],
            "response_modes_supported": list(RESPONSE_MODES),
        }


def authorize() -> Response:
    """Take an authorization request, one that was put aside, or a decision on one."""
    server, incoming = current_server, flask.request
    reference = "" if "client_id" in incoming.args else incoming.args.get("r", "")
    user = server.users.current()
    if incoming.method == "POST" and "decision" in incoming.form:
        return _decide(server, user, reference)
    posted = incoming.method == "POST"
    if reference and not posted:
        request = interaction.take_up(server, reference)
    else:
        request = server.create_oauth2_request(None)
    request.user = user
    try:
        grant = server.check_authorization_request(request)
        if posted:
            # A form that another site posted comes without the session cookie; the GET
            # that follows has it.
            return interaction.put_aside(server, request)
        if user is None or request.must_login:
            return _sign_in(server, request, user, reference)
        known = _known(server, request, user)
        if _must_ask(request, known):
            if request.must_not_ask:
                raise ConsentRequiredError()
            return interaction.ask_consent(server, request, user, known=known, reference=reference)
    except OAuth2Error as error:
        return _refuse(server, request, error)
    response = server.create_authorization_response(request, user, grant)
    return interaction.forget(response, reference) if reference else response


def _sign_in(server: Server, request: Request, user: Any, reference: str) -> Response:
    """Send the user to sign in, by way of the short URL that they come back to."""
    if request.must_not_ask:
        raise LoginRequiredError()
    if reference:
        return interaction.ask_login(server, request, reference)
    request.login_before = "" if user is None else server.users.login(user).mark
    return interaction.put_aside(server, request)


def _decide(server: Server, user: Any, reference: str) -> Response:
    """Act on the consent form: the user's word on the request that it carries."""
    form = interaction.DecisionForm()
    request, subject = interaction.read_signed(server, form.request.data or "")
    request.user = user
    try:
        grant = server.check_authorization_request(request)
        if user is None or server.users.subject_of(user) != subject or request.must_login:
            # Signed out meanwhile, or somebody else now: nobody has decided anything.
            return _sign_in(server, request, user, "")
    except OAuth2Error as error:
        return _refuse(server, request, error)
    decision = form.decision.data
    if not form.validate() or decision not in ("allow", "deny", "switch"):
        known = _known(server, request, user)
        return interaction.ask_consent(
            server, request, user, known=known, reference=reference, again=True
        )
    if decision == "switch":
        # Somebody else wants to go on: whoever was here is signed out of the host.
        server.users.end_login()
        return _sign_in(server, request, None, "")
    request.consented = request.scopes
    allowed = user if decision == "allow" else None
    response = server.create_authorization_response(request, allowed, grant)
    return interaction.forget(response, reference) if reference else response


def _refuse(server: Server, request: Request, error: OAuth2Error) -> Response:
    """Tell the client, if it is known where it is; else the person (RFC 6749 4.1.2.1)."""
    if request.valid_redirect_uri is None:
        raise error
    return server.send_back_error(request, error)


def _known(server: Server, request: Request, user: Any) -> frozenset[str]:
    """Return the scopes that `user` has granted to the client before."""
    if not request.scopes or request.client.skip_consent:
        return frozenset()
    with server.store.reading() as session:
        return consent.granted(session, server.users.subject_of(user), request.client.client_id)


def _must_ask(request: Request, known: frozenset[str]) -> bool:
    client = request.client
    if client.skip_consent:
        return False
    if request.must_consent:
        return True
    return client.always_asks(request.valid_redirect_uri) or not request.scopes <= known
