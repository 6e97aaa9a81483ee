"""Flask-Login: the users of a host app that registers no functions of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import sqlalchemy
from flask import Flask, current_app
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import NoInspectionAvailable

from ..errors import ConfigurationError

#: The user model of each app, looked up once.
_models: WeakKeyDictionary[Flask, Any] = WeakKeyDictionary()


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
    """Return the user with this subject, the primary key of the user model, or None.

    Without a user model, the user loader of Flask-Login gets the subject.
    """
    model = _user_model()
    if model is None:
        return _login_manager()._user_callback(subject)
    column = sqlalchemy.inspect(model).primary_key[0]
    try:
        key = column.type.python_type(subject)
    except (TypeError, ValueError):
        return None
    return current_app.extensions["sqlalchemy"].session.get(model, key)


def subject(user: Any) -> str:
    """Return the primary key of `user` as text."""
    # Not get_id(): Flask-Security changes its value together with the password.
    try:
        identity = sqlalchemy.inspect(user).identity
    except NoInspectionAvailable:
        return str(user.get_id())
    return str(identity[0])


def name(user: Any) -> str:
    """Return the name, the username or the e-mail address of `user`."""
    for attribute in ("name", "username", "email"):
        value = user.get(attribute) if isinstance(user, Mapping) else getattr(user, attribute, None)
        if isinstance(value, str) and value:
            return value
    return str(user)


def _user_model() -> Any | None:
    """Return the host app's one mapped class that works with Flask-Login, or None.

    Raises `ConfigurationError` if there are several.
    """
    app = current_app._get_current_object()  # type: ignore[attr-defined] # a LocalProxy
    if app not in _models:
        _models[app] = _find_user_model(app)
    return _models[app]


def _find_user_model(app: Flask) -> Any | None:
    models = [
        mapper.class_
        for mapper in app.extensions["sqlalchemy"].Model.registry.mappers
        if hasattr(mapper.class_, "is_authenticated") and hasattr(mapper.class_, "get_id")
    ]
    if len(models) > 1:
        raise ConfigurationError(
            "More than one model looks like the user model.",
            write="@pkce.user_loader\n    def load(subject): return "
            f"db.session.get({models[0].__name__}, subject)",
        )
    return models[0] if models else None


def _login_manager() -> Any:
    manager = getattr(current_app, "login_manager", None)
    if manager is None:
        raise ConfigurationError(
            "Flask-Login is not set up, and nothing else says who is signed in.",
            write="@pkce.current_user\n    def current_user(): ...   (and @pkce.user_loader, "
            "@pkce.user_subject, @pkce.login_required_response)",
        )
    return manager
