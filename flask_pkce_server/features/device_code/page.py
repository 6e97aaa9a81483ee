"""Device sign-in: what the user of a device does in their browser (RFC 8628 3.3).

The user types the code that the device shows. If the link contains the code, the user still
has to confirm that the device shows the same one. The page then names the app and the scopes
that it asks for, and the user decides. A link alone never makes the server look up a code:
otherwise another site could use up the attempts of a user who follows its link.
"""

from __future__ import annotations

from typing import Any

import flask
from flask import Response

from ...http.redirect import see_other
from ...i18n import translatable
from ...interaction import login, waiting
from ...interaction.consent import ask_device_consent
from ...interaction.decision import Decision, read_decision, standing_of
from ...models import device_code
from ...models.guess import TooManyGuesses
from ...pages.forms import DecisionForm, PageForm
from ...pages.page import here, page
from ...protocol.contract import Server
from ...protocol.request import Request
from .pending import (
    PendingDevice,
    approve,
    denied_if_refused,
    deny,
    digests_of,
    find_code,
    find_pending,
)

_MALFORMED = translatable("A code has 8 letters. Look at your device again.")
_UNKNOWN = translatable(
    "No device is waiting with this code. If you typed it right, start again on the device."
)
_TOO_MANY = translatable("Too many wrong codes. Wait ten minutes, then start again on the device.")
_EXPIRED = translatable("The form had expired. Please try again.")


def link_to(server: Server, user_code: str) -> str:
    """Return the URL that contains `user_code`, so that it need not be typed (RFC 8628 3.3.1)."""
    return f"{server.url_of('device')}?user_code={device_code.shown(user_code)}"


def device(server: Server) -> Response:
    """Ask for the code of a device, ask for a decision on it, or act on that decision."""
    incoming = flask.request
    user, posted = server.users.current(), incoming.method == "POST"
    reference = waiting.read_reference()
    carried = waiting.take_up(server, reference) if reference else None
    typed = (incoming.form if posted else incoming.args).get("user_code", "")
    if posted and "decision" in incoming.form:
        return _decide(server, user, reference)
    if carried is not None and not posted:
        return _come_back(server, user, carried, reference)
    if user is None:
        return _sign_in(server, device_code.read_user_code(typed))
    if posted:
        return _enter(server, user, typed, carried, reference)
    # Show text from the URL only if it is a well-formed code.
    user_code = device_code.read_user_code(typed)
    if user_code is None:
        return _ask_code(server)
    return _ask_code(server, device_code.shown(user_code), named=True)


def _sign_in(server: Server, user_code: str | None) -> Response:
    """Send the user to sign in and return here, with the code if they had one."""
    query = "" if user_code is None else f"?user_code={device_code.shown(user_code)}"
    if flask.request.method == "POST":
        # Flask-Login returns to the URL of the current request, so that must be a GET.
        return see_other(here() + query)
    return server.users.ask_login(here() + query)


def _ask_code(
    server: Server,
    typed: str = "",
    wrong: str | None = None,
    status: int = 400,
    *,
    named: bool = False,
    reference: str = "",
) -> Response:
    return page(
        server,
        "device",
        200 if wrong is None else status,
        form=PageForm(formdata=None),
        action=waiting.path_of(reference),
        typed=typed,
        named=named,
        wrong=wrong,
    )


def _enter(
    server: Server, user: Any, typed: str, carried: Request | None, reference: str
) -> Response:
    """Look up the typed code, unless the user has typed too many wrong ones."""
    if not PageForm().validate():
        return _ask_code(server, typed, _EXPIRED, reference=reference)
    user_code = device_code.read_user_code(typed)
    if user_code is None:
        return _ask_code(server, typed, _MALFORMED, reference=reference)
    digests, subject = digests_of(server, user_code), server.users.subject_of(user)
    try:
        code = device_code.enter(server.ephemeral, digests, subject, server.now())
    except TooManyGuesses as refused:
        response = _ask_code(server, typed, _TOO_MANY, 429)
        response.headers.update(refused.headers)
        return response
    if carried is not None and carried.payload.data["user_code"] != user_code:
        # The user signed in again for another device than this one.
        carried, reference = None, ""
    pending = find_pending(server, user, code, user_code, carried, reference)
    if pending is None:
        return _ask_code(server, typed, _UNKNOWN)
    if pending.request.must_login:
        return _sign_in_again(server, pending)
    return _ask(server, pending)


def _sign_in_again(server: Server, pending: PendingDevice) -> Response:
    """Send the user to sign in again, by way of the short URL that they return to."""
    request = pending.request
    request.login_before = server.users.login(request.user).mark
    return waiting.put_aside(server, request)


def _come_back(server: Server, user: Any | None, carried: Request, reference: str) -> Response:
    """Have a user who was sent to sign in again confirm the code that they had typed."""
    user_code = carried.payload.data["user_code"]
    code = find_code(server, user_code)
    pending = find_pending(server, user, code, user_code, carried, reference)
    if pending is None:
        return _ask_code(server, device_code.shown(user_code), _UNKNOWN)
    if user is None or pending.request.must_login:
        with denied_if_refused(server, pending.code, user):
            return login.ask_login(server, pending.request, reference)
    return _ask_code(server, device_code.shown(user_code), named=True, reference=reference)


def _ask(server: Server, pending: PendingDevice, *, again: bool = False) -> Response:
    return ask_device_consent(
        server,
        pending.request,
        pending.request.user,
        standing=standing_of(server, pending.request),
        settle=lambda decided: _settle(server, pending, decided),
        user_code=device_code.shown(pending.user_code),
        reference=pending.reference,
        again=again,
    )


def _decide(server: Server, user: Any, reference: str) -> Response:
    """Act on the consent form; it is signed for the user who typed the code in it."""
    form = DecisionForm()
    signed, subject = waiting.read_signed(server, form.request.data or "")
    user_code = signed.payload.data["user_code"]
    if user is None:
        return _sign_in(server, user_code)
    if server.users.subject_of(user) != subject:
        return _ask_code(server, device_code.shown(user_code), named=True)
    pending = find_pending(server, user, find_code(server, user_code), user_code, signed, reference)
    if pending is None:
        return _ask_code(server, device_code.shown(user_code), _UNKNOWN)
    request = pending.request
    if request.must_login:
        return _sign_in_again(server, pending)
    decided = read_decision(
        server, form, request, signed.shown, lambda: standing_of(server, request).scopes
    )
    if decided is None:
        return _ask(server, pending, again=True)
    if decided.is_for_another:
        server.users.end_login()
        return _sign_in(server, user_code)
    return _settle(server, pending, decided)


def _settle(server: Server, pending: PendingDevice, decided: Decision) -> Response:
    """Store what the user decided, for the device that waits for it.

    No consent is remembered: somebody else may hold the device next time.
    """
    code, request = pending.code, pending.request
    if decided.scopes is None:
        is_first = deny(server, code, server.users.subject_of(request.user))
    else:
        now = server.now()
        once = code.expires_at - now + server.settings.access_token_lifetime
        request.scopes, request.until = decided.scopes, decided.until(now, once)
        is_first = approve(server, code, request)
    if not is_first:
        return _ask_code(server, "", _UNKNOWN)
    allowed = decided.scopes is not None
    response = page(server, "device_done", client=request.client, allowed=allowed)
    return waiting.forget(response, pending.reference) if pending.reference else response
