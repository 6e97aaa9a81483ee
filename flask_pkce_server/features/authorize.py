"""Authorize: the endpoint that issues codes through the browser (RFC 6749 3.1).

It has the user sign in, asks for consent and sends the browser back to the client.
`interaction.authorization` checks the request, `interaction.consent` asks the user.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import flask
from flask import Response

from ..errors import (
    ConfigurationError,
    ConsentRequiredError,
    InvalidRequestError,
    LoginRequiredError,
    OAuth2Error,
)
from ..interaction import authorization, consent, decision, login, waiting
from ..interaction.decision import Decision, asked_of, must_ask, standing_of
from ..interaction.response_mode import RESPONSE_MODES
from ..models import consent as consents
from ..models.client import Client
from ..models.pruning import Prunable
from ..models.standing import Standing
from ..pages.forms import DecisionForm
from ..protocol.contract import Server
from ..protocol.declarations import ResponseMode, Route
from ..protocol.feature import EVERYBODY, ClientField, Feature
from ..protocol.grant_type import ConsentWithdrawn
from ..protocol.request import Request
from ..users.sign_in import forget_login
from ..wire import shown_name
from ..wire.redirect_uri import is_loopback, refuse_unfit


def check_page(server: Server, client: Client, value: Any) -> None:
    """Refuse a link that the consent page must not show; raises `InvalidRequestError`."""
    refuse_unfit(value)
    if not value.startswith("https://"):
        raise InvalidRequestError("The pages of an app are https URLs.")


def check_name(server: Server, client: Client, value: Any) -> None:
    """Refuse a developer name that could be mistaken for another one."""
    shown_name.check(value, "developer")


class AuthorizeFeature(Feature):
    """RFC 6749 3.1: the authorization endpoint."""

    name = "authorize"
    core = True
    client_fields = (
        ClientField("default_scope", "The scopes that a request means which names none."),
        ClientField("developer", "Who makes it; the consent page says so.", check=check_name),
        ClientField("client_uri", "Its home page.", check=check_page, said_by=EVERYBODY),
        ClientField(
            "policy_uri", "Where its privacy policy is.", check=check_page, said_by=EVERYBODY
        ),
        ClientField(
            "tos_uri", "Where its terms of service are.", check=check_page, said_by=EVERYBODY
        ),
        ClientField("verified", "The operator of this server has checked it.", kind=bool),
        ClientField("suspended", "Nothing that it holds is valid, until it is resumed.", kind=bool),
    )

    def check_settings(self, server: Server) -> None:
        optional = server.settings.consent_optional_scopes
        for scope in optional:
            if scope == "openid" or scope not in server.scopes:
                raise ConfigurationError(
                    f'PKCE_CONSENT_OPTIONAL_SCOPES names "{scope}", which nobody can leave out.',
                    write=f"some of: {', '.join(server.scopes.keys() - {'openid'})}",
                )

    def response_modes(self, server: Server) -> Mapping[str, ResponseMode]:
        return RESPONSE_MODES

    def prune(self, server: Server) -> Iterable[Prunable]:
        yield consents.expired(server.now())

    def routes(self, server: Server) -> Iterable[Route]:
        yield Route("authorize", "/authorize", authorize, ("GET", "POST"), "page")

    def metadata(self, server: Server) -> Mapping[str, Any]:
        return {
            "authorization_endpoint": server.url_of("authorize"),
            "response_types_supported": ["code"],
            "response_modes_supported": list(server.response_modes),
            "ui_locales_supported": server.languages.tags,
        }


def authorize(server: Server) -> Response:
    """Handle an authorization request, new or put aside, or the user's decision on one."""
    incoming = flask.request
    reference = "" if "client_id" in incoming.args else waiting.read_reference()
    user = server.users.current()
    if incoming.method == "POST" and "decision" in incoming.form:
        return _decide(server, user, reference)
    posted = incoming.method == "POST"
    if reference and not posted:
        request = waiting.take_up(server, reference)
        server.hooks.translate_request(server, request)
    else:
        request = server.create_oauth2_request(None)
    request.user = user
    try:
        grant = authorization.check(server, request)
        if posted:
            # A form posted by another site arrives without the session cookie; the GET
            # that follows carries it.
            return waiting.put_aside(server, request)
        if user is None or request.must_login:
            return _sign_in(server, request, user, reference)
        return _allow_or_ask(server, request, grant, reference)
    except OAuth2Error as error:
        response = _refuse(server, request, error)
        return waiting.forget(response, reference) if reference else response


