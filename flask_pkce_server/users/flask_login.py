"""Flask-Login: the users of a host app that registers no functions of its own."""

from __future__ import annotations

from typing import Any

from flask import current_app
from flask.typing import ResponseReturnValue

from ..errors import ConfigurationError


def current_user() -> Any | None:
    """Return the signed-in user, or None."""
    _login_manager()
    from flask_login import current_user

    return current_user._get_current_object() if current_user.is_authenticated else None


def login_required_response(next_url: str) -> ResponseReturnValue:
    """Return the response with which Flask-Login asks to sign in or to reauthenticate."""
    # `next_url` is the URL of this request, and Flask-Login adds that as `next` itself.
    from flask_login import current_user

    manager = _login_manager()
    asks_again = current_user.is_authenticated and reauthenticates()
    response: ResponseReturnValue = (
        manager.needs_refresh() if asks_again else manager.unauthorized()
    )
    return response


def reauthenticates() -> bool:
    """Return whether the host has a page for users who are signed in to do so again."""
    manager = _login_manager()
    return bool(manager.refresh_view or manager.needs_refresh_callback)


def is_set_up() -> bool:
    """Return whether the host app uses Flask-Login."""
    return getattr(current_app, "login_manager", None) is not None


def sign_out() -> None:
    """Sign the user of this request out."""
    _login_manager()
    from flask_login import logout_user

    logout_user()


def load(subject: str) -> Any | None:
    """Return what the user loader of Flask-Login finds by `subject`."""
    return _login_manager()._user_callback(subject)


def subject(user: Any) -> str:
    """Return the ID by which Flask-Login knows `user`; raises `ConfigurationError`."""
    identity = user.get_id() if hasattr(user, "get_id") else None
    if identity is None:
        raise ConfigurationError(
            f"{type(user).__name__} has no ID that could be the subject of a user.",
            write="@pkce.user_subject\n    def subject(user): ...   (and @pkce.user_loader)",
        )
    return str(identity)


def _login_manager() -> Any:
    manager = getattr(current_app, "login_manager", None)
    if manager is None:
        raise ConfigurationError(
            "Flask-Login is not set up, and nothing else says who is signed in.",
            write="@pkce.current_user\n    def current_user(): ...   (and @pkce.user_loader, "
            "@pkce.user_subject, @pkce.login_required_response)",
        )
    return manager
