"""Users: the one door to the host's users.

Flask-Login is found by itself. A host without it says who its users are with the
decorators of the extension: `@pkce.current_user`, `@pkce.user_loader`, `@pkce.subject`,
`@pkce.login_required_response`, `@pkce.account_name`, `@pkce.claims`, `@pkce.logout`.

When somebody signed in is noted in the host's session: Flask-Login tells it by its
signal, other hosts by `pkce.note_login()`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import asdict
from typing import Any

import sqlalchemy
from flask import Flask, Response, current_app, session
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import NoInspectionAvailable

from ..errors import ConfigurationError
from .claims import attributes_as_claims
from .sign_in import Login

CurrentUser = Callable[[], Any]
UserLoader = Callable[[str], Any]
Subject = Callable[[Any], str]
LoginRequiredResponse = Callable[[str], ResponseReturnValue]
AccountName = Callable[[Any], str]
Claims = Callable[[Any], Mapping[str, Any]]
Logout = Callable[[], Any]
MayDevelop = Callable[[Any], Any]
MayRegister = Callable[[dict[str, Any]], Any]
ConsentPage = Callable[[Any], ResponseReturnValue]
LogoutDelivery = Callable[[str, dict[str, str]], Any]

_LOGIN = "_pkce_login"


class Users:
    """Who is signed in, who a subject is, and how to ask somebody to sign in.

    The attributes that are set here are what the decorators of the extension replace.
    """

    def __init__(self) -> None:
        self.current_user: CurrentUser = self._flask_login_user
        self.user_loader: UserLoader = self._flask_login_load
        self.subject: Subject = self._default_subject
        self.login_required_response: LoginRequiredResponse = self._flask_login_response
        self.account_name: AccountName = self._default_account_name
        self.claims: Claims = attributes_as_claims
        self.logout: Logout = self._flask_login_logout
        #: Answers with a page of the host's own for a ConsentView; ours where it is None.
        self.consent_view: ConsentPage | None = None
        #: Says whether a user may register apps; all may where it is None.
        self.may_develop: MayDevelop | None = None
        #: Says whether a client may register itself; all may where it is None.
        self.may_register_itself: MayRegister | None = None
        #: Takes a URI and the form fields to POST there; threads of ours where it is None.
        self.logout_delivery: LogoutDelivery | None = None

    # What the rooms ask.

    def current(self) -> Any | None:
        """Return the signed-in user, or None; raises `ConfigurationError`."""
        return _call(self.current_user)

    def load(self, subject: str) -> Any | None:
        """Return the user with this subject, or None if they are gone or may not sign in."""
        user = _call(self.user_loader, subject)
        return user if user is not None and getattr(user, "is_active", True) else None

    def subject_of(self, user: Any) -> str:
        """Return the text that names `user` in our tables; raises `ConfigurationError`."""
        subject = _call(self.subject, user)
        if not isinstance(subject, str) or not 1 <= len(subject) <= 255:
            raise ConfigurationError(
                f"The subject of a user is a text of 1 to 255 characters, not {subject!r}.",
                write="@pkce.subject\n    def subject(user): return str(user.id)",
            )
        return subject

    def name_of(self, user: Any) -> str:
        """Return what the pages call the account of `user`."""
        return str(_call(self.account_name, user))

    def claims_of(self, user: Any) -> dict[str, Any]:
        """Return all claims about `user` that the host has, whoever may read them."""
        return dict(_call(self.claims, user))

    def answer_consent(self, consent: Any) -> ResponseReturnValue | None:
        """Return the host's own answer to a `ConsentView`; None if our page asks."""
        return None if self.consent_view is None else _call(self.consent_view, consent)

    def may_register(self, user: Any) -> bool:
        """Say whether `user` may register apps in the portal."""
        return self.may_develop is None or bool(_call(self.may_develop, user))

    def takes_client(self, metadata: dict[str, Any]) -> bool:
        """Say whether a client with this metadata (RFC 7591 2) may register itself."""
        return self.may_register_itself is None or bool(_call(self.may_register_itself, metadata))

    def end_login(self) -> None:
        """Sign the user out of the host."""
        _call(self.logout)

    def login(self, user: Any) -> Login:
        """Return the sign-in that `user` is here by; noted now if nobody did before.

        Who came back by a remember cookie, or signed in at a host that does not tell,
        proved who they are at a time that nobody knows.
        """
        subject = self.subject_of(user)
        found = self.noted_login()
        if found is None or found.subject != subject:
            found = self.note_login(subject, auth_time=None)
        return found

    def noted_login(self) -> Login | None:
        """Return the sign-in that was noted in this browser's session, if any."""
        noted = session.get(_LOGIN)
        try:
            return Login(**{**noted, "amr": tuple(noted["amr"])}) if noted else None
        except (TypeError, KeyError):
            return None  # another release wrote it

    def note_login(
        self,
        subject: str,
        *,
        auth_time: int | None,
        acr: str | None = None,
        amr: tuple[str, ...] = (),
    ) -> Login:
        """Note that `subject` signed in at `auth_time` (epoch seconds).

        Who proves once more who they are stays in the same session.
        """
        before = self.noted_login()
        known = before is not None and before.subject == subject
        login = Login(
            subject=subject,
            sid=before.sid if before is not None and known else secrets.token_urlsafe(16),
            auth_time=auth_time,
            mark=secrets.token_urlsafe(6),
            acr=acr,
            amr=amr,
        )
        session[_LOGIN] = asdict(login)
        return login

    def forget_login(self) -> None:
        """Forget who signed in."""
        session.pop(_LOGIN, None)

    def ask_login(self, next_url: str) -> Response:
        """Return the host's answer to somebody who must sign in and come back to `next_url`."""
        return current_app.make_response(_call(self.login_required_response, next_url))

    # What is done where the host says nothing: Flask-Login.

    def _flask_login_user(self) -> Any | None:
        _login_manager(current_app)
        from flask_login import current_user

        return current_user._get_current_object() if current_user.is_authenticated else None

    def _flask_login_response(self, next_url: str) -> ResponseReturnValue:
        # Flask-Login itself adds the address of this request as `next`, and this request
        # is the short one that `next_url` names.
        from flask_login import current_user

        manager = _login_manager(current_app)
        again = current_user.is_authenticated and manager.refresh_view
        response: ResponseReturnValue = manager.needs_refresh() if again else manager.unauthorized()
        return response

    @staticmethod
    def _flask_login_logout() -> None:
        _login_manager(current_app)
        from flask_login import logout_user

        logout_user()

    def _flask_login_load(self, subject: str) -> Any | None:
        model = self._user_model()
        if model is None:
            return _login_manager(current_app)._user_callback(subject)
        column = sqlalchemy.inspect(model).primary_key[0]
        try:
            key = column.type.python_type(subject)
        except (TypeError, ValueError):
            return None
        return current_app.extensions["sqlalchemy"].session.get(model, key)

    def _default_subject(self, user: Any) -> str:
        # The primary key, not get_id(): that one Flask-Security resets with the password.
        try:
            identity = sqlalchemy.inspect(user).identity
        except NoInspectionAvailable:
            return str(user.get_id())
        return str(identity[0])

    @staticmethod
    def _user_model() -> Any | None:
        """Return the host's one mapped class that Flask-Login can use, None if there is none."""
        models = [
            mapper.class_
            for mapper in current_app.extensions["sqlalchemy"].Model.registry.mappers
            if hasattr(mapper.class_, "is_authenticated") and hasattr(mapper.class_, "get_id")
        ]
        if len(models) > 1:
            raise ConfigurationError(
                "More than one model looks like the user model.",
                write="@pkce.user_loader\n    def load(subject): return "
                f"db.session.get({models[0].__name__}, subject)",
            )
        return models[0] if models else None

    @staticmethod
    def _default_account_name(user: Any) -> str:
        for name in ("name", "username", "email"):
            value = user.get(name) if isinstance(user, Mapping) else getattr(user, name, None)
            if isinstance(value, str) and value:
                return value
        return str(user)


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of the host's, sync or async, and return what it returns."""
    plain = current_app.ensure_sync(function)
    if plain is function or not _in_event_loop():
        return plain(*arguments)
    # An async loader asked from an async view: its loop is busy with that view.
    with ThreadPoolExecutor(max_workers=1) as beside:
        return beside.submit(copy_context().run, plain, *arguments).result()


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _login_manager(app: Flask) -> Any:
    manager = getattr(app, "login_manager", None)
    if manager is None:
        raise ConfigurationError(
            "Flask-Login is not set up, and nothing else says who is signed in.",
            write="@pkce.current_user\n    def current_user(): ...   (and @pkce.user_loader, "
            "@pkce.subject, @pkce.login_required_response)",
        )
    return manager