def _allow_or_ask(server: Server, request: Request, grant: Any, reference: str) -> Response:
    """Issue a code if the user decided on this before, otherwise ask them."""
    standing = standing_of(server, request)
    if standing.is_session_over:
        # The request was on its way at the sign-out, or such a response restored the cookie.
        forget_login()
        return _sign_in(server, request, request.user, reference)
    if must_ask(server, request, standing):
        return _ask(server, request, grant, reference, standing)
    if not request.client.skips_consent:
        # A grant that needs no new consent ends when the remembered consent does.
        request.until = standing.until(request.scopes)
        request.rests_on = asked_of(server, request, request.scopes or standing.scopes)
    try:
        response = authorization.respond(server, request, grant, request.user)
    except ConsentWithdrawn:
        return _allow_or_ask(server, request, grant, reference)
    return waiting.forget(response, reference) if reference else response


def _sign_in(server: Server, request: Request, user: Any, reference: str) -> Response:
    """Send the user to sign in, by way of the short URL that they return to."""
    if request.must_not_ask:
        raise LoginRequiredError()
    if reference:
        return login.ask_login(server, request, reference)
    request.login_before = "" if user is None else server.users.login(user).mark
    return waiting.put_aside(server, request)


def _decide(server: Server, user: Any, reference: str) -> Response:
    """Act on the consent form, which carries the request that the user decided on."""
    form = DecisionForm()
    request, subject = waiting.read_signed(server, form.request.data or "")
    server.hooks.translate_request(server, request)
    request.user = user
    try:
        grant = authorization.check(server, request)
        if user is None or server.users.subject_of(user) != subject or request.must_login:
            # The user signed out or changed in the meantime, so this is not their decision.
            return _sign_in(server, request, user, "")
    except OAuth2Error as error:
        return _refuse(server, request, error)
    decided = decision.read_decision(
        server, form, request, request.shown, lambda: standing_of(server, request).scopes
    )
    if decided is None:
        standing = standing_of(server, request)
        return _ask(server, request, grant, reference, standing, again=True)
    if decided.is_for_another:
        # Another user is to sign in: sign the current one out of the host app.
        server.users.end_login()
        return _sign_in(server, request, None, "")
    return _settle(server, request, grant, reference, decided)


def _ask(
    server: Server,
    request: Request,
    grant: Any,
    reference: str,
    standing: Standing,
    *,
    again: bool = False,
) -> Response:
    """Show the consent page; raises `ConsentRequiredError` if the user must not be asked."""
    if request.must_not_ask:
        raise ConsentRequiredError()
    return consent.ask_consent(
        server,
        request,
        request.user,
        standing=standing,
        settle=lambda decided: _settle(server, request, grant, reference, decided),
        reference=reference,
        again=again,
    )


def _settle(
    server: Server, request: Request, grant: Any, reference: str, decided: Decision
) -> Response:
    """Act on the user's decision, and remember it unless it is for this time only."""
    if decided.scopes is not None:
        settings = server.settings
        request.scopes = decided.scopes
        request.consented = None if decided.days == 0 else asked_of(server, request)
        # "This time only" lasts for the lifetime of one code plus one access token.
        once = settings.authorization_code_lifetime + settings.access_token_lifetime
        request.until = decided.until(server.now(), once)
    user = None if decided.scopes is None else request.user
    response = authorization.respond(server, request, grant, user)
    return waiting.forget(response, reference) if reference else response


def _refuse(server: Server, request: Request, error: OAuth2Error) -> Response:
    """Report an error to the client or, without a valid redirect URI, to the user.

    RFC 6749 4.1.2.1. The user also gets it if a stranger registered the redirect URI: our
    link would lead the browser there before the user was asked (RFC 9700 4.11.2).
    """
    uri, client = request.valid_redirect_uri, request.client
    if uri is None:
        raise error
    is_strangers = client.is_of_stranger and not is_loopback(uri)
    if is_strangers and "none" not in request.payload.data.get("prompt", "").split():
        raise error
    return authorization.send_back_error(server, request, error)
