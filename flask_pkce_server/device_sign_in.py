"""Device sign-in: what the user of a device does in their browser (RFC 8628 3.3).

They type the code that the device shows, or come with it in the address, and even then
say that it is the one on the device; they read whose app it is and what it wants, and
decide. Nothing is looked up by an address alone: another site could use up the tries of
somebody who follows a link.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import flask
from flask import Response

from . import consent_view, interaction
from .decision import Decision, DecisionForm, PageForm, read_decision
from .errors import (
    ConsentRequiredError,
    InvalidRequestError,
    OAuth2Error,
    TemporarilyUnavailable,
)
from .models import consent, device_code
from .models.consent import Standing
from .models.device_code import DeviceCode
from .models.guess import TooManyGuesses
from .models.token import UNTIL
from .pages import here, page
from .request import Payload, Request
from .server import Server, current_server
from .signals import authorization_denied, authorization_granted, tell
from .texts import said

_MALFORMED = said("A code has 8 letters. Look at your device again.")
_UNKNOWN = said(
    "No device is waiting with this code. If you typed it right, start again on the device."
)
_TOO_MANY = said("Too many wrong codes. Wait ten minutes, then start again on the device.")
_EXPIRED = said("The form had expired. Please try again.")

#: How a device shows who it is, and its code_challenge: of no use to what its user decides on.
_NOT_KEPT = {
    "client_id", "client_secret", "client_assertion", "client_assertion_type", "user_code",
    "code_challenge", "code_challenge_method",
}  # fmt: skip
_MAX_PARAMETER_CHARACTERS = 4000


def link_to(server: Server, user_code: str) -> str:
    """Return the address at which `user_code` need not be typed (RFC 8628 3.3.1)."""
    return f"{server.url_of('device')}?user_code={device_code.shown(user_code)}"


def parameters_of(request: Request) -> dict[str, list[str]]:
    """Return what is kept of the request of a device until its user has decided.

    Raises `InvalidRequestError` where that is too long.
    """
    kept = {
        name: values for name, values in request.payload.datalist.items() if name not in _NOT_KEPT
    }
    if sum(len(text) for name, values in kept.items() for text in (name, *values)) > (
        _MAX_PARAMETER_CHARACTERS
    ):
        raise InvalidRequestError(
            f"The request of a device has at most {_MAX_PARAMETER_CHARACTERS} characters."
        )
    return kept


def check_request(server: Server, request: Request) -> None:
    """Check what a device asks for; its client is known, and at last its user.

    The same request is checked when the device starts, when its code is typed and when the
    user decides, so that each wish means what it means in a browser. Raises an `OAuth2Error`.
    """
    request.on_device = True
    for feature in server.features:
        feature.complete_authorization_request(request)
    request.scopes = server.scopes.asked_by(
        request.client, request.payload.scope, request.payload.datalist.get("resource", [])
    )
    for feature in server.features:
        feature.check_authorization_request(request)
    if request.must_not_ask:
        # prompt=none: the user of a device always has to be asked.
        raise ConsentRequiredError()


@dataclass(frozen=True)
class Waiting:
    """A device that waits for the decision of the user who typed its code."""

    code: DeviceCode
    #: What it asks for, checked for this user.
    request: Request
    user_code: str
    #: By which the browser finds it after signing in; "" where it did not have to.
    reference: str


def device() -> Response:
    """Ask for the code of a device, for a decision on it, or act on one."""
    server, incoming = current_server, flask.request
    user, posted = server.users.current(), incoming.method == "POST"
    reference = interaction.read_reference()
    carried = interaction.take_up(server, reference) if reference else None
    typed = (incoming.form if posted else incoming.args).get("user_code", "")
    if posted and "decision" in incoming.form:
        return _decide(server, user, reference)
    if carried is not None and not posted:
        return _come_back(server, user, carried, reference)
    if user is None:
        return _sign_in(server, device_code.read_user_code(typed))
    if posted:
        return _enter(server, user, typed, carried, reference)
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
    typed: str = "",
    wrong: str | None = None,
    status: int = 400,
    *,
    named: bool = False,
    reference: str = "",
) -> Response:
    return page(
        current_server,
        "device",
        200 if wrong is None else status,
        form=PageForm(formdata=None),
        action=interaction.path_of(reference),
        typed=typed,
        named=named,
        wrong=wrong,
    )


def _enter(
    server: Server, user: Any, typed: str, carried: Request | None, reference: str
) -> Response:
    """Look up the code that was typed, if its user was not wrong too often."""
    if not PageForm().validate():
        return _ask_code(typed, _EXPIRED, reference=reference)
    user_code = device_code.read_user_code(typed)
    if user_code is None:
        return _ask_code(typed, _MALFORMED, reference=reference)
    key, subject = _key(server, user_code), server.users.subject_of(user)
    try:
        code = server.store.write(
            lambda session: device_code.enter(session, key, subject, server.now())
        )
    except TooManyGuesses as refused:
        response = _ask_code(typed, _TOO_MANY, 429)
        response.headers.update(refused.headers)
        return response
    if carried is not None and carried.payload.data["user_code"] != user_code:
        # Another device than the one that the user signed in for.
        carried, reference = None, ""
    waiting = _check(server, user, code, user_code, carried, reference)
    if waiting is None:
        return _ask_code(typed, _UNKNOWN)
    if waiting.request.must_login:
        return _sign_in_again(server, waiting)
    return _ask(server, waiting)


def _find(server: Server, user_code: str) -> DeviceCode | None:
    with server.store.reading() as session:
        return device_code.waiting(session, _key(server, user_code), server.now())


def _check(
    server: Server,
    user: Any | None,
    code: DeviceCode | None,
    user_code: str,
    carried: Request | None,
    reference: str,
) -> Waiting | None:
    """Return what a device asks of `user`; None if it waits no more, or its client is gone.

    `carried` came with the browser. Raises an `OAuth2Error` for what this user cannot be
    asked for; then the device is told that access was denied.
    """
    client = None if code is None else server.find_client(code.client_id)
    if code is None or client is None:
        return None
    pairs = [(name, value) for name, values in code.parameters.items() for value in values]
    request = Request(method="GET", issuer=server.issuer, pairs=pairs)
    request.client, request.user = client, user
    request.carried = Payload([("user_code", user_code)])
    if carried is not None:
        request.login_before, request.times_asked = carried.login_before, carried.times_asked
    with _denied_if_refused(server, code, user):
        check_request(server, request)
    return Waiting(code, request, user_code, reference)


@contextmanager
def _denied_if_refused(server: Server, code: DeviceCode, user: Any | None) -> Iterator[None]:
    """Tell a device that access was denied, where its user cannot be asked as it wishes."""
    try:
        yield
    except OAuth2Error as error:
        if user is not None and not isinstance(error, TemporarilyUnavailable):
            _note(server, code, server.users.subject_of(user), Decision(None), {})
        raise


def _sign_in_again(server: Server, waiting: Waiting) -> Response:
    """Send a user to sign in once more, by way of the short URL that they come back to."""
    request = waiting.request
    request.login_before = server.users.login(request.user).mark
    return interaction.put_aside(server, request)


def _come_back(server: Server, user: Any | None, carried: Request, reference: str) -> Response:
    """Take a user on who was sent to sign in once more, and then typed the right code."""
    user_code = carried.payload.data["user_code"]
    code = _find(server, user_code)
    waiting = _check(server, user, code, user_code, carried, reference)
    if waiting is None:
        return _ask_code(device_code.shown(user_code), _UNKNOWN)
    if user is None or waiting.request.must_login:
        with _denied_if_refused(server, waiting.code, user):
            return interaction.ask_login(server, waiting.request, reference)
    return _ask_code(device_code.shown(user_code), named=True, reference=reference)


def _ask(server: Server, waiting: Waiting, *, again: bool = False) -> Response:
    return consent_view.ask_device_consent(
        server,
        waiting.request,
        waiting.request.user,
        standing=_standing(server, waiting.request),
        settle=lambda decided: _settle(server, waiting, decided),
        user_code=device_code.shown(waiting.user_code),
        reference=waiting.reference,
        again=again,
    )


def _decide(server: Server, user: Any, reference: str) -> Response:
    """Act on the consent form; the code that it carries was typed by this very user."""
    form = DecisionForm()
    signed, subject = interaction.read_signed(server, form.request.data or "")
    user_code = signed.payload.data["user_code"]
    if user is None:
        return _sign_in(server, user_code)
    if server.users.subject_of(user) != subject:
        return _ask_code(device_code.shown(user_code), named=True)
    waiting = _check(server, user, _find(server, user_code), user_code, signed, reference)
    if waiting is None:
        return _ask_code(device_code.shown(user_code), _UNKNOWN)
    request = waiting.request
    if request.must_login:
        return _sign_in_again(server, waiting)
    decided = read_decision(
        server, form, request, signed.shown, lambda: _standing(server, request).scopes
    )
    if decided is None:
        return _ask(server, waiting, again=True)
    if decided.is_for_another:
        server.users.end_login()
        return _sign_in(server, user_code)
    return _settle(server, waiting, decided)


def _standing(server: Server, request: Request) -> Standing:
    """Return what the user has granted to the client before, on any device."""
    subject, client = server.users.subject_of(request.user), request.client
    with server.store.reading() as session:
        return consent.standing(session, subject, client.client_id, server.now(), client.changed_at)


def _settle(server: Server, waiting: Waiting, decided: Decision) -> Response:
    """Note what the user decided, for the device that waits for it.

    Nothing of it is remembered: who holds the device next time may be somebody else.
    """
    code, request = waiting.code, waiting.request
    now, bindings = server.now(), dict(request.bindings)
    until = decided.until(now, code.expires_at - now + server.settings.access_token_lifetime)
    if until is not None:
        bindings[UNTIL] = until
    if not _note(server, code, server.users.subject_of(request.user), decided, bindings):
        return _ask_code("", _UNKNOWN)
    allowed = decided.scopes is not None
    response = page(server, "device_done", client=request.client, allowed=allowed)
    return interaction.forget(response, waiting.reference) if waiting.reference else response


def _note(
    server: Server, code: DeviceCode, subject: str, decided: Decision, bindings: dict[str, Any]
) -> bool:
    """Store a decision and tell of it; say whether nobody had decided before."""
    facts = {"client_id": code.client_id, "subject": subject}
    scopes, now = decided.scopes, server.now()
    if scopes is None:
        done = server.store.write(lambda session: device_code.deny(session, code, subject, now))
    else:
        done = server.store.write(
            lambda session: device_code.approve(session, code, subject, scopes, bindings, now)
        )
    if done and scopes is None:
        tell(authorization_denied, server.app, **facts)
    elif done:
        granted = {"scopes": scopes, "family_id": code.family_id}
        tell(authorization_granted, server.app, **facts, **granted)
    return done


def _key(server: Server, user_code: str) -> bytes:
    return device_code.keyed_digest(server.key("user codes"), user_code)
