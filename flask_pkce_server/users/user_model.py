"""User model: the SQLAlchemy model of the host's users; its primary key is the default subject.

A subject must never name two people (OIDC Core 2: `sub` is never reassigned). So the default
is refused where a primary key could: with several columns, with users of several models, and
where SQLite gives the key of a deleted user to a new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import sqlalchemy
from flask import current_app
from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Mapper, Session, registry
from sqlalchemy.orm.state import InstanceState

from ..errors import ConfigurationError
from . import flask_login, plain_model
from .sqlite_keys import check_keys

#: The integers that every database can compare with a key.
_INTEGERS = range(-(2**63), 2**63)


@dataclass(frozen=True)
class UserModel:
    """The model of users, and the classes that inherit from it."""

    #: The root of the inheritance: the objects of all classes below share its primary keys.
    mapper: Mapper[Any]
    #: The highest classes below that are of users: that have the methods of Flask-Login.
    classes: tuple[type, ...]

    @property
    def name(self) -> str:
        """The name of the class."""
        return self.mapper.class_.__name__

    def subject(self, state: InstanceState[Any]) -> str:
        """Return the primary key of a user as text; raises `ConfigurationError`."""
        if state.identity is None:
            raise ConfigurationError(
                f"The {self.name} has no primary key yet.",
                write="db.session.flush()  # before the user signs in",
            )
        text = str(state.identity[0])
        if self.key(text) is None:
            raise ConfigurationError(
                f"The primary key of {self.name} can't be read from its text.",
                write=own_functions("user.uuid", "return find_by_uuid(subject)"),
            )
        return text

    def load(self, session: Session, subject: str) -> Any | None:
        """Return the user with this subject, or None."""
        key = self.key(subject)
        if key is None:
            return None
        known = session.identity_map.get(self.mapper.identity_key_from_primary_key((key,)))
        if known is not None:
            # `get` returns it without a statement, unless it has expired.
            return session.get(type(known), key) if isinstance(known, self.classes) else None
        if self._is_plain and plain_model.can_read(session, self.mapper):
            return plain_model.read(session, self.mapper, self._lookups, key)
        for statement in self._by_key:
            user = session.scalars(statement, {"key": key}).unique().one_or_none()
            if user is not None:
                return user
        return None

    @cached_property
    def _is_plain(self) -> bool:
        return self.classes == (self.mapper.class_,) and plain_model.is_plain(self.mapper)

    @cached_property
    def _lookups(self) -> dict[Any, Any]:
        return {}

    @cached_property
    def _by_key(self) -> list[Select[Any]]:
        # Built once: `session.get` builds its statement anew for each look.
        is_it = self.mapper.primary_key[0] == bindparam("key")
        return [select(class_).where(is_it) for class_ in self.classes]

    def key(self, subject: str) -> Any | None:
        """Return the primary key whose text is `subject`, or None if it is the text of none."""
        try:
            key = self.mapper.primary_key[0].type.python_type(subject)
        except (ArithmeticError, NotImplementedError, TypeError, ValueError):
            return None
        # int() reads "1_2" as 12, and SQLite raises for integers that it can't hold.
        is_key = str(key) == subject and (type(key) is not int or key in _INTEGERS)
        return key if is_key else None


#: The user model of each registry, looked up once.
_models: WeakKeyDictionary[registry, UserModel] = WeakKeyDictionary()


def model_of_app() -> UserModel | None:
    """Return the user model of the current app, or None if it has none.

    Raises `ConfigurationError` if a primary key could name two people.
    """
    db = current_app.extensions.get("sqlalchemy")
    return None if db is None else _model_in(db.Model.registry)


def check_keys_of_app() -> bool:
    """Refuse a user model whose primary keys the database gives again.

    Return False if there is no such model or no table yet. Raises `ConfigurationError`.
    """
    model = model_of_app()
    return model is not None and check_keys(session_of_app(), model.mapper)


def session_of_app() -> Session:
    """Return the host's own session, which it may be using; only read with it."""
    session: Session = current_app.extensions["sqlalchemy"].session()
    return session


