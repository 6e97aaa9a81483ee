"""Users: the one way to the host's users.

Flask-Login is found by itself. A host without it says who its users are with the decorators
of the extension: `@pkce.current_user`, `@pkce.user_loader`, `@pkce.user_subject`,
`@pkce.user_name`, `@pkce.user_claims`, `@pkce.login_required_response`, `@pkce.sign_out`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from flask import Response, current_app
from flask.typing import ResponseReturnValue

from ..errors import ConfigurationError
from .host import HostFunctions
from .sign_in import Login, note_login, noted_login


class Users:
    """Who is signed in, who a subject is, and how to ask somebody to sign in."""

    def __init__(self) -> None:
        #: What the host plugs in.
        self.host = HostFunctions()

    def current(self) -> Any | None:
        """Return the signed-in user, or None; raises `ConfigurationError`."""
        return _call(self.host.current_user)

    def load(self, subject: str) -> Any | None:
        """Return the user with this subject, or None if they are gone or may not sign in."""
        user = _call(self.host.user_loader, subject)
        return user if user is not None and getattr(user, "is_active", True) else None

    def subject_of(self, user: Any) -> str:
        """Return the text that names `user` in our tables; raises `ConfigurationError`."""
        subject = _call(self.host.user_subject, user)
        if not isinstance(subject, str) or not 1 <= len(subject) <= 255:
            raise ConfigurationError(
                f"The subject of a user is a text of 1 to 255 characters, not {subject!r}.",
                write="@pkce.user_subject\n    def subject(user): return str(user.id)",
            )
        return subject

    def name_of(self, user: Any) -> str:
        """Return what the pages call the account of `user`."""
        return str(_call(self.host.user_name, user))

    def claims_of(self, user: Any) -> dict[str, Any]:
        """Return all claims about `user` that the host has, whoever may read them."""
        return dict(_call(self.host.user_claims, user))

    def answer_consent(self, consent: Any) -> ResponseReturnValue | None:
        """Return the host's own answer to a `ConsentView`; None if our page asks."""
        view = self.host.consent_view
        return None if view is None else _call(view, consent)

    def may_register_app(self, user: Any) -> bool:
        """Say whether `user` may register apps in the portal."""
        may = self.host.may_register_app
        return may is None or bool(_call(may, user))

    def may_register_client(self, metadata: Callable[[], dict[str, Any]]) -> bool:
        """Say whether a client may register itself; `metadata` makes what it is (RFC 7591 2)."""
        may = self.host.may_register_client
        return may is None or bool(_call(may, metadata()))

    def ask_login(self, next_url: str) -> Response:
        """Return the host's answer to somebody who must sign in and come back to `next_url`."""
        return current_app.make_response(_call(self.host.login_required_response, next_url))

    def end_login(self) -> None:
        """Sign the user out of the host."""
        _call(self.host.sign_out)

    def login(self, user: Any) -> Login:
        """Return the sign-in that `user` is here by; noted now if nobody did before.

        A user who came back by a remember cookie, or signed in at a host that does not tell,
        proved who they are at a time that nobody knows.
        """
        subject = self.subject_of(user)
        found = noted_login()
        if found is None or found.subject != subject:
            found = note_login(subject, auth_time=None)
        return found


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
