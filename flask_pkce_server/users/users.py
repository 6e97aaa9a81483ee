"""Users: access to the host app's users.

Flask-Login is detected automatically. A host app without it provides its users through the
decorators of the extension: `@pkce.current_user`, `@pkce.user_loader`, `@pkce.user_subject`,
`@pkce.user_name`, `@pkce.user_claims`, `@pkce.access_token_claims`,
`@pkce.login_required_response`, `@pkce.sign_out`.
"""

from __future__ import annotations

import asyncio
import inspect
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any
from weakref import WeakKeyDictionary

from flask import Flask, Response, current_app
from flask.typing import ResponseReturnValue
from werkzeug.local import LocalProxy

from ..errors import ConfigurationError
from . import user_model
from .host import DescribedToken, HostFunctions
from .json_value import as_mapping
from .sign_in import Login, note_login, noted_login


class Users:
    """Finds the signed-in user, loads users by subject, and asks users to sign in."""

    def __init__(self) -> None:
        #: The functions that the host app has registered.
        self.host = HostFunctions()
        #: The functions that were found to be fit, by app.
        self._checked: WeakKeyDictionary[Flask, object] = WeakKeyDictionary()

    def check(self) -> None:
        """Refuse defaults by which a subject could name two users; raises `ConfigurationError`.

        Asks the database at most once in a process.
        """
        functions = (self.host.user_subject, self.host.user_loader)
        app = current_app._get_current_object()  # type: ignore[attr-defined] # a LocalProxy
        if self._checked.get(app) == functions:
            return
        if not (self._has_own_subject and self._has_own_loader):
            user_model.model_of_app()
        if self._has_own_subject or user_model.check_keys_of_app():
            self._checked[app] = functions

    def current(self) -> Any | None:
        """Return the signed-in user, or None; an anonymous user is nobody.

        Raises `ConfigurationError` if there is neither Flask-Login nor `@pkce.current_user`.
        """
        self.check()
        user = _itself(_call(self.host.current_user))
        if user is None or user is False:
            return None
        return user if getattr(user, "is_authenticated", True) else None

    def find(self, subject: str) -> Any | None:
        """Return the user with this subject, active or not; None if nobody has it (any more)."""
        self.check()
        return _itself(_call(self.host.user_loader, subject))

    def load(self, subject: str) -> Any | None:
        """Return the user with this subject, or None if they are deleted or inactive."""
        user = self.find(subject)
        return user if user is not None and getattr(user, "is_active", True) else None

    def subject_of(self, user: Any) -> str:
        """Return the subject that identifies `user` in the tables, 1 to 255 characters.

        Raises `ConfigurationError` if the host app returns anything else, or a text that could
        be the subject of two users.
        """
        self.check()
        user = _itself(user)
        subject = _call(self.host.user_subject, user)
        if not _is_subject(subject):
            raise ConfigurationError(
                "The subject of a user is a text of 1 to 255 characters, without control "
                f"characters and without blanks at its ends; this {type(subject).__name__} "
                "isn't one.",
                write="@pkce.user_subject\n    def subject(user): return str(user.id)",
            )
        if self._has_own_subject and not self._has_own_loader:
            self._check_found_by(user, subject)
        return str(subject)

    @property
    def _has_own_subject(self) -> bool:
        return self.host.user_subject is not user_model.default_subject

    @property
    def _has_own_loader(self) -> bool:
        return self.host.user_loader is not user_model.load

    def _check_found_by(self, user: Any, subject: str) -> None:
        """Refuse a subject that is not what the default loader finds `user` by."""
        try:
            by_default: str | None = user_model.key_as_text(user)
        except ConfigurationError:
            by_default = None
        if by_default != subject:
            raise ConfigurationError(
                "@pkce.user_subject doesn't return the primary key, by which users are loaded.",
                write="@pkce.user_loader\n    def load(subject): ...  # the user of this subject",
            )

    def name_of(self, user: Any) -> str:
        """Return the name that the pages show for the account of `user`, or else the subject."""
        name = _call(self.host.user_name, user)
        return str(name) if name else self.subject_of(user)

    def claims_of(self, user: Any) -> dict[str, Any]:
        """Return all claims that the host app has about `user`, before scopes are applied.

        Raises `ConfigurationError` if the host app returns no mapping.
        """
        return _mapping(_call(self.host.user_claims, user), "user_claims", "user")

    def access_token_claims_of(self, user: Any | None, token: DescribedToken) -> dict[str, Any]:
        """Return the claims that the host app adds to an access token; `user` is its user.

        Raises `ConfigurationError` if the host app returns no mapping.
        """
        function = self.host.access_token_claims
        if function is None:
            return {}
        return _mapping(_call(function, user, token), "access_token_claims", "user, token")

    def answer_consent(self, consent: Any) -> ResponseReturnValue | None:
        """Return the host app's response to a `ConsentView`, None if the built-in page asks."""
        view = self.host.consent_view
        return None if view is None else _call(view, consent)

    def may_register_app(self, user: Any) -> bool:
        """Return whether `user` may register apps in the developer portal."""
        may = self.host.may_register_app
        return may is None or bool(_call(may, user))

    def may_register_client(self, metadata: Callable[[], dict[str, Any]]) -> bool:
        """Return whether a client may register itself; `metadata` returns its metadata."""
        may = self.host.may_register_client
        return may is None or bool(_call(may, metadata()))

    def ask_login(self, next_url: str) -> Response:
        """Return the host app's response that asks to sign in and to return to `next_url`."""
        return current_app.make_response(_call(self.host.login_required_response, next_url))

    def end_login(self) -> None:
        """Sign the user out of the host app."""
        _call(self.host.sign_out)

    def login(self, user: Any) -> Login:
        """Return the sign-in of `user` in this browser, and record it if it is not recorded yet.

        It has no `auth_time` then: a user with a remember cookie, or of a host app that does
        not report sign-ins, authenticated at an unknown time.
        """
        subject = self.subject_of(user)
        login = noted_login()
        if login is None or login.subject != subject:
            login = note_login(subject, auth_time=None)
        return login


def _itself(user: Any) -> Any:
    """Return the object behind a proxy such as Flask-Login's `current_user`."""
    return user._get_current_object() if isinstance(user, LocalProxy) else user


def _is_subject(value: Any) -> bool:
    if not isinstance(value, str) or not 1 <= len(value) <= 255 or value != value.strip():
        return False
    # Control characters and surrogates: databases refuse some of them, logs are forged by others.
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in value)


def _mapping(returned: Any, decorator: str, arguments: str) -> dict[str, Any]:
    """Return as a dict what a function of the host app returned as a mapping or a row."""
    claims = as_mapping(returned)
    if claims is None:
        raise ConfigurationError(
            f"@pkce.{decorator} returns something that is no mapping of claims.",
            write=f'@pkce.{decorator}\n    def claims({arguments}): return {{"name": user.name}}',
        )
    return dict(claims)


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of the host app, sync or async, and return its result."""
    if not inspect.iscoroutinefunction(function):
        return function(*arguments)
    call = current_app.ensure_sync(function)
    if not _in_event_loop():
        return call(*arguments)
    # An async function called from an async view: the event loop is busy with that view.
    with ThreadPoolExecutor(max_workers=1) as executor:
        return executor.submit(copy_context().run, call, *arguments).result()


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