def load(subject: str) -> Any | None:
    """Return the user with this subject, the primary key of the user model, or None.

    Without a user model, the user loader of Flask-Login gets the subject.
    """
    model = model_of_app()
    user = flask_login.load(subject) if model is None else model.load(session_of_app(), subject)
    # A database that ignores case finds "Ada" for "ada".
    return user if user is not None and key_as_text(user) == subject else None


def default_subject(user: Any) -> str:
    """Return the primary key of `user` as text, or the ID for Flask-Login without a model.

    Raises `ConfigurationError` if it could also be that of another user.
    """
    text, state = key_as_text(user), sqlalchemy.inspect(user, raiseerr=False)
    if isinstance(state, InstanceState) and state.session is not None:
        model, root = model_of_app(), root_of(state.mapper)
        # `Users.check` has looked at the model of the app.
        if model is None or model.mapper is not root:
            check_keys(state.session, root)
    return text


def key_as_text(user: Any) -> str:
    """Return the same as `default_subject`, without a look at the database."""
    model, state = model_of_app(), sqlalchemy.inspect(user, raiseerr=False)
    if not isinstance(state, InstanceState):
        identity = flask_login.subject(user)
        if model is not None:
            raise _several_kinds([model.name, type(user).__name__])
        return identity
    # Not get_id(): Flask-Security changes its value together with the password.
    own = _model_in(state.mapper.registry)
    name = type(user).__name__
    if own is None or not isinstance(user, own.classes):
        raise ConfigurationError(
            f"{name} is not a user model as Flask-Login knows it.",
            write=own_functions("str(user.id)", f"return db.session.get({name}, int(subject))"),
        )
    if model is not None and model != own:
        raise _several_kinds([model.name, own.name])
    return own.subject(state)


def own_functions(subject: str, load: str) -> str:
    """Return the lines with which a host says itself who is meant by a subject."""
    return (
        f"@pkce.user_subject\n    def subject(user): return {subject}\n"
        f"    @pkce.user_loader\n    def load(subject): {load}"
    )


def _model_in(models: registry) -> UserModel | None:
    if models not in _models:
        model = _find(models.mappers)
        if model is None:
            return None  # it may be declared later
        _models[models] = model
    return _models[models]


def _find(mappers: Iterable[Mapper[Any]]) -> UserModel | None:
    found: dict[Mapper[Any], list[type]] = {}
    for mapper in mappers:
        if is_of_users(mapper.class_):
            root, parent = root_of(mapper), mapper.inherits
            classes = found.setdefault(root, [])
            if mapper is root or parent is None or not is_of_users(parent.class_):
                classes.append(mapper.class_)
    if len(found) > 1:
        raise _several_kinds(sorted(root.class_.__name__ for root in found))
    for root, classes in found.items():
        if len(root.primary_key) > 1:
            raise _several_columns(root)
        return UserModel(root, tuple(classes))
    return None


def is_of_users(class_: type) -> bool:
    """Return whether the objects of a mapped class are users, as Flask-Login knows them."""
    return hasattr(class_, "is_authenticated") and hasattr(class_, "get_id")


def root_of(mapper: Mapper[Any]) -> Mapper[Any]:
    """Return the highest mapper whose objects share their primary keys with those of `mapper`."""
    while mapper.inherits is not None and not mapper.concrete:
        mapper = mapper.inherits
    return mapper


def _several_kinds(names: Sequence[str]) -> ConfigurationError:
    known = ", ".join(f'"{name}": {name}' for name in names)
    return ConfigurationError(
        f"Users are of several kinds ({', '.join(names)}), and one primary key can be that of "
        "a user of each.",
        write=own_functions(
            'f"{type(user).__name__}-{user.id}"',
            f'name, key = subject.split("-"); return db.session.get({{{known}}}[name], int(key))',
        ),
    )


def _several_columns(mapper: Mapper[Any]) -> ConfigurationError:
    name = mapper.class_.__name__
    keys = [mapper.get_property_by_column(column).key for column in mapper.primary_key]
    text = ".".join(f"{{user.{key}}}" for key in keys)
    return ConfigurationError(
        f"The primary key of {name} has several columns ({', '.join(keys)}): none of them is "
        "enough to tell users apart.",
        write=own_functions(
            f'f"{text}"',
            f'return db.session.get({name}, tuple(map(int, subject.split("."))))',
        ),
    )
