"""Device sign-in: what the user of a device does in their browser (RFC 8628 3.3).

They type the code that the device shows, or come with it in the address, and even then
say that it is the one on the device; they read whose app it is and what it wants, and
decide. Nothing is looked up by an address alone: another site could use up the tries of
somebody who follows a link.
"""

from __future__ import annotations

from typing import Any

import flask
from flask import Response

from . import consent_view, decision, interaction
from .decision import DecisionForm, PageForm
from .models import consent, device_code
from .models.consent import Standing
from .models.device_code import DeviceCode
from .models.guess import TooManyGuesses
from .models.token import UNTIL
from .pages import here, page
from .request import Request
from .server import Server, current_server
from .signals import authorization_denied, authorization_granted, tell
from .texts import said

_MALFORMED = said("A code has 8 letters. Look at your device again.")
_UNKNOWN = said(
    "No device is waiting with this code. If you typed it right, start again on the device."
)
_TOO_MANY = said("Too many wrong codes. Wait ten minutes, then start again on the device.")
_EXPIRED = said("The form had expired. Please try again.")


def link_to(server: Server, user_code: str) -> str:
    """Return the address at which `user_code` need not be typed (RFC 8628 3.3.1)."""
    return f"{server.url_of('device')}?user_code={device_code.shown(user_code)}"


def device() -> Response:
    """Ask for the code of a device, for a decision on it, or act on one."""
    server, incoming = current_server, flask.request
    user, posted = server.users.current(), incoming.method == "POST"
    typed = (incoming.form if posted else incoming.args).get("user_code", "")
    if posted and "decision" in incoming.form:
        return _decide(server, user)
    if user is None:
        return _sign_in(server, device_code.read_user_code(typed))
    if posted:
        return _enter(server, user, typed)
    # What came by the address is shown if it can be a code, and nothing else is.
    named = device_code.read_user_code(typed)
    return _ask_code("" if named is None else device_code.shown(named), named=named is not None)


def _sign_in(server: Server, user_code: str | None) -> Response:
    """Send the user to sign in, to come back with the code if they had one."""
    back = "" if user_code is None else f"?user_code={device_code.shown(user_code)}"
    if flask.request.method == "POST":
        # Flask-Login comes back to the address of the request that it is asked in.
        return Response(status=303, headers={"Location": here() + back})
    return server.users.ask_login(here() + back)


def _ask_code(
    typed: str = "", wrong: str | None = None, status: int = 400, *, named: bool = False
) -> Response:
    return page(
        current_server,
        "device",
        200 if wrong is None else status,
        form=PageForm(formdata=None),
        action=here(),
        typed=typed,
        named=named,
        wrong=wrong,
    )


def _enter(server: Server, user: Any, typed: str) -> Response:
    """Look up the code that was typed, if its user was not wrong too often."""
    if not PageForm().validate():
        return _ask_code(typed, _EXPIRED)
    user_code = device_code.read_user_code(typed)
    if user_code is None:
        return _ask_code(typed, _MALFORMED)
    key, subject = _key(server, user_code), server.users.subject_of(user)
    try:
        code = server.store.write(
            lambda session: device_code.enter(session, key, subject, server.now())
        )
    except TooManyGuesses as refused:
        response = _ask_code(typed, _TOO_MANY, 429)
        response.headers.update(refused.headers)
        return response
    request = None if code is None else _request(server, user, code, user_code)
    if code is None or request is None:
        return _ask_code(typed, _UNKNOWN)
    return _ask(server, request, code)


def _request(server: Server, user: Any, code: DeviceCode, user_code: str) -> Request | None:
    """Return what the device asks for, None if its client is gone."""
    request = Request(method="GET", issuer=server.issuer, pairs=[("user_code", user_code)])
    request.user, request.on_device = user, True
    request.client, request.scopes = server.find_client(code.client_id), code.scope
    return None if request.client is None else request


def _ask(server: Server, request: Request, code: DeviceCode, *, again: bool = False) -> Response:
    return consent_view.ask_device_consent(
        server,
        request,
        request.user,
        standing=_standing(server, request),
        settle=lambda scopes, days: _settle(server, request, code, scopes, days),
        user_code=device_code.shown(request.payload.data["user_code"]),
        again=again,
    )


def _decide(server: Server, user: Any) -> Response:
    """Act on the consent form; the code that it carries was typed by this very user."""
    form = DecisionForm()
    signed, subject = interaction.read_signed(server, form.request.data or "")
    user_code = signed.payload.data["user_code"]
    if user is None:
        return _sign_in(server, user_code)
    shown = device_code.shown(user_code)
    if server.users.subject_of(user) != subject:
        return _ask_code(shown, named=True)
    with server.store.reading() as session:
        code = device_code.waiting(session, _key(server, user_code), server.now())
    request = None if code is None else _request(server, user, code, user_code)
    if code is None or request is None:
        return _ask_code(shown, _UNKNOWN)
    decided = form.read("allow", "deny", "switch")
    try:
        days = decision.read_days(server)
    except ValueError:
        decided = None
    if decided is None:
        return _ask(server, request, code, again=True)
    if decided == "switch":
        server.users.end_login()
        return _sign_in(server, user_code)
    if decided == "deny":
        return _settle(server, request, code, None, None)
    allowed = request.scopes
    if any(decision.is_optional(server, scope) for scope in allowed):
        known = _standing(server, request).scopes
        allowed = decision.read_scopes(server, request, known)
    return _settle(server, request, code, allowed, days)


def _standing(server: Server, request: Request) -> Standing:
    """Return what the user has granted to the client before, on any device."""
    subject, client = server.users.subject_of(request.user), request.client
    with server.store.reading() as session:
        return consent.standing(session, subject, client.client_id, server.now(), client.changed_at)


def _settle(
    server: Server,
    request: Request,
    code: DeviceCode,
    allowed: frozenset[str] | None,
    days: int | None,
) -> Response:
    """Note the user's word: `allowed` scopes, none of them if it is None.

    Nothing of it is remembered: who holds the device next time may be somebody else.
    """
    now, subject = server.now(), server.users.subject_of(request.user)
    facts = {"client_id": code.client_id, "subject": subject}
    if allowed is None:
        done = server.store.write(lambda session: device_code.deny(session, code, subject, now))
    else:
        bindings = _bindings(server, request, code, allowed)
        if days is not None:
            once = code.expires_at - now + server.settings.access_token_lifetime
            bindings[UNTIL] = now + (days * decision.DAY or once)
        done = server.store.write(
            lambda session: device_code.approve(session, code, subject, allowed, bindings, now)
        )
    if not done:
        return _ask_code("", _UNKNOWN)
    if allowed is None:
        tell(authorization_denied, server.app, **facts)
    else:
        granted = {"scopes": allowed, "family_id": code.family_id}
        tell(authorization_granted, server.app, **facts, **granted)
    return page(server, "device_done", client=request.client, allowed=allowed is not None)


def _bindings(
    server: Server, request: Request, code: DeviceCode, scopes: frozenset[str]
) -> dict[str, Any]:
    """Return what the rooms tie the grant to, now that the user is known.

    With what they noted when the device asked. Raises an `OAuth2Error`.
    """
    request.scopes = scopes
    for feature in server.features:
        feature.check_authorization_request(request)
    found = dict(code.bindings)
    for name, value in request.bindings.items():
        before = found.get(name)
        mixed = isinstance(before, dict) and isinstance(value, dict)
        found[name] = {**(before or {}), **value} if mixed else value
    return found


def _key(server: Server, user_code: str) -> bytes:
    return device_code.keyed_digest(server.key("user codes"), user_code)
